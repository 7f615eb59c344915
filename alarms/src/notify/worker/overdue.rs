//! What was not delivered in time: the look for it, and the notices of the next channels.

use std::collections::HashSet;

use store::state::alarms::Notice;
use telemetry::Timestamp;
use telemetry::time::Span;

use super::{Alarm, Work};
use crate::notify::Notifier;
use crate::notify::failover::follow_up;
use crate::service::{AlarmError, Queue};

/// Notices whose time is over that are looked at in one turn; the others wait for the next.
const OVERDUE_MAX: usize = 500;

/// Keys of notices that went on that are remembered. Beyond, they are forgotten, and the outbox alone says which are there.
const PASSED_MAX: usize = 10_000;

/// Up to when the notices of a channel were looked through for those whose time is over.
pub(super) struct Watch {
    pub(super) channel: Box<str>,
    pub(super) patience: Span,
    pub(super) seen: Timestamp,
}

impl Notifier {
    /// Gives what was not delivered in time to the next channel.
    pub(super) async fn look_for_overdue(&self, work: &mut Work, queues: &[Queue], alarm: &mut Alarm) {
        for watch in &mut work.watches {
            if !queues.iter().any(|queue| queue.channel == watch.channel) {
                continue;
            }
            let (channel, from) = (watch.channel.clone(), watch.seen);
            let upto = alarm.wall.minus(watch.patience);
            let found = self
                .blocking(move |service| {
                    let over = service.undelivered(&channel, (from, upto), OVERDUE_MAX)?;
                    let next = service.undelivered(&channel, (from.max(upto), Timestamp::MAX), 1)?;
                    Ok::<_, AlarmError>((over, next))
                })
                .await;
            let Some(Ok((over, next))) = found else { continue };
            // A full page: the next turn goes on behind it.
            watch.seen = match over.last() {
                Some(last) if over.len() == OVERDUE_MAX => last.made_at,
                _ => upto.max(from),
            };
            if over.len() == OVERDUE_MAX {
                alarm.at(alarm.wall);
            }
            if let Some(next) = next.first() {
                alarm.at(next.made_at.plus(watch.patience));
            }
            self.pass_on(&mut work.passed, &over).await;
        }
    }

    /// Puts the notices of the next channels into the outbox, for those of `notices` that need it.
    pub(super) async fn pass_on(&self, passed: &mut HashSet<Box<str>>, notices: &[Notice]) {
        let now = self.clock.now();
        let mut more = Vec::new();
        for notice in notices {
            let Some(next) = follow_up(&self.settings, notice, now) else {
                continue;
            };
            if passed.len() >= PASSED_MAX {
                passed.clear();
            }
            // The outbox knows the key of every notice that went on; only a slow disk would not say so in time.
            if !passed.insert(next.key.clone()) {
                continue;
            }
            tracing::warn!(key = %notice.key, next = %next.channel, "not delivered in time: the next channel is used");
            if notice.life_safety {
                self.service.notify_status().pass_over(&notice.channel, now);
            }
            more.push(next);
        }
        if !more.is_empty() {
            self.blocking(move |service| service.add_notices(more)).await;
        }
    }
}
