//! Follows the journal: one thread reads and decodes, one thread for each consumer works.
//!
//! ```text
//! journal ─ reader: read, decode once ─┬─ bounded channel ─ series store
//!                                      ├─ bounded channel ─ alarms
//!                                      └─ bounded channel ─ account
//! ```
//!
//! A slow consumer holds up the reader, and through it the others, rather than losing anything; the
//! journal then grows up to its own bound. A consumer that fails stops everything, loudly: after the
//! cause is mended and the program started again, each goes on from its own cursor.

mod reader;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use store::journal::{Journal, JournalError};
use telemetry::{Catalogue, Clock, Lsn};
use tokio::sync::watch;

use crate::consumer::{BoxError, Consumer};
use crate::decoder::{DecodeSettings, Decoder};
use reader::Reader;
use worker::{Lane, Worker};

/// The bounds of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipelineConfig {
    /// Most messages in one batch. Default 512.
    pub messages_max: usize,
    /// Payload bytes after which a batch is closed, so that large messages of many records, as a gateway sends them, make several
    /// and nobody waits for one large batch. Default 256 KiB.
    pub bytes_max: usize,
    /// Batches that wait for one consumer. When as many wait, the reader waits too. Default 8.
    pub queue_max: usize,
    /// Messages before the first unprocessed one that are decoded again on start, so that the decoder
    /// knows the devices. Default 50,000.
    pub warm_up: u64,
    /// What the decoder leaves out.
    pub decode: DecodeSettings,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            messages_max: 512,
            bytes_max: 256 << 10,
            queue_max: 8,
            warm_up: 50_000,
            decode: DecodeSettings::default(),
        }
    }
}

/// Why the pipeline stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A consumer failed. Nothing was skipped; mend the cause and start again.
    #[error("the consumer {name} failed")]
    Consumer {
        /// Which.
        name: &'static str,
        /// The cause.
        source: BoxError,
    },
    /// A thread ended with a panic: a mistake of the program.
    #[error("the thread of {name} panicked")]
    Panicked {
        /// Which.
        name: &'static str,
    },
    /// The journal could not be read.
    #[error("the journal could not be read")]
    Journal(#[source] JournalError),
    /// The journal ends before what a consumer has processed: it is not the journal of this data
    /// directory. Put the right one back.
    #[error(
        "the consumer {name} has processed message {}, but the journal ends at {}: \
         it is not the journal of this data directory", cursor.0, newest.0
    )]
    OtherJournal {
        /// Which consumer.
        name: &'static str,
        /// How far it is.
        cursor: Lsn,
        /// Where the journal ends.
        newest: Lsn,
    },
    /// The system gave no thread.
    #[error("a thread of the pipeline could not be started")]
    Thread(#[source] std::io::Error),
}

/// How far a consumer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Its name.
    pub name: &'static str,
    /// The last message that it was given and has taken.
    pub taken: Lsn,
    /// The last message whose effects are on disk.
    pub cursor: Lsn,
}

