//! Joins whatever takes messages (gate, poller, pushes, the server's own readings) to the journal: what the journal
//! has fsynced may be acknowledged. Readings that may save a life are judged from memory when that takes long; who sends
//! faster than the alarms judge waits for its acknowledgement. What is polled, or comes from another broker, does not:
//! there the readings of all devices stand in one line.

use std::sync::Arc;

use broker::{BoxFuture, Intake, IntakeError};
use ingest::modbus::Sink;
use store::journal::{Journal, JournalError};
use telemetry::RawMessage;

use crate::backlog::Backlog;
use crate::early::Early;

/// The way into the journal.
#[derive(Clone, Debug)]
pub(crate) struct JournalIntake {
    /// Where messages become durable.
    pub journal: Journal,
    /// What judges them when that takes long.
    pub early: Early,
    /// How far the alarms are behind it.
    pub backlog: Backlog,
    /// The disk failed before: the journal lies in memory, and nothing may be acknowledged.
    pub degraded: bool,
}

impl JournalIntake {
    /// Makes `batch` durable.
    fn append(&self, batch: Vec<RawMessage>) -> BoxFuture<'static, Result<(), JournalError>> {
        let ticket = self.early.watch(&batch);
        let (journal, backlog) = (self.journal.clone(), self.backlog.clone());
        let degraded = self.degraded;
        Box::pin(async move {
            let outcome = journal.append(batch).await;
            if let Some(ticket) = ticket {
                ticket.answered(outcome.as_ref().ok().copied());
            }
            if let Ok(last) = outcome {
                backlog.appended(last);
            }
            match outcome {
                Ok(_) if degraded => Err(JournalError::Stopped {
                    file: "in memory".to_owned(),
                    why: "the disk failed; messages are judged and shown, but nothing is acknowledged"
                        .to_owned(),
                }),
                outcome => outcome.map(|_| ()),
            }
        })
    }

    /// The journal as the Modbus poller sees it.
    pub(crate) fn sink(&self) -> Sink {
        let intake = self.clone();
        Arc::new(move |polls| {
            let appended = intake.append(polls);
            Box::pin(async move { appended.await.map_err(Into::into) })
        })
    }
}

impl Intake for JournalIntake {
    fn accept(&self, batch: Vec<RawMessage>) -> BoxFuture<'static, Result<(), IntakeError>> {
        let urgent = self.backlog.is_urgent(&batch);
        let (appended, backlog) = (self.append(batch), self.backlog.clone());
        Box::pin(async move {
            appended.await.map_err(|error| match error {
                JournalError::Full { .. } | JournalError::DiskFull { .. } => {
                    IntakeError::Full(error.to_string())
                }
                error => IntakeError::Stopped(error.to_string()),
            })?;
            if !urgent {
                backlog.caught_up().await;
            }
            Ok(())
        })
    }
}
