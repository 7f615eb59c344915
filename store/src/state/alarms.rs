//! Alarms: the state of every rule, the log of what happened, what has to be told to whom, and how far the engine has
//! come. All of one step of the engine is written in one transaction, so a restart forgets nothing and repeats nothing.

mod by_time;
mod outbox;
mod prune;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use telemetry::{Lsn, Timestamp};

use super::{State, StateError};

pub use by_time::LogPage;
pub use outbox::{Fate, Notice, NoticeQueue};
use outbox::{write_fates, write_notices};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS alarm_state (
    rule TEXT PRIMARY KEY,
    body TEXT NOT NULL             -- JSON, the form of alarms::engine; a rule without a row is pristine
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alarm_memory (
    device TEXT PRIMARY KEY,
    body   BLOB NOT NULL           -- packed, the form of alarms::engine
);
CREATE TABLE IF NOT EXISTS alarm_log (
    seq        INTEGER PRIMARY KEY, -- grows; append-only
    at         INTEGER NOT NULL,    -- ms
    event      TEXT NOT NULL,
    rule       TEXT NOT NULL,
    occurrence INTEGER NOT NULL,
    by         TEXT,
    remark     TEXT,
    body       TEXT NOT NULL        -- JSON
);
CREATE TABLE IF NOT EXISTS alarm_occurrence (
    rule       TEXT NOT NULL,
    occurrence INTEGER NOT NULL,
    seq        INTEGER NOT NULL,    -- of the transition that raised it
    changed_at INTEGER NOT NULL,    -- ms
    open       INTEGER NOT NULL,
    site       TEXT NOT NULL,
    device     TEXT NOT NULL,
    body       TEXT NOT NULL,       -- JSON, what the API shows
    PRIMARY KEY (rule, occurrence)
);
CREATE INDEX IF NOT EXISTS alarm_occurrence_by_seq ON alarm_occurrence (seq);
-- That somebody was told of a transition is no transition: no question about a time asks for it.
CREATE INDEX IF NOT EXISTS alarm_log_by_time ON alarm_log (at) WHERE event <> 'notified';
CREATE INDEX IF NOT EXISTS alarm_occurrence_by_change ON alarm_occurrence (changed_at, seq);
CREATE TABLE IF NOT EXISTS alarm_down (
    since INTEGER PRIMARY KEY,     -- ms; the engine did not run from then …
    until INTEGER NOT NULL         -- ms; … until then
);
CREATE TABLE IF NOT EXISTS outbox (
    key          TEXT PRIMARY KEY,  -- one per occurrence, transition, channel and recipient
    seq          INTEGER NOT NULL,
    channel      TEXT NOT NULL,     -- empty: no channel is configured
    life_safety  INTEGER NOT NULL,
    payload      TEXT NOT NULL,
    fate         TEXT NOT NULL,     -- waiting, delivered, no_channel, gave_up
    attempts     INTEGER NOT NULL,
    made_at      INTEGER NOT NULL,  -- ms
    next_at      INTEGER NOT NULL,  -- ms
    delivered_at INTEGER            -- ms
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (life_safety DESC, next_at) WHERE fate = 'waiting';
CREATE INDEX IF NOT EXISTS outbox_done ON outbox (made_at) WHERE fate <> 'waiting';
CREATE INDEX IF NOT EXISTS outbox_waiting_for ON outbox (channel, life_safety DESC, next_at) WHERE fate = 'waiting';
CREATE TABLE IF NOT EXISTS alarm_cursor (
    id  INTEGER PRIMARY KEY CHECK (id = 0),
    lsn INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    now INTEGER NOT NULL            -- ms
);
CREATE TABLE IF NOT EXISTS alarm_start (
    at    INTEGER PRIMARY KEY,      -- ms, on the engine's time: from then on it judged
    lived INTEGER                   -- ms: how far it had come before it ended; none at the first start
);
";

/// How far the engine has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlarmCursor {
    /// The last message of the journal that it has judged.
    pub lsn: Lsn,
    /// Number of its last transition.
    pub seq: u64,
    /// Its time.
    pub now: Timestamp,
}

/// That the engine began to judge, on its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlarmStart {
    /// From when on.
    pub at: Timestamp,
    /// How far it had certainly come before it ended: everything that fell due until then is in the log. None at the first start.
    pub lived: Option<Timestamp>,
}

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Its number.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What, e.g. `raised`.
    pub event: Box<str>,
    /// Which rule.
    pub rule: Box<str>,
    /// Which occurrence.
    pub occurrence: u32,
    /// Who, for what a person did.
    pub by: Option<Box<str>>,
    /// What they said.
    pub remark: Option<Box<str>>,
    /// The rest, as JSON.
    pub body: String,
}

