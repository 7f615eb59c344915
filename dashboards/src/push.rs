//! The door for those who push readings over HTTP: the seam, and who may come how often.
//!
//! The web knows HTTP; who somebody is, what a payload may look like and where it is made durable is the
//! program's to say ([`Door`]). Nothing is answered with success before it is on disk.

pub(crate) mod body;
pub(crate) mod buckets;
pub(crate) mod credentials;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use telemetry::{DeviceId, RawMessage};

/// A future of the seam.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the program does for the web.
pub trait Door: Send + Sync + 'static {
    /// Who pushes.
    fn identify<'a>(&'a self, login: Login<'a>) -> BoxFuture<'a, Result<Box<dyn Speaker>, Refusal>>;

    /// Whether a payload is JSON that will be looked into; else what is wrong, as a sentence for a person.
    ///
    /// # Errors
    /// What is wrong with it.
    fn readable(&self, payload: &[u8]) -> Result<(), String>;

    /// Sorts the lines of a body of line protocol; `precision` is the word of the request.
    ///
    /// # Errors
    /// What is wrong with `precision`.
    fn sort(&self, body: &str, precision: &str, speaker: &dyn Speaker) -> Result<Lines, String>;

    /// Makes messages durable. Resolves when they are on disk.
    fn accept(&self, messages: Vec<RawMessage>) -> BoxFuture<'static, Result<(), NotTaken>>;
}

/// Somebody who is known.
pub trait Speaker: Send + Sync {
    /// What their requests are counted under.
    fn name(&self) -> &str;

    /// The device that is meant where a request names none.
    fn own(&self) -> Option<&DeviceId>;

    /// Who stands as the sender of readings of `device`; none when they may not be sent.
    fn sender(&self, device: &DeviceId) -> Option<DeviceId>;
}

/// What a request says about its sender.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// User name; none for a bare token, and for a request without credentials.
    pub user: Option<&'a str>,
    /// Password or token.
    pub secret: Option<&'a [u8]>,
    /// Where the connection comes from; none in tests without a socket.
    pub peer: Option<SocketAddr>,
}

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Unknown, or the wrong password (401).
    Unknown,
    /// Known, but not allowed (403).
    Forbidden,
    /// Too many wrong passwords a moment ago (429).
    TooFast,
    /// Could not be decided now (503).
    Unavailable,
}

/// Why messages were not made durable. The sender keeps them and tries again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Journal or disk are full, until there is room.
    #[error("no room: {0}")]
    Full(String),
    /// The journal has stopped, until a person looks at it.
    #[error("stopped: {0}")]
    Stopped(String),
}

/// A body of line protocol, sorted by device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The payloads of each device, for the journal.
    pub payloads: Vec<(DeviceId, axum::body::Bytes)>,
    /// Lines in `payloads`.
    pub taken: usize,
    /// Lines left out.
    pub left_out: usize,
    /// The first of these.
    pub first_bad: Option<BadLine>,
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub number: usize,
    /// Whether it is sound, but of a device that its sender may not speak for.
    pub forbidden: bool,
    /// What is wrong, for a person.
    pub why: String,
}

/// What the handlers of the door share.
#[derive(Debug)]
pub(crate) struct Porch {
    /// Requests of each sender.
    pub(crate) requests: buckets::Buckets<Box<str>>,
    /// Refused logins of each address.
    pub(crate) failures: buckets::Buckets<std::net::IpAddr>,
    /// Bodies in memory.
    pub(crate) bodies: tokio::sync::Semaphore,
    /// Whether it was said that `org` and `bucket` mean nothing here.
    pub(crate) told: std::sync::atomic::AtomicBool,
}

impl Porch {
    pub(crate) fn new(requests_per_s_max: u32) -> Self {
        use crate::limits;
        Self {
            requests: buckets::Buckets::new(requests_per_s_max, requests_per_s_max.saturating_mul(2)),
            failures: buckets::Buckets::new(1, limits::PUSH_FAILURES_MAX),
            bodies: tokio::sync::Semaphore::new(limits::PUSH_BODIES_MAX),
            told: std::sync::atomic::AtomicBool::new(false),
        }
    }
}
