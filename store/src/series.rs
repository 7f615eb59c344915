//! Points by series and time.
//!
//! Start with [`SeriesReader`], the seam that everybody reads through; then [`SeriesStore`], the engine
//! behind it: the newest points in memory ([`head`]), the rest as compressed blocks ([`block`], [`ints`])
//! in one SQLite file per UTC day ([`partition`]) and later per month ([`months`]), read together ([`merge`], [`read`]).
//!
//! # What is durable
//! [`SeriesStore::append`] keeps points in memory. They are safe all the same: the journal has their
//! messages, and after a crash it brings everything after [`SeriesStore::cursor`] again. A flush writes
//! blocks and moves the cursor; points that come again although their day has them already are left out.
//!
//! # What happens at the bounds
//! - The head holds [`SeriesConfig::flush_points`] points or its oldest is [`SeriesConfig::flush_age`] old or it spans
//!   [`SeriesConfig::flush_messages`] of the journal: a thread writes it to disk while a new head fills.
//! - The new head is full before the old one is on disk: `append` waits for the disk.
//! - The disk is full: the flush fails, its head stays readable and is tried again; when the next head is full too,
//!   `append` refuses with the error until there is space. It has then taken nothing, and may be repeated.
//! - Any other I/O error: nothing is taken or written any more in this process; reading goes on.
//! - Points older than [`SeriesConfig::keep`], or than their series is kept ([`retention`]), are counted as too old and not kept.

mod block;
pub(crate) mod check;
mod civil;
mod column;
mod compaction;
mod engine;
mod extent;
#[cfg(test)]
mod faults;
mod flush;
mod grid;
mod head;
mod import;
mod index;
mod ints;
mod merge;
mod months;
mod outside;
mod partition;
pub mod query;
mod read;
mod reader;
mod readers;
mod retention;
mod rollup;
mod sink;
#[cfg(test)]
mod tests;
mod usage;
mod window;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use telemetry::time::Span;
use telemetry::{Clock, Lsn, Point, Sample, SeriesId, Timestamp};

pub(crate) use check::{DAY_VERSION, INDEX_FILE, INDEX_VERSION, day_of, file_name};
pub use civil::{CivilUnit, UnknownZone, Zone};
use engine::Engine;
pub use grid::{Cell, Grid, WINDOWS_MAX};
pub use outside::{Outside, TAIL_POINTS_MAX};
pub use reader::{SeriesError, SeriesReader};
pub use retention::ShortLived;
pub use sink::{Cancel, Collect, Gather, Sink, Sinks, gather};
pub use usage::Usage;
pub use window::{Held, Window};

/// How the series store works.
#[derive(Clone, Debug)]
pub struct SeriesConfig {
    /// How long points are kept, by their event time; older ones are not taken, and whole UTC days and months are
    /// deleted. Default 1098 days (three years).
    pub keep: Span,
    /// Series that are kept for less than that. Default none.
    pub short_lived: Vec<ShortLived>,
    /// Points in memory (17 bytes each, twice while a flush runs) before they are written to disk.
    /// Default 2,000,000.
    pub flush_points: usize,
    /// Age of the oldest point in memory at which all are written to disk. Default 1 h.
    pub flush_age: Span,
    /// Messages of the journal after the cursor at which the head is written to disk, however little
    /// came of them, so that the journal can be trimmed. Default 1,000,000.
    pub flush_messages: u64,
    /// Most series. Points of one more are refused and counted ([`Appended::refused`]); the others go on.
    /// Default 2,000,000.
    pub series_max: usize,
    /// From one time that the store takes care of itself (deletes old days, compacts past ones, closes files that
    /// nobody reads) to the next. Default 10 min.
    pub care_every: Span,
    /// How long a UTC month has been over when its days become one file, of less than half their size. Late points of it
    /// are taken all the same; the file is written anew where they belong, once a day at most. Default 2 days.
    pub month_after: Span,
    /// Bytes of decoded blocks that are kept for the next question, until [`SeriesConfig::care_every`] has passed. Default
    /// 32 MiB: a month of 1,800 lamps.
    pub decoded_bytes: usize,
}

impl Default for SeriesConfig {
    fn default() -> Self {
        Self {
            keep: Span::from_secs(1098 * 86_400),
            short_lived: Vec::new(),
            flush_points: 2_000_000,
            flush_age: Span::from_secs(3600),
            flush_messages: 1_000_000,
            series_max: 2_000_000,
            care_every: Span::from_secs(600),
            month_after: Span::from_secs(2 * 86_400),
            decoded_bytes: 32 << 20,
        }
    }
}

