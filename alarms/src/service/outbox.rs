//! What the sender of notices needs: from disk, and from memory while the disk fails.

use store::state::alarms::{Fate, Notice};
use telemetry::Timestamp;

use super::{AlarmError, AlarmService, bounded};

impl AlarmService {
    /// Comes back when a notice was made.
    pub async fn outbox_changed(&self) {
        self.outbox.notified().await;
    }

    /// Notices due at `now`, life-safety first: those on disk, and those that the failing disk could not take.
    #[must_use]
    pub fn notices_due(&self, now: Timestamp, limit: usize) -> Vec<Notice> {
        let mut due: Vec<Notice> = self
            .lock()
            .volatile
            .iter()
            .filter(|notice| notice.next_at <= now)
            .cloned()
            .collect();
        match self.state.notices_due(now, limit) {
            Ok(more) => due.extend(more),
            Err(error) => tracing::error!(%error, "the outbox cannot be read"),
        }
        due.sort_by_key(|notice| (!notice.life_safety, notice.next_at, notice.seq));
        due.truncate(limit);
        due
    }

    /// When the next notice is due.
    #[must_use]
    pub fn next_notice_at(&self) -> Option<Timestamp> {
        let volatile = self.lock().volatile.iter().map(|notice| notice.next_at).min();
        let stored = self.state.next_notice_at().ok().flatten();
        volatile.into_iter().chain(stored).min()
    }

    /// Writes down how an attempt ended. Where the disk fails, the notice is sent again later with the same key.
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
        drop(inner);
        if let Err(error) = self.state.record_notice(notice) {
            tracing::error!(%error, key = %notice.key, "the fate of a notice is not on disk");
        }
    }

    /// The newest notices, whatever became of them.
    ///
    /// # Errors
    /// [`AlarmError::State`] when the disk fails.
    pub fn notices(&self, limit: usize) -> Result<Vec<Notice>, AlarmError> {
        Ok(self.state.notices(bounded(limit))?)
    }
}
