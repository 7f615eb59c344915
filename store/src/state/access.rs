//! Who may come in, as it was changed while the program was there: credentials, service accounts, devices that were added
//! to those of the registry file, provisioning tokens; and the audit log of whoever changed it.
//!
//! No row holds a secret: passwords are argon2id hashes, tokens SHA-256. Other processes write here too (the command
//! line beside a running server), so every change reads and writes in one transaction, and [`AccessWatch`] tells when
//! there was one.

mod change;

use std::collections::HashSet;

use rusqlite::{Connection, OpenFlags, Row, params};
use telemetry::registry::{Device, Registry};
use telemetry::{DeviceId, SiteId, Timestamp};

use super::{State, StateError};

pub use change::AccessChange;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS access (
    name       TEXT PRIMARY KEY,   -- device id or account
    kind       TEXT NOT NULL CHECK (kind IN ('device', 'account')),
    password   TEXT NOT NULL CHECK (password IN ('registry', 'own', 'none')),
    hash       TEXT,               -- argon2id, PHC; with password 'own'
    old_hash   TEXT,               -- counts beside it until old_until
    old_until  INTEGER,            -- ms
    enabled    INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,   -- ms
    changed_by TEXT NOT NULL,
    rotated_at INTEGER,            -- ms
    publish    TEXT NOT NULL,      -- JSON array of filters; accounts
    subscribe  TEXT NOT NULL       -- JSON array of filters; accounts
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS added_device (
    id   TEXT PRIMARY KEY,
    body TEXT NOT NULL             -- JSON, the form of telemetry::registry
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS provisioning_token (
    id         TEXT PRIMARY KEY,
    sha256     BLOB NOT NULL UNIQUE,
    site       TEXT NOT NULL,
    profile    TEXT NOT NULL,
    gateway    TEXT,
    uses_left  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,   -- ms
    made_at    INTEGER NOT NULL,   -- ms
    made_by    TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,      -- ms
    by      TEXT NOT NULL,
    what    TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS audit_is_not_rewritten BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_shortened BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TABLE IF NOT EXISTS access_revision (
    only   INTEGER PRIMARY KEY CHECK (only = 0),
    number INTEGER NOT NULL
);
INSERT OR IGNORE INTO access_revision (only, number) VALUES (0, 0);
";

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A device.
    Device,
    /// A service account.
    Account,
}

impl Holder {
    /// `device` or `account`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Account => "account",
        }
    }
}

/// Which password counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// The one of the registry file, if it has one.
    Registry,
    /// This hash (argon2id, PHC); the registry file's does not count.
    Own(Box<str>),
    /// None: it was revoked; the registry file's does not count.
    None,
}

impl Password {
    /// `registry`, `own` or `none`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Own(_) => "own",
            Self::None => "none",
        }
    }
}

/// A password that counts beside the newer one for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldPassword {
    /// argon2id, PHC.
    pub hash: Box<str>,
    /// Until when it counts.
    pub until: Timestamp,
}

/// What was decided about one name. A device without a row comes in with what the registry file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRow {
    /// Device id or account.
    pub name: DeviceId,
    /// Which of them.
    pub holder: Holder,
    /// Which password counts.
    pub password: Password,
    /// The one before, while it still counts.
    pub old: Option<OldPassword>,
    /// Whether it may come in.
    pub enabled: bool,
    /// Grows with each change, from 1.
    pub revision: u64,
    /// When it was changed last.
    pub changed_at: Timestamp,
    /// By whom.
    pub changed_by: Box<str>,
    /// When it was given its password; none when that is the registry file's.
    pub rotated_at: Option<Timestamp>,
    /// What an account may publish.
    pub publish: Vec<Box<str>>,
    /// What an account may hear.
    pub subscribe: Vec<Box<str>>,
}

/// A token with which devices register themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its public name.
    pub id: Box<str>,
    /// SHA-256 of the token itself.
    pub sha256: [u8; 32],
    /// Where the devices stand.
    pub site: SiteId,
    /// What they are.
    pub profile: Box<str>,
    /// Who speaks for them.
    pub gateway: Option<DeviceId>,
    /// How many devices may still use it.
    pub uses_left: u32,
    /// Until when.
    pub expires_at: Timestamp,
    /// When it was made.
    pub made_at: Timestamp,
    /// By whom.
    pub made_by: Box<str>,
}

