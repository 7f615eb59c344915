//! Where it is decided who may come in: devices, accounts, tokens. Each change is one transaction with its line of audit.

mod accounts;
mod devices;
mod tokens;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use store::state::access::{AccessChange, AccessRow, AuditEntry, Holder, OldPassword, Password};
use store::state::{State, StateError};
use telemetry::registry::{Device, Registry};
use telemetry::time::Span;
use telemetry::{Clock, DeviceId, SiteId, Timestamp};

use super::secret::{self, Made, SecretError};
use crate::server::SELF;

pub(crate) use accounts::Account;
pub(crate) use devices::{Listed, NewDevice, NewPassword};
pub(crate) use tokens::{NewToken, Token};

/// Devices beside those of the registry file. More: refused.
const ADDED_MAX: usize = 200_000;
/// Service accounts. More: refused.
const ACCOUNTS_MAX: usize = 1_000;
/// Filters of one account, for each direction. More: refused.
const FILTERS_MAX: usize = 50;
/// Provisioning tokens. More: refused.
const TOKENS_MAX: usize = 1_000;
/// Longest time for which an old password counts beside the new one. Longer: refused.
const GRACE_MAX: Span = Span::from_secs(30 * 86_400);

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OfficeError {
    /// There is none of that name.
    #[error("there is no {what} {name}{hint}")]
    Unknown {
        what: &'static str,
        name: String,
        hint: &'static str,
    },
    /// The name is taken.
    #[error("{name} is taken: there is {by} of that name")]
    Taken { name: DeviceId, by: &'static str },
    /// It cannot be done in its present state.
    #[error("{0}")]
    Conflict(String),
    /// What was given makes no sense.
    #[error("{0}")]
    Refused(String),
    /// A provisioning token that is unknown, used up or too old: which of them is nobody's business.
    #[error("the token is not valid: unknown, used up or too old")]
    Token,
    /// No secret could be made.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The disk or the database failed.
    #[error("the state database cannot be used")]
    State(#[from] StateError),
    /// It was to be tried only.
    #[error("nothing was changed: it was only tried")]
    DryRun,
    /// A file with secrets could not be written; nothing was changed.
    #[error("{0}")]
    File(String),
}

/// What is to become of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It may not come in until it is enabled again; its password stays.
    Disable,
    /// It may come in again.
    Enable,
    /// It gets a new password; the old one counts for as long as `grace` says.
    Rotate {
        /// Zero: the old one ends at once, with every connection that came in with it.
        grace: Span,
        /// What a person chose; otherwise one is made.
        chosen: Option<String>,
    },
    /// No password counts any more, not the registry file's either, until it is rotated.
    Revoke,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    /// As it is now.
    pub row: AccessRow,
    /// The new password in the clear, when one was made: told once.
    pub secret: Option<String>,
    /// Whether it counts only after the next start, because the running server did not know the device at its own.
    pub next_start: bool,
}

/// What the registry file declares, as far as it matters here.
#[derive(Debug)]
struct Declared {
    /// Devices with the hash of the file.
    devices: HashMap<DeviceId, Option<Box<str>>>,
    /// As declared, for lists.
    registry: Registry,
    sites: BTreeSet<SiteId>,
    profiles: BTreeSet<Box<str>>,
}

/// The office.
pub(crate) struct Office {
    state: Arc<State>,
    declared: Declared,
    /// The devices that the server knew when it started last.
    served: HashSet<DeviceId>,
    clock: Arc<dyn Clock>,
}

impl Office {
    /// `registry` is what the registry file says, without what was added; `profiles` are the known kinds.
    ///
    /// # Errors
    /// [`StateError`] when the registry of the last start cannot be read.
    pub(crate) fn new(
        state: Arc<State>,
        registry: Registry,
        profiles: impl IntoIterator<Item = Box<str>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StateError> {
        let served = state.load_registry()?.map_or_else(HashSet::new, |served| {
            served.devices.into_iter().map(|device| device.id).collect()
        });
        let devices = (registry.devices.iter())
            .map(|device| (device.id.clone(), device.password_hash.clone()))
            .collect();
        let sites = registry.sites.iter().map(|site| site.id.clone()).collect();
        Ok(Self {
            state,
            declared: Declared {
                devices,
                registry,
                sites,
                profiles: profiles.into_iter().collect(),
            },
            served,
            clock,
        })
    }

    /// Does `action` to a device or an account, in the name of `by`.
    ///
    /// # Errors
    /// [`OfficeError`]; nothing was changed.
    pub(crate) fn change(
        &self,
        holder: Holder,
        name: &str,
        action: &Action,
        by: &str,
    ) -> Result<Issued, OfficeError> {
        let made = match action {
            Action::Rotate { grace, chosen } => {
                if *grace > GRACE_MAX {
                    return Err(OfficeError::Refused(format!(
                        "grace {grace}: at most {GRACE_MAX}"
                    )));
                }
                Some(make(chosen.as_deref())?)
            }
            Action::Disable | Action::Enable | Action::Revoke => None,
        };
        let now = self.clock.now();
        self.state.change_access(|change| {
            let found = self.find(&Known::of(change)?, holder, name)?;
            let row = decide(
                found.row,
                action,
                made.as_ref(),
                found.initial.as_deref(),
                now,
                by,
            )?;
            change.put(&row)?;
            let (what, detail) = words(action);
            change.audit(AuditEntry {
                at: now,
                by,
                what: &format!("{} {what}", holder.name()),
                subject: name,
                detail: &detail,
            })?;
            Ok(Issued {
                row,
                secret: made.and_then(|made| made.told),
                next_start: found.next_start,
            })
        })
    }

    /// What was decided about a device or an account, and whether the registry file has a password for it.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn look_up(&self, holder: Holder, name: &str) -> Result<(AccessRow, bool), OfficeError> {
        let known = Known {
            rows: self.state.access_rows()?,
            added: self.state.added_devices()?,
        };
        let found = self.find(&known, holder, name)?;
        Ok((found.row, found.initial.is_some()))
    }

    /// What is decided about a device or account that there is.
    fn find(&self, known: &Known, holder: Holder, name: &str) -> Result<Found, OfficeError> {
        let row = known.rows.iter().find(|row| row.name.as_str() == name).cloned();
        let unknown = |what, hint| OfficeError::Unknown {
            what,
            name: name.chars().take(80).collect(),
            hint,
        };
        match holder {
            Holder::Account => row
                .filter(|row| row.holder == Holder::Account)
                .map(|row| Found {
                    row,
                    initial: None,
                    next_start: false,
                })
                .ok_or_else(|| unknown("account", "; townwatch account list shows them")),
            Holder::Device => {
                let id = DeviceId::new(name).map_err(|error| OfficeError::Refused(error.to_string()))?;
                let declared = self.declared.devices.get(name);
                let added = declared.is_none() && known.added.iter().any(|device| device.id == id);
                if declared.is_none() && !added {
                    return Err(unknown("device", "; townwatch device list shows them"));
                }
                Ok(Found {
                    next_start: !self.served.contains(&id),
                    row: row
                        .filter(|row| row.holder == Holder::Device)
                        .unwrap_or_else(|| pristine(id)),
                    initial: declared.cloned().flatten(),
                })
            }
        }
    }

    /// Whether a name is free for a new device or account.
    fn is_free(&self, change: &AccessChange<'_>, name: &DeviceId) -> Result<(), OfficeError> {
        let taken = |by| {
            Err(OfficeError::Taken {
                name: name.clone(),
                by,
            })
        };
        if name.as_str() == SELF {
            return taken("the server's own device");
        }
        if self.declared.devices.contains_key(name) {
            return taken("a device in the registry file");
        }
        if change.added_devices()?.iter().any(|device| device.id == *name) {
            return taken("a device");
        }
        let rows = change.rows()?;
        if rows
            .iter()
            .any(|row| row.name == *name && row.holder == Holder::Account)
        {
            return taken("an account");
        }
        Ok(())
    }
}

/// What stands in the state database.
struct Known {
    rows: Vec<AccessRow>,
    added: Vec<Device>,
}

impl Known {
    fn of(change: &AccessChange<'_>) -> Result<Self, StateError> {
        Ok(Self {
            rows: change.rows()?,
            added: change.added_devices()?,
        })
    }
}

/// One name as it was found.
struct Found {
    row: AccessRow,
    /// The hash of the registry file.
    initial: Option<Box<str>>,
    next_start: bool,
}

/// A device about which nothing was decided yet.
fn pristine(id: DeviceId) -> AccessRow {
    AccessRow {
        name: id,
        holder: Holder::Device,
        password: Password::Registry,
        old: None,
        enabled: true,
        revision: 0,
        changed_at: Timestamp::EPOCH,
        changed_by: "".into(),
        rotated_at: None,
        publish: Vec::new(),
        subscribe: Vec::new(),
    }
}

fn make(chosen: Option<&str>) -> Result<Made, SecretError> {
    chosen.map_or_else(secret::generate, secret::chosen)
}

/// The row after `action`. Pure.
fn decide(
    mut row: AccessRow,
    action: &Action,
    made: Option<&Made>,
    initial: Option<&str>,
    now: Timestamp,
    by: &str,
) -> Result<AccessRow, OfficeError> {
    row.revision += 1;
    row.changed_at = now;
    row.changed_by = by.into();
    match (action, made) {
        (Action::Disable, _) => row.enabled = false,
        (Action::Enable, _) if row.password == Password::None => {
            return Err(OfficeError::Conflict(format!(
                "{} was revoked and has no password: rotate gives it a new one and lets it in",
                row.name
            )));
        }
        (Action::Enable, _) => row.enabled = true,
        (Action::Revoke, _) | (Action::Rotate { .. }, None) => {
            row.password = Password::None;
            row.old = None;
            row.enabled = false;
        }
        (Action::Rotate { grace, .. }, Some(made)) => {
            let current = match &row.password {
                Password::Own(hash) => Some(hash.clone()),
                Password::Registry => initial.map(Into::into),
                Password::None => {
                    row.enabled = true;
                    None
                }
            };
            row.old = current.filter(|_| *grace > Span::ZERO).map(|hash| OldPassword {
                hash,
                until: now.plus(*grace),
            });
            row.password = Password::Own(made.hash.clone());
            row.rotated_at = Some(now);
        }
    }
    Ok(row)
}

/// What the audit log says of an action.
fn words(action: &Action) -> (&'static str, String) {
    match action {
        Action::Disable => ("disabled", String::new()),
        Action::Enable => ("enabled", String::new()),
        Action::Revoke => ("revoked", String::new()),
        Action::Rotate { grace, .. } if *grace > Span::ZERO => {
            ("rotated", format!("the old password counts for {grace} more"))
        }
        Action::Rotate { .. } => ("rotated", String::new()),
    }
}

#[cfg(test)]
mod tests;
