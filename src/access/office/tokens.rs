//! Provisioning tokens: a device brings one along and is given its password.

use serde::Serialize;
use store::state::access::{AuditEntry, Holder, Password, TokenRow};
use telemetry::time::Span;
use telemetry::{DeviceId, SiteId, Timestamp};

use super::devices::{NewDevice, NewPassword, put};
use super::{ADDED_MAX, Issued, Known, Office, OfficeError, TOKENS_MAX, make};
use crate::access::secret;

/// Longest life of a token. Longer: refused.
const LIFE_MAX: Span = Span::from_secs(90 * 86_400);
/// Most devices that one token registers. More: refused.
const USES_MAX: u32 = 10_000;

/// A token to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewToken {
    pub site: SiteId,
    pub profile: Box<str>,
    pub gateway: Option<DeviceId>,
    pub uses: u32,
    pub expires: Span,
}

/// A token as `token list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Token {
    pub id: Box<str>,
    pub site: SiteId,
    pub profile: Box<str>,
    pub gateway: Option<DeviceId>,
    pub uses_left: u32,
    pub expires_at: String,
    pub made_by: Box<str>,
}

impl From<&TokenRow> for Token {
    fn from(row: &TokenRow) -> Self {
        Self {
            id: row.id.clone(),
            site: row.site.clone(),
            profile: row.profile.clone(),
            gateway: row.gateway.clone(),
            uses_left: row.uses_left,
            expires_at: row.expires_at.to_rfc3339(),
            made_by: row.made_by.clone(),
        }
    }
}

