//! SenML JSON. Source: RFC 8428, §4 and §5.
//!
//! A name is `signal`, or `device:signal` behind any further prefix (`urn:dev:ow:device:signal`); a value
//! under the name of another device is an unknown signal. Units are not converted: a value counts in the
//! unit of the profile. A sum, a text or binary data is of the wrong type. Records of one time that
//! stand together make one reading.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use telemetry::Quality;
use telemetry::time::Timestamp;

use super::json::{Scalar, ScalarSeed, whole};
use super::{Context, DeviceTime, Item, Parsed, Reason, Record, too_many};

/// The version of SenML that this file knows. Source: RFC 8428 §4.1.
const VERSION: f64 = 10.0;
/// Times below this many seconds are relative to now. Source: RFC 8428 §4.5.3, 2^28.
const RELATIVE_BELOW_S: f64 = 268_435_456.0;

/// # Errors
/// [`Reason`] when the payload is no SenML pack either, or one of a later version or with a field that must be
/// understood and is not.
pub(crate) fn read(context: Context<'_>, payload: &[u8], into: &mut Parsed) -> Result<(), Reason> {
    let pack = Pack {
        context,
        into,
        bases: Bases::default(),
        full: false,
        foreign: None,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let mut pack = pack;
    let done = deserializer
        .deserialize_seq(&mut pack)
        .and_then(|()| deserializer.end());
    if pack.full {
        return Err(too_many());
    }
    if let Some(foreign) = pack.foreign {
        return Err(foreign);
    }
    done.map_err(|_| {
        "the payload is JSON, but neither an object with values, nor SenML, nor what the profile maps".into()
    })
}

struct Pack<'a> {
    context: Context<'a>,
    into: &'a mut Parsed,
    bases: Bases,
    full: bool,
    /// Set when the pack says that it must not be read by those who do not understand it.
    foreign: Option<Reason>,
}

/// The base fields: they hold for their record and all that follow. Source: RFC 8428 §4.1.
#[derive(Default)]
struct Bases {
    name: String,
    time: f64,
    value: f64,
}

/// The fields of one record that matter here.
#[derive(Default)]
struct Fields<'de> {
    name: Option<Cow<'de, str>>,
    time: f64,
    value: Option<Scalar<'de>>,
    /// Whether any known field stands there: else it is another form.
    is_senml: bool,
}

impl<'de> Visitor<'de> for &mut Pack<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SenML pack")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(fields) = records.next_element_seed(RecordSeed {
            bases: &mut self.bases,
            foreign: &mut self.foreign,
        })? {
            if !fields.is_senml {
                return Err(A::Error::custom("another form"));
            }
            self.take(&fields);
            if self.into.is_full() {
                self.full = true;
                return Err(A::Error::custom("given up"));
            }
        }
        Ok(())
    }
}

impl Pack<'_> {
    fn take(&mut self, fields: &Fields<'_>) {
        let Some(value) = &fields.value else {
            return; // Only base fields.
        };
        let time = self.time(self.bases.time + fields.time);
        let open = self.into.records.last().is_some_and(|record| record.time == time);
        if !open {
            self.into.records.push(Record {
                time,
                ..Record::EMPTY
            });
        }
        let item = self.item(fields.name.as_deref().unwrap_or(""), value);
        let Some(record) = self.into.records.last_mut() else {
            return; // One was pushed above.
        };
        match item {
            Some(item) => {
                record.items += 1;
                self.into.items.push(item);
            }
            None => record.unknown += 1,
        }
    }

    fn item(&self, name: &str, value: &Scalar<'_>) -> Option<Item> {
        let full = [self.bases.name.as_str(), name].concat();
        let signal = match full.rsplit_once(':') {
            None => full.as_str(),
            Some((prefix, signal)) => {
                let device = prefix.rsplit(':').next().unwrap_or(prefix);
                (device == self.context.device.as_str()).then_some(signal)?
            }
        };
        let signal = self.context.signals.find(signal, 0)?;
        let (value, quality): (f64, Quality) = match value {
            Scalar::Number(v) => self.context.signals.judge_number(signal, v + self.bases.value),
            other => self.context.signals.judge(signal, other),
        };
        Some(Item {
            signal,
            value,
            quality,
        })
    }

    /// Source: RFC 8428 §4.5.3: below 2^28 s it is relative to now, and 0 is now.
    fn time(&self, seconds: f64) -> DeviceTime {
        if seconds == 0.0 {
            return DeviceTime::None;
        }
        let ms = whole((seconds * 1000.0).round()).map(Timestamp::from_millis);
        match ms {
            None => DeviceTime::Unreadable,
            Some(ms) if seconds < RELATIVE_BELOW_S => DeviceTime::At(Timestamp::from_millis(
                self.context.arrived.millis().saturating_add(ms.millis()),
            )),
            Some(ms) => DeviceTime::At(ms),
        }
    }
}

struct RecordSeed<'a> {
    bases: &'a mut Bases,
    foreign: &'a mut Option<Reason>,
}

impl<'de> DeserializeSeed<'de> for RecordSeed<'_> {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SenML record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = entries.next_key::<Key<'de>>()? {
            let key = key.0.as_ref();
            let known = matches!(
                key,
                "bn" | "bt"
                    | "bu"
                    | "bv"
                    | "bs"
                    | "bver"
                    | "n"
                    | "u"
                    | "v"
                    | "vs"
                    | "vb"
                    | "vd"
                    | "s"
                    | "t"
                    | "ut"
            );
            fields.is_senml |= known;
            match key {
                "bn" => self.bases.name = text(entries.next_value_seed(ScalarSeed)?).into_owned(),
                "n" => fields.name = Some(text(entries.next_value_seed(ScalarSeed)?)),
                "bt" => self.bases.time = number(&entries.next_value_seed(ScalarSeed)?),
                "bv" => self.bases.value = number(&entries.next_value_seed(ScalarSeed)?),
                "t" => fields.time = number(&entries.next_value_seed(ScalarSeed)?),
                "v" | "vb" => fields.value = Some(entries.next_value_seed(ScalarSeed)?),
                "vs" | "vd" => {
                    entries.next_value::<IgnoredAny>()?;
                    fields.value = Some(Scalar::Text(Cow::Borrowed("")));
                }
                "s" => {
                    entries.next_value::<IgnoredAny>()?;
                    fields.value.get_or_insert(Scalar::Composite);
                }
                "bver" if number(&entries.next_value_seed(ScalarSeed)?) > VERSION => {
                    *self.foreign = Some("the SenML pack is of a later version than 10".into());
                    return Err(A::Error::custom("given up"));
                }
                "bver" => {}
                _ if key.ends_with('_') => {
                    let key: String = key.chars().take(40).collect();
                    *self.foreign =
                        Some(format!("the SenML field {key} must be understood and is not known").into());
                    return Err(A::Error::custom("given up"));
                }
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn text(scalar: Scalar<'_>) -> Cow<'_, str> {
    match scalar {
        Scalar::Text(text) => text,
        Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) | Scalar::Composite => Cow::Borrowed(""),
    }
}

/// What is no number is not finite, and so spoils what it is added to.
fn number(scalar: &Scalar<'_>) -> f64 {
    match scalar {
        Scalar::Number(number) => *number,
        Scalar::Null | Scalar::Bool(_) | Scalar::Text(_) | Scalar::Composite => f64::NAN,
    }
}
