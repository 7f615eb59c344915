//! What a packet leads to: pure, no socket and no clock.
//!
//! [`Session`] is the state of one connection after its CONNECT. [`Session::on_packet`] answers with a
//! [`Step`] that the connection carries out, or with a [`Close`] that ends it.

pub(crate) mod hello;
mod window;

use std::collections::BTreeMap;

use telemetry::DeviceId;
use telemetry::limits::PAYLOAD_BYTES_MAX;

use crate::acl::Permissions;
use crate::codec::packet::{Filter, Packet, Publish, QoS, Subscribe};
use crate::codec::{Malformed, Version, reason};
use crate::limits::{RECEIVE_MAXIMUM, SUBSCRIPTIONS_MAX};
use crate::topic::{self, TopicError};
pub(crate) use window::SendWindow;

/// Why a connection ends, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// DISCONNECT, or the socket was closed from the other side.
    Gone,
    /// Not MQTT, or out of order.
    Malformed,
    /// A packet above the bound.
    TooLarge,
    /// Published where it may not.
    NotAuthorized,
    /// QoS 2.
    Qos2,
    /// Retained publish after it was told that there is no retaining.
    Retain,
    /// Silent for too long.
    KeepAlive,
    /// It may not be here any more.
    Revoked,
    /// Another connection of the same client.
    TakenOver,
    /// It does not read what it is sent.
    WriteStalled,
    /// The gate stops.
    Stopping,
    /// The intake refused.
    Intake,
    /// The fan-out broke.
    FanOut,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Close {
    /// What an MQTT 5 client is told; `None` where nothing is to be said any more.
    pub(crate) code: Option<u8>,
    /// For the counters.
    pub(crate) cause: Cause,
    /// For the log.
    pub(crate) why: &'static str,
    /// Whether the will is published.
    pub(crate) will: bool,
}

impl Close {
    pub(crate) const fn with(code: u8, cause: Cause, why: &'static str) -> Self {
        Self {
            code: Some(code),
            cause,
            why,
            will: true,
        }
    }

    /// The client went, properly (`will` is false) or not.
    pub(crate) const fn gone(will: bool) -> Self {
        Self {
            code: None,
            cause: Cause::Gone,
            why: "client is gone",
            will,
        }
    }
}

impl From<Malformed> for Close {
    fn from(malformed: Malformed) -> Self {
        let cause = if malformed.code == reason::PACKET_TOO_LARGE {
            Cause::TooLarge
        } else {
            Cause::Malformed
        };
        Self::with(malformed.code, cause, malformed.why)
    }
}

/// What is to be done about a packet.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing.
    Nothing,
    /// Journal the message, then acknowledge it when `message.qos` is 1.
    Accept {
        /// As it came.
        message: Publish,
        /// In whose name.
        sender: DeviceId,
    },
    /// The publish is not allowed: acknowledge it with `code`, or drop it when there is no `ack`.
    Refuse {
        /// Packet identifier, with QoS 1.
        ack: Option<u16>,
        /// Why.
        code: u8,
    },
    /// Subscribe what is granted, then answer.
    Subscribe {
        /// Packet identifier.
        id: u16,
        /// For each filter what it gets, or the code that refuses it.
        grants: Vec<(Box<str>, Result<QoS, u8>)>,
    },
    /// Unsubscribe, then answer with one code for each.
    Unsubscribe {
        /// Packet identifier.
        id: u16,
        /// The filters and whether they were subscribed.
        filters: Vec<(Box<str>, bool)>,
    },
    /// Answer PINGRESP.
    Pong,
}

/// One connection after its CONNECT.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) version: Version,
    permissions: Permissions,
    /// What is subscribed, with the granted QoS.
    subscriptions: BTreeMap<Box<str>, QoS>,
    /// QoS 1 messages to the client that it has not acknowledged.
    pub(crate) window: SendWindow,
    /// QoS 1 messages from the client that have not been acknowledged.
    unacknowledged: usize,
    /// Whether a publish without permission has been logged.
    pub(crate) complained: bool,
}

impl Session {
    /// `receive_maximum` as the client gave it.
    pub(crate) fn new(version: Version, permissions: Permissions, receive_maximum: Option<u16>) -> Self {
        Self {
            version,
            permissions,
            subscriptions: BTreeMap::new(),
            window: SendWindow::new(receive_maximum),
            unacknowledged: 0,
            complained: false,
        }
    }

    /// What `packet` leads to.
    ///
    /// # Errors
    /// [`Close`]: it ends the connection.
    pub(crate) fn on_packet(&mut self, packet: Packet) -> Result<Step, Close> {
        match packet {
            Packet::Publish(message) => self.on_publish(message),
            Packet::PubAck { id, .. } => {
                self.window.acknowledged(id);
                Ok(Step::Nothing)
            }
            // Nothing was ever sent or accepted with QoS 2.
            Packet::Qos2(why) => Err(Close::with(reason::PROTOCOL_ERROR, Cause::Malformed, why)),
            Packet::Subscribe(subscribe) => self.on_subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => Ok(Step::Unsubscribe {
                id: unsubscribe.id,
                filters: (unsubscribe.filters.into_iter())
                    .map(|filter| {
                        let known = self.subscriptions.remove(&filter).is_some();
                        (filter, known)
                    })
                    .collect(),
            }),
            Packet::PingReq => Ok(Step::Pong),
            Packet::Disconnect { code } => Err(Close::gone(code == reason::DISCONNECT_WITH_WILL)),
            Packet::Auth => Err(Close::with(
                reason::PROTOCOL_ERROR,
                Cause::Malformed,
                "AUTH without an authentication method",
            )),
        }
    }

