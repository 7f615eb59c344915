//! Cases: their state, every event of their lives (append-only), which open case a rule of a device has, and how far the
//! log of the alarms was followed. What belongs to one step is written in one transaction with that cursor, so a crash
//! files no case twice and loses none.

mod read;

use rusqlite::{Transaction, params};
use telemetry::Timestamp;

use super::{State, StateError};

pub use read::CaseQuery;

/// The cursor of a database that knew no cases begins at the end of the log: what was raised before is filed by hand.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS case_record (
    id           INTEGER PRIMARY KEY, -- grows
    state        TEXT NOT NULL,
    open         INTEGER NOT NULL,
    site         TEXT NOT NULL,
    organisation TEXT NOT NULL,
    filed_at     INTEGER NOT NULL,    -- ms
    finished_at  INTEGER,             -- ms; closed, cancelled or merged
    overdue_from INTEGER,             -- ms; from when on it is overdue, as it stands now
    body         TEXT NOT NULL        -- JSON, the form of alarms::cases
);
CREATE INDEX IF NOT EXISTS case_record_open ON case_record (open, overdue_from);
CREATE INDEX IF NOT EXISTS case_record_by_end ON case_record (finished_at, filed_at);
CREATE TABLE IF NOT EXISTS case_event (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    case_id INTEGER NOT NULL REFERENCES case_record (id),
    at     INTEGER NOT NULL,          -- ms
    event  TEXT NOT NULL,
    state  TEXT NOT NULL,             -- of the case after it
    by     TEXT NOT NULL,
    remark TEXT NOT NULL,
    body   TEXT NOT NULL              -- JSON
);
CREATE INDEX IF NOT EXISTS case_event_by_case ON case_event (case_id, seq);
CREATE TRIGGER IF NOT EXISTS case_event_is_not_rewritten BEFORE UPDATE ON case_event
    BEGIN SELECT RAISE(ABORT, 'the events of a case are append-only'); END;
CREATE TRIGGER IF NOT EXISTS case_event_is_not_shortened BEFORE DELETE ON case_event
    BEGIN SELECT RAISE(ABORT, 'the events of a case are append-only'); END;
CREATE TABLE IF NOT EXISTS case_alarm (
    rule    TEXT PRIMARY KEY,         -- at most one open case for a rule of a device
    case_id INTEGER NOT NULL REFERENCES case_record (id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS case_alarm_by_case ON case_alarm (case_id);
CREATE TABLE IF NOT EXISTS case_cursor (
    id  INTEGER PRIMARY KEY CHECK (id = 0),
    seq INTEGER NOT NULL              -- of alarm_log
);
INSERT OR IGNORE INTO case_cursor (id, seq) SELECT 0, COALESCE(MAX(seq), 0) FROM alarm_log;
";

/// A case as it lies in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseRow {
    /// Its number.
    pub id: u64,
    /// Where it is in its life.
    pub state: Box<str>,
    /// Whether somebody has still to do with it.
    pub open: bool,
    /// Where.
    pub site: Box<str>,
    /// Whose work it is.
    pub organisation: Box<str>,
    /// When it was filed.
    pub filed_at: Timestamp,
    /// When it was closed, cancelled or merged.
    pub finished_at: Option<Timestamp>,
    /// From when on it is overdue, as it stands now; none while its clock is stopped or its deadline unknown.
    pub overdue_from: Option<Timestamp>,
    /// JSON.
    pub body: String,
    /// The rules of devices whose alarms an open case takes in; an empty list when it is over.
    pub rules: Vec<Box<str>>,
}

/// One event of the life of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseEventRow {
    /// Its number; 0 before it is written.
    pub seq: u64,
    /// Which case.
    pub case: u64,
    /// When.
    pub at: Timestamp,
    /// What, e.g. `dispatch`.
    pub event: Box<str>,
    /// Of the case after it.
    pub state: Box<str>,
    /// Who.
    pub by: Box<str>,
    /// What they said.
    pub remark: Box<str>,
    /// The rest, as JSON.
    pub body: String,
}

/// All of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseCommit {
    /// From where to where the log of the alarms was followed.
    pub cursor: Option<(u64, u64)>,
    /// Cases that are new or have changed.
    pub cases: Vec<CaseRow>,
    /// What happened to them, in order.
    pub events: Vec<CaseEventRow>,
}

impl State {
    /// Writes one step in one transaction.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails, when somebody else has followed the log meanwhile, or when a rule
    /// would have two open cases; nothing of it is then written.
    pub fn commit_cases(&self, commit: &CaseCommit) -> Result<(), StateError> {
        self.write("writing cases", |tx| {
            if let Some((from, to)) = commit.cursor {
                let moved = tx.execute(
                    "UPDATE case_cursor SET seq = ?2 WHERE seq = ?1",
                    params![signed(from), signed(to)],
                )?;
                if moved != 1 {
                    return Err(rusqlite::Error::StatementChangedRows(moved));
                }
            }
            write_cases(tx, &commit.cases)?;
            write_rules(tx, &commit.cases)?;
            write_events(tx, &commit.events)
        })
    }
}

fn write_cases(tx: &Transaction<'_>, cases: &[CaseRow]) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO case_record (id, state, open, site, organisation, filed_at, finished_at, overdue_from, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET
             state = excluded.state, open = excluded.open, organisation = excluded.organisation,
             finished_at = excluded.finished_at, overdue_from = excluded.overdue_from, body = excluded.body",
    )?;
    for case in cases {
        put.execute(params![
            signed(case.id),
            case.state,
            case.open,
            case.site,
            case.organisation,
            case.filed_at.millis(),
            case.finished_at.map(Timestamp::millis),
            case.overdue_from.map(Timestamp::millis),
            case.body,
        ])?;
    }
    Ok(())
}

/// First all of them let go, then each takes: a merged case hands its rules to the other one in the same step.
fn write_rules(tx: &Transaction<'_>, cases: &[CaseRow]) -> rusqlite::Result<()> {
    let mut remove = tx.prepare_cached("DELETE FROM case_alarm WHERE case_id = ?1")?;
    for case in cases {
        remove.execute([signed(case.id)])?;
    }
    let mut put = tx.prepare_cached("INSERT INTO case_alarm (rule, case_id) VALUES (?1, ?2)")?;
    for case in cases {
        for rule in &case.rules {
            put.execute(params![rule, signed(case.id)])?;
        }
    }
    Ok(())
}

fn write_events(tx: &Transaction<'_>, events: &[CaseEventRow]) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT INTO case_event (case_id, at, event, state, by, remark, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for event in events {
        put.execute(params![
            signed(event.case),
            event.at.millis(),
            event.event,
            event.state,
            event.by,
            event.remark,
            event.body,
        ])?;
    }
    Ok(())
}

/// SQLite's integers are signed; numbers beyond stay at the end.
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
