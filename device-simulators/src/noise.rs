//! Noise without memory: the same key and the same instant always give the same number, so a curve
//! can be asked for at any time, in any order, and history and live are one.

use crate::num::real;

/// Scrambles 64 bits so that neighbours have nothing in common.
/// Source: splitmix64 by Sebastiano Vigna, <https://prng.di.unimi.it/splitmix64.c> (public domain).
pub(crate) const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The key of one stream of noise out of another's.
pub(crate) const fn key(of: u64, stream: u64) -> u64 {
    mix(of ^ mix(stream))
}

/// A number from 0 (included) to 1 (excluded), the `n`-th of the stream.
pub(crate) fn unit(key: u64, n: i64) -> f64 {
    (mix(key ^ n.cast_unsigned()) >> 11) as f64 / 9_007_199_254_740_992.0
}

/// A number from -1 to 1, the `n`-th of the stream.
pub(crate) fn spread(key: u64, n: i64) -> f64 {
    2.0 * unit(key, n) - 1.0
}

/// A curve from -1 to 1 that wanders once in `step_ms` and has no edges.
pub(crate) fn smooth(key: u64, t: i64, step_ms: i64) -> f64 {
    let n = t.div_euclid(step_ms);
    let part = real(t.rem_euclid(step_ms)) / real(step_ms);
    let weight = part * part * (3.0 - 2.0 * part);
    let (from, to) = (spread(key, n), spread(key, n + 1));
    from + (to - from) * weight
}

/// A number from -1 to 1 that is another one every `step_ms`.
pub(crate) fn flicker(key: u64, t: i64, step_ms: i64) -> f64 {
    spread(key, t.div_euclid(step_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // First output of splitmix64 seeded with 0, from the published C program.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn a_smooth_curve_has_no_jump_and_stays_in_its_band() {
        let mut last = smooth(7, -3_600_000, 60_000);
        for t in (-3_600_000..3_600_000).step_by(500) {
            let now = smooth(7, t, 60_000);
            assert!(
                now.abs() <= 1.0 && (now - last).abs() < 0.03,
                "{t}: {last} to {now}"
            );
            last = now;
        }
    }
}
