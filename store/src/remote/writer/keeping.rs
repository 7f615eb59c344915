//! What a writer keeps in the state database: its cursor, and the lines that were refused.

use std::ops::Range;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use telemetry::time::Span;
use telemetry::{DeadLetter, DeviceId, Origin};

use super::Writer;
use crate::remote::line::Lines;
use crate::state::dead_letters::DeadLetterBounds;
use crate::state::remote::RemoteCursor;

/// Longest time for which an advanced cursor is only in memory. What it would have saved is sent again.
const COMMIT_EVERY: Span = Span::from_secs(1);

impl Writer {
    /// Makes dead letters of refused lines, unless they are that already.
    pub(super) fn bury(&mut self, lines: &Lines, given_up: Range<usize>, reason: &str) {
        self.status
            .refused
            .fetch_add(given_up.len() as u64, Ordering::Relaxed);
        if lines.last <= self.buried_upto {
            return; // A replay: they are dead letters already.
        }
        let arrived = self.clock.now();
        for line in given_up {
            let owner = lines
                .series(line)
                .and_then(|series| self.catalogue.series(series));
            let Some((entry, _)) = owner else {
                continue; // Only what has an owner became a line.
            };
            let sender: &DeviceId = &entry.device.id;
            let text = lines.text(&(line..line + 1)).trim_end().as_bytes();
            self.letters.push(DeadLetter {
                lsn: lines.last,
                arrived,
                origin: Origin::Server,
                sender: sender.clone(),
                topic: format!("remote/{}", self.name).into(),
                reason: format!("the remote engine refused the point: {reason}").into(),
                payload: Bytes::copy_from_slice(text),
            });
        }
    }

    /// Keeps cursor and dead letters when that is due, or `now`. False when it was told to stop before it could.
    pub(super) fn keep(&mut self, stop: &dyn Fn() -> bool, now: bool) -> bool {
        loop {
            let at = self.clock.monotonic();
            let cursor = RemoteCursor {
                durable: self.trail.durable(self.alive_at).max(self.kept.durable),
                sent: self.trail.sent().max(self.buried_upto),
            };
            let due = at.millis() >= self.kept_at.millis().saturating_add(COMMIT_EVERY.millis());
            if self.letters.is_empty() && (cursor == self.kept || !(due || now)) {
                return true;
            }
            let bounds = DeadLetterBounds::default();
            match self
                .state
                .advance_remote(&self.identity, cursor, &self.letters, bounds)
            {
                Ok(()) => {
                    self.letters.clear();
                    self.kept = cursor;
                    self.kept_at = at;
                    self.buried_upto = cursor.sent;
                    self.status.set_upto(self.trail.sent(), cursor.durable);
                    return true;
                }
                Err(error) => {
                    let why = telemetry::with_causes(&error);
                    if stop() || !self.wait_after(why, None, stop) {
                        return false;
                    }
                }
            }
        }
    }
}
