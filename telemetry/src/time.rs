//! Instants, spans and the clocks they are read from.
//!
//! Everything inside is milliseconds; texts (RFC 3339, `"5min"`) exist only at the edges. No other
//! module of the workspace may ask the operating system for the time (`clippy.toml` bans the calls).

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z, leap seconds smeared as POSIX does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// Before every other instant.
    pub const MIN: Self = Self(i64::MIN);
    /// After every other instant.
    pub const MAX: Self = Self(i64::MAX);
    /// One UTC day.
    pub const DAY_MS: i64 = 86_400_000;

    /// The instant `ms` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This instant moved by `span` into the future; stays at the end of time rather than wrapping.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.millis_i64()))
    }

    /// This instant moved by `span` into the past; stays at the beginning of time rather than wrapping.
    #[must_use]
    pub fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.millis_i64()))
    }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The number of the UTC day that holds this instant, counted from 1970-01-01.
    #[must_use]
    pub const fn utc_day(self) -> i64 {
        self.0.div_euclid(Self::DAY_MS)
    }

    /// RFC 3339 in UTC with milliseconds, e.g. `2026-11-23T12:00:00.000Z`. Instants outside the years
    /// 1 to 9999 are written as `@ms`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => format!("{t:.3}"),
            Err(_) => format!("@{}", self.0),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// Why a text is not a time or a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct TimeError {
    /// The refused text.
    pub text: String,
    /// What was wanted.
    pub wanted: &'static str,
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Milliseconds since the epoch as digits, or RFC 3339.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        if let Ok(ms) = text.parse::<i64>() {
            return Ok(Self(ms));
        }
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_millisecond()))
            .map_err(|_| TimeError {
                text: text.to_owned(),
                wanted: "a time: milliseconds since 1970 or RFC 3339, e.g. 2026-11-23T20:00:00+08:00",
            })
    }
}

/// A length of time, in milliseconds; never negative. As text: `"500ms"`, `"15s"`, `"5min"`, `"2h"`, `"7d"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span that a text may give: ten years. Longer ones are typing errors.
    pub const TEXT_MAX: Self = Self::from_secs(10 * 366 * 86_400);

    /// `ms` milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// `s` seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1000))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Milliseconds, cut to the range of the signed type (292 million years).
    #[must_use]
    pub fn millis_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// How long ago `earlier` was, both of one monotonic clock; zero when it is yet to come.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// As the standard library's duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl FromStr for Span {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let refused = || TimeError {
            text: text.to_owned(),
            wanted: "a span of time up to ten years, e.g. \"500ms\", \"15s\", \"5min\", \"2h\" or \"7d\"",
        };
        let mut total = 0u64;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(refused());
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let (unit, tail) = tail.split_at(letters);
            let ms = match unit {
                "ms" => 1,
                "s" => 1000,
                "min" | "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(refused()),
            };
            let number: u64 = number.parse().map_err(|_| refused())?;
            total = number
                .checked_mul(ms)
                .and_then(|n| total.checked_add(n))
                .ok_or_else(refused)?;
            rest = tail.trim_start();
        }
        if total > Self::TEXT_MAX.0 {
            Err(refused())
        } else {
            Ok(Self(total))
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (ms, unit) in [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "min"),
            (1000, "s"),
            (1, "ms"),
        ] {
            if rest >= ms {
                write!(f, "{}{unit}", rest / ms)?;
                rest %= ms;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Span {
    type Error = TimeError;
    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

/// Where the time comes from. Everything that needs the time takes a clock in its constructor.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: steps with the operating system's.
    fn now(&self) -> Timestamp;
    /// Time since some fixed instant of this process: never steps, for timers and timeouts.
    fn monotonic(&self) -> Span;
    /// The real time that passes while `span` passes on this clock: shorter than `span` on a clock
    /// that runs fast. What a task sleeps when it waits for this clock.
    fn real(&self, span: Span) -> Duration {
        span.duration()
    }
}

fn system_now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the system's wall clock"
    )]
    let now = std::time::SystemTime::now();
    let ms = match now.duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Timestamp(ms)
}

fn instant_now() -> std::time::Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the monotonic clock"
    )]
    std::time::Instant::now()
}

/// The operating system's clocks.
#[derive(Clone, Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            started: instant_now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        system_now()
    }

    fn monotonic(&self) -> Span {
        Span(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock that runs `speed` times as fast as the real one, from a chosen instant on: the clock of a
/// simulated county and of the server that watches it. Two processes with the same `base`, `origin`
/// and `speed` read the same time.
#[derive(Clone, Debug)]
pub struct ScaledClock {
    /// Real wall time at which this clock showed `origin`.
    base: Timestamp,
    origin: Timestamp,
    speed: u32,
    started: std::time::Instant,
    started_wall: Timestamp,
}

impl ScaledClock {
    /// At the real instant `base` this clock shows `origin`, and from there runs `speed` (at least 1)
    /// times as fast.
    #[must_use]
    pub fn new(base: Timestamp, origin: Timestamp, speed: u32) -> Self {
        Self {
            base,
            origin,
            speed: speed.max(1),
            started: instant_now(),
            started_wall: system_now(),
        }
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let real = self
            .started_wall
            .0
            .saturating_add(elapsed)
            .saturating_sub(self.base.0);
        Timestamp(
            self.origin
                .0
                .saturating_add(real.saturating_mul(i64::from(self.speed))),
        )
    }

    fn monotonic(&self) -> Span {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Span(elapsed.saturating_mul(u64::from(self.speed)))
    }

    fn real(&self, span: Span) -> Duration {
        Duration::from_micros(span.0.saturating_mul(1000) / u64::from(self.speed))
    }
}

/// A clock that stands still until it is told to move: for tests and replays.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<(Timestamp, Span)>,
}

impl ManualClock {
    /// A clock that shows `now` and has run for no time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            state: Mutex::new((now, Span::ZERO)),
        }
    }

    /// Moves wall and monotonic time on by `span`.
    pub fn advance(&self, span: Span) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *state = (state.0.plus(span), Span(state.1.0.saturating_add(span.0)));
    }

    /// Steps the wall clock to `now`; the monotonic time stays.
    pub fn step_wall(&self, now: Timestamp) {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .0 = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .0
    }

    fn monotonic(&self) -> Span {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_and_written_as_people_write_it() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("15s", 15_000),
            ("1h30min", 5_400_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().millis(), ms, "{text}");
            assert_eq!(Span::from_millis(ms).to_string(), text);
        }
        for text in ["", "5", "5 minutes", "-1s", "1.5h", "99999d", "s"] {
            assert!(text.parse::<Span>().is_err(), "{text:?} must be refused");
        }
    }

    #[test]
    fn a_time_is_milliseconds_or_rfc_3339() {
        let t: Timestamp = "2026-11-23T20:00:00+08:00".parse().unwrap();
        assert_eq!(t.to_rfc3339(), "2026-11-23T12:00:00.000Z");
        assert_eq!(t.millis().to_string().parse::<Timestamp>().unwrap(), t);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn the_utc_day_of_an_instant_before_1970_is_negative() {
        assert_eq!(Timestamp::from_millis(-1).utc_day(), -1);
        assert_eq!(Timestamp::from_millis(0).utc_day(), 0);
        assert_eq!(Timestamp::from_millis(Timestamp::DAY_MS).utc_day(), 1);
    }
}
