//! A message finds everybody who subscribes to its topic.

use std::sync::Arc;

use super::{Exchange, Keeping};
use crate::codec::packet::QoS;
use crate::keeper::{Change, Room};
use crate::message::Message;
use crate::records;
use crate::retained::Kept;
use crate::session::outbox::Entry;
use crate::session::{Session, State, Terms};
use crate::tree::{Group, Matches};

/// A message and who is to get it.
struct Plan {
    message: Arc<Message>,
    matches: Matches<Arc<Session>>,
}

impl Plan {
    /// Whether something of it has to be kept.
    fn is_kept(&self) -> bool {
        self.message.retain
            || self
                .matches
                .single
                .iter()
                .any(|(_, session)| session.is_lasting())
            || (self.matches.groups.iter())
                .any(|group| group.members.iter().any(|(_, member)| member.is_lasting()))
    }
}

impl Exchange {
    /// Puts `messages` into the queues of all who subscribe, in order, and retains those that ask for it. What
    /// that changes is kept together with `changes`; the publisher is answered when it is. `None`: there is
    /// nothing to wait for.
    pub(crate) fn route(&self, messages: &[Message], mut changes: Vec<Change>) -> Option<Keeping> {
        let plans = self.plans(messages);
        let kept = !changes.is_empty() || plans.iter().any(Plan::is_kept);
        let order = kept.then(|| self.ordered());
        for plan in &plans {
            if plan.message.retain {
                self.retain(&plan.message, &mut changes);
            }
            for (_, session) in &plan.matches.single {
                let terms = |state: &State| state.terms(&plan.message, session.mark);
                self.put_in(session, &plan.message, terms, None, &mut changes);
            }
            for group in &plan.matches.groups {
                self.offer(group, &plan.message, &mut changes);
            }
        }
        order.and_then(|order| self.keep_in(&order, changes))
    }

    fn plans(&self, messages: &[Message]) -> Vec<Plan> {
        let heard = self.listeners.load(std::sync::atomic::Ordering::Relaxed) > 0;
        let tree = heard.then(|| self.tree_read());
        let plan = |message: &Message| {
            let matches = (tree.as_ref())
                .map(|tree| tree.matches(&message.topic))
                .unwrap_or_default();
            let wanted = message.retain || !matches.single.is_empty() || !matches.groups.is_empty();
            wanted.then(|| Plan {
                message: Arc::new(message.clone().owned()),
                matches,
            })
        };
        messages.iter().filter_map(plan).collect()
    }

    fn retain(&self, message: &Arc<Message>, changes: &mut Vec<Change>) {
        let mut retained = self
            .retained
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match retained.set(message) {
            Kept::Set => changes.push(records::put_retained(message)),
            Kept::Cleared => changes.push(forget_retained(&message.topic)),
            Kept::Nothing => {}
            Kept::NoRoom => self.tally.retained_refused.one(),
        }
    }

    /// Forgets retained messages that have outlived their expiry.
    pub(crate) fn sweep_retained(&self, now: telemetry::Timestamp) -> Option<Keeping> {
        let expired = self.retained_read().expired(now);
        if expired.is_empty() {
            return None;
        }
        let order = self.ordered();
        let mut changes = Vec::new();
        let mut retained = self
            .retained
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Looked at again: it may have been replaced meanwhile.
        for topic in retained.expired(now) {
            retained.clear(&topic);
            self.tally.expired.one();
            changes.push(forget_retained(&topic));
        }
        drop(retained);
        self.keep_in(&order, changes)
    }

    /// Puts `message` into the queue of one session, as `terms` say; whether it is there.
    fn put_in(
        &self,
        session: &Arc<Session>,
        message: &Arc<Message>,
        terms: impl FnOnce(&State) -> Option<Terms>,
        share: Option<&str>,
        changes: &mut Vec<Change>,
    ) -> bool {
        let mut state = session.state();
        if state.ended {
            return false;
        }
        let Some(terms) = terms(&state) else {
            return false;
        };
        if terms.qos == QoS::Zero && !state.connected {
            return false;
        }
        let lasting = session.is_lasting();
        let bytes = message.size_bytes();
        if state.outbox.fits(bytes).is_err() {
            let gone = state.outbox.purge(message.arrived);
            self.tally.expired.add(gone.len());
            if lasting {
                changes.extend(gone.into_iter().map(|seq| forget_entry(session.number, seq)));
            }
        }
        if state.outbox.fits(bytes).is_err() {
            self.tally.dropped_queue_full.one();
            return false;
        }
        let entry = Entry {
            seq: state.outbox.number(),
            message: Arc::clone(message),
            qos: terms.qos,
            retain: terms.retain,
            ids: terms.ids,
            share: share.map(Into::into),
        };
        if lasting && entry.qos > QoS::Zero {
            changes.push(records::put_entry(session.number, &entry));
        }
        state.outbox.push(entry);
        drop(state);
        session.ring();
        true
    }

    /// Gives `message` to one member: of those that are connected the one whose turn it is, and when none of them
    /// is or has room, one whose session waits for it. Source: MQTT 5.0 §4.8.2.
    fn offer(&self, group: &Group<Arc<Session>>, message: &Arc<Message>, changes: &mut Vec<Change>) {
        let members: Vec<&Arc<Session>> = group.in_turn().collect();
        let is_here = |member: &&&Arc<Session>| member.state().connected;
        let here = members.iter().filter(is_here);
        let away = members.iter().filter(|member| !is_here(member));
        for member in here.chain(away) {
            let terms = |state: &State| state.shared_terms(message, &group.path);
            if self.put_in(member, message, terms, Some(&group.path), changes) {
                return;
            }
        }
        self.tally.dropped_shared.one();
    }

    /// Gives what one member of a shared subscription leaves behind to another.
    pub(super) fn hand_over(&self, entries: Vec<Entry>, changes: &mut Vec<Change>) {
        for entry in entries {
            let group = (entry.share.as_deref()).and_then(|path| self.tree_read().group(path));
            match group {
                Some(group) => self.offer(&group, &entry.message, changes),
                None => self.tally.dropped_shared.one(),
            }
        }
    }
}

pub(super) fn forget_entry(number: u64, seq: u64) -> Change {
    Change::Delete {
        room: Room::Queue,
        key: records::queue_key(number, seq),
    }
}

fn forget_retained(topic: &str) -> Change {
    Change::Delete {
        room: Room::Retained,
        key: topic.as_bytes().into(),
    }
}