/// Who did what to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number; grows.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Box<str>,
    /// What, in a few words, e.g. `device rotated`.
    pub what: Box<str>,
    /// Which device, account, token or register.
    pub subject: Box<str>,
    /// The rest in words; never a secret.
    pub detail: Box<str>,
}

/// One line for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct AuditEntry<'a> {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: &'a str,
    /// What, in a few words.
    pub what: &'a str,
    /// Which device, account, token or register.
    pub subject: &'a str,
    /// The rest in words; never a secret.
    pub detail: &'a str,
}

impl State {
    /// What was decided about names, in their order.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails or a row is damaged.
    pub fn access_rows(&self) -> Result<Vec<AccessRow>, StateError> {
        self.read("reading the credentials", read_rows)?
            .into_iter()
            .map(RawRow::check)
            .collect()
    }

    /// The devices that were added to those of the registry file, in order of their ids.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails or a row is damaged.
    pub fn added_devices(&self) -> Result<Vec<Device>, StateError> {
        let bodies = self.read("reading the added devices", read_added)?;
        bodies.iter().map(|body| device(body)).collect()
    }

    /// `registry` with the devices that were added here. What stands in both is the registry's: the second part of the
    /// answer names it.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails or a row is damaged.
    pub fn with_added(&self, mut registry: Registry) -> Result<(Registry, Vec<DeviceId>), StateError> {
        let declared: HashSet<DeviceId> = (registry.devices.iter())
            .map(|device| device.id.clone())
            .collect();
        let (in_both, added): (Vec<Device>, Vec<Device>) =
            (self.added_devices()?.into_iter()).partition(|device| declared.contains(&device.id));
        registry.devices.extend(added);
        Ok((registry, in_both.into_iter().map(|device| device.id).collect()))
    }

