//! InfluxDB line protocol at the door: whose line each is, and which line is wrong. The grammar is the crate
//! `influxdb-line-protocol`'s, a port of InfluxDB's own.
//!
//! Source: InfluxDB 2 reference, "Line protocol" and "Write API".

use std::collections::BTreeMap;
use std::str::FromStr;

use bytes::Bytes;
use influxdb_line_protocol::{ParsedLine, parse_lines, split_lines};
use telemetry::DeviceId;
use telemetry::limits::PAYLOAD_BYTES_MAX;

/// In what the times of a body are counted. Source: InfluxDB 2 `/api/v2/write`, parameter `precision`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Nanoseconds, where nothing is said.
    #[default]
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Precision {
    /// The word in requests and in the journal.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }

    /// A time of this precision in ms, rounded down; none where it is beyond `i64`.
    pub(crate) const fn to_millis(self, time: i64) -> Option<i64> {
        match self {
            Self::Nanoseconds => Some(time.div_euclid(1_000_000)),
            Self::Microseconds => Some(time.div_euclid(1000)),
            Self::Milliseconds => Some(time),
            Self::Seconds => time.checked_mul(1000),
        }
    }
}

/// Not a precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the precision is none of ns, us, ms and s")]
pub struct UnknownPrecision;

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(word: &str) -> Result<Self, UnknownPrecision> {
        match word {
            "ns" | "n" => Ok(Self::Nanoseconds),
            "us" | "u" => Ok(Self::Microseconds),
            "ms" => Ok(Self::Milliseconds),
            "s" => Ok(Self::Seconds),
            _ => Err(UnknownPrecision),
        }
    }
}

/// Why a line was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is no line protocol, or names no device.
    Unreadable,
    /// It names a device that its sender may not speak for.
    Forbidden,
}

/// The first line that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number in the body, from 1. Empty lines and comments count; a line break in a quoted text does not.
    pub number: usize,
    /// What kind of wrong.
    pub wrong: Wrong,
    /// What is wrong: one sentence without a full stop, for a person.
    pub why: String,
}

/// A body, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// Payloads for the journal: the good lines of each device in their order, behind a line that says the
    /// precision. Each at most [`PAYLOAD_BYTES_MAX`].
    pub payloads: Vec<(DeviceId, Bytes)>,
    /// Lines in `payloads`.
    pub taken: usize,
    /// Lines left out.
    pub left_out: usize,
    /// The first of these.
    pub first_bad: Option<BadLine>,
}

/// Sorts the lines of a body by device: that of the tag `device_tag`, and `own` where a line has no such tag.
pub fn sort(
    body: &str,
    precision: Precision,
    device_tag: &str,
    own: Option<&DeviceId>,
    may: impl Fn(&DeviceId) -> bool,
) -> Sorted {
    let mut sorted = Sorted::default();
    let mut open: BTreeMap<DeviceId, String> = BTreeMap::new();
    for (number, line) in (1..).zip(split_lines(body)) {
        let line = line.trim_matches(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match owner(line, device_tag, own, &may) {
            Ok(device) => {
                sorted.taken += 1;
                let text = open.entry(device.clone()).or_default();
                if text.len() + line.len() + HEADER_BYTES_MAX > PAYLOAD_BYTES_MAX {
                    let full = std::mem::take(text);
                    sorted.payloads.push((device, payload(precision, &full)));
                }
                text.push_str(line);
                text.push('\n');
            }
            Err((wrong, why)) => {
                sorted.left_out += 1;
                sorted.first_bad.get_or_insert(BadLine { number, wrong, why });
            }
        }
    }
    let rest = open.into_iter().filter(|(_, text)| !text.is_empty());
    sorted
        .payloads
        .extend(rest.map(|(device, text)| (device, payload(precision, &text))));
    sorted
}

fn owner(
    line: &str,
    device_tag: &str,
    own: Option<&DeviceId>,
    may: &impl Fn(&DeviceId) -> bool,
) -> Result<DeviceId, (Wrong, String)> {
    let unreadable = |why: String| (Wrong::Unreadable, why);
    if line.len() + HEADER_BYTES_MAX > PAYLOAD_BYTES_MAX {
        return Err(unreadable(format!(
            "the line is longer than {PAYLOAD_BYTES_MAX} bytes"
        )));
    }
    let parsed = parse(line).map_err(unreadable)?;
    let device = match (parsed.tag_value(device_tag), own) {
        (Some(tag), _) => DeviceId::new(tag.as_str()).map_err(|error| unreadable(error.to_string()))?,
        (None, Some(own)) => own.clone(),
        (None, None) => return Err(unreadable(format!("the line has no tag {device_tag}"))),
    };
    if may(&device) {
        Ok(device)
    } else {
        let why = format!("the token may not write for the device {device}");
        Err((Wrong::Forbidden, why))
    }
}

/// Reads one line that is neither empty nor a comment.
///
/// # Errors
/// What is wrong with it, for a person.
pub(crate) fn parse(line: &str) -> Result<ParsedLine<'_>, String> {
    match parse_lines(line).next() {
        Some(Ok(parsed)) => Ok(parsed),
        Some(Err(error)) => {
            let shown: String = line.chars().take(80).collect();
            Err(format!("unable to parse {shown:?}: {error}"))
        }
        None => Err("the line is empty".to_owned()),
    }
}

