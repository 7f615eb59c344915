//! What a packet leads to: pure, no socket and no clock.
//!
//! [`Conversation`] is what has been said on one connection since its CONNECT. [`Conversation::on_packet`] answers
//! with a [`Step`] that the connection carries out, or with a [`Close`] that ends it.

mod aliases;
pub(crate) mod hello;
mod inbound;

use telemetry::DeviceId;
use telemetry::limits::PAYLOAD_BYTES_MAX;

use crate::acl::Permissions;
use crate::codec::packet::{Filter, Packet, Publish, QoS, Subscribe};
use crate::codec::{Malformed, Version, reason};
use crate::exchange::{Spoken, Wish};
use crate::limits::TOPIC_ALIASES_MAX;
use crate::topic::{self, TopicError};
use crate::tree::shared;
use aliases::AliasesIn;
pub(crate) use aliases::AliasesOut;
pub(crate) use inbound::Inbound;
use inbound::{Arrived, Overrun};

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
    /// What has to outlive a restart cannot be kept.
    Keeper,
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
    /// How long the session is to live on, when the client has said so at the end.
    pub(crate) session_expiry_s: Option<u32>,
}

impl Close {
    pub(crate) const fn with(code: u8, cause: Cause, why: &'static str) -> Self {
        Self {
            code: Some(code),
            cause,
            why,
            will: true,
            session_expiry_s: None,
        }
    }

    /// The client went, properly (`will` is false) or not.
    pub(crate) const fn gone(will: bool) -> Self {
        Self {
            code: None,
            cause: Cause::Gone,
            why: "client is gone",
            will,
            session_expiry_s: None,
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
    /// Journal the message, then answer it when its QoS is 1 or 2.
    Accept {
        /// As it came, with its topic in full.
        message: Publish,
        /// In whose name.
        sender: DeviceId,
    },
    /// A QoS 2 message that has been journaled before: PUBREC again.
    Again(u16),
    /// The publish is not allowed: answer it with `code`, or drop it when its QoS is 0.
    Refuse {
        qos: QoS,
        /// Packet identifier.
        id: u16,
        /// Why.
        code: u8,
    },
    /// PUBREL: the identifier is free again. Answer PUBCOMP; `known` is whether it was in use.
    Release { id: u16, known: bool },
    /// An answer to what the gate sent.
    Answered { spoken: Spoken, id: u16 },
    /// Subscribe what is granted, then answer.
    Subscribe {
        /// Packet identifier.
        id: u16,
        /// For each filter what it gets, or the code that refuses it.
        grants: Vec<Grant>,
    },
    /// Unsubscribe, then answer with one code for each.
    Unsubscribe {
        /// Packet identifier.
        id: u16,
        filters: Vec<Box<str>>,
    },
    /// Answer PINGRESP.
    Pong,
}

/// What a filter gets.
pub(crate) type Grant = Result<Wish, Refused>;

/// A filter that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) path: Box<str>,
    pub(crate) code: u8,
}

/// What an MQTT 5 client said about its session in its CONNECT, as far as it counts later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// How long its session outlives the connection.
    pub(crate) session_expiry_s: u32,
}

/// One connection after its CONNECT.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) version: Version,
    pub(crate) permissions: Permissions,
    agreed: Agreed,
    /// Messages from the client that have not been answered to the end.
    pub(crate) inbound: Inbound,
    aliases: AliasesIn,
    /// Whether a publish without permission has been logged.
    pub(crate) complained: bool,
}

impl Conversation {
    /// `inbound` as the session of before left it.
    pub(crate) fn new(version: Version, permissions: Permissions, agreed: Agreed, inbound: Inbound) -> Self {
        Self {
            version,
            permissions,
            agreed,
            inbound,
            aliases: AliasesIn::default(),
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
            Packet::PubAck { id, .. } => Ok(Step::Answered {
                spoken: Spoken::Ack,
                id,
            }),
            Packet::PubRec { id, code } => Ok(Step::Answered {
                spoken: Spoken::Rec {
                    refused: code >= reason::UNSPECIFIED_ERROR,
                },
                id,
            }),
            Packet::PubRel { id, .. } => Ok(Step::Release {
                id,
                known: self.inbound.release(id),
            }),
            Packet::PubComp { id, .. } => Ok(Step::Answered {
                spoken: Spoken::Comp,
                id,
            }),
            Packet::Subscribe(subscribe) => self.on_subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => Ok(Step::Unsubscribe {
                id: unsubscribe.id,
                filters: unsubscribe.filters,
            }),
            Packet::PingReq => Ok(Step::Pong),
            Packet::Disconnect {
                code,
                session_expiry_s,
            } => Err(self.on_disconnect(code, session_expiry_s)),
            Packet::Auth => Err(Close::with(
                reason::PROTOCOL_ERROR,
                Cause::Malformed,
                "AUTH without an authentication method",
            )),
        }
    }

