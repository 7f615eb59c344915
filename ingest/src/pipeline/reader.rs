//! The thread that reads the journal and decodes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use store::journal::Journal;
use telemetry::{Lsn, RawMessage};

use super::worker::Lane;
use super::{PipelineConfig, PipelineError, Shared};
use crate::decoder::Decoder;

/// Longest wait for new messages before it looks whether it shall stop.
const WAIT: Duration = Duration::from_millis(100);
/// The pause after a wait that brought nothing: a closed journal does not wait at all.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) struct Reader {
    journal: Journal,
    decoder: Decoder,
    lanes: Vec<Lane>,
    config: PipelineConfig,
    shared: Arc<Shared>,
    /// The last message that was decoded.
    position: Lsn,
    /// The consumers' cursors at the start, in order: no batch reaches across one of them.
    cuts: Vec<Lsn>,
    /// What all consumers had at the start: before it nothing is handed out.
    begin: Lsn,
}

impl Reader {
    pub(super) fn new(
        journal: Journal,
        decoder: Decoder,
        lanes: Vec<Lane>,
        config: PipelineConfig,
        shared: Arc<Shared>,
    ) -> Self {
        let mut cuts: Vec<Lsn> = shared.marks.iter().map(super::Mark::cursor).collect();
        cuts.sort_unstable();
        let begin = shared.released();
        let readable_after = Lsn(journal.oldest().0.saturating_sub(1)).min(begin);
        Self {
            position: Lsn(begin.0.saturating_sub(config.warm_up)).max(readable_after),
            journal,
            decoder,
            lanes,
            config,
            shared,
            cuts,
            begin,
        }
    }

    /// Runs until it is told to stop, the journal cannot be read, or a consumer has gone.
    pub(super) fn run(mut self) {
        while !self.shared.is_stopping() {
            self.journal.release(self.shared.released());
            if self.journal.wait_beyond(self.position, WAIT) <= self.position {
                std::thread::park_timeout(PAUSE);
                continue;
            }
            let messages = match self.journal.read(self.position, self.config.messages_max.max(1)) {
                Ok(messages) => messages,
                Err(error) => return self.shared.fail(PipelineError::Journal(error)),
            };
            self.look_for_jump(&messages);
            let mut rest = messages.as_slice();
            while !rest.is_empty() && !self.shared.is_stopping() {
                let (stretch, after) = rest.split_at_checked(self.length(rest)).unwrap_or((rest, &[]));
                self.hand_out(stretch);
                rest = after;
            }
        }
    }

    /// Messages that make one batch: at least one, no more payload than allowed, and not across a
    /// consumer's cursor, so that each is handed exactly what it has not had.
    fn length(&self, messages: &[(Lsn, RawMessage)]) -> usize {
        let first = messages.first().map_or(Lsn::ZERO, |(lsn, _)| *lsn);
        let cut = self.cuts.iter().find(|cut| **cut >= first).copied();
        let mut bytes = 0usize;
        let fits = messages.iter().take_while(|(lsn, message)| {
            bytes = bytes.saturating_add(message.payload.len());
            bytes <= self.config.bytes_max && cut.is_none_or(|cut| *lsn <= cut)
        });
        fits.count().max(1)
    }

    fn hand_out(&mut self, stretch: &[(Lsn, RawMessage)]) {
        let batch = Arc::new(self.decoder.decode(stretch));
        self.position = batch.last;
        if batch.last <= self.begin {
            return; // The decoder has only learnt from it.
        }
        for lane in &self.lanes {
            if lane.batches.send(Arc::clone(&batch)).is_err() {
                // The consumer has gone, which it has reported itself.
                self.shared.stopping.store(true, Ordering::Release);
            }
        }
    }

    fn look_for_jump(&self, messages: &[(Lsn, RawMessage)]) {
        let expected = self.position.next().max(self.begin.next());
        let Some((first, _)) = messages.first() else {
            return;
        };
        if self.position >= self.begin && *first > expected {
            let missed = first.0 - expected.0;
            self.shared.missed.fetch_add(missed, Ordering::Relaxed);
            tracing::error!(
                missed,
                from = expected.0,
                "the journal was trimmed before it was processed"
            );
        }
    }
}
