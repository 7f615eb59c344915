//! Sessions begin, are taken up again, are left behind, and end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use telemetry::Timestamp;
use telemetry::time::Span;

use super::{Exchange, Keeping};
use crate::codec::reason;
use crate::keeper::{Change, Room};
use crate::limits::{LASTING_SESSIONS_MAX, SEND_WINDOW};
use crate::records::{self, SessionRecord};
use crate::session::{LeftWill, Session, State};

/// A client that has been let in.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) key: Box<str>,
    /// Whether a session of before is not wanted.
    pub(crate) clean: bool,
    /// How long its session outlives its connection; 0 not at all.
    pub(crate) expiry_s: u32,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) will: Option<LeftWill>,
    pub(crate) now: Timestamp,
}

/// Its session.
pub(crate) struct Entered {
    pub(crate) session: Arc<Session>,
    /// Whether it was there before.
    pub(crate) present: bool,
    /// The client is told when this is done.
    pub(crate) kept: Option<Keeping>,
    /// The will of the session that ended because this one is new.
    pub(crate) orphan: Option<Due>,
}

/// How a client goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) will: WillWish,
    /// What its DISCONNECT said.
    pub(crate) expiry_s: Option<u32>,
    pub(crate) now: Timestamp,
}

/// What becomes of a will when its client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WillWish {
    /// The client took it back.
    Forget,
    /// It is published when its delay is over.
    Publish,
    /// The gate stops: it stays with a session that is kept, and goes with any other.
    Stay,
}

/// A will that is to be published now.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) will: LeftWill,
    pub(crate) mark: u64,
    /// To be kept together with what its publishing changes.
    pub(crate) changes: Vec<Change>,
}

impl Exchange {
    /// Begins a session, or takes up the one of before.
    ///
    /// # Errors
    /// The reason code: there is no room for another lasting session.
    pub(crate) fn enter(&self, caller: Caller) -> Result<Entered, u8> {
        let order = self.ordered();
        let mut changes = Vec::new();
        let before = self.list().by_key.get(&caller.key).cloned();
        let (usable, orphan) = match before {
            Some(session) if caller.clean || is_over(&session.state(), caller.now) => {
                (None, self.end(&session, &mut changes))
            }
            before => (before, None),
        };
        let present = usable.is_some();
        let session = match usable {
            Some(session) => {
                self.take_up(&session, &caller, &mut changes);
                session
            }
            None => self.begin(&caller)?,
        };
        self.settle_in(&session, caller, &mut changes);
        let kept = self.keep_in(&order, changes);
        Ok(Entered {
            session,
            present,
            kept,
            orphan,
        })
    }

    fn begin(&self, caller: &Caller) -> Result<Arc<Session>, u8> {
        let lasting = caller.expiry_s > 0;
        let mut list = self.list();
        if lasting && list.lasting >= LASTING_SESSIONS_MAX {
            return Err(reason::QUOTA_EXCEEDED);
        }
        list.lasting += usize::from(lasting);
        list.last_number += 1;
        let session = Session::new(
            caller.key.clone(),
            list.last_number,
            lasting,
            Arc::clone(&self.stock),
        );
        let session = Arc::new(session);
        list.by_key.insert(caller.key.clone(), Arc::clone(&session));
        Ok(session)
    }

    fn take_up(&self, session: &Arc<Session>, caller: &Caller, changes: &mut Vec<Change>) {
        self.tally.sessions_resumed.one();
        let due = session.state().due.take();
        let mut list = self.list();
        if let Some(due) = due {
            list.due.remove(&(due, session.number));
        }
        if caller.expiry_s == 0 && session.is_lasting() {
            // From now on it ends with its connection: a crash ends that too.
            list.lasting = list.lasting.saturating_sub(1);
            session.set_lasting(false);
            changes.extend(records::forget_session(session.number));
        }
    }

    fn settle_in(&self, session: &Arc<Session>, caller: Caller, changes: &mut Vec<Change>) {
        let mut state = session.state();
        state.connected = true;
        state.left = None;
        state.expiry_s = caller.expiry_s;
        state.will_due = None;
        state.will = caller.will;
        state.outbox.attach(caller.receive_maximum.or(Some(SEND_WINDOW)));
        session.mail.store(state.is_ready(), Ordering::Release);
        if session.is_lasting() {
            changes.push(record(session, &state));
            changes.push(match &state.will {
                Some(will) => records::put_will(session.number, will, None),
                None => forget_will(session.number),
            });
        }
    }

    /// Leaves a session behind, or ends it; the will, when it is to be published now.
    pub(crate) fn leave(&self, session: &Arc<Session>, left: Left) -> (Option<Due>, Option<Keeping>) {
        let order = self.ordered();
        let mut changes = Vec::new();
        let due = self.go(session, left, &mut changes);
        let kept = self.keep_in(&order, changes);
        (due, kept)
    }

    fn go(&self, session: &Arc<Session>, left: Left, changes: &mut Vec<Change>) -> Option<Due> {
        let mut state = session.state();
        state.connected = false;
        state.left = Some(left.now);
        state.expiry_s = left.expiry_s.unwrap_or(state.expiry_s);
        let ends = state.expiry_s == 0 || !session.is_lasting();
        let mut due = None;
        match left.will {
            WillWish::Stay if !ends => {}
            WillWish::Forget | WillWish::Stay => {
                if state.will.take().is_some() && session.is_lasting() {
                    changes.push(forget_will(session.number));
                }
            }
            WillWish::Publish => due = will_at(session, &mut state, left.now, ends, changes),
        }
        if ends {
            drop(state);
            // A will that was to be published has been taken out above.
            self.end(session, changes);
            return due;
        }
        changes.push(record(session, &state));
        let at = next_due(&state);
        state.due = at;
        drop(state);
        if let Some(at) = at {
            self.list().due.insert((at, session.number), Arc::clone(session));
        }
        due
    }

