//! Where the bytes on disk are: by series and column, for whoever sizes a disk.

use rusqlite::params;
use telemetry::{SeriesId, Timestamp};

use super::SeriesStore;
use super::block::{self, Place};
use super::partition::{self, Partition};
use super::reader::SeriesError;

/// What the points of a series cost on disk, in bytes, without the pages around them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Points in blocks.
    pub points: u64,
    /// Summaries of blocks, with their keys and checksums.
    pub summaries: u64,
    /// Columns of values.
    pub values: u64,
    /// Columns of times.
    pub times: u64,
    /// Columns of qualities, with the checksums of the bodies.
    pub qualities: u64,
    /// Roll-ups.
    pub rollups: u64,
}

impl Usage {
    /// All of it.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.summaries + self.values + self.times + self.qualities + self.rollups
    }

    /// Adds another's points and bytes.
    pub const fn add(&mut self, other: Self) {
        self.points += other.points;
        self.summaries += other.summaries;
        self.values += other.values;
        self.times += other.times;
        self.qualities += other.qualities;
        self.rollups += other.rollups;
    }
}

/// Bytes of a key of eight bytes or less, as `SQLite` writes it before a row; most take five.
const KEY_BYTES: u64 = 8;

impl SeriesStore {
    /// Tells what each block of the UTC days of `from..to` costs, and of the months that have a file of their own and a
    /// part in `from..to`. What is only in memory costs nothing yet. Reads every block of those files: seconds for a month of a
    /// county.
    ///
    /// # Errors
    /// [`SeriesError`] when a file cannot be read or a block is damaged.
    pub fn usage(
        &self,
        from: Timestamp,
        to: Timestamp,
        each: &mut dyn FnMut(SeriesId, Usage),
    ) -> Result<(), SeriesError> {
        let last = to.millis().saturating_sub(1).div_euclid(Timestamp::DAY_MS);
        let files = self.engine.memory().on_disk(from.utc_day(), last);
        files
            .into_iter()
            .try_for_each(|extent| tell_file(&Partition::open(&self.engine.dir, extent)?, each))
    }
}

fn tell_file(partition: &Partition, each: &mut dyn FnMut(SeriesId, Usage)) -> Result<(), SeriesError> {
    let mut damage = None;
    let mut read = || {
        let mut select = partition.connection.prepare(
            "SELECT key, summary, rollup, body FROM packed UNION ALL SELECT key, summary, NULL, body FROM block",
        )?;
        let mut rows = select.query(params![])?;
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            let place = Place {
                key,
                day: partition.day,
            };
            let summary = row.get_ref(1)?.as_blob()?;
            let rollup = row.get_ref(2)?.as_blob_or_null()?;
            match of_block(place, summary, row.get_ref(3)?.as_blob_or_null()?) {
                Ok(usage) => each(
                    partition::series_of(key),
                    Usage {
                        rollups: rollup.map_or(0, |bytes| bytes.len() as u64),
                        ..usage
                    },
                ),
                Err(what) => damage = Some((key, what)),
            }
        }
        Ok(())
    };
    read().map_err(|source: rusqlite::Error| {
        partition::failed(&partition.path, "measuring its blocks", source)
    })?;
    match damage {
        Some((key, what)) => Err(SeriesError::Damaged(format!(
            "{}, row {key}: {what}",
            partition.path.display()
        ))),
        None => Ok(()),
    }
}

fn of_block(place: Place, summary: &[u8], body: Option<&[u8]>) -> Result<Usage, &'static str> {
    let facts = block::decode_summary(place, summary)?;
    let columns = body.map_or(Ok([0; 3]), |body| block::column_bytes(place, &facts, body))?;
    let [values, times, qualities] = columns.map(|bytes| bytes as u64);
    Ok(Usage {
        points: facts.samples as u64,
        summaries: summary.len() as u64 + KEY_BYTES,
        values,
        times,
        qualities,
        rollups: 0,
    })
}
