//! How the occurrences of one rule differ between two trials.

use telemetry::Timestamp;

use super::Occurrence;

/// What became of an occurrence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change<'a> {
    /// Raised and cleared at the same times, with the same priority.
    Same(&'a Occurrence, &'a Occurrence),
    /// The same alarm, raised or cleared at another time or with another priority: before and after.
    Moved(&'a Occurrence, &'a Occurrence),
    /// Raised by the new rules only.
    Added(&'a Occurrence),
    /// Raised by the rules before only.
    Removed(&'a Occurrence),
}

/// By how much an occurrence moved, in ms; later is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Shift {
    /// Its raise.
    pub raised_ms: i64,
    /// Its end; none where one of the two had not cleared by the end.
    pub cleared_ms: Option<i64>,
}

impl Shift {
    /// From `before` to `after`.
    #[must_use]
    pub fn between(before: &Occurrence, after: &Occurrence) -> Self {
        let cleared = before.cleared.zip(after.cleared);
        Self {
            raised_ms: after.raised.millis_since(before.raised),
            cleared_ms: cleared.map(|(before, after)| after.millis_since(before)),
        }
    }
}

/// Pairs the occurrences of one rule, both in order. Those that overlap in time are the same alarm; where one overlaps several, the
/// first of them is its pair and the others are added or removed.
#[must_use]
pub fn compare<'a>(before: &'a [Occurrence], after: &'a [Occurrence]) -> Vec<Change<'a>> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let mut changes = Vec::new();
    loop {
        match (before.peek().copied(), after.peek().copied()) {
            (Some(old), Some(new)) if overlap(old, new) => {
                before.next();
                after.next();
                changes.push(if is_same(old, new) {
                    Change::Same(old, new)
                } else {
                    Change::Moved(old, new)
                });
            }
            (Some(old), Some(new)) if ends(old) < ends(new) => {
                before.next();
                changes.push(Change::Removed(old));
            }
            (_, Some(new)) => {
                after.next();
                changes.push(Change::Added(new));
            }
            (Some(old), None) => {
                before.next();
                changes.push(Change::Removed(old));
            }
            (None, None) => return changes,
        }
    }
}

fn ends(occurrence: &Occurrence) -> Timestamp {
    occurrence.cleared.unwrap_or(Timestamp::MAX)
}

/// From the beginning of the condition to the clearing, both ends included.
fn overlap(one: &Occurrence, other: &Occurrence) -> bool {
    one.since <= ends(other) && other.since <= ends(one)
}

fn is_same(before: &Occurrence, after: &Occurrence) -> bool {
    before.raised == after.raised && before.cleared == after.cleared && before.priority == after.priority
}
