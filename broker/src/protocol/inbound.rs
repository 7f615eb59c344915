//! Messages from one client that have not been answered to the end: pure.
//!
//! QoS 1 ends with the PUBACK; QoS 2 with the PUBCOMP, and its packet identifier stays known over connections.
//! Source: MQTT 5.0 §4.3.3 and §4.9.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use crate::codec::Version;
use crate::codec::packet::QoS;
use crate::limits::{RECEIVE_MAXIMUM, RECEIVED_MAX};

/// What is under way from the client.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    /// QoS 1 messages without their PUBACK.
    ones: usize,
    /// QoS 2 messages without their PUBREC.
    twos: FxHashSet<u16>,
    /// QoS 2 messages that were answered with PUBREC and not released.
    received: BTreeSet<u16>,
    /// Those of both that came on this connection: they count against its receive maximum.
    here: FxHashSet<u16>,
}

/// Whether a message has been seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    New,
    Again,
}

/// More is under way than the client was told that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overrun;

impl Inbound {
    /// With the identifiers that an earlier connection left behind.
    pub(crate) fn new(received: BTreeSet<u16>) -> Self {
        Self {
            received,
            ..Self::default()
        }
    }

    /// Takes a publish in. A client of 3.1.1 was told no maximum: it is left to wait instead.
    pub(super) fn arrived(&mut self, qos: QoS, id: u16, version: Version) -> Result<Arrived, Overrun> {
        let known = qos == QoS::Two && (self.twos.contains(&id) || self.received.contains(&id));
        let used = self.ones + self.here.len();
        let overrun = version == Version::V5
            && qos != QoS::Zero
            && used >= usize::from(RECEIVE_MAXIMUM)
            && !self.here.contains(&id);
        let too_many = !known && qos == QoS::Two && self.twos.len() + self.received.len() >= RECEIVED_MAX;
        if overrun || too_many {
            return Err(Overrun);
        }
        match qos {
            QoS::Zero => {}
            QoS::One => self.ones += 1,
            QoS::Two => {
                self.here.insert(id);
                if !known {
                    self.twos.insert(id);
                }
            }
        }
        Ok(if known { Arrived::Again } else { Arrived::New })
    }

    /// `count` QoS 1 messages were answered.
    pub(crate) fn acknowledged(&mut self, count: usize) {
        self.ones = self.ones.saturating_sub(count);
    }

    /// A QoS 2 message is safe: it is known from now on until it is released.
    pub(crate) fn is_safe(&mut self, id: u16) {
        self.twos.remove(&id);
        self.received.insert(id);
    }

    /// A QoS 2 message was refused: that was the end of it.
    pub(crate) fn refused(&mut self, id: u16) {
        self.twos.remove(&id);
        self.here.remove(&id);
    }

    /// PUBREL: whether the identifier was known.
    pub(super) fn release(&mut self, id: u16) -> bool {
        if !self.twos.contains(&id) {
            self.here.remove(&id);
        }
        self.received.remove(&id)
    }

    /// Whether so much waits for its first answer that nothing more should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.ones + self.twos.len() >= usize::from(RECEIVE_MAXIMUM)
    }

    /// The identifiers that a later connection has to know.
    pub(crate) fn into_received(self) -> BTreeSet<u16> {
        self.received
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qos_2_message_is_new_once_until_it_is_released() {
        let mut inbound = Inbound::default();
        let v5 = Version::V5;
        assert_eq!(inbound.arrived(QoS::Two, 7, v5), Ok(Arrived::New));
        assert_eq!(inbound.arrived(QoS::Two, 7, v5), Ok(Arrived::Again));
        // Before it is safe it cannot be released,
        assert!(!inbound.release(7));
        inbound.is_safe(7);
        assert_eq!(inbound.arrived(QoS::Two, 7, v5), Ok(Arrived::Again));
        // and after the release the identifier is free for another message.
        assert!(inbound.release(7));
        assert!(!inbound.release(7));
        assert_eq!(inbound.arrived(QoS::Two, 7, v5), Ok(Arrived::New));
    }

    #[test]
    fn what_an_earlier_connection_left_is_known_and_does_not_count_against_this_one() {
        let mut inbound = Inbound::new((1..=RECEIVE_MAXIMUM).collect());
        assert_eq!(inbound.arrived(QoS::Two, 1, Version::V5), Ok(Arrived::Again));
        assert_eq!(inbound.arrived(QoS::Two, 5000, Version::V5), Ok(Arrived::New));
        assert_eq!(inbound.here.len(), 2);
        inbound.is_safe(5000);
        assert_eq!(inbound.into_received().len(), usize::from(RECEIVE_MAXIMUM) + 1);
    }

    #[test]
    fn the_receive_maximum_counts_qos_1_until_puback_and_qos_2_until_release() {
        let mut inbound = Inbound::default();
        let v5 = Version::V5;
        for id in 1..=RECEIVE_MAXIMUM {
            let qos = if id % 2 == 0 { QoS::One } else { QoS::Two };
            assert_eq!(inbound.arrived(qos, id, v5), Ok(Arrived::New));
        }
        assert!(inbound.is_full());
        assert_eq!(inbound.arrived(QoS::Zero, 0, v5), Ok(Arrived::New));
        assert_eq!(inbound.arrived(QoS::One, 5000, v5), Err(Overrun));
        assert_eq!(inbound.arrived(QoS::Two, 1, v5), Ok(Arrived::Again));
        inbound.is_safe(1);
        assert!(!inbound.is_full());
        assert_eq!(inbound.arrived(QoS::Two, 5000, v5), Err(Overrun));
        assert!(inbound.release(1));
        assert_eq!(inbound.arrived(QoS::Two, 5000, v5), Ok(Arrived::New));
        inbound.acknowledged(1);
        assert_eq!(inbound.arrived(QoS::One, 5001, v5), Ok(Arrived::New));
    }

    #[test]
    fn a_client_that_never_releases_is_stopped() {
        let mut inbound = Inbound::default();
        for id in 1..=u16::try_from(RECEIVED_MAX).unwrap() {
            assert_eq!(inbound.arrived(QoS::Two, id, Version::V311), Ok(Arrived::New));
            inbound.is_safe(id);
        }
        assert_eq!(inbound.arrived(QoS::Two, 9999, Version::V311), Err(Overrun));
    }
}