/// One occurrence as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OccurrenceRow {
    /// Which rule.
    pub rule: Box<str>,
    /// Its number.
    pub occurrence: u32,
    /// Number of the transition that raised it.
    pub seq: u64,
    /// When it changed last.
    pub changed_at: Timestamp,
    /// Whether somebody has still to do with it.
    pub open: bool,
    /// Where.
    pub site: Box<str>,
    /// Which device.
    pub device: Box<str>,
    /// JSON.
    pub body: String,
}

/// All of one step of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmCommit {
    /// How far it has come.
    pub cursor: AlarmCursor,
    /// Rules whose state changed, with their state as JSON; without one they are pristine again.
    pub rules: Vec<(Box<str>, Option<String>)>,
    /// Devices whose memory changed.
    pub devices: Vec<(Box<str>, Vec<u8>)>,
    /// What happened.
    pub log: Vec<LogRow>,
    /// The occurrences it happened to.
    pub occurrences: Vec<OccurrenceRow>,
    /// What has to be told. A key that is there already stays as it is.
    pub notices: Vec<Notice>,
    /// How attempts to send ended; of notices that are there or among `notices`.
    pub fates: Vec<Notice>,
}

impl State {
    /// Writes one step of the engine in one transaction.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails; nothing of it is then written.
    pub fn commit_alarms(&self, commit: &AlarmCommit) -> Result<(), StateError> {
        self.write("writing alarms", |tx| {
            write_states(tx, commit)?;
            write_log(tx, &commit.log)?;
            write_occurrences(tx, &commit.occurrences)?;
            write_notices(tx, &commit.notices)?;
            write_fates(tx, &commit.fates)?;
            let AlarmCursor { lsn, seq, now } = commit.cursor;
            tx.execute(
                "INSERT INTO alarm_cursor (id, lsn, seq, now) VALUES (0, ?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET lsn = excluded.lsn, seq = excluded.seq, now = excluded.now",
                params![signed(lsn.0), signed(seq), now.millis()],
            )
            .map(|_| ())
        })
    }

