//! Whether a register map makes sense.

use super::{ModbusMap, ModbusPoint, RegisterKind, WriteSpec, WriteTarget};
use crate::limits::{
    MODBUS_BITS_MAX, MODBUS_REGISTERS_MAX, MODBUS_SCAN_CLASSES_MAX, MODBUS_STRING_WORDS_MAX,
};
use crate::profile::Profile;
use crate::time::Span;

/// Longest pause between two requests to a unit.
const PAUSE_MAX: Span = Span::from_secs(10);
/// Shortest and longest interval of a scan class.
const SCAN: [Span; 2] = [Span::from_millis(100), Span::from_secs(86_400)];

/// What is wrong with the map of a profile; `None` when nothing is.
pub(crate) fn nonsense(profile: &Profile) -> Option<String> {
    let map = &profile.modbus;
    if map.points.is_empty() {
        return None;
    }
    limits_nonsense(map).or_else(|| {
        map.points.iter().find_map(|point| {
            let what = point_nonsense(profile, point)
                .or_else(|| kind_nonsense(point))
                .or_else(|| value_nonsense(map, point))
                .or_else(|| write_nonsense(map, point))?;
            Some(format!("modbus point {}: {what}", point.signal))
        })
    })
}

fn limits_nonsense(map: &ModbusMap) -> Option<String> {
    let ModbusMap { block_max, pause, .. } = map;
    if !(1..=MODBUS_REGISTERS_MAX).contains(block_max) {
        return Some(format!("modbus.block_max {block_max}; 1 to 125 are allowed"));
    }
    if let Some(bits) = map.bits_max
        && !(1..=MODBUS_BITS_MAX).contains(&bits)
    {
        return Some(format!("modbus.bits_max {bits}; 1 to 2000 are allowed"));
    }
    if *pause > PAUSE_MAX {
        return Some(format!("modbus.pause {pause}; at most {PAUSE_MAX} is allowed"));
    }
    if map.scan.len() > MODBUS_SCAN_CLASSES_MAX {
        return Some(format!(
            "modbus.scan: {} classes; at most {MODBUS_SCAN_CLASSES_MAX} are allowed",
            map.scan.len()
        ));
    }
    let [least, most] = SCAN;
    if let Some((name, every)) = map
        .scan
        .iter()
        .find(|(_, every)| !(least..=most).contains(*every))
    {
        return Some(format!(
            "modbus.scan.{name} {every}; {least} to {most} are allowed"
        ));
    }
    let wrong = |no: &&super::Forbidden| !(1..=4).contains(&no.function) || no.from > no.to;
    map.forbidden.iter().find(wrong).map(|no| {
        format!(
            "modbus.forbidden: function {} from {} to {}; function 1 to 4, from not after to",
            no.function, no.from, no.to
        )
    })
}

fn point_nonsense(profile: &Profile, point: &ModbusPoint) -> Option<String> {
    let map = &profile.modbus;
    if profile.signal_index(point.signal.as_str()).is_none() {
        return Some("there is no such signal".to_owned());
    }
    if !(1..=4).contains(&point.function) {
        return Some(format!("function {}; reading is 1 to 4", point.function));
    }
    if point.function <= 2 && (point.kind != RegisterKind::Bool || point.bit.is_some()) {
        return Some(format!(
            "function {} reads bits: type = \"bool\" without bit",
            point.function
        ));
    }
    if wraps(point.address, point.words()) {
        return Some(format!("address {} runs over 65535", point.address));
    }
    if point.words() > map.longest(point.function) {
        return Some(format!(
            "{} registers, but block_max is {}",
            point.words(),
            map.block_max
        ));
    }
    if map.is_forbidden(point.function, point.address, point.words()) {
        return Some("it stands in a register that modbus.forbidden names".to_owned());
    }
    if let Some(class) = &point.scan
        && !map.scan.contains_key(class)
    {
        let known: Vec<&str> = map.scan.keys().map(AsRef::as_ref).collect();
        return Some(format!(
            "there is no scan class {class:?} in modbus.scan; there are {}",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        ));
    }
    let same = map.points.iter().filter(|other| other.signal == point.signal);
    (same.count() > 1).then(|| "it stands there twice".to_owned())
}

