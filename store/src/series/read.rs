//! Reading: the memory first, then the disk, then merged.
//!
//! A day, or a month that has a file, is read in two steps. While its connection is held, only bytes are copied out of it: what of each block is
//! needed is decided from the summaries ([`Part`]). Then, with nothing held, they are decoded and handed on, so that
//! a slow reader holds up nobody. What is asked of many series is decoded on more than one core ([`ahead`]).

mod ahead;
mod decoded;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use telemetry::{Sample, SeriesId, Timestamp};

use super::column::Column;
use super::engine::Engine;
use super::extent::{Unit, is_month, units};
use super::merge::{Stretch, groups, merge};
use super::partition::{Origin, Partition, Row};
use super::reader::SeriesError;
use super::rollup;
use super::sink::{Cancel, Sink, Sinks};
use super::window::Window;

pub(super) use self::decoded::Blocks;

/// Ranks: a day is newer than its month, and what lies in memory is newer than any block.
const RANK_DAY: u64 = 1 << 32;
const RANK_FLUSHING: u64 = u64::MAX - 1;
const RANK_HEAD: u64 = u64::MAX;
/// Samples that are handed on at once.
const PIECE: usize = 1024;
/// Series whose bytes of a day are copied while its connection is held once.
const SERIES_AT_ONCE: usize = 256;

enum Source<'a> {
    Block(&'a Partition, Row),
    Memory(Column),
}

/// What is needed of a stretch of one series in one day or month, copied out of the files.
enum Part {
    /// Summaries that the sink takes for samples, in order of time.
    Summaries(Vec<Window>),
    /// Summaries of samples that were let go.
    Thinned(Vec<Window>),
    /// Samples in several places, in order of rank, each later one the newer arrival.
    Samples(Vec<Bytes>),
    /// The same, decoded and merged.
    Decoded(Arc<Column>),
}

enum Bytes {
    Block(Origin, Row, Vec<u8>),
    /// Decoded before.
    Kept(Arc<Column>),
    Memory(Column),
}

/// What the memory holds of one series and stretch of time, copied.
#[derive(Default)]
struct InMemory {
    flushing: Column,
    head: Column,
}

impl InMemory {
    /// The part of it that lies in these days.
    fn within(&self, begin: Timestamp, end: Timestamp) -> impl Iterator<Item = (u64, Column)> {
        [(RANK_FLUSHING, &self.flushing), (RANK_HEAD, &self.head)]
            .into_iter()
            .map(move |(rank, column)| (rank, column.between(begin, end).collect::<Column>()))
            .filter(|(_, column)| column.len() > 0)
    }
}

/// What the memory holds, and which files the disk has.
///
/// It is taken before the disk is read. A flush that ends in between then shows its points twice, which
/// the merge undoes; the other way round they might be missed.
struct Snapshot {
    from: Timestamp,
    /// By series, as they were asked for.
    memory: Vec<InMemory>,
    units: Vec<Unit>,
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
        let in_memory: Vec<InMemory> = series.iter().map(of_series).collect();
        let on_disk = if from < to {
            memory.on_disk(from.utc_day(), last)
        } else {
            Vec::new()
        };
        let columns = in_memory.iter().flat_map(|of| [&of.flushing, &of.head]);
        let days = columns.flat_map(|column| column.pieces(usize::MAX).map(|(day, _)| day));
        let units = units(&on_disk, days);
        Snapshot {
            from,
            memory: in_memory,
            units,
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
        // Those that are kept for less begin later.
        let mut by_begin: BTreeMap<Timestamp, Vec<usize>> = BTreeMap::new();
        for (place, id) in series.iter().enumerate() {
            let begin = from.max(self.begin_of(*id));
            by_begin.entry(begin).or_default().push(place);
        }
        for (begin, places) in by_begin.into_iter().filter(|(begin, _)| *begin < to) {
            self.scan_places(series, places, (begin, to), cancel, sinks)?;
        }
        Ok(())
    }

