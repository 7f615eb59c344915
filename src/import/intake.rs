//! What was read, on its way to the disk: checked, gathered, written, counted.

use serde::Serialize;
use store::series::{SeriesError, SeriesStore};
use telemetry::time::Span;
use telemetry::{Point, Sample, SeriesId, Timestamp};

use super::county::Keep;

/// Points that are gathered before they are written: about 70 bytes each.
const BATCH_POINTS: usize = 1_000_000;
/// How far ahead of our clock a reading may lie. Source: the same as for what devices send.
const FUTURE: Span = Span::from_secs(60);

/// What became of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Lines with readings.
    pub lines: u64,
    /// Lines that did not go in.
    pub rejected: u64,
    /// Points that went in; with `--dry-run`, that would.
    pub points: u64,
    /// Points whose time stands twice in the files: the later one counts.
    pub repeated: u64,
    /// Points that the profile calls bad, and that came as better.
    pub judged_bad: u64,
}

/// Takes the readings of all files.
pub(super) struct Intake<'a> {
    /// None: nothing is written.
    pub store: Option<&'a SeriesStore>,
    pub now: Timestamp,
    keep: &'a Keep,
    pub counts: Counts,
    batch: Vec<Point>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(store: Option<&'a SeriesStore>, now: Timestamp, keep: &'a Keep) -> Self {
        Self {
            store,
            now,
            keep,
            counts: Counts::default(),
            batch: Vec::new(),
        }
    }

    /// Takes the readings of one line, all or none.
    ///
    /// # Errors
    /// Why not, for a person.
    pub(super) fn check(&self, readings: &[(SeriesId, Sample)]) -> Result<(), String> {
        if readings.is_empty() {
            return Err("the line has no readings".to_owned());
        }
        for (series, sample) in readings {
            let time = sample.time;
            if time > self.now.plus(FUTURE) {
                return Err(format!("{time} is in the future"));
            }
            let keep = *self.keep.short.get(series).unwrap_or(&self.keep.longest);
            if time < self.now.minus(keep) {
                let days = keep.millis() / 86_400_000;
                return Err(format!(
                    "{time} is older than what is kept ({days} days, data.keep)"
                ));
            }
        }
        Ok(())
    }

    /// Takes readings that were checked.
    ///
    /// # Errors
    /// [`SeriesError`] when the disk fails or is full.
    pub(super) fn take(&mut self, readings: &[(SeriesId, Sample)]) -> Result<(), SeriesError> {
        let arrived = self.now;
        let points = readings.iter().map(|(series, sample)| Point {
            series: *series,
            sample: *sample,
            arrived,
            backfill: true,
        });
        if self.store.is_none() {
            self.counts.points += readings.len() as u64;
            return Ok(());
        }
        self.batch.extend(points);
        if self.batch.len() >= BATCH_POINTS {
            self.write()?;
        }
        Ok(())
    }

    /// Writes what was gathered; it is on disk afterwards.
    ///
    /// # Errors
    /// [`SeriesError`] when the disk fails or is full, or there are too many series.
    pub(super) fn write(&mut self) -> Result<(), SeriesError> {
        let Some(store) = self.store else {
            return Ok(());
        };
        if self.batch.is_empty() {
            return Ok(());
        }
        let written = store.import(&self.batch)?;
        self.batch.clear();
        self.counts.points += written.stored;
        self.counts.repeated += written.duplicates + written.replaced;
        let lost = written.refused + written.too_old;
        if lost > 0 {
            return Err(SeriesError::Engine {
                doing: format!("importing: {lost} points were not taken"),
                source: "there are too many series, or their days have been deleted".into(),
            });
        }
        Ok(())
    }
}
