//! What was kept comes back before the first client.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use telemetry::Timestamp;
use telemetry::time::Span;

use super::coming::{next_due, record};
use super::routing::forget_entry;
use super::{Exchange, List};
use crate::counters::Tally;
use crate::keeper::{Change, Room};
use crate::records::{self, Damaged, SendingRecord, SessionRecord};
use crate::retained::Retained;
use crate::session::outbox::{Entry, Stock};
use crate::session::{LeftWill, Session, Subscription};
use crate::tree::Tree;
use crate::{Keeper, KeeperError};

/// What is kept of one session.
#[derive(Default)]
struct Parts {
    session: Option<SessionRecord>,
    subscriptions: BTreeMap<Box<str>, Subscription>,
    queue: BTreeMap<u64, Entry>,
    sending: BTreeMap<u16, SendingRecord>,
    received: Vec<u16>,
    will: Option<(LeftWill, Option<Timestamp>)>,
}

/// Everything that is kept.
#[derive(Default)]
struct Found {
    parts: BTreeMap<u64, Parts>,
    retained: Retained,
    damaged: usize,
}

impl Found {
    /// Takes one record in.
    fn take(&mut self, room: Room, key: &[u8], value: &[u8]) {
        if let Err(Damaged(why)) = self.try_take(room, key, value) {
            self.damaged += 1;
            let shown = key.escape_ascii().to_string();
            tracing::error!(?room, key = %shown, why, "a kept record is damaged and left out");
        }
    }

    fn try_take(&mut self, room: Room, key: &[u8], value: &[u8]) -> Result<(), Damaged> {
        if room == Room::Retained {
            let message = records::retained(key, value)?;
            if message.topic.as_bytes() != key {
                return Err(Damaged("topic is not its key"));
            }
            self.retained.restore(Arc::new(message));
            return Ok(());
        }
        let (number, rest) = records::of_session(key)?;
        let parts = self.parts.entry(number).or_default();
        match room {
            Room::Sessions => parts.session = Some(records::session(key, value)?),
            Room::Subscriptions => {
                let filter = records::text_of(rest)?;
                parts
                    .subscriptions
                    .insert(filter.into(), records::subscription(key, value)?);
            }
            Room::Queue => {
                let entry = records::entry(key, value)?;
                parts.queue.insert(entry.seq, entry);
            }
            Room::Sending => {
                let id = records::id_of(rest)?;
                parts.sending.insert(id, records::sending(key, value)?);
            }
            Room::Received => parts.received.push(records::received(key, value)?),
            Room::Wills => parts.will = Some(records::will(key, value)?),
            Room::Retained => {}
        }
        Ok(())
    }
}

impl Exchange {
    /// Reads what `keeper` holds. Sessions whose client was connected when the process ended count as left at
    /// `now`. Blocks.
    ///
    /// # Errors
    /// [`KeeperError`]: it cannot be read at all. A damaged record is reported, counted and left out.
    pub(crate) fn load(
        keeper: Arc<dyn Keeper>,
        tally: Arc<Tally>,
        now: Timestamp,
    ) -> Result<Self, KeeperError> {
        let mut found = Found::default();
        keeper.load(&mut |room, key, value| found.take(room, key, value))?;
        tally.kept_damaged.add(found.damaged);
        let exchange = Self {
            keeper,
            tally,
            order: Mutex::default(),
            list: Mutex::new(List::default()),
            tree: RwLock::new(Tree::default()),
            listeners: AtomicUsize::new(0),
            retained: RwLock::new(found.retained),
            stock: Stock::default(),
        };
        let mut changes = Vec::new();
        for (number, parts) in found.parts {
            exchange.restore(number, parts, now, &mut changes);
        }
        // Not waited for: should it be lost, the next start does the same again.
        drop(exchange.keep(changes));
        Ok(exchange)
    }

    fn restore(&self, number: u64, parts: Parts, now: Timestamp, changes: &mut Vec<Change>) {
        let mut list = self.list();
        list.last_number = list.last_number.max(number);
        let Some(kept) = parts.session else {
            tracing::error!(
                number,
                "parts of a session were kept without the session; forgotten"
            );
            self.tally.kept_damaged.one();
            return changes.extend(records::forget_session(number));
        };
        let session = Arc::new(Session::new(kept.key, number, true, Arc::clone(&self.stock)));
        if let Some(older) = list.by_key.insert(session.key.clone(), Arc::clone(&session)) {
            // Cannot be kept in one piece; the newer one counts.
            tracing::error!(client = %session.key, "two sessions of one client were kept; the older is forgotten");
            changes.extend(records::forget_session(older.number));
            list.lasting = list.lasting.saturating_sub(1);
        }
        list.lasting += 1;
        let mut state = session.state();
        state.expiry_s = kept.expiry_s;
        state.left = Some(kept.left.unwrap_or(now));
        state.received = parts.received.into_iter().collect();
        if let Some((will, due)) = parts.will {
            let delay = Span::from_secs(will.delay_s().into());
            state.will_due = Some(due.unwrap_or_else(|| now.plus(delay)));
            state.will = Some(will);
        }
        state.by_router = (parts.subscriptions.iter()).all(|(path, of)| of.by_router(path));
        if !state.by_router {
            self.change_tree(|tree| {
                for path in parts.subscriptions.keys() {
                    tree.insert(path, number, Arc::clone(&session));
                }
            });
        }
        state.subscriptions = parts.subscriptions;
        fill(&session, &mut state.outbox, parts.queue, parts.sending, changes);
        if kept.left.is_none() {
            changes.push(record(&session, &state));
        }
        state.due = next_due(&state);
        if let Some(due) = state.due {
            list.due.insert((due, number), Arc::clone(&session));
        }
        drop(state);
        session.mail.store(true, Ordering::Release);
    }
}

/// Puts back what waits and what was on its way, in the order of the messages.
fn fill(
    session: &Session,
    outbox: &mut crate::session::outbox::Outbox,
    mut queue: BTreeMap<u64, Entry>,
    sending: BTreeMap<u16, SendingRecord>,
    changes: &mut Vec<Change>,
) {
    let mut sent: Vec<(u64, u16, bool)> = (sending.into_iter())
        .map(|(id, record)| (record.seq, id, record.released))
        .collect();
    sent.sort_unstable();
    for (seq, id, released) in sent {
        match (queue.remove(&seq), released) {
            (Some(entry), false) => outbox.restore(id, Ok(entry)),
            (entry, true) => {
                if entry.is_some() {
                    changes.push(forget_entry(session.number, seq));
                }
                outbox.restore(id, Err(seq));
            }
            // Its message was damaged or is gone: nothing is left to be sent under the identifier.
            (None, false) => changes.push(Change::Delete {
                room: Room::Sending,
                key: records::id_key(session.number, id),
            }),
        }
    }
    for entry in queue.into_values() {
        outbox.push(entry);
    }
}
