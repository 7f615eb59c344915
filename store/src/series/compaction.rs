//! Tidying up a day: the blocks of a series made into as few as possible, with their roll-ups, and moved from the
//! table `block` into `packed`; and letting go of samples of which roll-ups are enough.
//!
//! The work is done in turns. A turn is prepared on a reading connection, which holds up nobody; only the prepared
//! bytes are written while flushes wait. A generation is reserved before: what is flushed in between is newer than
//! what the compaction writes, as it has to be.

use rusqlite::{Transaction, params};
use telemetry::SeriesId;

use super::block::{self, COUNT_MAX, Encoded, Place};
use super::column::Column;
use super::merge::merge;
use super::partition::{Partition, Row, failed, key, next_generation, signed};
use super::reader::SeriesError;

/// pco's level for a compaction.
pub(super) const LEVEL: usize = 8;

/// What becomes of the blocks of some series.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) gone: Vec<Row>,
    pub(super) made: Vec<(i64, u64, Encoded)>,
    /// The series to go on with; none at the end.
    pub(super) next: Option<SeriesId>,
}

impl Turn {
    /// Nothing is made of these blocks: they are let go of.
    pub(super) fn without(gone: Vec<Row>) -> Self {
        Self {
            gone,
            ..Self::default()
        }
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.made.is_empty()
    }
}

impl Partition {
    /// Takes a number for the blocks of a compaction: everything older may be merged into them.
    pub(super) fn reserve(&mut self) -> Result<i64, SeriesError> {
        let reserved = self.write(|tx| {
            let generation = next_generation(tx)?;
            tx.execute("UPDATE position SET generation = ?1", [generation])?;
            Ok(generation)
        });
        reserved.map_err(|source| failed(&self.path, "beginning to compact it", source))
    }

    /// Merges what is older than `generation` of the series from `from` on that have loose blocks, as many as hold
    /// about `points_max` points. Nothing is written.
    pub(super) fn prepare(
        &self,
        from: SeriesId,
        generation: i64,
        points_max: usize,
    ) -> Result<Turn, SeriesError> {
        let mut turn = Turn::default();
        let (mut at, mut points) = (Some(from), 0);
        while let Some(from) = at {
            let Some(series) = self.loose_from(from)? else {
                break;
            };
            if points >= points_max {
                turn.next = Some(series);
                break;
            }
            points += self.at_once(|partition| partition.merge_series(series, generation, &mut turn))?;
            at = series.0.checked_add(1).map(SeriesId);
        }
        Ok(turn)
    }

    fn merge_series(&self, series: SeriesId, generation: i64, turn: &mut Turn) -> Result<usize, SeriesError> {
        let mut rows = self.rows(series)?;
        rows.retain(|row| row.generation() < generation);
        let mut columns: Vec<Column> = Vec::with_capacity(rows.len());
        for row in rows {
            // Whose samples were let go stays as it is.
            if let Some(column) = self.body(&row)? {
                columns.push(column);
                turn.gone.push(row);
            }
        }
        let merged = merge(columns);
        for ((day, slice), number) in merged.pieces(COUNT_MAX).zip(0i64..) {
            let key = key(series, generation, number)
                .map_err(|source| failed(&self.path, "numbering its blocks", source))?;
            let encoded = block::encode_rolled(Place { key, day }, slice, LEVEL);
            turn.made.push((key, slice.times.len() as u64, encoded));
        }
        Ok(merged.len())
    }

    /// Writes what was prepared, in one transaction.
    pub(super) fn apply(&mut self, turn: &Turn) -> Result<(), SeriesError> {
        let outcome = self.write(|tx| replace(tx, turn));
        outcome.map_err(|source| failed(&self.path, "compacting it", source))
    }

    /// Notes that `flushes` of the loose flushes are compacted.
    pub(super) fn settle(&mut self, flushes: u64) -> Result<(), SeriesError> {
        let settled = self.write(|tx| {
            tx.execute(
                "UPDATE position SET loose = max(loose - ?1, 0)",
                [signed(flushes)],
            )
        });
        settled
            .map(|_| ())
            .map_err(|source| failed(&self.path, "compacting it", source))
    }

    /// Gives up to `pages` free pages back; whether there are more.
    pub(super) fn give_back(&mut self, pages: u32) -> Result<bool, SeriesError> {
        let give = || {
            let free = |partition: &Self| {
                let count = partition
                    .connection
                    .pragma_query_value(None, "freelist_count", |row| row.get(0));
                count.map(|count: i64| count)
            };
            let before = free(self)?;
            if before == 0 {
                return Ok(false);
            }
            let vacuum: i64 = self
                .connection
                .pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
            if vacuum == 0 {
                // A file of version 1: once, and from then on in steps.
                self.connection
                    .execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")?;
            } else {
                self.connection
                    .execute_batch(&format!("PRAGMA incremental_vacuum({pages})"))?;
            }
            let after = free(self)?;
            Ok(after > 0 && after < before)
        };
        give().map_err(|source: rusqlite::Error| failed(&self.path, "giving free pages back", source))
    }
}

/// Puts what was made in the place of what is gone.
fn replace(tx: &Transaction<'_>, turn: &Turn) -> rusqlite::Result<()> {
    let mut forget = tx.prepare_cached("DELETE FROM block WHERE key = ?1")?;
    let mut unpack = tx.prepare_cached("DELETE FROM packed WHERE key = ?1")?;
    let mut insert = tx.prepare_cached("INSERT INTO packed VALUES (?1, ?2, ?3, ?4)")?;
    let (mut points, mut blocks) = (0i64, 0i64);
    for row in &turn.gone {
        let delete = if row.is_packed { &mut unpack } else { &mut forget };
        delete.execute([row.key])?;
        blocks -= 1;
        points -= signed(row.summary.samples as u64);
    }
    for (key, samples, encoded) in &turn.made {
        insert.execute(params![key, encoded.summary, encoded.rollup, encoded.body])?;
        blocks += 1;
        points += signed(*samples);
    }
    tx.execute(
        "UPDATE position SET points = points + ?1, blocks = blocks + ?2",
        [points, blocks],
    )?;
    Ok(())
}
