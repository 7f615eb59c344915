//! The thread of one consumer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use telemetry::time::Span;
use telemetry::{Batch, Clock};

use super::{PipelineError, Shared};
use crate::consumer::{BoxError, Consumer};

/// How often a consumer may look at the clock, in real time.
const IDLE_EVERY: Duration = Duration::from_millis(250);

/// The reader's end of the way to one consumer.
pub(super) struct Lane {
    pub(super) batches: SyncSender<Arc<Batch>>,
}

pub(super) struct Worker {
    pub(super) consumer: Box<dyn Consumer>,
    pub(super) queue: Receiver<Arc<Batch>>,
    /// Its place among the marks.
    pub(super) place: usize,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shared: Arc<Shared>,
}

impl Worker {
    /// Runs until the reader has gone and the queue is empty, or until the consumer fails.
    pub(super) fn run(mut self) {
        if let Err(source) = self.work() {
            let name = self.consumer.name();
            self.shared.fail(PipelineError::Consumer { name, source });
        }
    }

    fn work(&mut self) -> Result<(), BoxError> {
        let mut idled_at = self.clock.monotonic();
        loop {
            match self.queue.recv_timeout(IDLE_EVERY) {
                Ok(batch) => {
                    self.take(&batch)?;
                    if self.real_since(idled_at) < IDLE_EVERY {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            idled_at = self.clock.monotonic();
            self.consumer.idle()?;
            self.publish();
        }
        self.consumer.finish()?;
        self.publish();
        Ok(())
    }

    fn take(&mut self, batch: &Batch) -> Result<(), BoxError> {
        if batch.last <= self.consumer.cursor() {
            return Ok(());
        }
        self.consumer.take(batch)?;
        if let Some(mark) = self.shared.marks.get(self.place) {
            mark.taken.store(batch.last.0, Ordering::Release);
        }
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        if let Some(mark) = self.shared.marks.get(self.place) {
            mark.cursor.store(self.consumer.cursor().0, Ordering::Release);
        }
    }

    fn real_since(&self, then: Span) -> Duration {
        let passed = self.clock.monotonic().millis().saturating_sub(then.millis());
        self.clock.real(Span::from_millis(passed))
    }
}