    fn on_publish(&mut self, message: Publish) -> Result<Step, Close> {
        if message.qos == QoS::Two {
            let why = "QoS 2 is not supported; publish with QoS 1";
            return Err(Close::with(reason::QOS_NOT_SUPPORTED, Cause::Qos2, why));
        }
        if message.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Malformed {
                code: reason::PACKET_TOO_LARGE,
                why: "payload larger than allowed",
            }
            .into());
        }
        if self.version == Version::V5 {
            self.check_promises(&message)?;
        }
        topic::check_topic(&message.topic).map_err(|_| {
            Close::with(
                reason::TOPIC_NAME_INVALID,
                Cause::Malformed,
                "topic is not a topic or too long",
            )
        })?;
        let ack = (message.qos == QoS::One).then_some(message.id);
        self.unacknowledged += usize::from(ack.is_some());
        match self.permissions.may_publish(&message.topic) {
            Some(sender) => Ok(Step::Accept { message, sender }),
            None if self.version == Version::V5 => Ok(Step::Refuse {
                ack,
                code: reason::NOT_AUTHORIZED,
            }),
            None => Err(Close::with(
                reason::NOT_AUTHORIZED,
                Cause::NotAuthorized,
                "publish to a topic that is not the client's",
            )),
        }
    }

    /// What an MQTT 5 client was told in its CONNACK and has to keep.
    fn check_promises(&self, message: &Publish) -> Result<(), Close> {
        if message.retain {
            let why = "retained publish although there is no retaining";
            return Err(Close::with(reason::RETAIN_NOT_SUPPORTED, Cause::Retain, why));
        }
        if message
            .properties
            .as_ref()
            .is_some_and(|properties| properties.topic_alias.is_some())
        {
            let why = "topic alias although none is allowed";
            return Err(Close::with(reason::TOPIC_ALIAS_INVALID, Cause::Malformed, why));
        }
        if message.qos == QoS::One && self.unacknowledged >= usize::from(RECEIVE_MAXIMUM) {
            let why = "more publishes under way than the receive maximum";
            return Err(Close::with(
                reason::RECEIVE_MAXIMUM_EXCEEDED,
                Cause::Malformed,
                why,
            ));
        }
        Ok(())
    }

    /// `count` publishes of the client were answered.
    pub(crate) fn acknowledged(&mut self, count: usize) {
        self.unacknowledged = self.unacknowledged.saturating_sub(count);
    }

    /// Whether more publishes are under way than a client should have, so that it has to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.unacknowledged >= usize::from(RECEIVE_MAXIMUM)
    }

    fn on_subscribe(&mut self, subscribe: Subscribe) -> Result<Step, Close> {
        if subscribe
            .properties
            .as_ref()
            .is_some_and(|properties| !properties.subscription_ids.is_empty())
        {
            return Err(Close::with(
                reason::SUBSCRIPTION_IDS_NOT_SUPPORTED,
                Cause::Malformed,
                "subscription identifier although there are none",
            ));
        }
        let mut grants = Vec::with_capacity(subscribe.filters.len());
        for filter in subscribe.filters {
            let grant = self.grant(&filter)?;
            if let Ok(qos) = grant {
                self.subscriptions.insert(filter.path.clone(), qos);
            }
            grants.push((filter.path, grant));
        }
        Ok(Step::Subscribe {
            id: subscribe.id,
            grants,
        })
    }

    fn grant(&self, filter: &Filter) -> Result<Result<QoS, u8>, Close> {
        if filter.path.starts_with("$share/") {
            return Ok(Err(reason::SHARED_NOT_SUPPORTED));
        }
        match topic::check_filter(&filter.path) {
            Ok(()) => {}
            Err(TopicError::TooLong) => return Ok(Err(reason::TOPIC_FILTER_INVALID)),
            Err(TopicError::Malformed) => {
                let why = "filter is not a filter";
                return Err(Close::with(reason::TOPIC_FILTER_INVALID, Cause::Malformed, why));
            }
        }
        Ok(if !self.permissions.may_subscribe(&filter.path) {
            Err(reason::NOT_AUTHORIZED)
        } else if filter.no_local {
            Err(reason::IMPLEMENTATION_SPECIFIC)
        } else if self.subscriptions.len() >= SUBSCRIPTIONS_MAX
            && !self.subscriptions.contains_key(&filter.path)
        {
            Err(reason::QUOTA_EXCEEDED)
        } else {
            Ok(filter.qos.min(QoS::One))
        })
    }

    /// The rules have changed.
    pub(crate) fn permit(&mut self, permissions: Permissions) {
        self.permissions = permissions;
    }

    /// Whether a message on `topic` may be delivered: asked for each, since rules change while it waits.
    pub(crate) fn may_hear(&self, topic: &str) -> bool {
        self.permissions.may_hear(topic)
    }

    /// The fan-out had no room for `filter`.
    pub(crate) fn revoke(&mut self, filter: &str) {
        self.subscriptions.remove(filter);
    }

    /// How a live message on `topic` that was published with `qos` goes to this client: the lower of that
    /// and what its filters were granted. `None` when it has just unsubscribed.
    pub(crate) fn delivery(&self, topic: &str, qos: QoS) -> Option<QoS> {
        let granted = (self.subscriptions.iter())
            .filter(|(filter, _)| topic::matches(filter, topic))
            .map(|(_, granted)| *granted)
            .max()?;
        Some(granted.min(qos))
    }

    /// Whether a will on `topic` may be left here, and in whose name.
    pub(crate) fn will_sender(permissions: &Permissions, topic: &str) -> Option<DeviceId> {
        topic::check_topic(topic).ok()?;
        permissions.may_publish(topic)
    }
}

#[cfg(test)]
mod tests;
