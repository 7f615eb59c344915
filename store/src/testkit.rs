//! The model that engines are compared with, for tests of this and other crates.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use telemetry::sample::{Sample, SeriesId};
use telemetry::time::Timestamp;

use crate::series::{Cancel, SeriesError, SeriesReader, Sink};

/// A series store in memory: a map by series and time, nothing else, so that it is plainly right.
#[derive(Debug, Default)]
pub struct MemorySeries {
    samples: RwLock<BTreeMap<SeriesId, BTreeMap<Timestamp, Sample>>>,
}

impl MemorySeries {
    /// Keeps `sample`; one of the same time is replaced.
    pub fn insert(&self, series: SeriesId, sample: Sample) {
        let mut all = self.samples.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(series).or_default().insert(sample.time, sample);
    }

    fn between(&self, series: SeriesId, from: Timestamp, to: Timestamp) -> Vec<Sample> {
        let all = self.samples.read().unwrap_or_else(PoisonError::into_inner);
        match all.get(&series) {
            Some(samples) if from < to => samples.range(from..to).map(|(_, sample)| *sample).collect(),
            _ => Vec::new(),
        }
    }
}

impl SeriesReader for MemorySeries {
    fn latest(&self, series: SeriesId) -> Result<Option<Sample>, SeriesError> {
        self.last_before(series, Timestamp::MAX)
    }

    fn last_before(&self, series: SeriesId, at: Timestamp) -> Result<Option<Sample>, SeriesError> {
        Ok(self.between(series, Timestamp::MIN, at).last().copied())
    }

    fn scan(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<(), SeriesError> {
        for piece in self.between(series, from, to).chunks(100) {
            if cancel.is_cancelled() {
                return Err(SeriesError::Cancelled);
            }
            if sink.samples(piece).is_break() {
                break;
            }
        }
        Ok(())
    }
}
