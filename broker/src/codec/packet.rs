//! What packets say.

use bytes::Bytes;

use super::properties::Properties;

/// Properties of MQTT 5; `None` when there are none, and always in 3.1.1.
pub(crate) type Props = Option<Box<Properties>>;

/// Quality of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QoS {
    /// At most once.
    Zero,
    /// At least once.
    One,
    /// Exactly once.
    Two,
}

impl QoS {
    pub(crate) const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Zero),
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }

    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::Zero => 0,
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// What a client may send after its CONNECT.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Packet {
    Publish(Publish),
    PubAck {
        id: u16,
        code: u8,
    },
    PubRec {
        id: u16,
        code: u8,
    },
    PubRel {
        id: u16,
        code: u8,
    },
    PubComp {
        id: u16,
        code: u8,
    },
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    PingReq,
    Disconnect {
        code: u8,
        /// A new expiry of the session.
        session_expiry_s: Option<u32>,
    },
    Auth,
}

/// A CONNECT.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Connect {
    pub(crate) version: super::Version,
    /// Clean session in 3.1.1, clean start in 5.
    pub(crate) clean: bool,
    /// Seconds; 0 switches it off.
    pub(crate) keep_alive: u16,
    pub(crate) client_id: Box<str>,
    pub(crate) will: Option<Will>,
    pub(crate) user: Option<Box<str>>,
    pub(crate) password: Option<Bytes>,
    pub(crate) properties: Props,
}

/// What is published when the client goes without a word.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Will {
    pub(crate) topic: Box<str>,
    pub(crate) payload: Bytes,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) properties: Props,
}

/// A PUBLISH, in either direction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) topic: Box<str>,
    /// Packet identifier; 0 with QoS 0.
    pub(crate) id: u16,
    pub(crate) properties: Props,
    pub(crate) payload: Bytes,
}

/// A SUBSCRIBE.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subscribe {
    pub(crate) id: u16,
    pub(crate) filters: Vec<Filter>,
    pub(crate) properties: Props,
}

/// One filter of a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) path: Box<str>,
    pub(crate) qos: QoS,
    /// Not the client's own messages.
    pub(crate) no_local: bool,
    /// Messages keep their retain flag.
    pub(crate) as_published: bool,
    pub(crate) handling: RetainHandling,
}

/// When a subscription gets what is retained. Source: MQTT 5.0 §3.8.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetainHandling {
    /// Each time it is subscribed; so in 3.1.1.
    Always,
    /// When it was not there before.
    New,
    /// Not at all.
    Never,
}

/// An UNSUBSCRIBE.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unsubscribe {
    pub(crate) id: u16,
    pub(crate) filters: Vec<Box<str>>,
}
