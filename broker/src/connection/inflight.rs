//! Batches of one connection that the intake holds, and answers that wait until something is kept, in order.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::BytesMut;

use crate::BoxFuture;
use crate::codec::encode::Ack;
use crate::limits::{BATCHES_IN_FLIGHT_MAX, BYTES_IN_FLIGHT_MAX, SETTLING_MAX};
use crate::message::Message;

/// What is to be done when the intake has taken a batch.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    /// What the publishes are answered with, in their order.
    pub(crate) words: Words,
    /// For the subscribers.
    pub(crate) live: Vec<Message>,
    /// Messages in the batch.
    pub(crate) messages: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
}

/// What is said to the client when something is safe.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Kind, packet identifier and code, in order.
    pub(crate) acks: Vec<(Ack, u16, u8)>,
    /// Packets that are written already; they follow the answers.
    pub(crate) packets: BytesMut,
    /// QoS 2 messages that came in and are safe with it.
    pub(crate) safe: Vec<u16>,
}

impl Words {
    pub(crate) fn is_empty(&self) -> bool {
        self.acks.is_empty() && self.packets.is_empty()
    }
}

enum Wait<E> {
    Running(BoxFuture<'static, Result<(), E>>),
    Done(Result<(), E>),
}

/// Work under way and what follows it. It comes out in the order in which it went in.
pub(crate) struct Line<T, E> {
    waiting: VecDeque<(Wait<E>, T)>,
    bytes: usize,
}

impl<T, E> Default for Line<T, E> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
        }
    }
}

/// Has a size.
pub(crate) trait Weighed {
    fn bytes(&self) -> usize;
}

impl Weighed for Receipt {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Weighed for Words {
    fn bytes(&self) -> usize {
        self.packets.len()
    }
}

/// Batches that the intake works on.
pub(crate) type InFlight = Line<Receipt, crate::IntakeError>;
/// Words that wait until something is kept.
pub(crate) type Settling = Line<Words, crate::KeeperError>;

impl InFlight {
    /// Whether no more should be read before something is done.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= BATCHES_IN_FLIGHT_MAX || self.bytes >= BYTES_IN_FLIGHT_MAX
    }
}

impl Settling {
    /// Whether no more should be read before something is done.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= SETTLING_MAX
    }
}

impl<T: Weighed, E> Line<T, E> {
    pub(crate) fn push(&mut self, work: BoxFuture<'static, Result<(), E>>, then: T) {
        self.bytes += then.bytes();
        self.waiting.push_back((Wait::Running(work), then));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The size of all that waits.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The oldest, when its work is done; never, when there is none. All are polled, the oldest first, so that
    /// a later batch reaches the intake while an earlier one is still on its way to the disk.
    pub(crate) async fn next(&mut self) -> (Result<(), E>, T) {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(Result<(), E>, T)> {
        for (wait, _) in &mut self.waiting {
            if let Wait::Running(work) = wait
                && let Poll::Ready(result) = work.as_mut().poll(cx)
            {
                *wait = Wait::Done(result);
            }
        }
        match self.waiting.pop_front() {
            Some((Wait::Done(result), then)) => {
                self.bytes = self.bytes.saturating_sub(then.bytes());
                Poll::Ready((result, then))
            }
            Some(running) => {
                self.waiting.push_front(running);
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }
}
