//! The seam between the pipeline and whoever does something with points.

use telemetry::{Batch, Lsn};

/// An error of a consumer. The pipeline only reports it and stops.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Does something with each batch exactly once: the series store, the alarms, the account.
///
/// Each consumer runs on a thread of its own. It commits [`Batch::last`] as its cursor in the same
/// transaction as what it made of the batch, or of several batches together; after a crash it is handed
/// everything behind its cursor again, and nothing before it.
pub trait Consumer: Send {
    /// A name for logs and metrics, e.g. `series`.
    fn name(&self) -> &'static str;

    /// The last message whose effects are on disk. The journal may forget it and what came before.
    fn cursor(&self) -> Lsn;

    /// Takes the next batch. Its `last` is always beyond [`Self::cursor`] and its `first` too.
    ///
    /// # Errors
    /// Whatever hinders it. The pipeline then stops: nothing is skipped.
    fn take(&mut self, batch: &Batch) -> Result<(), BoxError>;

    /// Called at least twice a second, also under load: the moment to commit what is pending and to
    /// look at the clock.
    ///
    /// # Errors
    /// As for [`Self::take`].
    fn idle(&mut self) -> Result<(), BoxError>;

    /// Called once, last, when the pipeline stops in order: commit what is pending.
    ///
    /// # Errors
    /// As for [`Self::take`].
    fn finish(&mut self) -> Result<(), BoxError> {
        self.idle()
    }
}
