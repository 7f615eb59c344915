//! What a case learns from the log of the alarms. Pure: a row and a case in, a note out.

use serde_json::Value;
use store::state::alarms::LogRow;
use telemetry::Timestamp;

use super::case::{Case, CaseAlarm, NOTES_MAX};

/// Name under which the program itself acts on cases.
pub const SELF: &str = "townwatch";

/// A row of the log of the alarms, as far as cases look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) rule: Box<str>,
    pub(super) occurrence: u32,
    pub(super) kind: Kind,
    pub(super) at: Timestamp,
    /// Who, for what a person did.
    pub(super) by: Option<Box<str>>,
    /// What they said.
    pub(super) remark: Box<str>,
    /// Whether the cause stands after it.
    pub(super) active: bool,
    /// Of history or of a test: nobody was told.
    pub(super) quiet: bool,
}

/// What happened to the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Raised,
    Cleared,
    Acknowledged,
    /// Its rule is gone.
    Gone,
    /// What is no news of its own, but may say whether the cause stands.
    Other,
}

impl Kind {
    /// The name among the events of a case; none for what is not noted.
    const fn note(self) -> Option<&'static str> {
        match self {
            Self::Raised => Some("alarm_raised"),
            Self::Cleared => Some("alarm_cleared"),
            Self::Acknowledged => Some("alarm_acknowledged"),
            Self::Gone => Some("alarm_gone"),
            Self::Other => None,
        }
    }
}

impl News {
    pub(super) fn of(row: &LogRow) -> Self {
        let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
        let kind = match &*row.event {
            "raised" => Kind::Raised,
            "cleared" => Kind::Cleared,
            "acknowledged" => Kind::Acknowledged,
            "closed" => Kind::Gone,
            _ => Kind::Other,
        };
        let state = body.get("state").and_then(Value::as_str).unwrap_or_default();
        // A latch holds the alarm, not its cause.
        let over = matches!(
            state,
            "normal" | "returned_unacknowledged" | "latched_unacknowledged" | "latched_acknowledged"
        );
        let tags = body.get("tags").and_then(Value::as_array);
        let quiet = |tag: &Value| matches!(tag.as_str(), Some("historical" | "test"));
        Self {
            rule: row.rule.clone(),
            occurrence: row.occurrence,
            kind,
            at: row.at,
            by: row.by.clone(),
            remark: row.remark.clone().unwrap_or_default(),
            // A state that this program does not know counts as standing: no case is closed on a misunderstanding.
            active: !(over || matches!(kind, Kind::Cleared | Kind::Gone)),
            quiet: tags.is_some_and(|tags| tags.iter().any(quiet)),
        }
    }

    /// What a case takes in of an alarm that it was not about before.
    pub(super) fn alarm(&self) -> CaseAlarm {
        CaseAlarm {
            rule: self.rule.clone(),
            occurrence: self.occurrence,
            occurrences: 1,
            active: self.active,
            returned_at: (!self.active).then_some(self.at),
            acknowledged: false,
            gone: self.kind == Kind::Gone,
        }
    }

    /// Takes the news into `case`, which is about its rule already. The name of the note that belongs among the
    /// events of the case; none when there is nothing to note, or there are [`NOTES_MAX`] of them.
    pub(super) fn take_into(&self, case: &mut Case) -> Option<&'static str> {
        let alarm = case.alarms.iter_mut().find(|alarm| alarm.rule == self.rule)?;
        if self.kind == Kind::Raised && self.occurrence > alarm.occurrence {
            alarm.occurrences = alarm.occurrences.saturating_add(1);
            alarm.occurrence = self.occurrence;
            alarm.acknowledged = false;
        }
        if alarm.active != self.active {
            alarm.active = self.active;
            alarm.returned_at = (!self.active).then_some(self.at);
        }
        alarm.acknowledged |= self.kind == Kind::Acknowledged;
        alarm.gone = self.kind == Kind::Gone;
        let note = self.kind.note()?;
        if case.notes >= NOTES_MAX {
            return None;
        }
        case.notes += 1;
        Some(note)
    }
}

/// The code of a rule without its device: `COVER-OPEN` of `cv-1/COVER-OPEN`, `clock` of `g-1.clock`.
#[must_use]
pub(super) fn code(rule: &str) -> &str {
    match rule.split_once('/') {
        Some((_, code)) => code,
        None => rule.rsplit_once('.').map_or(rule, |(_, code)| code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(event: &str, state: &str, tags: &str) -> News {
        News::of(&LogRow {
            seq: 1,
            at: Timestamp::from_millis(5),
            event: event.into(),
            rule: "a/HI".into(),
            occurrence: 1,
            by: None,
            remark: None,
            body: format!("{{\"state\":\"{state}\",\"tags\":[{tags}]}}"),
        })
    }

    #[test]
    fn a_row_says_whether_the_cause_stands_and_a_strange_state_counts_as_standing() {
        for (event, state, active) in [
            ("raised", "unacknowledged", true),
            ("raised", "returned_unacknowledged", false), // over by the time it was found
            ("acknowledged", "acknowledged", true),
            ("acknowledged", "normal", false),
            ("cleared", "normal", false),
            ("closed", "unacknowledged", false),
            ("stale", "acknowledged", true),
            ("shelved", "something_new", true),
        ] {
            assert_eq!(row(event, state, "").active, active, "{event}, {state}");
        }
        assert!(row("raised", "unacknowledged", "\"late\",\"historical\"").quiet);
        assert!(!row("raised", "unacknowledged", "\"late\"").quiet);
    }

    #[test]
    fn the_code_of_a_rule_stands_behind_its_device() {
        for (rule, wanted) in [
            ("cv-1/COVER-OPEN", "COVER-OPEN"),
            ("p-1/gas_01.fault", "gas_01.fault"),
            ("g-1.clock", "clock"),
        ] {
            assert_eq!(code(rule), wanted);
        }
    }
}
