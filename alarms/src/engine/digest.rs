//! What history had to tell, told at once: a digest for each recipient, when the history of all rules has come to rest.

use std::sync::Arc;

use telemetry::Timestamp;
use telemetry::time::Span;

use super::state::Excursion;
use super::timers::What;
use super::{DigestItem, Engine, EventKind, Extra, Transition};

/// A digest waits this long at most for history to come to rest.
const DIGEST_WAIT_MAX: Span = Span::from_secs(900);
/// Most lines of a digest; the others come in a second one.
const DIGEST_ITEMS_MAX: usize = 1000;

impl Engine {
    /// The next digest tells of it.
    pub(super) fn note_excursion(&mut self, rule: u32, since: Timestamp, worst: f64) {
        let due_max = self.now.plus(DIGEST_WAIT_MAX);
        let before = self.rare(rule).and_then(|rare| rare.excursion);
        let excursion = before.map_or(
            Excursion {
                since,
                worst,
                due_max,
            },
            |before| Excursion {
                since: before.since.min(since),
                worst: self.worse(rule, before.worst, worst),
                ..before
            },
        );
        if let Some(rare) = self.rare_mut(rule) {
            rare.excursion = Some(excursion);
        }
        self.touch_rule(rule);
    }

    /// More history has come: what there is to be told waits until no more comes for the lateness L.
    pub(super) fn put_off_digest(&mut self, rule: u32) {
        let rests_at = self.now.plus(self.spans.lateness);
        let tells = self.state_of(rule).is_some_and(|state| {
            let excursion = state.rare.as_ref().is_some_and(|rare| rare.excursion.is_some());
            state.run.is_some() || excursion
        });
        if !tells {
            return;
        }
        if let Some(rare) = self.rare_mut(rule) {
            rare.rests_at = Some(rests_at);
        }
        self.touch_rule(rule);
        self.resting.insert(rule);
        self.arm_digest(rests_at);
    }

    /// Looks at `at` whether history has come to rest, unless it is looked at before.
    pub(super) fn arm_digest(&mut self, at: Timestamp) {
        if self.digest_at.is_none_or(|before| at < before) {
            self.digest_at = Some(at);
            self.timers.push(at, What::Digest, 0);
        }
    }

    /// History may have come to rest: when that of all rules has, each recipient gets one digest. No more than
    /// [`DIGEST_WAIT_MAX`] after the first that is to be told, whatever still comes.
    pub(super) fn digest_fires(&mut self, at: Timestamp, out: &mut Vec<Transition>) {
        if self.digest_at != Some(at) {
            return;
        }
        self.digest_at = None;
        if self.digest_due().is_some_and(|due| due <= at) {
            let resting: Vec<u32> = self.resting.iter().copied().collect();
            for rule in &resting {
                if self.rests_at(*rule).is_none_or(|rests_at| rests_at <= at) {
                    self.end_run(*rule, out);
                    self.resting.remove(rule);
                    if let Some(rare) = self.rare_mut(*rule) {
                        rare.rests_at = None;
                    }
                    self.touch_rule(*rule);
                }
            }
            self.tell_digest(&resting, out);
        }
        if let Some(due) = self.digest_due() {
            self.arm_digest(due);
        }
    }

    fn rests_at(&self, rule: u32) -> Option<Timestamp> {
        self.rare(rule).and_then(|rare| rare.rests_at)
    }

    /// When there will be a digest if no more history comes; none when nothing waits for one.
    fn digest_due(&self) -> Option<Timestamp> {
        let rests = self
            .resting
            .iter()
            .filter_map(|rule| self.rests_at(*rule))
            .max()?;
        let excursions = self.resting.iter().filter_map(|rule| self.rare(*rule)?.excursion);
        let overdue = excursions.map(|excursion| excursion.due_max).min();
        Some(overdue.map_or(rests, |overdue| overdue.min(rests)))
    }

    fn tell_digest(&mut self, rules: &[u32], out: &mut Vec<Transition>) {
        let mut by_recipient: Vec<(Arc<str>, Vec<DigestItem>)> = Vec::new();
        for rule in rules.iter().copied() {
            let excursion = self.rare_mut(rule).and_then(|rare| rare.excursion.take());
            let Some(Excursion { since, worst, .. }) = excursion else {
                continue;
            };
            self.touch_rule(rule);
            for to in self.recipients(rule, self.is_in_test(rule)) {
                let item = DigestItem { rule, since, worst };
                let with_room = |(known, items): &&mut (Arc<str>, Vec<DigestItem>)| {
                    *known == to && items.len() < DIGEST_ITEMS_MAX
                };
                match by_recipient.iter_mut().find(with_room) {
                    Some((_, items)) => items.push(item),
                    None => by_recipient.push((to, vec![item])),
                }
            }
        }
        for (to, items) in by_recipient {
            let extra = Extra {
                key: Some(format!("digest#{}.{to}", self.seq + 1).into()),
                to: Some(to),
                items,
                ..Extra::default()
            };
            self.emit_plain(EventKind::Digest, extra, out);
        }
    }
}
