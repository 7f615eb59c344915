//! The seam to who may come in: what the API asks and changes of the credentials of devices and accounts.

use serde::Serialize;
use store::state::access::Holder;
use telemetry::time::Span;

use crate::book::Moment;

/// A credential as the API shows it. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// Device id or account.
    pub name: String,
    /// `device` or `account`.
    pub kind: &'static str,
    /// Whether it may come in.
    pub enabled: bool,
    /// Which password counts: `registry` (the file's), `own`, `none` (revoked), `missing` (there never was one).
    pub password_of: &'static str,
    /// Grows with each change; 0 when nothing was ever changed.
    pub revision: u64,
    /// When it was changed last.
    pub changed_at: Option<Moment>,
    /// By whom.
    pub changed_by: Option<String>,
    /// When it was given its password here.
    pub rotated_at: Option<Moment>,
    /// Until when the password before counts too.
    pub old_until: Option<Moment>,
    /// What an account may publish; none for a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<Vec<String>>,
    /// What an account may hear; none for a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<Vec<String>>,
}

/// A credential after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// As it is now.
    #[serde(flatten)]
    pub credential: Credential,
    /// The new password, where one was made: told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// `now`, or `next_start` for a device that came after the start of the server.
    pub takes_effect: &'static str,
}

/// What is to become of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialAction {
    /// It may not come in; its password stays.
    Disable,
    /// It may come in again.
    Enable,
    /// It gets a new password; the old one counts for `grace` more.
    Rotate {
        /// Zero: it ends at once.
        grace: Span,
    },
    /// No password of it counts any more.
    Revoke,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistrarError {
    /// There is none of that name.
    #[error("there is no {0}")]
    Unknown(String),
    /// It does not fit its present state.
    #[error("{0}")]
    Conflict(String),
    /// What was asked makes no sense.
    #[error("{0}")]
    Refused(String),
    /// The provisioning token does not count.
    #[error("the token is not valid: unknown, used up or too old")]
    Token,
    /// The disk or the database failed.
    #[error("the credentials cannot be changed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Changes who may come in; on disk, with its line of audit, after `Ok`. Calls block.
pub trait Registrar: Send + Sync {
    /// The credential of a device or an account.
    ///
    /// # Errors
    /// [`RegistrarError`].
    fn credential(&self, holder: Holder, name: &str) -> Result<Credential, RegistrarError>;

    /// The accounts, in order of their names.
    ///
    /// # Errors
    /// [`RegistrarError`].
    fn accounts(&self) -> Result<Vec<Credential>, RegistrarError>;

    /// Does `action` in the name of `by`.
    ///
    /// # Errors
    /// [`RegistrarError`]; nothing was changed.
    fn change(
        &self,
        holder: Holder,
        name: &str,
        action: CredentialAction,
        by: &str,
    ) -> Result<Changed, RegistrarError>;

    /// Gives the device that brings a provisioning token its first password.
    ///
    /// # Errors
    /// [`RegistrarError`]; the token is then not used up.
    fn provision(&self, token: &str, device: &str) -> Result<Changed, RegistrarError>;
}
