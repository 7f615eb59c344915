//! The county's own rules: the file that `alarms.rules` names, tried on every day on which something in it begins or ends.

use std::path::Path;

use alarms::AlarmSettings;
use alarms::rules::{self, RuleBook};
use telemetry::{Catalogue, Profile, Timestamp};

use super::{Finding, read_named, read_profile, whole};
use crate::config::beside;

/// The book of the configuration in `file`; without one, one that changes nothing.
pub(super) fn read(
    file: &Path,
    settings: &AlarmSettings,
    catalogue: &Catalogue,
) -> Result<RuleBook, Vec<Finding>> {
    let Some(named) = &settings.rules else {
        return trial(catalogue, RuleBook::default(), settings, file);
    };
    let path = beside(file, named);
    let text = read_named(&path).map_err(|finding| vec![finding])?;
    let book = parse(&path, &text).map_err(|finding| vec![finding])?;
    trial(catalogue, book, settings, &path)
}

fn parse(path: &Path, text: &str) -> Result<RuleBook, Finding> {
    RuleBook::parse(&path.display().to_string(), text).map_err(|error| Finding {
        line: Some(error.line),
        column: Some(1),
        ..whole(path, error.why, "docs/rules.md shows the form")
    })
}

/// Rules that are tried before they are in force.
#[derive(Debug, Default)]
pub(crate) struct NewRules {
    /// They take the place of those of their kinds.
    pub profiles: Vec<Profile>,
    /// It takes the place of the one in force.
    pub book: Option<RuleBook>,
}

/// Reads the file in `path`, or every one (`*.toml`) in that folder, in order of their names: what has a `kind` is a profile, anything
/// else the county's own rules.
///
/// # Errors
/// All that is wrong with them, at least one finding.
pub(crate) fn new_rules(path: &Path) -> Result<NewRules, Vec<Finding>> {
    let unread = |path: &Path, error: std::io::Error| {
        whole(
            path,
            format!("cannot be read: {error}"),
            "mend the path of --rules",
        )
    };
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| vec![unread(path, error)])?;
        files = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
        files.sort_unstable();
    }
    let (mut new, mut findings) = (NewRules::default(), Vec::new());
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|error| unread(file, error));
        if let Err(finding) = text.and_then(|text| new.take(file, &text)) {
            findings.push(finding);
        }
    }
    if new.profiles.is_empty() && new.book.is_none() && findings.is_empty() {
        let what = "holds no profile and no rules of the county (*.toml)";
        findings.push(whole(path, what, "mend the path of --rules"));
    }
    if findings.is_empty() {
        Ok(new)
    } else {
        Err(findings)
    }
}

impl NewRules {
    fn take(&mut self, file: &Path, text: &str) -> Result<(), Finding> {
        // What is no TOML at all is told as a profile is.
        let is_book = text
            .parse::<toml::Table>()
            .is_ok_and(|table| !table.contains_key("kind"));
        if is_book {
            if self.book.is_some() {
                let what = "is a second file with rules of the county";
                return Err(whole(file, what, "take one of them out"));
            }
            self.book = Some(parse(file, text)?);
            return Ok(());
        }
        let profile = read_profile(file, text)?;
        if self.profiles.iter().any(|known| known.kind == profile.kind) {
            let what = format!("the kind {} stands in two files", profile.kind);
            return Err(whole(file, what, "take one of them out"));
        }
        self.profiles.push(profile);
        Ok(())
    }
}

/// The book, when rules come of it on each of its days.
fn trial(
    catalogue: &Catalogue,
    book: RuleBook,
    settings: &AlarmSettings,
    path: &Path,
) -> Result<RuleBook, Vec<Finding>> {
    let zone = rules::zone_of(catalogue);
    let days = std::iter::once(Timestamp::EPOCH).chain(book.changes(&zone));
    let mut found: Vec<Finding> = Vec::new();
    for day in days {
        if let Err(error) = rules::compile(catalogue, &book, day, settings.fault_off_delay) {
            let finding = match error.line {
                Some(line) => Finding {
                    line: Some(line),
                    column: Some(1),
                    ..whole(path, error.why, "docs/rules.md shows the form")
                },
                None => whole(path, error.to_string(), "mend the named rule"),
            };
            if !found.contains(&finding) {
                found.push(finding);
            }
        }
    }
    if found.is_empty() { Ok(book) } else { Err(found) }
}
