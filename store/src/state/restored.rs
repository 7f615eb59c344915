//! That this state database came out of a backup, and when: what it says happened after the backup, happened to another
//! course of events too, which people were told of under the same numbers.

use telemetry::Timestamp;

use super::{State, StateError};

/// The key of the fact.
const KEY: &str = "restores";
/// The oldest are forgotten beyond so many.
const RESTORES_MAX: usize = 100;

/// One restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restore {
    /// Number of the last transition of the alarms that the backup knew.
    pub after_seq: u64,
    /// When it was put back.
    pub at: Timestamp,
}

impl State {
    /// Notes that this database was put back at `at`.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails.
    pub fn note_restore(&self, at: Timestamp) -> Result<(), StateError> {
        let after_seq = self.alarm_cursor()?.map_or(0, |cursor| cursor.seq);
        let mut restores = self.restores()?;
        restores.push(Restore { after_seq, at });
        let kept = restores.len().saturating_sub(RESTORES_MAX);
        let pairs: Vec<(u64, i64)> = restores
            .iter()
            .skip(kept)
            .map(|restore| (restore.after_seq, restore.at.millis()))
            .collect();
        let text = serde_json::to_string(&pairs).map_err(|error| damaged(&error))?;
        self.set_meta(KEY, &text)
    }

    /// Every time that it was put back, in order; empty for one that never was.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails or the note makes no sense.
    pub fn restores(&self) -> Result<Vec<Restore>, StateError> {
        let Some(text) = self.meta(KEY)? else {
            return Ok(Vec::new());
        };
        let pairs: Vec<(u64, i64)> = serde_json::from_str(&text).map_err(|error| damaged(&error))?;
        let restore = |(after_seq, ms)| Restore {
            after_seq,
            at: Timestamp::from_millis(ms),
        };
        Ok(pairs.into_iter().map(restore).collect())
    }
}

fn damaged(error: &serde_json::Error) -> StateError {
    StateError::Damaged {
        table: "meta",
        what: format!("{KEY}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restores_are_remembered_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        assert_eq!(state.restores().unwrap(), []);
        for ms in [5, 9] {
            state.note_restore(Timestamp::from_millis(ms)).unwrap();
        }
        let found = state.restores().unwrap();
        assert_eq!(
            found
                .iter()
                .map(|restore| restore.at.millis())
                .collect::<Vec<_>>(),
            [5, 9]
        );
    }
}
