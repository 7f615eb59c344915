//! Every packet that the gate sends.

use bytes::{BufMut, BytesMut};

use super::packet::{Publish, QoS};
use super::properties::Properties;
use super::wire::{put_binary, put_varint};
use super::{Version, reason};

/// Writes first byte, length and body.
fn packet(out: &mut BytesMut, first: u8, body: &[u8]) {
    out.reserve(5 + body.len());
    out.put_u8(first);
    put_varint(out, body.len());
    out.put_slice(body);
}

/// CONNACK with a reason code of 5. In 3.1.1 it becomes the return code that fits; where there is none,
/// nothing is written and the caller only closes.
pub(crate) fn connack(out: &mut BytesMut, version: Version, code: u8, properties: Option<&Properties>) {
    match version {
        Version::V311 => {
            if let Some(code) = reason::v311_connack(code) {
                packet(out, 0x20, &[0, code]);
            }
        }
        Version::V5 => {
            let mut body = BytesMut::with_capacity(64);
            body.put_slice(&[0, code]);
            Properties::write(properties, &mut body);
            packet(out, 0x20, &body);
        }
    }
}

/// How many bytes [`publish`] writes.
pub(crate) fn publish_len(version: Version, message: &Publish) -> usize {
    let mut probe = BytesMut::new();
    publish_head(&mut probe, version, message);
    probe.len() + message.payload.len() + 5
}

fn publish_head(head: &mut BytesMut, version: Version, message: &Publish) {
    put_binary(head, message.topic.as_bytes());
    if message.qos != QoS::Zero {
        head.put_u16(message.id);
    }
    if version == Version::V5 {
        Properties::write(message.properties.as_deref(), head);
    }
}

/// PUBLISH; 3.1.1 leaves the properties out.
pub(crate) fn publish(out: &mut BytesMut, version: Version, message: &Publish) {
    let mut head = BytesMut::with_capacity(message.topic.len() + 8);
    publish_head(&mut head, version, message);
    out.reserve(head.len() + message.payload.len() + 5);
    out.put_u8(0x30 | u8::from(message.dup) << 3 | message.qos.bits() << 1 | u8::from(message.retain));
    put_varint(out, head.len() + message.payload.len());
    out.put_slice(&head);
    out.put_slice(&message.payload);
}

/// PUBACK. A code other than success can only be said in 5; 3.1.1 has no word for it.
pub(crate) fn puback(out: &mut BytesMut, version: Version, id: u16, code: u8) {
    let [high, low] = id.to_be_bytes();
    if version == Version::V5 && code != reason::SUCCESS {
        out.put_slice(&[0x40, 3, high, low, code]);
    } else {
        out.put_slice(&[0x40, 2, high, low]);
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
pub(crate) fn disconnect(out: &mut BytesMut, version: Version, code: u8) {
    if version == Version::V5 {
        out.put_slice(&[0xE0, 1, code]);
    }
}