/// A running pipeline. Dropping it stops it as [`Pipeline::stop`] does.
pub struct Pipeline {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads know of each other.
struct Shared {
    stopping: AtomicBool,
    failure: watch::Sender<Option<Arc<PipelineError>>>,
    marks: Vec<Mark>,
    missed: AtomicU64,
}

/// How far one consumer is, published by its thread.
struct Mark {
    name: &'static str,
    taken: AtomicU64,
    cursor: AtomicU64,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

impl Pipeline {
    /// Starts the threads. Each consumer is handed everything behind its cursor, in order, once.
    ///
    /// It always answers; what hinders the start shows in [`Pipeline::error`], like what goes wrong later.
    #[must_use]
    pub fn spawn(
        journal: Journal,
        catalogue: Arc<Catalogue>,
        clock: Arc<dyn Clock>,
        consumers: Vec<Box<dyn Consumer>>,
        config: PipelineConfig,
    ) -> Self {
        let mark = |consumer: &dyn Consumer| Mark {
            name: consumer.name(),
            taken: AtomicU64::new(consumer.cursor().0),
            cursor: AtomicU64::new(consumer.cursor().0),
        };
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            failure: watch::Sender::new(None),
            marks: consumers.iter().map(|consumer| mark(&**consumer)).collect(),
            missed: AtomicU64::new(0),
        });
        let pipeline = Self {
            shared: Arc::clone(&shared),
            threads: Mutex::new(Vec::new()),
        };
        let newest = journal.newest();
        if let Some(mark) = shared.marks.iter().find(|mark| mark.cursor() > newest) {
            shared.fail(PipelineError::OtherJournal {
                name: mark.name,
                cursor: mark.cursor(),
                newest,
            });
            return pipeline;
        }
        let mut lanes = Vec::new();
        for (place, consumer) in consumers.into_iter().enumerate() {
            let (batches, queue) = sync_channel(config.queue_max.max(1));
            let name = consumer.name();
            lanes.push(Lane { batches });
            let worker = Worker {
                consumer,
                queue,
                place,
                clock: Arc::clone(&clock),
                shared: Arc::clone(&shared),
            };
            pipeline.start(name, move || worker.run());
        }
        let decoder = Decoder::new(catalogue, config.decode);
        let reader = Reader::new(journal, decoder, lanes, config, shared);
        pipeline.start("reader", move || reader.run());
        pipeline
    }

    fn start(&self, name: &'static str, run: impl FnOnce() + Send + 'static) {
        let guard = Guard {
            name,
            shared: Arc::clone(&self.shared),
        };
        let started = Builder::new().name(format!("ingest-{name}")).spawn(move || {
            let _guard = guard;
            run();
        });
        match started {
            Ok(thread) => self
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(thread),
            Err(error) => self.shared.fail(PipelineError::Thread(error)),
        }
    }

    /// How far each consumer is, in the order in which they were given.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        let progress = |mark: &Mark| Progress {
            name: mark.name,
            taken: Lsn(mark.taken.load(Ordering::Acquire)),
            cursor: mark.cursor(),
        };
        self.shared.marks.iter().map(progress).collect()
    }

    /// Messages that the journal had dropped before they were processed. Always 0 unless somebody
    /// trimmed it by hand.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.shared.missed.load(Ordering::Relaxed)
    }

    /// Why it stopped by itself; none while it runs or when it was stopped in order.
    #[must_use]
    pub fn error(&self) -> Option<Arc<PipelineError>> {
        self.shared.failure.borrow().clone()
    }

    /// Changes from none to the error when the pipeline stops by itself.
    #[must_use]
    pub fn watch_error(&self) -> watch::Receiver<Option<Arc<PipelineError>>> {
        self.shared.failure.subscribe()
    }

    /// Stops reading, lets every consumer take what it was already handed and commit it, and waits for
    /// that. What is left in the journal comes with the next start. Blocks.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the pipeline has panicked");
            }
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Keeps the first failure and stops everything.
    fn fail(&self, error: PipelineError) {
        let chain = telemetry::with_causes(&error);
        let first = self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| Arc::new(error));
            first
        });
        if first {
            tracing::error!(
                error = chain,
                "the pipeline has stopped: nothing is processed any more"
            );
        }
        self.stopping.store(true, Ordering::Release);
    }

    /// The last message that all consumers have on disk.
    fn released(&self) -> Lsn {
        self.marks.iter().map(Mark::cursor).min().unwrap_or(Lsn::ZERO)
    }
}

impl Mark {
    fn cursor(&self) -> Lsn {
        Lsn(self.cursor.load(Ordering::Acquire))
    }
}

/// Turns a panic of its thread into the failure of the pipeline.
struct Guard {
    name: &'static str,
    shared: Arc<Shared>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.fail(PipelineError::Panicked { name: self.name });
        }
    }
}

#[cfg(test)]
mod tests;
