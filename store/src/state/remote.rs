//! How far each remote engine is, and the lines that it refused.

use rusqlite::{OptionalExtension, params};
use telemetry::{DeadLetter, Lsn};

use super::dead_letters::{self, DeadLetterBounds};
use super::ledger::{from_sql, to_sql};
use super::{State, StateError};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS remote_cursor (
    engine  TEXT PRIMARY KEY,      -- which, where, which bucket or tenant
    durable INTEGER NOT NULL,      -- the last message that is on its disk
    sent    INTEGER NOT NULL       -- the last message that it has acknowledged, or whose lines are dead letters
) WITHOUT ROWID;
";

/// How far an engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteCursor {
    /// The last message of which it is certain that the engine has it on disk. The journal may forget what came before.
    pub durable: Lsn,
    /// The last message that it has acknowledged; not before `durable`.
    pub sent: Lsn,
}

impl State {
    /// How far the engine of that identity is; both 0 when it is new.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn remote_cursor(&self, engine: &str) -> Result<RemoteCursor, StateError> {
        self.read("reading the cursor of a remote engine", |connection| {
            let cursor = connection
                .query_row(
                    "SELECT durable, sent FROM remote_cursor WHERE engine = ?1",
                    [engine],
                    |row| {
                        Ok(RemoteCursor {
                            durable: Lsn(from_sql(row, 0)?),
                            sent: Lsn(from_sql(row, 1)?),
                        })
                    },
                )
                .optional()?;
            Ok(cursor.unwrap_or_default())
        })
    }

    /// Keeps how far the engine is, with the lines that it refused on the way.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails; nothing has changed then.
    pub fn advance_remote(
        &self,
        engine: &str,
        cursor: RemoteCursor,
        refused: &[DeadLetter],
        bounds: DeadLetterBounds,
    ) -> Result<(), StateError> {
        self.write("keeping the cursor of a remote engine", |tx| {
            dead_letters::keep(tx, refused, bounds)?;
            tx.prepare_cached(
                "INSERT OR REPLACE INTO remote_cursor (engine, durable, sent) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![engine, to_sql(cursor.durable.0), to_sql(cursor.sent.0)])
            .map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_a_cursor_of_its_own_that_outlives_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        let cursor = RemoteCursor {
            durable: Lsn(3),
            sent: Lsn(9),
        };
        {
            let state = State::open(&file).unwrap();
            assert_eq!(state.remote_cursor("a").unwrap(), RemoteCursor::default());
            state
                .advance_remote("a", cursor, &[], DeadLetterBounds::default())
                .unwrap();
        }
        let state = State::open(&file).unwrap();
        assert_eq!(state.remote_cursor("a").unwrap(), cursor);
        assert_eq!(state.remote_cursor("b").unwrap(), RemoteCursor::default());
    }
}
