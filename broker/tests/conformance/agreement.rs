//! The tables of `docs/mqtt.md` and the tests name the same statements.
//!
//! `TOWNWATCH_WRITE_DOCS=1` lets the test write the names of the tests into the tables instead of comparing them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The numbered statements of a chapter: the highest number, and the numbers that the standard leaves out.
type Chapter = (&'static str, u32, &'static [u32]);

/// Source: MQTT 3.1.1 (OASIS Standard, 29 October 2014), appendix B.
const IN_3_1_1: &[Chapter] = &[
    ("1.5.3", 3, &[]),
    ("2.2.2", 2, &[]),
    ("2.3.1", 7, &[]),
    ("3.1.0", 2, &[]),
    ("3.1.2", 24, &[]),
    ("3.1.3", 11, &[]),
    ("3.1.4", 5, &[]),
    ("3.2.0", 1, &[]),
    ("3.2.2", 6, &[]),
    ("3.3.1", 12, &[]),
    ("3.3.2", 3, &[]),
    ("3.3.4", 1, &[]),
    ("3.3.5", 2, &[]),
    ("3.6.1", 1, &[]),
    ("3.8.1", 1, &[]),
    ("3.8.3", 4, &[]),
    ("3.8.4", 6, &[]),
    ("3.9.3", 2, &[]),
    ("3.10.1", 1, &[]),
    ("3.10.3", 2, &[]),
    ("3.10.4", 6, &[]),
    ("3.12.4", 1, &[]),
    ("3.14.1", 1, &[]),
    ("3.14.4", 3, &[]),
    ("4.1.0", 2, &[]),
    ("4.3.1", 1, &[]),
    ("4.3.2", 2, &[]),
    ("4.3.3", 2, &[]),
    ("4.4.0", 1, &[]),
    ("4.5.0", 2, &[]),
    ("4.6.0", 6, &[]),
    ("4.7.1", 3, &[]),
    ("4.7.2", 1, &[]),
    ("4.7.3", 4, &[]),
    ("4.8.0", 2, &[]),
    ("6.0.0", 4, &[]),
    ("7.0.0", 2, &[]),
    ("7.1.1", 1, &[]),
    ("7.1.2", 1, &[]),
];

/// Source: MQTT 5.0 (OASIS Standard, 7 March 2019), appendix B and §3.3.4.
const IN_5_0: &[Chapter] = &[
    ("1.5.4", 3, &[]),
    ("1.5.5", 1, &[]),
    ("1.5.7", 1, &[]),
    ("2.1.3", 1, &[]),
    ("2.2.1", 6, &[1]),
    ("2.2.2", 1, &[]),
    ("3.1.0", 2, &[]),
    ("3.1.2", 30, &[]),
    ("3.1.3", 12, &[]),
    ("3.1.4", 6, &[]),
    ("3.2.0", 2, &[]),
    ("3.2.2", 22, &[]),
    ("3.3.1", 13, &[]),
    ("3.3.2", 20, &[]),
    ("3.3.4", 10, &[]),
    ("3.4.2", 3, &[]),
    ("3.5.2", 3, &[]),
    ("3.6.1", 1, &[]),
    ("3.6.2", 3, &[]),
    ("3.7.2", 3, &[]),
    ("3.8.1", 1, &[]),
    ("3.8.3", 5, &[]),
    ("3.8.4", 8, &[]),
    ("3.9.2", 2, &[]),
    ("3.9.3", 2, &[]),
    ("3.10.1", 1, &[]),
    ("3.10.3", 2, &[]),
    ("3.10.4", 6, &[]),
    ("3.11.2", 2, &[]),
    ("3.11.3", 2, &[]),
    ("3.12.4", 1, &[]),
    ("3.14.0", 1, &[]),
    ("3.14.1", 1, &[]),
    ("3.14.2", 4, &[]),
    ("3.14.4", 3, &[]),
    ("3.15.1", 1, &[]),
    ("3.15.2", 3, &[]),
    ("4.1.0", 2, &[]),
    ("4.2", 1, &[]),
    ("4.3.1", 1, &[]),
    ("4.3.2", 5, &[]),
    ("4.3.3", 13, &[]),
    ("4.4.0", 2, &[]),
    ("4.5.0", 2, &[]),
    ("4.6.0", 6, &[]),
    ("4.7.0", 1, &[]),
    ("4.7.1", 2, &[]),
    ("4.7.2", 1, &[]),
    ("4.7.3", 4, &[]),
    ("4.8.2", 6, &[]),
    ("4.9.0", 3, &[]),
    ("4.12.0", 7, &[]),
    ("4.12.1", 2, &[]),
    ("4.13.1", 1, &[]),
    ("4.13.2", 1, &[]),
    ("6.0.0", 4, &[]),
];

/// A statement: the version of the standard, the number.
type Statement = (String, String);

