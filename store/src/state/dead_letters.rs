//! Messages that nobody could read, kept as they came.

use rusqlite::{Connection, Row, Transaction, params};
use telemetry::{DeadLetter, DeviceId, Lsn, Origin, Timestamp};

use super::ledger::{from_sql, to_sql};
use super::{State, StateError};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS dead_letters (
    id      INTEGER PRIMARY KEY,   -- grows with each
    lsn     INTEGER NOT NULL,
    arrived INTEGER NOT NULL,      -- ms since 1970
    origin  INTEGER NOT NULL,      -- telemetry::Origin::code
    sender  TEXT NOT NULL,
    topic   TEXT NOT NULL,
    reason  TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS dead_letter_totals (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    kept    INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,      -- of the payloads kept
    dropped INTEGER NOT NULL       -- ever, to make room
);
INSERT OR IGNORE INTO dead_letter_totals VALUES (1, 0, 0, 0);
";

/// How many dead letters are kept. At the bound the oldest make room and are counted as dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetterBounds {
    /// Most letters. Default 10,000.
    pub letters_max: u64,
    /// Most bytes of their payloads together. Default 64 MiB.
    pub bytes_max: u64,
}

impl Default for DeadLetterBounds {
    fn default() -> Self {
        Self {
            letters_max: 10_000,
            bytes_max: 64 << 20,
        }
    }
}

/// How many dead letters there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterTotals {
    /// Kept.
    pub kept: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Dropped to make room, ever.
    pub dropped: u64,
}

impl State {
    /// The newest dead letters, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails or a row is damaged.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StateError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.read("reading the dead letters", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT lsn, arrived, origin, sender, topic, reason, payload
                 FROM dead_letters ORDER BY id DESC LIMIT ?1",
            )?;
            let rows = statement.query_map([limit], letter_of)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let damaged = || StateError::Damaged {
            table: "dead_letters",
            what: "an origin or a sender that cannot be".to_owned(),
        };
        rows.into_iter()
            .map(|letter| letter.ok_or_else(damaged))
            .collect()
    }

    /// How many dead letters there are, and how many had to make room.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn dead_letter_totals(&self) -> Result<DeadLetterTotals, StateError> {
        self.read("counting the dead letters", totals)
    }
}

/// Adds `letters` and drops the oldest beyond the bounds, which may be some of the new ones.
pub(super) fn keep(
    tx: &Transaction<'_>,
    letters: &[DeadLetter],
    bounds: DeadLetterBounds,
) -> rusqlite::Result<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let mut now = totals(tx)?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO dead_letters (lsn, arrived, origin, sender, topic, reason, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for letter in letters {
        insert.execute(params![
            to_sql(letter.lsn.0),
            letter.arrived.millis(),
            letter.origin.code(),
            letter.sender.as_str(),
            &letter.topic,
            &letter.reason,
            &letter.payload[..],
        ])?;
        now.kept += 1;
        now.bytes += letter.payload.len() as u64;
    }
    let mut oldest = tx.prepare_cached("SELECT id, length(payload) FROM dead_letters ORDER BY id")?;
    let mut rows = oldest.query([])?;
    let mut drop_upto: Option<i64> = None;
    while now.kept > bounds.letters_max || now.bytes > bounds.bytes_max {
        let Some(row) = rows.next()? else {
            break;
        };
        drop_upto = Some(row.get(0)?);
        now.kept -= 1;
        now.bytes = now.bytes.saturating_sub(from_sql(row, 1)?);
        now.dropped += 1;
    }
    drop(rows);
    if let Some(id) = drop_upto {
        tx.execute("DELETE FROM dead_letters WHERE id <= ?1", [id])?;
    }
    tx.execute(
        "UPDATE dead_letter_totals SET kept = ?1, bytes = ?2, dropped = ?3",
        params![to_sql(now.kept), to_sql(now.bytes), to_sql(now.dropped)],
    )
    .map(|_| ())
}

fn totals(connection: &Connection) -> rusqlite::Result<DeadLetterTotals> {
    connection.query_row("SELECT kept, bytes, dropped FROM dead_letter_totals", [], |row| {
        Ok(DeadLetterTotals {
            kept: from_sql(row, 0)?,
            bytes: from_sql(row, 1)?,
            dropped: from_sql(row, 2)?,
        })
    })
}

/// None when the row does not hold what it should.
fn letter_of(row: &Row<'_>) -> rusqlite::Result<Option<DeadLetter>> {
    let origin = Origin::from_code(row.get(2)?);
    let sender = DeviceId::new(&row.get::<_, String>(3)?).ok();
    let (Some(origin), Some(sender)) = (origin, sender) else {
        return Ok(None);
    };
    Ok(Some(DeadLetter {
        lsn: Lsn(from_sql(row, 0)?),
        arrived: Timestamp::from_millis(row.get(1)?),
        origin,
        sender,
        topic: row.get::<_, String>(4)?.into(),
        reason: row.get::<_, String>(5)?.into(),
        payload: row.get::<_, Vec<u8>>(6)?.into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(lsn: u64, bytes: usize) -> DeadLetter {
        DeadLetter {
            lsn: Lsn(lsn),
            arrived: Timestamp::from_millis(1000),
            origin: Origin::Mqtt,
            sender: "d".parse().unwrap(),
            topic: "tw/v1/d/telemetry".into(),
            reason: "the payload is not JSON".into(),
            payload: vec![7; bytes].into(),
        }
    }

    #[test]
    fn the_oldest_make_room_and_are_counted() {
        // Given room for 3 letters or 100 bytes,
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let bounds = DeadLetterBounds {
            letters_max: 3,
            bytes_max: 100,
        };
        let add = |letters: &[DeadLetter]| state.add_account(&[], letters, Lsn(9), bounds).unwrap();
        // when four small ones come, then one that fills the room almost alone,
        add(&[letter(1, 10), letter(2, 10), letter(3, 10), letter(4, 10)]);
        let kept = |state: &State| {
            let letters = state.dead_letters(10).unwrap();
            letters.iter().map(|letter| letter.lsn.0).collect::<Vec<_>>()
        };
        assert_eq!(kept(&state), [4, 3, 2]);
        add(&[letter(5, 85)]);
        // then the oldest are gone, and every one of them is counted.
        assert_eq!(kept(&state), [5, 4]);
        let totals = state.dead_letter_totals().unwrap();
        assert_eq!((totals.kept, totals.bytes, totals.dropped), (2, 95, 3));
        assert_eq!(state.dead_letters(1).unwrap(), [letter(5, 85)]);
    }
}
