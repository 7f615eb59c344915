//! Currents of 4–20 mA, and what they mean when they are none of it. Pure.
//!
//! Source: NAMUR NE 43 (by `alarms.md` §1.6): 3.8 to 20.5 mA is measurement, at or below 3.6 and at or above 21 the instrument tells of
//! a fault of its own; the gaps between are doubtful. At or beyond 20 mA a gas detector is over its range: that is
//! gas, not a fault, and shown as full scale.

use crate::{Bad, Quality, Uncertain};

/// What a current stands for, over a range in the signal's unit, and how far it may be trusted.
#[must_use]
pub fn read(milliamperes: f64, [low, high]: [f64; 2]) -> (f64, Quality) {
    if !milliamperes.is_finite() {
        return (0.0, Quality::Bad(Bad::NotFinite));
    }
    let scaled = low + (milliamperes - 4.0) / 16.0 * (high - low);
    let value = if milliamperes >= 20.0 { high } else { scaled };
    let quality = if milliamperes <= 3.6 || milliamperes >= 21.0 {
        Quality::Bad(Bad::SensorFault)
    } else if !(3.8..=20.5).contains(&milliamperes) {
        Quality::Uncertain(Uncertain::Reported)
    } else {
        Quality::Good
    };
    (value, quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a25_currents_are_values_faults_and_doubts() {
        let doubt = Quality::Uncertain(Uncertain::Reported);
        let fault = Quality::Bad(Bad::SensorFault);
        for (current, value, quality) in [
            (4.0, Some(0.0), Quality::Good),
            (12.0, Some(50.0), Quality::Good),
            (20.3, Some(100.0), Quality::Good),
            (20.5, Some(100.0), Quality::Good),
            (20.6, Some(100.0), doubt),
            (3.7, Some(-1.875), doubt),
            (3.8, Some(-1.25), Quality::Good),
            (3.6, None, fault),
            (3.5, None, fault),
            (21.0, None, fault),
            (21.3, None, fault),
        ] {
            let (found, trust) = read(current, [0.0, 100.0]);
            assert_eq!(trust, quality, "{current}");
            if let Some(value) = value {
                assert!((found - value).abs() < 1e-9, "{current}: {found}");
            }
        }
    }
}
