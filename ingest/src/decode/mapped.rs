//! The payload of a device that speaks a form of its own: the profile says by JSON pointers (RFC 6901)
//! where its values stand. What no pointer names is not counted.

use serde_json::Value;

use super::json::Scalar;
use super::signals::SignalTable;
use super::{DeviceTime, Item, Parsed, Reason, Record, too_many};

/// Reads by the mapping; answers whether any pointer led somewhere. An array is read element by element
/// when no pointer leads into it as a whole.
///
/// # Errors
/// [`Reason`] when the payload is no JSON or holds too many values.
pub(crate) fn read(signals: &SignalTable, payload: &[u8], into: &mut Parsed) -> Result<bool, Reason> {
    let root: Value = serde_json::from_slice(payload)
        .map_err(|error| Reason::from(format!("the payload is not JSON: {error}")))?;
    if record(signals, &root, into) {
        return Ok(true);
    }
    let mut any = false;
    for element in root.as_array().into_iter().flatten() {
        any |= record(signals, element, into);
        if into.is_full() {
            return Err(too_many());
        }
    }
    Ok(any)
}

fn record(signals: &SignalTable, root: &Value, into: &mut Parsed) -> bool {
    let mapping = &signals.mapping;
    let first = into.items.len();
    for (signal, pointer, scale) in &mapping.values {
        let Some(found) = root.pointer(pointer) else {
            continue;
        };
        let (value, quality) = match Scalar::of(found) {
            Scalar::Number(raw) => signals.judge_number(*signal, scale.apply(raw)),
            other => signals.judge(*signal, &other),
        };
        into.items.push(Item {
            signal: *signal,
            value,
            quality,
        });
    }
    let items = into.items.len() - first;
    if items == 0 {
        return false;
    }
    let at = |pointer: &Option<Box<str>>| pointer.as_ref().and_then(|pointer| root.pointer(pointer));
    into.records.push(Record {
        time: at(&mapping.time).map_or(DeviceTime::None, |time| Scalar::of(time).mapped_time()),
        seq: at(&mapping.seq).and_then(|seq| Scalar::of(seq).seq()),
        items,
        ..Record::EMPTY
    });
    true
}
