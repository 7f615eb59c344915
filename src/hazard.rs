//! `townwatch hazard`: GB 18218 without a server.

use std::io::Write;
use std::process::ExitCode;

use alarms::hazard::{self, Language};

use crate::arguments::Hazard;
use crate::exit::Failure;

/// Computes the units of a file and prints them.
pub(crate) fn run(options: &Hazard) -> Result<ExitCode, Failure> {
    let shown = options.file.display().to_string();
    let text = std::fs::read_to_string(&options.file)
        .map_err(|error| Failure::Input(format!("{shown} cannot be read: {error}")))?;
    let units = hazard::run(&shown, &text).map_err(|error| Failure::Input(error.to_string()))?;
    let answer = if options.json {
        hazard::json(&units)
    } else {
        hazard::text(&units, language())
    };
    writeln!(std::io::stdout(), "{}", answer.trim_end())
        .map_err(|error| Failure::other("cannot write to standard output", error))?;
    Ok(ExitCode::SUCCESS)
}

/// Chinese where the environment asks for it, else English.
pub(crate) fn language() -> Language {
    let asked = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    if asked.is_some_and(|value| value.starts_with("zh")) {
        Language::Chinese
    } else {
        Language::English
    }
}
