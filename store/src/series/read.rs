//! Reading: the memory first, then the disk, then merged.

use std::collections::BTreeSet;

use telemetry::time::Span;
use telemetry::{Sample, SeriesId, Timestamp};

use super::column::Column;
use super::engine::Engine;
use super::merge::{Samples, Sink, Stretch, Windows, groups, merge};
use super::partition::{Partition, Row};
use super::reader::{SeriesError, Window};

/// Ranks of what lies in memory: newer than any block.
const RANK_FLUSHING: u64 = u64::MAX - 1;
const RANK_HEAD: u64 = u64::MAX;

enum Source<'a> {
    Block(Row),
    Memory(&'a Column),
}

/// What the memory holds of one series and stretch of time, copied; and which days the disk has of it.
///
/// It is taken before the disk is read. A flush that ends in between then shows its points twice, which
/// the merge undoes; the other way round they might be missed.
struct Snapshot {
    from: Timestamp,
    flushing: Column,
    head: Column,
    days: Vec<i64>,
}

impl Engine {
    fn snapshot(&self, series: SeriesId, from: Timestamp, to: Timestamp) -> Snapshot {
        let memory = self.memory();
        let from = from.max(memory.kept_from());
        let copy = |column: Option<&Column>| -> Column {
            column.map_or_else(Column::default, |column| column.between(from, to).collect())
        };
        let days = if from < to {
            let last = to.millis().saturating_sub(1).div_euclid(Timestamp::DAY_MS);
            let days = memory.partitions.range(from.utc_day()..=last);
            days.map(|(day, _)| *day).collect()
        } else {
            Vec::new()
        };
        Snapshot {
            from,
            flushing: copy(memory.flushing.as_deref().and_then(|head| head.column(series))),
            head: copy(memory.head.column(series)),
            days,
        }
    }

    /// Hands everything that `series` holds in `from..to` to `sink`, in order of time; false when the
    /// sink had enough before the end.
    fn visit(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        sink: &mut impl Sink,
    ) -> Result<bool, SeriesError> {
        if from >= to {
            return Ok(true);
        }
        let snapshot = self.snapshot(series, from, to);
        let by_day = |column: &Column| -> Vec<(i64, Column)> {
            let pieces = column.pieces(usize::MAX);
            pieces
                .map(|(day, slice)| (day, slice.samples().collect()))
                .collect()
        };
        let memory = [
            (RANK_FLUSHING, by_day(&snapshot.flushing)),
            (RANK_HEAD, by_day(&snapshot.head)),
        ];
        let mut days: BTreeSet<i64> = snapshot.days.iter().copied().collect();
        days.extend(
            memory
                .iter()
                .flat_map(|(_, pieces)| pieces.iter().map(|(day, _)| *day)),
        );
        for day in days {
            let of_day: Vec<(u64, &Column)> = memory
                .iter()
                .flat_map(|(rank, pieces)| pieces.iter().map(move |(day, column)| (*rank, *day, column)))
                .filter(|(_, of, _)| *of == day)
                .map(|(rank, _, column)| (rank, column))
                .collect();
            let range = (snapshot.from, to);
            let goes_on = if snapshot.days.binary_search(&day).is_ok() {
                self.readers.with(day, |partition| {
                    visit_day(Some(partition), series, &of_day, range, sink)
                })
            } else {
                visit_day(None, series, &of_day, range, sink)
            };
            match goes_on {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                // The day expired since the snapshot: it is gone, not broken.
                Err(_) if day < self.memory().expired_day => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    pub(super) fn range(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Sample>, SeriesError> {
        let mut sink = Samples {
            found: Vec::new(),
            limit,
        };
        if self.visit(series, from, to, &mut sink)? {
            Ok(sink.found)
        } else {
            Err(SeriesError::TooMany { limit, from, to })
        }
    }

    pub(super) fn windows(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        every: Span,
    ) -> Result<Vec<Window>, SeriesError> {
        let mut sink = Windows::new(from, every);
        self.visit(series, from, to, &mut sink)?;
        Ok(sink.found)
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

/// One day of [`Engine::visit`].
fn visit_day(
    partition: Option<&Partition>,
    series: SeriesId,
    memory: &[(u64, &Column)],
    (from, to): (Timestamp, Timestamp),
    sink: &mut impl Sink,
) -> Result<bool, SeriesError> {
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
    let columns = memory.iter().filter_map(|(rank, column)| {
        Some(Stretch {
            first: Timestamp::from_millis(*column.times.first()?),
            last: Timestamp::from_millis(*column.times.last()?),
            rank: *rank,
            source: Source::Memory(column),
        })
    });
    for group in groups(blocks.chain(columns).collect()) {
        if let [
            Stretch {
                first,
                last,
                source: Source::Block(row),
                ..
            },
        ] = group.as_slice()
            && *first >= from
            && *last < to
            && sink.wants_summary(*first, *last)
        {
            sink.summary(&row.summary);
            continue;
        }
        let mut columns = Vec::with_capacity(group.len());
        for stretch in group {
            match (stretch.source, partition) {
                (Source::Memory(column), _) => columns.push(column.clone()),
                (Source::Block(row), Some(partition)) => columns.extend(partition.body(&row)?),
                (Source::Block(_), None) => {}
            }
        }
        for sample in merge(columns).between(from, to) {
            if !sink.sample(sample) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The last sample of `series` before `at` in one day.
fn last_of_day(
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
        let Some(found) = partition.body(&row)?.and_then(|column| column.last_before(at)) else {
            continue;
        };
        if best.is_none_or(|(best, key)| (best.time, key) < (found.time, row.key)) {
            best = Some((found, row.key));
        }
    }
    Ok(best.map(|(sample, _)| sample))
}
