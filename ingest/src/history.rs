//! Readings of the past that come from a file: what a number of a signal is worth, and what a line of line protocol says.
//! Pure. The same judgement as for what devices send; but a line is taken whole or not at all, so that its sender can mend it.

use std::sync::Arc;

use influxdb_line_protocol::FieldValue;
use rustc_hash::FxHashMap;
use telemetry::time::Timestamp;
use telemetry::{Catalogue, Profile, Quality, Sample, SeriesId};

use crate::decode::json::Scalar;
use crate::decode::lines::{find, scalar};
use crate::decode::signals::SignalTable;
use crate::push::lines::{Precision, parse};

/// The signals of a county, ready for judging.
pub struct History {
    catalogue: Arc<Catalogue>,
    /// By place in the catalogue's devices.
    tables: Vec<Arc<SignalTable>>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("devices", &self.tables.len())
            .finish_non_exhaustive()
    }
}

/// A signal of a registered device.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its series.
    pub series: SeriesId,
    device: usize,
    signal: u16,
}

impl History {
    /// Of the devices of a catalogue.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        let mut known: FxHashMap<*const Profile, Arc<SignalTable>> = FxHashMap::default();
        let tables = catalogue.devices().iter().map(|entry| {
            let table = known
                .entry(Arc::as_ptr(&entry.profile))
                .or_insert_with(|| Arc::new(SignalTable::new(&entry.profile)));
            Arc::clone(table)
        });
        let tables = tables.collect();
        Self { catalogue, tables }
    }

    /// The place of a signal.
    ///
    /// # Errors
    /// What is not known, for a person.
    pub fn place(&self, device: &str, signal: &str) -> Result<Place, String> {
        let at = self.device(device)?;
        let found = self.tables.get(at).and_then(|table| table.find(signal, 0));
        found
            .and_then(|found| self.of(at, found))
            .ok_or_else(|| format!("the device {device} has no signal {:?}", shown(signal)))
    }

    /// The unit of a signal, a UCUM code.
    #[must_use]
    pub fn unit(&self, place: Place) -> &str {
        let entry = self.catalogue.devices().get(place.device);
        let signal = entry.and_then(|entry| entry.profile.signals.get(usize::from(place.signal)));
        signal.map_or("", |signal| &signal.unit)
    }

    /// What a number is worth by the profile: bad when it lies outside of the range, is an unknown state, or is not whole
    /// where it must be.
    #[must_use]
    pub fn judge(&self, place: Place, number: f64) -> Quality {
        match self.tables.get(place.device) {
            Some(table) => table.judge_value(place.signal, number).1,
            None => Quality::Good,
        }
    }

    /// Reads one line of line protocol into `into`. `tag` names the device.
    ///
    /// # Errors
    /// What is wrong with it, for a person; `into` is then of no use.
    pub fn line(
        &self,
        line: &str,
        precision: Precision,
        tag: &str,
        into: &mut Vec<(SeriesId, Sample)>,
    ) -> Result<(), String> {
        let parsed = parse(line)?;
        let device = parsed
            .tag_value(tag)
            .ok_or_else(|| format!("the line has no tag {tag}"))?;
        let at = self.device(device.as_str())?;
        let time = parsed.timestamp.ok_or("the line has no time")?;
        let ms = precision
            .to_millis(time)
            .ok_or_else(|| format!("the time {time} is none"))?;
        let measurement = parsed.series.measurement.as_str();
        for (field, value) in &parsed.field_set {
            let table = self.tables.get(at);
            let found = table.and_then(|table| Some((table, find(table, measurement, field.as_str())?)));
            let place = found.and_then(|(_, signal)| self.of(at, signal));
            let (Some((table, signal)), Some(place)) = (found, place) else {
                let field = shown(field.as_str());
                return Err(format!("the device {device} has no signal {field:?}"));
            };
            if matches!(value, FieldValue::String(_)) {
                return Err(format!("{field} is a text, not a number"));
            }
            // History is in the signal's unit, also where a device sends a current.
            let (value, quality) = match scalar(value) {
                Scalar::Number(number) => table.judge_value(signal, number),
                other => table.judge(signal, &other),
            };
            let time = Timestamp::from_millis(ms);
            let sample = Sample { time, value, quality };
            into.push((place.series, sample));
        }
        Ok(())
    }

    fn device(&self, id: &str) -> Result<usize, String> {
        self.catalogue
            .device_index(id)
            .ok_or_else(|| format!("the device {:?} is not registered", shown(id)))
    }

    fn of(&self, device: usize, signal: u16) -> Option<Place> {
        let entry = self.catalogue.devices().get(device)?;
        Some(Place {
            series: *entry.series.get(usize::from(signal))?,
            device,
            signal,
        })
    }
}

/// The beginning of a text, for a message.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}
