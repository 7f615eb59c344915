//! The thread that talks to rumqttd's router.

use std::hash::BuildHasher;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{
    Disconnect, DisconnectReasonCode, Filter, Packet, QoS, RetainForwardRule, Subscribe, SubscribeProperties,
    Unsubscribe,
};
use rumqttd::{Notification, Router, RouterConfig, Strategy};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use tokio::sync::{mpsc, oneshot};

use super::{NoRoom, convert};
use crate::counters::Tally;
use crate::limits::{FILTERS_MAX, ROUTER_BYTES_MAX, ROUTER_MESSAGES_MAX, SUBSCRIBERS_MAX, TOPICS_MAX};
use crate::message::Message;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Publish(Vec<Message>),
    Open {
        reply: oneshot::Sender<Result<(u64, LinkRx), NoRoom>>,
    },
    Subscribe {
        link: u64,
        filter: Box<str>,
        reply: oneshot::Sender<Result<(), NoRoom>>,
    },
    Unsubscribe {
        link: u64,
        filter: Box<str>,
    },
    Close {
        link: u64,
    },
}

type Connect = Box<dyn Fn(&str) -> Result<(LinkTx, LinkRx, Notification), Box<LinkError>> + Send>;

struct Engine {
    connect: Connect,
    publisher: LinkTx,
    /// Keeps the publisher's link whole; nothing ever arrives here.
    _publisher_rx: LinkRx,
    links: FxHashMap<u64, Link>,
    /// Links that were given back; the router keeps something for each name, so they are used again.
    free: Vec<u64>,
    filters: FxHashSet<Box<str>>,
    topics: FxHashSet<u64>,
    /// Bytes handed over since the router was last seen to have taken everything.
    waiting_bytes: usize,
    tally: Arc<Tally>,
    broken: bool,
}

struct Link {
    sender: LinkTx,
    /// The number of each filter that is subscribed, which comes back with its messages.
    numbers: FxHashMap<Box<str>, usize>,
    last_number: usize,
}

/// One segment of rumqttd's log of one filter, in bytes; it keeps two.
const SEGMENT_BYTES: usize = 1024 * 1024;

/// Starts the router and the thread.
pub(super) fn spawn(inbox: mpsc::Receiver<Command>, tally: Arc<Tally>) -> std::io::Result<()> {
    let config = RouterConfig {
        max_connections: SUBSCRIBERS_MAX + 1,
        max_outgoing_packet_count: 100,
        max_segment_size: SEGMENT_BYTES,
        max_segment_count: 2,
        custom_segment: None,
        initialized_filters: None,
        shared_subscriptions_strategy: Strategy::RoundRobin,
    };
    let router = Router::new(0, config).spawn();
    let connect: Connect =
        Box::new(move |name| LinkBuilder::new(name, router.clone()).build().map_err(Box::new));
    let (publisher, publisher_rx, _) = connect("gate").map_err(std::io::Error::other)?;
    let engine = Engine {
        connect,
        publisher,
        _publisher_rx: publisher_rx,
        links: FxHashMap::default(),
        free: Vec::new(),
        filters: FxHashSet::default(),
        topics: FxHashSet::default(),
        waiting_bytes: 0,
        tally,
        broken: false,
    };
    std::thread::Builder::new()
        .name("fan-out".into())
        .spawn(move || engine.run(inbox))?;
    Ok(())
}

