//! What a client sends, written from chapters 2 and 3 of the standards.

/// MQTT 3.1.1, as its protocol level.
pub(crate) const V3: u8 = 4;
/// MQTT 5.0, as its protocol version.
pub(crate) const V5: u8 = 5;
/// Both.
pub(crate) const BOTH: [u8; 2] = [V3, V5];

/// Identifiers of properties. Source: MQTT 5.0 §2.2.2.2.
pub(crate) mod id {
    pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(crate) const CONTENT_TYPE: u8 = 0x03;
    pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
    pub(crate) const CORRELATION: u8 = 0x09;
    pub(crate) const SUBSCRIPTION: u8 = 0x0B;
    pub(crate) const SESSION_EXPIRY: u8 = 0x11;
    pub(crate) const ASSIGNED_CLIENT: u8 = 0x12;
    pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(crate) const AUTH_METHOD: u8 = 0x15;
    pub(crate) const AUTH_DATA: u8 = 0x16;
    pub(crate) const REQUEST_PROBLEM: u8 = 0x17;
    pub(crate) const WILL_DELAY: u8 = 0x18;
    pub(crate) const REQUEST_RESPONSE: u8 = 0x19;
    pub(crate) const RESPONSE_INFORMATION: u8 = 0x1A;
    pub(crate) const SERVER_REFERENCE: u8 = 0x1C;
    pub(crate) const REASON: u8 = 0x1F;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(crate) const ALIAS_MAXIMUM: u8 = 0x22;
    pub(crate) const ALIAS: u8 = 0x23;
    pub(crate) const MAXIMUM_QOS: u8 = 0x24;
    pub(crate) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(crate) const USER: u8 = 0x26;
    pub(crate) const MAXIMUM_PACKET: u8 = 0x27;
    pub(crate) const WILDCARDS_AVAILABLE: u8 = 0x28;
    pub(crate) const SUBSCRIPTION_IDS_AVAILABLE: u8 = 0x29;
    pub(crate) const SHARED_AVAILABLE: u8 = 0x2A;
}

/// A variable byte integer. Source: MQTT 5.0 §1.5.5.
pub(crate) fn variable(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = u8::try_from(value % 128).unwrap();
        value /= 128;
        out.push(if value > 0 { low | 0x80 } else { low });
        if value == 0 {
            return out;
        }
    }
}

/// Length and bytes.
pub(crate) fn binary(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// Length and UTF-8.
pub(crate) fn text(text: &str) -> Vec<u8> {
    binary(text.as_bytes())
}

/// A packet: its first byte, the length of the rest, the rest.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first][..], &variable(body.len()), body].concat()
}

/// Properties without their length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Props(Vec<u8>);

impl Props {
    fn with(mut self, id: u8, bytes: &[u8]) -> Self {
        self.0.push(id);
        self.0.extend(bytes);
        self
    }

    pub(crate) fn byte(self, id: u8, value: u8) -> Self {
        self.with(id, &[value])
    }

    pub(crate) fn two(self, id: u8, value: u16) -> Self {
        self.with(id, &value.to_be_bytes())
    }

    pub(crate) fn four(self, id: u8, value: u32) -> Self {
        self.with(id, &value.to_be_bytes())
    }

    pub(crate) fn variable(self, id: u8, value: usize) -> Self {
        self.with(id, &variable(value))
    }

    pub(crate) fn text(self, id: u8, value: &str) -> Self {
        self.with(id, &text(value))
    }

    pub(crate) fn binary(self, id: u8, value: &[u8]) -> Self {
        self.with(id, &binary(value))
    }

    pub(crate) fn user(self, name: &str, value: &str) -> Self {
        self.with(id::USER, &[text(name), text(value)].concat())
    }

    /// With their length, in MQTT 5 only.
    pub(crate) fn bytes(&self, v: u8) -> Vec<u8> {
        if v == V5 {
            [variable(self.0.len()), self.0.clone()].concat()
        } else {
            assert!(self.0.is_empty(), "3.1.1 has no properties");
            Vec::new()
        }
    }
}

/// A will.
#[derive(Clone, Debug, Default)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) props: Props,
}

/// A CONNECT.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    pub(crate) v: u8,
    pub(crate) client: String,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) props: Props,
    pub(crate) will: Option<Will>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
}

