//! Where publishers and subscribers meet: the sessions, what they subscribe to, what waits for them, what is
//! retained, and what of all that is kept.
//!
//! Nothing here waits or does I/O, except through the futures that come out of the [`Keeper`]. Locks are always
//! taken in this order: `order` (so that what is kept changes in the order in which the memory did), the list of
//! sessions, one session, and the tree of subscriptions or what is retained. A message that nobody hears costs one
//! look at an atomic.
//!
//! **Delivery.** Live QoS 0 subscriptions that are not shared are the router's (`fanout`), best effort. Everything
//! else goes from here straight into the queue of the session: bounded, counted, kept when the session is lasting.
//! A full queue drops the newest and never makes a publisher wait. See `docs/decisions/0016`.

mod coming;
mod delivering;
mod loading;
mod routing;
mod subscribing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustc_hash::FxHashMap;
use telemetry::Timestamp;

use crate::counters::Tally;
use crate::retained::Retained;
use crate::session::Session;
use crate::session::outbox::Stock;
use crate::tree::Tree;
use crate::{BoxFuture, Change, Keeper, KeeperError};
pub(crate) use coming::{Caller, Due, Left, WillWish};
pub(crate) use delivering::Spoken;
pub(crate) use subscribing::{Way, Wish};

/// Resolves when changes are kept.
pub(crate) type Keeping = BoxFuture<'static, Result<(), KeeperError>>;

/// See the module.
pub(crate) struct Exchange {
    keeper: Arc<dyn Keeper>,
    tally: Arc<Tally>,
    /// Held while memory and what is kept change together.
    order: Mutex<()>,
    list: Mutex<List>,
    tree: RwLock<Tree<Arc<Session>>>,
    /// Subscriptions in the tree, to be looked at without a lock.
    listeners: AtomicUsize,
    retained: RwLock<Retained>,
    stock: Stock,
}

/// All sessions.
#[derive(Debug, Default)]
struct List {
    by_key: FxHashMap<Box<str>, Arc<Session>>,
    /// Those whose client is gone and with which something is to be done, by time.
    due: BTreeMap<(Timestamp, u64), Arc<Session>>,
    last_number: u64,
    lasting: usize,
}

impl Exchange {
    /// Whether anybody but the router hears `topic`.
    pub(crate) fn hears(&self, topic: &str) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0 && self.tree_read().hears(topic)
    }

    /// Makes `changes` durable, in the order of the calls.
    pub(crate) fn keep(&self, changes: Vec<Change>) -> Option<Keeping> {
        if changes.is_empty() {
            return None;
        }
        let order = self.ordered();
        self.keep_in(&order, changes)
    }

    fn keep_in(&self, _order: &MutexGuard<'_, ()>, changes: Vec<Change>) -> Option<Keeping> {
        (!changes.is_empty()).then(|| self.keeper.keep(changes))
    }

    fn ordered(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tree_read(&self) -> std::sync::RwLockReadGuard<'_, Tree<Arc<Session>>> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_tree(&self, change: impl FnOnce(&mut Tree<Arc<Session>>)) {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut tree);
        self.listeners.store(tree.len(), Ordering::Relaxed);
    }

    fn retained_read(&self) -> std::sync::RwLockReadGuard<'_, Retained> {
        self.retained.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what stands in the counters that go up and down.
    pub(crate) fn show(&self) {
        let lasting = self.list().lasting;
        self.tally.sessions_lasting.set(lasting);
        let retained = self.retained_read();
        self.tally.retained.set(retained.len());
        self.tally.retained_bytes.set(retained.bytes());
        self.tally.queued_bytes.set(self.stock.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests;
