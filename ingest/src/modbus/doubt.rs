//! Which late answer of a unit may still come, over RTU, where an answer does not say what it answers. Pure.
//!
//! Two answers of one unit with the same function and length cannot be told apart. So after a failed read only
//! that very read is asked again: whatever comes is its answer, be it late. When one has come, the unit is left
//! alone until the answers that are owed besides would have come, too, and only then asked for anything else.
//! Its neighbours are not held up: an answer says whose it is.

use std::time::Duration;

use tokio::time::Instant;

use super::plan::Block;

/// How often a read is asked again, when nothing at all is heard, before its answer is held to be lost.
const TRIES_MAX: u8 = 2;
/// Answers that are waited for at most.
const OWED_MAX: u8 = 3;
/// An answer that is later than so many time-outs is not reckoned with.
const LATEST: u32 = 3;
/// Nor one that is so many times later than the latest that may have been seen.
const LATER: u32 = 2;
/// So many time-outs after the last failure nothing is owed any more.
const FORGET: u32 = 10;

/// What may still come from a unit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubt {
    suspect: Option<Suspect>,
    hold_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    block: Block,
    tries: u8,
    owed: u8,
    /// When the first of the questions was asked whose answers are owed.
    since: Instant,
    /// When the last of them failed.
    at: Instant,
}

impl Doubt {
    /// The only read that may be asked; `None` when all may.
    pub(super) fn only(&self) -> Option<Block> {
        self.suspect.map(|suspect| suspect.block)
    }

    /// How long the unit must be left alone from `now` on.
    pub(super) fn hold(&self, now: Instant) -> Duration {
        self.hold_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// A read failed after `patience`.
    pub(super) fn failed(&mut self, block: Block, now: Instant, patience: Duration) {
        self.hold_until = Some(now + patience);
        let fresh = |at: Instant| now.saturating_duration_since(at) < patience * FORGET;
        let asked = now.checked_sub(patience).unwrap_or(now);
        let (tries, owed, since) = match self.suspect {
            Some(known) if known.block == block && fresh(known.at) => {
                (known.tries + 1, (known.owed + 1).min(OWED_MAX), known.since)
            }
            Some(known) if known.block == block => (known.tries + 1, 1, asked),
            _ => (0, 1, asked),
        };
        self.suspect = (tries <= TRIES_MAX).then_some(Suspect {
            block,
            tries,
            owed,
            since,
            at: now,
        });
    }

    /// Bytes came that nobody asked for: something is still on its way.
    pub(super) fn heard(&mut self) {
        if let Some(suspect) = &mut self.suspect {
            suspect.tries = 0;
        }
    }

    /// A read was answered. Whether other reads of the unit may be asked at once; else it is held.
    pub(super) fn answered(&mut self, block: Block, now: Instant, patience: Duration) -> bool {
        let Some(suspect) = self.suspect.filter(|suspect| suspect.block == block) else {
            return true;
        };
        self.suspect = None;
        let owed = now.saturating_duration_since(suspect.at) < patience * FORGET;
        if owed {
            let seen = now
                .saturating_duration_since(suspect.since)
                .min(patience * FORGET);
            let latest = patience * LATEST * u32::from(suspect.owed);
            self.hold_until = Some(now + latest.max(seen * LATER));
        }
        !owed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(1);

    fn block(address: u16) -> Block {
        Block {
            function: 3,
            address,
            count: 1,
        }
    }

    #[test]
    fn after_a_failure_only_the_same_read_is_asked_until_nothing_is_owed() {
        let start = Instant::now();
        let mut doubt = Doubt::default();
        assert_eq!((doubt.only(), doubt.hold(start)), (None, Duration::ZERO));
        doubt.failed(block(7), start, T);
        assert_eq!((doubt.only(), doubt.hold(start)), (Some(block(7)), T));
        // The answer to the second question, or to the first: one is owed. It may be three time-outs late.
        let mut once = doubt;
        assert!(!once.answered(block(7), start + T / 4, T));
        assert_eq!((once.only(), once.hold(start + T / 4)), (None, 3 * T));
        // It fails once more. The third try is answered five time-outs after the first question was asked.
        doubt.failed(block(7), start + 2 * T, T);
        assert!(!doubt.answered(block(7), start + 4 * T, T));
        assert_eq!((doubt.only(), doubt.hold(start + 4 * T)), (None, 10 * T));
        assert!(doubt.answered(block(8), start + 14 * T, T));
    }

    #[test]
    fn an_answer_after_a_long_outage_is_trusted_at_once() {
        let start = Instant::now();
        let mut doubt = Doubt::default();
        doubt.failed(block(7), start, T);
        assert!(doubt.answered(block(7), start + 10 * T, T));
        assert_eq!(doubt.hold(start + 10 * T), Duration::ZERO);
    }

    #[test]
    fn a_read_that_is_never_answered_does_not_hide_the_others() {
        let start = Instant::now();
        let mut doubt = Doubt::default();
        for n in 0..3 {
            doubt.failed(block(7), start + n * T, T);
            assert_eq!(doubt.only(), (n < 3).then_some(block(7)), "{n}");
        }
        doubt.failed(block(7), start + 3 * T, T);
        assert_eq!(doubt.only(), None);
        // But while something is heard, its answer is still awaited.
        doubt.failed(block(7), start, T);
        for n in 1..9 {
            doubt.heard();
            doubt.failed(block(7), start + n * T, T);
        }
        assert_eq!(doubt.only(), Some(block(7)));
    }
}
