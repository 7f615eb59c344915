//! What stands in a cell of CSV. Pure.

use std::fmt::Write;

use telemetry::Quality;

/// The columns of an export, in order.
pub(crate) const COLUMNS: [&str; 6] = ["device", "signal", "unit", "time", "value", "quality"];

/// With what a cell begins that a spreadsheet takes for a formula. Source: OWASP ASVS 5.0.0, 1.2.10.
const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A text that no spreadsheet takes for a formula.
pub(crate) fn guarded(text: &str) -> String {
    if text.starts_with(FORMULAS) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// What [`guarded`] was given.
pub(crate) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'')
        .filter(|rest| rest.starts_with(FORMULAS))
        .unwrap_or(cell)
}

/// Writes the shortest number that is read back as this very value.
pub(crate) fn put_number(value: f64, to: &mut String) {
    let size = value.abs();
    let written = if size != 0.0 && !(1e-5..1e16).contains(&size) {
        write!(to, "{value:e}")
    } else {
        write!(to, "{value}")
    };
    written.expect("a string takes everything");
}

/// The quality of that name.
pub(crate) fn quality_of(name: &str) -> Option<Quality> {
    (0..=u8::MAX)
        .map(Quality::from_code)
        .find(|quality| quality.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_taken_for_a_formula_and_every_one_comes_back() {
        for text in ["=1+1", "+1", "-dev", "@x", "\tx", "\rx"] {
            assert_eq!(guarded(text), format!("'{text}"));
            assert_eq!(unguarded(&guarded(text)), text);
        }
        for text in ["m3/h", "路灯", "'quoted", ""] {
            assert_eq!((guarded(text).as_str(), unguarded(text)), (text, text));
        }
    }

    #[test]
    fn numbers_are_short_and_come_back_to_the_bit() {
        for (value, wanted) in [
            (12.0, "12"),
            (-0.25, "-0.25"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e300, "1e300"),
            (-0.0, "-0"),
            (5e-324, "5e-324"),
        ] {
            let mut text = String::new();
            put_number(value, &mut text);
            assert_eq!(text, wanted);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn every_quality_is_found_by_its_name() {
        for code in 0..=u8::MAX {
            let quality = Quality::from_code(code);
            assert_eq!(quality_of(quality.name()), Some(quality));
        }
        assert_eq!(quality_of("excellent"), None);
    }
}
