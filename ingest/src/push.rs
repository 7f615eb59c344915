//! What stands at the door for those who push over HTTP: pure checks, before anything is journaled.
//!
//! [`readable`] says whether a payload is JSON at all; [`lines`] sorts InfluxDB line protocol by device. What
//! the values mean is found out later, by the profile, like that of every other message.

pub mod lines;

use serde::de::IgnoredAny;
use telemetry::limits::{JSON_DEPTH_MAX, PAYLOAD_BYTES_MAX};

use crate::decode::json;

/// Whether a payload is a JSON object or array that the decoder will look into. Bare `NaN` and `Infinity` pass:
/// devices send them, and the decoder mends them.
///
/// # Errors
/// What is wrong, with line and column where there is one: one sentence without a full stop, for a person.
pub fn readable(payload: &[u8]) -> Result<(), String> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(format!("the payload is larger than {PAYLOAD_BYTES_MAX} bytes"));
    }
    match payload.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Err("the payload is empty".to_owned()),
        Some(b'{' | b'[') => {}
        Some(_) => return Err("the payload is neither a JSON object nor an array".to_owned()),
    }
    if json::deeper_than(payload, JSON_DEPTH_MAX) {
        return Err(format!("the payload is nested deeper than {JSON_DEPTH_MAX}"));
    }
    let Err(error) = serde_json::from_slice::<IgnoredAny>(payload) else {
        return Ok(());
    };
    match json::without_non_finite(payload).map(|mended| serde_json::from_slice::<IgnoredAny>(&mended)) {
        Some(Ok(_)) => Ok(()),
        Some(Err(_)) | None => Err(format!("the payload is not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_decoder_can_look_into_passes_and_the_rest_is_told_why_not() {
        for good in [
            r#"{"values":{"level":1}}"#,
            "[]",
            " [{}] ",
            r#"{"values":{"level":NaN}}"#,
        ] {
            assert_eq!(readable(good.as_bytes()), Ok(()), "{good}");
        }
        let deep = "[".repeat(33) + &"]".repeat(33);
        for (bad, word) in [
            ("", "empty"),
            ("hello", "neither"),
            ("7", "neither"),
            (r#"{"values":{"level":1}"#, "line 1 column 21"),
            (r#"{"values":{"level":NaN}"#, "not JSON"),
            (&deep, "nested"),
        ] {
            let why = readable(bad.as_bytes()).unwrap_err();
            assert!(why.contains(word), "{bad}: {why}");
        }
        assert!(readable(&[b'[', 0xFF, b']']).is_err());
    }
}
