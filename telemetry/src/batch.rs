//! What a stretch of the journal turned into: the thing that every consumer is handed.

use bytes::Bytes;

use crate::id::DeviceId;
use crate::ledger::Ledger;
use crate::message::{Lsn, Origin};
use crate::sample::Point;
use crate::time::Timestamp;

/// The decoded content of the messages `first..=last` of the journal.
///
/// A consumer commits `last` as its cursor in the same transaction as what it made of the batch, and
/// leaves out a batch whose `last` is not beyond its cursor. Devices are places in
/// [`crate::Catalogue::devices`] of the catalogue that decoded the batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Number of the first message.
    pub first: Lsn,
    /// Number of the last message.
    pub last: Lsn,
    /// The points, in order of arrival.
    pub points: Vec<Point>,
    /// Which devices were heard, and when their last message in the batch arrived. Also those whose
    /// message could not be read: a device that talks nonsense is not silent. A Modbus unit that
    /// gave no answer was not heard. History (back-fill) does not count as being heard.
    pub heard: Vec<(usize, Timestamp)>,
    /// What became of the items, by device.
    pub ledger: Vec<(usize, Ledger)>,
    /// The messages that nobody could read.
    pub dead_letters: Vec<DeadLetter>,
}

/// A message that nobody could read, kept as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number in the journal.
    pub lsn: Lsn,
    /// When it arrived.
    pub arrived: Timestamp,
    /// Through which door.
    pub origin: Origin,
    /// Who sent it.
    pub sender: DeviceId,
    /// MQTT topic, empty for Modbus.
    pub topic: Box<str>,
    /// Why it could not be read: one sentence without a full stop, for a person.
    pub reason: Box<str>,
    /// As it came.
    pub payload: Bytes,
}
