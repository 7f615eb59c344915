//! Joins the gate to the journal: what the journal has fsynced may be acknowledged.

use std::sync::Arc;

use broker::{BoxFuture, Intake, IntakeError};
use ingest::modbus::Sink;
use store::journal::{Journal, JournalError};
use telemetry::RawMessage;

/// The journal as the gate sees it.
#[derive(Debug)]
pub(crate) struct JournalIntake(pub Journal);

impl Intake for JournalIntake {
    fn accept(&self, batch: Vec<RawMessage>) -> BoxFuture<'static, Result<(), IntakeError>> {
        let journal = self.0.clone();
        Box::pin(async move {
            match journal.append(batch).await {
                Ok(_) => Ok(()),
                Err(error @ (JournalError::Full { .. } | JournalError::DiskFull { .. })) => {
                    Err(IntakeError::Full(error.to_string()))
                }
                Err(error) => Err(IntakeError::Stopped(error.to_string())),
            }
        })
    }
}

/// The journal as the Modbus poller sees it.
pub(crate) fn sink(journal: &Journal) -> Sink {
    let journal = journal.clone();
    Arc::new(move |polls| {
        let journal = journal.clone();
        Box::pin(async move { journal.append(polls).await.map(|_| ()).map_err(Into::into) })
    })
}
