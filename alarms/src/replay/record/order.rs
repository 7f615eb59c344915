//! Lines in order of their time. The journal is in order of its commits, which differs a little from that of the arrivals.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Map, Value, json};
use store::state::alarms::AlarmStart;
use telemetry::Timestamp;
use telemetry::time::Span;

use crate::replay::line::seconds;

/// A message is in the journal within this time of its arrival, or its sender has long given up. Lines of so long are held
/// in memory.
const SETTLED_AFTER: Span = Span::from_secs(60);

/// What a line is. At one instant they come in this order, as the engine takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Start,
    Heard,
    Sample,
    Act,
}

/// Lines that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    waiting: BTreeMap<(Timestamp, Kind, u64), Map<String, Value>>,
    count: u64,
    /// How far the server had come before each of its starts.
    lived: BTreeMap<Timestamp, Timestamp>,
    /// The newest message.
    newest: Option<Timestamp>,
    /// The last line that was written.
    written: Option<Timestamp>,
}

impl InOrder {
    pub(super) fn push(&mut self, at: Timestamp, kind: Kind, line: Map<String, Value>) {
        self.count += 1;
        self.waiting.insert((at, kind, self.count), line);
        if matches!(kind, Kind::Heard | Kind::Sample) {
            self.newest = self.newest.max(Some(at));
        }
    }

    pub(super) fn start(&mut self, start: AlarmStart) {
        self.lived.extend(start.lived.map(|lived| (start.at, lived)));
        self.push(start.at, Kind::Start, Map::new());
    }

    /// Writes what is old enough; how many lines had to be moved.
    pub(super) fn write_settled(&mut self, out: &mut impl Write) -> std::io::Result<u64> {
        let Some(newest) = self.newest else { return Ok(0) };
        self.write_before(newest.minus(SETTLED_AFTER), out)
    }

    /// Writes all; how many lines had to be moved.
    pub(super) fn write_all(&mut self, out: &mut impl Write) -> std::io::Result<u64> {
        self.write_before(Timestamp::MAX, out)
    }

    fn write_before(&mut self, end: Timestamp, out: &mut impl Write) -> std::io::Result<u64> {
        let mut moved = 0;
        while let Some(entry) = self.waiting.first_entry() {
            let (at, kind, _) = *entry.key();
            if at >= end {
                break;
            }
            let body = entry.remove();
            let before = self.written;
            moved += u64::from(before.is_some_and(|before| before > at));
            let at = before.map_or(at, |before| before.max(at));
            self.written = Some(at);
            // It died after the last message, and not before it had done what fell due at the last instant that it saw.
            let lived = self.lived.get(&at).copied().filter(|lived| *lived <= at);
            let lived = lived.map(|lived| lived.plus(Span::from_millis(1)).min(at));
            let died = before.map(|before| lived.map_or(before, |lived| lived.max(before)));
            writeln!(out, "{}", line(at, kind, body, died))?;
        }
        Ok(moved)
    }
}

/// A start is the beginning of the file, or the end of a restart that began when the server died.
fn line(at: Timestamp, kind: Kind, body: Map<String, Value>, died: Option<Timestamp>) -> Value {
    let mut line = Map::new();
    match (kind, died) {
        (Kind::Start, None) => {
            line.insert("at".to_owned(), seconds(at));
            line.insert("clock".to_owned(), json!(true));
        }
        (Kind::Start, Some(died)) => {
            let down_for = Timestamp::from_millis(at.millis_since(died));
            line.insert("at".to_owned(), seconds(died));
            line.insert("restart".to_owned(), json!({ "down_for": seconds(down_for) }));
        }
        (Kind::Heard | Kind::Sample | Kind::Act, _) => {
            line.insert("at".to_owned(), seconds(at));
            line.extend(body);
        }
    }
    Value::Object(line)
}
