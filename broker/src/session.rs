//! One session: what a client subscribes to, what waits for it, and what it has left behind. It may outlive
//! its connection.
//!
//! The connection of the client and the tasks of those who publish to it meet at [`Session::state`]; nobody
//! holds it over an await. A publisher rings the [`Bell`] when it has put something in.

mod bell;
pub(crate) mod outbox;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use telemetry::{DeviceId, Timestamp};

use crate::codec::packet::{QoS, Will};
use crate::message::Message;
use crate::topic;
use crate::tree::shared;
pub(crate) use bell::Bell;
use outbox::{Outbox, Stock};

/// What a client subscribed with one filter, as it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) qos: QoS,
    /// Not the client's own messages.
    pub(crate) no_local: bool,
    /// Messages keep their retain flag.
    pub(crate) as_published: bool,
    /// Told with each message.
    pub(crate) id: Option<u32>,
}

/// Retained messages that a new subscription is to get, topic after topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) filter: Box<str>,
    /// The topic that was looked at last.
    pub(crate) after: Option<Box<str>>,
}

/// A will that has been left here, and in whose name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LeftWill {
    pub(crate) will: Will,
    pub(crate) sender: DeviceId,
}

impl LeftWill {
    /// Seconds from the end of the connection to its publishing. Source: MQTT 5.0 §3.1.3.2.2.
    pub(crate) fn delay_s(&self) -> u32 {
        (self.will.properties.as_ref())
            .and_then(|properties| properties.will_delay_s)
            .unwrap_or(0)
    }
}

/// How a message goes to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) ids: Box<[u32]>,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Under which name the client is known.
    pub(crate) key: Box<str>,
    /// No other session, before or after, has it.
    pub(crate) number: u64,
    /// Stands for the client on messages that it published.
    pub(crate) mark: u64,
    pub(crate) bell: Bell,
    /// Whether something may wait; looked at without a lock.
    pub(crate) mail: AtomicBool,
    /// Whether it outlives its connection, and is therefore kept.
    lasting: AtomicBool,
    state: Mutex<State>,
}

/// The part of a session that changes.
#[derive(Debug)]
pub(crate) struct State {
    /// It is over: nothing may be added.
    pub(crate) ended: bool,
    /// Whether its client is connected.
    pub(crate) connected: bool,
    /// Seconds from the end of the connection to its own.
    pub(crate) expiry_s: u32,
    /// When its client went; `None` while it is connected.
    pub(crate) left: Option<Timestamp>,
    /// When something is to be done about it although its client is gone.
    pub(crate) due: Option<Timestamp>,
    /// By filter, `$share/…` included.
    pub(crate) subscriptions: BTreeMap<Box<str>, Subscription>,
    /// Whether all of them are of the kind that the router serves; once they are not, they never are again.
    pub(crate) by_router: bool,
    pub(crate) outbox: Outbox,
    pub(crate) replays: VecDeque<Replay>,
    /// Whether the next message comes from `replays` when both have one.
    pub(crate) replay_next: bool,
    /// Packet identifiers of QoS 2 messages from the client that it has not released.
    pub(crate) received: BTreeSet<u16>,
    pub(crate) will: Option<LeftWill>,
    /// When the will is published, while its client is gone.
    pub(crate) will_due: Option<Timestamp>,
}

impl Session {
    pub(crate) fn new(key: Box<str>, number: u64, lasting: bool, stock: Stock) -> Self {
        Self {
            mark: mark(&key),
            key,
            number,
            bell: Bell::default(),
            mail: AtomicBool::new(false),
            lasting: AtomicBool::new(lasting),
            state: Mutex::new(State {
                ended: false,
                connected: false,
                expiry_s: 0,
                left: None,
                due: None,
                subscriptions: BTreeMap::new(),
                by_router: true,
                outbox: Outbox::new(stock),
                replays: VecDeque::new(),
                replay_next: true,
                received: BTreeSet::new(),
                will: None,
                will_due: None,
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it outlives its connection.
    pub(crate) fn is_lasting(&self) -> bool {
        self.lasting.load(Ordering::Relaxed)
    }

    /// Changed under the lock of what is kept.
    pub(crate) fn set_lasting(&self, lasting: bool) {
        self.lasting.store(lasting, Ordering::Relaxed);
    }

    /// Whether something may wait that can go out.
    pub(crate) fn has_mail(&self) -> bool {
        self.mail.load(Ordering::Acquire)
    }

    /// Something was put in.
    pub(crate) fn ring(&self) {
        self.mail.store(true, Ordering::Release);
        self.bell.ring();
    }
}

/// Stands for a client on its messages, over restarts too. Two clients with one mark would not hear each other
/// where they asked not to hear themselves; nothing else hangs on it.
pub(crate) fn mark(key: &str) -> u64 {
    // FNV-1a. Source: <http://www.isthe.com/chongo/tech/comp/fnv/>.
    key.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

impl Subscription {
    /// Whether the router serves it: live, at most once, to this client alone. The router forgets who
    /// published, and ends when a topic does not begin with an ASCII character.
    pub(crate) fn by_router(&self, path: &str) -> bool {
        self.qos == QoS::Zero && !self.no_local && path.is_ascii() && shared(path).is_none()
    }
}

impl State {
    /// How `message` goes to the client through its own subscriptions, or `None` when none of them wants it.
    /// It goes once, with the best QoS of them and all their identifiers. Source: MQTT 5.0 §3.3.4.
    pub(crate) fn terms(&self, message: &Message, mark: u64) -> Option<Terms> {
        let mut terms: Option<Terms> = None;
        let mut ids = Vec::new();
        for (filter, subscription) in &self.subscriptions {
            let wants = !(filter.starts_with("$share/")
                || subscription.no_local && message.from == mark
                || !topic::matches(filter, &message.topic));
            if !wants {
                continue;
            }
            let qos = subscription.qos.min(message.qos);
            let retain = message.retain && subscription.as_published;
            ids.extend(subscription.id);
            let before = terms.take();
            terms = Some(Terms {
                qos: before.as_ref().map_or(qos, |before| before.qos.max(qos)),
                retain: before.is_some_and(|before| before.retain) || retain,
                ids: Box::default(),
            });
        }
        terms.map(|terms| Terms {
            ids: ids.into(),
            ..terms
        })
    }

    /// How `message` goes to the client through the shared subscription `path`.
    pub(crate) fn shared_terms(&self, message: &Message, path: &str) -> Option<Terms> {
        let subscription = self.subscriptions.get(path)?;
        Some(Terms {
            qos: subscription.qos.min(message.qos),
            retain: message.retain && subscription.as_published,
            ids: subscription.id.into_iter().collect(),
        })
    }

    /// Whether something could go out now.
    pub(crate) fn is_ready(&self) -> bool {
        self.outbox.is_ready() || !self.replays.is_empty() && self.outbox.has_room()
    }
}

#[cfg(test)]
mod tests;