fn all_statements() -> BTreeSet<Statement> {
    let of = |version: &'static str, chapters: &'static [Chapter]| {
        chapters.iter().flat_map(move |(chapter, last, left_out)| {
            (1..=*last)
                .filter(|number| !left_out.contains(number))
                .map(move |number| (version.to_owned(), format!("{chapter}-{number}")))
        })
    };
    of("3.1.1", IN_3_1_1).chain(of("5.0", IN_5_0)).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

/// For each statement the tests that hold it, as file and function.
fn held(tests: &Path) -> BTreeMap<Statement, BTreeSet<String>> {
    let mut files = Vec::new();
    rust_files(tests, &mut files);
    let mut held = BTreeMap::<Statement, BTreeSet<String>>::new();
    for file in files {
        let module = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut waiting = Vec::new();
        for line in text.lines() {
            let list = line.trim().strip_prefix("/// Holds ");
            if let Some(list) = list.filter(|list| list.starts_with("3.1.1: ") || list.starts_with("5.0: ")) {
                waiting = statements(list, &file);
            } else if let Some((_, rest)) = line.split_once("fn ")
                && !waiting.is_empty()
            {
                let name = rest.split('(').next().unwrap();
                for statement in waiting.drain(..) {
                    held.entry(statement)
                        .or_default()
                        .insert(format!("{module}::{name}"));
                }
            }
        }
    }
    held
}

/// Reads `3.1.1: 1.5.3-1, 1.5.3-2; 5.0: 1.5.4-1.`
fn statements(list: &str, file: &Path) -> Vec<Statement> {
    let list = list
        .strip_suffix('.')
        .unwrap_or_else(|| panic!("{list} in {file:?} has no end"));
    let of = |part: &str| -> Vec<Statement> {
        let (version, numbers) = part.split_once(": ").expect("a version and its statements");
        let numbers = numbers.split(", ");
        numbers
            .map(|number| (version.trim().to_owned(), number.to_owned()))
            .collect()
    };
    list.split(';').flat_map(of).collect()
}

/// A row of the document's tables.
struct Row {
    line: usize,
    statement: Statement,
    what: String,
    status: String,
    tests: BTreeSet<String>,
}

fn rows(document: &str) -> Vec<Row> {
    let mut version = "";
    let mut rows = Vec::new();
    for (line, text) in document.lines().enumerate() {
        if let Some(title) = text.strip_prefix("## ") {
            version = title.strip_prefix("Statements of MQTT ").unwrap_or("");
        }
        let cells: Vec<&str> = text.split('|').map(str::trim).collect();
        let [_, number, what, status, tests, _] = cells.as_slice() else {
            continue;
        };
        if version.is_empty() || !number.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        let tests = tests.split(", ").filter(|test| !test.is_empty());
        rows.push(Row {
            line,
            statement: (version.to_owned(), (*number).to_owned()),
            what: (*what).to_owned(),
            status: (*status).to_owned(),
            tests: tests.map(|test| test.trim_matches('`').to_owned()).collect(),
        });
    }
    rows
}

fn written(tests: &BTreeSet<String>) -> String {
    let names: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
    names.join(", ")
}

fn write(file: &Path, document: &str, held: &BTreeMap<Statement, BTreeSet<String>>) {
    let mut lines: Vec<String> = document.lines().map(str::to_owned).collect();
    for row in rows(document) {
        let tests = held.get(&row.statement).map(written).unwrap_or_default();
        let (_, number) = row.statement;
        lines[row.line] = format!("| {number} | {} | {} | {tests} |", row.what, row.status);
    }
    std::fs::write(file, lines.join("\n") + "\n").unwrap();
}

#[test]
fn every_statement_of_both_standards_is_listed_and_the_list_says_what_the_tests_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let held = held(&root.join("tests"));
    let file = root.join("../docs/mqtt.md");
    let document = std::fs::read_to_string(&file).unwrap();
    if std::env::var_os("TOWNWATCH_WRITE_DOCS").is_some() {
        return write(&file, &document, &held);
    }
    let mut wrong = String::new();
    let mut left = all_statements();
    for statement in held.keys().filter(|statement| !left.contains(statement)) {
        writeln!(wrong, "a test holds {statement:?}, which is in neither standard").unwrap();
    }
    for row in rows(&document) {
        if !left.remove(&row.statement) {
            writeln!(wrong, "{:?} is listed twice, or is none", row.statement).unwrap();
        }
        let tests = held.get(&row.statement).cloned().unwrap_or_default();
        if tests != row.tests {
            writeln!(wrong, "{:?}: held by {}", row.statement, written(&tests)).unwrap();
        }
        let fits = match row.status.as_str() {
            "held" => !tests.is_empty(),
            other => other.split_once(": ").is_some_and(|(kind, why)| {
                ["client", "not used", "not supported", "by design"].contains(&kind) && !why.is_empty()
            }),
        };
        if !fits {
            writeln!(
                wrong,
                "{:?} is {:?} with tests {tests:?}",
                row.statement, row.status
            )
            .unwrap();
        }
    }
    for statement in left {
        writeln!(wrong, "{statement:?} is not listed").unwrap();
    }
    assert!(wrong.is_empty(), "docs/mqtt.md (see agreement.rs):\n{wrong}");
}
