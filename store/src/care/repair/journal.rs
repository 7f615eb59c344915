//! The numbers of a journal of which batches were set aside: they never go back, so that no cursor takes a new message
//! for an old one.

use rusqlite::{Connection, OptionalExtension, params};
use telemetry::Timestamp;

use super::signed;
use crate::journal::check::placeholder;

/// Has the position say what the batches are. Where the last one went, a message that nobody can read stands in its
/// place; it shows as a dead letter.
pub(super) fn settle(journal: &Connection) -> rusqlite::Result<()> {
    let next: i64 = journal.query_row("SELECT next_lsn FROM position", [], |row| row.get(0))?;
    let after = after_last(journal)?;
    if after.is_some_and(|after| after < next) {
        put(journal, next - 1)?;
    }
    journal
        .execute(
            "UPDATE position SET
             next_lsn = coalesce((SELECT max(first_lsn + count) FROM batch), next_lsn),
             oldest_lsn = coalesce((SELECT min(first_lsn) FROM batch), next_lsn),
             stored_bytes = coalesce((SELECT sum(bytes) FROM batch), 0)",
            [],
        )
        .map(|_| ())
}

/// Has the next message get a number above `furthest`.
pub(super) fn skip_to(journal: &Connection, furthest: u64) -> rusqlite::Result<()> {
    let next: i64 = journal.query_row("SELECT next_lsn FROM position", [], |row| row.get(0))?;
    if signed(furthest) >= next {
        put(journal, signed(furthest))?;
    }
    settle(journal)
}

fn after_last(journal: &Connection) -> rusqlite::Result<Option<i64>> {
    journal
        .query_row(
            "SELECT first_lsn + count FROM batch ORDER BY first_lsn DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()
}

fn put(journal: &Connection, lsn: i64) -> rusqlite::Result<()> {
    let newest: Option<i64> = journal
        .query_row("SELECT max(arrived_max) FROM batch", [], |row| row.get(0))
        .optional()?
        .flatten();
    let arrived = Timestamp::from_millis(newest.unwrap_or(0));
    let Some(blob) = placeholder(u64::try_from(lsn).unwrap_or(0), arrived) else {
        return Ok(());
    };
    let bytes = signed(blob.len() as u64);
    journal
        .execute(
            "INSERT INTO batch VALUES (?1, 1, ?2, ?2, ?3, ?4)",
            params![lsn, arrived.millis(), bytes, blob],
        )
        .map(|_| ())
}
