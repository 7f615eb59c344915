//! The acceptance suite of replay: each `.case` file of the folder `cases` is one thing that the texts ask.
//!
//! Start with any of the files; [`form`] says how one is written, [`judge`] what its patterns mean. What they
//! expect was worked out by hand from the texts and never taken from the engine's own output. Where a text leaves
//! something open, the file says so in its head and asks only for what is fixed.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value;

use form::{Case, Wanted, Wishes};

mod form;
mod judge;

#[test]
fn every_case_comes_out_as_its_text_asks() {
    // Given
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/cases");
    let files = case_files(&folder).expect("the folder of the cases can be read");
    assert!(!files.is_empty(), "no case lies in {}", folder.display());

    // When
    let failures: Vec<String> = files.iter().filter_map(|file| failure(file)).collect();

    // Then
    assert!(
        failures.is_empty(),
        "{} of {} cases fail\n\n{}",
        failures.len(),
        files.len(),
        failures.join("\n")
    );
}

/// The case files of `folder`, by name, so that a report reads the same on each machine.
fn case_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "case"));
    files.sort();
    Ok(files)
}

/// What is wrong with the case in `file`: its name, each reason, and the whole output. `None`: all is well.
fn failure(file: &Path) -> Option<String> {
    let (reasons, output) = verdict(file).unwrap_or_else(|reason| (vec![reason], String::new()));
    if reasons.is_empty() {
        return None;
    }
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    Some(format!(
        "== {name}\n   {}\n-- output\n{output}",
        reasons.join("\n   ")
    ))
}

/// The reasons why a case fails, none if it holds, and what replay printed.
fn verdict(file: &Path) -> Result<(Vec<String>, String), String> {
    let text = fs::read_to_string(file).map_err(|e| format!("the case cannot be read: {e}"))?;
    let case = form::parse(&text)?;
    let run = run_once(&case)?;
    let again = run_once(&case)?;
    let mut reasons = match &case.wanted {
        Wanted::Output(wishes) => output_reasons(wishes, &run),
        Wanted::Refused(line) => refusal_reasons(*line, &run),
    };
    if run.output != again.output {
        reasons.push("a second run printed something else".to_owned());
    }
    Ok((reasons, run.output))
}

/// What one replay printed, and why it stopped early if it did.
struct Run {
    output: String,
    error: Option<String>,
}

const INPUT_NAME: &str = "input.jsonl";

/// Replays `case` in a folder of its own. A panic of the engine fails this case and lets the others run.
fn run_once(case: &Case) -> Result<Run, String> {
    let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text)
            .map(|()| path)
            .map_err(|e| format!("{name} cannot be written: {e}"))
    };
    let rules = write("rules.toml", &case.rules)?;
    let input = write(INPUT_NAME, &case.input)?;
    for (name, text) in &case.files {
        write(name, text)?;
    }
    let mut out = Vec::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        alarms::replay::run(&rules, &input, case.until, &mut out).map_err(|e| e.to_string())
    }));
    let error = ended.unwrap_or_else(|_| Err("replay panicked".to_owned())).err();
    let output = String::from_utf8(out).map_err(|e| format!("the output is not UTF-8: {e}"))?;
    Ok(Run { output, error })
}

fn output_reasons(wishes: &Wishes, run: &Run) -> Vec<String> {
    if let Some(error) = &run.error {
        return vec![format!("replay stopped: {error}")];
    }
    let lines: Result<Vec<Value>, _> = run.output.lines().map(serde_json::from_str).collect();
    match lines {
        Err(error) => vec![format!("a line of the output is not JSON: {error}")],
        // A case that silence satisfies would prove nothing.
        Ok(_) if judge::unmet(wishes, &[]).is_empty() => {
            vec!["an empty output would satisfy this case".to_owned()]
        }
        Ok(lines) => judge::unmet(wishes, &lines),
    }
}

/// An input error has to name the input file and the line; `None` asks for any error at all.
fn refusal_reasons(line: Option<u64>, run: &Run) -> Vec<String> {
    let Some(error) = &run.error else {
        return vec!["replay ended well, and an error is asked for".to_owned()];
    };
    let Some(line) = line else {
        return Vec::new();
    };
    let named = line.to_string();
    // Whole numbers only: "12" is no part of "120", nor of a random folder's name.
    let names_line = error
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word == named);
    if names_line && error.contains(INPUT_NAME) {
        Vec::new()
    } else {
        vec![format!(
            "the error names not line {line} of {INPUT_NAME}: {error}"
        )]
    }
}
