//! What goes to the client: its subscriptions, what waits for it, and live messages of the router.

use bytes::BytesMut;
use telemetry::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Client;
use super::inflight::Words;
use crate::codec::encode::{Ack, Outgoing};
use crate::codec::packet::QoS;
use crate::codec::{Version, encode, reason};
use crate::counters::Tally;
use crate::exchange::{Keeping, Way, Wish};
use crate::fanout::Subscriber;
use crate::limits::WRITE_BYTES_MAX;
use crate::message::Message;
use crate::protocol::{AliasesOut, Conversation, Grant};
use crate::session::Terms;
use crate::session::outbox::{Entry, Out};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    /// Whether more may be put before the socket.
    pub(super) fn has_room(&self) -> bool {
        self.io.out.len() + self.settling.bytes() < WRITE_BYTES_MAX
    }

    pub(super) async fn subscribe(&mut self, id: u16, grants: Vec<Grant>) {
        let wishes: Vec<Wish> = grants
            .iter()
            .filter_map(|grant| grant.as_ref().ok().cloned())
            .collect();
        let subscribed = self.shared.exchange.subscribe(&self.session, wishes);
        self.go(subscribed.way).await;
        if !self.wait_for(subscribed.kept).await {
            return;
        }
        let mut granted = subscribed.codes.into_iter();
        let mut codes = Vec::with_capacity(grants.len());
        for grant in grants {
            let (path, code) = match grant {
                Ok(wish) => (wish.path, granted.next().unwrap_or(reason::UNSPECIFIED_ERROR)),
                Err(refused) => (refused.path, refused.code),
            };
            if code >= reason::UNSPECIFIED_ERROR {
                self.shared.tally.subscriptions_refused.one();
                tracing::info!(client = %self.name, filter = %path, code, "subscription refused");
            } else {
                self.shared.tally.subscriptions.one();
            }
            codes.push(code);
        }
        encode::suback(&mut self.io.out, self.conversation.version, id, &codes);
    }

    /// Sees to it that live messages come on this way.
    async fn go(&mut self, way: Way) {
        match way {
            Way::Tree => self.subscriber = None,
            Way::Router(filters) => {
                for filter in &filters {
                    if !self.fan_in(filter).await {
                        // The router has no room: the exchange has.
                        self.shared.exchange.leave_router(&self.session);
                        self.subscriber = None;
                        return;
                    }
                }
            }
        }
    }

    /// A session that was taken up again is still subscribed at the exchange, but no more at the router.
    pub(super) async fn rejoin_router(&mut self) {
        let filters = {
            let state = self.session.state();
            if !state.by_router {
                return;
            }
            state.subscriptions.keys().cloned().collect()
        };
        self.go(Way::Router(filters)).await;
    }

    /// Whether the router takes `filter`; opens the link with the first.
    async fn fan_in(&mut self, filter: &str) -> bool {
        if self.subscriber.is_none() {
            self.subscriber = self.shared.fan_out.open().await.ok();
        }
        match &self.subscriber {
            Some(subscriber) => subscriber.subscribe(filter).await.is_ok(),
            None => false,
        }
    }

    pub(super) async fn unsubscribe(&mut self, id: u16, filters: Vec<Box<str>>) {
        let (known, kept) = self.shared.exchange.unsubscribe(&self.session, &filters);
        let mut codes = Vec::with_capacity(filters.len());
        for (filter, known) in filters.iter().zip(known) {
            if known && let Some(subscriber) = &self.subscriber {
                subscriber.unsubscribe(filter).await;
            }
            codes.push(if known {
                reason::SUCCESS
            } else {
                reason::NO_SUBSCRIPTION_EXISTED
            });
        }
        if self.wait_for(kept).await {
            encode::unsuback(&mut self.io.out, self.conversation.version, id, &codes);
        }
    }

    /// Whether something is kept; when it cannot be, the connection ends.
    async fn wait_for(&mut self, kept: Option<Keeping>) -> bool {
        let Some(kept) = kept else {
            return true;
        };
        match kept.await {
            Ok(()) => true,
            Err(error) => {
                self.on_keeper_error(&error);
                false
            }
        }
    }

    /// Writes what waits in the session, as far as window and socket have room.
    pub(super) fn deliver_mail(&mut self) {
        while self.close.is_none() && self.has_room() && self.session.has_mail() {
            self.deliver_some();
        }
    }

    fn deliver_some(&mut self) {
        let now = self.shared.clock.now();
        let room = WRITE_BYTES_MAX.saturating_sub(self.io.out.len() + self.settling.bytes());
        let filter = Filter {
            conversation: &self.conversation,
            bytes_max: self.packet_bytes_max,
            tally: &self.shared.tally,
        };
        let mut may_go = |entry: &Entry| filter.lets_through(entry);
        let collected = (self.shared.exchange).collect(&self.session, now, room, &mut may_go);
        let mut words = Words::default();
        for out in collected.out {
            match out {
                Out::Release(id) => {
                    let kind = Ack::Pubrel;
                    encode::ack(
                        &mut words.packets,
                        self.conversation.version,
                        kind,
                        id,
                        (reason::SUCCESS, None),
                    );
                }
                Out::Publish { id, dup, entry } => {
                    self.shared.tally.delivered.one();
                    let form = (self.conversation.version, self.packet_bytes_max);
                    write(
                        &mut words.packets,
                        form,
                        &mut self.aliases,
                        (id, dup, now),
                        &entry,
                    );
                }
            }
        }
        if !words.is_empty() {
            self.say(collected.kept, words);
        }
    }

    /// Writes one live message of the router; the caller has seen to it that there is room.
    pub(super) fn deliver_live(&mut self, message: &Message) {
        let terms = {
            let state = self.session.state();
            // What was still on its way when the session left the router comes on the other way.
            if !state.by_router {
                return;
            }
            state.terms(message, self.session.mark)
        };
        let Some(terms) = terms else {
            return;
        };
        if !self.conversation.permissions.may_hear(&message.topic) {
            return self.shared.tally.deliveries_refused.one();
        }
        let version = self.conversation.version;
        let outgoing = outgoing(message, &terms, message.expiry_s);
        if too_large(version, &outgoing, self.packet_bytes_max) {
            return self.shared.tally.dropped_too_large.one();
        }
        let mut words = Words::default();
        let form = (version, self.packet_bytes_max);
        encode_with_alias(&mut words.packets, form, &mut self.aliases, outgoing);
        self.shared.tally.delivered.one();
        self.say(None, words);
    }
}

