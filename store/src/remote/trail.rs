//! How far behind its acknowledgements the durable cursor stays. Pure.
//!
//! An engine that acknowledges from memory loses, when it dies, what it took last. So the cursor that a restart goes on
//! from is not the last acknowledged message, but the last that was acknowledged a whole replay window ago.

use std::collections::VecDeque;

use telemetry::Lsn;
use telemetry::time::Span;

/// Acknowledgements that are remembered for a window; closer ones are taken together.
const MARKS_MAX: u64 = 600;

/// The cursor of one engine.
#[derive(Debug)]
pub(super) struct Trail {
    window: Span,
    durable: Lsn,
    /// The last acknowledged message.
    sent: Lsn,
    /// Until when messages were acknowledged, on the clock, and the last of them. The oldest first.
    marks: VecDeque<(Span, Lsn)>,
}

impl Trail {
    /// Goes on from `durable`.
    pub(super) fn new(window: Span, durable: Lsn) -> Self {
        Self {
            window,
            durable,
            sent: durable,
            marks: VecDeque::new(),
        }
    }

    /// The messages up to `upto` were acknowledged at `now`.
    pub(super) fn acknowledged(&mut self, now: Span, upto: Lsn) {
        self.sent = self.sent.max(upto);
        if self.window == Span::ZERO {
            self.durable = self.sent;
            return;
        }
        match self.marks.back_mut() {
            Some((until, lsn)) if now <= *until => *lsn = self.sent,
            _ => {
                let apart = self.window.millis() / MARKS_MAX;
                let until = Span::from_millis(now.millis().saturating_add(apart));
                self.marks.push_back((until, self.sent));
            }
        }
    }

    /// What may be forgotten at `now`.
    pub(super) fn durable(&mut self, now: Span) -> Lsn {
        while let Some((until, lsn)) = self.marks.front() {
            if now.millis() < until.millis().saturating_add(self.window.millis()) {
                break;
            }
            self.durable = self.durable.max(*lsn);
            self.marks.pop_front();
        }
        self.durable
    }

    /// The last acknowledged message.
    pub(super) fn sent(&self) -> Lsn {
        self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_window_the_cursor_is_what_was_acknowledged() {
        let mut trail = Trail::new(Span::ZERO, Lsn(5));
        trail.acknowledged(Span::from_secs(1), Lsn(9));
        assert_eq!(
            (trail.durable(Span::from_secs(1)), trail.sent()),
            (Lsn(9), Lsn(9))
        );
    }

    #[test]
    fn with_a_window_it_trails_by_at_least_that_and_hardly_more() {
        // Given a window of 10 min and an acknowledgement every 100 ms of a message each,
        let window = Span::from_secs(600);
        let mut trail = Trail::new(window, Lsn(0));
        for tenth in 1..=20_000u64 {
            let now = Span::from_millis(tenth * 100);
            trail.acknowledged(now, Lsn(tenth));
            // then what may be forgotten is 10 min old, and at most two seconds older than that,
            let durable = trail.durable(now).0;
            assert!(durable <= tenth.saturating_sub(6000), "{tenth}: {durable}");
            assert!(durable + 20 >= tenth.saturating_sub(6000), "{tenth}: {durable}");
            // and the marks have a bound.
            assert!(trail.marks.len() <= 602);
        }
        // When nothing more comes, the cursor catches up.
        assert_eq!(trail.durable(Span::from_millis(2_000_000 + 602_000)), Lsn(20_000));
    }
}
