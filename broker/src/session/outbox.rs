//! What waits for one client and what is on its way to it: packet identifiers, window, order. Pure.
//!
//! Source: MQTT 5.0 §4.3 (QoS), §4.4 (delivery retry), §4.6 (order), §4.9 (flow control).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use telemetry::Timestamp;

use crate::codec::packet::QoS;
use crate::limits::{QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX, QUEUES_BYTES_MAX, SEND_WINDOW};
use crate::message::Message;

/// One message for one client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its number in the session, in the order of arrival.
    pub(crate) seq: u64,
    pub(crate) message: Arc<Message>,
    /// With which it goes out.
    pub(crate) qos: QoS,
    /// With which it goes out.
    pub(crate) retain: bool,
    /// Identifiers of the subscriptions that match.
    pub(crate) ids: Box<[u32]>,
    /// The shared subscription that it came through.
    pub(crate) share: Option<Box<str>>,
}

/// A packet that goes out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Out {
    /// PUBLISH; `id` is 0 with QoS 0.
    Publish {
        /// Packet identifier.
        id: u16,
        /// Whether it went out before.
        dup: bool,
        /// What goes.
        entry: Entry,
    },
    /// PUBREL, again.
    Release(u16),
}

/// What an answer of the client means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The message with this number is done with.
    Done(u64),
    /// PUBREC: PUBREL is to follow. The number is of a message that needs to be kept no more; `None` when that
    /// was so before.
    Release(Option<u64>),
    /// Nothing is on its way under that packet identifier.
    Unknown,
    /// The packet does not belong to the QoS of what is on its way.
    Wrong,
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// PUBLISH went out: PUBACK or PUBREC is awaited.
    Published(Entry),
    /// PUBREL went out: PUBCOMP is awaited.
    Released(u64),
}

#[derive(Clone, Debug)]
struct Sent {
    id: u16,
    stage: Stage,
    /// Whether it has to go out (again) on this connection.
    again: bool,
}

/// Bytes in the queues of all clients together.
pub(crate) type Stock = Arc<AtomicUsize>;

