//! Devices that are asked: the plan of the reads, the poll itself, and what the answers mean.
//!
//! `plan`, `frame` and `decode_poll` are pure; `poller` and `line` own the sockets. A poll becomes one
//! [`telemetry::RawMessage`] with the payload of `frame`, and takes the same way as an MQTT publish.

pub(crate) mod decode_poll;
pub mod frame;
mod line;
pub(crate) mod map;
pub mod plan;
mod poller;
mod schedule;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use telemetry::RawMessage;
use telemetry::time::Span;

use crate::consumer::BoxError;
pub use poller::Poller;

/// Where the polls go: the journal. Resolves when the messages are on disk.
pub type Sink =
    Arc<dyn Fn(Vec<RawMessage>) -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>> + Send + Sync>;

/// How Modbus units are polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModbusConfig {
    /// Longest wait for an answer, and for a connection; in real time, whatever the clock says. Default 1 s.
    pub timeout: Duration,
    /// Longest wait before a lost connection is tried again, on the clock. The wait doubles from 250 ms
    /// on, with up to half of it taken off at random. Default 30 s.
    pub reconnect_max: Span,
    /// Longest wait before a silent unit is asked again while others share its line, on the clock. The
    /// wait doubles from the poll interval on after the second failure in a row. Default 60 s.
    pub unit_backoff_max: Span,
}

impl Default for ModbusConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            reconnect_max: Span::from_secs(30),
            unit_backoff_max: Span::from_secs(60),
        }
    }
}

/// What the poller did since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModbusStats {
    /// Units asked, each with all its reads; also those of a gateway that could not be reached.
    pub polls: u64,
    /// Reads that brought data.
    pub answers: u64,
    /// Reads that were answered by an exception.
    pub exceptions: u64,
    /// Reads that brought nothing, or not an answer to the question.
    pub no_answers: u64,
    /// Polls left out because their line was still busy with earlier ones.
    pub skipped_cycles: u64,
    /// Connections made.
    pub connections: u64,
    /// Polls that the sink did not take: they are lost.
    pub sink_failures: u64,
}

#[derive(Debug, Default)]
struct Counters {
    polls: AtomicU64,
    answers: AtomicU64,
    exceptions: AtomicU64,
    no_answers: AtomicU64,
    skipped_cycles: AtomicU64,
    connections: AtomicU64,
    sink_failures: AtomicU64,
}

impl Counters {
    fn read(&self) -> ModbusStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ModbusStats {
            polls: read(&self.polls),
            answers: read(&self.answers),
            exceptions: read(&self.exceptions),
            no_answers: read(&self.no_answers),
            skipped_cycles: read(&self.skipped_cycles),
            connections: read(&self.connections),
            sink_failures: read(&self.sink_failures),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
