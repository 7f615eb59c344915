//! Reading: the memory first, then the disk, then merged.
//!
//! A day is read in two steps. While its connection is held, only bytes are copied out of it: what of each block is
//! needed is decided from the summaries ([`Part`]). Then, with nothing held, they are decoded and handed on, so that
//! a slow reader holds up nobody.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use telemetry::{Sample, SeriesId, Timestamp};

use super::column::Column;
use super::engine::Engine;
use super::merge::{Stretch, groups, merge};
use super::partition::{Origin, Partition, Row};
use super::reader::SeriesError;
use super::rollup;
use super::sink::{Cancel, Sink, Sinks};
use super::window::Window;

/// Ranks of what lies in memory: newer than any block.
const RANK_FLUSHING: u64 = u64::MAX - 1;
const RANK_HEAD: u64 = u64::MAX;
/// Samples that are handed on at once.
const PIECE: usize = 1024;
/// Series whose bytes of a day are copied while its connection is held once.
const SERIES_AT_ONCE: usize = 64;

enum Source {
    Block(Row),
    Memory(Column),
}

/// What is needed of a stretch of one series in one day, copied out of the file.
enum Part {
    /// Summaries that the sink takes for samples, in order of time.
    Summaries(Vec<Window>),
    /// Summaries of samples that were let go.
    Thinned(Vec<Window>),
    /// Samples in several places, in order of rank, each later one the newer arrival.
    Samples(Vec<Bytes>),
}

enum Bytes {
    Block(Origin, Row, Vec<u8>),
    Memory(Column),
}

/// What the memory holds of one series and stretch of time, copied.
#[derive(Default)]
struct InMemory {
    flushing: Column,
    head: Column,
}

impl InMemory {
    /// The part of it that lies in one UTC day.
    fn of_day(&self, day: i64) -> impl Iterator<Item = (u64, Column)> {
        let begin = Timestamp::from_millis(day.saturating_mul(Timestamp::DAY_MS));
        let end = Timestamp::from_millis(begin.millis().saturating_add(Timestamp::DAY_MS));
        [(RANK_FLUSHING, &self.flushing), (RANK_HEAD, &self.head)]
            .into_iter()
            .map(move |(rank, column)| (rank, column.between(begin, end).collect::<Column>()))
            .filter(|(_, column)| column.len() > 0)
    }
}

/// What the memory holds, and which days the disk has.
///
/// It is taken before the disk is read. A flush that ends in between then shows its points twice, which
/// the merge undoes; the other way round they might be missed.
struct Snapshot {
    from: Timestamp,
    memory: Vec<InMemory>,
    on_disk: Vec<i64>,
}

/// The only sink of a scan of one series; none when it has had enough.
struct One<'a>(&'a mut dyn Sink);

impl Sinks for One<'_> {
    fn sink(&mut self, _: usize) -> Option<&mut dyn Sink> {
        Some(self.0)
    }
}

impl Engine {
    fn snapshot(&self, series: &[SeriesId], from: Timestamp, to: Timestamp) -> Snapshot {
        let memory = self.memory();
        let from = from.max(memory.kept_from());
        let copy = |column: Option<&Column>| -> Column {
            column.map_or_else(Column::default, |column| column.between(from, to).collect())
        };
        let last = to.millis().saturating_sub(1).div_euclid(Timestamp::DAY_MS);
        let of_series = |series: &SeriesId| InMemory {
            flushing: copy(memory.flushing.as_deref().and_then(|head| head.column(*series))),
            head: copy(memory.head.column(*series)),
        };
        let days = (from < to).then(|| memory.partitions.range(from.utc_day()..=last));
        Snapshot {
            from,
            memory: series.iter().map(of_series).collect(),
            on_disk: days.into_iter().flatten().map(|(day, _)| *day).collect(),
        }
    }

