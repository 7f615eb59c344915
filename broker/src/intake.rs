//! The seam behind which messages become safe.

use telemetry::RawMessage;

use crate::BoxFuture;

/// Takes what the devices said and answers when it is safe: the journal, or what a test puts in its place.
pub trait Intake: Send + Sync + 'static {
    /// Takes `batch`, in order. `Ok` means that all of it outlives `kill -9` and a loss of power; only
    /// then does the gate acknowledge. One connection may have several batches under way; the gate polls
    /// their futures for the first time in the order of the batches, so an intake that enqueues in
    /// `accept` or on the first poll keeps the order.
    ///
    /// # Errors
    /// [`IntakeError`]: nothing of the batch is acknowledged and its connection is closed; the device
    /// sends it again later.
    fn accept(&self, batch: Vec<RawMessage>) -> BoxFuture<'static, Result<(), IntakeError>>;
}

/// Why a batch was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// No room now: the disk is full or the queue too long. MQTT 5 clients are told 0x97.
    #[error("no room for new messages: {0}")]
    Full(String),
    /// Nothing can be made safe any more, e.g. after a failed fsync. MQTT 5 clients are told 0x83.
    #[error("messages cannot be made safe: {0}")]
    Stopped(String),
}
