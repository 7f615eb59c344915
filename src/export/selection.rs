//! Which series are meant. Pure.

use super::folder::Named;

/// Those of `series` that fit one of `patterns`; all where there is none.
///
/// # Errors
/// Which pattern fits nothing, and what there is.
pub(super) fn select(patterns: &[String], mut series: Vec<Named>) -> Result<Vec<Named>, String> {
    for text in patterns {
        let pattern = Pattern::new(text);
        if !series
            .iter()
            .any(|named| pattern.fits(&named.device, &named.signal))
        {
            let known = series.first().map_or_else(String::new, |named| {
                format!(
                    ", there are {} like {}/{}",
                    series.len(),
                    named.device,
                    named.signal
                )
            });
            return Err(format!("no series is like {text:?}{known}"));
        }
    }
    if !patterns.is_empty() {
        let patterns: Vec<Pattern> = patterns.iter().map(|text| Pattern::new(text)).collect();
        series.retain(|named| {
            let fits = |pattern: &Pattern| pattern.fits(&named.device, &named.signal);
            patterns.iter().any(fits)
        });
    }
    Ok(series)
}

/// A pattern: `DEVICE/SIGNAL` or `DEVICE`, where `*` stands for any letters and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    device: String,
    signal: String,
}

impl Pattern {
    /// Every text is a pattern.
    fn new(text: &str) -> Self {
        let (device, signal) = text.trim().split_once('/').unwrap_or((text.trim(), "*"));
        Self {
            device: device.to_owned(),
            signal: signal.to_owned(),
        }
    }

    fn fits(&self, device: &str, signal: &str) -> bool {
        fits(self.device.as_bytes(), device.as_bytes()) && fits(self.signal.as_bytes(), signal.as_bytes())
    }
}

/// Whether `text` is what `pattern` says. After a `*` that turned out too short, it takes one letter more.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == letter => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((place, taken)) = star else {
                    return false;
                };
                star = Some((place, taken + 1));
                at = place + 1;
                seen = taken + 1;
            }
        }
    }
    pattern
        .get(at..)
        .unwrap_or_default()
        .iter()
        .all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_the_series_that_it_describes() {
        for (pattern, device, signal, wanted) in [
            ("pump-1/flow", "pump-1", "flow", true),
            ("pump-1/flow", "pump-1", "flow_2", false),
            ("pump-1", "pump-1", "anything", true),
            ("pump-1", "pump-10", "flow", false),
            ("pump-*/flow", "pump-10", "flow", true),
            ("*/gas_??", "panel", "gas_01", true),
            ("*/gas_??", "panel", "gas_1", false),
            ("*", "a", "b", true),
            ("*a*b*/x", "xxaayyb", "x", true),
            ("*a*b*/x", "xxbaay", "x", false),
            ("", "a", "b", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).fits(device, signal),
                wanted,
                "{pattern} {device}/{signal}"
            );
        }
    }
}
