//! One change of who may come in: everything that it reads and writes is one transaction.

use std::sync::PoisonError;

use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use telemetry::registry::Device;

use super::{
    AccessRow, AuditEntry, Password, RawRow, RawToken, TokenRow, device, read_added, read_rows, write_audit,
};
use crate::state::ledger::to_sql;
use crate::state::{State, StateError, is_full};

/// What a change reads and writes with; given by [`State::change_access`].
#[derive(Debug)]
pub struct AccessChange<'a> {
    state: &'a State,
    tx: &'a Transaction<'a>,
}

impl State {
    /// Runs `change` in one transaction: all of it is on disk after `Ok`, none of it after `Err`. No other process
    /// writes between what it reads and what it writes.
    ///
    /// # Errors
    /// What `change` answers, and [`StateError::Engine`] when the disk fails.
    pub fn change_access<T, E: From<StateError>>(
        &self,
        change: impl FnOnce(&AccessChange<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        const DOING: &str = "changing the credentials";
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_when_stopped()?;
        let failed = |source| {
            self.note(DOING, &source);
            self.failed(DOING, source)
        };
        let tx = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let answer = change(&AccessChange { state: self, tx: &tx })?;
        tx.execute("UPDATE access_revision SET number = number + 1", [])
            .map_err(failed)?;
        tx.commit().map_err(failed)?;
        Ok(answer)
    }

    /// On a full disk the reserve is given up, so that the change can be asked for again; after any other I/O error
    /// nothing is written any more.
    fn note(&self, doing: &'static str, error: &rusqlite::Error) {
        if is_full(error) {
            if let Some(reserve) = self.reserve.get() {
                reserve.release();
            }
        } else {
            self.stop_after(doing, error);
        }
    }
}

impl AccessChange<'_> {
    /// What was decided about every name.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails or a row is damaged.
    pub fn rows(&self) -> Result<Vec<AccessRow>, StateError> {
        let rows = self.run("reading the credentials", |tx| read_rows(tx))?;
        rows.into_iter().map(RawRow::check).collect()
    }

    /// Writes a row, in place of the one of that name.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn put(&self, row: &AccessRow) -> Result<(), StateError> {
        let list = |filters: &[Box<str>]| {
            serde_json::to_string(filters)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
        };
        let hash = match &row.password {
            Password::Own(hash) => Some(hash),
            Password::Registry | Password::None => None,
        };
        self.run("writing a credential", |tx| {
            tx.prepare_cached(
                "INSERT OR REPLACE INTO access (name, kind, password, hash, old_hash, old_until, enabled, revision, \
                 changed_at, changed_by, rotated_at, publish, subscribe)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                row.name.as_str(),
                row.holder.name(),
                row.password.name(),
                hash,
                row.old.as_ref().map(|old| &old.hash),
                row.old.as_ref().map(|old| old.until.millis()),
                row.enabled,
                to_sql(row.revision),
                row.changed_at.millis(),
                row.changed_by,
                row.rotated_at.map(telemetry::Timestamp::millis),
                list(&row.publish)?,
                list(&row.subscribe)?,
            ])
            .map(|_| ())
        })
    }

    /// Forgets what was decided about a name.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn forget(&self, name: &str) -> Result<(), StateError> {
        self.run("removing a credential", |tx| {
            tx.execute("DELETE FROM access WHERE name = ?1", [name])
                .map(|_| ())
        })
    }

    /// The devices that were added to those of the registry file.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails or a row is damaged.
    pub fn added_devices(&self) -> Result<Vec<Device>, StateError> {
        let bodies = self.run("reading the added devices", |tx| read_added(tx))?;
        bodies.iter().map(|body| device(body)).collect()
    }

    /// Adds a device to those of the registry file. Its password hash is left out: passwords stand in the credentials.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn add_device(&self, device: &Device) -> Result<(), StateError> {
        let bare = Device {
            password_hash: None,
            ..device.clone()
        };
        self.run("adding a device", |tx| {
            let body = serde_json::to_string(&bare)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            tx.prepare_cached("INSERT INTO added_device (id, body) VALUES (?1, ?2)")?
                .execute(params![device.id.as_str(), body])
                .map(|_| ())
        })
    }

    /// Removes a device that was added; says whether there was one.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn remove_device(&self, id: &str) -> Result<bool, StateError> {
        self.run("removing a device", |tx| {
            tx.execute("DELETE FROM added_device WHERE id = ?1", [id])
                .map(|count| count > 0)
        })
    }

    /// The token with this SHA-256.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails or the row is damaged.
    pub fn token(&self, sha256: &[u8; 32]) -> Result<Option<TokenRow>, StateError> {
        self.run("reading a provisioning token", |tx| {
            tx.query_row(
                "SELECT id, sha256, site, profile, gateway, uses_left, expires_at, made_at, made_by \
                 FROM provisioning_token WHERE sha256 = ?1",
                [sha256],
                RawToken::read,
            )
            .optional()
        })?
        .map(RawToken::check)
        .transpose()
    }

    /// Writes a token, in place of the one of that name.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn put_token(&self, token: &TokenRow) -> Result<(), StateError> {
        self.run("writing a provisioning token", |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO provisioning_token \
                 (id, sha256, site, profile, gateway, uses_left, expires_at, made_at, made_by) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    token.id,
                    token.sha256,
                    token.site.as_str(),
                    token.profile,
                    token.gateway.as_ref().map(telemetry::DeviceId::as_str),
                    token.uses_left,
                    token.expires_at.millis(),
                    token.made_at.millis(),
                    token.made_by,
                ],
            )
            .map(|_| ())
        })
    }

    /// Removes a token; says whether there was one.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn forget_token(&self, id: &str) -> Result<bool, StateError> {
        self.run("removing a provisioning token", |tx| {
            tx.execute("DELETE FROM provisioning_token WHERE id = ?1", [id])
                .map(|count| count > 0)
        })
    }

    /// Writes one line into the audit log.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn audit(&self, entry: AuditEntry<'_>) -> Result<(), StateError> {
        self.run("writing the audit log", |tx| write_audit(tx, entry))
    }

    fn run<T>(
        &self,
        doing: &'static str,
        run: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        run(self.tx).map_err(|source| {
            self.state.note(doing, &source);
            self.state.failed(doing, source)
        })
    }
}