impl Engine {
    fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        while let Some(command) = inbox.blocking_recv() {
            match command {
                Command::Publish(messages) => self.publish(messages),
                Command::Open { reply } => {
                    let opened = self.open();
                    // A connection that went meanwhile gives its link back at once.
                    if let Err(Ok((link, _))) = reply.send(opened) {
                        self.close(link);
                    }
                }
                Command::Subscribe { link, filter, reply } => {
                    let answer = self.subscribe(link, filter);
                    if reply.send(answer).is_err() {
                        tracing::debug!(link, "subscriber went before its subscription stood");
                    }
                }
                Command::Unsubscribe { link, filter } => self.unsubscribe(link, filter),
                Command::Close { link } => self.close(link),
            }
        }
        if let Err(error) = push(&mut self.publisher, disconnect()) {
            tracing::debug!(%error, "router was gone before its publisher");
        }
    }

    fn publish(&mut self, messages: Vec<Message>) {
        let waiting = self.publisher.buffer().len();
        if waiting == 0 {
            self.waiting_bytes = 0;
        }
        if self.broken || waiting >= ROUTER_MESSAGES_MAX || self.waiting_bytes >= ROUTER_BYTES_MAX {
            return self.tally.dropped_fan_out.add(messages.len());
        }
        let mut packets = Vec::with_capacity(messages.len());
        for message in messages {
            if self.knows(&message.topic) {
                self.waiting_bytes += message.payload.len() + message.topic.len();
                packets.push(convert::to_router(message));
            } else {
                self.tally.dropped_fan_out.one();
            }
        }
        if let Some(last) = packets.pop() {
            self.publisher.buffer().extend(packets);
            if let Err(error) = push(&mut self.publisher, last) {
                self.report(&error);
            }
        }
    }

    /// Whether the router may see `topic`: it keeps each that it ever saw, and ends when one begins with
    /// more than one byte.
    fn knows(&mut self, topic: &str) -> bool {
        let hash = FxBuildHasher.hash_one(topic);
        topic.starts_with(|first: char| first.is_ascii())
            && (self.topics.contains(&hash) || (self.topics.len() < TOPICS_MAX && self.topics.insert(hash)))
    }

    fn open(&mut self) -> Result<(u64, LinkRx), NoRoom> {
        let fresh = u64::try_from(self.links.len()).unwrap_or(u64::MAX);
        let link = self.free.pop().unwrap_or(fresh);
        match (self.connect)(&format!("subscriber-{link}")) {
            Ok((sender, receiver, _)) => {
                self.links.insert(
                    link,
                    Link {
                        sender,
                        numbers: FxHashMap::default(),
                        last_number: 0,
                    },
                );
                Ok((link, receiver))
            }
            Err(error) => {
                self.free.push(link);
                self.report(&error);
                Err(NoRoom)
            }
        }
    }

    fn subscribe(&mut self, link: u64, filter: Box<str>) -> Result<(), NoRoom> {
        if !self.filters.contains(&filter) {
            if self.filters.len() >= FILTERS_MAX {
                tracing::warn!(%filter, max = FILTERS_MAX, "no room for another filter");
                return Err(NoRoom);
            }
            self.filters.insert(filter.clone());
        }
        let Some(link) = self.links.get_mut(&link) else {
            return Err(NoRoom);
        };
        let number = *link.numbers.entry(filter.clone()).or_insert_with(|| {
            link.last_number += 1;
            link.last_number
        });
        push(&mut link.sender, subscribe(filter, number)).map_err(|error| {
            self.report(&error);
            NoRoom
        })
    }

    fn unsubscribe(&mut self, link: u64, filter: Box<str>) {
        let Some(link) = self.links.get_mut(&link) else {
            return;
        };
        link.numbers.remove(&filter);
        if let Err(error) = push(&mut link.sender, unsubscribe(filter)) {
            self.report(&error);
        }
    }

    fn close(&mut self, link: u64) {
        if let Some(mut closed) = self.links.remove(&link) {
            if let Err(error) = push(&mut closed.sender, disconnect()) {
                self.report(&error);
            }
            self.free.push(link);
        }
    }

    /// The router is gone: devices are served as ever, subscribers get nothing more.
    fn report(&mut self, error: &LinkError) {
        if !self.broken {
            self.broken = true;
            tracing::error!(%error, "fan-out to subscribers is broken; restart to mend it");
        }
    }
}

/// Hands one packet over. `LinkTx::send` is an async function that never waits but blocks this thread.
fn push(link: &mut LinkTx, packet: Packet) -> Result<(), Box<LinkError>> {
    match pin!(link.send(packet)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.map(|_| ()).map_err(Box::new),
        Poll::Pending => Ok(()),
    }
}

fn subscribe(filter: Box<str>, number: usize) -> Packet {
    let filter = Filter {
        path: filter.into(),
        qos: QoS::AtMostOnce,
        nolocal: false,
        preserve_retain: false,
        retain_forward_rule: RetainForwardRule::Never,
    };
    let properties = SubscribeProperties {
        id: Some(number),
        user_properties: Vec::new(),
    };
    Packet::Subscribe(
        Subscribe {
            pkid: 1,
            filters: vec![filter],
        },
        Some(properties),
    )
}

fn unsubscribe(filter: Box<str>) -> Packet {
    Packet::Unsubscribe(
        Unsubscribe {
            pkid: 1,
            filters: vec![filter.into()],
        },
        None,
    )
}

fn disconnect() -> Packet {
    Packet::Disconnect(
        Disconnect {
            reason_code: DisconnectReasonCode::NormalDisconnection,
        },
        None,
    )
}