impl Office {
    /// Makes a token; the second part of the answer is the token itself, told once.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn add_token(&self, new: &NewToken, by: &str) -> Result<(Token, String), OfficeError> {
        if new.uses == 0 || new.uses > USES_MAX {
            return Err(OfficeError::Refused(format!(
                "{} uses: 1 to {USES_MAX}",
                new.uses
            )));
        }
        if new.expires == Span::ZERO || new.expires > LIFE_MAX {
            let text = format!("a life of {}: more than 0s, at most {LIFE_MAX}", new.expires);
            return Err(OfficeError::Refused(text));
        }
        self.check_place(&new.site, &new.profile)?;
        let now = self.clock.now();
        let token = format!("twp_{}", secret::random()?);
        let id: String = secret::random()?.chars().take(8).collect();
        let row = TokenRow {
            id: id.into(),
            sha256: secret::digest(&token),
            site: new.site.clone(),
            profile: new.profile.clone(),
            gateway: new.gateway.clone(),
            uses_left: new.uses,
            expires_at: now.plus(new.expires),
            made_at: now,
            made_by: by.into(),
        };
        let left = self.state.provisioning_tokens()?;
        self.state.change_access(|change| {
            for old in left.iter().filter(|old| old.expires_at <= now) {
                change.forget_token(&old.id)?;
            }
            if left.iter().filter(|old| old.expires_at > now).count() >= TOKENS_MAX {
                return Err(OfficeError::Refused(format!("more than {TOKENS_MAX} tokens")));
            }
            if let Some(gateway) = &new.gateway {
                self.find(&Known::of(change)?, Holder::Device, gateway.as_str())?;
            }
            change.put_token(&row)?;
            change.audit(AuditEntry {
                at: now,
                by,
                what: "token made",
                subject: &row.id,
                detail: &format!(
                    "site {}, profile {}, uses {}, until {}",
                    new.site,
                    new.profile,
                    new.uses,
                    row.expires_at.to_rfc3339()
                ),
            })?;
            Ok(())
        })?;
        Ok((Token::from(&row), token))
    }

    /// The tokens that are left, also those that are too old.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn tokens(&self) -> Result<Vec<Token>, OfficeError> {
        Ok(self
            .state
            .provisioning_tokens()?
            .iter()
            .map(Token::from)
            .collect())
    }

    /// Takes a token back.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn remove_token(&self, id: &str, by: &str) -> Result<(), OfficeError> {
        let at = self.clock.now();
        self.state.change_access(|change| {
            if !change.forget_token(id)? {
                return Err(OfficeError::Unknown {
                    what: "token",
                    name: id.chars().take(80).collect(),
                    hint: "; townwatch device token list shows them",
                });
            }
            change.audit(AuditEntry {
                at,
                by,
                what: "token removed",
                subject: id,
                detail: "",
            })?;
            Ok(())
        })
    }

    /// Gives the device that brings `token` its password: a device of the registry that has none yet and stands where
    /// the token says, or a new one. The token is used up by one only when that succeeds.
    ///
    /// # Errors
    /// [`OfficeError::Token`] for a token that does not count; others when the device cannot have one.
    pub(crate) fn provision(&self, token: &str, device: &str) -> Result<Issued, OfficeError> {
        let id = DeviceId::new(device).map_err(|error| OfficeError::Refused(error.to_string()))?;
        let sha256 = secret::digest(token);
        let now = self.clock.now();
        let counts = |row: &TokenRow| row.sha256 == sha256 && row.uses_left > 0 && row.expires_at > now;
        // Whoever guesses does not come as far as the writer.
        if !self.state.provisioning_tokens()?.iter().any(counts) {
            return Err(OfficeError::Token);
        }
        let made = make(None)?;
        self.state.change_access(|change| {
            let found = change.token(&sha256)?.filter(counts);
            let mut row = found.ok_or(OfficeError::Token)?;
            let by = format!("token {}", row.id);
            let issued = if self.declared.devices.contains_key(&id) {
                self.first_password(change, &row, &id, made, now, &by)?
            } else {
                self.is_free(change, &id)?;
                if change.added_devices()?.len() >= ADDED_MAX {
                    return Err(OfficeError::Refused(format!(
                        "more than {ADDED_MAX} added devices"
                    )));
                }
                let new = NewDevice {
                    id: id.clone(),
                    site: row.site.clone(),
                    profile: row.profile.clone(),
                    gateway: row.gateway.clone(),
                    name: None,
                    position: None,
                    password: NewPassword::Made,
                };
                put(change, &new, made, now, &by)?
            };
            row.uses_left -= 1;
            if row.uses_left == 0 {
                change.forget_token(&row.id)?;
            } else {
                change.put_token(&row)?;
            }
            Ok(issued)
        })
    }

    /// The first password of a device of the registry file.
    fn first_password(
        &self,
        change: &store::state::access::AccessChange<'_>,
        token: &TokenRow,
        id: &DeviceId,
        made: secret::Made,
        now: Timestamp,
        by: &str,
    ) -> Result<Issued, OfficeError> {
        let device = (self.declared.registry.devices.iter()).find(|device| device.id == *id);
        if !device.is_some_and(|device| device.site == token.site && device.profile == token.profile) {
            let text = format!("the token is not for {id}: that device is of another site or profile");
            return Err(OfficeError::Conflict(text));
        }
        let found = self.find(&Known::of(change)?, Holder::Device, id.as_str())?;
        if found.initial.is_some() || found.row.password != Password::Registry || !found.row.enabled {
            let text = format!("{id} has been given a password before: rotate it instead");
            return Err(OfficeError::Conflict(text));
        }
        let row = store::state::access::AccessRow {
            password: Password::Own(made.hash),
            revision: found.row.revision + 1,
            changed_at: now,
            changed_by: by.into(),
            rotated_at: Some(now),
            ..found.row
        };
        change.put(&row)?;
        change.audit(AuditEntry {
            at: now,
            by,
            what: "device provisioned",
            subject: id.as_str(),
            detail: "",
        })?;
        Ok(Issued {
            row,
            secret: made.told,
            next_start: found.next_start,
        })
    }

    pub(super) fn check_place(&self, site: &SiteId, profile: &str) -> Result<(), OfficeError> {
        let unknown = |what, name: &str, hint| OfficeError::Unknown {
            what,
            name: name.to_owned(),
            hint,
        };
        if !self.declared.sites.contains(site) {
            return Err(unknown(
                "site",
                site.as_str(),
                "; sites stand in the registry file",
            ));
        }
        if !self.declared.profiles.contains(profile) {
            return Err(unknown("profile", profile, "; townwatch check knows the kinds"));
        }
        Ok(())
    }
}
