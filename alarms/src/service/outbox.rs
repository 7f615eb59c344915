//! What the sender of notices needs: from disk, and from memory while the disk fails.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use store::state::alarms::{Fate, Notice, NoticeQueue};
use telemetry::Timestamp;

use super::writer::Pending;
use super::{AlarmError, AlarmService, PAUSE_BEATS, bounded};
use crate::notify::status::NotifyStatus;

/// Most outcomes that wait for a slow disk. Beyond, an outcome is forgotten and its notice sent again.
const FATES_MAX: usize = 10_000;
/// The shortest time after which nobody lets the time pass any more.
const WATCH_PATIENCE: Duration = Duration::from_secs(30);

/// What waits for one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Name of the channel.
    pub channel: Box<str>,
    /// How many notices wait, due or not.
    pub waiting: u64,
    /// Those that are due, life-safety first, up to the limit that was asked for.
    pub due: Vec<Notice>,
    /// When the first of those is due that are not due yet.
    pub next_at: Option<Timestamp>,
}

/// Notices as memory knows them better than the disk.
struct Known {
    volatile: Vec<Notice>,
    fates: Vec<Notice>,
}

impl Known {
    /// What the disk says, with what is known since, and what it has not taken: in no order.
    fn over(&self, stored: Vec<Notice>) -> Vec<Notice> {
        let newest = |notice: Notice| {
            let fate = self.fates.iter().find(|fate| fate.key == notice.key);
            fate.cloned().unwrap_or(notice)
        };
        let mut known = self.volatile.clone();
        for notice in stored.into_iter().map(newest) {
            if !known.iter().any(|other| other.key == notice.key) {
                known.push(notice);
            }
        }
        known.retain(|notice| notice.fate == Fate::Waiting);
        known
    }
}

/// Whether a notice of the disk is still to be sent, by what is known since.
fn is_due(fates: &FxHashMap<Box<str>, Notice>, notice: &Notice, now: Timestamp) -> bool {
    fates
        .get(&notice.key)
        .is_none_or(|fate| fate.fate == Fate::Waiting && fate.next_at <= now)
}

impl AlarmService {
    /// Comes back when a notice was made.
    pub async fn outbox_changed(&self) {
        self.shared.outbox.notified().await;
    }

    /// Notices due at `now`, life-safety first: those on disk, and those that the failing disk could not take.
    #[must_use]
    pub fn notices_due(&self, now: Timestamp, limit: usize) -> Vec<Notice> {
        let (mut due, fates) = {
            let inner = self.lock();
            let due: Vec<Notice> = inner
                .volatile
                .iter()
                .filter(|notice| notice.next_at <= now)
                .cloned()
                .collect();
            (due, inner.fates.clone())
        };
        // As many more as have had their answer since.
        match self
            .shared
            .state
            .notices_due(now, limit.saturating_add(fates.len()))
        {
            Ok(stored) => {
                let waiting = stored.into_iter().filter(|notice| is_due(&fates, notice, now));
                let new: Vec<Notice> = waiting
                    .filter(|notice| !due.iter().any(|known| known.key == notice.key))
                    .collect();
                due.extend(new);
            }
            Err(error) => tracing::error!(%error, "the outbox cannot be read"),
        }
        due.sort_by_key(|notice| (!notice.life_safety, notice.next_at, notice.seq));
        due.truncate(limit);
        due
    }

