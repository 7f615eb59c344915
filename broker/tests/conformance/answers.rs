//! What the gate answers, read strictly from chapters 2 and 3 of the standards: whatever may not stand there
//! ends the test.

use super::packets::{V5, id};

/// A property as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u32),
    Text(String),
    Binary(Vec<u8>),
    Pair(String, String),
}

/// Properties in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found(pub(crate) Vec<(u8, Value)>);

impl Found {
    pub(crate) fn all(&self, id: u8) -> Vec<&Value> {
        let same = self.0.iter().filter(|(of, _)| *of == id);
        same.map(|(_, value)| value).collect()
    }

    pub(crate) fn number(&self, id: u8) -> Option<u32> {
        match self.all(id).first() {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn numbers(&self, id: u8) -> Vec<u32> {
        let number = |value: &&Value| match value {
            Value::Number(number) => *number,
            other => panic!("{other:?} is no number"),
        };
        self.all(id).iter().map(number).collect()
    }

    pub(crate) fn text(&self, id: u8) -> Option<&str> {
        match self.all(id).first() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn binary(&self, id: u8) -> Option<&[u8]> {
        match self.all(id).first() {
            Some(Value::Binary(bytes)) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn users(&self) -> Vec<(&str, &str)> {
        (self.0.iter())
            .filter_map(|(_, value)| match value {
                Value::Pair(name, value) => Some((name.as_str(), value.as_str())),
                Value::Number(_) | Value::Text(_) | Value::Binary(_) => None,
            })
            .collect()
    }
}

/// An application message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    pub(crate) id: u16,
    pub(crate) props: Found,
    /// Of the whole packet.
    pub(crate) size: usize,
}

impl Message {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }
}

/// A packet from the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    ConnAck { present: bool, code: u8, props: Found },
    Publish(Message),
    PubAck { id: u16, code: u8 },
    PubRec { id: u16, code: u8 },
    PubRel { id: u16, code: u8 },
    PubComp { id: u16, code: u8 },
    SubAck { id: u16, codes: Vec<u8> },
    UnsubAck { id: u16, codes: Vec<u8> },
    PingResp,
    Disconnect { code: u8, props: Found },
}

/// Reads one packet of version `v`.
pub(crate) fn read(v: u8, first: u8, body: &[u8], size: usize) -> Got {
    let mut rest = Rest(body);
    let got = match first >> 4 {
        3 => publish(v, first, &mut rest, size),
        4..=7 => acknowledgement(v, first, &mut rest),
        _ => other(v, first, &mut rest),
    };
    assert!(rest.0.is_empty(), "{got:?} has {} bytes too many", rest.0.len());
    got
}

fn publish(v: u8, first: u8, rest: &mut Rest<'_>, size: usize) -> Got {
    let qos = first >> 1 & 3;
    assert!(qos < 3, "QoS 3");
    let dup = first & 8 != 0;
    assert!(qos > 0 || !dup, "DUP with QoS 0");
    let topic = rest.text();
    assert!(!topic.contains(['+', '#']), "a wildcard in {topic:?}");
    let id = if qos > 0 { rest.two() } else { 0 };
    assert!(qos == 0 || id != 0, "packet identifier 0");
    let allowed = [
        id::PAYLOAD_FORMAT,
        id::MESSAGE_EXPIRY,
        id::CONTENT_TYPE,
        id::RESPONSE_TOPIC,
        id::CORRELATION,
        id::SUBSCRIPTION,
        id::ALIAS,
        id::USER,
    ];
    let props = properties(v, rest, &allowed);
    assert!(
        !topic.is_empty() || props.number(id::ALIAS).is_some(),
        "no topic and no alias"
    );
    let payload = std::mem::take(&mut rest.0).to_vec();
    Got::Publish(Message {
        topic,
        payload,
        qos,
        dup,
        retain: first & 1 != 0,
        id,
        props,
        size,
    })
}

fn acknowledgement(v: u8, first: u8, rest: &mut Rest<'_>) -> Got {
    let id = rest.two();
    assert_ne!(id, 0, "packet identifier 0");
    let (code, _) = code_and_properties(v, rest, &[id::REASON, id::USER]);
    // Source: MQTT 5.0 §3.4.2.1, §3.5.2.1, §3.6.2.1, §3.7.2.1.
    let published: &[u8] = &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    let released: &[u8] = &[0, 0x92];
    let (got, allowed) = match first {
        0x40 => (Got::PubAck { id, code }, published),
        0x50 => (Got::PubRec { id, code }, published),
        0x62 => (Got::PubRel { id, code }, released),
        0x70 => (Got::PubComp { id, code }, released),
        _ => panic!("first byte {first:#x}"),
    };
    assert!(allowed.contains(&code), "{got:?} with a code of another packet");
    got
}

fn other(v: u8, first: u8, rest: &mut Rest<'_>) -> Got {
    match first {
        0x20 => connack(v, rest),
        0x90 => {
            let id = rest.two();
            properties(v, rest, &[id::REASON, id::USER]);
            let codes = std::mem::take(&mut rest.0).to_vec();
            // Source: MQTT 3.1.1 §3.9.3, MQTT 5.0 §3.9.3.
            let allowed: &[u8] = if v == V5 {
                &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]
            } else {
                &[0, 1, 2, 0x80]
            };
            assert!(
                codes.iter().all(|code| allowed.contains(code)),
                "SUBACK {codes:x?}"
            );
            Got::SubAck { id, codes }
        }
        0xB0 => {
            let id = rest.two();
            properties(v, rest, &[id::REASON, id::USER]);
            let codes = std::mem::take(&mut rest.0).to_vec();
            // Source: MQTT 5.0 §3.11.3; in 3.1.1 it has no payload.
            let allowed: &[u8] = if v == V5 {
                &[0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]
            } else {
                &[]
            };
            assert!(
                codes.iter().all(|code| allowed.contains(code)),
                "UNSUBACK {codes:x?}"
            );
            Got::UnsubAck { id, codes }
        }
        0xD0 => Got::PingResp,
        0xE0 => {
            assert_eq!(v, V5, "a server does not send DISCONNECT in 3.1.1");
            let allowed = [id::REASON, id::USER, id::SERVER_REFERENCE];
            let (code, props) = code_and_properties(v, rest, &allowed);
            // Source: MQTT 5.0 §3.14.2.1, the codes that a server may send.
            let sent_by_servers = [
                0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96,
                0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
            ];
            assert!(sent_by_servers.contains(&code), "DISCONNECT {code:#x}");
            Got::Disconnect { code, props }
        }
        _ => panic!("a server does not send {first:#x}"),
    }
}

fn connack(v: u8, rest: &mut Rest<'_>) -> Got {
    let flags = rest.one();
    assert!(flags <= 1, "reserved flags in CONNACK: {flags:#x}");
    let code = rest.one();
    let allowed = [
        id::SESSION_EXPIRY,
        id::RECEIVE_MAXIMUM,
        id::MAXIMUM_QOS,
        id::RETAIN_AVAILABLE,
        id::MAXIMUM_PACKET,
        id::ASSIGNED_CLIENT,
        id::ALIAS_MAXIMUM,
        id::REASON,
        id::USER,
        id::WILDCARDS_AVAILABLE,
        id::SUBSCRIPTION_IDS_AVAILABLE,
        id::SHARED_AVAILABLE,
        id::SERVER_KEEP_ALIVE,
        id::RESPONSE_INFORMATION,
        id::SERVER_REFERENCE,
        id::AUTH_METHOD,
        id::AUTH_DATA,
    ];
    let props = properties(v, rest, &allowed);
    if v == V5 {
        // Source: MQTT 5.0 §3.2.2.2.
        let codes = [
            0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97,
            0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
        ];
        assert!(codes.contains(&code), "CONNACK {code:#x}");
        for id in [id::MAXIMUM_QOS, id::RETAIN_AVAILABLE] {
            assert!(props.number(id).is_none_or(|value| value < 2));
        }
        assert_ne!(props.number(id::RECEIVE_MAXIMUM), Some(0));
        assert_ne!(props.number(id::MAXIMUM_PACKET), Some(0));
    } else {
        assert!(code <= 5, "CONNACK {code:#x}");
    }
    assert!(code == 0 || flags == 0, "session present in a refusal");
    Got::ConnAck {
        present: flags == 1,
        code,
        props,
    }
}

/// A reason code and properties, which may both be left out; in 3.1.1 there are none.
fn code_and_properties(v: u8, rest: &mut Rest<'_>, allowed: &[u8]) -> (u8, Found) {
    if v != V5 || rest.0.is_empty() {
        return (0, Found::default());
    }
    let code = rest.one();
    if rest.0.is_empty() {
        return (code, Found::default());
    }
    (code, properties(v, rest, allowed))
}

fn properties(v: u8, rest: &mut Rest<'_>, allowed: &[u8]) -> Found {
    if v != V5 {
        return Found::default();
    }
    let length = rest.variable();
    let mut rest = Rest(rest.take(length));
    let mut found = Found::default();
    while !rest.0.is_empty() {
        let id = rest.one();
        assert!(allowed.contains(&id), "property {id:#x} does not belong here");
        let again = found.0.iter().any(|(of, _)| *of == id);
        assert!(
            !again || [id::USER, id::SUBSCRIPTION].contains(&id),
            "property {id:#x} twice"
        );
        let value = match id {
            id::PAYLOAD_FORMAT
            | id::MAXIMUM_QOS
            | id::RETAIN_AVAILABLE
            | id::WILDCARDS_AVAILABLE
            | id::SUBSCRIPTION_IDS_AVAILABLE
            | id::SHARED_AVAILABLE => {
                let value = rest.one();
                assert!(value < 2, "property {id:#x} with {value}");
                Value::Number(value.into())
            }
            id::RECEIVE_MAXIMUM | id::ALIAS_MAXIMUM | id::ALIAS | id::SERVER_KEEP_ALIVE => {
                Value::Number(rest.two().into())
            }
            id::MESSAGE_EXPIRY | id::SESSION_EXPIRY | id::MAXIMUM_PACKET => {
                Value::Number(u32::from_be_bytes(rest.take(4).try_into().unwrap()))
            }
            id::SUBSCRIPTION => Value::Number(u32::try_from(rest.variable()).unwrap()),
            id::CORRELATION | id::AUTH_DATA => {
                let length = rest.two().into();
                Value::Binary(rest.take(length).to_vec())
            }
            id::USER => Value::Pair(rest.text(), rest.text()),
            _ => Value::Text(rest.text()),
        };
        found.0.push((id, value));
    }
    found
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .expect("as many bytes as the lengths say");
        self.0 = rest;
        taken
    }

    fn one(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let length = self.two().into();
        let text = std::str::from_utf8(self.take(length)).expect("UTF-8");
        assert!(!text.contains('\0'), "U+0000 in {text:?}");
        text.to_owned()
    }

    fn variable(&mut self) -> usize {
        let (mut value, mut shift) = (0usize, 0);
        loop {
            let byte = self.one();
            value |= usize::from(byte & 0x7F) << shift;
            assert!(byte != 0 || shift == 0, "a length longer than it need be");
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }
}
