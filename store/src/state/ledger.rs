//! The account of each device: what became of everything that it sent.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use telemetry::ledger::{BadCount, Rejected};
use telemetry::{DeadLetter, Ledger, Lsn};

use super::dead_letters::{self, DeadLetterBounds};
use super::{State, StateError};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS ledger (
    device         TEXT PRIMARY KEY,
    messages       INTEGER NOT NULL,
    received       INTEGER NOT NULL,
    stored         INTEGER NOT NULL,
    duplicate      INTEGER NOT NULL,
    late           INTEGER NOT NULL,
    unknown_signal INTEGER NOT NULL,
    too_old        INTEGER NOT NULL,
    dead_lettered  INTEGER NOT NULL,
    missing        INTEGER NOT NULL,
    clock_skew     INTEGER NOT NULL,
    reported       INTEGER NOT NULL,
    out_of_range   INTEGER NOT NULL,
    wrong_type     INTEGER NOT NULL,
    not_finite     INTEGER NOT NULL,
    exception      INTEGER NOT NULL,
    no_answer      INTEGER NOT NULL,
    sensor_fault   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger_cursor (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    lsn  INTEGER NOT NULL          -- the last message that is accounted for
);
";

/// Adds to the row of a device, making it when it is missing.
const ADD: &str = "
INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
ON CONFLICT (device) DO UPDATE SET
    messages = messages + excluded.messages, received = received + excluded.received,
    stored = stored + excluded.stored, duplicate = duplicate + excluded.duplicate,
    late = late + excluded.late, unknown_signal = unknown_signal + excluded.unknown_signal,
    too_old = too_old + excluded.too_old, dead_lettered = dead_lettered + excluded.dead_lettered,
    missing = missing + excluded.missing, clock_skew = clock_skew + excluded.clock_skew,
    reported = reported + excluded.reported, out_of_range = out_of_range + excluded.out_of_range,
    wrong_type = wrong_type + excluded.wrong_type, not_finite = not_finite + excluded.not_finite,
    exception = exception + excluded.exception, no_answer = no_answer + excluded.no_answer,
    sensor_fault = sensor_fault + excluded.sensor_fault";

const COLUMNS: &str = "device, messages, received, stored, duplicate, late, unknown_signal, too_old, \
    dead_lettered, missing, clock_skew, reported, out_of_range, wrong_type, not_finite, exception, no_answer, \
    sensor_fault";

impl State {
    /// Adds the accounts of devices and the dead letters of the messages up to `upto`, and makes `upto` the
    /// account's cursor: all in one transaction.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails; nothing is added then.
    pub fn add_account(
        &self,
        accounts: &[(&str, Ledger)],
        dead_letters: &[DeadLetter],
        upto: Lsn,
        bounds: DeadLetterBounds,
    ) -> Result<(), StateError> {
        self.write("adding to the account", |tx| {
            let mut add = tx.prepare_cached(ADD)?;
            for (device, ledger) in accounts {
                add_one(&mut add, device, ledger)?;
            }
            dead_letters::keep(tx, dead_letters, bounds)?;
            set_cursor(tx, upto)
        })
    }

    /// The last message that is accounted for.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn account_cursor(&self) -> Result<Lsn, StateError> {
        self.read("reading the account's cursor", |connection| {
            let cursor = connection
                .query_row("SELECT lsn FROM ledger_cursor", [], |row| from_sql(row, 0))
                .optional()?;
            Ok(Lsn(cursor.unwrap_or(0)))
        })
    }

    /// The account of one device as committed, at most about a second old; all zero when it never spoke.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn ledger(&self, device: &str) -> Result<Ledger, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM ledger WHERE device = ?1");
        self.read("reading an account", |connection| {
            let found = connection
                .prepare_cached(&sql)?
                .query_row([device], ledger_of)
                .optional()?;
            Ok(found.map(|(_, ledger)| ledger).unwrap_or_default())
        })
    }

    /// The accounts of all devices that ever spoke, by device id; also of devices that are gone.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn ledgers(&self) -> Result<BTreeMap<String, Ledger>, StateError> {
        self.read("reading the accounts", |connection: &Connection| {
            let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM ledger"))?;
            let rows = statement.query_map([], ledger_of)?;
            rows.collect()
        })
    }
}

