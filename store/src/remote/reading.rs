//! Reads from the remote engine, through the seam of every engine; alone, or together with the local store.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use telemetry::sample::{Sample, SeriesId};
use telemetry::time::{Span, Timestamp};
use telemetry::{Catalogue, Clock};

use super::engine::{Engine, Owner};
use super::hands::Hands;
use super::http::QueryError;
use super::slice::Slices;
use crate::series::{Cancel, SeriesError, SeriesReader, Sink, Sinks, Window};

/// Most samples of the local store that are taken together with a slice of the engine.
const LOCAL_MAX: usize = 100_000;
/// Most series in one question for samples.
const SERIES_AT_ONCE: usize = 50;
/// Most series in one question for the last samples. With the longest names it stays below the 16 KiB that
/// VictoriaMetrics takes (`-search.maxQueryLen`).
const LASTS_AT_ONCE: usize = 100;

/// How far in the future the last sample is looked for: a lying clock is found out before its readings come here.
const AHEAD: Span = Span::from_secs(3 * 86_400);

/// Reads from the engine what it has acknowledged, in any process that feeds it. Times before 1970 and after 2099 are
/// not asked for.
#[derive(Clone)]
pub struct RemoteReader {
    pub(super) engine: Engine,
    pub(super) hands: Arc<Hands>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for RemoteReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteReader").finish_non_exhaustive()
    }
}

/// What several series hold in one slice of time, in the order of the question; none when that is more than an answer
/// may be.
type Slice = Option<Vec<Vec<Sample>>>;

impl RemoteReader {
    /// The series that are registered, with their places: nobody knows the device of another.
    fn owners(&self, series: &[SeriesId]) -> (Vec<usize>, Vec<Owner>) {
        let known = series.iter().enumerate().filter_map(|(place, series)| {
            let (entry, signal) = self.catalogue.series(*series)?;
            let owner = Owner {
                device: entry.device.id.to_string(),
                signal: signal.name.to_string(),
            };
            Some((place, owner))
        });
        known.unzip()
    }

    fn slice(
        &self,
        series: &[SeriesId],
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
    ) -> Result<Slice, SeriesError> {
        let (places, owners) = self.owners(series);
        let mut all = vec![Vec::new(); series.len()];
        if owners.is_empty() {
            return Ok(Some(all));
        }
        let engine = self.engine.clone();
        let ask = async move { engine.ranges(&owners, from, to).await };
        let found = match self.hands.run(ask, || cancel.is_cancelled()) {
            Ok(Ok(found)) => found,
            Ok(Err(QueryError::TooLarge)) => return Ok(None),
            Ok(Err(error)) => return Err(failed(error)),
            Err(_) if cancel.is_cancelled() => return Err(SeriesError::Cancelled),
            Err(_) => return Err(failed(QueryError::CutOff)),
        };
        for (place, samples) in places.into_iter().zip(found) {
            if let Some(slot) = all.get_mut(place) {
                *slot = samples;
            }
        }
        Ok(Some(all))
    }

    /// The last sample of each before `at`.
    fn lasts(&self, series: &[SeriesId], at: Timestamp) -> Result<Vec<Option<Sample>>, SeriesError> {
        let mut all = vec![None; series.len()];
        let now = self.clock.now();
        let at = at.min(now.plus(AHEAD));
        let Some((_, at)) = Slices::new(Timestamp::EPOCH, at).whole() else {
            return Ok(all);
        };
        let (places, owners) = self.owners(series);
        for (places, owners) in places.chunks(LASTS_AT_ONCE).zip(owners.chunks(LASTS_AT_ONCE)) {
            let (engine, owners) = (self.engine.clone(), owners.to_vec());
            let ask = async move { engine.lasts(&owners, at, now).await };
            let found = match self.hands.run(ask, || false) {
                Ok(found) => found.map_err(failed)?,
                Err(_) => return Err(failed(QueryError::CutOff)),
            };
            for (place, sample) in places.iter().zip(found) {
                if let Some(slot) = all.get_mut(*place) {
                    *slot = sample;
                }
            }
        }
        Ok(all)
    }
}

fn failed(source: QueryError) -> SeriesError {
    SeriesError::Engine {
        doing: "asking the remote engine".to_owned(),
        source: Box::new(source),
    }
}

