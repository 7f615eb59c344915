//! The pass over the history: shares of the county on several threads, each tried under both sets of rules.

use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use alarms::backtest::{Act, Part, RuleSet, Setting, Share, TooMany, Trial, shares};
use store::series::{Cancel, Outside};
use telemetry::{SeriesId, Timestamp};

use super::history::{History, Piece};
use super::{Period, say};
use crate::exit::Failure;

/// Series of a share that are aimed at. A few thousand rules stay in the processor's caches, and the store reads some hundred series at
/// once.
const SHARE_SERIES: usize = 1000;
/// Most threads.
const WORKERS_MAX: usize = 4;
/// Points after which it is told how far the work has come.
const TOLD_EVERY: u64 = 10_000_000;

/// What is to be done.
pub(super) struct Work<'a> {
    pub points: &'a Outside,
    /// The rules in force, and the new ones.
    pub sets: [&'a RuleSet; 2],
    pub owners: &'a [(SeriesId, u32)],
    pub setting: &'a Setting,
    pub period: Period,
    /// When the rules begin to run.
    pub start: Timestamp,
    pub acts: &'a [Act],
}

/// What was judged.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Points.
    pub points: AtomicU64,
    /// Of them: not before the stretch that is asked about.
    pub within: AtomicU64,
    /// Series of which only summaries are left somewhere.
    pub summaries_only: AtomicUsize,
    shares: AtomicUsize,
}

impl Work<'_> {
    /// Does it: what came of the rules in force, and of the new ones.
    ///
    /// # Errors
    /// [`Failure`] when the points cannot be read, or one of the sets raises too much.
    pub(super) fn run(&self, counts: &Counts) -> Result<[Part; 2], Failure> {
        let shares = shares(self.sets, self.owners, SHARE_SERIES);
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers = workers.min(WORKERS_MAX).min(shares.len().max(1));
        let (cancel, next) = (Cancel::new(), AtomicUsize::new(0));
        let failed = OnceLock::new();
        let work = || {
            let mut sum = [Part::default(), Part::default()];
            while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
                let parts = self.share(share, &cancel, counts);
                if let Err(failure) = parts.and_then(|parts| add(&mut sum, parts)) {
                    // The first to fail makes the others end; that they were made to is no news.
                    failed.get_or_init(|| failure);
                    cancel.cancel();
                    break;
                }
                let done = counts.shares.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::debug!(done, of = shares.len(), "a share of the county is tried");
            }
            sum
        };
        let sums: Vec<[Part; 2]> = thread::scope(|scope| {
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let end = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            };
            threads.into_iter().map(end).collect()
        });
        if let Some(failure) = failed.into_inner() {
            return Err(failure);
        }
        let mut sum = [Part::default(), Part::default()];
        for parts in sums {
            add(&mut sum, parts)?;
        }
        Ok(sum)
    }

    fn share(&self, share: &Share, cancel: &Cancel, counts: &Counts) -> Result<[Part; 2], Failure> {
        let [mut before, mut after] = [0, 1].map(|side: usize| {
            let places = share.rules.get(side).map_or(&[][..], Vec::as_slice);
            let set = self.sets.get(side).map(|set| set.part(places));
            Trial::new(set.unwrap_or_default(), self.setting, self.start)
        });
        let mut history = History::new(self.points, cancel, &share.series, (self.start, self.period.to));
        let mut acts = self.acts;
        while let Some(piece) = history.next()? {
            let (now, later) = acts.split_at(acts.partition_point(|act| act.at < piece.until));
            acts = later;
            before
                .take(&piece.readings, now)
                .map_err(|many| too_many("in force", many))?;
            after
                .take(&piece.readings, now)
                .map_err(|many| too_many("new", many))?;
            self.count(&piece, counts);
        }
        counts
            .summaries_only
            .fetch_add(history.summaries_only(), Ordering::Relaxed);
        let to = self.period.to;
        Ok([
            before.end(to).map_err(|many| too_many("in force", many))?,
            after.end(to).map_err(|many| too_many("new", many))?,
        ])
    }

    fn count(&self, piece: &Piece, counts: &Counts) {
        let from = self.period.from;
        let earlier = piece.readings.partition_point(|reading| reading.time < from);
        let many = piece.readings.len() as u64;
        counts.within.fetch_add(many - earlier as u64, Ordering::Relaxed);
        let before = counts.points.fetch_add(many, Ordering::Relaxed);
        if (before + many) / TOLD_EVERY > before / TOLD_EVERY {
            say(&format!("{} points judged", before + many));
        }
    }
}

fn add(sum: &mut [Part; 2], parts: [Part; 2]) -> Result<(), Failure> {
    let ([before, after], [old, new]) = (sum, parts);
    before.absorb(old).map_err(|many| too_many("in force", many))?;
    after.absorb(new).map_err(|many| too_many("new", many))
}

fn too_many(which: &str, many: TooMany) -> Failure {
    Failure::Input(format!("the rules {which}: {many}"))
}
