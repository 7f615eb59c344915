//! A time as a person writes it. Pure.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use telemetry::Timestamp;

/// Reads ms since 1970, RFC 3339, or a day or a time of day in `zone`. A time that a clock change brings twice is the
/// earlier one; one that it leaves out, the later one.
///
/// # Errors
/// What is wrong with it, for a person.
pub(crate) fn read(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let civil = text.parse::<DateTime>().ok();
    civil
        .and_then(|civil| zone.to_timestamp(civil).ok())
        .map(|time| Timestamp::from_millis(time.as_millisecond()))
        .ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("{shown:?} is no time: write 2026-11-23, 2026-11-23T20:00, RFC 3339, or ms since 1970")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        // Expected values: GNU date, e.g. `TZ=Asia/Shanghai date -d 2026-11-23 +%s`.
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        for (text, ms) in [
            ("2026-11-23", 1_795_363_200_000),
            ("2026-11-23T20:00", 1_795_435_200_000),
            ("2026-11-23 20:00:00.250", 1_795_435_200_250),
            ("2026-11-23T12:00:00Z", 1_795_435_200_000),
            ("2026-11-23T20:00:00+08:00", 1_795_435_200_000),
            ("1795435200000", 1_795_435_200_000),
        ] {
            assert_eq!(read(text, &zone), Ok(Timestamp::from_millis(ms)), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "20:00"] {
            assert!(read(text, &zone).unwrap_err().contains("is no time"), "{text}");
        }
    }
}