/// Asks slice by slice, for a few series at a time, and hands what comes to `take`, which breaks when a series has enough.
/// `ask` gives none for a slice that is too large.
fn scan_slices<T>(
    series: &[SeriesId],
    (from, to): (Timestamp, Timestamp),
    cancel: &Cancel,
    mut ask: impl FnMut(&[SeriesId], Timestamp, Timestamp) -> Result<Option<(usize, Vec<T>)>, SeriesError>,
    mut take: impl FnMut(usize, T) -> ControlFlow<()>,
) -> Result<(), SeriesError> {
    let all: Vec<usize> = (0..series.len()).collect();
    for mut open in all.chunks(SERIES_AT_ONCE).map(<[usize]>::to_vec) {
        let mut slices = Slices::new(from, to);
        while let Some((from, to)) = slices.slice() {
            if cancel.is_cancelled() {
                return Err(SeriesError::Cancelled);
            }
            let of: Vec<SeriesId> = open
                .iter()
                .filter_map(|place| series.get(*place).copied())
                .collect();
            match ask(&of, from, to)? {
                Some((count, found)) => {
                    slices.took(count);
                    let mut found = found.into_iter();
                    open.retain(|place| found.next().is_some_and(|it| take(*place, it).is_continue()));
                    if open.is_empty() {
                        break;
                    }
                }
                None if slices.too_many() => {}
                None => return Err(failed(QueryError::TooLarge)),
            }
        }
    }
    Ok(())
}

fn counted(found: Vec<Vec<Sample>>) -> (usize, Vec<Vec<Sample>>) {
    (found.iter().map(Vec::len).sum(), found)
}

fn hand(samples: &[Sample], sink: &mut dyn Sink) -> ControlFlow<()> {
    if samples.is_empty() {
        ControlFlow::Continue(())
    } else {
        sink.samples(samples)
    }
}

impl SeriesReader for RemoteReader {
    fn latest(&self, series: SeriesId) -> Result<Option<Sample>, SeriesError> {
        self.last_before(series, Timestamp::MAX)
    }

    fn last_before(&self, series: SeriesId, at: Timestamp) -> Result<Option<Sample>, SeriesError> {
        Ok(self.lasts(&[series], at)?.pop().flatten())
    }

    fn latest_many(&self, series: &[SeriesId]) -> Result<Vec<Option<Sample>>, SeriesError> {
        self.lasts(series, Timestamp::MAX)
    }

    fn scan(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<(), SeriesError> {
        let ask = |of: &[SeriesId], from, to| Ok(self.slice(of, from, to, cancel)?.map(counted));
        scan_slices(&[series], (from, to), cancel, ask, |_, found| hand(&found, sink))
    }

    fn scan_many(
        &self,
        series: &[SeriesId],
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sinks: &mut dyn Sinks,
    ) -> Result<(), SeriesError> {
        let ask = |of: &[SeriesId], from, to| Ok(self.slice(of, from, to, cancel)?.map(counted));
        scan_slices(series, (from, to), cancel, ask, |place, found| {
            sinks
                .sink(place)
                .map_or(ControlFlow::Break(()), |sink| hand(&found, sink))
        })
    }
}

/// The local store and the remote engine as one: what either holds, and of one time what the local store says.
///
/// So a short local history goes on in the engine, points that are not sent yet are there, and so is what other processes
/// have sent. Where the local store has let samples go and kept their summary, the engine's samples count, and the summary
/// if it has none. When the engine cannot be asked the answer is an error, never a part that looks like the whole.
pub struct BothReader {
    /// The local store.
    pub local: Arc<dyn SeriesReader>,
    /// The engine.
    pub remote: RemoteReader,
}

impl std::fmt::Debug for BothReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BothReader").finish_non_exhaustive()
    }
}

/// What the local store holds of one slice: samples, and stretches of which only the summary is left.
#[derive(Default)]
struct Local {
    samples: Vec<Sample>,
    thinned: Vec<Window>,
}

impl Sink for Local {
    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        self.samples.extend_from_slice(samples);
        if self.samples.len() > LOCAL_MAX {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn thinned(&mut self, stretch: &Window) -> ControlFlow<()> {
        self.thinned.push(*stretch);
        ControlFlow::Continue(())
    }
}

/// What both hold of one slice: samples, and stretches of which nobody has more than the summary.
struct Joined {
    samples: Vec<Sample>,
    thinned: Vec<Window>,
}

impl Joined {
    fn of(remote: Vec<Sample>, local: Local) -> Self {
        let mut thinned = local.thinned;
        thinned.retain(|stretch| {
            let first = remote.partition_point(|sample| sample.time < stretch.heard_first);
            remote
                .get(first)
                .is_none_or(|sample| sample.time > stretch.heard_last)
        });
        if local.samples.is_empty() {
            return Self {
                samples: remote,
                thinned,
            };
        }
        let both = remote.into_iter().chain(local.samples);
        let both: BTreeMap<Timestamp, Sample> = both.map(|sample| (sample.time, sample)).collect();
        Self {
            samples: both.into_values().collect(),
            thinned,
        }
    }

