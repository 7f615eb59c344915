//! The model that engines are compared with, for tests of this and other crates.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use telemetry::sample::{Sample, SeriesId};
use telemetry::time::{Span, Timestamp};

use crate::series::query::{Counter, OnReset, curve, increases, state_durations, time_weighted_means};
use crate::series::{Cancel, CivilUnit, Grid, SeriesError, SeriesReader, Sink, UnknownZone, Zone};

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

/// Where an engine and the model answer differently.
#[derive(Debug, thiserror::Error)]
pub enum Difference {
    /// The same question, two answers.
    #[error("{question} of series {series}: {found} instead of {wanted}")]
    Answer {
        /// What was asked.
        question: String,
        /// Of which series; 0 when of many.
        series: u32,
        /// What the engine said.
        found: String,
        /// What the model said.
        wanted: String,
    },
    /// The suite's own zone is missing.
    #[error("no zone for the civil windows")]
    Zone(#[from] UnknownZone),
    /// The suite's own windows are too many.
    #[error("no civil windows")]
    Grid(#[from] SeriesError),
}

/// The behaviour that every engine has in common: the same questions to `engine` and `model`, about times around
/// `now`, have to have the same answers. Values should be multiples of a quarter, so that sums are exact.
///
/// # Errors
/// [`Difference`] with the first question that is answered differently.
pub fn agree(
    engine: &dyn SeriesReader,
    model: &MemorySeries,
    series: &[SeriesId],
    now: Timestamp,
) -> Result<(), Difference> {
    let day = Span::from_secs(86_400);
    let (from, to) = (now.minus(Span::from_secs(5 * 86_400)), now.plus(day));
    let zone = Zone::new("Europe/Berlin")?;
    let grids = [
        Grid::every(from, to, Span::from_secs(900)),
        Grid::every(now.minus(day), now, Span::from_secs(3600)),
        zone.grid(CivilUnit::Day, from, to)?,
        zone.grid(CivilUnit::LightingNight, from, to)?,
    ];
    let never = Cancel::never();
    let hold = Span::from_secs(2 * 3600);
    let counter = Counter {
        modulus: Some(2.0),
        rollover_band: 0.25,
        on_reset: OnReset::FromZero,
        rate_max_per_h: None,
        slack: 0.0,
        gap_max: hold,
    };
    for id in series {
        let same = |question: &str, ask: &dyn Fn(&dyn SeriesReader) -> String| {
            let (found, wanted) = (ask(engine), ask(model));
            if found == wanted {
                return Ok(());
            }
            let (question, series) = (question.to_owned(), id.0);
            Err(Difference::Answer {
                question,
                series,
                found,
                wanted,
            })
        };
        same("latest", &|reader| format!("{:?}", reader.latest(*id)))?;
        same("last_before", &|reader| {
            format!("{:?}", reader.last_before(*id, now))
        })?;
        same("range", &|reader| {
            format!("{:?}", reader.range(*id, from, to, 1_000_000))
        })?;
        same("a range that is too long", &|reader| {
            format!("{:?}", reader.range(*id, from, to, 3))
        })?;
        same("curve", &|reader| {
            format!("{:?}", curve(reader, *id, from, to, 5, &never))
        })?;
        for grid in &grids {
            same("windows", &|reader| {
                format!("{:?}", reader.windows_in(*id, grid, &never))
            })?;
            same("means", &|reader| {
                format!("{:?}", time_weighted_means(reader, *id, grid, hold, &never))
            })?;
            same("states", &|reader| {
                let stays = state_durations(reader, *id, grid, hold, &never);
                // In which order they first came may differ between a summary and its samples: it is no promise.
                let sorted = stays.map(|mut stays| {
                    for stay in &mut stays {
                        stay.states.sort_by(|a, b| a.0.total_cmp(&b.0));
                    }
                    stays
                });
                format!("{sorted:?}")
            })?;
            same("increases", &|reader| {
                format!("{:?}", increases(reader, *id, grid, counter, &never))
            })?;
        }
    }
    many(engine, model, series, (from, to), &grids)
}

/// The questions about many series at once.
fn many(
    engine: &dyn SeriesReader,
    model: &MemorySeries,
    series: &[SeriesId],
    (from, to): (Timestamp, Timestamp),
    grids: &[Grid],
) -> Result<(), Difference> {
    let never = Cancel::never();
    let ask = |reader: &dyn SeriesReader| {
        let windows = grids.iter().map(|grid| reader.windows_many(series, grid, &never));
        let windows: Vec<_> = windows.collect();
        let samples = reader.range_many(series, from, to, 1_000_000, &never);
        format!("{:?} {samples:?} {windows:?}", reader.latest_many(series))
    };
    let (found, wanted) = (ask(engine), ask(model));
    if found == wanted {
        return Ok(());
    }
    Err(Difference::Answer {
        question: "many at once".to_owned(),
        series: 0,
        found,
        wanted,
    })
}
