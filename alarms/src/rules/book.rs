//! The county's own rules beside those of its profiles: a TOML file of overrides by site and device, groups of points, and rules
//! over several points, each with the days on which it holds.
//!
//! This file reads it; `overrides.rs` applies it to the rules of a profile, `several.rs` makes the rules over several points.

mod overrides;
mod several;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use telemetry::Timestamp;
use telemetry::profile::{Active, Priority, Title};
use telemetry::time::Span;
use toml::Spanned;

pub(super) use overrides::{Overrides, Settled};
pub(super) use several::rules_of_several;

/// Most entries of each kind. More: refused.
pub const ENTRIES_MAX: usize = 10_000;
/// A life-safety rule is weakened only with so many different names.
const APPROVALS_NEEDED: usize = 2;

/// The county's own rules. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleBook {
    /// Which file, for messages.
    file: Box<str>,
    /// What the county calls this version, e.g. `2026-12`.
    version: Box<str>,
    overrides: Vec<(usize, Override)>,
    groups: Vec<(usize, Group)>,
    rules: Vec<(usize, Several)>,
}

/// The form of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    version: Box<str>,
    #[serde(default, rename = "override")]
    overrides: Vec<Spanned<Override>>,
    #[serde(default, rename = "group")]
    groups: Vec<Spanned<Group>>,
    #[serde(default, rename = "rule")]
    rules: Vec<Spanned<Several>>,
}

/// One `[[override]]`: what differs from a profile's rule, where, and from when until when.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Override {
    /// Id of a rule of a profile; with `*` at its end, all that begin so.
    rule: Box<str>,
    /// Only devices of this profile.
    profile: Option<Box<str>>,
    organisation: Option<Box<str>>,
    site: Option<Box<str>>,
    device: Option<Box<str>>,
    from: Option<Box<str>>,
    until: Option<Box<str>>,
    reason: Box<str>,
    approved_by: Vec<Box<str>>,
    enabled: Option<bool>,
    limit: Option<f64>,
    deadband: Option<f64>,
    on_delay: Option<Span>,
    off_delay: Option<Span>,
    priority: Option<Priority>,
    latching: Option<bool>,
    re_alarm: Option<Span>,
    schedule: Option<Box<str>>,
    active: Option<Active>,
    after: Option<Span>,
    per: Option<Span>,
    window: Option<Span>,
}

/// One `[[group]]`: points that vote or belong together.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    id: Box<str>,
    title: Title,
    /// `DEVICE/SIGNAL`; a `*` at the end stands for every signal that begins so.
    members: Vec<Box<str>>,
}

/// What a rule over several points compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Vote,
    Cel,
    Deviation,
}

/// One `[[rule]]`: a rule over points of several devices.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Several {
    id: Box<str>,
    title: Title,
    kind: Kind,
    /// With which device it is shown. Default: that of the first point.
    device: Option<Box<str>>,
    group: Option<Box<str>>,
    votes: Option<usize>,
    limit: Option<f64>,
    #[serde(default)]
    deadband: f64,
    expression: Option<Box<str>>,
    #[serde(default)]
    points: BTreeMap<Box<str>, Box<str>>,
    point: Option<Box<str>>,
    other: Option<Box<str>>,
    #[serde(default)]
    on_delay: Span,
    #[serde(default)]
    off_delay: Span,
    priority: Option<Priority>,
    #[serde(default)]
    latching: bool,
    re_alarm: Option<Span>,
    schedule: Option<Box<str>>,
    #[serde(default)]
    active: Active,
    from: Option<Box<str>>,
    until: Option<Box<str>>,
}

/// A rule book that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct BookError {
    /// Which file.
    pub file: Box<str>,
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub why: String,
}

