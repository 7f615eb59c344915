//! The consumers of the pipeline that join one crate to another: points into the series store, batches to
//! the alarms, and to the pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alarms::AlarmService;
use dashboards::LiveFeed;
use ingest::{BoxError, Consumer};
use store::series::SeriesStore;
use telemetry::{Batch, Lsn};

use crate::backlog::Backlog;

/// What the store made of the points since the start.
#[derive(Debug, Default)]
pub(crate) struct StoreCounters {
    /// Points that are new.
    pub stored: AtomicU64,
    /// Points that were there before, the same.
    pub duplicates: AtomicU64,
    /// Points that took the place of another of the same time.
    pub replaced: AtomicU64,
    /// Messages that nobody could read.
    pub dead_letters: AtomicU64,
}

/// Appends every point to the series store, which keeps the cursor together with what it has flushed.
#[derive(Debug)]
pub(crate) struct SeriesConsumer {
    pub store: Arc<SeriesStore>,
    pub counters: Arc<StoreCounters>,
}

impl Consumer for SeriesConsumer {
    fn name(&self) -> &'static str {
        "series"
    }

    fn cursor(&self) -> Lsn {
        self.store.cursor()
    }

    fn take(&mut self, batch: &Batch) -> Result<(), BoxError> {
        let appended = self.store.append(&batch.points, batch.last)?;
        self.counters.stored.fetch_add(appended.stored, Ordering::Relaxed);
        self.counters
            .duplicates
            .fetch_add(appended.duplicates, Ordering::Relaxed);
        self.counters
            .replaced
            .fetch_add(appended.replaced, Ordering::Relaxed);
        let dead = batch.dead_letters.len() as u64;
        self.counters.dead_letters.fetch_add(dead, Ordering::Relaxed);
        Ok(())
    }

    fn idle(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Shows every batch to the alarm engine, which commits its cursor with the transitions. Senders do not run away from it.
pub(crate) struct AlarmConsumer {
    pub service: Arc<AlarmService>,
    pub backlog: Backlog,
}

impl Consumer for AlarmConsumer {
    fn name(&self) -> &'static str {
        "alarms"
    }

    fn cursor(&self) -> Lsn {
        self.service.cursor()
    }

    fn take(&mut self, batch: &Batch) -> Result<(), BoxError> {
        self.service.observe(batch);
        self.backlog.taken(batch.last);
        Ok(())
    }

    fn idle(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Shows every batch to the pages. Nothing of it is on disk: it starts where the local store has got to, and its cursor
/// is simply what it has seen.
pub(crate) struct LiveConsumer {
    pub feed: Arc<LiveFeed>,
    pub seen: Lsn,
}

impl Consumer for LiveConsumer {
    fn name(&self) -> &'static str {
        "live"
    }

    fn cursor(&self) -> Lsn {
        self.seen
    }

    fn take(&mut self, batch: &Batch) -> Result<(), BoxError> {
        self.feed.observe(batch);
        self.seen = batch.last;
        Ok(())
    }

    fn idle(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}
