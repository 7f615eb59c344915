//! How long what may take: the table of deadlines, as dated policy data.

use serde::{Deserialize, Serialize};
use telemetry::profile::Title;
use telemetry::time::Span;

use super::worktime::{Pace, WorkingHours};

/// The table that comes with the program: `alarms/policies/case-deadlines.toml`.
const BUILTIN: (&str, &str) = (
    "case-deadlines.toml",
    include_str!("../../policies/case-deadlines.toml"),
);
/// Most rows of a table.
const ROWS_MAX: usize = 500;
/// Longest amount, in units of its kind.
const AMOUNT_MAX: u32 = 1000;

/// Why a table was refused.
#[derive(Debug, thiserror::Error)]
pub enum DeadlinesError {
    /// Not TOML, an unknown or a missing key, or a value of the wrong type. Mend the named line.
    #[error("table of deadlines {file} cannot be read")]
    Syntax {
        /// Which file.
        file: String,
        /// Line, column and what was expected.
        source: toml::de::Error,
    },
    /// A row that makes no sense.
    #[error("table of deadlines {file}: {what}")]
    Row {
        /// Which file.
        file: String,
        /// Which row, and what is wrong with it.
        what: String,
    },
}

/// How a deadline is counted. Source: `domain.md` §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineKind {
    /// 紧急工作时: hours, day and night.
    UrgentHours,
    /// 工作时: hours of the working day.
    WorkingHours,
    /// 工作日: the working hours of a whole day each, eight with the default windows.
    WorkingDays,
    /// 自然日: 24 hours each, day and night.
    NaturalDays,
}

impl DeadlineKind {
    /// How its clock runs.
    #[must_use]
    pub const fn pace(self) -> Pace {
        match self {
            Self::UrgentHours | Self::NaturalDays => Pace::Continuous,
            Self::WorkingHours | Self::WorkingDays => Pace::Working,
        }
    }
}

/// So much time of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// How it is counted.
    pub kind: DeadlineKind,
    /// How many hours or days, 1 to 1000.
    pub amount: u32,
}

impl Amount {
    /// As a length of time on the clock of its kind.
    #[must_use]
    pub fn span(self, hours: &WorkingHours) -> Span {
        let each = match self.kind {
            DeadlineKind::UrgentHours | DeadlineKind::WorkingHours => Span::from_secs(3600),
            DeadlineKind::WorkingDays => hours.of_a_day(),
            DeadlineKind::NaturalDays => Span::from_secs(86_400),
        };
        Span::from_millis(each.millis().saturating_mul(u64::from(self.amount)))
    }
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Confidence {
    /// The text was seen.
    H,
    /// Often quoted, from memory.
    M,
    /// From memory, verify.
    L,
    /// A choice that the county must confirm.
    #[serde(rename = "assumed")]
    Assumed,
}

/// One row: for which alarms, and how long.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadlineRow {
    /// Name, which a case keeps.
    pub id: Box<str>,
    /// What people call it.
    pub title: Title,
    /// Codes of rules. One `*` at an end stands for the rest.
    pub rules: Vec<Box<str>>,
    /// From filing to 处置反馈.
    pub handle: Amount,
    /// Where it comes from.
    pub source: String,
    /// How sure it is.
    pub confidence: Confidence,
}

/// The table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadlines {
    /// Name, e.g. `case-deadlines`.
    pub id: Box<str>,
    /// Grows with each change.
    pub version: u32,
    /// First civil day on which it rules.
    pub effective_from: jiff::civil::Date,
    /// When people work on a day that is worked on.
    pub working_hours: WorkingHours,
    /// From the deadline of the work to that of the whole case: 核查 and 结案.
    pub verify_within: Amount,
    /// The rows; the first that fits counts, and the last fits everything.
    #[serde(rename = "deadline")]
    pub rows: Vec<DeadlineRow>,
}