impl RuleBook {
    /// Reads the text of a file; `file` is its name, for messages. Whether its names exist is found out by
    /// [`super::compile()`].
    ///
    /// # Errors
    /// [`BookError`] with the line.
    pub fn parse(file: &str, text: &str) -> Result<Self, BookError> {
        let refused = |start: usize, why: String| BookError {
            file: file.into(),
            line: line_of(text, start),
            why,
        };
        let form: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            refused(start, error.message().trim().to_owned())
        })?;
        let mut book = Self {
            file: file.into(),
            version: form.version,
            ..Self::default()
        };
        for (what, count) in [
            ("override", form.overrides.len()),
            ("group", form.groups.len()),
            ("rule", form.rules.len()),
        ] {
            if count > ENTRIES_MAX {
                let why = format!("{count} entries of [[{what}]]; at most {ENTRIES_MAX} are allowed");
                return Err(refused(0, why));
            }
        }
        for entry in form.overrides {
            let start = entry.span().start;
            let found = entry.into_inner();
            found
                .nonsense()
                .map_err(|why| refused(start, format!("[[override]] {}: {why}", found.rule)))?;
            book.overrides.push((line_of(text, start), found));
        }
        for entry in form.groups {
            let line = line_of(text, entry.span().start);
            book.groups.push((line, entry.into_inner()));
        }
        for entry in form.rules {
            let start = entry.span().start;
            let found = entry.into_inner();
            days(found.from.as_deref(), found.until.as_deref())
                .map_err(|why| refused(start, format!("[[rule]] {}: {why}", found.id)))?;
            book.rules.push((line_of(text, start), found));
        }
        Ok(book)
    }

    /// What the county calls this version; empty without a book.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The next instant after `at` from which something else holds; none when nothing will change by its date.
    #[must_use]
    pub fn next_change(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        self.changes(zone).into_iter().find(|change| *change > at)
    }

    /// Every instant at which something begins or ends to hold, in order.
    #[must_use]
    pub fn changes(&self, zone: &TimeZone) -> Vec<Timestamp> {
        let of_overrides = self
            .overrides
            .iter()
            .map(|(_, entry)| (&entry.from, &entry.until));
        let of_rules = self.rules.iter().map(|(_, entry)| (&entry.from, &entry.until));
        let mut changes: Vec<Timestamp> = of_overrides
            .chain(of_rules)
            .flat_map(|(from, until)| [from, until])
            .filter_map(|day| midnight(day.as_deref()?.parse().ok()?, zone))
            .collect();
        changes.sort_unstable();
        changes.dedup();
        changes
    }

    /// A refusal of the entry that begins on `line`.
    fn refusal(&self, line: usize, why: impl Into<String>) -> super::RuleError {
        super::RuleError {
            place: format!("{}:{line}", self.file).into(),
            line: Some(line),
            why: why.into(),
        }
    }
}

fn line_of(text: &str, start: usize) -> usize {
    text.get(..start).unwrap_or_default().matches('\n').count() + 1
}

/// The days of an entry, as they are written.
fn days(from: Option<&str>, until: Option<&str>) -> Result<(Option<Date>, Option<Date>), String> {
    let day = |key: &str, text: Option<&str>| match text {
        None => Ok(None),
        Some(text) => text
            .parse::<Date>()
            .map(Some)
            .map_err(|_| format!("{key} = {text:?} is no day; YYYY-MM-DD is expected")),
    };
    let (from, until) = (day("from", from)?, day("until", until)?);
    match (from, until) {
        (Some(first), Some(end)) if end <= first => Err(format!(
            "until = {end} is not after from = {first}; it holds until before that day begins"
        )),
        found => Ok(found),
    }
}

/// The first instant of a civil day.
fn midnight(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    let begun = zone
        .to_ambiguous_timestamp(day.at(0, 0, 0, 0))
        .compatible()
        .ok()?;
    Some(Timestamp::from_millis(begun.as_millisecond()))
}

/// Whether an entry with these days holds at `at`; the days have been read before.
fn holds(from: Option<&str>, until: Option<&str>, at: Timestamp, zone: &TimeZone) -> bool {
    let instant = |day: Option<&str>| midnight(day?.parse().ok()?, zone);
    instant(from).is_none_or(|from| from <= at) && instant(until).is_none_or(|until| at < until)
}
