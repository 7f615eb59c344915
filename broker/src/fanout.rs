//! Live QoS 0 messages to subscribers: the only folder that knows rumqttd.
//!
//! rumqttd's router runs on a thread of its own and cannot be stopped; it parks until the process ends.
//! A second thread, ours, is the only one that talks to it, since its calls may block. Each subscribing
//! connection has a link, and one task that empties it at once into a bounded queue, so that the router
//! seldom has to drop. What it drops all the same is seen by the gaps in its numbers, and counted. The router sees
//! QoS 0 only; everything that must not be lost goes through the queue of the session (`exchange`).
//!
//! Traps of rumqttd 0.20 that this file steps around: a link is paused for ever after `Unschedule` until
//! `wake`; it leaks unless `Disconnect` is sent; `Ready` for a link that is gone ends the router thread;
//! a topic that does not begin with an ASCII character does the same; it never forgets a filter, a topic
//! or a link name. Hence the names are used again, and filters and topics are counted.

mod convert;
mod engine;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rumqttd::local::LinkRx;
use rumqttd::{Forward, Notification};
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};

use crate::counters::Tally;
use crate::limits::{FANOUT_QUEUE_MAX, LIVE_QUEUE_MAX, SUBSCRIBERS_MAX, SUBSCRIPTIONS_MAX};
use crate::message::Message;
use engine::Command;

/// The way to subscribers; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct FanOut {
    commands: mpsc::Sender<Command>,
    subscribers: Arc<AtomicUsize>,
    tally: Arc<Tally>,
}

/// The fan-out takes no more subscribers, or no different filters, or is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl FanOut {
    /// Starts the router and the thread that talks to it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(tally: Arc<Tally>) -> std::io::Result<Self> {
        let (commands, inbox) = mpsc::channel(FANOUT_QUEUE_MAX);
        engine::spawn(inbox, Arc::clone(&tally))?;
        Ok(Self {
            commands,
            subscribers: Arc::default(),
            tally,
        })
    }

    /// Whether anybody listens: without, nothing need be copied.
    pub(crate) fn wanted(&self) -> bool {
        self.subscribers.load(Ordering::Relaxed) > 0
    }

    /// Hands `messages` on, or drops and counts them when the queue is full. Never waits.
    pub(crate) fn publish(&self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        if let Err(error) = self.commands.try_send(Command::Publish(messages))
            && let Command::Publish(messages) = error.into_inner()
        {
            self.tally.dropped_fan_out.add(messages.len());
        }
    }

    /// A link for a connection that subscribes for the first time.
    pub(crate) async fn open(&self) -> Result<Subscriber, NoRoom> {
        let count = self.subscribers.fetch_add(1, Ordering::Relaxed);
        let guard = Counted(Arc::clone(&self.subscribers));
        if count >= SUBSCRIBERS_MAX {
            return Err(NoRoom);
        }
        let (reply, link) = oneshot::channel();
        self.commands
            .send(Command::Open { reply })
            .await
            .map_err(|_| NoRoom)?;
        let (link, receiver) = link.await.map_err(|_| NoRoom)??;
        let (queue, live) = mpsc::channel(LIVE_QUEUE_MAX);
        tokio::spawn(pump(
            receiver,
            queue,
            link,
            self.commands.clone(),
            Arc::clone(&self.tally),
        ));
        Ok(Subscriber {
            link,
            commands: self.commands.clone(),
            live,
            _counted: guard,
        })
    }
}

#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One subscribing connection; dropping it gives the link back.
#[derive(Debug)]
pub(crate) struct Subscriber {
    link: u64,
    commands: mpsc::Sender<Command>,
    live: mpsc::Receiver<Message>,
    _counted: Counted,
}

impl Subscriber {
    /// Subscribes to `filter`: every message that is published after this returns arrives.
    pub(crate) async fn subscribe(&self, filter: &str) -> Result<(), NoRoom> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Subscribe {
            link: self.link,
            filter: filter.into(),
            reply,
        };
        self.commands.send(command).await.map_err(|_| NoRoom)?;
        answer.await.map_err(|_| NoRoom)?
    }

    /// Ends a subscription. Messages on their way still arrive.
    pub(crate) async fn unsubscribe(&self, filter: &str) {
        let command = Command::Unsubscribe {
            link: self.link,
            filter: filter.into(),
        };
        if self.commands.send(command).await.is_err() {
            tracing::debug!("fan-out is gone");
        }
    }

    /// The next live message; `None` when the fan-out has broken. Can be dropped without losing one.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        self.live.recv().await
    }
}

/// Empties one link as fast as the router fills it, until its connection is gone.
async fn pump(
    mut receiver: LinkRx,
    queue: mpsc::Sender<Message>,
    link: u64,
    commands: mpsc::Sender<Command>,
    tally: Arc<Tally>,
) {
    let mut gaps = Gaps::default();
    loop {
        let notification = tokio::select! {
            () = queue.closed() => break,
            notification = receiver.next() => notification,
        };
        match notification {
            Ok(Some(Notification::Forward(forward))) => {
                tally.dropped_fan_out.add(gaps.before(&forward));
                relay(forward, &queue, &tally);
            }
            // Exactly one `wake` for one `Unschedule`: a second one would end the router.
            Ok(Some(Notification::Unschedule)) if receiver.wake().await.is_ok() => {}
            Ok(Some(Notification::Disconnect(..) | Notification::Unschedule)) | Err(_) => {
                tracing::error!(link, "router ended a link; its subscriber is disconnected");
                break;
            }
            Ok(Some(_) | None) => {}
        }
    }
    // Last: nothing may reach the router in the name of this link after it. When the thread is gone,
    // so is the link.
    commands.send(Command::Close { link }).await.ok();
}

/// The router numbers the messages of each filter, and drops the oldest without a word when a link falls
/// behind: the numbers tell how many. What it drops before the first message of a subscription has come
/// is not seen, since the number that it began with is not known.
#[derive(Default)]
struct Gaps {
    /// The number that comes next, by filter.
    next: FxHashMap<usize, u64>,
}

impl Gaps {
    /// Beyond this many filters, most of them unsubscribed, the list begins anew.
    const FILTERS_MAX: usize = 4 * SUBSCRIPTIONS_MAX;

    /// How many messages are missing between the last one of its filter and `forward`.
    fn before(&mut self, forward: &Forward) -> usize {
        let filter = forward
            .properties
            .as_ref()
            .and_then(|p| p.subscription_identifiers.first());
        let (Some(&filter), Some((_, number))) = (filter, forward.cursor) else {
            return 0;
        };
        if self.next.len() >= Self::FILTERS_MAX {
            self.next.clear();
        }
        let expected = self.next.insert(filter, number + 1).unwrap_or(number);
        usize::try_from(number.saturating_sub(expected)).unwrap_or(usize::MAX)
    }
}

fn relay(forward: Forward, queue: &mpsc::Sender<Message>, tally: &Tally) {
    if let Some(message) = convert::from_router(forward)
        && queue.try_send(message).is_err()
    {
        tally.dropped_slow.one();
    }
}

#[cfg(test)]
mod tests;
