//! Batches of one connection that the intake holds, in order.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use crate::fanout::LiveMessage;
use crate::limits::{BATCHES_IN_FLIGHT_MAX, BYTES_IN_FLIGHT_MAX};
use crate::{BoxFuture, IntakeError};

/// What is to be done when the intake has taken a batch.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    /// Packet identifiers and codes of the PUBACKs, in the order of the publishes.
    pub(crate) acks: Vec<(u16, u8)>,
    /// For the subscribers.
    pub(crate) live: Vec<LiveMessage>,
    /// Messages in the batch.
    pub(crate) messages: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
}

enum Wait {
    Running(BoxFuture<'static, Result<(), IntakeError>>),
    Done(Result<(), IntakeError>),
}

/// The batches under way. Their receipts come out in the order in which they went in.
#[derive(Default)]
pub(crate) struct InFlight {
    batches: VecDeque<(Wait, Receipt)>,
    bytes: usize,
}

impl InFlight {
    /// Adds a batch that the intake is working on.
    pub(crate) fn push(&mut self, work: BoxFuture<'static, Result<(), IntakeError>>, receipt: Receipt) {
        self.bytes += receipt.bytes;
        self.batches.push_back((Wait::Running(work), receipt));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether no more should be read before something is done.
    pub(crate) fn is_full(&self) -> bool {
        self.batches.len() >= BATCHES_IN_FLIGHT_MAX || self.bytes >= BYTES_IN_FLIGHT_MAX
    }

    /// The oldest batch, when the intake is done with it; never, when there is none. All are polled, the
    /// oldest first, so that a later batch reaches the intake while an earlier one is still on its way
    /// to the disk.
    pub(crate) async fn next(&mut self) -> (Result<(), IntakeError>, Receipt) {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(Result<(), IntakeError>, Receipt)> {
        for (wait, _) in &mut self.batches {
            if let Wait::Running(work) = wait
                && let Poll::Ready(result) = work.as_mut().poll(cx)
            {
                *wait = Wait::Done(result);
            }
        }
        match self.batches.pop_front() {
            Some((Wait::Done(result), receipt)) => {
                self.bytes = self.bytes.saturating_sub(receipt.bytes);
                Poll::Ready((result, receipt))
            }
            Some(running) => {
                self.batches.push_front(running);
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }
}