/// What became of the points of one append. Their sum is the number of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// New, as far as the memory knows: the disk is not asked.
    pub stored: u64,
    /// The very same sample is still in memory.
    pub duplicates: u64,
    /// Another value or quality of the same time was in memory and gave way.
    pub replaced: u64,
    /// Older than what is kept (or beyond the year 9999): not taken.
    pub too_old: u64,
    /// The journal brought it again after a crash, and it is already on disk.
    pub replayed: u64,
    /// Of a series that is new, when there are [`SeriesConfig::series_max`] already: not taken.
    pub refused: u64,
}

/// How much the series store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SeriesStats {
    /// Points that are only in memory.
    pub head_points: u64,
    /// Points in blocks; one that was sent twice, before and after a flush, counts twice until its day
    /// is compacted.
    pub block_points: u64,
    /// Blocks.
    pub blocks: u64,
    /// Files of days and months.
    pub partitions: u64,
    /// Size of the partitions' files, logs included.
    pub disk_bytes: u64,
    /// Flushes since the store was opened.
    pub flushes: u64,
    /// Series that have a sample.
    pub series: u64,
    /// Points since the store was opened that were refused because their series would have been one too many.
    pub refused: u64,
}

impl SeriesStats {
    /// Bytes on disk per point in blocks; none without points.
    #[must_use]
    pub fn bytes_per_point(&self) -> Option<f64> {
        (self.block_points > 0).then(|| self.disk_bytes as f64 / self.block_points as f64)
    }
}

/// The series of one data directory. Dropping it without [`SeriesStore::close`] is like a crash: nothing
/// is lost, but the journal has to bring the head again.
pub struct SeriesStore {
    engine: Arc<Engine>,
    signal: Arc<Signal>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for SeriesStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesStore")
            .field("dir", &self.engine.dir)
            .finish_non_exhaustive()
    }
}

/// Wakes the flushing thread.
#[derive(Debug, Default)]
struct Signal {
    stop: Mutex<bool>,
    changed: Condvar,
}

impl SeriesStore {
    /// Opens the series of the data directory `dir`, which exists, and starts the threads that flush and take care. Only one
    /// process at a time may do so; the data directory's lock sees to that.
    ///
    /// # Errors
    /// [`SeriesError`] when a file is damaged, missing, of a later version, or cannot be opened.
    pub fn open(dir: &Path, config: SeriesConfig, clock: Arc<dyn Clock>) -> Result<Self, SeriesError> {
        let engine = Arc::new(Engine::open(dir, config, clock)?);
        let signal = Arc::new(Signal::default());
        let start = |name: &str, run: fn(&Engine, &Signal)| {
            let (engine, signal) = (Arc::clone(&engine), Arc::clone(&signal));
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || run(&engine, &signal))
                .map_err(|source| partition::failed(dir, "starting a thread", source))
        };
        let threads = vec![
            start("series-flush", flush_when_due)?,
            start("series-care", care_when_due)?,
        ];
        Ok(Self {
            engine,
            signal,
            threads: Mutex::new(threads),
        })
    }

    /// Up to here the journal is on disk as points: replay from the message after it.
    #[must_use]
    pub fn cursor(&self) -> Lsn {
        self.engine.memory().cursor
    }

    /// Takes `points`, in order of arrival: all that came of the messages after the last append up to
    /// `upto`. They can be read at once, and are on disk when [`SeriesStore::cursor`] has reached `upto`.
    /// An append whose `upto` is not beyond the last one's was there before, and changes nothing.
    ///
    /// # Errors
    /// [`SeriesError::Engine`] when the disk fails or is full and too much waits in memory; nothing was
    /// taken then.
    pub fn append(&self, points: &[Point], upto: Lsn) -> Result<Appended, SeriesError> {
        if self.engine.is_overfull() {
            self.engine.flush()?;
        }
        let appended = self.engine.append(points, upto)?;
        if self.engine.flush_is_due() {
            self.signal.changed.notify_all();
        }
        Ok(appended)
    }

    /// Writes everything that was appended before to disk and moves the cursor. Appends and readers go
    /// on meanwhile.
    ///
    /// # Errors
    /// [`SeriesError`] when the disk fails or is full; the points stay in memory.
    pub fn flush(&self) -> Result<(), SeriesError> {
        self.engine.flush()
    }

    /// Compacts every day before today that was flushed since: as few blocks as possible, with roll-ups. Takes
    /// long; flushes come in between. The store does it by itself every [`SeriesConfig::care_every`].
    ///
    /// # Errors
    /// [`SeriesError`] when the disk fails or is full, or a block is damaged; what was there stays.
    pub fn compact(&self) -> Result<(), SeriesError> {
        self.engine.compact_past()
    }

    /// Compacts the UTC day that holds `day`, today's also.
    ///
    /// # Errors
    /// As [`SeriesStore::compact`].
    pub fn compact_day(&self, day: Timestamp) -> Result<(), SeriesError> {
        self.engine.compact_day(day.utc_day())
    }

    /// Days that held less when the store was opened than the disk had confirmed before: the journal brings what it still
    /// has of them, and the disk is not to be trusted.
    #[must_use]
    pub fn distrusted_days(&self) -> u64 {
        self.engine.distrusted
    }

    /// Makes one file of the days of each UTC month that is over at `before`. Takes long; flushes come in between. The
    /// store does it by itself ([`SeriesConfig::month_after`]).
    ///
    /// # Errors
    /// As [`SeriesStore::compact`].
    pub fn make_months(&self, before: Timestamp) -> Result<(), SeriesError> {
        self.engine.make_months(before)
    }

    /// Deletes the UTC days and months that are over at `before`. Points of days before it are neither shown nor taken any more.
    ///
    /// # Errors
    /// [`SeriesError`] when the disk fails or is full.
    pub fn expire(&self, before: Timestamp) -> Result<(), SeriesError> {
        self.engine.expire(before)
    }

    /// Lets go of what [`SeriesConfig::short_lived`] says is old, by the clock. The store does it by itself every
    /// [`SeriesConfig::care_every`].
    ///
    /// # Errors
    /// [`SeriesError`] when the disk fails or is full, or a block is damaged; what is left is let go of next time.
    pub fn let_go(&self) -> Result<(), SeriesError> {
        self.engine.let_go()
    }

    /// How much it holds.
    ///
    /// # Errors
    /// [`SeriesError::Engine`] when the size of a file cannot be read.
    pub fn stats(&self) -> Result<SeriesStats, SeriesError> {
        self.engine.stats()
    }

    /// Writes everything to disk and ends the threads; a compaction ends after its turn.
    ///
    /// # Errors
    /// [`SeriesError`] when the disk fails or is full; the journal then brings the rest again.
    pub fn close(&self) -> Result<(), SeriesError> {
        self.end_threads();
        self.engine.flush()
    }

    fn end_threads(&self) {
        self.engine.stopping.store(true, Ordering::Relaxed);
        *self.signal.stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.changed.notify_all();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the series store has panicked");
            }
        }
    }
}

