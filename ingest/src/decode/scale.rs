//! signal = raw × scale + offset, so that a person reads the number that the device meant.

/// A scale and an offset. With a scale that is one over a whole number (0.1, 0.01, 0.5, 0.02) it divides
/// instead of multiplying: 123 × 0.1 is 12.3, the nearest double to it, not 12.300000000000001.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    factor: f64,
    /// 1 / `factor`, where that is a whole number; else 0.
    divisor: f64,
    offset: f64,
}

impl Scale {
    pub(crate) fn new(factor: f64, offset: f64) -> Self {
        let inverse = (1.0 / factor).round();
        let exact = (inverse * factor - 1.0).abs() < 1e-12 && inverse.abs() <= 1e9;
        Self {
            factor,
            divisor: if exact { inverse } else { 0.0 },
            offset,
        }
    }

    pub(crate) fn apply(self, raw: f64) -> f64 {
        if self.divisor.abs() < 0.5 {
            return raw * self.factor + self.offset;
        }
        // Whole numbers are added exactly, so the offset goes in before the one rounding division.
        let offset_steps = self.offset * self.divisor;
        let whole = offset_steps.round();
        if (offset_steps - whole).abs() < 1e-6 {
            (raw + whole) / self.divisor
        } else {
            raw / self.divisor + self.offset
        }
    }

    /// The raw number that stands for `value`. The factor must not be 0.
    pub(crate) fn invert(self, value: f64) -> f64 {
        if self.divisor.abs() < 0.5 {
            (value - self.offset) / self.factor
        } else {
            (value - self.offset) * self.divisor
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "the very double is what is promised")]
    fn a_scaled_value_is_the_double_that_a_person_would_write() {
        for (raw, factor, offset, want) in [
            (123.0, 0.1, 0.0, 12.3),
            (123.0, 0.1, -40.0, -27.7),
            (-5.0, 0.01, 0.0, -0.05),
            (4_294_967_295.0, 0.1, 0.0, 429_496_729.5),
            (7.0, 0.02, 0.0, 0.14),
            (3.0, 1.0, 0.0, 3.0),
            (3.0, 10.0, 5.0, 35.0),
            (2.0, -0.1, 0.0, -0.2),
            (3.0, 0.0, 5.0, 5.0),
            (3.0, 0.3, 0.0, 3.0 * 0.3),
        ] {
            assert_eq!(
                Scale::new(factor, offset).apply(raw),
                want,
                "{raw} × {factor} + {offset}"
            );
        }
    }
}
