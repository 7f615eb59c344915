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
    /// Connections at a time. Default [`limits::CONNECTIONS_MAX`], range 1 to 1,000,000.
    pub connections_max: usize,
    /// What one device may send.
    pub device: Allowance,
    /// What one gateway may send: a device that speaks for others, and whoever is not a device.
    pub gateway: Allowance,
}

/// What one client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Largest packet, header included, in bytes. Larger: closed with 0x95 before it is buffered. Range
    /// 4 KiB to [`limits::PACKET_BYTES_MAX`].
    pub packet_bytes_max: usize,
    /// Messages each second, over all connections of the client; 0 is no limit. What
    /// [`limits::BURST`] brings may come at once. More: the client is left unread until it has paid, so
    /// its messages are late, not lost.
    pub messages_per_s: u32,
    /// Bytes of messages each second; 0 is no limit. More: as above.
    pub bytes_per_s: u32,
}

impl Allowance {
    /// The default of a device: 64 KiB, 1,000 messages and 1 MiB a second. Source of the first:
    /// `faults-security.md` §2.2; the rates let a device that was away for a week catch up in seconds.
    pub const DEVICE: Self = Self {
        packet_bytes_max: 64 * 1024,
        messages_per_s: 1000,
        bytes_per_s: 1024 * 1024,
    };
    /// The default of a gateway: 1 MiB of payload, 10,000 messages and 16 MiB a second.
    pub const GATEWAY: Self = Self {
        packet_bytes_max: limits::PACKET_BYTES_MAX,
        messages_per_s: 10_000,
        bytes_per_s: 16 * 1024 * 1024,
    };
}

impl GateConfig {
    /// The defaults, listening at `listen`.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            connect_timeout: Duration::from_secs(5),
            stop_timeout: Duration::from_secs(5),
            connections_max: limits::CONNECTIONS_MAX,
            device: Allowance::DEVICE,
            gateway: Allowance::GATEWAY,
        }
    }
}
