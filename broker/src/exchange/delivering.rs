//! What waits in a session goes out to its client, and the client answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use telemetry::Timestamp;

use super::routing::forget_entry;
use super::{Exchange, Keeping};
use crate::codec::packet::QoS;
use crate::keeper::{Change, Room};
use crate::records::{self, SendingRecord};
use crate::session::outbox::{Answer, Entry, Out};
use crate::session::{Session, State, Terms};

/// What goes out next.
pub(crate) struct Collected {
    pub(crate) out: Vec<Out>,
    /// What has to be kept first; `None` when nothing has.
    pub(crate) kept: Option<Keeping>,
}

/// What a client says about a message that went out to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// PUBACK.
    Ack,
    /// PUBREC, and whether it refuses.
    Rec { refused: bool },
    /// PUBCOMP.
    Comp,
}

/// Where a message comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Queue,
    Retained,
}

impl Exchange {
    /// Takes out what may go to the client now, up to about `bytes_max`. `may_go` says of each message whether the
    /// client may hear it and takes it; what may not go is done with.
    pub(crate) fn collect(
        &self,
        session: &Arc<Session>,
        now: Timestamp,
        bytes_max: usize,
        may_go: &mut dyn FnMut(&Entry) -> bool,
    ) -> Collected {
        let mut collected = Vec::new();
        let mut changes = Vec::new();
        let (mut bytes, mut wait) = (0, false);
        let mut state = session.state();
        while bytes < bytes_max {
            let next = self.next(session, &mut state, now, may_go, &mut changes);
            let Some(out) = next else { break };
            if let Out::Publish { entry, dup, .. } = &out {
                bytes += entry.message.size_bytes();
                wait |= entry.qos == QoS::Two && !dup;
            }
            collected.push(out);
        }
        session.mail.store(state.is_ready(), Ordering::Release);
        drop(state);
        let kept = self.keep(changes);
        Collected {
            out: collected,
            // A QoS 1 message may come twice after a crash; what was begun with QoS 2 has to be remembered
            // before it goes.
            kept: kept.filter(|_| wait),
        }
    }

    fn next(
        &self,
        session: &Session,
        state: &mut State,
        now: Timestamp,
        may_go: &mut dyn FnMut(&Entry) -> bool,
        changes: &mut Vec<Change>,
    ) -> Option<Out> {
        let lasting = session.is_lasting();
        while let Some(out) = state.outbox.resend() {
            match &out {
                Out::Publish { id, entry, .. } if !may_go(entry) => {
                    let (id, seq) = (*id, entry.seq);
                    state.outbox.forget(id);
                    if lasting {
                        changes.extend([forget_entry(session.number, seq), forget_id(session.number, id)]);
                    }
                }
                _ => return Some(out),
            }
        }
        loop {
            let (entry, source) = self.next_entry(session, state)?;
            let expired = entry.message.left_s(now).is_err();
            self.tally.expired.add(usize::from(expired));
            let kept = lasting && entry.qos > QoS::Zero;
            if expired || !may_go(&entry) {
                if kept && source == Source::Queue {
                    changes.push(forget_entry(session.number, entry.seq));
                }
                continue;
            }
            if kept && source == Source::Retained {
                changes.push(records::put_entry(session.number, &entry));
            }
            let out = state.outbox.send(entry);
            if let Out::Publish { id, entry, .. } = &out
                && kept
            {
                let record = SendingRecord {
                    seq: entry.seq,
                    released: false,
                };
                changes.push(records::put_sending(session.number, *id, record));
            }
            return Some(out);
        }
    }

    /// The next message: in turn from the queue and from what is retained, when both have one.
    fn next_entry(&self, session: &Session, state: &mut State) -> Option<(Entry, Source)> {
        let replay_first = state.replay_next || state.outbox.nothing_waits();
        state.replay_next = !state.replay_next;
        if replay_first && let Some(entry) = self.next_retained(session, state) {
            return Some((entry, Source::Retained));
        }
        if let Some(entry) = state.outbox.take() {
            return Some((entry, Source::Queue));
        }
        self.next_retained(session, state)
            .map(|entry| (entry, Source::Retained))
    }

    fn next_retained(&self, session: &Session, state: &mut State) -> Option<Entry> {
        if !state.outbox.has_room() {
            return None;
        }
        let retained = self.retained_read();
        while let Some(mut replay) = state.replays.pop_front() {
            let Some(subscription) = state.subscriptions.get(&replay.filter).copied() else {
                continue;
            };
            while let Some(message) = retained.next(&replay.filter, replay.after.as_deref()) {
                replay.after = Some(message.topic.clone());
                if subscription.no_local && message.from == session.mark {
                    continue;
                }
                let terms = Terms {
                    qos: subscription.qos.min(message.qos),
                    retain: true,
                    ids: subscription.id.into_iter().collect(),
                };
                state.replays.push_front(replay);
                return Some(Entry {
                    seq: state.outbox.number(),
                    message: Arc::clone(message),
                    qos: terms.qos,
                    retain: terms.retain,
                    ids: terms.ids,
                    share: None,
                });
            }
        }
        None
    }

    /// The client has answered what went out under `id`. What that changes is added to `changes`, which the caller
    /// keeps.
    pub(crate) fn answered(
        &self,
        session: &Session,
        spoken: Spoken,
        id: u16,
        changes: &mut Vec<Change>,
    ) -> Answer {
        let mut state = session.state();
        let answer = match spoken {
            Spoken::Ack => state.outbox.on_puback(id),
            Spoken::Rec { refused } => state.outbox.on_pubrec(id, refused),
            Spoken::Comp => state.outbox.on_pubcomp(id),
        };
        session.mail.store(state.is_ready(), Ordering::Release);
        drop(state);
        if session.is_lasting() {
            let number = session.number;
            match (spoken, answer) {
                (Spoken::Comp, Answer::Done(_)) => changes.push(forget_id(number, id)),
                (_, Answer::Done(seq)) => {
                    changes.extend([forget_entry(number, seq), forget_id(number, id)]);
                }
                (_, Answer::Release(Some(seq))) => {
                    let record = SendingRecord { seq, released: true };
                    changes.push(records::put_sending(number, id, record));
                    changes.push(forget_entry(number, seq));
                }
                (_, Answer::Release(None) | Answer::Unknown | Answer::Wrong) => {}
            }
        }
        answer
    }
}

fn forget_id(number: u64, id: u16) -> Change {
    Change::Delete {
        room: Room::Sending,
        key: records::id_key(number, id),
    }
}