    /// What waits for each channel at `now`, with at most `limit` due notices of each.
    ///
    /// # Errors
    /// [`AlarmError::State`] when the disk fails and nothing waits in memory.
    pub fn queues(&self, now: Timestamp, limit: usize) -> Result<Vec<Queue>, AlarmError> {
        let mut stored = match self.shared.state.notice_queues(now) {
            Ok(stored) => stored,
            Err(error) if self.lock().volatile.is_empty() => return Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be read; what waits in memory is sent");
                Vec::new()
            }
        };
        for notice in &self.lock().volatile {
            if !stored.iter().any(|queue| queue.channel == notice.channel) {
                stored.push(NoticeQueue {
                    channel: notice.channel.clone(),
                    waiting: 0,
                    next_at: None,
                });
            }
        }
        Ok(stored
            .into_iter()
            .map(|queue| self.queue(queue, now, limit))
            .collect())
    }

    fn queue(&self, stored: NoticeQueue, now: Timestamp, limit: usize) -> Queue {
        let NoticeQueue {
            channel,
            waiting,
            next_at,
        } = stored;
        let known = self.known(&channel);
        // As many more as have had their answer since.
        let asked = limit.saturating_add(known.fates.len());
        let on_disk = self.shared.state.notices_due_for(&channel, now, asked);
        let on_disk = on_disk.unwrap_or_else(|error| {
            tracing::error!(%error, "the outbox cannot be read");
            Vec::new()
        });
        let later = known
            .volatile
            .iter()
            .chain(&known.fates)
            .filter(|notice| notice.fate == Fate::Waiting && notice.next_at > now)
            .map(|notice| notice.next_at);
        let next_at = later.chain(next_at).min();
        let done = known.fates.iter().filter(|fate| fate.fate != Fate::Waiting);
        let waiting = (waiting + known.volatile.len() as u64).saturating_sub(done.count() as u64);
        let mut due = known.over(on_disk);
        due.retain(|notice| notice.next_at <= now);
        due.sort_by_key(|notice| (!notice.life_safety, notice.next_at, notice.seq));
        due.truncate(limit);
        Queue {
            channel,
            waiting,
            due,
            next_at,
        }
    }

    /// Notices that wait for one channel, due or not, and were made after `from` and up to `upto`: the oldest first.
    ///
    /// # Errors
    /// [`AlarmError::State`] when the disk fails.
    pub fn undelivered(
        &self,
        channel: &str,
        (from, upto): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Notice>, AlarmError> {
        let mut known = self.known(channel);
        known
            .volatile
            .retain(|notice| notice.made_at > from && notice.made_at <= upto);
        let asked = limit.saturating_add(known.fates.len());
        let stored = self.shared.state.notices_waiting(channel, from, upto, asked)?;
        let mut found = known.over(stored);
        found.sort_by_key(|notice| (notice.made_at, notice.seq));
        found.truncate(limit);
        Ok(found)
    }

    fn known(&self, channel: &str) -> Known {
        let inner = self.lock();
        let here = |notice: &&Notice| *notice.channel == *channel;
        Known {
            volatile: inner.volatile.iter().filter(here).cloned().collect(),
            fates: inner.fates.values().filter(here).cloned().collect(),
        }
    }

    /// Puts more notices into the outbox: those of the next channels. A key that is there already stays as it is.
    pub fn add_notices(&self, notices: Vec<Notice>) {
        let mut inner = self.lock();
        let new = |notice: &Notice| {
            let mut known = inner.volatile.iter().chain(&inner.unwritten.notices);
            !inner.fates.contains_key(&notice.key) && !known.any(|other| other.key == notice.key)
        };
        let notices: Vec<Notice> = notices.into_iter().filter(|notice| new(notice)).collect();
        if notices.is_empty() {
            return;
        }
        inner.unwritten.notices.extend(notices.iter().cloned());
        let attempt = inner.attempts.want();
        inner.pending.push(Pending {
            attempt,
            changes: Vec::new(),
            any_notice: true,
            notices,
        });
        self.shared.wanted.notify_one();
        drop(self.shared.await_attempt(inner, attempt));
    }

    /// Whether somebody still lets the time pass, where that was promised: without it no alarm comes of silence.
    #[must_use]
    pub fn is_watching(&self) -> bool {
        let mono = self.clock.monotonic();
        let Some((every, last)) = self.lock().beat else {
            return true;
        };
        let passed = self.clock.real(mono.since(last));
        passed <= every.saturating_mul(PAUSE_BEATS).max(WATCH_PATIENCE)
    }

    /// How the channels are.
    #[must_use]
    pub fn notify_status(&self) -> &Arc<NotifyStatus> {
        &self.shared.notify
    }

    /// Whether everything that is to be told at `now` has been told: nothing waits for the disk or for its receiver.
    #[must_use]
    pub fn has_told_all(&self, now: Timestamp) -> bool {
        let waits = {
            let inner = self.lock();
            inner.pending.iter().any(|pending| pending.any_notice)
        };
        !waits && self.notices_due(now, 1).is_empty()
    }

    /// Writes down how an attempt ended, with the next commit. Where the disk fails, and after a crash before it, the
    /// notice is sent again later with the same key.
    pub fn record_notice(&self, notice: &Notice) {
        let mut inner = self.lock();
        let done = notice.fate != Fate::Waiting;
        for known in inner
            .unwritten
            .notices
            .iter_mut()
            .filter(|known| known.key == notice.key)
        {
            known.clone_from(notice);
        }
        for known in inner.volatile.iter_mut().filter(|known| known.key == notice.key) {
            known.clone_from(notice);
        }
        if done {
            inner.volatile.retain(|known| known.key != notice.key);
        }
        if inner.fates.len() < FATES_MAX {
            inner.fates.insert(notice.key.clone(), notice.clone());
        }
        inner.attempts.want();
        drop(inner);
        self.shared.wanted.notify_one();
    }

    /// The newest notices, whatever became of them.
    ///
    /// # Errors
    /// [`AlarmError::State`] when the disk fails.
    pub fn notices(&self, limit: usize) -> Result<Vec<Notice>, AlarmError> {
        let mut notices = self.shared.state.notices(bounded(limit))?;
        let inner = self.lock();
        for notice in &mut notices {
            if let Some(fate) = inner.fates.get(&notice.key) {
                notice.clone_from(fate);
            }
        }
        Ok(notices)
    }
}
