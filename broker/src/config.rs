//! What the gate is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits;
use crate::transport::tls::{TlsError, TlsSite};

/// How the gate listens and where its bounds are. Times are real time, whatever clock the messages
/// are stamped with: they guard sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateConfig {
    /// Where to listen, and for what; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// From one look at the files of certificates to the next. Default 10 s. Files that change are read when
    /// they have looked the same twice.
    pub certificate_look_every: Duration,
    /// From accepting a connection to the last byte of its CONNECT, the handshakes of TLS and WebSocket
    /// included. Default 5 s, range 100 ms to 60 s.
    pub connect_timeout: Duration,
    /// How long [`crate::Gate::stop`] waits for messages under way. Default 5 s, range 0 s to 60 s.
    pub stop_timeout: Duration,
    /// How many may come, and how fast.
    pub admission: Admission,
    /// What one device may send.
    pub device: Allowance,
    /// What one gateway may send: a device that speaks for others, and whoever is not a device.
    pub gateway: Allowance,
}

/// How many may come, in all and from one address, and how fast. An address is an IPv4 address, or the first
/// 64 bits of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Clients at a time. Default [`limits::CONNECTIONS_MAX`], range 1 to 1,000,000. More: 0x97 (3.1.1: code 3).
    pub connections_max: usize,
    /// How many of them are kept for life-safety devices. Default 1,000; at most a tenth of `connections_max` is
    /// sensible.
    pub kept_for_life_safety: usize,
    /// Clients from one address at a time. Default 50,000: many devices of a carrier share one. More: 0x97, but for
    /// life-safety devices.
    pub connections_per_address_max: usize,
    /// Sockets at a time that have not yet been let in. Default 10,000. More: closed without a word.
    pub strangers_max: usize,
    /// The same from one address. Default 5,000.
    pub strangers_per_address_max: usize,
    /// Sockets taken each second; 0 is no limit. Default 5,000. What [`limits::BURST`] brings may come at once. More:
    /// wait in the operating system's queue.
    pub accepts_per_s: u32,
    /// CONNECTs from one address each second; 0 is no limit. Default 2,000, bursts as above. More: 0x9F (3.1.1:
    /// code 3) before the password is looked at, but for life-safety devices.
    pub connects_per_s_per_address: u32,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            connections_max: limits::CONNECTIONS_MAX,
            kept_for_life_safety: 1000,
            connections_per_address_max: limits::CONNECTIONS_MAX,
            strangers_max: 10_000,
            strangers_per_address_max: 5_000,
            accepts_per_s: 5_000,
            connects_per_s_per_address: 2_000,
        }
    }
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
    /// The default of a device: 64 KiB of payload, 1,000 messages and 1 MiB a second. Source of the first:
    /// `faults-security.md` §2.2; the rates let a device that was away for a week catch up in seconds.
    pub const DEVICE: Self = Self {
        packet_bytes_max: 64 * 1024 + limits::PACKET_OVERHEAD_MAX,
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
    /// The defaults, listening for plain MQTT at `listen`.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listeners: vec![ListenerConfig::plain(listen)],
            certificate_look_every: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            stop_timeout: Duration::from_secs(5),
            admission: Admission::default(),
            device: Allowance::DEVICE,
            gateway: Allowance::GATEWAY,
        }
    }
}

/// One place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Where, e.g. `127.0.0.1:1883`; port 0 takes a free one.
    pub address: SocketAddr,
    /// How it is encrypted; none: not at all.
    pub tls: Option<TlsConfig>,
    /// Whether MQTT comes in WebSocket frames, and from which pages; none: it comes bare.
    pub websocket: Option<Origins>,
}

impl ListenerConfig {
    /// Plain MQTT over TCP.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            websocket: None,
        }
    }
}

impl ListenerConfig {
    /// Looks whether its certificates can be used; the address is not tried.
    ///
    /// # Errors
    /// [`TlsError`]: which file, and why not.
    pub fn check(&self) -> Result<(), TlsError> {
        let tls = self.tls.clone();
        tls.map_or(Ok(()), |tls| TlsSite::load(tls).map(drop))
    }
}

/// What a listener shows, and what it asks for. All files are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate, and those between it and the root.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// Whether clients show certificates.
    pub clients: ClientCertificates,
}

/// Whether clients show certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked.
    None,
    /// Who shows one needs no password; who does not comes in with a password.
    Optional(Trust),
    /// Who shows none does not get past the handshake.
    Required(Trust),
}

/// Which client certificates count, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The authorities that issue them.
    pub authorities: PathBuf,
    /// Revocation lists. A certificate whose issuer has no list in the file is refused; a list that is out
    /// of date still counts, so that a forgotten renewal shuts nobody out.
    pub revoked: Option<PathBuf>,
    /// Where in the certificate the device's id stands.
    pub name: CertificateName,
}

/// Where in a client's certificate the device's id stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateName {
    /// The common name of the subject; there has to be exactly one.
    #[default]
    CommonName,
    /// The DNS name among the alternative names; there has to be exactly one.
    SubjectAlternativeName,
}

/// From which pages browsers may open a WebSocket. Pages from the same IP address, or from localhost to
/// localhost, always may; who names no origin is no browser and may come too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Box<[Box<str>]>);

impl Origins {
    /// These, as browsers say them: `https://ops.example.org`, with the port unless it is the usual one. `*` is all.
    pub fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Self {
        Self(origins.into_iter().map(Into::into).collect())
    }

    /// Whether `origin` is listed.
    #[must_use]
    pub(crate) fn allow(&self, origin: &str) -> bool {
        let listed = |one: &str| one == "*" || one.eq_ignore_ascii_case(origin);
        self.0.iter().any(|one| listed(one))
    }
}