    /// Scans the series at `places`; gives those whose sinks want more.
    fn scan_places(
        &self,
        series: &[SeriesId],
        places: Vec<usize>,
        (from, to): (Timestamp, Timestamp),
        cancel: &Cancel,
        sinks: &mut dyn Sinks,
    ) -> Result<Vec<usize>, SeriesError> {
        let snapshot = self.snapshot(series, from, to);
        let range = (snapshot.from, to);
        let mut open = places;
        let mut buffer = Vec::new();
        for unit in &snapshot.units {
            let mut still = Vec::with_capacity(open.len());
            for places in open.chunks(SERIES_AT_ONCE) {
                if cancel.is_cancelled() {
                    return Err(SeriesError::Cancelled);
                }
                let loaded = match self.load(unit, series, places, &snapshot, range, sinks) {
                    Ok(loaded) => loaded,
                    // What was there is in another file by now, or expired: not broken. These days are looked for again.
                    Err(_) if self.have_moved(&unit.extents) => {
                        let range = (range.0.max(unit.begin()), range.1.min(unit.end()));
                        still.extend(self.scan_places(series, places.to_vec(), range, cancel, sinks)?);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                for (place, parts) in places
                    .iter()
                    .zip(ahead::decoded(loaded, range, &self.readers.blocks)?)
                {
                    let Some(sink) = sinks.sink(*place) else { continue };
                    if hand_on(parts, range, (cancel, &self.readers.blocks), sink, &mut buffer)?.is_continue()
                    {
                        still.push(*place);
                    }
                }
            }
            open = still;
            if open.is_empty() {
                break;
            }
        }
        Ok(open)
    }

    /// What is needed of a unit of the series at `places`.
    fn load(
        &self,
        unit: &Unit,
        series: &[SeriesId],
        places: &[usize],
        snapshot: &Snapshot,
        range: (Timestamp, Timestamp),
        sinks: &mut dyn Sinks,
    ) -> Result<Vec<Vec<Part>>, SeriesError> {
        self.readers.with(&unit.extents, |partitions| {
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
                let memory = memory.within(unit.begin(), unit.end());
                loaded.push(parts(
                    partitions,
                    *series,
                    memory,
                    range,
                    (sink, &self.readers.blocks),
                )?);
            }
            Ok(loaded)
        })
    }

    pub(super) fn latest(&self, series: SeriesId) -> Option<Sample> {
        let begin = self.begin_of(series);
        self.memory().latest(series).filter(|sample| sample.time >= begin)
    }

    pub(super) fn last_before(&self, series: SeriesId, at: Timestamp) -> Result<Option<Sample>, SeriesError> {
        let begin = self.begin_of(series);
        let last = self.last_held_before(series, at)?;
        Ok(last.filter(|sample| sample.time >= begin))
    }

    /// The last sample before `at` that memory or files hold, whether or not it is still shown.
    fn last_held_before(&self, series: SeriesId, at: Timestamp) -> Result<Option<Sample>, SeriesError> {
        'again: loop {
            let (from, in_head, in_flushing, units) = {
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
                let on_disk = memory.on_disk(i64::MIN, last);
                (from, in_head, in_flushing, units(&on_disk, std::iter::empty()))
            };
            // Of equal times the head's is the newer arrival.
            let mut best = match (in_flushing, in_head) {
                (Some(flushing), Some(head)) if flushing.time > head.time => Some(flushing),
                (flushing, head) => head.or(flushing),
            };
            for unit in units.iter().rev() {
                if best.is_some_and(|best| unit.end() <= best.time) {
                    break;
                }
                let found = self
                    .readers
                    .with(&unit.extents, |partitions| last_of_all(partitions, series, at));
                let found = match found {
                    Ok(found) => found.filter(|sample| sample.time >= from),
                    Err(_) if self.have_moved(&unit.extents) => continue 'again,
                    Err(error) => return Err(error),
                };
                if let Some(found) = found
                    && best.is_none_or(|best| found.time > best.time)
                {
                    best = Some(found);
                }
            }
            return Ok(best);
        }
    }
}

