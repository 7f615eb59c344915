//! What a device has to say and has not been told is safe. Pure.
//!
//! A message leaves the outbox only with its PUBACK. After a broken connection everything unacknowledged
//! goes out again, marked as a duplicate, in the old order.

use std::collections::VecDeque;

use super::packet;

/// Most messages on the wire without an acknowledgement. More wait.
pub(super) const WINDOW: usize = 16;
/// Most live messages that wait. At the bound the oldest waiting one is dropped and counted: a device's memory is finite.
pub(super) const WAITING_MAX: usize = 512;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    /// Records in it.
    pub(super) records: u64,
    /// Whether they are history.
    pub(super) history: bool,
}

/// A message on the wire.
#[derive(Debug)]
struct Flying {
    id: u16,
    packet: Vec<u8>,
    records: u64,
    history: bool,
    /// Whether it went out on this connection.
    sent: bool,
}

/// What an acknowledgement was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acked {
    pub(super) records: u64,
    pub(super) history: bool,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    flying: VecDeque<Flying>,
    waiting: VecDeque<Message>,
    last_id: u16,
    /// Records that were dropped at the bound.
    pub(super) dropped: u64,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.flying.is_empty() && self.waiting.is_empty()
    }

    /// How many messages of history are on the wire or wait.
    pub(super) fn history(&self) -> usize {
        self.flying.iter().filter(|flying| flying.history).count()
            + self.waiting.iter().filter(|message| message.history).count()
    }

    /// Puts a message in.
    pub(super) fn push(&mut self, message: Message) {
        if self.waiting.len() >= WAITING_MAX
            && let Some(oldest) = self.waiting.iter().position(|message| !message.history)
            && let Some(oldest) = self.waiting.remove(oldest)
        {
            self.dropped += oldest.records;
        }
        self.waiting.push_back(message);
    }

    /// Hands out the next packet to send, `None` when the window is full or nothing waits.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        if let Some(place) = self.flying.iter().position(|flying| !flying.sent) {
            let flying = self.flying.get_mut(place)?;
            flying.sent = true;
            return Some(&flying.packet);
        }
        if self.flying.len() >= WINDOW {
            return None;
        }
        let message = self.waiting.pop_front()?;
        let id = self.free_id();
        self.flying.push_back(Flying {
            id,
            packet: packet::publish(&message.topic, id, &message.payload),
            records: message.records,
            history: message.history,
            sent: true,
        });
        self.flying.back().map(|flying| flying.packet.as_slice())
    }

    /// A packet id that no message on the wire has; never 0 (MQTT 3.1.1 §2.3.1).
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            if self.flying.iter().all(|flying| flying.id != self.last_id) {
                return self.last_id;
            }
        }
    }

    /// The broker has it: `None` when there is no such message (an acknowledgement twice).
    pub(super) fn acknowledge(&mut self, id: u16) -> Option<Acked> {
        let place = self
            .flying
            .iter()
            .position(|flying| flying.id == id && flying.sent)?;
        let flying = self.flying.remove(place)?;
        Some(Acked {
            records: flying.records,
            history: flying.history,
        })
    }

    /// The connection is gone: what is not acknowledged goes out again, as a duplicate.
    pub(super) fn connection_lost(&mut self) {
        for flying in &mut self.flying {
            if flying.sent {
                packet::mark_again(&mut flying.packet);
            }
            flying.sent = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u8) -> Message {
        Message {
            topic: "t".to_owned(),
            payload: vec![n],
            records: 1,
            history: false,
        }
    }

    #[test]
    fn what_is_not_acknowledged_goes_out_again_as_a_duplicate_in_the_old_order() {
        // Given three messages on the wire, of which the second is acknowledged,
        let mut outbox = Outbox::default();
        (1..=3).for_each(|n| outbox.push(message(n)));
        let sent: Vec<Vec<u8>> = std::iter::from_fn(|| outbox.next().map(<[u8]>::to_vec)).collect();
        assert_eq!(sent.len(), 3);
        assert_eq!(
            outbox.acknowledge(2),
            Some(Acked {
                records: 1,
                history: false
            })
        );
        assert_eq!(outbox.acknowledge(2), None);
        // when the connection breaks,
        outbox.connection_lost();
        // then the first and the third go out again with the DUP flag, before a fourth.
        outbox.push(message(4));
        let again: Vec<Vec<u8>> = std::iter::from_fn(|| outbox.next().map(<[u8]>::to_vec)).collect();
        assert_eq!(
            again.iter().map(|packet| packet[0]).collect::<Vec<_>>(),
            [0x3A, 0x3A, 0x32]
        );
        assert_eq!(
            again
                .iter()
                .map(|packet| *packet.last().unwrap())
                .collect::<Vec<_>>(),
            [1, 3, 4]
        );
    }

    #[test]
    fn the_window_bounds_what_is_on_the_wire_and_the_memory_what_waits() {
        let mut outbox = Outbox::default();
        (0..200).for_each(|n| outbox.push(message(n)));
        assert_eq!(std::iter::from_fn(|| outbox.next().map(|_| ())).count(), WINDOW);
        (0..WAITING_MAX).for_each(|_| outbox.push(message(0)));
        assert_eq!(outbox.waiting.len(), WAITING_MAX);
        assert_eq!(outbox.dropped, 200 - 16);
    }
}
