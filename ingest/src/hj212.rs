//! HJ 212, the protocol of sewage data loggers 数采仪: frames over TCP, each journaled before it is answered.
//!
//! `crc`, [`frame`], [`segment`], `answer` and `desk` are pure; [`Listener`] owns the sockets. A packet becomes one
//! [`telemetry::RawMessage`] whose payload is its data segment without the password; what its values mean is found
//! out by the profile (`decode::hj212`), where split packets are put together again as well: each part is on disk
//! before it is answered, so that a logger that waits for each answer gets it, and a crash between parts loses none.
//!
//! HJ 212-2017 is read whole, HJ/T 212-2005 as far as its frames are alike. HJ 212-2025 is recognised by the version
//! in its flag and refused with a count and one line in the log.
//!
//! Sources: HJ 212-2017 chapter 6 and appendices; HJ/T 212-2005 chapter 6.

pub(crate) mod answer;
pub mod crc;
mod crowd;
pub(crate) mod desk;
pub mod frame;
mod listener;
pub mod segment;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use crate::modbus::Sink;
pub use listener::{ListenError, Listener};

/// How loggers are listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hj212Config {
    /// Most connections at a time; a further one is closed at once. Default 1,024.
    pub connections_max: usize,
    /// Most connections of one address; a further one is closed at once. Default 64: loggers share an address
    /// behind a mobile network.
    pub connections_per_address_max: usize,
    /// From the connection to the first packet of a registered logger with its password. Default 30 s.
    pub first_packet_timeout: Duration,
    /// A connection that brings nothing for so long is closed. Default 15 min.
    pub idle_timeout: Duration,
    /// A packet that does not become whole for so long was none: what follows its head is searched for the next.
    /// Default 10 s.
    pub packet_timeout: Duration,
    /// Refused packets in a row after which a connection is closed. Default 16.
    pub refused_max: u32,
}

impl Default for Hj212Config {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connections_per_address_max: 64,
            first_packet_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(15 * 60),
            packet_timeout: Duration::from_secs(10),
            refused_max: 16,
        }
    }
}

/// What the listener did since it was started. Each is a count but `connections`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Open connections.
    pub connections: AtomicU64,
    /// Connections closed at once, at a bound.
    pub connections_refused: AtomicU64,
    /// Packets that are on disk.
    pub packets: AtomicU64,
    /// Answers sent.
    pub answers: AtomicU64,
    /// Bytes that belong to no packet.
    pub garbage_bytes: AtomicU64,
    /// Packets with a wrong checksum or length.
    pub damaged: AtomicU64,
    /// Packets whose data segment cannot be read.
    pub malformed: AtomicU64,
    /// Packets of a logger that is not registered.
    pub unknown_mn: AtomicU64,
    /// Packets with a wrong password.
    pub wrong_password: AtomicU64,
    /// Packets of HJ 212-2025 or later.
    pub unsupported_version: AtomicU64,
    /// Packets with a command that is none of a logger's.
    pub unknown_command: AtomicU64,
    /// Packets that the journal refused; they were not answered and their connection was closed.
    pub not_taken: AtomicU64,
}

impl Counters {
    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("connections", &self.connections),
            ("connections_refused_total", &self.connections_refused),
            ("packets_total", &self.packets),
            ("answers_total", &self.answers),
            ("garbage_bytes_total", &self.garbage_bytes),
            ("damaged_total", &self.damaged),
            ("malformed_total", &self.malformed),
            ("unknown_mn_total", &self.unknown_mn),
            ("wrong_password_total", &self.wrong_password),
            ("unsupported_version_total", &self.unsupported_version),
            ("unknown_command_total", &self.unknown_command),
            ("not_taken_total", &self.not_taken),
        ]
        .into_iter()
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

pub(crate) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(u64::try_from(by).unwrap_or(u64::MAX), Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
