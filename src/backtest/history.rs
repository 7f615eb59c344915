//! Stored history of many series in one order of time, piece by piece: what is held at once has a bound, however long the history is.

use std::ops::ControlFlow;

use alarms::backtest::Reading;
use store::series::{Cancel, Outside, SeriesReader, Sink, Sinks, Window};
use telemetry::time::Span;
use telemetry::{Sample, SeriesId, Timestamp};

use crate::exit::Failure;

/// Readings of a piece that are aimed at, 32 bytes each.
const PIECE_AIM: i64 = 1_000_000;
/// Readings at which a piece is given up and asked for anew, in half its length.
const PIECE_MAX: usize = 2_000_000;
/// The first piece: nobody knows yet how much there is.
const PIECE_FIRST_MS: i64 = Timestamp::DAY_MS;
/// The shortest piece; it is taken however much it holds.
const PIECE_MIN_MS: i64 = 1000;
/// How much longer than the piece before the next one may be: what comes may be denser.
const GROWTH_MAX: i64 = 8;

/// Readings in order of time.
pub(super) struct Piece {
    /// In order of time, then of series.
    pub readings: Vec<Reading>,
    /// All readings before that time are there.
    pub until: Timestamp,
}

/// The history of some series from a time to another.
pub(super) struct History<'a> {
    points: &'a Outside,
    cancel: &'a Cancel,
    series: Vec<SeriesId>,
    devices: Vec<u32>,
    /// Series of which only summaries are left somewhere.
    thinned: Vec<bool>,
    at: Timestamp,
    to: Timestamp,
    length_ms: i64,
}

impl<'a> History<'a> {
    /// Of `owners`, series with the place of their device.
    pub(super) fn new(
        points: &'a Outside,
        cancel: &'a Cancel,
        owners: &[(SeriesId, u32)],
        (from, to): (Timestamp, Timestamp),
    ) -> Self {
        let (series, devices): (Vec<SeriesId>, Vec<u32>) = owners.iter().copied().unzip();
        Self {
            thinned: vec![false; series.len()],
            points,
            cancel,
            series,
            devices,
            at: from,
            to,
            length_ms: PIECE_FIRST_MS,
        }
    }

    /// The next piece; none at the end. It may be empty.
    ///
    /// # Errors
    /// [`Failure`] when the points cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, Failure> {
        if self.at >= self.to {
            return Ok(None);
        }
        loop {
            let length = Span::from_millis(self.length_ms.unsigned_abs());
            let until = self.at.plus(length).min(self.to);
            let bound = if self.length_ms > PIECE_MIN_MS {
                PIECE_MAX
            } else {
                usize::MAX
            };
            let Some(readings) = self.read(until, bound)? else {
                self.length_ms = (self.length_ms / 2).max(PIECE_MIN_MS);
                continue;
            };
            self.at = until;
            self.length_ms = next_length(self.length_ms, readings.len());
            return Ok(Some(Piece { readings, until }));
        }
    }

    /// Of how many series only summaries are left somewhere in what was read: their samples were let go.
    pub(super) fn summaries_only(&self) -> usize {
        self.thinned.iter().filter(|thinned| **thinned).count()
    }

    /// None when there are more than `bound`.
    fn read(&mut self, until: Timestamp, bound: usize) -> Result<Option<Vec<Reading>>, Failure> {
        let mut gather = Gather {
            series: &self.series,
            devices: &self.devices,
            thinned: &mut self.thinned,
            place: 0,
            bound,
            readings: Vec::new(),
        };
        self.points
            .scan_many(&self.series, self.at, until, self.cancel, &mut gather)
            .map_err(|error| unread(&error))?;
        let mut readings = gather.readings;
        if readings.len() > bound {
            return Ok(None);
        }
        readings.sort_unstable_by_key(|reading| (reading.time, reading.series));
        Ok(Some(readings))
    }
}

fn unread(error: &store::series::SeriesError) -> Failure {
    Failure::data("the points cannot be read", error)
}

/// As long as holds the number of readings that is aimed at.
fn next_length(length_ms: i64, readings: usize) -> i64 {
    let readings = i64::try_from(readings).unwrap_or(i64::MAX).max(1);
    let wanted = length_ms.saturating_mul(PIECE_AIM) / readings;
    wanted.clamp(PIECE_MIN_MS, length_ms.saturating_mul(GROWTH_MAX))
}

/// The time of the first sample of any of `owners`, in a time; looked for day by day.
///
/// # Errors
/// [`Failure`] when the points cannot be read.
pub(super) fn first(
    points: &Outside,
    owners: &[(SeriesId, u32)],
    (from, to): (Timestamp, Timestamp),
) -> Result<Option<Timestamp>, Failure> {
    let series: Vec<SeriesId> = owners.iter().map(|(series, _)| *series).collect();
    let mut begin = from;
    while begin < to {
        let end = begin.plus(Span::from_secs(86_400)).min(to);
        let mut first = First(None);
        points
            .scan_many(&series, begin, end, &Cancel::never(), &mut first)
            .map_err(|error| unread(&error))?;
        if first.0.is_some() {
            return Ok(first.0);
        }
        begin = end;
    }
    Ok(None)
}

/// Takes the first sample of all; of each series one is enough.
struct First(Option<Timestamp>);

impl First {
    fn take(&mut self, at: Timestamp) -> ControlFlow<()> {
        self.0 = Some(self.0.map_or(at, |first| first.min(at)));
        ControlFlow::Break(())
    }
}

impl Sinks for First {
    fn sink(&mut self, _: usize) -> Option<&mut dyn Sink> {
        Some(self)
    }
}

impl Sink for First {
    fn serves(&self, _: &Window) -> bool {
        true
    }

    fn summary(&mut self, stretch: &Window) -> ControlFlow<()> {
        self.take(stretch.heard_first)
    }

    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        match samples.first() {
            Some(sample) => self.take(sample.time),
            None => ControlFlow::Continue(()),
        }
    }
}

/// Takes the samples of all series.
struct Gather<'a> {
    series: &'a [SeriesId],
    devices: &'a [u32],
    thinned: &'a mut [bool],
    /// Whose samples come now.
    place: usize,
    bound: usize,
    readings: Vec<Reading>,
}

impl Sinks for Gather<'_> {
    fn sink(&mut self, place: usize) -> Option<&mut dyn Sink> {
        self.place = place;
        Some(self)
    }
}

impl Sink for Gather<'_> {
    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        let whose = self.series.get(self.place).zip(self.devices.get(self.place));
        let Some((series, device)) = whose.filter(|_| self.readings.len() <= self.bound) else {
            return ControlFlow::Break(());
        };
        self.readings.extend(samples.iter().map(|sample| Reading {
            time: sample.time,
            value: sample.value,
            series: *series,
            device: *device,
            quality: sample.quality,
        }));
        ControlFlow::Continue(())
    }

    fn thinned(&mut self, _: &Window) -> ControlFlow<()> {
        if let Some(thinned) = self.thinned.get_mut(self.place) {
            *thinned = true;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_piece_is_as_long_as_holds_a_million_readings_but_eight_times_as_long_at_most() {
        // 500,000 in an hour: two hours hold a million.
        assert_eq!(next_length(3_600_000, 500_000), 7_200_000);
        // 4,000,000 in an hour: a quarter of it.
        assert_eq!(next_length(3_600_000, 4_000_000), 900_000);
        assert_eq!(next_length(3_600_000, 0), 8 * 3_600_000);
        assert_eq!(next_length(1000, 50_000_000), PIECE_MIN_MS);
    }
}
