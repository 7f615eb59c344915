//! The parts of split HJ 212 packets until they are whole. Each is in the journal already; this is what the decoder
//! remembers of them.

use std::collections::{BTreeMap, VecDeque};

use telemetry::time::Span;
use telemetry::{Lsn, RawMessage};

use crate::decode::hj212::join;

/// Most parts of one packet. More: each is a dead letter.
pub(super) const PARTS_MAX: u16 = 64;
/// Most split packets under way, of all devices. At the bound the oldest is given up: a dead letter.
const OPEN_MAX: usize = 256;
/// Most bytes of all parts that wait. At the bound the oldest packet is given up.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long after its first part a packet may become whole. Then it is given up.
const WAIT: Span = Span::from_secs(600);
/// Whole packets that are remembered, so that a part that is sent again is known as such.
const DONE_MAX: usize = 512;

/// Which packet: device, number of the request, command, and its time where there is no number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) device: usize,
    pub(super) qn: Box<str>,
    pub(super) cn: u16,
}

/// A packet that is not whole.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) key: Key,
    /// Of the part that came first.
    pub(super) lsn: Lsn,
    pub(super) first: RawMessage,
    pub(super) of: u16,
    parts: BTreeMap<u16, Box<str>>,
    bytes: usize,
}

/// What became of a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// The packet is whole: its content.
    Whole(String),
    /// Others are missing.
    Waits,
    /// It had come before.
    Again,
}

#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// In the order of their first parts.
    open: VecDeque<Open>,
    done: VecDeque<Key>,
    bytes: usize,
}

impl Pieces {
    /// Takes part `part` of `of`; call [`Pieces::given_up`] before.
    pub(super) fn add(
        &mut self,
        key: Key,
        (lsn, message): (Lsn, &RawMessage),
        (part, of): (u16, u16),
        cp: &str,
    ) -> Added {
        if self.done.contains(&key) {
            return Added::Again;
        }
        let at = self.open.iter().position(|open| open.key == key && open.of == of);
        let at = at.unwrap_or_else(|| {
            self.open.push_back(Open {
                key,
                lsn,
                first: message.clone(),
                of,
                parts: BTreeMap::new(),
                bytes: 0,
            });
            self.open.len() - 1
        });
        let Some(open) = self.open.get_mut(at) else {
            return Added::Again; // It was found or put there above.
        };
        if open.parts.contains_key(&part) {
            return Added::Again;
        }
        open.parts.insert(part, cp.into());
        open.bytes += cp.len();
        self.bytes += cp.len();
        if open.parts.len() < usize::from(of) {
            return Added::Waits;
        }
        let Some(whole) = self.open.remove(at) else {
            return Added::Waits;
        };
        self.bytes -= whole.bytes;
        let content = join(whole.parts.values().map(AsRef::as_ref));
        if self.done.len() >= DONE_MAX {
            self.done.pop_front();
        }
        self.done.push_back(whole.key);
        Added::Whole(content)
    }

    /// The next packet that has waited too long, seen from the arrival of `message`, or has to make room.
    pub(super) fn given_up(&mut self, message: &RawMessage) -> Option<Open> {
        let oldest = self.open.front()?;
        let waited = message.arrived.millis_since(oldest.first.arrived) > WAIT.millis_i64();
        let full = self.open.len() >= OPEN_MAX || self.bytes > BYTES_MAX;
        if !waited && !full {
            return None;
        }
        let oldest = self.open.pop_front()?;
        self.bytes -= oldest.bytes;
        Some(oldest)
    }
}

impl Open {
    /// The parts that came, for a person.
    pub(super) fn shown(&self) -> String {
        let lines: Vec<String> = self
            .parts
            .iter()
            .map(|(part, cp)| format!("PNO={part};CP=&&{cp}&&"))
            .collect();
        lines.join("\n")
    }

    /// How many parts came.
    pub(super) fn came(&self) -> usize {
        self.parts.len()
    }
}
