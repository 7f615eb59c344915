//! Lines of `/metrics` about the engine beside this program.

use std::sync::atomic::Ordering;

use store::journal::Journal;
use telemetry::Timestamp;

use super::Page;
use crate::remote::RemoteFeed;

/// Lines about the remote engine.
pub(super) fn lines(page: &mut Page, remote: &RemoteFeed, journal: &Journal, now: Timestamp) {
    let status = &remote.status;
    let newest = journal.newest().0;
    let up = status.trouble().is_none() && !status.stopped.load(Ordering::Acquire);
    for (name, help, value) in [
        (
            "remote_up",
            "1 unless the engine takes nothing or the feed has stopped",
            f64::from(u8::from(up)),
        ),
        (
            "remote_behind_messages",
            "messages of the journal that the engine has not acknowledged",
            newest.saturating_sub(status.sent_upto().0) as f64,
        ),
        (
            "remote_behind_seconds",
            "how long the oldest point that was read for the engine has waited",
            status.waits_ms(now) as f64 / 1000.0,
        ),
        (
            "remote_held_messages",
            "messages that the journal keeps until they are certainly on the engine's disk",
            newest.saturating_sub(status.durable_upto().0) as f64,
        ),
        (
            "remote_ignored_rows",
            "rows that the engine says it left out since it was started",
            status.ignored_by_engine.load(Ordering::Relaxed) as f64,
        ),
    ] {
        page.line(name, "gauge", help, value);
    }
    counters(page, remote);
}

fn counters(page: &mut Page, remote: &RemoteFeed) {
    let status = &remote.status;
    for (name, help, value) in [
        (
            "remote_sent_points_total",
            "points that the engine acknowledged",
            &status.sent,
        ),
        (
            "remote_requests_total",
            "writes that the engine acknowledged",
            &status.requests,
        ),
        (
            "remote_refused_points_total",
            "points that the engine refused: they are dead letters",
            &status.refused,
        ),
        (
            "remote_halved_total",
            "writes that the engine refused, to be sent in halves",
            &status.halved,
        ),
        (
            "remote_retried_total",
            "writes that were not answered, or with later",
            &status.retried,
        ),
        (
            "remote_left_out_points_total",
            "points that were not finite, or of nobody who is registered",
            &status.left_out,
        ),
        (
            "remote_replays_total",
            "times that was sent again what an engine had acknowledged before it was restarted",
            &status.replays,
        ),
        (
            "remote_missed_messages_total",
            "messages that the journal had dropped before they were sent",
            &status.missed,
        ),
    ] {
        page.line(name, "counter", help, value.load(Ordering::Relaxed) as f64);
    }
}
