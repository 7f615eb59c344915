//! What is asked of the cases.

use rusqlite::{Connection, OptionalExtension, params};
use telemetry::Timestamp;

use super::super::alarms::{LogRow, log_row};
use super::{CaseEventRow, signed, size, unsigned};
use crate::state::{State, StateError};

/// Which cases are asked for, the newest first. Every field that is none leaves all in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseQuery {
    /// Only those that somebody has still to do with, or only those that are over.
    pub open: Option<bool>,
    /// Only of this site.
    pub site: Option<Box<str>>,
    /// Only of this organisation.
    pub organisation: Option<Box<str>>,
    /// Only in this state.
    pub state: Option<Box<str>>,
    /// Only those that are overdue at this instant, or only those that are not.
    pub overdue: Option<(bool, Timestamp)>,
    /// Only those with a number below: the next page.
    pub before: Option<u64>,
    /// Most bodies in the answer.
    pub limit: usize,
}

impl State {
    /// How far the log of the alarms was followed.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn case_cursor(&self) -> Result<u64, StateError> {
        self.read("reading the cursor of the cases", |connection| {
            connection.query_row("SELECT seq FROM case_cursor", [], |row| Ok(unsigned(row.get(0)?)))
        })
    }

    /// The log of the alarms after row `after`, in order, at most `limit` rows.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_log_after(&self, after: u64, limit: usize) -> Result<Vec<LogRow>, StateError> {
        self.read("following the alarm log", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, at, event, rule, occurrence, by, remark, body FROM alarm_log
                 WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            )?;
            let rows = statement.query_map(params![signed(after), size(limit)], log_row)?;
            rows.collect()
        })
    }

    /// The greatest number of a case; 0 when there is none.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn newest_case(&self) -> Result<u64, StateError> {
        self.read("reading the newest case", |connection| {
            connection.query_row("SELECT COALESCE(MAX(id), 0) FROM case_record", [], |row| {
                Ok(unsigned(row.get(0)?))
            })
        })
    }

    /// The body of a case.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn case_body(&self, id: u64) -> Result<Option<String>, StateError> {
        self.read("reading a case", |connection| {
            connection
                .prepare_cached("SELECT body FROM case_record WHERE id = ?1")?
                .query_row([signed(id)], |row| row.get(0))
                .optional()
        })
    }

    /// The body of the open case that takes in the alarms of a rule of a device.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn open_case_of(&self, rule: &str) -> Result<Option<String>, StateError> {
        self.read("reading the case of an alarm", |connection| {
            connection
                .prepare_cached(
                    "SELECT body FROM case_record WHERE id = (SELECT case_id FROM case_alarm WHERE rule = ?1)",
                )?
                .query_row([rule], |row| row.get(0))
                .optional()
        })
    }

    /// The bodies of cases, the newest first.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn case_bodies(&self, query: &CaseQuery) -> Result<Vec<String>, StateError> {
        self.read("reading the cases", |connection| {
            let (wanted, at) = query.overdue.unzip();
            let at = at.unwrap_or(Timestamp::MIN).millis();
            bodies(
                connection,
                "SELECT body FROM case_record
                 WHERE id < ?1 AND (?2 IS NULL OR open = ?2) AND (?3 IS NULL OR site = ?3)
                   AND (?4 IS NULL OR organisation = ?4) AND (?5 IS NULL OR state = ?5)
                   AND (?6 IS NULL OR ?6 = (open = 1 AND overdue_from IS NOT NULL AND overdue_from < ?7))
                 ORDER BY id DESC LIMIT ?8",
                params![
                    signed(query.before.unwrap_or(u64::MAX)),
                    query.open,
                    query.site,
                    query.organisation,
                    query.state,
                    wanted,
                    at,
                    size(query.limit),
                ],
            )
        })
    }

    /// The bodies of the cases that were filed before `to` and not over before `from`, in order of their numbers.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn cases_of_period(
        &self,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<String>, StateError> {
        self.read("reading the cases of a period", |connection| {
            bodies(
                connection,
                "SELECT body FROM case_record
                 WHERE filed_at < ?2 AND (finished_at IS NULL OR finished_at >= ?1) ORDER BY id LIMIT ?3",
                params![from.millis(), to.millis(), size(limit)],
            )
        })
    }

    /// The events of a case, in order, at most `limit`.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn case_events(&self, id: u64, limit: usize) -> Result<Vec<CaseEventRow>, StateError> {
        self.read("reading the events of a case", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, case_id, at, event, state, by, remark, body FROM case_event
                 WHERE case_id = ?1 ORDER BY seq LIMIT ?2",
            )?;
            let rows = statement.query_map(params![signed(id), size(limit)], |row| {
                Ok(CaseEventRow {
                    seq: unsigned(row.get(0)?),
                    case: unsigned(row.get(1)?),
                    at: Timestamp::from_millis(row.get(2)?),
                    event: row.get(3)?,
                    state: row.get(4)?,
                    by: row.get(5)?,
                    remark: row.get(6)?,
                    body: row.get(7)?,
                })
            })?;
            rows.collect()
        })
    }

    /// How many cases are open, and how many of them are overdue at `at`.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn case_counts(&self, at: Timestamp) -> Result<(u64, u64), StateError> {
        self.read("counting the cases", |connection| {
            connection.query_row(
                "SELECT COUNT(*), COUNT(CASE WHEN overdue_from < ?1 THEN 1 END) FROM case_record WHERE open = 1",
                [at.millis()],
                |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))),
            )
        })
    }
}

fn bodies(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| row.get(0))?;
    rows.collect()
}