impl Deadlines {
    /// The table that comes with the program.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn builtin() -> Result<Self, DeadlinesError> {
        Self::parse(BUILTIN.0, BUILTIN.1)
    }

    /// Reads a table; `file` is its name in errors.
    ///
    /// # Errors
    /// [`DeadlinesError`] when it cannot be read, or a row makes no sense.
    pub fn parse(file: &str, text: &str) -> Result<Self, DeadlinesError> {
        let table: Self = toml::from_str(text).map_err(|source| DeadlinesError::Syntax {
            file: file.to_owned(),
            source,
        })?;
        match table.nonsense() {
            None => Ok(table),
            Some(what) => Err(DeadlinesError::Row {
                file: file.to_owned(),
                what,
            }),
        }
    }

    /// The row for alarms of a rule, by its code: `COVER-OPEN`, `tilt.fault` or `clock`; for a case without an alarm
    /// the last row. None only for a table that was not [`Self::parse`]d.
    #[must_use]
    pub fn row(&self, code: Option<&str>) -> Option<&DeadlineRow> {
        let fits = |row: &&DeadlineRow| {
            let mut rules = row.rules.iter();
            rules.any(|pattern| code.is_some_and(|code| matches(pattern, code)))
        };
        self.rows.iter().find(fits).or_else(|| self.rows.last())
    }

    /// The row of that name.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<&DeadlineRow> {
        self.rows.iter().find(|row| &*row.id == id)
    }

    fn nonsense(&self) -> Option<String> {
        let everything = |row: &DeadlineRow| row.rules.iter().any(|rule| &**rule == "*");
        if self.rows.len() > ROWS_MAX || !self.rows.last().is_some_and(everything) {
            return Some(format!(
                "{} rows; 1 to {ROWS_MAX} are allowed, and the last has the rule \"*\"",
                self.rows.len()
            ));
        }
        let amounts = self.rows.iter().map(|row| (&*row.id, row.handle));
        for (id, Amount { amount, .. }) in amounts.chain([("verify_within", self.verify_within)]) {
            if !(1..=AMOUNT_MAX).contains(&amount) {
                return Some(format!("{id}: {amount}; 1 to {AMOUNT_MAX} is allowed"));
            }
        }
        for (place, row) in self.rows.iter().enumerate() {
            let earlier = self.rows.get(..place).unwrap_or_default();
            if row.id.is_empty() || earlier.iter().any(|other| other.id == row.id) {
                return Some(format!("the name {:?} is empty or stands there twice", row.id));
            }
            let wrong = |rule: &str| rule.is_empty() || rule.trim_matches('*').contains('*');
            if let Some(rule) = row.rules.iter().find(|rule| wrong(rule)) {
                return Some(format!("{}: rule {rule:?}; one * at an end is allowed", row.id));
            }
        }
        None
    }
}

fn matches(pattern: &str, code: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(head), _) => code.starts_with(head),
        (None, Some(tail)) => code.ends_with(tail),
        (None, None) => pattern == code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_finds_its_row_and_what_fits_nowhere_the_last() {
        // Source of the amounts: `domain.md` §5.
        let table = Deadlines::builtin().unwrap();
        for (code, kind, amount) in [
            (Some("COVER-OPEN"), DeadlineKind::NaturalDays, 1),
            (Some("LAMP-OUT"), DeadlineKind::NaturalDays, 1),
            (Some("LOOP-LEAKAGE-3"), DeadlineKind::UrgentHours, 2),
            (Some("SW-PUMP-FAULT-1"), DeadlineKind::NaturalDays, 3),
            (Some("GAS-L2-03"), DeadlineKind::UrgentHours, 1),
            (Some("gas_01.fault"), DeadlineKind::WorkingDays, 1),
            (Some("clock"), DeadlineKind::WorkingDays, 3),
            (None, DeadlineKind::WorkingDays, 3),
        ] {
            let row = table.row(code).unwrap();
            assert_eq!(row.handle, Amount { kind, amount }, "{code:?}: {}", row.id);
        }
    }

    #[test]
    fn every_rule_of_the_built_in_profiles_but_those_of_the_server_has_a_row_of_its_own() {
        let table = Deadlines::builtin().unwrap();
        let last = &table.rows.last().unwrap().id;
        for profile in telemetry::profile::builtin().unwrap().values() {
            for rule in profile.rules.iter().filter(|rule| !rule.id.starts_with("SRV-")) {
                assert_ne!(&table.row(Some(&rule.id)).unwrap().id, last, "{}", rule.id);
            }
        }
    }

    #[test]
    fn a_table_that_makes_no_sense_is_refused_by_row() {
        let table = |rules: &str, amount: u32| {
            format!(
                "id = \"x\"\nversion = 1\neffective_from = \"2026-01-01\"\nworking_hours = [\"08:00-12:00\"]\n\
                 verify_within = {{ kind = \"working_days\", amount = 1 }}\n[[deadline]]\nid = \"a\"\n\
                 title = {{ zh = \"甲\", en = \"a\" }}\nrules = [{rules}]\n\
                 handle = {{ kind = \"urgent_hours\", amount = {amount} }}\nsource = \"s\"\nconfidence = \"M\"\n"
            )
        };
        assert!(Deadlines::parse("f", &table("\"*\"", 1)).is_ok());
        for (text, why) in [
            (table("\"A\"", 1), "the last has the rule"),
            (table("\"*\"", 0), "a: 0"),
            (table("\"*\", \"A*B\"", 1), "A*B"),
        ] {
            let error = Deadlines::parse("f", &text).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
