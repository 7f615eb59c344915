//! Telling people: the worker that takes notices from the outbox and hands them to their channels.
//!
//! Each notice is sent at least once, with a key that stays the same over retries and restarts, so a receiver can drop
//! repetitions. Life-safety goes first. Webhooks are the only channel that is built.

pub mod guard;
pub mod message;
pub mod signature;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use store::state::alarms::{Fate, Notice};
use telemetry::time::Span;
use telemetry::{Clock, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::service::AlarmService;
use crate::settings::{AlarmSettings, SettingsError};

pub use webhook::Outcome;
use webhook::Webhook;

/// Notices that are under way at one time; the others wait.
const UNDER_WAY_MAX: usize = 16;
/// The longest pause between two attempts.
const PAUSE_MAX: Span = Span::from_secs(300);
/// After that long without success a notice is given up, logged and counted.
const GIVE_UP_AFTER: Span = Span::from_secs(86_400);
/// The longest sleep when nothing is due: a safety net, every new notice wakes the worker.
const SLEEP_MAX: Span = Span::from_secs(5);

/// Why the worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A setting is out of range.
    #[error("the settings of the notices are wrong")]
    Settings(#[from] SettingsError),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built")]
    Client(#[from] reqwest::Error),
}

/// The worker of the outbox.
pub struct Notifier {
    service: Arc<AlarmService>,
    clock: Arc<dyn Clock>,
    webhooks: Arc<Vec<Webhook>>,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier")
            .field("webhooks", &self.webhooks.len())
            .finish_non_exhaustive()
    }
}

impl Notifier {
    /// A worker for the webhooks of `settings`.
    ///
    /// # Errors
    /// [`NotifyError`] when a setting is wrong or the HTTP client cannot be built.
    pub fn new(
        service: Arc<AlarmService>,
        clock: Arc<dyn Clock>,
        settings: &AlarmSettings,
    ) -> Result<Self, NotifyError> {
        settings.check()?;
        let webhooks = settings
            .webhooks
            .iter()
            .map(|webhook| Webhook::new(webhook, &settings.allow))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            service,
            clock,
            webhooks: Arc::new(webhooks),
        })
    }

    /// Sends until `cancel`; what is under way then is waited for, five seconds at most each.
    pub async fn run(self, cancel: CancellationToken) {
        let mut under_way: JoinSet<(Notice, Outcome)> = JoinSet::new();
        let mut keys: std::collections::HashSet<Box<str>> = std::collections::HashSet::new();
        while !cancel.is_cancelled() {
            let free = UNDER_WAY_MAX.saturating_sub(keys.len());
            // Twice as many are read: some of them are under way.
            for notice in self
                .due(UNDER_WAY_MAX * 2)
                .await
                .into_iter()
                .filter(|notice| !keys.contains(&notice.key))
                .take(free)
                .collect::<Vec<_>>()
            {
                keys.insert(notice.key.clone());
                let webhooks = Arc::clone(&self.webhooks);
                let now = self.clock.now();
                under_way.spawn(async move {
                    let outcome = match webhooks.iter().find(|webhook| webhook.name() == &*notice.channel) {
                        Some(webhook) => webhook.send(&notice, now).await,
                        None => Outcome::Hopeless("its channel is no longer configured".to_owned()),
                    };
                    (notice, outcome)
                });
            }
            let sleep = self.sleep(keys.len()).await;
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.service.outbox_changed() => {}
                Some(done) = under_way.join_next() => {
                    if let Ok((notice, outcome)) = done {
                        keys.remove(&notice.key);
                        self.record(notice, outcome).await;
                    }
                }
                () = tokio::time::sleep(sleep) => {}
            }
        }
        while let Some(done) = under_way.join_next().await {
            if let Ok((notice, outcome)) = done {
                self.record(notice, outcome).await;
            }
        }
    }

    /// What is due, life-safety first: from disk, and from memory while the disk fails.
    async fn due(&self, limit: usize) -> Vec<Notice> {
        let now = self.clock.now();
        let service = Arc::clone(&self.service);
        let read = tokio::task::spawn_blocking(move || service.notices_due(now, limit)).await;
        read.unwrap_or_default()
    }

    async fn sleep(&self, under_way: usize) -> Duration {
        if under_way >= UNDER_WAY_MAX {
            return self.clock.real(SLEEP_MAX).max(Duration::from_secs(5));
        }
        let now = self.clock.now();
        let service = Arc::clone(&self.service);
        let next = tokio::task::spawn_blocking(move || service.next_notice_at())
            .await
            .ok()
            .flatten();
        let wait = next.map_or(SLEEP_MAX.millis(), |next| {
            u64::try_from(next.millis_since(now))
                .unwrap_or(0)
                .clamp(20, SLEEP_MAX.millis())
        });
        self.clock
            .real(Span::from_millis(wait))
            .max(Duration::from_millis(20))
    }

    async fn record(&self, notice: Notice, outcome: Outcome) {
        let done = after_attempt(notice, &outcome, self.clock.now());
        say(&done, &outcome);
        let service = Arc::clone(&self.service);
        if let Err(error) = tokio::task::spawn_blocking(move || service.record_notice(&done)).await {
            tracing::error!(%error, "the record of a notice was cut off");
        }
    }
}

/// Writes into the program's log how an attempt ended.
fn say(done: &Notice, outcome: &Outcome) {
    match outcome {
        Outcome::Delivered => tracing::debug!(key = %done.key, attempts = done.attempts, "notice delivered"),
        Outcome::Failed(why) | Outcome::Hopeless(why) if done.fate == Fate::GaveUp => say_given_up(done, why),
        Outcome::Failed(why) | Outcome::Hopeless(why) => say_again(done, why),
    }
}

fn say_given_up(done: &Notice, why: &str) {
    tracing::error!(key = %done.key, attempts = done.attempts, why, "notice given up");
}

fn say_again(done: &Notice, why: &str) {
    tracing::warn!(key = %done.key, attempts = done.attempts, why, "notice not delivered, will be sent again");
}

/// What becomes of a notice after an attempt that ended so, at `now`: pure.
///
/// The pauses are 1, 2, 4, 8, 16 … s, at most five minutes, each lengthened by up to a quarter by a hash of key and attempt,
/// so that many notices do not come back in step.
#[must_use]
pub fn after_attempt(notice: Notice, outcome: &Outcome, now: Timestamp) -> Notice {
    let attempts = notice.attempts.saturating_add(1);
    let old = now.millis_since(notice.made_at) > GIVE_UP_AFTER.millis_i64();
    match outcome {
        Outcome::Delivered => Notice {
            attempts,
            fate: Fate::Delivered,
            delivered_at: Some(now),
            ..notice
        },
        Outcome::Failed(_) if !old => {
            let next_at = now.plus(pause(&notice.key, attempts));
            Notice {
                attempts,
                next_at,
                ..notice
            }
        }
        Outcome::Failed(_) | Outcome::Hopeless(_) => Notice {
            attempts,
            fate: Fate::GaveUp,
            ..notice
        },
    }
}

/// The pause after that many attempts.
fn pause(key: &str, attempts: u32) -> Span {
    let doubled = 1000u64.saturating_mul(1 << attempts.saturating_sub(1).min(20));
    let base = doubled.min(PAUSE_MAX.millis());
    // FNV-1a, Source: draft-eastlake-fnv-17.
    let hash = key
        .bytes()
        .chain(attempts.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    Span::from_millis(base + hash % (base / 4 + 1))
}