fn kind_nonsense(point: &ModbusPoint) -> Option<String> {
    let kind = point.kind;
    if point.order.is_for_four() && kind.words() != 4 {
        return Some("an order of eight letters is for values of four registers".to_owned());
    }
    if let Some(bit) = point.bit
        && (kind != RegisterKind::Bool || bit > 15)
    {
        return Some(format!("bit {bit}; 0 to 15 of type = \"bool\" is allowed"));
    }
    if let Some([low, high]) = point.bits {
        let width = kind.words().saturating_mul(16);
        if !kind.has_fields() || low > high || u16::from(high) >= width {
            return Some(format!(
                "bits [{low}, {high}]; lowest and highest bit of an unsigned integer are allowed"
            ));
        }
    }
    let is_string = kind == RegisterKind::String;
    if is_string != point.words.is_some() || is_string == point.texts.is_empty() {
        return Some("words and texts belong to type = \"string\", and a string needs both".to_owned());
    }
    (is_string && !(1..=MODBUS_STRING_WORDS_MAX).contains(&point.words())).then(|| {
        format!(
            "words {}; 1 to {MODBUS_STRING_WORDS_MAX} are allowed",
            point.words()
        )
    })
}

fn value_nonsense(map: &ModbusMap, point: &ModbusPoint) -> Option<String> {
    if !(point.scale.is_finite() && point.offset.is_finite()) {
        return Some(format!("scale {} and offset {}", point.scale, point.offset));
    }
    let width = 16 * u32::from(point.kind.words());
    let fits =
        |pattern: &i64| width >= 64 || (*pattern >= -(1i64 << (width - 1)) && *pattern < 1i64 << width);
    if let Some(pattern) = point.none.0.iter().find(|pattern| !fits(pattern)) {
        return Some(format!("none {pattern} does not fit into {width} bits"));
    }
    (map.points.len() > crate::limits::SIGNALS_PER_PROFILE_MAX).then(|| "too many points".to_owned())
}

fn write_nonsense(map: &ModbusMap, point: &ModbusPoint) -> Option<String> {
    let spec = point.write?;
    if let Some(what) = range_nonsense(point, spec) {
        return Some(what);
    }
    let Some(target) = point.write_target() else {
        return Some(format!(
            "write: function {} cannot be written; name write.function and write.address",
            point.function
        ));
    };
    if point.kind.is_part()
        || point.kind == RegisterKind::String
        || point.bit.is_some()
        || point.bits.is_some()
    {
        return Some("write: a part of a register and a text cannot be written".to_owned());
    }
    let WriteTarget {
        function,
        address,
        count,
    } = target;
    let bits = point.kind == RegisterKind::Bool;
    let fits = match function {
        5 | 15 => bits,
        6 => count == 1 && point.function > 1,
        16 => point.function > 1,
        _ => false,
    };
    if !fits {
        return Some(format!(
            "write.function {function}; 5 or 15 for a bool, 6 for one register, 16 for any are allowed"
        ));
    }
    if wraps(address, count) {
        return Some(format!("write.address {address} runs over 65535"));
    }
    map.is_forbidden(target.read_function(), address, count)
        .then(|| "write: it could not be read back, modbus.forbidden names it".to_owned())
}

fn range_nonsense(point: &ModbusPoint, spec: WriteSpec) -> Option<String> {
    let WriteSpec { min, max, step, .. } = spec;
    if !(min.is_finite() && max.is_finite() && min <= max) {
        return Some(format!("write: min {min} to max {max} is empty"));
    }
    if let Some(step) = step
        && !(step.is_finite() && step > 0.0)
    {
        return Some(format!("write.step {step}; more than 0 is allowed"));
    }
    if point.scale == 0.0 {
        return Some("write: with a scale of 0 nothing can be written".to_owned());
    }
    (point.kind == RegisterKind::Bool && !(min >= 0.0 && max <= 1.0))
        .then(|| format!("write: min {min}, max {max}; a bool is 0 or 1"))
}

fn wraps(address: u16, count: u16) -> bool {
    u32::from(address) + u32::from(count) > 65_536
}
