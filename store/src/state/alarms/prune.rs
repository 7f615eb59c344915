//! What is older than the alarms are kept goes, a little at a time.

use rusqlite::params;
use telemetry::Timestamp;

use super::size;
use crate::state::{State, StateError};

const PRUNE_LOG: &str = "DELETE FROM alarm_log WHERE seq IN
     (SELECT seq FROM alarm_log WHERE at < ?1 AND event <> 'notified' ORDER BY at LIMIT ?2)";
/// That somebody was told goes after what they were told of; it bears a higher number.
const PRUNE_TOLD: &str = "DELETE FROM alarm_log WHERE seq IN
     (SELECT seq FROM alarm_log WHERE event = 'notified'
      AND seq < (SELECT seq FROM alarm_log WHERE event <> 'notified' ORDER BY seq LIMIT 1) ORDER BY seq LIMIT ?1)";
const PRUNE_OCCURRENCES: &str = "DELETE FROM alarm_occurrence WHERE rowid IN
     (SELECT rowid FROM alarm_occurrence AS old WHERE changed_at < ?1
      AND (open = 0 OR EXISTS (SELECT 1 FROM alarm_occurrence WHERE rule = old.rule AND occurrence > old.occurrence))
      ORDER BY changed_at LIMIT ?2)";
const PRUNE_NOTICES: &str = "DELETE FROM outbox WHERE rowid IN
     (SELECT rowid FROM outbox WHERE fate <> 'waiting' AND made_at < ?1 ORDER BY made_at LIMIT ?2)";
const PRUNE_STARTS: &str =
    "DELETE FROM alarm_start WHERE at IN (SELECT at FROM alarm_start WHERE at < ?1 ORDER BY at LIMIT ?2)";

impl State {
    /// Forgets what happened before `before`: log rows, occurrences that are over or overtaken by a newer one of their rule, notices that
    /// are done, starts. At most `limit` rows of each, found by an index, so that nobody waits long; the number that went is the answer.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn prune_alarms(&self, before: Timestamp, limit: usize) -> Result<usize, StateError> {
        self.write("pruning alarms", |tx| {
            let bound = params![before.millis(), size(limit)];
            let mut gone = 0;
            for statement in [PRUNE_LOG, PRUNE_OCCURRENCES, PRUNE_NOTICES, PRUNE_STARTS] {
                gone += tx.execute(statement, bound)?;
            }
            Ok(gone + tx.execute(PRUNE_TOLD, [size(limit)])?)
        })
    }
}

#[cfg(test)]
mod tests;
