//! What a device measured at one instant, and how it is written as JSON.
//!
//! Numbers are decimal from the start, as a meter shows them, so nothing is rounded twice and writing
//! them costs no more than a few divisions.

use crate::num::{real, whole};

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// `raw` × 10^-`decimals`.
    Number {
        /// The digits.
        raw: i64,
        /// How many of them stand behind the point, at most 6.
        decimals: u8,
    },
    /// Yes or no.
    Flag(bool),
}

impl Value {
    /// As a number; flags are 0 and 1.
    pub(crate) fn real(self) -> f64 {
        match self {
            Self::Number { raw, decimals } => real(raw) / power(decimals),
            Self::Flag(yes) => f64::from(u8::from(yes)),
        }
    }
}

/// The values of one device at one instant, in the order of its profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    values: Vec<(&'static str, Value)>,
}

impl Reading {
    pub(crate) fn clear(&mut self) {
        self.values.clear();
    }

    /// Adds a number, rounded to `decimals`.
    pub(crate) fn number(&mut self, name: &'static str, x: f64, decimals: u8) {
        let raw = whole(x * power(decimals));
        self.values.push((name, Value::Number { raw, decimals }));
    }

    /// Adds a yes or no.
    pub(crate) fn flag(&mut self, name: &'static str, yes: bool) {
        self.values.push((name, Value::Flag(yes)));
    }

    pub(crate) fn values(&self) -> &[(&'static str, Value)] {
        &self.values
    }

    /// Keeps only the values that `wanted` names.
    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&'static str, Value) -> bool) {
        self.values.retain(|(name, value)| wanted(name, *value));
    }

    fn get(&self, name: &str) -> Option<Value> {
        (self.values.iter()).find_map(|(known, value)| (*known == name).then_some(*value))
    }

    /// The digits of a number, without its point; 0 where there is none.
    pub(crate) fn raw(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(Value::Number { raw, .. }) => raw,
            Some(Value::Flag(_)) | None => 0,
        }
    }

    /// A number; `None` where there is none of that name.
    pub(crate) fn real(&self, name: &str) -> Option<f64> {
        self.get(name).map(Value::real)
    }

    /// A yes; no where there is none of that name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.get(name) == Some(Value::Flag(true))
    }
}

fn power(decimals: u8) -> f64 {
    10_f64.powi(i32::from(decimals))
}

/// How a record is marked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// Device time, ms.
    pub(crate) ts: i64,
    /// Sequence number, of devices that count.
    pub(crate) seq: Option<i64>,
    /// Whether it is history.
    pub(crate) backfill: bool,
}

/// Writes one record of the form of `design.md` §6.
pub(crate) fn write_record(out: &mut Vec<u8>, mark: Mark, reading: &Reading) {
    out.extend_from_slice(b"{\"ts\":");
    write_whole(out, mark.ts);
    if let Some(seq) = mark.seq {
        out.extend_from_slice(b",\"seq\":");
        write_whole(out, seq);
    }
    if mark.backfill {
        out.extend_from_slice(b",\"backfill\":true");
    }
    out.extend_from_slice(b",\"values\":{");
    for (n, (name, value)) in reading.values.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        match value {
            Value::Number { raw, decimals } => write_decimal(out, *raw, *decimals),
            Value::Flag(true) => out.extend_from_slice(b"true"),
            Value::Flag(false) => out.extend_from_slice(b"false"),
        }
    }
    out.extend_from_slice(b"}}");
}

fn write_whole(out: &mut Vec<u8>, x: i64) {
    write_decimal(out, x, 0);
}

fn write_decimal(out: &mut Vec<u8>, raw: i64, decimals: u8) {
    let mut digits = [0_u8; 32];
    let mut free = digits.len();
    let mut rest = raw.unsigned_abs();
    let mut written = 0_u8;
    let mut put = |byte: u8, free: &mut usize| {
        *free = free.saturating_sub(1);
        if let Some(slot) = digits.get_mut(*free) {
            *slot = byte;
        }
    };
    while rest > 0 || written <= decimals {
        if decimals > 0 && written == decimals {
            put(b'.', &mut free);
        }
        put(b'0' + u8::try_from(rest % 10).unwrap_or(0), &mut free);
        rest /= 10;
        written += 1;
    }
    if raw < 0 {
        put(b'-', &mut free);
    }
    out.extend_from_slice(digits.get(free..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_written_with_its_point_where_it_belongs() {
        for (raw, decimals, text) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-5, 1, "-0.5"),
            (1234, 1, "123.4"),
            (-1234, 0, "-1234"),
            (1_763_870_400_000, 0, "1763870400000"),
        ] {
            let mut out = Vec::new();
            write_decimal(&mut out, raw, decimals);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn a_record_is_json_of_the_agreed_form() {
        let mut reading = Reading::default();
        reading.number("flow", 12.4, 2);
        reading.flag("pump_1_run", true);
        let mut out = Vec::new();
        let mark = Mark {
            ts: 1_763_870_400_000,
            seq: Some(17),
            backfill: true,
        };
        write_record(&mut out, mark, &reading);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let wanted = serde_json::json!({
            "ts": 1_763_870_400_000_i64, "seq": 17, "backfill": true,
            "values": {"flow": 12.4, "pump_1_run": true}
        });
        assert_eq!(json, wanted);
    }
}
