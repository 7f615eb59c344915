//! What the sender of notices needs: from disk, and from memory while the disk fails.

use rustc_hash::FxHashMap;
use store::state::alarms::{Fate, Notice};
use telemetry::Timestamp;

use super::{AlarmError, AlarmService, bounded};

/// Most outcomes that wait for a slow disk. Beyond, an outcome is forgotten and its notice sent again.
const FATES_MAX: usize = 10_000;

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

    /// Whether everything that is to be told at `now` has been told: nothing waits for the disk or for its receiver.
    #[must_use]
    pub fn has_told_all(&self, now: Timestamp) -> bool {
        let waits = {
            let inner = self.lock();
            inner.pending.iter().any(|pending| pending.any_notice)
        };
        !waits && self.notices_due(now, 1).is_empty()
    }

    /// When the next notice is due.
    #[must_use]
    pub fn next_notice_at(&self) -> Option<Timestamp> {
        let (volatile, fates) = {
            let inner = self.lock();
            let next = inner.volatile.iter().map(|notice| notice.next_at).min();
            (next, inner.fates.clone())
        };
        let stored =
            if fates.is_empty() {
                self.shared.state.next_notice_at().ok().flatten()
            } else {
                let waiting = self
                    .shared
                    .state
                    .notices_due(Timestamp::MAX, fates.len().saturating_add(1));
                let next = waiting.unwrap_or_default().into_iter().filter_map(|notice| {
                    match fates.get(&notice.key) {
                        Some(fate) => (fate.fate == Fate::Waiting).then_some(fate.next_at),
                        None => Some(notice.next_at),
                    }
                });
                next.min()
            };
        volatile.into_iter().chain(stored).min()
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
