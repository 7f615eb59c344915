//! What all JSON forms share: bounds before parsing, mending after, and single values.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use telemetry::time::Timestamp;

use super::DeviceTime;

/// Below this number a mapped time is taken as seconds: 10^11 ms is 1973, 10^11 s the year 5138.
const SECONDS_BELOW: f64 = 1e11;

/// Whether brackets are nested deeper than `depth_max`; brackets in strings do not count.
pub(crate) fn deeper_than(payload: &[u8], depth_max: usize) -> bool {
    let open = |byte: &&u8| matches!(**byte, b'{' | b'[');
    if payload.iter().filter(open).count() <= depth_max {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in payload {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The payload with `null` for every bare `NaN`, `Infinity`, `-Infinity` and every number beyond `f64`;
/// none when there is no such thing in it.
pub(crate) fn without_non_finite(payload: &[u8]) -> Option<Vec<u8>> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_');
    let mut mended = Vec::with_capacity(payload.len());
    let mut found = false;
    let mut rest = payload;
    while let Some((first, tail)) = rest.split_first() {
        let length = if *first == b'"' {
            1 + string_length(tail)
        } else if is_word(first) {
            rest.iter().take_while(|byte| is_word(byte)).count()
        } else {
            1
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        if *first != b'"' && is_non_finite(token) {
            found = true;
            mended.extend_from_slice(b"null");
        } else {
            mended.extend_from_slice(token);
        }
        rest = after;
    }
    found.then_some(mended)
}

/// Bytes up to and with the closing quote.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    for (place, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_non_finite(token: &[u8]) -> bool {
    match token {
        b"NaN" | b"-NaN" | b"Infinity" | b"-Infinity" => true,
        [b'-' | b'0'..=b'9', ..] => std::str::from_utf8(token)
            .ok()
            .and_then(|text| text.parse::<f64>().ok())
            .is_some_and(f64::is_infinite),
        _ => false,
    }
}

/// One JSON value, as far as a reading can be made of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar<'de> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'de, str>),
    /// An array or an object.
    Composite,
}

impl Scalar<'_> {
    /// As the time of a reading in Townwatch's form: ms or RFC 3339.
    pub(crate) fn time(&self) -> DeviceTime {
        match self {
            Self::Null => DeviceTime::None,
            Self::Number(ms) => whole(*ms).map_or(DeviceTime::Unreadable, |ms| {
                DeviceTime::At(Timestamp::from_millis(ms))
            }),
            Self::Text(text) => text.parse().map_or(DeviceTime::Unreadable, DeviceTime::At),
            Self::Bool(_) | Self::Composite => DeviceTime::Unreadable,
        }
    }

    /// As a mapped time: ms, s (below 10^11) or RFC 3339.
    pub(crate) fn mapped_time(&self) -> DeviceTime {
        match self {
            Self::Number(s) if s.abs() < SECONDS_BELOW => Self::Number(s * 1000.0).time(),
            other => other.time(),
        }
    }

    /// As a sequence number: a whole number from 0 up.
    pub(crate) fn seq(&self) -> Option<u64> {
        match self {
            Self::Number(n) if n.fract() == 0.0 => whole(*n).and_then(|n| u64::try_from(n).ok()),
            _ => None,
        }
    }

    /// Yes: `true`, or a number that is not 0.
    pub(crate) fn is_yes(&self) -> bool {
        match self {
            Self::Bool(yes) => *yes,
            Self::Number(n) => n.abs() > 0.0,
            Self::Null | Self::Text(_) | Self::Composite => false,
        }
    }

    pub(crate) fn of(value: &serde_json::Value) -> Scalar<'_> {
        match value {
            serde_json::Value::Null => Scalar::Null,
            serde_json::Value::Bool(yes) => Scalar::Bool(*yes),
            serde_json::Value::Number(n) => n.as_f64().map_or(Scalar::Null, Scalar::Number),
            serde_json::Value::String(text) => Scalar::Text(Cow::Borrowed(text)),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => Scalar::Composite,
        }
    }
}

/// The number without its fraction, where `f64` still holds every whole number (±2^53).
pub(crate) fn whole(number: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "dropping the fraction is meant; the range is checked"
    )]
    (number.abs() <= EXACT_MAX).then_some(number as i64)
}

/// Reads one [`Scalar`] without building what is inside of arrays and objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScalarSeed;

impl<'de> DeserializeSeed<'de> for ScalarSeed {
    type Value = Scalar<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a value is an f64 wherever it goes")]
impl<'de> Visitor<'de> for ScalarSeed {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(yes))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(n as f64))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(n as f64))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(n))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Composite)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Scalar<'de>, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Composite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings_only() {
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(!deeper_than(deep(32).as_bytes(), 32));
        assert!(deeper_than(deep(33).as_bytes(), 32));
        let text = format!("\"{}\\\"{}\"", "[".repeat(50), "{".repeat(50));
        assert!(!deeper_than(text.as_bytes(), 32));
        assert!(!deeper_than("[],".repeat(100).as_bytes(), 32));
    }

    #[test]
    fn only_bare_non_finite_numbers_are_mended() {
        let mend = |text: &str| without_non_finite(text.as_bytes()).map(|m| String::from_utf8(m).unwrap());
        for (text, want) in [
            (r#"{"a":NaN,"b":-Infinity}"#, Some(r#"{"a":null,"b":null}"#)),
            (r#"[1e999,-1e400,1e3]"#, Some("[null,null,1e3]")),
            (r#"{"NaN":"NaN \" Infinity"}"#, None),
            (r#"{"a":NaNo}"#, None),
            ("\"unclosed NaN", None),
        ] {
            assert_eq!(mend(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn a_time_is_ms_or_rfc_3339_and_nothing_else() {
        let at = |ms| DeviceTime::At(Timestamp::from_millis(ms));
        assert_eq!(Scalar::Number(1_763_870_400_000.0).time(), at(1_763_870_400_000));
        assert_eq!(
            Scalar::Text("2025-11-23T12:00:00+08:00".into()).time(),
            at(1_763_870_400_000)
        );
        assert_eq!(Scalar::Text("yesterday".into()).time(), DeviceTime::Unreadable);
        assert_eq!(Scalar::Number(1e300).time(), DeviceTime::Unreadable);
        assert_eq!(Scalar::Null.time(), DeviceTime::None);
        assert_eq!(
            Scalar::Number(1_763_870_400.5).mapped_time(),
            at(1_763_870_400_500)
        );
        assert_eq!(
            Scalar::Number(1_763_870_400_000.0).mapped_time(),
            at(1_763_870_400_000)
        );
    }
}
