//! Who stands at the door: the seam, and what comes through it.

pub(crate) mod registry;

pub(crate) mod rules;

mod slowdown;

use std::net::SocketAddr;

use telemetry::DeviceId;
use tokio::sync::watch;

use crate::BoxFuture;
use crate::acl::Permissions;

/// Decides who a client is, and goes on deciding as long as it is there.
/// [`registry::RegistryAuthenticator`] asks its rules.
pub trait Authenticator: Send + Sync + 'static {
    /// Who this is, or why it may not come in. Unknown user and wrong password take the same time and
    /// give the same answer.
    fn authenticate<'a>(&'a self, login: Login<'a>) -> BoxFuture<'a, Result<Identity, Refusal>>;

    /// Grows whenever somebody's rights or credentials may have changed. Whoever serves a client then asks
    /// [`Authenticator::review`], and for a session without a client [`Authenticator::permissions_of`].
    fn changes(&self) -> watch::Receiver<u64>;

    /// What a client that was let in as `identity` may do from now on, or why it has to go.
    fn review(&self, identity: &Identity) -> Review;

    /// What the owner of the session with this [`Identity::key`] may do now. `None`: nobody of that name may come
    /// in any more, so nothing has to be kept for it.
    fn permissions_of(&self, key: &str) -> Option<Permissions>;

    /// Whether lives may hang on the device that calls itself `name`. Asked before anything is proved: it
    /// only decides who waits for whom, never who is let in.
    fn is_life_safety(&self, name: &str) -> bool {
        let _nobody_knows = name;
        false
    }
}

/// What a CONNECT says about its sender.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// Client identifier; empty when the client leaves the choice to us.
    pub client_id: &'a str,
    /// User name.
    pub user: Option<&'a str>,
    /// Password.
    pub password: Option<&'a [u8]>,
    /// The device that a verified client certificate names. It then needs no password. Empty when the
    /// certificate names nobody: then nobody may come in with it.
    pub certificate: Option<&'a str>,
    /// Where the connection comes from.
    pub peer: SocketAddr,
}

/// Who a client is and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A registered device: its client id must be its id, and one connection of it lives at a time.
    Device {
        /// Which.
        id: DeviceId,
        /// What it may say and hear.
        permissions: Permissions,
        /// What it came in with.
        credential: Credential,
    },
    /// A service account: several connections, whose client ids are its name, or its name, `-` and more.
    Account {
        /// Which.
        name: DeviceId,
        /// What it may say and hear.
        permissions: Permissions,
        /// What it came in with.
        credential: Credential,
    },
    /// Nobody in particular, let in by the configuration.
    Anonymous {
        /// What it may say and hear.
        permissions: Permissions,
    },
}

impl Identity {
    /// What it may say and hear.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        match self {
            Self::Device { permissions, .. }
            | Self::Account { permissions, .. }
            | Self::Anonymous { permissions } => permissions,
        }
    }

    /// Under which name the session of this client with `client_id` is known: no two owners ever share one, since no
    /// name of a device or account holds a slash. A device has one session, whatever its client id.
    #[must_use]
    pub fn key(&self, client_id: &str) -> Box<str> {
        match self {
            Self::Device { id, .. } => id.as_str().into(),
            Self::Account { name, .. } => format!("{name}/{client_id}").into(),
            Self::Anonymous { .. } => format!("/{client_id}").into(),
        }
    }
}

/// What a client came in with, so that it can be told whether that still counts. Holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A password; the first bytes of the SHA-256 of the hash that is stored for it.
    Password([u8; 8]),
    /// A client certificate.
    Certificate,
}

/// The answer to [`Authenticator::review`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Review {
    /// It stays, with these permissions.
    Stays(Permissions),
    /// It has to go at once.
    Ends(Ending),
}

/// Why a client that was let in has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Disabled, revoked or no longer registered: 0x87.
    NotAuthorized,
    /// Its password was replaced by another: 0x98, administrative action.
    Replaced,
}

/// Why a client may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Unknown user or wrong password: 0x86, in 3.1.1 code 4.
    BadCredentials,
    /// Known, or anonymous, but not allowed: 0x87, in 3.1.1 code 5.
    NotAuthorized,
    /// The client id is not the device's: 0x85, in 3.1.1 code 2.
    ClientIdNotValid,
    /// Could not be decided now: 0x88, in 3.1.1 code 3.
    Unavailable,
    /// Too many wrong passwords from there a moment ago, or too many that wait to be verified: 0x9F, in 3.1.1
    /// code 3.
    TooFast,
}
