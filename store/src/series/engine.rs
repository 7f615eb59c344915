//! The series store: the head in memory, the partitions on disk, and how points get from one to the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use telemetry::{Clock, Lsn, Point, Sample, SeriesId, Timestamp};

use super::column::Inserted;
use super::extent::{self, MONTHS, file_name, month_of};
use super::head::{Before, Head};
use super::index::{Index, Loaded};
use super::partition::{Facts, Partition, failed};
use super::reader::SeriesError;
use super::readers::Readers;
use super::retention::{Cuts, Settled};
use super::{Appended, SeriesConfig, SeriesStats};

/// Days outside the years 1970 to 9999 have no file name. Source: RFC 3339 knows four digits.
pub(super) const DAYS: std::ops::Range<i64> = 0..2_932_897;

/// What readers and appends share. Held for short times only: never while the disk is used.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) head: Head,
    /// The head before, while it is written to disk, and after a write that failed.
    pub(super) flushing: Option<Arc<Head>>,
    /// The newest sample of each series as of the last flush.
    pub(super) latest: FxHashMap<SeriesId, Sample>,
    /// By extent ([`super::extent`]): the days, then the months.
    pub(super) partitions: BTreeMap<i64, Facts>,
    pub(super) cursor: Lsn,
    pub(super) expired_day: i64,
    pub(super) flushes: u64,
    /// Series that may still come: the bound less those that are known.
    pub(super) room: usize,
    /// Points of series for which there was no room.
    pub(super) refused: u64,
    /// Why nothing is taken any more.
    pub(super) broken: Option<Arc<str>>,
}

/// The writing side: flush, compaction and expiry take turns.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) index: Index,
}

/// All of the store but its thread.
pub(super) struct Engine {
    pub(super) dir: PathBuf,
    pub(super) config: SeriesConfig,
    pub(super) clock: Arc<dyn Clock>,
    memory: Mutex<Memory>,
    writer: Mutex<Writer>,
    /// Held by the one who compacts a day or moves days into their month, for all of its turns; taken before `writer`.
    pub(super) compacting: Mutex<Settled>,
    /// The UTC day on which each month was last looked at.
    pub(super) looked_at: Mutex<BTreeMap<i64, i64>>,
    pub(super) readers: Readers,
    /// Whether the store is being closed: a compaction ends after its turn.
    pub(super) stopping: AtomicBool,
    /// Whether a server writes to the files, which is another process.
    is_beside: bool,
    /// Files that held less at the start than they had once.
    pub(super) distrusted: u64,
}

impl Engine {
    pub(super) fn open(dir: &Path, config: SeriesConfig, clock: Arc<dyn Clock>) -> Result<Self, SeriesError> {
        let mut index = Index::open(dir)?;
        let mut loaded = index.load()?;
        let partitions = find_partitions(dir, &loaded)?;
        if loaded.is_new && !partitions.is_empty() {
            rebuild(dir, &mut index, &mut loaded, &partitions)?;
        }
        let (cursor, distrusted) = trusted(dir, &loaded, &partitions);
        loaded.cursor = cursor;
        Ok(Self {
            distrusted,
            ..Self::with(dir, config, clock, index, loaded, partitions)
        })
    }

    /// The engine over files that were opened.
    pub(super) fn with(
        dir: &Path,
        config: SeriesConfig,
        clock: Arc<dyn Clock>,
        index: Index,
        loaded: Loaded,
        partitions: BTreeMap<i64, Facts>,
    ) -> Self {
        let room = config.series_max.saturating_sub(loaded.latest.len());
        let memory = Memory {
            head: Head::after(loaded.cursor),
            flushing: None,
            latest: loaded.latest,
            partitions,
            cursor: loaded.cursor,
            expired_day: loaded.expired_day,
            flushes: 0,
            room,
            refused: 0,
            broken: None,
        };
        Self {
            dir: dir.to_owned(),
            readers: Readers::new(dir, config.decoded_bytes),
            config,
            clock,
            memory: Mutex::new(memory),
            writer: Mutex::new(Writer { index }),
            compacting: Mutex::default(),
            looked_at: Mutex::default(),
            stopping: AtomicBool::new(false),
            is_beside: false,
            distrusted: 0,
        }
    }