    /// The provisioning tokens that are left, in order of their names.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails or a row is damaged.
    pub fn provisioning_tokens(&self) -> Result<Vec<TokenRow>, StateError> {
        self.read("reading the provisioning tokens", |connection| {
            let mut statement = connection.prepare(TOKENS)?;
            let rows = statement.query_map([], RawToken::read)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?
        .into_iter()
        .map(RawToken::check)
        .collect()
    }

    /// Writes one line into the audit log. It is never rewritten and never shortened.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails: what was to be done must then not be done.
    pub fn audit(&self, entry: AuditEntry<'_>) -> Result<(), StateError> {
        self.write("writing the audit log", |tx| write_audit(tx, entry))
    }

    /// The audit log, newest first: at most `limit` rows with a number below `before`.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn audit_log(&self, before: u64, limit: usize) -> Result<Vec<AuditRow>, StateError> {
        self.read("reading the audit log", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, at, by, what, subject, detail FROM audit WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![super::ledger::to_sql(before), limit], |row| {
                Ok(AuditRow {
                    seq: super::ledger::from_sql(row, 0)?,
                    at: Timestamp::from_millis(row.get(1)?),
                    by: row.get(2)?,
                    what: row.get(3)?,
                    subject: row.get(4)?,
                    detail: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }

    /// A watch on a connection of its own, which waits for nobody.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the file cannot be opened once more.
    pub fn access_watch(&self) -> Result<AccessWatch, StateError> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&self.file, flags)?;
            connection.busy_timeout(std::time::Duration::from_secs(1))?;
            Ok(connection)
        };
        open()
            .map(|connection| AccessWatch {
                file: self.file.display().to_string(),
                connection,
            })
            .map_err(|source| self.failed("opening it to watch the credentials", source))
    }
}

/// Tells when what this module keeps was changed, by this process or another.
#[derive(Debug)]
pub struct AccessWatch {
    file: String,
    connection: Connection,
}

impl AccessWatch {
    /// A number that grows with each change; costs microseconds.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn revision(&self) -> Result<u64, StateError> {
        let read = || {
            self.connection
                .prepare_cached("SELECT number FROM access_revision")?
                .query_row([], |row| super::ledger::from_sql(row, 0))
        };
        read().map_err(|source| StateError::Engine {
            file: self.file.clone(),
            doing: "watching the credentials",
            source,
        })
    }
}

const ROWS: &str = "SELECT name, kind, password, hash, old_hash, old_until, enabled, revision, changed_at, \
                    changed_by, rotated_at, publish, subscribe FROM access ORDER BY name";
const TOKENS: &str = "SELECT id, sha256, site, profile, gateway, uses_left, expires_at, made_at, made_by \
                      FROM provisioning_token ORDER BY id";

fn damaged(table: &'static str, what: impl std::fmt::Display) -> StateError {
    StateError::Damaged {
        table,
        what: what.to_string(),
    }
}

fn device(body: &str) -> Result<Device, StateError> {
    serde_json::from_str(body).map_err(|error| damaged("added_device", error))
}

fn read_added(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT body FROM added_device ORDER BY id")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}

fn read_rows(connection: &Connection) -> rusqlite::Result<Vec<RawRow>> {
    let mut statement = connection.prepare(ROWS)?;
    let rows = statement.query_map([], RawRow::read)?;
    rows.collect()
}

fn write_audit(connection: &Connection, entry: AuditEntry<'_>) -> rusqlite::Result<()> {
    let AuditEntry {
        at,
        by,
        what,
        subject,
        detail,
    } = entry;
    connection
        .prepare_cached("INSERT INTO audit (at, by, what, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![at.millis(), by, what, subject, detail])
        .map(|_| ())
}

/// A row as it lies in the file.
struct RawRow {
    name: String,
    kind: String,
    password: String,
    hash: Option<Box<str>>,
    old: (Option<Box<str>>, Option<i64>),
    enabled: bool,
    revision: u64,
    changed_at: i64,
    changed_by: Box<str>,
    rotated_at: Option<i64>,
    publish: String,
    subscribe: String,
}

impl RawRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            kind: row.get(1)?,
            password: row.get(2)?,
            hash: row.get(3)?,
            old: (row.get(4)?, row.get(5)?),
            enabled: row.get(6)?,
            revision: super::ledger::from_sql(row, 7)?,
            changed_at: row.get(8)?,
            changed_by: row.get(9)?,
            rotated_at: row.get(10)?,
            publish: row.get(11)?,
            subscribe: row.get(12)?,
        })
    }

    fn check(self) -> Result<AccessRow, StateError> {
        let wrong = |what: String| damaged("access", format!("{}: {what}", self.name));
        let list = |text: &str| serde_json::from_str(text).map_err(|error| wrong(error.to_string()));
        Ok(AccessRow {
            name: DeviceId::new(&self.name).map_err(|error| wrong(error.to_string()))?,
            holder: match self.kind.as_str() {
                "device" => Holder::Device,
                "account" => Holder::Account,
                other => return Err(wrong(format!("a {other} is neither device nor account"))),
            },
            password: match (self.password.as_str(), self.hash.clone()) {
                ("registry", None) => Password::Registry,
                ("own", Some(hash)) => Password::Own(hash),
                ("none", None) => Password::None,
                (other, _) => return Err(wrong(format!("the password is {other}, which its hash denies"))),
            },
            old: match self.old.clone() {
                (Some(hash), Some(until)) => Some(OldPassword {
                    hash,
                    until: Timestamp::from_millis(until),
                }),
                (None, None) => None,
                _ => return Err(wrong("an old password without its end".to_owned())),
            },
            enabled: self.enabled,
            revision: self.revision,
            changed_at: Timestamp::from_millis(self.changed_at),
            rotated_at: self.rotated_at.map(Timestamp::from_millis),
            publish: list(&self.publish)?,
            subscribe: list(&self.subscribe)?,
            changed_by: self.changed_by,
        })
    }
}

/// A token as it lies in the file.
struct RawToken {
    id: Box<str>,
    sha256: [u8; 32],
    site: String,
    profile: Box<str>,
    gateway: Option<String>,
    uses_left: u32,
    times: [i64; 2],
    made_by: Box<str>,
}

impl RawToken {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            sha256: row.get(1)?,
            site: row.get(2)?,
            profile: row.get(3)?,
            gateway: row.get(4)?,
            uses_left: row.get(5)?,
            times: [row.get(6)?, row.get(7)?],
            made_by: row.get(8)?,
        })
    }

    fn check(self) -> Result<TokenRow, StateError> {
        let [expires_at, made_at] = self.times.map(Timestamp::from_millis);
        let wrong = |error: telemetry::IdError| damaged("provisioning_token", error);
        Ok(TokenRow {
            id: self.id,
            sha256: self.sha256,
            site: SiteId::new(&self.site).map_err(wrong)?,
            profile: self.profile,
            gateway: (self.gateway.as_deref().map(DeviceId::new))
                .transpose()
                .map_err(wrong)?,
            uses_left: self.uses_left,
            expires_at,
            made_at,
            made_by: self.made_by,
        })
    }
}

#[cfg(test)]
mod tests;
