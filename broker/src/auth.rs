//! Who stands at the door: the seam, and what comes through it.

pub(crate) mod registry;

use std::net::SocketAddr;

use telemetry::DeviceId;

use crate::BoxFuture;
use crate::acl::Permissions;

/// Decides who a client is. [`registry::RegistryAuthenticator`] asks the registry.
pub trait Authenticator: Send + Sync + 'static {
    /// Who this is, or why it may not come in. Unknown user and wrong password take the same time and
    /// give the same answer.
    fn authenticate<'a>(&'a self, login: Login<'a>) -> BoxFuture<'a, Result<Identity, Refusal>>;
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
    },
    /// Nobody in particular, let in by the configuration.
    Anonymous {
        /// What it may say and hear.
        permissions: Permissions,
    },
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
}