    /// The same, for reading only, beside a server that may write to the files.
    pub(super) fn beside_a_server(self) -> Self {
        Self {
            is_beside: true,
            // The other process deletes files and makes them anew.
            readers: Readers::new(&self.dir, 0),
            ..self
        }
    }

    /// Whether any of these files has expired or gone into another one since they were looked up.
    pub(super) fn have_moved(&self, extents: &[i64]) -> bool {
        if self.is_beside {
            let expired_day = self.memory().expired_day;
            match super::outside::list(&self.dir, expired_day) {
                Ok(partitions) => self.memory().partitions = partitions,
                // The reader's own error says what is wrong.
                Err(_) => return false,
            }
        }
        let memory = self.memory();
        !extents
            .iter()
            .all(|extent| memory.partitions.contains_key(extent))
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes points into the head.
    pub(super) fn append(&self, points: &[Point], upto: Lsn) -> Result<Appended, SeriesError> {
        let now = self.clock.monotonic();
        let keep_from = self.clock.now().minus(self.config.keep).utc_day();
        let mut memory = self.memory();
        memory.check()?;
        let mut appended = Appended::default();
        if upto <= memory.head.upto {
            appended.replayed = points.len() as u64;
            return Ok(appended);
        }
        let kept = keep_from.max(memory.expired_day);
        let flushed: Vec<i64> = memory
            .partitions
            .iter()
            .filter(|(_, facts)| facts.flushed >= upto)
            .map(|(extent, _)| *extent)
            .collect();
        let cuts = Cuts::at(self.clock.now(), &self.config.short_lived);
        let is_flushed =
            |day| !flushed.is_empty() && (flushed.contains(&day) || flushed.contains(&month_of(day)));
        for point in points {
            if cuts.are_past(point) {
                appended.too_old += 1;
                continue;
            }
            memory.take(point, kept, is_flushed, &mut appended);
        }
        if appended.refused > 0 && memory.refused == 0 {
            let series_max = self.config.series_max;
            tracing::warn!(series_max, "too many series: points of new ones are not kept");
        }
        memory.refused += appended.refused;
        memory.head.upto = upto;
        memory.head.since.get_or_insert(now);
        Ok(appended)
    }

    /// Whether the head has grown or aged enough to be written to disk.
    pub(super) fn flush_is_due(&self) -> bool {
        let now = self.clock.monotonic();
        let memory = self.memory();
        let old = memory.head.since.is_some_and(|since| {
            now.millis().saturating_sub(since.millis()) >= self.config.flush_age.millis()
        });
        let journal = memory.head.upto.0 - memory.cursor.0;
        memory.broken.is_none()
            && (old
                || memory.flushing.is_some()
                || memory.head.points() >= self.config.flush_points
                || journal >= self.config.flush_messages)
    }

    /// Whether the head is so large that its owner has to wait for the disk.
    pub(super) fn is_overfull(&self) -> bool {
        let memory = self.memory();
        memory.flushing.is_some() && memory.head.points() >= self.config.flush_points
            || memory.head.points() >= self.config.flush_points.saturating_mul(2)
    }

    pub(super) fn stats(&self) -> Result<SeriesStats, SeriesError> {
        let (mut stats, extents) = {
            let memory = self.memory();
            let flushing = memory.flushing.as_deref().map_or(0, Head::points);
            let stats = SeriesStats {
                head_points: (memory.head.points() + flushing) as u64,
                block_points: memory.partitions.values().map(|facts| facts.points).sum(),
                blocks: memory.partitions.values().map(|facts| facts.blocks).sum(),
                partitions: memory.partitions.len() as u64,
                disk_bytes: 0,
                flushes: memory.flushes,
                series: self.config.series_max.saturating_sub(memory.room) as u64,
                refused: memory.refused,
            };
            (stats, memory.partitions.keys().copied().collect::<Vec<_>>())
        };
        for extent in extents {
            let path = self.dir.join(file_name(extent));
            for extension in ["db", "db-wal"] {
                let path = path.with_extension(extension);
                match std::fs::metadata(&path) {
                    Ok(file) => stats.disk_bytes += file.len(),
                    // Without a log, or expired in between.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed(&path, "asking for its size", error)),
                }
            }
        }
        Ok(stats)
    }

    /// After an I/O error nobody knows what is on the disk: nothing is taken or written any more in this
    /// process. The journal still has all that the cursor does not cover.
    pub(super) fn break_down(&self, error: &SeriesError) {
        let why = telemetry::with_causes(error);
        tracing::error!(
            why,
            "the series store has stopped: restart after a look at the disk"
        );
        self.memory().broken = Some(why.into());
    }
}

impl Memory {
    pub(super) fn check(&self) -> Result<(), SeriesError> {
        match &self.broken {
            None => Ok(()),
            Some(why) => Err(SeriesError::Engine {
                doing: "standing still after an earlier error".to_owned(),
                source: why.to_string().into(),
            }),
        }
    }

