//! Units as people read them: the UCUM codes of the profiles in their printed form.

/// The printed form of a UCUM code, e.g. `m³/h` for `m3/h`; empty for `1` (no unit). Codes without an
/// entry are printed as they are: they are short ASCII and understandable.
///
/// Source: The Unified Code for Units of Measure 2.1, column "print symbol".
#[must_use]
pub fn printed(ucum: &str) -> &str {
    // Annotations in braces count things ("{lamp}.min"): what is counted stands in the words around it.
    let ucum = match ucum.split_once(".{") {
        Some((unit, _)) => unit,
        None => ucum,
    };
    match ucum {
        "1" => "",
        // "{lamp}.min", "{call}/h": what is left is the unit; "{call}" alone has none.
        _ if ucum.starts_with('{') => {
            let rest = ucum.split_once('}').map_or("", |(_, rest)| rest);
            rest.strip_prefix('.').unwrap_or(rest)
        }
        "m3" => "m³",
        "m3/h" => "m³/h",
        "m/s2" => "m/s²",
        "ug/m3" => "µg/m³",
        "Cel" => "°C",
        "deg" => "°",
        "%{LEL}" => "%LEL",
        "dB[mW]" => "dBm",
        "kW.h" => "kWh",
        "u{strain}" => "µε",
        "uS/cm" => "µS/cm",
        "[ppm]" => "ppm",
        "t/d" => "t/d",
        other => other,
    }
}

/// A number with `decimals` places; never `-0.0`.
#[must_use]
pub fn number(value: f64, decimals: u8) -> String {
    let text = format!("{value:.*}", usize::from(decimals));
    if text.starts_with('-') && text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_the_built_in_profiles_prints_without_ucum_brackets() {
        for profile in telemetry::profile::builtin().unwrap().values() {
            for signal in &profile.signals {
                let text = printed(&signal.unit);
                assert!(!text.contains(['{', '[']), "{}: {text}", signal.name);
            }
        }
    }

    #[test]
    fn what_is_counted_is_no_unit_but_its_time_is() {
        assert_eq!(printed("{call}/h"), "/h");
        assert_eq!(printed("{lamp}.min"), "min");
        assert_eq!(printed("{call}"), "");
    }

    #[test]
    fn a_small_negative_number_is_not_minus_nought() {
        assert_eq!(number(-0.01, 1), "0.0");
        assert_eq!(number(-0.06, 1), "-0.1");
        assert_eq!(number(12.345, 2), "12.35");
    }
}
