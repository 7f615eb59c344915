//! How long occurrences were active: fleeting ones 瞬时报警, that nobody could act on, and stale ones 长期报警, that nobody
//! acts on. Pure.

use telemetry::Timestamp;
use telemetry::time::Span;

use super::{Happening, Left};
use crate::engine::{EventKind, Tag};

/// One occurrence that was active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// Which rule, as in [`Happening::rule`].
    pub rule: u32,
    /// Which occurrence.
    pub occurrence: u32,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When it was over; none: not by the end of the time that is looked at.
    pub until: Option<Timestamp>,
    /// It was over without a person: nobody had acknowledged it, and no latch held it.
    pub alone: bool,
    /// Over by the time it was found: nobody saw it come and go.
    pub momentary: bool,
    /// Why it does not count.
    pub left: Option<Left>,
}

impl Active {
    /// The occurrence that ends with `happening`; none where none does. What is closed with its rule does not end here: the
    /// log does not say whether it was active then.
    #[must_use]
    pub fn ended(happening: &Happening) -> Option<Self> {
        let latched = match happening.event {
            EventKind::Cleared => false,
            EventKind::Latched => true,
            _ => return None,
        };
        (!happening.flood).then(|| Self {
            rule: happening.rule,
            occurrence: happening.occurrence,
            raised_at: happening.raised_at,
            until: Some(happening.at),
            alone: !happening.acknowledged && !latched,
            momentary: happening.tags.has(Tag::Momentary),
            left: happening.left(),
        })
    }

    /// Whether it came and went within less than `shorter_than` without a person.
    #[must_use]
    pub fn is_fleeting(&self, shorter_than: Span) -> bool {
        let short = |until: Timestamp| until.millis_since(self.raised_at) < shorter_than.millis_i64();
        self.alone && !self.momentary && self.until.is_some_and(short)
    }

    /// From when to when it was stale: active for longer than `longer_than`, `end` being the end of the time that is looked at;
    /// none when it never was.
    #[must_use]
    pub fn stale(&self, longer_than: Span, end: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let from = self.raised_at.plus(longer_than);
        let to = self.until.unwrap_or(end).min(end);
        (to > from).then_some((from, to))
    }
}
