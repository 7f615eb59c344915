//! What became of everything that a device sent: the account that must add up.

use serde::Serialize;

use crate::quality::Bad;

/// The account of one device. The unit of all counts but `messages` and `missing` is the *item*: one
/// value of a message that could be read, or one whole message that could not.
///
/// `received = stored + duplicate + rejected + dead_lettered`, always ([`Ledger::adds_up`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Messages (MQTT) or polls (Modbus).
    pub messages: u64,
    /// Items that came.
    pub received: u64,
    /// Items that became points, whatever their quality.
    pub stored: u64,
    /// Items of a message that had come before (same device time, same sequence number, same content).
    pub duplicate: u64,
    /// Of the stored: those that came out of order, or older than the live age.
    pub late: u64,
    /// Items that became nothing, by reason.
    pub rejected: Rejected,
    /// Messages kept as they came, because nobody could read them.
    pub dead_lettered: u64,
    /// Sequence numbers that have not come. In the account of one batch it is negative when late
    /// messages filled older gaps; a total is never negative.
    pub missing: i64,
    /// Of the stored: those of bad quality, by reason.
    pub bad: BadCount,
    /// Of the stored: those whose device clock lied.
    pub clock_skew: u64,
}

/// Items that became nothing, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// A value under a name that the profile does not know.
    pub unknown_signal: u64,
    /// Older than the store keeps.
    pub too_old: u64,
}

impl Rejected {
    /// All reasons together.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.unknown_signal + self.too_old
    }
}

/// Stored items of bad quality, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BadCount {
    /// The device said so.
    pub reported: u64,
    /// Outside the profile's range.
    pub out_of_range: u64,
    /// Of another type.
    pub wrong_type: u64,
    /// NaN or infinite.
    pub not_finite: u64,
    /// Modbus exception.
    pub exception: u64,
    /// Modbus slave silent.
    pub no_answer: u64,
    /// The instrument reports itself faulty.
    pub sensor_fault: u64,
}

impl BadCount {
    /// Counts `n` items of one reason.
    pub fn add(&mut self, why: Bad, n: u64) {
        *match why {
            Bad::Reported => &mut self.reported,
            Bad::OutOfRange => &mut self.out_of_range,
            Bad::WrongType => &mut self.wrong_type,
            Bad::NotFinite => &mut self.not_finite,
            Bad::Exception => &mut self.exception,
            Bad::NoAnswer => &mut self.no_answer,
            Bad::SensorFault => &mut self.sensor_fault,
        } += n;
    }
}

impl Ledger {
    /// Whether every item is accounted for.
    #[must_use]
    pub const fn adds_up(&self) -> bool {
        self.received == self.stored + self.duplicate + self.rejected.total() + self.dead_lettered
    }

    /// Adds the account of a further batch.
    pub fn add(&mut self, more: &Self) {
        self.messages += more.messages;
        self.received += more.received;
        self.stored += more.stored;
        self.duplicate += more.duplicate;
        self.late += more.late;
        self.rejected.unknown_signal += more.rejected.unknown_signal;
        self.rejected.too_old += more.rejected.too_old;
        self.dead_lettered += more.dead_lettered;
        self.missing += more.missing;
        self.bad.reported += more.bad.reported;
        self.bad.out_of_range += more.bad.out_of_range;
        self.bad.wrong_type += more.bad.wrong_type;
        self.bad.not_finite += more.bad.not_finite;
        self.bad.exception += more.bad.exception;
        self.bad.no_answer += more.bad.no_answer;
        self.bad.sensor_fault += more.bad.sensor_fault;
        self.clock_skew += more.clock_skew;
    }
}
