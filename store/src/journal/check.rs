//! Whether the journal's file holds what was written.

use rusqlite::Connection;
use telemetry::{DeviceId, Lsn, Origin, RawMessage, Timestamp};

use super::record;

/// A batch that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadBatch {
    /// Number of its first message, the key of its row.
    pub(crate) first: u64,
    /// How many messages it should hold.
    pub(crate) count: u64,
    /// When the first and the last of them arrived, as its row says.
    pub(crate) between: (Timestamp, Timestamp),
    /// What is wrong.
    pub(crate) what: &'static str,
}

/// What the journal holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JournalCheck {
    pub(crate) batches: u64,
    pub(crate) messages: u64,
    pub(crate) bad: Vec<BadBatch>,
    /// The messages that lie between two batches and are in none: first and last.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// What the table `position` says otherwise than the batches.
    pub(crate) position: Option<&'static str>,
}

/// Decodes every batch. `each` is told how many so far.
pub(crate) fn check(connection: &Connection, each: &mut dyn FnMut(u64)) -> rusqlite::Result<JournalCheck> {
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    let mut found = JournalCheck::default();
    let mut after: Option<u64> = None;
    let mut first_of_all = None;
    let mut stored = 0;
    let mut select = connection.prepare(
        "SELECT first_lsn, count, arrived_min, arrived_max, bytes, blob FROM batch ORDER BY first_lsn",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (first, count) = (number(row.get(0)?), number(row.get(1)?));
        let between = (
            Timestamp::from_millis(row.get(2)?),
            Timestamp::from_millis(row.get(3)?),
        );
        let blob: Vec<u8> = row.get(5)?;
        stored += number(row.get(4)?);
        found.batches += 1;
        first_of_all.get_or_insert(first);
        if let Some(expected) = after.filter(|expected| *expected < first) {
            found.gaps.push((expected, first - 1));
        }
        after = Some(first.saturating_add(count));
        match check_batch(first, count, between, blob) {
            Ok(messages) => found.messages += messages,
            Err(what) => found.bad.push(BadBatch {
                first,
                count,
                between,
                what,
            }),
        }
        each(found.batches);
    }
    let position: (i64, i64, i64) = connection.query_row(
        "SELECT oldest_lsn, next_lsn, stored_bytes FROM position",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let (oldest, next) = (number(position.0), number(position.1));
    found.position = if first_of_all.unwrap_or(next) != oldest || after.unwrap_or(oldest) != next {
        Some("the batches do not begin or end where the position says")
    } else if number(position.2) != stored {
        Some("the batches are not as many bytes as the position says")
    } else {
        None
    };
    Ok(found)
}

fn check_batch(
    first: u64,
    count: u64,
    between: (Timestamp, Timestamp),
    blob: Vec<u8>,
) -> Result<u64, &'static str> {
    let count = u32::try_from(count).map_err(|_| "its count makes no sense")?;
    let messages = record::decode(Lsn(first), count, blob)?;
    let arrived = messages.iter().map(|message| message.arrived);
    let said = (
        arrived.clone().min().unwrap_or(between.0),
        arrived.max().unwrap_or(between.1),
    );
    if said == between {
        Ok(messages.len() as u64)
    } else {
        Err("its messages did not arrive when its row says")
    }
}

/// A batch of one message that nobody can read, in the place of one that was set aside.
pub(crate) fn placeholder(lsn: u64, arrived: Timestamp) -> Option<Vec<u8>> {
    let message = RawMessage {
        arrived,
        origin: Origin::Mqtt,
        sender: DeviceId::new("townwatch").ok()?,
        topic: "tw/v1/townwatch/quarantined".into(),
        payload: bytes::Bytes::from_static(b"a damaged batch was set aside here"),
    };
    let mut batch = record::Encoder::new(Lsn(lsn));
    batch.push(&message);
    Some(batch.finish())
}