impl Connect {
    /// A new session that ends with its connection, without keep-alive.
    pub(crate) fn new(v: u8, client: &str) -> Self {
        Self {
            v,
            client: client.to_owned(),
            clean: true,
            keep_alive: 0,
            props: Props::default(),
            will: None,
            user: None,
            password: None,
        }
    }

    /// A session that was there, or a new one, and that stays when its connection is closed.
    pub(crate) fn lasting(v: u8, client: &str) -> Self {
        Self {
            clean: false,
            ..Self::new(v, client)
        }
        .staying(3600)
    }

    /// With the session staying for so many seconds (in 3.1.1 it just stays).
    pub(crate) fn staying(mut self, seconds: u32) -> Self {
        if self.v == V5 {
            self.props = self.props.four(id::SESSION_EXPIRY, seconds);
        }
        self
    }

    pub(crate) fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    pub(crate) fn props(mut self, props: Props) -> Self {
        self.props = props;
        self
    }

    /// The flags as they have to be.
    pub(crate) fn flags(&self) -> u8 {
        let will = self.will.as_ref().map_or(0, |will| {
            0x04 | will.qos << 3 | if will.retain { 0x20 } else { 0 }
        });
        will | if self.clean { 0x02 } else { 0 }
            | if self.user.is_some() { 0x80 } else { 0 }
            | if self.password.is_some() { 0x40 } else { 0 }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes_with("MQTT", self.v, self.flags())
    }

    /// With another protocol name, level or flags than it should have.
    pub(crate) fn bytes_with(&self, name: &str, level: u8, flags: u8) -> Vec<u8> {
        let mut body = text(name);
        body.extend([level, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        body.extend(self.props.bytes(self.v));
        body.extend(text(&self.client));
        if let Some(will) = &self.will {
            body.extend(will.props.bytes(self.v));
            body.extend(text(&will.topic));
            body.extend(binary(&will.payload));
        }
        if let Some(user) = &self.user {
            body.extend(text(user));
        }
        if let Some(password) = &self.password {
            body.extend(binary(password));
        }
        packet(0x10, &body)
    }
}

/// A PUBLISH.
#[derive(Clone, Debug)]
pub(crate) struct Publish {
    pub(crate) v: u8,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    /// Left out with QoS 0.
    pub(crate) id: u16,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    pub(crate) props: Props,
}

impl Publish {
    /// With packet identifier 1 where it has one.
    pub(crate) fn new(v: u8, topic: &str, qos: u8, payload: &str) -> Self {
        Self {
            v,
            topic: topic.to_owned(),
            payload: payload.as_bytes().to_vec(),
            qos,
            id: 1,
            dup: false,
            retain: false,
            props: Props::default(),
        }
    }

    pub(crate) fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    pub(crate) fn dup(mut self) -> Self {
        self.dup = true;
        self
    }

    pub(crate) fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    pub(crate) fn props(mut self, props: Props) -> Self {
        self.props = props;
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = text(&self.topic);
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        body.extend(self.props.bytes(self.v));
        body.extend(&self.payload);
        let first = 0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        packet(first, &body)
    }
}

/// A SUBSCRIBE of filters with their options.
pub(crate) fn subscribe(v: u8, id: u16, props: &Props, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(props.bytes(v));
    for (filter, options) in filters {
        body.extend(text(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

/// An UNSUBSCRIBE.
pub(crate) fn unsubscribe(v: u8, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(Props::default().bytes(v));
    for filter in filters {
        body.extend(text(filter));
    }
    packet(0xA2, &body)
}

/// The first byte of the four acknowledgements.
pub(crate) const PUBACK: u8 = 0x40;
pub(crate) const PUBREC: u8 = 0x50;
pub(crate) const PUBREL: u8 = 0x62;
pub(crate) const PUBCOMP: u8 = 0x70;

/// One of them, without a reason code: success.
pub(crate) fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

/// One of them with a reason code; MQTT 5 only.
pub(crate) fn ack_with(first: u8, id: u16, code: u8) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    packet(first, &[high, low, code])
}

/// A DISCONNECT with a reason code and properties; MQTT 5 only.
pub(crate) fn disconnect_with(code: u8, props: &Props) -> Vec<u8> {
    packet(0xE0, &[vec![code], props.bytes(V5)].concat())
}

pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];
pub(crate) const PINGREQ: [u8; 2] = [0xC0, 0];
