//! The MQTT front door: listens, decodes, knows who is there, and acknowledges what the journal holds.
//!
//! The gate speaks MQTT 3.1.1 and 5 whole, but for enhanced authentication, which it refuses in the protocol's own
//! words. It never acknowledges a message before the [`Intake`] has said that it is safe and the [`Keeper`] what it
//! changes for others, never trusts a byte before the codec has looked at it, and never lets a slow client hold up
//! another. It touches no disk itself.
//!
//! Start with [`Gate::start`], then `connection.rs` (one task per client), `protocol.rs` (what each packet leads to)
//! and `exchange.rs` (how a message finds its subscribers). Pure, without socket, clock or lock: `codec/`, `protocol/`,
//! `tree.rs`, `session/outbox.rs`, `retained.rs`, `records.rs`.

mod gate;

mod listener;

mod connection;

mod protocol;

mod codec;

mod acl;
mod auth;
mod config;
mod counters;
mod door;
mod exchange;
mod fanout;
mod intake;
mod keeper;
pub mod limits;
mod message;
mod records;
mod retained;
mod session;
mod sessions;
mod sweep;
pub mod topic;
mod transport;
mod tree;

pub use acl::Permissions;
pub use auth::registry::{Anonymous, RegistryAuthenticator};
pub use auth::rules::{Rule, RuleError, Rules, Who, check_hash, check_publish, check_subscribe};
pub use auth::{Authenticator, Credential, Ending, Identity, Login, Refusal, Review};
pub use config::{
    Admission, Allowance, CertificateName, ClientCertificates, GateConfig, ListenerConfig, Origins,
    TlsConfig, Trust,
};
pub use counters::Counters;
pub use gate::{Gate, GateError};
pub use intake::{Intake, IntakeError};
pub use keeper::{Change, Keeper, KeeperError, MemoryKeeper, Room};
pub use listener::{Listening, Proof};
pub use transport::Kind;
pub use transport::certificate::CertificateStatus;
pub use transport::tls::TlsError;

/// A boxed future, as the seams of this crate return it.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
