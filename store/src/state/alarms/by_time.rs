//! The log of the alarms by time, and when the engine did not run.

use rusqlite::{OptionalExtension, params};
use telemetry::Timestamp;

use super::{LogRow, log_row, signed, size, unsigned};
use crate::state::{State, StateError};

/// Which rows of the log are asked for. That somebody was told is never among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// First instant.
    pub from: Timestamp,
    /// End, not included.
    pub to: Timestamp,
    /// Most rows.
    pub limit: usize,
}

const FORTH: &str = "SELECT seq, at, event, rule, occurrence, by, remark, body FROM alarm_log
     WHERE at >= ?1 AND at < ?2 AND seq > ?3 AND event <> 'notified' ORDER BY at, seq LIMIT ?4";
const BACK: &str = "SELECT seq, at, event, rule, occurrence, by, remark, body FROM alarm_log
     WHERE at >= ?1 AND at < ?2 AND seq < ?3 AND event <> 'notified' ORDER BY at DESC, seq DESC LIMIT ?4";
const CHANGED: &str = "SELECT body FROM alarm_occurrence INDEXED BY alarm_occurrence_by_change
     WHERE changed_at >= ?1 AND seq < ?2 ORDER BY changed_at";

impl State {
    /// Rows of the log in order of time: those with a number above `after`. The next page begins at the time of the last one, after
    /// its number.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_log_forth(&self, page: LogPage, after: u64) -> Result<Vec<LogRow>, StateError> {
        self.log_rows(FORTH, page, after)
    }

    /// The same, the newest first: those with a number below `before`.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_log_back(&self, page: LogPage, before: u64) -> Result<Vec<LogRow>, StateError> {
        self.log_rows(BACK, page, before)
    }

    fn log_rows(&self, sql: &str, page: LogPage, seq: u64) -> Result<Vec<LogRow>, StateError> {
        let LogPage { from, to, limit } = page;
        self.read("reading the alarm log", |connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let asked = params![from.millis(), to.millis(), signed(seq), size(limit)];
            statement.query_map(asked, log_row)?.collect()
        })
    }

    /// The bodies of the occurrences that were raised before `at` and have changed at or after it.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_occurrences_over(&self, at: Timestamp) -> Result<Vec<String>, StateError> {
        self.read("listing alarms", |connection| {
            let first: Option<i64> = connection
                .prepare_cached(
                    "SELECT seq FROM alarm_log WHERE at >= ?1 AND event <> 'notified' ORDER BY at, seq LIMIT 1",
                )?
                .query_row([at.millis()], |row| row.get(0))
                .optional()?;
            let asked = params![at.millis(), first.unwrap_or(i64::MAX)];
            let mut statement = connection.prepare_cached(CHANGED)?;
            statement.query_map(asked, |row| row.get(0))?.collect()
        })
    }

    /// Number of the newest row of the log; 0 without one.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarm_log_newest(&self) -> Result<u64, StateError> {
        self.read("reading the alarm log", |connection| {
            let sql = "SELECT COALESCE(MAX(seq), 0) FROM alarm_log";
            connection
                .prepare_cached(sql)?
                .query_row([], |row| Ok(unsigned(row.get(0)?)))
        })
    }

    /// Writes down that the engine did not run from its last step until `until`. The first time everything before counts: what an
    /// earlier program wrote does not say whether people were told.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarms_were_down(&self, until: Timestamp) -> Result<(), StateError> {
        self.write("writing when the alarms did not run", |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO alarm_down (since, until)
                 SELECT CASE WHEN EXISTS (SELECT 1 FROM alarm_down) THEN MIN(?1, COALESCE((SELECT now FROM alarm_cursor), ?1))
                        ELSE 0 END, ?1",
                [until.millis()],
            )
            .map(|_| ())
        })
    }

    /// From when to when the engine did not run, as far as it touches `from..to`; in order.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn alarms_down(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(Timestamp, Timestamp)>, StateError> {
        self.read("reading when the alarms did not run", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT since, until FROM alarm_down WHERE since < ?2 AND until > ?1 ORDER BY since",
            )?;
            let rows = statement.query_map(params![from.millis(), to.millis()], |row| {
                let at = |place| row.get(place).map(Timestamp::from_millis);
                Ok((at(0)?, at(1)?))
            })?;
            rows.collect()
        })
    }
}

#[cfg(test)]
mod tests;