    pub(super) fn scan(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<(), SeriesError> {
        self.scan_many(&[series], from, to, cancel, &mut One(sink))
    }

    pub(super) fn scan_many(
        &self,
        series: &[SeriesId],
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sinks: &mut dyn Sinks,
    ) -> Result<(), SeriesError> {
        if from >= to {
            return Ok(());
        }
        let snapshot = self.snapshot(series, from, to);
        let mut days: BTreeSet<i64> = snapshot.on_disk.iter().copied().collect();
        for column in snapshot.memory.iter().flat_map(|of| [&of.flushing, &of.head]) {
            days.extend(column.pieces(usize::MAX).map(|(day, _)| day));
        }
        let range = (snapshot.from, to);
        let mut open: Vec<usize> = (0..series.len()).collect();
        let mut buffer = Vec::new();
        for day in days {
            let mut still = Vec::with_capacity(open.len());
            for places in open.chunks(SERIES_AT_ONCE) {
                if cancel.is_cancelled() {
                    return Err(SeriesError::Cancelled);
                }
                let loaded = self.load(day, series, places, &snapshot, range, sinks)?;
                for (place, parts) in places.iter().zip(loaded) {
                    let Some(sink) = sinks.sink(*place) else { continue };
                    if hand_on(parts, range, cancel, sink, &mut buffer)?.is_continue() {
                        still.push(*place);
                    }
                }
            }
            open = still;
            if open.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// What is needed of one day of the series at `places`.
    fn load(
        &self,
        day: i64,
        series: &[SeriesId],
        places: &[usize],
        snapshot: &Snapshot,
        range: (Timestamp, Timestamp),
        sinks: &mut dyn Sinks,
    ) -> Result<Vec<Vec<Part>>, SeriesError> {
        let mut read = |partition: Option<&Partition>| {
            let mut loaded = Vec::with_capacity(places.len());
            for place in places {
                let (Some(series), Some(memory), Some(sink)) = (
                    series.get(*place),
                    snapshot.memory.get(*place),
                    sinks.sink(*place),
                ) else {
                    loaded.push(Vec::new());
                    continue;
                };
                loaded.push(parts(partition, *series, memory.of_day(day), range, sink)?);
            }
            Ok(loaded)
        };
        if snapshot.on_disk.binary_search(&day).is_err() {
            return read(None);
        }
        match self.readers.with(day, |partition| read(Some(partition))) {
            // The day expired since the snapshot: it is gone, not broken.
            Err(_) if day < self.memory().expired_day => Ok(places.iter().map(|_| Vec::new()).collect()),
            loaded => loaded,
        }
    }

    pub(super) fn latest(&self, series: SeriesId) -> Option<Sample> {
        self.memory().latest(series)
    }

    pub(super) fn last_before(&self, series: SeriesId, at: Timestamp) -> Result<Option<Sample>, SeriesError> {
        let (from, in_head, in_flushing, days) = {
            let memory = self.memory();
            match memory.latest(series) {
                None => return Ok(None),
                Some(latest) if latest.time < at => return Ok(Some(latest)),
                Some(_) => {}
            }
            let from = memory.kept_from();
            let find = |column: Option<&Column>| column?.last_before(at).filter(|s| s.time >= from);
            let in_head = find(memory.head.column(series));
            let in_flushing = find(memory.flushing.as_deref().and_then(|head| head.column(series)));
            let last = at.millis().saturating_sub(1).div_euclid(Timestamp::DAY_MS);
            let days: Vec<i64> = memory.partitions.range(..=last).map(|(day, _)| *day).collect();
            (from, in_head, in_flushing, days)
        };
        // Of equal times the head's is the newer arrival.
        let mut best = match (in_flushing, in_head) {
            (Some(flushing), Some(head)) if flushing.time > head.time => Some(flushing),
            (flushing, head) => head.or(flushing),
        };
        for day in days.into_iter().rev() {
            if best.is_some_and(|best| day < best.time.utc_day()) {
                break;
            }
            let found = self
                .readers
                .with(day, |partition| last_of_day(partition, series, at));
            let found = match found {
                Ok(found) => found.filter(|sample| sample.time >= from),
                Err(_) if day < self.memory().expired_day => None,
                Err(error) => return Err(error),
            };
            if let Some(found) = found
                && best.is_none_or(|best| found.time > best.time)
            {
                best = Some(found);
            }
        }
        Ok(best)
    }
}

/// What is needed of one series in one day.
fn parts(
    partition: Option<&Partition>,
    series: SeriesId,
    memory: impl Iterator<Item = (u64, Column)>,
    (from, to): (Timestamp, Timestamp),
    sink: &dyn Sink,
) -> Result<Vec<Part>, SeriesError> {
    let rows = match partition {
        Some(partition) => partition.rows(series)?,
        None => Vec::new(),
    };
    let blocks = rows
        .into_iter()
        .filter(|row| row.summary.first < to && row.summary.last >= from)
        .map(|row| Stretch {
            first: row.summary.first,
            last: row.summary.last,
            rank: row.key.cast_unsigned(),
            source: Source::Block(row),
        });
    let columns = memory.filter_map(|(rank, column)| {
        Some(Stretch {
            first: Timestamp::from_millis(*column.times.first()?),
            last: Timestamp::from_millis(*column.times.last()?),
            rank,
            source: Source::Memory(column),
        })
    });
    let mut parts = Vec::new();
    for group in groups(blocks.chain(columns).collect()) {
        let alone = match (group.as_slice(), partition) {
            (
                [
                    Stretch {
                        source: Source::Block(row),
                        ..
                    },
                ],
                Some(partition),
            ) => summaries(partition, row, (from, to), sink)?,
            _ => None,
        };
        match alone {
            Some(windows) => parts.push(Part::Summaries(windows)),
            None => parts.push(together(partition, group)?),
        }
    }
    Ok(parts)
}

/// What the sink takes for the samples of a block that no other overlaps: its summary, or a level of its roll-up;
/// none when it needs the samples.
fn summaries(
    partition: &Partition,
    row: &Row,
    (from, to): (Timestamp, Timestamp),
    sink: &dyn Sink,
) -> Result<Option<Vec<Window>>, SeriesError> {
    let summary = &row.summary;
    if !summary.complete || summary.first < from || summary.last >= to {
        return Ok(None);
    }
    if sink.serves(&summary.window) {
        return Ok(Some(vec![summary.window]));
    }
    let Some(bytes) = partition.rollup(row)? else {
        return Ok(None);
    };
    let origin = Origin::of(partition);
    let damaged = |what| origin.damaged(row, what);
    for level in rollup::levels(origin.place(row), &bytes).map_err(damaged)? {
        let windows = level.windows(summary.scale).map_err(damaged)?;
        if windows.iter().all(|window| sink.serves(window)) {
            return Ok(Some(windows));
        }
    }
    Ok(None)
}

/// The bytes of what overlaps. Where the samples of a block were let go, its summaries stand for all of the group.
fn together(partition: Option<&Partition>, group: Vec<Stretch<Source>>) -> Result<Part, SeriesError> {
    let (mut samples, mut thinned) = (Vec::with_capacity(group.len()), Vec::new());
    for stretch in group {
        match (stretch.source, partition) {
            (Source::Memory(column), _) => samples.push(Bytes::Memory(column)),
            (Source::Block(row), Some(partition)) => match partition.raw(&row)? {
                Some(bytes) => samples.push(Bytes::Block(Origin::of(partition), row, bytes)),
                None => thinned.extend(finest(partition, &row)?),
            },
            (Source::Block(_), None) => {}
        }
    }
    if thinned.is_empty() {
        return Ok(Part::Samples(samples));
    }
    thinned.sort_by_key(|window| window.heard_first);
    Ok(Part::Thinned(thinned))
}

/// The shortest windows that are left of a block whose samples were let go.
fn finest(partition: &Partition, row: &Row) -> Result<Vec<Window>, SeriesError> {
    let Some(bytes) = partition.rollup(row)? else {
        return Ok(vec![row.summary.window]);
    };
    let origin = Origin::of(partition);
    let damaged = |what| origin.damaged(row, what);
    match rollup::levels(origin.place(row), &bytes).map_err(damaged)?.last() {
        Some(level) => level.windows(row.summary.scale).map_err(damaged),
        None => Ok(vec![row.summary.window]),
    }
}

/// Decodes the parts of a day and hands them to the sink; whether it wants more.
fn hand_on(
    parts: Vec<Part>,
    (from, to): (Timestamp, Timestamp),
    cancel: &Cancel,
    sink: &mut dyn Sink,
    buffer: &mut Vec<Sample>,
) -> Result<ControlFlow<()>, SeriesError> {
    for part in parts {
        if cancel.is_cancelled() {
            return Err(SeriesError::Cancelled);
        }
        let flow = match part {
            Part::Summaries(windows) => windows.iter().try_for_each(|window| sink.summary(window)),
            Part::Thinned(windows) => windows
                .iter()
                .filter(|window| window.heard_first < to && window.heard_last >= from)
                .try_for_each(|window| sink.thinned(window)),
            Part::Samples(places) => {
                let mut columns = Vec::with_capacity(places.len());
                for bytes in places {
                    columns.push(match bytes {
                        Bytes::Memory(column) => column,
                        Bytes::Block(origin, row, bytes) => origin.decode(&row, &bytes)?,
                    });
                }
                pieces(&merge(columns), (from, to), sink, buffer)
            }
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Hands the samples of `from..to` to the sink, some at a time.
fn pieces(
    column: &Column,
    (from, to): (Timestamp, Timestamp),
    sink: &mut dyn Sink,
    buffer: &mut Vec<Sample>,
) -> ControlFlow<()> {
    let mut samples = column.between(from, to);
    loop {
        buffer.clear();
        buffer.extend(samples.by_ref().take(PIECE));
        if buffer.is_empty() {
            return ControlFlow::Continue(());
        }
        sink.samples(buffer)?;
    }
}

/// The last sample of `series` before `at` in one day.
pub(super) fn last_of_day(
    partition: &Partition,
    series: SeriesId,
    at: Timestamp,
) -> Result<Option<Sample>, SeriesError> {
    let mut rows = partition.rows(series)?;
    rows.retain(|row| row.summary.first < at);
    // The latest possible first, so that most blocks need not be opened.
    rows.sort_by_key(|row| (row.summary.last.min(at), row.key));
    let mut best: Option<(Sample, i64)> = None;
    for row in rows.into_iter().rev() {
        if best.is_some_and(|(best, _)| row.summary.last < best.time) {
            break;
        }
        let found = match partition.body(&row)? {
            Some(column) => column.last_before(at),
            // Its samples were let go; the last of them is in the summary, if it was not bad.
            None => row.summary.window.holding().filter(|last| last.time < at),
        };
        let Some(found) = found else { continue };
        if best.is_none_or(|(best, key)| (best.time, key) < (found.time, row.key)) {
            best = Some((found, row.key));
        }
    }
    Ok(best.map(|(sample, _)| sample))
}
