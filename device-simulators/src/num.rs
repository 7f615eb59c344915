//! The few conversions between numbers that the simulators need, each with its bound.

/// The nearest whole number; the ends of ±2^53 where `x` lies beyond them, 0 where it is not a number.
pub(crate) fn whole(x: f64) -> i64 {
    const EDGE: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "clamped to the whole numbers that an f64 holds exactly"
    )]
    let whole = x.round().clamp(-EDGE, EDGE) as i64;
    whole
}

/// The whole number below `x` as a place in a table; 0 below 0.
pub(crate) fn place(x: f64) -> usize {
    usize::try_from(whole(x.floor())).unwrap_or(0)
}

/// `x` as an `f64`. Exact below 2^53, which is far beyond any time or count here.
pub(crate) fn real(x: i64) -> f64 {
    x as f64
}

/// A count as an `f64`.
pub(crate) fn count(x: usize) -> f64 {
    x as f64
}

/// Hours in `ms` milliseconds.
pub(crate) fn hours(ms: i64) -> f64 {
    real(ms) / 3_600_000.0
}