/// What is needed of one series in one unit.
fn parts(
    partitions: &[&Partition],
    series: SeriesId,
    memory: impl Iterator<Item = (u64, Column)>,
    (from, to): (Timestamp, Timestamp),
    (sink, kept): (&dyn Sink, &Blocks),
) -> Result<Vec<Part>, SeriesError> {
    let mut blocks = Vec::new();
    for partition in partitions {
        let tier = if is_month(partition.day) { 0 } else { RANK_DAY };
        let rows = partition.rows(series)?;
        let wanted = rows
            .into_iter()
            .filter(|row| row.summary.first < to && row.summary.last >= from);
        blocks.extend(wanted.map(|row| Stretch {
            first: row.summary.first,
            last: row.summary.last,
            rank: tier | row.rank(),
            source: Source::Block(partition, row),
        }));
    }
    let columns = memory.filter_map(|(rank, column)| {
        Some(Stretch {
            first: Timestamp::from_millis(*column.times.first()?),
            last: Timestamp::from_millis(*column.times.last()?),
            rank,
            source: Source::Memory(column),
        })
    });
    let mut parts = Vec::new();
    for group in groups(blocks.into_iter().chain(columns).collect()) {
        let alone = match group.as_slice() {
            [
                Stretch {
                    source: Source::Block(partition, row),
                    ..
                },
            ] => summaries(partition, row, (from, to), sink)?,
            _ => None,
        };
        match alone {
            Some(windows) => parts.push(Part::Summaries(windows)),
            None => parts.push(together(group, kept)?),
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
fn together(group: Vec<Stretch<Source<'_>>>, kept: &Blocks) -> Result<Part, SeriesError> {
    let (mut samples, mut thinned) = (Vec::with_capacity(group.len()), Vec::new());
    for stretch in group {
        match stretch.source {
            Source::Memory(column) => samples.push(Bytes::Memory(column)),
            Source::Block(partition, row) => {
                if let Some(column) = kept.get(partition.day, &row) {
                    samples.push(Bytes::Kept(column));
                    continue;
                }
                match partition.raw(&row)? {
                    Some(bytes) => samples.push(Bytes::Block(Origin::of(partition), row, bytes)),
                    None => thinned.extend(finest(partition, &row)?),
                }
            }
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

/// Decodes the parts of a unit and hands them to the sink; whether it wants more.
fn hand_on(
    parts: Vec<Part>,
    (from, to): (Timestamp, Timestamp),
    (cancel, kept): (&Cancel, &Blocks),
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
            Part::Samples(places) => pieces(&*decode(places, (from, to), kept)?, (from, to), sink, buffer),
            Part::Decoded(column) => pieces(&column, (from, to), sink, buffer),
        };
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The samples of several places, merged.
fn decode(
    places: Vec<Bytes>,
    (from, to): (Timestamp, Timestamp),
    kept: &Blocks,
) -> Result<Arc<Column>, SeriesError> {
    let mut columns = Vec::with_capacity(places.len());
    for bytes in places {
        columns.push(match bytes {
            Bytes::Memory(column) => Arc::new(column),
            Bytes::Kept(column) => column,
            Bytes::Block(origin, row, bytes) => {
                let column = Arc::new(origin.decode(&row, &bytes)?);
                // What is wanted whole is rarely wanted again, and would drive out the rest.
                if row.summary.first < from || row.summary.last >= to {
                    kept.put(origin.day(), &row, &column);
                }
                column
            }
        });
    }
    if columns.len() == 1
        && let Some(alone) = columns.pop()
    {
        return Ok(alone);
    }
    let columns = columns.into_iter().map(Arc::unwrap_or_clone).collect();
    Ok(Arc::new(merge(columns)))
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

/// The last sample of `series` before `at` in the files of a unit. Of equal times the day's, which stands before its
/// month, is the newer arrival.
fn last_of_all(
    partitions: &[&Partition],
    series: SeriesId,
    at: Timestamp,
) -> Result<Option<Sample>, SeriesError> {
    let mut best: Option<Sample> = None;
    for partition in partitions {
        if let Some(found) = last_of_partition(partition, series, at)?
            && best.is_none_or(|best| best.time < found.time)
        {
            best = Some(found);
        }
    }
    Ok(best)
}

/// The last sample of `series` before `at` in one file.
pub(super) fn last_of_partition(
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