    /// How far the engine had come; none when it never ran.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_cursor(&self) -> Result<Option<AlarmCursor>, StateError> {
        self.read("reading the alarm cursor", |connection| {
            connection
                .query_row("SELECT lsn, seq, now FROM alarm_cursor", [], |row| {
                    Ok(AlarmCursor {
                        lsn: Lsn(unsigned(row.get(0)?)),
                        seq: unsigned(row.get(1)?),
                        now: Timestamp::from_millis(row.get(2)?),
                    })
                })
                .optional()
        })
    }

    /// Every rule that is not pristine, with its state.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_states(&self) -> Result<Vec<(String, String)>, StateError> {
        self.read("reading the alarm states", |connection| {
            all(
                connection,
                "SELECT rule, body FROM alarm_state ORDER BY rule",
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
    }

    /// The memory of every device.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_memories(&self) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        self.read("reading the alarm memory", |connection| {
            all(connection, "SELECT device, body FROM alarm_memory", |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })
    }

    /// Notes that the engine began to judge: a replay of what it judged needs to know.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn note_alarm_start(&self, start: AlarmStart) -> Result<(), StateError> {
        let AlarmStart { at, lived } = start;
        self.write("noting the start of the alarms", |tx| {
            tx.execute(
                "INSERT OR IGNORE INTO alarm_start (at, lived) VALUES (?1, ?2)",
                params![at.millis(), lived.map(Timestamp::millis)],
            )
            .map(|_| ())
        })
    }

    /// When the engine began to judge, in order: once for each start of a server that is not forgotten, none of them of a
    /// version that did not note it.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_starts(&self) -> Result<Vec<AlarmStart>, StateError> {
        self.read("reading the starts of the alarms", |connection| {
            let has = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'alarm_start'";
            if connection.query_row(has, [], |row| row.get::<_, i64>(0))? == 0 {
                return Ok(Vec::new());
            }
            all(
                connection,
                "SELECT at, lived FROM alarm_start ORDER BY at",
                |row| {
                    Ok(AlarmStart {
                        at: Timestamp::from_millis(row.get(0)?),
                        lived: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis),
                    })
                },
            )
        })
    }

    /// The log, newest first: at most `limit` rows with a number below `before`.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_log(&self, before: u64, limit: usize) -> Result<Vec<LogRow>, StateError> {
        self.read("reading the alarm log", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, at, event, rule, occurrence, by, remark, body FROM alarm_log
                 WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![signed(before), size(limit)], log_row)?;
            rows.collect()
        })
    }

    /// Hands what the log has of one `event` in `from..to` to `each`, in the order of its numbers.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_events(
        &self,
        event: &str,
        (from, to): (Timestamp, Timestamp),
        each: &mut dyn FnMut(LogRow),
    ) -> Result<(), StateError> {
        self.read("reading the alarm log", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, at, event, rule, occurrence, by, remark, body FROM alarm_log
                 WHERE event = ?1 AND at >= ?2 AND at < ?3 ORDER BY seq",
            )?;
            let mut rows = statement.query(params![event, from.millis(), to.millis()])?;
            while let Some(row) = rows.next()? {
                each(log_row(row)?);
            }
            Ok(())
        })
    }

    /// Occurrences, newest first: at most `limit` bodies of those raised by a transition below `before`, of all sites and devices
    /// or of one.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_occurrences(
        &self,
        before: u64,
        limit: usize,
        site: Option<&str>,
        device: Option<&str>,
    ) -> Result<Vec<String>, StateError> {
        self.read("reading the alarms", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT body FROM alarm_occurrence
                 WHERE seq < ?1 AND (?2 IS NULL OR site = ?2) AND (?3 IS NULL OR device = ?3)
                 ORDER BY seq DESC LIMIT ?4",
            )?;
            let rows = statement.query_map(params![signed(before), site, device, size(limit)], |row| {
                row.get(0)
            })?;
            rows.collect()
        })
    }

    /// The body of one occurrence.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_occurrence(&self, rule: &str, occurrence: u32) -> Result<Option<String>, StateError> {
        self.read("reading an alarm", |connection| {
            connection
                .prepare_cached("SELECT body FROM alarm_occurrence WHERE rule = ?1 AND occurrence = ?2")?
                .query_row(params![rule, occurrence], |row| row.get(0))
                .optional()
        })
    }
}

pub(super) fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    Ok(LogRow {
        seq: unsigned(row.get(0)?),
        at: Timestamp::from_millis(row.get(1)?),
        event: row.get(2)?,
        rule: row.get(3)?,
        occurrence: row.get(4)?,
        by: row.get(5)?,
        remark: row.get(6)?,
        body: row.get(7)?,
    })
}

fn write_states(tx: &Transaction<'_>, commit: &AlarmCommit) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached("INSERT OR REPLACE INTO alarm_state (rule, body) VALUES (?1, ?2)")?;
    let mut remove = tx.prepare_cached("DELETE FROM alarm_state WHERE rule = ?1")?;
    for (rule, body) in &commit.rules {
        match body {
            Some(body) => put.execute(params![rule, body])?,
            None => remove.execute([rule])?,
        };
    }
    let mut put = tx.prepare_cached("INSERT OR REPLACE INTO alarm_memory (device, body) VALUES (?1, ?2)")?;
    for (device, body) in &commit.devices {
        put.execute(params![device, body])?;
    }
    Ok(())
}

fn write_log(tx: &Transaction<'_>, log: &[LogRow]) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO alarm_log (seq, at, event, rule, occurrence, by, remark, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for row in log {
        put.execute(params![
            signed(row.seq),
            row.at.millis(),
            row.event,
            row.rule,
            row.occurrence,
            row.by,
            row.remark,
            row.body
        ])?;
    }
    Ok(())
}

fn write_occurrences(tx: &Transaction<'_>, occurrences: &[OccurrenceRow]) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO alarm_occurrence (rule, occurrence, seq, changed_at, open, site, device, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (rule, occurrence) DO UPDATE SET
             changed_at = excluded.changed_at, open = excluded.open, body = excluded.body",
    )?;
    for row in occurrences {
        put.execute(params![
            row.rule,
            row.occurrence,
            signed(row.seq),
            row.changed_at.millis(),
            row.open,
            row.site,
            row.device,
            row.body
        ])?;
    }
    Ok(())
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], row)?;
    rows.collect()
}

/// SQLite's integers are signed; numbers beyond (292 million years of a million a second) stay at the end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn size(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