    /// In order of time.
    fn hand(&self, sink: &mut dyn Sink) -> ControlFlow<()> {
        let mut rest = self.samples.as_slice();
        for stretch in &self.thinned {
            let before = rest.partition_point(|sample| sample.time < stretch.heard_first);
            let (samples, after) = rest.split_at(before);
            hand(samples, sink)?;
            rest = after;
            if sink.serves(stretch) {
                sink.summary(stretch)?;
            } else {
                sink.thinned(stretch)?;
            }
        }
        hand(rest, sink)
    }
}

impl BothReader {
    fn slice(
        &self,
        series: &[SeriesId],
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
    ) -> Result<Option<(usize, Vec<Joined>)>, SeriesError> {
        let Some(remote) = self.remote.slice(series, from, to, cancel)? else {
            return Ok(None);
        };
        let mut local: Vec<Local> = series.iter().map(|_| Local::default()).collect();
        self.local.scan_many(series, from, to, cancel, &mut local)?;
        if local.iter().any(|local| local.samples.len() > LOCAL_MAX) {
            return Ok(None);
        }
        let joined = remote.into_iter().zip(local);
        let joined: Vec<Joined> = joined.map(|(remote, local)| Joined::of(remote, local)).collect();
        Ok(Some((joined.iter().map(|of| of.samples.len()).sum(), joined)))
    }
}

fn later(local: Option<Sample>, remote: Option<Sample>) -> Option<Sample> {
    match (local, remote) {
        (Some(local), Some(remote)) if remote.time > local.time => Some(remote),
        (Some(local), _) => Some(local),
        (None, remote) => remote,
    }
}

impl SeriesReader for BothReader {
    fn latest(&self, series: SeriesId) -> Result<Option<Sample>, SeriesError> {
        Ok(later(self.local.latest(series)?, self.remote.latest(series)?))
    }

    fn last_before(&self, series: SeriesId, at: Timestamp) -> Result<Option<Sample>, SeriesError> {
        Ok(later(
            self.local.last_before(series, at)?,
            self.remote.last_before(series, at)?,
        ))
    }

    fn latest_many(&self, series: &[SeriesId]) -> Result<Vec<Option<Sample>>, SeriesError> {
        let remote = self.remote.latest_many(series)?;
        let both = self.local.latest_many(series)?.into_iter().zip(remote);
        Ok(both.map(|(local, remote)| later(local, remote)).collect())
    }

    fn scan(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<(), SeriesError> {
        let ask = |of: &[SeriesId], from, to| self.slice(of, from, to, cancel);
        scan_slices(&[series], (from, to), cancel, ask, |_, found: Joined| {
            found.hand(sink)
        })
    }

    fn scan_many(
        &self,
        series: &[SeriesId],
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sinks: &mut dyn Sinks,
    ) -> Result<(), SeriesError> {
        let ask = |of: &[SeriesId], from, to| self.slice(of, from, to, cancel);
        scan_slices(series, (from, to), cancel, ask, |place, found: Joined| {
            sinks
                .sink(place)
                .map_or(ControlFlow::Break(()), |sink| found.hand(sink))
        })
    }
}

#[cfg(test)]
mod tests {
    use telemetry::quality::Quality;

    use super::*;

    fn sample(ms: i64, value: f64) -> Sample {
        Sample {
            time: Timestamp::from_millis(ms),
            value,
            quality: Quality::Good,
        }
    }

    /// Writes down what came, in order.
    #[derive(Default)]
    struct Told(Vec<String>);

    impl Sink for Told {
        fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
            let all = samples
                .iter()
                .map(|sample| format!("{}={}", sample.time.millis(), sample.value));
            self.0.extend(all);
            ControlFlow::Continue(())
        }

        fn thinned(&mut self, stretch: &Window) -> ControlFlow<()> {
            self.0.push(format!("about {}", stretch.heard_first.millis()));
            ControlFlow::Continue(())
        }
    }

    #[test]
    fn of_one_time_the_local_store_counts_and_its_summaries_where_the_engine_has_nothing() {
        let stretch = |first: i64, last: i64| Window {
            heard_first: Timestamp::from_millis(first),
            heard_last: Timestamp::from_millis(last),
            ..Window::empty(Timestamp::from_millis(first))
        };
        // Given an engine with three samples, and a store with two others and one of the same time, and summaries of
        // two stretches, of which the engine knows one,
        let remote = vec![sample(100, 1.0), sample(250, 2.0), sample(500, 3.0)];
        let local = Local {
            samples: vec![sample(500, 4.0), sample(600, 5.0)],
            thinned: vec![stretch(90, 110), stretch(300, 400)],
        };
        let mut told = Told::default();
        let all = Joined::of(remote, local).hand(&mut told);
        // then each is told once, in order of time.
        assert!(all.is_continue());
        assert_eq!(told.0, ["100=1", "250=2", "about 300", "500=4", "600=5"]);
    }
}
