//! How an attempt to send ended, and what becomes of the notice then. Pure.

use store::state::alarms::{Fate, Notice};
use telemetry::Timestamp;
use telemetry::time::Span;

/// The longest pause between two attempts.
const PAUSE_MAX: Span = Span::from_secs(300);
/// After that long without success a notice is given up, logged and counted.
const GIVE_UP_AFTER: Span = Span::from_secs(86_400);

/// How an attempt to send ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// Not this time; why.
    Failed(String),
    /// The receiver takes no more for a while.
    TooFast {
        /// What it said.
        why: String,
        /// How long nothing but what saves lives is sent there.
        pause: Span,
    },
    /// Never; why.
    Hopeless(String),
}

impl Outcome {
    /// Why it did not get through; none when it did.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Delivered => None,
            Self::Failed(why) | Self::TooFast { why, .. } | Self::Hopeless(why) => Some(why),
        }
    }
}

/// What becomes of a notice after an attempt that ended so, at `now`.
///
/// The pauses are 1, 2, 4, 8, 16 … s, at most five minutes, each lengthened by up to a quarter by a hash of key and attempt,
/// so that many notices do not come back in step.
#[must_use]
pub fn after_attempt(notice: Notice, outcome: &Outcome, now: Timestamp) -> Notice {
    let attempts = notice.attempts.saturating_add(1);
    let old = now.millis_since(notice.made_at) > GIVE_UP_AFTER.millis_i64();
    match outcome {
        Outcome::Delivered => Notice {
            attempts,
            fate: Fate::Delivered,
            delivered_at: Some(now),
            ..notice
        },
        Outcome::Failed(_) | Outcome::TooFast { .. } if !old => {
            let next_at = now.plus(pause(&notice.key, attempts));
            Notice {
                attempts,
                next_at,
                ..notice
            }
        }
        Outcome::Failed(_) | Outcome::TooFast { .. } | Outcome::Hopeless(_) => Notice {
            attempts,
            fate: Fate::GaveUp,
            ..notice
        },
    }
}

/// The pause after that many attempts.
fn pause(key: &str, attempts: u32) -> Span {
    let doubled = 1000u64.saturating_mul(1 << attempts.saturating_sub(1).min(20));
    let base = doubled.min(PAUSE_MAX.millis());
    // FNV-1a, Source: draft-eastlake-fnv-17.
    let hash = key
        .bytes()
        .chain(attempts.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    Span::from_millis(base + hash % (base / 4 + 1))
}
