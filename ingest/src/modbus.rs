//! Devices that are asked: the plan of the reads, the poll itself, what the answers mean, and the few
//! registers that may be written.
//!
//! Pure are `plan` (which registers together), `pdu` and `wrap` (the protocol), `value` (registers and
//! numbers), `schedule` (who is next), `doubt` (which late answer may still come), `order` (what may be written), `frame` and `decode_poll`. `wire` owns
//! the socket or port, `line` the order of events on it, `poller` all lines. A poll becomes one
//! [`telemetry::RawMessage`] with the payload of `frame`, and takes the same way as an MQTT publish.

pub(crate) mod decode_poll;
mod doubt;
pub mod frame;
mod identity;
mod job;
mod line;
pub(crate) mod map;
mod order;
mod pdu;
pub mod plan;
mod poller;
mod schedule;
mod status;
mod unit;
pub(crate) mod value;
mod wire;
mod wrap;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use telemetry::RawMessage;
use telemetry::time::Span;

use crate::consumer::BoxError;
pub use identity::{Identity, IdentityError, identify};
pub use job::JOBS_PER_LINE_MAX;
pub use order::{WriteDone, WriteRefused, Writes};
pub use poller::{FieldAccess, Poller};
pub use status::{ModbusStats, Reach, UnitStatus};

/// Where the polls go: the journal. Resolves when the messages are on disk.
pub type Sink =
    Arc<dyn Fn(Vec<RawMessage>) -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>> + Send + Sync>;

/// How Modbus units are polled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModbusConfig {
    /// Longest wait for an answer, and for a connection; in real time, whatever the clock says. On a serial
    /// line the time of the bytes comes on top. Default 1 s.
    pub timeout: Duration,
    /// Shortest pause between two requests on a line, in real time. A profile may ask for more. Default none.
    pub request_pause: Duration,
    /// Pause after a connection was made, in real time: some gateways need a moment. Default none.
    pub connect_pause: Duration,
    /// Longest wait before a lost connection is tried again, on the clock. The wait doubles from 250 ms
    /// on, with up to half of it taken off at random. Default 30 s.
    pub reconnect_max: Span,
    /// Longest wait before a silent unit is asked again while others share its line, on the clock. The
    /// wait doubles from the poll interval on after the second failure in a row. Default 60 s.
    pub unit_backoff_max: Span,
    /// What may be written. Default nothing.
    pub writes: Writes,
}

impl Default for ModbusConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            request_pause: Duration::ZERO,
            connect_pause: Duration::ZERO,
            reconnect_max: Span::from_secs(30),
            unit_backoff_max: Span::from_secs(60),
            writes: Writes::default(),
        }
    }
}

#[cfg(test)]
mod tests;