    /// Ends a session: nothing is left of it, and what other members of its shared subscriptions may have, they
    /// get. Its will, when one waits.
    fn end(&self, session: &Arc<Session>, changes: &mut Vec<Change>) -> Option<Due> {
        let mut state = session.state();
        state.ended = true;
        let subscriptions = std::mem::take(&mut state.subscriptions);
        let in_tree = !state.by_router;
        let given_up = state.outbox.give_up_shared(None);
        let will = state.will.take();
        let due = state.due.take();
        drop(state);
        {
            let mut list = self.list();
            if let Some(due) = due {
                list.due.remove(&(due, session.number));
            }
            let current = list.by_key.get(&session.key);
            if current.is_some_and(|current| current.number == session.number) {
                list.by_key.remove(&session.key);
            }
            list.lasting = list.lasting.saturating_sub(usize::from(session.is_lasting()));
        }
        if in_tree {
            self.change_tree(|tree| {
                for filter in subscriptions.keys() {
                    tree.remove(filter, session.number);
                }
            });
        }
        if session.is_lasting() {
            changes.extend(records::forget_session(session.number));
        }
        self.hand_over(given_up, changes);
        will.map(|will| Due {
            will,
            mark: session.mark,
            changes: Vec::new(),
        })
    }

    /// Ends what is over at `now`, and names the wills whose time has come. Called every now and then.
    pub(crate) fn sweep(&self, now: Timestamp) -> (Vec<Due>, Option<Keeping>) {
        let order = self.ordered();
        let mut wills = Vec::new();
        let mut changes = Vec::new();
        while let Some(session) = self.pop_due(now) {
            let mut state = session.state();
            state.due = None;
            if state.will_due.is_some_and(|due| due <= now) {
                wills.extend(take_will(&session, &mut state));
            }
            if is_over(&state, now) {
                drop(state);
                self.tally.sessions_expired.one();
                wills.extend(self.end(&session, &mut changes));
            } else if let Some(at) = next_due(&state) {
                state.due = Some(at);
                drop(state);
                self.list().due.insert((at, session.number), session);
            }
        }
        let kept = self.keep_in(&order, changes);
        (wills, kept)
    }

    /// Ends the sessions without a client whose owner may not come in any more. Their wills are forgotten.
    pub(crate) fn prune(&self, is_welcome: &dyn Fn(&str) -> bool) -> Option<Keeping> {
        let waiting: Vec<Arc<Session>> = (self.list().by_key.values())
            .filter(|session| !is_welcome(&session.key))
            .cloned()
            .collect();
        let order = self.ordered();
        let mut changes = Vec::new();
        for session in waiting {
            // Whoever is connected is told by the connection.
            let gone = !session.state().connected;
            if gone {
                self.end(&session, &mut changes);
            }
        }
        self.keep_in(&order, changes)
    }

    fn pop_due(&self, now: Timestamp) -> Option<Arc<Session>> {
        let mut list = self.list();
        let first = list.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// Whether a session has outlived its expiry.
fn is_over(state: &State, now: Timestamp) -> bool {
    !state.connected && state.left.is_some_and(|left| end_of(left, state.expiry_s) <= now)
}

fn end_of(left: Timestamp, expiry_s: u32) -> Timestamp {
    left.plus(Span::from_secs(expiry_s.into()))
}

/// When something is next to be done about a session whose client is gone.
pub(super) fn next_due(state: &State) -> Option<Timestamp> {
    let end = state.left.map(|left| end_of(left, state.expiry_s));
    match (end, state.will_due) {
        (Some(end), Some(will)) => Some(end.min(will)),
        (end, will) => end.or(will),
    }
}

pub(super) fn record(session: &Session, state: &State) -> Change {
    let record = SessionRecord {
        key: session.key.clone(),
        expiry_s: state.expiry_s,
        left: state.left,
    };
    records::put_session(session.number, &record)
}

fn forget_will(number: u64) -> Change {
    Change::Delete {
        room: Room::Wills,
        key: records::session_key(number),
    }
}

/// Takes the will out, to be published now.
fn take_will(session: &Session, state: &mut State) -> Option<Due> {
    state.will_due = None;
    Some(Due {
        will: state.will.take()?,
        mark: session.mark,
        changes: if session.is_lasting() {
            vec![forget_will(session.number)]
        } else {
            Vec::new()
        },
    })
}

/// The will of a client that has just gone without a word: published at once, or when its delay is over, or when
/// the session ends, whichever is first. Source: MQTT 5.0 §3.1.3.2.2.
fn will_at(
    session: &Session,
    state: &mut State,
    now: Timestamp,
    ends: bool,
    changes: &mut Vec<Change>,
) -> Option<Due> {
    let left = state.will.as_ref()?;
    let delay_s = left.delay_s();
    if ends || delay_s == 0 {
        return take_will(session, state);
    }
    let due = now.plus(Span::from_secs(delay_s.into()));
    changes.push(records::put_will(session.number, left, Some(due)));
    state.will_due = Some(due);
    None
}