    /// Only a plain DISCONNECT takes the will along. A session that was to end with its connection cannot be
    /// prolonged. Source: MQTT 5.0 §3.14.4 and §3.14.2.2.2.
    fn on_disconnect(&self, code: u8, session_expiry_s: Option<u32>) -> Close {
        if self.agreed.session_expiry_s == 0 && session_expiry_s.is_some_and(|expiry_s| expiry_s > 0) {
            let why = "session expiry at the end although there was none at the beginning";
            return Close::with(reason::PROTOCOL_ERROR, Cause::Malformed, why);
        }
        Close {
            session_expiry_s,
            ..Close::gone(code != reason::SUCCESS)
        }
    }

    fn on_publish(&mut self, mut message: Publish) -> Result<Step, Close> {
        if message.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Malformed {
                code: reason::PACKET_TOO_LARGE,
                why: "payload larger than allowed",
            }
            .into());
        }
        self.aliases.resolve(&mut message)?;
        topic::check_topic(&message.topic).map_err(|_| {
            Close::with(
                reason::TOPIC_NAME_INVALID,
                Cause::Malformed,
                "topic is not a topic or too long",
            )
        })?;
        let sender = self.permissions.may_publish(&message.topic);
        let (qos, id) = (message.qos, message.id);
        if sender.is_none() && self.version == Version::V311 {
            return Err(Close::with(
                reason::NOT_AUTHORIZED,
                Cause::NotAuthorized,
                "publish to a topic that is not the client's",
            ));
        }
        match self.inbound.arrived(qos, id, self.version) {
            Err(Overrun) => Err(Close::with(
                reason::RECEIVE_MAXIMUM_EXCEEDED,
                Cause::Malformed,
                "more publishes under way than the receive maximum",
            )),
            Ok(Arrived::Again) => Ok(Step::Again(id)),
            Ok(Arrived::New) => Ok(match sender {
                Some(sender) => Step::Accept { message, sender },
                None => {
                    let code = reason::NOT_AUTHORIZED;
                    Step::Refuse { qos, id, code }
                }
            }),
        }
    }

    fn on_subscribe(&mut self, subscribe: Subscribe) -> Result<Step, Close> {
        let number = (subscribe.properties.as_ref())
            .and_then(|properties| properties.subscription_ids.first())
            .copied();
        let mut grants = Vec::with_capacity(subscribe.filters.len());
        for filter in subscribe.filters {
            let grant = self.grant(&filter)?;
            grants.push(match grant {
                Ok(()) => Ok(Wish::new(&filter, filter.qos, number)),
                Err(code) => Err(Refused {
                    path: filter.path,
                    code,
                }),
            });
        }
        Ok(Step::Subscribe {
            id: subscribe.id,
            grants,
        })
    }

    fn grant(&self, filter: &Filter) -> Result<Result<(), u8>, Close> {
        let path = if filter.path.starts_with("$share/") {
            match shared(&filter.path) {
                Some((_, path)) => path,
                None => return Err(no_filter()),
            }
        } else {
            &filter.path
        };
        match topic::check_filter(path).and_then(|()| topic::check_size(&filter.path)) {
            Ok(()) => {}
            Err(TopicError::TooLong) => return Ok(Err(reason::TOPIC_FILTER_INVALID)),
            Err(TopicError::Malformed) => return Err(no_filter()),
        }
        if self.permissions.may_subscribe(path) {
            Ok(Ok(()))
        } else {
            Ok(Err(reason::NOT_AUTHORIZED))
        }
    }

    /// The rules have changed.
    pub(crate) fn permit(&mut self, permissions: Permissions) {
        self.permissions = permissions;
    }

    /// Whether a will on `topic` may be left here, and in whose name.
    pub(crate) fn will_sender(permissions: &Permissions, topic: &str) -> Option<DeviceId> {
        topic::check_topic(topic).ok()?;
        permissions.may_publish(topic)
    }
}

fn no_filter() -> Close {
    let why = "filter is not a filter";
    Close::with(reason::TOPIC_FILTER_INVALID, Cause::Malformed, why)
}

#[cfg(test)]
mod tests;
