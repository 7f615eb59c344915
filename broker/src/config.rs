//! What the gate is told at its start.

use std::net::SocketAddr;
use std::time::Duration;

use crate::limits;

/// How the gate listens and where its bounds are. Times are real time, whatever clock the messages
/// are stamped with: they guard sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateConfig {
    /// Where to listen for plain MQTT, e.g. `127.0.0.1:1883`; port 0 takes a free one. No default.
    pub listen: SocketAddr,
    /// From accepting a connection to the last byte of its CONNECT. Default 5 s, range 100 ms to 60 s.
    pub connect_timeout: Duration,
    /// How long [`crate::Gate::stop`] waits for messages under way. Default 5 s, range 0 s to 60 s.
    pub stop_timeout: Duration,
    /// Largest packet, header included, in bytes. Default [`limits::PACKET_BYTES_MAX`], range 4 KiB to that.
    pub packet_bytes_max: usize,
    /// Connections at a time. Default [`limits::CONNECTIONS_MAX`], range 1 to 1,000,000.
    pub connections_max: usize,
}

impl GateConfig {
    /// The defaults, listening at `listen`.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            connect_timeout: Duration::from_secs(5),
            stop_timeout: Duration::from_secs(5),
            packet_bytes_max: limits::PACKET_BYTES_MAX,
            connections_max: limits::CONNECTIONS_MAX,
        }
    }
}
