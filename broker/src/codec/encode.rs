//! Every packet that the gate sends.

use bytes::{BufMut, Bytes, BytesMut};

use super::packet::QoS;
use super::properties::Properties;
use super::wire::{put_binary, put_varint, varint_len};
use super::{Version, reason};

/// Writes first byte, length and body.
fn packet(out: &mut BytesMut, first: u8, body: &[u8]) {
    out.reserve(5 + body.len());
    out.put_u8(first);
    put_varint(out, body.len());
    out.put_slice(body);
}

/// CONNACK with a reason code of 5. In 3.1.1 it becomes the return code that fits; where there is none,
/// nothing is written and the caller only closes. `present`: the session of before goes on.
pub(crate) fn connack(
    out: &mut BytesMut,
    version: Version,
    code: u8,
    present: bool,
    properties: Option<&Properties>,
) {
    let present = u8::from(present);
    match version {
        Version::V311 => {
            if let Some(code) = reason::v311_connack(code) {
                packet(out, 0x20, &[present, code]);
            }
        }
        Version::V5 => {
            let mut body = BytesMut::with_capacity(64);
            body.put_slice(&[present, code]);
            Properties::write(properties, &mut body);
            packet(out, 0x20, &body);
        }
    }
}

/// CONNACK that refuses, with the reason in words.
pub(crate) fn refusal(out: &mut BytesMut, version: Version, code: u8, why: Option<&str>) {
    let properties = why.map(|why| Properties {
        reason_string: Some(why.into()),
        ..Properties::default()
    });
    connack(out, version, code, false, properties.as_ref());
}

/// A PUBLISH as it goes to one client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) dup: bool,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// Empty when `alias` stands for it.
    pub(crate) topic: &'a str,
    /// Packet identifier; 0 with QoS 0.
    pub(crate) id: u16,
    /// Those that are handed on.
    pub(crate) properties: Option<&'a Properties>,
    /// Seconds that are left of its life.
    pub(crate) expiry_s: Option<u32>,
    pub(crate) alias: Option<u16>,
    /// Subscription identifiers.
    pub(crate) ids: &'a [u32],
    pub(crate) payload: &'a Bytes,
}

/// How many bytes [`publish`] writes.
pub(crate) fn publish_len(version: Version, message: &Outgoing<'_>) -> usize {
    let mut probe = BytesMut::new();
    publish_head(&mut probe, version, message);
    let body = probe.len() + message.payload.len();
    1 + varint_len(body) + body
}

fn publish_head(head: &mut BytesMut, version: Version, message: &Outgoing<'_>) {
    put_binary(head, message.topic.as_bytes());
    if message.qos != QoS::Zero {
        head.put_u16(message.id);
    }
    if version == Version::V5 {
        let own = (message.expiry_s, message.alias, message.ids);
        Properties::write_with(message.properties, own, head);
    }
}

/// PUBLISH; 3.1.1 leaves the properties out.
pub(crate) fn publish(out: &mut BytesMut, version: Version, message: &Outgoing<'_>) {
    let mut head = BytesMut::with_capacity(message.topic.len() + 8);
    publish_head(&mut head, version, message);
    out.reserve(head.len() + message.payload.len() + 5);
    out.put_u8(0x30 | u8::from(message.dup) << 3 | message.qos.bits() << 1 | u8::from(message.retain));
    put_varint(out, head.len() + message.payload.len());
    out.put_slice(&head);
    out.put_slice(message.payload);
}

/// The packets that answer a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP. A code other than success, and why, can only be said in 5; 3.1.1 has no word
/// for it.
pub(crate) fn ack(out: &mut BytesMut, version: Version, kind: Ack, id: u16, (code, why): (u8, Option<&str>)) {
    let [high, low] = id.to_be_bytes();
    let first = match kind {
        Ack::Puback => 0x40,
        Ack::Pubrec => 0x50,
        Ack::Pubrel => 0x62,
        Ack::Pubcomp => 0x70,
    };
    if version == Version::V311 || code == reason::SUCCESS {
        return out.put_slice(&[first, 2, high, low]);
    }
    let mut body = BytesMut::with_capacity(64);
    body.put_slice(&[high, low, code]);
    put_why(&mut body, why);
    packet(out, first, &body);
}

/// The properties of a packet that has none but a reason string, which may stand at its end only.
fn put_why(body: &mut BytesMut, why: Option<&str>) {
    if let Some(why) = why {
        put_varint(body, 3 + why.len());
        body.put_u8(0x1F);
        put_binary(body, why.as_bytes());
    }
}

/// SUBACK with one code for each filter; in 3.1.1 every failure is 0x80.
pub(crate) fn suback(out: &mut BytesMut, version: Version, id: u16, codes: &[u8]) {
    let mut body = BytesMut::with_capacity(3 + codes.len());
    body.put_u16(id);
    match version {
        Version::V311 => {
            body.extend(codes.iter().map(|&code| {
                if code > 2 {
                    reason::V311_SUBSCRIBE_FAILURE
                } else {
                    code
                }
            }));
        }
        Version::V5 => {
            body.put_u8(0);
            body.put_slice(codes);
        }
    }
    packet(out, 0x90, &body);
}

/// UNSUBACK; only 5 has codes.
pub(crate) fn unsuback(out: &mut BytesMut, version: Version, id: u16, codes: &[u8]) {
    let mut body = BytesMut::with_capacity(3 + codes.len());
    body.put_u16(id);
    if version == Version::V5 {
        body.put_u8(0);
        body.put_slice(codes);
    }
    packet(out, 0xB0, &body);
}

/// PINGRESP.
pub(crate) fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xD0, 0]);
}

/// DISCONNECT from the server exists in 5 only; in 3.1.1 nothing is written.
pub(crate) fn disconnect(out: &mut BytesMut, version: Version, code: u8, why: Option<&str>) {
    if version == Version::V5 {
        let mut body = BytesMut::with_capacity(64);
        body.put_u8(code);
        put_why(&mut body, why);
        packet(out, 0xE0, &body);
    }
}