const HEADER: &str = "#precision=";
/// The header with its longest word and the line break.
const HEADER_BYTES_MAX: usize = HEADER.len() + 4;

fn payload(precision: Precision, lines: &str) -> Bytes {
    format!("{HEADER}{}\n{lines}", precision.word()).into()
}

/// The precision and the lines of a payload that [`sort`] has made.
pub(crate) fn opened(payload: &str) -> Option<(Precision, &str)> {
    let (word, lines) = payload.strip_prefix(HEADER)?.split_once('\n')?;
    Some((word.parse().ok()?, lines))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> DeviceId {
        DeviceId::new(text).unwrap()
    }

    fn sorted(body: &str, own: Option<&str>) -> Sorted {
        let own = own.map(id);
        let may = |device: &DeviceId| matches!(device.as_str(), "a" | "b");
        sort(body, Precision::Milliseconds, "device", own.as_ref(), may)
    }

    fn texts(sorted: &Sorted) -> Vec<(&str, &str)> {
        let text = |(device, payload): &'_ (DeviceId, Bytes)| (device.as_str().len(), payload.len());
        assert!(
            sorted
                .payloads
                .iter()
                .map(text)
                .all(|(name, size)| name > 0 && size > 0)
        );
        (sorted.payloads.iter())
            .map(|(device, payload)| (device.as_str(), std::str::from_utf8(payload).unwrap()))
            .collect()
    }

    #[test]
    fn lines_are_sorted_by_their_device_and_keep_their_order_and_precision() {
        let body =
            "sewage,device=a level=1 10\r\n# note\n\nsewage,device=b level=2 10\nsewage,device=a level=3 20";
        let sorted = sorted(body, None);
        assert_eq!(
            texts(&sorted),
            [
                (
                    "a",
                    "#precision=ms\nsewage,device=a level=1 10\nsewage,device=a level=3 20\n"
                ),
                ("b", "#precision=ms\nsewage,device=b level=2 10\n"),
            ]
        );
        assert_eq!((sorted.taken, sorted.left_out, sorted.first_bad), (3, 0, None));
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_and_the_good_ones_are_taken() {
        for (bad, wrong, word) in [
            ("sewage,device=a level", Wrong::Unreadable, "unable to parse"),
            (
                "sewage,device=a level=1 10 x",
                Wrong::Unreadable,
                "unable to parse",
            ),
            ("sewage,device=c level=1", Wrong::Forbidden, "device c"),
            ("sewage level=1", Wrong::Unreadable, "no tag device"),
            ("sewage,device=a/b level=1", Wrong::Unreadable, "device id"),
        ] {
            let sorted = sorted(
                &format!("\nsewage,device=a level=1\n{bad}\n{bad}\nsewage,device=b level=2\n"),
                None,
            );
            assert_eq!(
                (sorted.taken, sorted.left_out, sorted.payloads.len()),
                (2, 2, 2),
                "{bad}"
            );
            let first = sorted.first_bad.unwrap();
            assert_eq!((first.number, first.wrong), (3, wrong), "{bad}");
            assert!(first.why.contains(word), "{bad}: {}", first.why);
        }
    }

    #[test]
    fn a_line_without_the_tag_is_its_senders_own() {
        assert_eq!(
            texts(&sorted("level value=1", Some("a"))),
            [("a", "#precision=ms\nlevel value=1\n")]
        );
        assert_eq!(texts(&sorted("level,device=b value=1", Some("a")))[0].0, "b");
    }

    #[test]
    fn a_device_with_many_lines_gets_several_messages_none_too_large() {
        let line = format!("sewage,device=a text=\"{}\" 1\n", "x".repeat(400_000));
        let sorted = sorted(&line.repeat(5), None);
        assert_eq!(sorted.taken, 5);
        assert_eq!(sorted.payloads.len(), 3);
        for (_, payload) in &sorted.payloads {
            assert!(payload.len() <= PAYLOAD_BYTES_MAX && payload.starts_with(b"#precision=ms\n"));
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic_and_every_line_is_counted(body in "[ -~\\n\\r\\\\\"=,#é]{0,200}") {
            let sorted = sorted(&body, Some("a"));
            prop_assert_eq!(sorted.first_bad.is_some(), sorted.left_out > 0);
            let lines: usize = sorted.payloads.iter().map(|(_, payload)| {
                let text = std::str::from_utf8(payload).unwrap();
                let (_, lines) = opened(text).unwrap();
                split_lines(lines).filter(|line| !line.trim().is_empty()).count()
            }).sum();
            prop_assert_eq!(lines, sorted.taken);
        }
    }
}