/// A queue is full: the message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Waiting messages, in order of arrival, and sent ones, in order of sending.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: VecDeque<Entry>,
    sent: VecDeque<Sent>,
    bytes: usize,
    stock: Stock,
    next_seq: u64,
    last_id: u16,
    /// Sent ones that count against the window of this connection.
    open: usize,
    window: usize,
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.stock.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Outbox {
    pub(crate) fn new(stock: Stock) -> Self {
        Self {
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            bytes: 0,
            stock,
            next_seq: 1,
            last_id: 0,
            open: 0,
            window: usize::from(SEND_WINDOW),
        }
    }

    /// A connection takes over: at most `receive_maximum` messages may be on their way, and never more than
    /// [`SEND_WINDOW`]. What was sent before and not answered goes out again, in its order.
    pub(crate) fn attach(&mut self, receive_maximum: Option<u16>) {
        self.window = usize::from(receive_maximum.unwrap_or(SEND_WINDOW).clamp(1, SEND_WINDOW));
        self.open = 0;
        for sent in &mut self.sent {
            sent.again = true;
        }
    }

    /// Whether something could go out now.
    pub(crate) fn is_ready(&self) -> bool {
        let wants = !self.waiting.is_empty() || self.sent.iter().any(|sent| sent.again);
        wants && self.has_room()
    }

    /// Whether another message with QoS 1 or 2 may be on its way.
    pub(crate) fn has_room(&self) -> bool {
        self.open < self.window
    }

    /// Whether nothing waits.
    pub(crate) fn nothing_waits(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the number of the next message.
    pub(crate) fn number(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// Whether a message of `bytes` fits.
    ///
    /// # Errors
    /// [`Full`].
    pub(crate) fn fits(&self, bytes: usize) -> Result<(), Full> {
        let full = self.waiting.len() >= QUEUE_MESSAGES_MAX
            || self.bytes.saturating_add(bytes) > QUEUE_BYTES_MAX
            || self.stock.load(Ordering::Relaxed).saturating_add(bytes) > QUEUES_BYTES_MAX;
        if full { Err(Full) } else { Ok(()) }
    }

    /// Appends a message that the caller has seen to fit, or that was kept before.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.grow(&entry);
        self.next_seq = self.next_seq.max(entry.seq + 1);
        self.waiting.push_back(entry);
    }

    /// Puts back what was on its way before a restart; in order of its numbers.
    pub(crate) fn restore(&mut self, id: u16, sent: Result<Entry, u64>) {
        let seq = sent.as_ref().map_or_else(|seq| *seq, |entry| entry.seq);
        self.next_seq = self.next_seq.max(seq + 1);
        let stage = match sent {
            Ok(entry) => {
                self.grow(&entry);
                Stage::Published(entry)
            }
            Err(seq) => Stage::Released(seq),
        };
        self.sent.push_back(Sent {
            id,
            stage,
            again: true,
        });
    }

    fn grow(&mut self, entry: &Entry) {
        let bytes = entry.message.size_bytes();
        self.bytes += bytes;
        self.stock.fetch_add(bytes, Ordering::Relaxed);
    }

    fn shrink(&mut self, entry: &Entry) {
        let bytes = entry.message.size_bytes();
        self.bytes = self.bytes.saturating_sub(bytes);
        self.stock.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What went out on an earlier connection and has to go out again, if the window has room.
    pub(crate) fn resend(&mut self) -> Option<Out> {
        if !self.has_room() {
            return None;
        }
        let sent = self.sent.iter_mut().find(|sent| sent.again)?;
        sent.again = false;
        self.open += 1;
        Some(match &sent.stage {
            Stage::Published(entry) => Out::Publish {
                id: sent.id,
                dup: true,
                entry: entry.clone(),
            },
            Stage::Released(_) => Out::Release(sent.id),
        })
    }

    /// The next message that waits. The caller sends it with [`Self::send`] or forgets it.
    pub(crate) fn take(&mut self) -> Option<Entry> {
        let blocked = self.waiting.front()?.qos != QoS::Zero && !self.has_room();
        if blocked {
            return None;
        }
        let entry = self.waiting.pop_front()?;
        self.shrink(&entry);
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        Some(entry)
    }

    /// Sends a message: with QoS 1 and 2 under a packet identifier of its own. The caller has seen that there
    /// is room.
    pub(crate) fn send(&mut self, entry: Entry) -> Out {
        if entry.qos == QoS::Zero {
            let (id, dup) = (0, false);
            return Out::Publish { id, dup, entry };
        }
        let id = self.free_id();
        self.grow(&entry);
        self.open += 1;
        self.sent.push_back(Sent {
            id,
            stage: Stage::Published(entry.clone()),
            again: false,
        });
        let dup = false;
        Out::Publish { id, dup, entry }
    }

    /// A packet identifier that is not in use.
    fn free_id(&mut self) -> u16 {
        // Ends: what is on its way is bounded by the window, far below 65,535.
        loop {
            self.last_id = if self.last_id == u16::MAX {
                1
            } else {
                self.last_id + 1
            };
            if !self.sent.iter().any(|sent| sent.id == self.last_id) {
                return self.last_id;
            }
        }
    }

    fn place(&self, id: u16) -> Option<usize> {
        self.sent.iter().position(|sent| sent.id == id)
    }

    fn finish(&mut self, place: usize) {
        if let Some(sent) = self.sent.remove(place) {
            if let Stage::Published(entry) = &sent.stage {
                self.shrink(entry);
            }
            if !sent.again {
                self.open = self.open.saturating_sub(1);
            }
        }
        if self.sent.is_empty() {
            self.sent = VecDeque::new();
        }
    }

    /// Gives up on what is on its way under `id`.
    pub(crate) fn forget(&mut self, id: u16) {
        if let Some(place) = self.place(id) {
            self.finish(place);
        }
    }

    /// PUBACK. What is refused with it is done with as well. Source: §4.3.2.
    pub(crate) fn on_puback(&mut self, id: u16) -> Answer {
        let Some(place) = self.place(id) else {
            return Answer::Unknown;
        };
        match self.sent.get(place).map(|sent| &sent.stage) {
            Some(Stage::Published(entry)) if entry.qos == QoS::One => {
                let seq = entry.seq;
                self.finish(place);
                Answer::Done(seq)
            }
            Some(_) => Answer::Wrong,
            None => Answer::Unknown,
        }
    }

    /// PUBREC; `refused` when its code is an error, which ends the delivery. Source: §4.3.3.
    pub(crate) fn on_pubrec(&mut self, id: u16, refused: bool) -> Answer {
        let Some(place) = self.place(id) else {
            return Answer::Unknown;
        };
        let Some(sent) = self.sent.get_mut(place) else {
            return Answer::Unknown;
        };
        match &sent.stage {
            Stage::Published(entry) if entry.qos == QoS::Two => {
                let entry = entry.clone();
                if refused {
                    self.finish(place);
                    return Answer::Done(entry.seq);
                }
                sent.stage = Stage::Released(entry.seq);
                self.shrink(&entry);
                Answer::Release(Some(entry.seq))
            }
            Stage::Published(_) => Answer::Wrong,
            Stage::Released(_) => Answer::Release(None),
        }
    }

    /// PUBCOMP.
    pub(crate) fn on_pubcomp(&mut self, id: u16) -> Answer {
        let Some(place) = self.place(id) else {
            return Answer::Unknown;
        };
        match self.sent.get(place).map(|sent| &sent.stage) {
            Some(Stage::Released(seq)) => {
                let seq = *seq;
                self.finish(place);
                Answer::Done(seq)
            }
            Some(Stage::Published(_)) => Answer::Wrong,
            None => Answer::Unknown,
        }
    }

    /// Throws away what waits and has outlived its expiry; the numbers of what went.
    pub(crate) fn purge(&mut self, now: Timestamp) -> Vec<u64> {
        let mut gone = Vec::new();
        let mut left = VecDeque::with_capacity(self.waiting.len());
        for entry in std::mem::take(&mut self.waiting) {
            if entry.message.left_s(now).is_err() {
                gone.push(entry.seq);
                self.shrink(&entry);
            } else {
                left.push_back(entry);
            }
        }
        self.waiting = left;
        gone
    }

    /// Takes away what came through shared subscriptions and another member may have: all that waits, and what
    /// was sent with QoS 1. What was sent with QoS 2 must not go to another. Source: §4.8.2. `only` names one
    /// shared subscription, else it is all of them.
    pub(crate) fn give_up_shared(&mut self, only: Option<&str>) -> Vec<Entry> {
        let meant = |entry: &Entry| {
            (entry.share.as_deref()).is_some_and(|share| only.is_none_or(|only| only == share))
        };
        let mut given = Vec::new();
        if only.is_none() {
            for sent in &self.sent {
                if let Stage::Published(entry) = &sent.stage
                    && entry.qos == QoS::One
                    && meant(entry)
                {
                    given.push(entry.clone());
                }
            }
        }
        let (shared, left): (VecDeque<Entry>, VecDeque<Entry>) =
            std::mem::take(&mut self.waiting).into_iter().partition(meant);
        self.waiting = left;
        for entry in &shared {
            self.shrink(entry);
        }
        given.extend(shared);
        given
    }
}

#[cfg(test)]
mod tests;
