//! What is asked of a line besides its polls: writes, which go first, and identifications.

use tokio::sync::oneshot;

use super::identity::{Identity, IdentityError};
use super::order::{Order, WriteDone, WriteRefused};

/// Writes and identifications that may wait on one line. More are refused.
pub const JOBS_PER_LINE_MAX: usize = 8;

/// One of them, for one unit of the line.
#[derive(Debug)]
pub(super) struct Job {
    /// Place of the unit on its line.
    pub(super) place: usize,
    pub(super) task: Task,
}

/// What is to be done. Whoever waits may give up: what was not begun by then is not begun any more.
#[derive(Debug)]
pub(super) enum Task {
    Write(Box<Order>, oneshot::Sender<Result<WriteDone, WriteRefused>>),
    Identify(oneshot::Sender<Result<Identity, IdentityError>>),
}

impl Task {
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Self::Write(_, reply) => reply.is_closed(),
            Self::Identify(reply) => reply.is_closed(),
        }
    }
}
