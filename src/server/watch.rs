//! The threads that look at the clock: one for the alarms' timers, which nothing may hold up, one that follows them with
//! cases, one that measures the server itself, and one that takes care of the disk: a flush before the journal fills, and the reserve of disk space.
//! (Retention and compaction the series store does by itself.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::cases::Follower;
use super::platform::{LOOK_EVERY, Platform};
use super::sources::Sources;

/// From one look of the alarms to the next, in real time.
const TICK_EVERY: Duration = Duration::from_millis(250);
/// From one look of the cases at the log of the alarms to the next, in real time.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// From one look of the store's care to the next, in real time.
const CARE_EVERY: Duration = Duration::from_secs(1);

/// The running threads.
pub(super) struct Watch {
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Starts them. When more than `journal_bytes` of the journal wait for
    /// the store, it is flushed early, so that its cursor lets them go.
    pub(super) fn start(
        sources: &Arc<Sources>,
        journal_bytes: u64,
        mut platform: Platform,
    ) -> std::io::Result<Self> {
        sources.service.expect_ticks(TICK_EVERY);
        let stopping = Arc::new(AtomicBool::new(false));
        let mut watch = Self {
            stopping: Arc::clone(&stopping),
            threads: Vec::new(),
        };
        let (of, asked) = (Arc::clone(sources), Arc::clone(&stopping));
        watch
            .threads
            .push(Builder::new().name("alarm-clock".to_owned()).spawn(move || {
                while !asked.load(Ordering::Acquire) {
                    of.service.tick();
                    std::thread::park_timeout(TICK_EVERY);
                }
            })?);
        let mut follower = Follower {
            cases: Arc::clone(&sources.cases),
            failing: false,
        };
        let asked = Arc::clone(&stopping);
        watch
            .threads
            .push(Builder::new().name("cases".to_owned()).spawn(move || {
                while !asked.load(Ordering::Acquire) {
                    follower.look();
                    std::thread::park_timeout(FOLLOW_EVERY);
                }
            })?);
        let (of, asked) = (Arc::clone(sources), Arc::clone(&stopping));
        watch
            .threads
            .push(Builder::new().name("platform".to_owned()).spawn(move || {
                while !asked.load(Ordering::Acquire) {
                    platform.look(&of);
                    std::thread::park_timeout(LOOK_EVERY);
                }
            })?);
        let mut care = Care {
            sources: Arc::clone(sources),
            journal_bytes,
        };
        watch
            .threads
            .push(Builder::new().name("store-care".to_owned()).spawn(move || {
                while !stopping.load(Ordering::Acquire) {
                    care.look();
                    std::thread::park_timeout(CARE_EVERY);
                }
            })?);
        Ok(watch)
    }

    /// Has them look now.
    pub(super) fn hurry(&self) {
        for thread in &self.threads {
            thread.thread().unpark();
        }
    }

    /// Ends them and waits for that.
    pub(super) fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        for thread in self.threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread that looks at the clock has panicked");
            }
        }
    }
}

/// What the store needs from time to time. A failure is told and tried again at the next turn: nothing is lost.
struct Care {
    sources: Arc<Sources>,
    journal_bytes: u64,
}

impl Care {
    fn look(&mut self) {
        if let Some(reserve) = &self.sources.reserve {
            reserve.restore();
        }
        if self.sources.journal.stats().awaited_bytes > self.journal_bytes {
            tell("points could not be written", self.sources.series.flush());
        }
    }
}

fn tell(what: &'static str, result: Result<(), store::series::SeriesError>) {
    if let Err(error) = result {
        tracing::warn!(%error, what, "the series store will be looked after again");
    }
}
