//! The demo's clock, and how it goes on over restarts. Pure but for the two facts in the state database.

use store::state::{State, StateError};
use telemetry::time::{Clock, ScaledClock, Span, SystemClock, Timestamp};

/// Key of the county's time in the state database: RFC 3339.
const KEY: &str = "demo.county_time";

/// Where the county's clock starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Real instant.
    pub base: Timestamp,
    /// What the county's clock shows at `base`.
    pub origin: Timestamp,
    /// How long the county was not watched before; none on the first start.
    pub unwatched: Option<Span>,
}

impl Origin {
    /// The clock that starts here.
    pub(crate) fn clock(self, speed: u32) -> ScaledClock {
        ScaledClock::new(self.base, self.origin, speed)
    }
}

/// Where the clock starts at the real instant `now`, when the county's time was last seen at `last`: it
/// goes on from `last` when that is ahead of `now`, else from `now`.
fn origin(now: Timestamp, last: Option<Timestamp>) -> Origin {
    let origin = last.map_or(now, |last| last.max(now));
    let unwatched = last.map(|last| Span::from_millis(u64::try_from(origin.millis_since(last)).unwrap_or(0)));
    Origin {
        base: now,
        origin,
        unwatched,
    }
}

/// Where the clock of the data folder behind `state` starts now.
pub(crate) fn resume(state: &State) -> Result<Origin, StateError> {
    let last = state.meta(KEY)?.and_then(|text| text.parse().ok());
    Ok(origin(SystemClock::new().now(), last))
}

/// Writes the county's time down.
pub(crate) fn keep(state: &State, now: Timestamp) -> Result<(), StateError> {
    state.set_meta(KEY, &now.to_rfc3339())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_county_goes_on_from_where_it_was_and_a_slow_one_from_now() {
        let at = Timestamp::from_millis;
        assert_eq!(
            origin(at(1000), None),
            Origin {
                base: at(1000),
                origin: at(1000),
                unwatched: None
            }
        );
        assert_eq!(origin(at(1000), Some(at(5000))).origin, at(5000));
        assert_eq!(origin(at(1000), Some(at(5000))).unwatched, Some(Span::ZERO));
        let slow = origin(at(9000), Some(at(5000)));
        assert_eq!(
            (slow.origin, slow.unwatched),
            (at(9000), Some(Span::from_millis(4000)))
        );
    }
}
