//! The sign of life: when it is due, and what is sent. Pure.
//!
//! It goes through the same loop and the same client as every notice, and only after the outbox has been read: a worker that
//! stands still misses it, and the receiver elsewhere calls people.

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use telemetry::Timestamp;
use telemetry::time::Span;

use super::alertmanager;
use super::http::Ask;
use crate::settings::HeartbeatForm;

/// When the next sign of life is due. Times are of a clock that never steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    every: Span,
    next: Span,
}

impl Pulse {
    /// The first one is due at once.
    #[must_use]
    pub(super) const fn new(every: Span, now: Span) -> Self {
        Self { every, next: now }
    }

    /// Whether one is due at `now`; the next is then due an interval later. What was missed is not sent afterwards.
    pub(super) fn beats(&mut self, now: Span) -> bool {
        if now < self.next {
            return false;
        }
        self.next = Span::from_millis(now.millis().saturating_add(self.every.millis()));
        true
    }

    /// When the next one is due.
    #[must_use]
    pub(super) const fn next(&self) -> Span {
        self.next
    }
}

/// The request for a sign of life. `since` is when the worker began.
pub(super) fn ask(url: &Url, form: HeartbeatForm, since: Timestamp, public_url: Option<&str>) -> Ask {
    let plain = |method| Ask {
        method,
        url: url.clone(),
        headers: HeaderMap::new(),
        body: None,
    };
    match form {
        HeartbeatForm::Alertmanager => Ask::json(url.clone(), alertmanager::watchdog(since, public_url)),
        HeartbeatForm::Get => plain(Method::GET),
        HeartbeatForm::Post => plain(Method::POST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_beats_once_an_interval_and_does_not_catch_up() {
        let at = Span::from_secs;
        let mut pulse = Pulse::new(at(60), at(10));
        let beats: Vec<u64> = [10, 11, 69, 70, 71, 400, 401, 459, 460]
            .into_iter()
            .filter(|second| pulse.beats(at(*second)))
            .collect();
        assert_eq!(beats, [10, 70, 400, 460]);
    }
}