/// What a client may hear and takes.
struct Filter<'a> {
    conversation: &'a Conversation,
    bytes_max: Option<usize>,
    tally: &'a Tally,
}

impl Filter<'_> {
    fn lets_through(&self, entry: &Entry) -> bool {
        if !self.conversation.permissions.may_hear(&entry.message.topic) {
            self.tally.deliveries_refused.one();
            return false;
        }
        let terms = terms_of(entry);
        let outgoing = Outgoing {
            id: u16::MAX,
            ..outgoing(&entry.message, &terms, entry.message.expiry_s)
        };
        // What the client said it cannot take is dropped. Source: MQTT 5.0 §3.1.2.11.4.
        if too_large(self.conversation.version, &outgoing, self.bytes_max) {
            self.tally.dropped_too_large.one();
            return false;
        }
        true
    }
}

fn terms_of(entry: &Entry) -> Terms {
    Terms {
        qos: entry.qos,
        retain: entry.retain,
        ids: entry.ids.clone(),
    }
}

fn outgoing<'a>(message: &'a Message, terms: &'a Terms, expiry_s: Option<u32>) -> Outgoing<'a> {
    Outgoing {
        dup: false,
        qos: terms.qos,
        retain: terms.retain,
        topic: &message.topic,
        id: 0,
        properties: message.properties.as_deref(),
        expiry_s,
        alias: None,
        ids: &terms.ids,
        payload: &message.payload,
    }
}

fn too_large(version: Version, outgoing: &Outgoing<'_>, bytes_max: Option<usize>) -> bool {
    bytes_max.is_some_and(|max| encode::publish_len(version, outgoing) > max)
}

fn write(
    out: &mut BytesMut,
    form: (Version, Option<usize>),
    aliases: &mut AliasesOut,
    (id, dup, now): (u16, bool, Timestamp),
    entry: &Entry,
) {
    // What was sent before goes again although its time may be over by now.
    let left_s = entry.message.left_s(now).unwrap_or(Some(1));
    let terms = terms_of(entry);
    let outgoing = Outgoing {
        id: if entry.qos == QoS::Zero { 0 } else { id },
        dup,
        ..outgoing(&entry.message, &terms, left_s)
    };
    encode_with_alias(out, form, aliases, outgoing);
}

/// With an alias, where the client takes one and the packet does not become too large by it.
fn encode_with_alias(
    out: &mut BytesMut,
    (version, bytes_max): (Version, Option<usize>),
    aliases: &mut AliasesOut,
    mut outgoing: Outgoing<'_>,
) {
    let longest = Outgoing {
        alias: Some(u16::MAX),
        ..outgoing
    };
    if version == Version::V5
        && !too_large(version, &longest, bytes_max)
        && let Some((alias, known)) = aliases.of(outgoing.topic)
    {
        outgoing.alias = Some(alias);
        if known {
            outgoing.topic = "";
        }
    }
    encode::publish(out, version, &outgoing);
}

/// The next live message; never, when nothing is subscribed.
pub(super) async fn next(subscriber: Option<&mut Subscriber>) -> Option<Message> {
    match subscriber {
        Some(subscriber) => subscriber.next().await,
        None => std::future::pending().await,
    }
}
