//! The county's own rules: the file that `alarms.rules` names, tried on every day on which something in it begins or ends.

use std::path::Path;

use alarms::AlarmSettings;
use alarms::rules::{self, RuleBook};
use jiff::tz::TimeZone;
use telemetry::{Catalogue, Timestamp};

use super::{Finding, read_named, whole};
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
    let book = RuleBook::parse(&path.display().to_string(), &text).map_err(|error| {
        vec![Finding {
            line: Some(error.line),
            column: Some(1),
            ..whole(&path, error.why, "docs/rules.md shows the form")
        }]
    })?;
    trial(catalogue, book, settings, &path)
}

/// The book, when rules come of it on each of its days.
fn trial(
    catalogue: &Catalogue,
    book: RuleBook,
    settings: &AlarmSettings,
    path: &Path,
) -> Result<RuleBook, Vec<Finding>> {
    let zone = TimeZone::get(&catalogue.registry().county.zone).unwrap_or(TimeZone::UTC);
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
