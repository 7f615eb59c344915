//! Subscriptions come and go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::routing::forget_entry;
use super::{Exchange, Keeping};
use crate::codec::packet::{QoS, RetainHandling};
use crate::codec::reason;
use crate::keeper::{Change, Room};
use crate::limits::{SUBSCRIPTIONS_IN_ALL_MAX, SUBSCRIPTIONS_MAX};
use crate::records;
use crate::session::{Replay, Session, State, Subscription};
use crate::tree::shared;

/// One filter that a client asks for and may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) path: Box<str>,
    pub(crate) subscription: Subscription,
    pub(crate) handling: RetainHandling,
}

/// What came of a SUBSCRIBE.
pub(crate) struct Subscribed {
    /// The code of each wish.
    pub(crate) codes: Vec<u8>,
    pub(crate) way: Way,
    pub(crate) kept: Option<Keeping>,
}

/// On which way live messages reach a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The router serves it: it is to be asked for these filters.
    Router(Vec<Box<str>>),
    /// The tree serves it. A link to the router, if there is one, can go.
    Tree,
}

impl Exchange {
    /// Subscribes: messages that are routed after this returns reach the session, except those on the router's way.
    pub(crate) fn subscribe(&self, session: &Arc<Session>, wishes: Vec<Wish>) -> Subscribed {
        let order = self.ordered();
        let mut changes = Vec::new();
        let mut codes = Vec::with_capacity(wishes.len());
        let mut state = session.state();
        let mut new = Vec::new();
        for wish in wishes {
            let known = state.subscriptions.contains_key(&wish.path);
            let full = state.subscriptions.len() >= SUBSCRIPTIONS_MAX
                || self.listeners.load(Ordering::Relaxed) >= SUBSCRIPTIONS_IN_ALL_MAX;
            if full && !known {
                codes.push(reason::QUOTA_EXCEEDED);
                continue;
            }
            codes.push(wish.subscription.qos.bits());
            if session.is_lasting() {
                let put = records::put_subscription(session.number, &wish.path, &wish.subscription);
                changes.push(put);
            }
            replay(&mut state, &wish, known);
            state.subscriptions.insert(wish.path.clone(), wish.subscription);
            new.push(wish.path);
        }
        let ready = state.is_ready();
        let way = self.way(session, &mut state, new);
        drop(state);
        if ready {
            session.ring();
        }
        let kept = self.keep_in(&order, changes);
        Subscribed { codes, way, kept }
    }

    /// Decides on which way `new` filters are served, and takes all into the tree when one needs it.
    fn way(&self, session: &Arc<Session>, state: &mut State, new: Vec<Box<str>>) -> Way {
        let by_router = |path: &str| {
            (state.subscriptions.get(path)).is_some_and(|subscription| subscription.by_router(path))
        };
        if state.by_router && new.iter().all(|path| by_router(path)) {
            return Way::Router(new);
        }
        if state.by_router {
            self.move_to_tree(session, state);
        } else {
            self.change_tree(|tree| {
                for path in &new {
                    tree.insert(path, session.number, Arc::clone(session));
                }
            });
        }
        Way::Tree
    }

    fn move_to_tree(&self, session: &Arc<Session>, state: &mut State) {
        state.by_router = false;
        self.change_tree(|tree| {
            for path in state.subscriptions.keys() {
                tree.insert(path, session.number, Arc::clone(session));
            }
        });
    }

    /// The router cannot serve this session: the tree does from now on.
    pub(crate) fn leave_router(&self, session: &Arc<Session>) {
        let mut state = session.state();
        if state.by_router {
            self.move_to_tree(session, &mut state);
        }
    }

    /// Ends subscriptions: for each filter whether there was one.
    pub(crate) fn unsubscribe(
        &self,
        session: &Arc<Session>,
        filters: &[Box<str>],
    ) -> (Vec<bool>, Option<Keeping>) {
        let order = self.ordered();
        let mut changes = Vec::new();
        let mut given_up = Vec::new();
        let mut state = session.state();
        let known: Vec<bool> = (filters.iter())
            .map(|filter| state.subscriptions.remove(filter).is_some())
            .collect();
        for (filter, _) in filters.iter().zip(&known).filter(|(_, known)| **known) {
            state.replays.retain(|replay| replay.filter != *filter);
            if shared(filter).is_some() {
                given_up.extend(state.outbox.give_up_shared(Some(filter)));
            }
            if session.is_lasting() {
                let key = records::key(session.number, filter.as_bytes());
                let room = Room::Subscriptions;
                changes.push(Change::Delete { room, key });
            }
        }
        let in_tree = !state.by_router;
        drop(state);
        if in_tree {
            self.change_tree(|tree| {
                for filter in filters {
                    tree.remove(filter, session.number);
                }
            });
        }
        if session.is_lasting() {
            changes.extend(
                given_up
                    .iter()
                    .map(|entry| forget_entry(session.number, entry.seq)),
            );
        }
        self.hand_over(given_up, &mut changes);
        let kept = self.keep_in(&order, changes);
        (known, kept)
    }
}

/// Begins to send what is retained, when the subscription asks for it. Source: MQTT 5.0 §3.3.1.3.
fn replay(state: &mut State, wish: &Wish, known: bool) {
    let wanted = match wish.handling {
        RetainHandling::Always => true,
        RetainHandling::New => !known,
        RetainHandling::Never => false,
    };
    if wanted && shared(&wish.path).is_none() {
        state.replays.retain(|replay| replay.filter != wish.path);
        state.replays.push_back(Replay {
            filter: wish.path.clone(),
            after: None,
        });
    }
}

/// What [`Exchange::subscribe`] takes from a granted filter.
impl Wish {
    pub(crate) fn new(filter: &crate::codec::packet::Filter, qos: QoS, id: Option<u32>) -> Self {
        Self {
            path: filter.path.clone(),
            subscription: Subscription {
                qos,
                no_local: filter.no_local,
                as_published: filter.as_published,
                id,
            },
            handling: filter.handling,
        }
    }
}
