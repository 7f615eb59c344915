//! What has to be told to whom, and what became of it.

use rusqlite::{Row, Transaction, params};
use telemetry::Timestamp;

use super::{all, signed, size, unsigned};
use crate::state::{State, StateError};

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// To be sent.
    Waiting,
    /// The receiver has it.
    Delivered,
    /// No channel is configured that wants it.
    NoChannel,
    /// It could not be delivered for so long that it is no longer tried.
    GaveUp,
}

impl Fate {
    const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::NoChannel, Self::GaveUp];

    /// The stored form and the API's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::NoChannel => "no_channel",
            Self::GaveUp => "gave_up",
        }
    }
}

/// One notice for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Stable over retries and restarts.
    pub key: Box<str>,
    /// Number of the transition it tells of.
    pub seq: u64,
    /// Name of the channel; empty when there is none.
    pub channel: Box<str>,
    /// It goes before the others.
    pub life_safety: bool,
    /// The message, as JSON.
    pub payload: String,
    /// What became of it.
    pub fate: Fate,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it is tried next.
    pub next_at: Timestamp,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
}

/// What waits for one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeQueue {
    /// Name of the channel.
    pub channel: Box<str>,
    /// How many notices wait, due or not.
    pub waiting: u64,
    /// When the first of those is due that are not due yet.
    pub next_at: Option<Timestamp>,
}

impl State {
    /// What waits for each channel at `now`; channels for which nothing waits are not named.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn notice_queues(&self, now: Timestamp) -> Result<Vec<NoticeQueue>, StateError> {
        self.read("reading the outbox", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT channel, count(*), min(CASE WHEN next_at > ?1 THEN next_at END)
                 FROM outbox WHERE fate = 'waiting' GROUP BY channel",
            )?;
            let rows = statement.query_map([now.millis()], |row| {
                Ok(NoticeQueue {
                    channel: row.get(0)?,
                    waiting: unsigned(row.get(1)?),
                    next_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
                })
            })?;
            rows.collect()
        })
    }

    /// Notices for one channel that are due at `now`: life-safety first, then by their time.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn notices_due_for(
        &self,
        channel: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notice>, StateError> {
        self.read("reading the outbox", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key, seq, channel, life_safety, payload, fate, attempts, made_at, next_at, delivered_at
                 FROM outbox WHERE fate = 'waiting' AND channel = ?1 AND next_at <= ?2
                 ORDER BY life_safety DESC, next_at, seq LIMIT ?3",
            )?;
            let rows = statement.query_map(params![channel, now.millis(), size(limit)], notice)?;
            rows.collect()
        })
    }

    /// Notices that wait for one channel, due or not, and were made after `from` and up to `upto`: the oldest first.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn notices_waiting(
        &self,
        channel: &str,
        from: Timestamp,
        upto: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notice>, StateError> {
        self.read("reading the outbox", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key, seq, channel, life_safety, payload, fate, attempts, made_at, next_at, delivered_at
                 FROM outbox WHERE fate = 'waiting' AND channel = ?1 AND made_at > ?2 AND made_at <= ?3
                 ORDER BY made_at, seq LIMIT ?4",
            )?;
            let bounds = params![channel, from.millis(), upto.millis(), size(limit)];
            let rows = statement.query_map(bounds, notice)?;
            rows.collect()
        })
    }

    /// Notices that are due at `now`: life-safety first, then by their time.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn notices_due(&self, now: Timestamp, limit: usize) -> Result<Vec<Notice>, StateError> {
        self.read("reading the outbox", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key, seq, channel, life_safety, payload, fate, attempts, made_at, next_at, delivered_at
                 FROM outbox WHERE fate = 'waiting' AND next_at <= ?1
                 ORDER BY life_safety DESC, next_at, seq LIMIT ?2",
            )?;
            let rows = statement.query_map(params![now.millis(), size(limit)], notice)?;
            rows.collect()
        })
    }

    /// The newest notices, whatever became of them.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn notices(&self, limit: usize) -> Result<Vec<Notice>, StateError> {
        self.read("reading the outbox", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT key, seq, channel, life_safety, payload, fate, attempts, made_at, next_at, delivered_at
                 FROM outbox ORDER BY seq DESC, key LIMIT ?1",
            )?;
            let rows = statement.query_map([size(limit)], notice)?;
            rows.collect()
        })
    }

    /// How many notices there are of each fate.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn notice_counts(&self) -> Result<Vec<(Fate, u64)>, StateError> {
        self.read("counting the outbox", |connection| {
            let rows = all(
                connection,
                "SELECT fate, count(*) FROM outbox GROUP BY fate",
                |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)),
            )?;
            Ok(rows
                .into_iter()
                .map(|(name, count)| (fate(&name), unsigned(count)))
                .collect())
        })
    }

    /// Writes down how an attempt to send ended.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails; the notice will then be sent again, with the same key.
    pub fn record_notice(&self, notice: &Notice) -> Result<(), StateError> {
        self.write("recording a notice", |tx| {
            write_fates(tx, std::slice::from_ref(notice))
        })
    }
}

pub(super) fn write_fates(tx: &Transaction<'_>, fates: &[Notice]) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "UPDATE outbox SET fate = ?2, attempts = ?3, next_at = ?4, delivered_at = ?5 WHERE key = ?1",
    )?;
    for notice in fates {
        put.execute(params![
            notice.key,
            notice.fate.name(),
            notice.attempts,
            notice.next_at.millis(),
            notice.delivered_at.map(Timestamp::millis),
        ])?;
    }
    Ok(())
}

pub(super) fn write_notices(tx: &Transaction<'_>, notices: &[Notice]) -> rusqlite::Result<()> {
    let mut put = tx.prepare_cached(
        "INSERT OR IGNORE INTO outbox
         (key, seq, channel, life_safety, payload, fate, attempts, made_at, next_at, delivered_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for notice in notices {
        put.execute(params![
            notice.key,
            signed(notice.seq),
            notice.channel,
            notice.life_safety,
            notice.payload,
            notice.fate.name(),
            notice.attempts,
            notice.made_at.millis(),
            notice.next_at.millis(),
            notice.delivered_at.map(Timestamp::millis),
        ])?;
    }
    Ok(())
}

fn notice(row: &Row<'_>) -> rusqlite::Result<Notice> {
    Ok(Notice {
        key: row.get(0)?,
        seq: unsigned(row.get(1)?),
        channel: row.get(2)?,
        life_safety: row.get(3)?,
        payload: row.get(4)?,
        fate: fate(&row.get::<_, String>(5)?),
        attempts: row.get(6)?,
        made_at: Timestamp::from_millis(row.get(7)?),
        next_at: Timestamp::from_millis(row.get(8)?),
        delivered_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_millis),
    })
}

/// An unknown word, of a later version, is a notice that this version does not send.
fn fate(name: &str) -> Fate {
    Fate::ALL
        .into_iter()
        .find(|fate| fate.name() == name)
        .unwrap_or(Fate::GaveUp)
}