    fn take(
        &mut self,
        point: &Point,
        kept_from_day: i64,
        is_flushed: impl Fn(i64) -> bool,
        appended: &mut Appended,
    ) {
        let Point { series, sample, .. } = *point;
        let day = sample.time.utc_day();
        if day < kept_from_day || !DAYS.contains(&day) {
            appended.too_old += 1;
            return;
        }
        let before = Before {
            flushing: self.flushing.as_deref(),
            flushed: &self.latest,
        };
        if is_flushed(day) {
            self.head.note(series, sample, before);
            appended.replayed += 1;
            return;
        }
        match self.head.insert(series, sample, before, &mut self.room) {
            Some(Inserted::New) => appended.stored += 1,
            Some(Inserted::Same) => appended.duplicates += 1,
            Some(Inserted::Replaced) => appended.replaced += 1,
            None => appended.refused += 1,
        }
    }

    pub(super) fn latest(&self, series: SeriesId) -> Option<Sample> {
        self.head
            .latest(series)
            .or_else(|| self.flushing.as_deref()?.latest(series))
            .or_else(|| self.latest.get(&series).copied())
    }

    /// Counts the series again, after some have gone.
    pub(super) fn recount(&mut self, series_max: usize) {
        let before = |flushing| Before {
            flushing,
            flushed: &self.latest,
        };
        let flushing = self.flushing.as_deref();
        let flushing_new = flushing.map_or(0, |head| head.new_series(before(None)));
        let known = self.latest.len() + flushing_new + self.head.new_series(before(flushing));
        self.room = series_max.saturating_sub(known);
    }

    /// The files that hold points of the days from `first` to `last`, in order of their numbers.
    pub(super) fn on_disk(&self, first: i64, last: i64) -> Vec<i64> {
        let days = self.partitions.range(first.min(MONTHS)..MONTHS);
        let days = days.take_while(|(day, _)| **day <= last);
        let months = self.partitions.range(MONTHS..);
        let months = months.filter(|(month, _)| {
            let days = extent::days(**month);
            days.start <= last && first < days.end
        });
        days.chain(months).map(|(extent, _)| *extent).collect()
    }

    /// The days of `month` that have files of their own.
    pub(super) fn days_of(&self, month: i64) -> Vec<i64> {
        let days = self.partitions.range(extent::days(month));
        days.map(|(day, _)| *day).collect()
    }