impl Drop for SeriesStore {
    fn drop(&mut self) {
        self.end_threads();
    }
}

/// The flushing thread: looks whenever it is called, and once a second of the clock.
fn flush_when_due(engine: &Engine, signal: &Signal) {
    let pause = engine
        .clock
        .real(Span::from_secs(1))
        .max(std::time::Duration::from_millis(20));
    let mut stop = signal.stop.lock().unwrap_or_else(PoisonError::into_inner);
    while !*stop {
        (stop, _) = signal
            .changed
            .wait_timeout(stop, pause)
            .unwrap_or_else(PoisonError::into_inner);
        if *stop {
            return;
        }
        drop(stop);
        if engine.flush_is_due()
            && let Err(error) = engine.flush()
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "points could not be written to disk; they stay in memory and in the journal"
            );
            // However often it is called meanwhile: a full disk is not asked again before the pause is over.
            let stop = signal.stop.lock().unwrap_or_else(PoisonError::into_inner);
            let paused = signal.changed.wait_timeout_while(stop, pause, |stop| !*stop);
            drop(paused.unwrap_or_else(PoisonError::into_inner));
        }
        stop = signal.stop.lock().unwrap_or_else(PoisonError::into_inner);
    }
}

/// The caring thread. Its work comes in short turns, so that no append, flush or query waits long for it.
fn care_when_due(engine: &Engine, signal: &Signal) {
    let pause = engine
        .clock
        .real(Span::from_secs(1))
        .max(std::time::Duration::from_millis(20));
    let mut cared_at = engine.clock.monotonic();
    let mut stop = signal.stop.lock().unwrap_or_else(PoisonError::into_inner);
    while !*stop {
        (stop, _) = signal
            .changed
            .wait_timeout_while(stop, pause, |stop| !*stop)
            .unwrap_or_else(PoisonError::into_inner);
        let now = engine.clock.monotonic();
        let since = now.millis().saturating_sub(cared_at.millis());
        if *stop || since < engine.config.care_every.millis() {
            continue;
        }
        drop(stop);
        cared_at = now;
        if let Err(error) = engine.care() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old days could not be looked after; they will be again"
            );
        }
        stop = signal.stop.lock().unwrap_or_else(PoisonError::into_inner);
    }
}

impl SeriesReader for SeriesStore {
    fn latest(&self, series: SeriesId) -> Result<Option<Sample>, SeriesError> {
        Ok(self.engine.latest(series))
    }

    fn last_before(&self, series: SeriesId, at: Timestamp) -> Result<Option<Sample>, SeriesError> {
        self.engine.last_before(series, at)
    }

    fn scan(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<(), SeriesError> {
        self.engine.scan(series, from, to, cancel, sink)
    }

    fn scan_many(
        &self,
        series: &[SeriesId],
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sinks: &mut dyn Sinks,
    ) -> Result<(), SeriesError> {
        self.engine.scan_many(series, from, to, cancel, sinks)
    }
}