fn add_one(
    add: &mut rusqlite::CachedStatement<'_>,
    device: &str,
    ledger: &Ledger,
) -> rusqlite::Result<usize> {
    let Ledger { rejected, bad, .. } = ledger;
    add.execute(params![
        device,
        to_sql(ledger.messages),
        to_sql(ledger.received),
        to_sql(ledger.stored),
        to_sql(ledger.duplicate),
        to_sql(ledger.late),
        to_sql(rejected.unknown_signal),
        to_sql(rejected.too_old),
        to_sql(ledger.dead_lettered),
        ledger.missing,
        to_sql(ledger.clock_skew),
        to_sql(bad.reported),
        to_sql(bad.out_of_range),
        to_sql(bad.wrong_type),
        to_sql(bad.not_finite),
        to_sql(bad.exception),
        to_sql(bad.no_answer),
        to_sql(bad.sensor_fault),
    ])
}

fn set_cursor(tx: &Transaction<'_>, upto: Lsn) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT OR REPLACE INTO ledger_cursor (only, lsn) VALUES (1, ?1)",
        [to_sql(upto.0)],
    )
    .map(|_| ())
}

fn ledger_of(row: &Row<'_>) -> rusqlite::Result<(String, Ledger)> {
    let ledger = Ledger {
        messages: from_sql(row, 1)?,
        received: from_sql(row, 2)?,
        stored: from_sql(row, 3)?,
        duplicate: from_sql(row, 4)?,
        late: from_sql(row, 5)?,
        rejected: Rejected {
            unknown_signal: from_sql(row, 6)?,
            too_old: from_sql(row, 7)?,
        },
        dead_lettered: from_sql(row, 8)?,
        missing: row.get(9)?,
        clock_skew: from_sql(row, 10)?,
        bad: BadCount {
            reported: from_sql(row, 11)?,
            out_of_range: from_sql(row, 12)?,
            wrong_type: from_sql(row, 13)?,
            not_finite: from_sql(row, 14)?,
            exception: from_sql(row, 15)?,
            no_answer: from_sql(row, 16)?,
            sensor_fault: from_sql(row, 17)?,
        },
    };
    Ok((row.get(0)?, ledger))
}

/// SQLite's integers are signed; no count comes near the bound.
pub(super) fn to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as it was written; a negative one was not and reads as 0.
pub(super) fn from_sql(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column)
        .map(|count: i64| u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(n: u64) -> Ledger {
        let mut bad = BadCount::default();
        bad.add(telemetry::Bad::Exception, 10 * n);
        bad.add(telemetry::Bad::SensorFault, 11 * n);
        Ledger {
            messages: n,
            received: 2 * n,
            stored: 3 * n,
            duplicate: 4 * n,
            late: 5 * n,
            rejected: Rejected {
                unknown_signal: 6 * n,
                too_old: 7 * n,
            },
            dead_lettered: 8 * n,
            missing: 3,
            bad,
            clock_skew: 9 * n,
        }
    }

    #[test]
    fn accounts_add_up_over_batches_and_outlive_the_program() {
        // Given two batches, the second of which fills a gap of the first,
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        let bounds = DeadLetterBounds::default();
        {
            let state = State::open(&file).unwrap();
            assert_eq!(state.account_cursor().unwrap(), Lsn::ZERO);
            state
                .add_account(&[("a", ledger(1)), ("b", ledger(5))], &[], Lsn(7), bounds)
                .unwrap();
            let filled = Ledger {
                missing: -2,
                ..ledger(2)
            };
            state.add_account(&[("a", filled)], &[], Lsn(9), bounds).unwrap();
        }
        // when the file is opened again,
        let state = State::open(&file).unwrap();
        // then every count is the sum of both, and the cursor that of the last.
        let want = Ledger {
            missing: 1,
            ..ledger(3)
        };
        assert_eq!(state.ledger("a").unwrap(), want);
        assert_eq!(state.ledger("nobody").unwrap(), Ledger::default());
        assert_eq!(state.account_cursor().unwrap(), Lsn(9));
        let all = state.ledgers().unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(all["b"], ledger(5));
    }
}
