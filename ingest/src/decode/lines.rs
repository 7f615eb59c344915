//! InfluxDB line protocol, as the door has sorted it: the lines of one device.
//!
//! Each line is a reading. A field is the signal of its name; else `{measurement}_{field}`; else, where the
//! field is called `value`, the measurement. Tags are not values. A text is of the wrong type.

use influxdb_line_protocol::{FieldValue, ParsedLine, split_lines};
use telemetry::time::Timestamp;

use super::json::Scalar;
use super::signals::SignalTable;
use super::{DeviceTime, Item, Parsed, Reason, Record, too_many};
use crate::push::lines::{Precision, opened, parse};

/// # Errors
/// [`Reason`] when the payload is not what the door makes, or holds too many values; `into` is then of no use.
pub(crate) fn read(signals: &SignalTable, payload: &[u8], into: &mut Parsed) -> Result<(), Reason> {
    into.clear();
    let text = std::str::from_utf8(payload).map_err(|_| Reason::from("the lines are not UTF-8"))?;
    let (precision, lines) = opened(text).ok_or("the lines do not say the precision of their times")?;
    for line in split_lines(lines).filter(|line| !line.trim().is_empty()) {
        record(signals, &parse(line)?, precision, into);
        if into.is_full() {
            return Err(too_many());
        }
    }
    Ok(())
}

fn record(signals: &SignalTable, line: &ParsedLine<'_>, precision: Precision, into: &mut Parsed) {
    let mut record = Record::EMPTY;
    if let Some(time) = line.timestamp {
        record.time = (precision.to_millis(time)).map_or(DeviceTime::Unreadable, |ms| {
            DeviceTime::At(Timestamp::from_millis(ms))
        });
    }
    let measurement = line.series.measurement.as_str();
    for (field, value) in &line.field_set {
        let Some(signal) = find(signals, measurement, field.as_str()) else {
            record.unknown += 1;
            continue;
        };
        let (value, quality) = signals.judge(signal, &scalar(value));
        into.items.push(Item {
            signal,
            value,
            quality,
        });
        record.items += 1;
    }
    into.records.push(record);
}

pub(crate) fn find(signals: &SignalTable, measurement: &str, field: &str) -> Option<u16> {
    signals
        .find(field, 0)
        .or_else(|| signals.find(&format!("{measurement}_{field}"), 0))
        .or_else(|| signals.find(measurement, 0).filter(|_| field == "value"))
}

#[expect(clippy::cast_precision_loss, reason = "a value is an f64 wherever it goes")]
pub(crate) fn scalar<'a>(value: &'a FieldValue<'_>) -> Scalar<'a> {
    match value {
        FieldValue::I64(n) => Scalar::Number(*n as f64),
        FieldValue::U64(n) => Scalar::Number(*n as f64),
        FieldValue::F64(n) => Scalar::Number(*n),
        FieldValue::Boolean(yes) => Scalar::Bool(*yes),
        FieldValue::String(text) => Scalar::Text(text.as_str().into()),
    }
}
