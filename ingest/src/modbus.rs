//! Devices that are asked: the plan of the reads, the poll itself, and what the answers mean.
//!
//! `plan`, `frame` and `decode_poll` are pure; `poller` and `line` own the sockets. A poll becomes one
//! [`telemetry::RawMessage`] with the payload of `frame`, and takes the same way as an MQTT publish.

pub(crate) mod decode_poll;
pub mod frame;
pub(crate) mod map;
pub mod plan;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use telemetry::RawMessage;
use telemetry::time::Span;

use crate::consumer::BoxError;

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