    /// Nothing before this instant is shown: it is expired.
    pub(super) fn kept_from(&self) -> Timestamp {
        Timestamp::from_millis(self.expired_day.saturating_mul(Timestamp::DAY_MS))
    }
}

/// The partitions of `dir` with what they say of themselves. Files that an interrupted expiry left behind
/// are deleted; a file that the index knows and that is gone is damage.
fn find_partitions(dir: &Path, loaded: &Loaded) -> Result<BTreeMap<i64, Facts>, SeriesError> {
    let listing = |source| failed(dir, "listing the partitions", source);
    let mut partitions = BTreeMap::new();
    // An expiry takes its days off the list in the same transaction: if not, the list is not what was written, and
    // nothing may be deleted by it.
    let has_expired = |extent: &&i64| extent::days(**extent).end <= loaded.expired_day;
    if let Some(extent) = loaded.extents.iter().find(has_expired) {
        return Err(SeriesError::Damaged(format!(
            "{}: it lists {}, which it says has expired",
            dir.join(super::index::INDEX_FILE).display(),
            extent::file_name(*extent)
        )));
    }
    for entry in std::fs::read_dir(dir).map_err(|e| listing(Box::new(e)))? {
        let entry = entry.map_err(|e| listing(Box::new(e)))?;
        let name = entry.file_name();
        let Some(extent) = name.to_str().and_then(extent::named) else {
            continue;
        };
        if extent::days(extent).end <= loaded.expired_day {
            delete_partition(dir, extent)?;
        } else {
            partitions.insert(extent, Partition::upgraded(dir, extent)?.facts()?);
        }
    }
    match loaded
        .extents
        .iter()
        .find(|extent| !partitions.contains_key(extent))
    {
        None => Ok(partitions),
        Some(extent) => Err(SeriesError::Damaged(format!(
            "{} is missing",
            dir.join(file_name(*extent)).display()
        ))),
    }
}

/// The cursor that the days bear out, and how many do not bear out the index. A day that holds less than it once did was on a disk that confirmed what it had not
/// written; the journal brings again what it still has from there on.
fn trusted(dir: &Path, loaded: &Loaded, partitions: &BTreeMap<i64, Facts>) -> (Lsn, u64) {
    let (mut cursor, mut distrusted) = (loaded.cursor, 0);
    for (day, reached) in &loaded.reached {
        if let Some(facts) = partitions.get(day)
            && facts.flushed < *reached
        {
            tracing::error!(
                file = %dir.join(file_name(*day)).display(),
                holds = facts.flushed.0,
                held = reached.0,
                "the disk has lost what it had confirmed: points are taken from the journal again, as far as it has them"
            );
            cursor = cursor.min(facts.flushed);
            distrusted += 1;
        }
    }
    (cursor, distrusted)
}

/// Makes the index anew out of the partitions: which there are, and the newest sample of each series. The cursor
/// begins at 0: the journal brings what it still has, and the days leave out what they have already.
fn rebuild(
    dir: &Path,
    index: &mut Index,
    loaded: &mut Loaded,
    partitions: &BTreeMap<i64, Facts>,
) -> Result<(), SeriesError> {
    tracing::warn!("the index of the series is missing: it is made anew out of the days");
    // Months first: of equal times the day's is the newer arrival.
    for extent in partitions.keys().rev() {
        for (series, sample) in Partition::open(dir, *extent)?.newest()? {
            let known = loaded.latest.get(&series);
            if known.is_none_or(|known| known.time <= sample.time) {
                loaded.latest.insert(series, sample);
            }
        }
    }
    loaded.extents = partitions.keys().copied().collect();
    let mut latest: Vec<_> = loaded
        .latest
        .iter()
        .map(|(series, sample)| (*series, *sample))
        .collect();
    latest.sort_unstable_by_key(|(series, _)| *series);
    index.advance(loaded.cursor, &loaded.extents, &latest)
}

/// Deletes the files of a day or month. Nobody may write to them any more.
pub(super) fn delete_partition(dir: &Path, extent: i64) -> Result<(), SeriesError> {
    let path = dir.join(file_name(extent));
    for extension in ["db-wal", "db-shm", "db"] {
        let path = path.with_extension(extension);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path, "deleting it", error)),
        }
    }
    Ok(())
}
