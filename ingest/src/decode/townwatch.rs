//! Townwatch's own form: `{"ts": …, "seq": …, "values": {…}, "quality": {…}, "backfill": true}`, or an array
//! of such objects. Read straight into [`Parsed`]: no tree, no allocation per value.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use telemetry::Quality;

use super::json::{Scalar, ScalarSeed};
use super::signals::{SignalTable, reported};
use super::{Item, Parsed, Record};

/// Why a payload is not in this form.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No JSON at all: what the parser says.
    NotJson(serde_json::Error),
    /// JSON, but some object has no `values`.
    OtherForm,
    /// More values than one message may hold.
    TooMany,
}

/// # Errors
/// [`Failure`]; `into` is then of no use.
pub(crate) fn read(signals: &SignalTable, payload: &[u8], into: &mut Parsed) -> Result<(), Failure> {
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    let mut refused = None;
    let reader = Reader {
        signals,
        into,
        refused: &mut refused,
    };
    let done = deserializer
        .deserialize_any(reader)
        .and_then(|()| deserializer.end());
    match (done, refused) {
        (Ok(()), None) => Ok(()),
        (_, Some(failure)) => Err(failure),
        (Err(error), None) if error.is_data() => Err(Failure::OtherForm),
        (Err(error), None) => Err(Failure::NotJson(error)),
    }
}

/// Reads the whole payload, or one object of it.
struct Reader<'a> {
    signals: &'a SignalTable,
    into: &'a mut Parsed,
    /// Set when the parse was given up for a reason of ours.
    refused: &'a mut Option<Failure>,
}

impl Reader<'_> {
    fn again(&mut self) -> Reader<'_> {
        Reader {
            signals: self.signals,
            into: self.into,
            refused: self.refused,
        }
    }

    fn refuse<E: serde::de::Error>(self, why: Failure) -> E {
        *self.refused = Some(why);
        E::custom("given up")
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with values, or an array of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut objects: A) -> Result<(), A::Error> {
        while objects.next_element_seed(self.again())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let first = self.into.items.len();
        let mut record = Record::EMPTY;
        let mut has_values = false;
        let mut qualities = Qualities::default();
        while let Some(field) = entries.next_key_seed(FieldSeed)? {
            match field {
                Field::Ts => record.time = entries.next_value_seed(ScalarSeed)?.time(),
                Field::Seq => record.seq = entries.next_value_seed(ScalarSeed)?.seq(),
                Field::Backfill => record.backfill = entries.next_value_seed(ScalarSeed)?.is_yes(),
                Field::Quality => entries.next_value_seed(QualitiesSeed(self.signals, &mut qualities))?,
                Field::Values => {
                    has_values = true;
                    record.unknown += entries.next_value_seed(ValuesSeed(self.again()))?;
                }
                Field::Other => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !has_values {
            return Err(self.refuse(Failure::OtherForm));
        }
        let items = self.into.items.get_mut(first..).unwrap_or_default();
        record.items = items.len();
        qualities.apply(items);
        self.into.records.push(record);
        if self.into.is_full() {
            return Err(self.refuse(Failure::TooMany));
        }
        Ok(())
    }
}

enum Field {
    Ts,
    Seq,
    Values,
    Quality,
    Backfill,
    Other,
}

struct FieldSeed;

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldSeed {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Field, E> {
        Ok(match key {
            "ts" => Field::Ts,
            "seq" => Field::Seq,
            "values" => Field::Values,
            "quality" => Field::Quality,
            "backfill" => Field::Backfill,
            _ => Field::Other,
        })
    }
}

/// Reads the object under `values` and answers how many names were unknown.
struct ValuesSeed<'a>(Reader<'a>);

impl<'de> DeserializeSeed<'de> for ValuesSeed<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ValuesSeed<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of values by signal")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<u64, A::Error> {
        let Self(reader) = self;
        let (mut unknown, mut expected) = (0u64, 0u16);
        while let Some(signal) = entries.next_key_seed(NameSeed(reader.signals, expected))? {
            let Some(signal) = signal else {
                entries.next_value::<IgnoredAny>()?;
                unknown += 1;
                if unknown > telemetry::limits::VALUES_PER_MESSAGE_MAX as u64 {
                    return Err(reader.refuse(Failure::TooMany));
                }
                continue;
            };
            expected = signal.saturating_add(1);
            let scalar = entries.next_value_seed(ScalarSeed)?;
            let (value, quality) = reader.signals.judge(signal, &scalar);
            reader.into.items.push(Item {
                signal,
                value,
                quality,
            });
            if reader.into.is_full() {
                return Err(reader.refuse(Failure::TooMany));
            }
        }
        Ok(unknown)
    }
}

/// Reads a key as the place of a signal; none when the profile does not know it.
struct NameSeed<'a>(&'a SignalTable, u16);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Option<u16>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u16>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<u16>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a signal")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<u16>, E> {
        let Self(signals, expected) = self;
        Ok(signals.find(name, expected))
    }
}

/// What the device said about its own values: of one signal, or of all.
#[derive(Default)]
struct Qualities {
    all: Quality,
    of: Vec<(u16, Quality)>,
}

impl Qualities {
    fn apply(&self, items: &mut [Item]) {
        if self.of.is_empty() && self.all.is_good() {
            return;
        }
        for item in items {
            let said = self.of.iter().filter(|(signal, _)| *signal == item.signal);
            for quality in said.map(|(_, quality)| *quality).chain([self.all]) {
                item.quality = item.quality.worse(quality);
            }
        }
    }
}

struct QualitiesSeed<'a>(&'a SignalTable, &'a mut Qualities);

impl<'de> DeserializeSeed<'de> for QualitiesSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for QualitiesSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of good, uncertain or bad by signal, or one word for all")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, word: &str) -> Result<(), E> {
        self.1.all = reported(word);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self(signals, qualities) = self;
        while let Some(signal) = entries.next_key_seed(NameSeed(signals, 0))? {
            let word = entries.next_value_seed(ScalarSeed)?;
            if let Some(signal) = signal {
                let quality = match &word {
                    Scalar::Text(word) => reported(word),
                    Scalar::Null => Quality::Good,
                    Scalar::Bool(_) | Scalar::Number(_) | Scalar::Composite => reported(""),
                };
                // One entry a signal, so that a message of repeated names cannot make this quadratic.
                match qualities.of.iter_mut().find(|(known, _)| *known == signal) {
                    Some((_, known)) => *known = known.worse(quality),
                    None => qualities.of.push((signal, quality)),
                }
            }
        }
        Ok(())
    }
}
