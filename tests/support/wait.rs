//! Waiting for a condition, with a deadline.

use std::time::Duration;

use telemetry::time::{Clock, Span, SystemClock};

/// Asks again and again until `condition` answers, at most for `deadline`; else fails with the last
/// status that `condition` gave.
pub(crate) fn until<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<T, String>,
) -> T {
    let clock = SystemClock::new();
    let end = Span::from_millis(u64::try_from(deadline.as_millis()).unwrap());
    loop {
        match condition() {
            Ok(value) => return value,
            Err(status) if clock.monotonic() > end => {
                panic!("{what}: not within {deadline:?}; last: {status}")
            }
            Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
        }
    }
}

/// Twenty seconds, for what takes milliseconds on an idle machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// A minute and a half, for what takes seconds.
pub(crate) const LONG: Duration = Duration::from_secs(90);
