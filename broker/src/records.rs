//! What is kept, as bytes: keys and values of each [`Room`]. Pure.
//!
//! A value is a version (1), its fields, and a check sum over key and value, so that a damaged or misplaced record
//! is seen. Numbers in keys are big-endian: the order of keys is the order of sessions and of messages.
//!
//! | room | key | value |
//! | --- | --- | --- |
//! | sessions | number of the session | client, expiry, when its client went |
//! | subscriptions | number, filter | options, identifier |
//! | queue | number, number of the message | how it goes out, then the message |
//! | sending | number, packet identifier | stage, number of the message |
//! | received | number, packet identifier | – |
//! | retained | topic | the message |
//! | wills | number | sender, when it is due, delay, the message |

use bytes::{BufMut, Bytes, BytesMut};
use telemetry::{DeviceId, Timestamp};

use crate::codec::packet::{QoS, Will};
use crate::codec::properties::{self, Properties};
use crate::codec::wire::{Reader, put_binary};
use crate::keeper::{Change, Room};
use crate::message::Message;
use crate::session::outbox::Entry;
use crate::session::{LeftWill, Subscription};

const VERSION: u8 = 1;

/// Why bytes that were kept are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) &'static str);

impl From<crate::codec::Malformed> for Damaged {
    fn from(malformed: crate::codec::Malformed) -> Self {
        Self(malformed.why)
    }
}

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRecord {
    pub(crate) key: Box<str>,
    pub(crate) expiry_s: u32,
    /// When its client went; `None` when it was connected.
    pub(crate) left: Option<Timestamp>,
}

/// Where a message stands that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendingRecord {
    pub(crate) seq: u64,
    /// Whether PUBREC has come, so that only PUBREL and PUBCOMP are left.
    pub(crate) released: bool,
}

/// The key of a session.
pub(crate) fn session_key(number: u64) -> Box<[u8]> {
    number.to_be_bytes().into()
}

/// The key of something that belongs to a session.
pub(crate) fn key(number: u64, rest: &[u8]) -> Box<[u8]> {
    [&number.to_be_bytes()[..], rest].concat().into()
}

/// The session that a key belongs to, and the rest of the key.
pub(crate) fn of_session(key: &[u8]) -> Result<(u64, &[u8]), Damaged> {
    let (number, rest) = key.split_first_chunk::<8>().ok_or(Damaged("key too short"))?;
    Ok((u64::from_be_bytes(*number), rest))
}

/// A number at the end of a key.
pub(crate) fn number_of(rest: &[u8]) -> Result<u64, Damaged> {
    let bytes = <[u8; 8]>::try_from(rest).map_err(|_| Damaged("key without a number"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// A packet identifier at the end of a key.
pub(crate) fn id_of(rest: &[u8]) -> Result<u16, Damaged> {
    let bytes = <[u8; 2]>::try_from(rest).map_err(|_| Damaged("key without a packet identifier"))?;
    match u16::from_be_bytes(bytes) {
        0 => Err(Damaged("packet identifier 0")),
        id => Ok(id),
    }
}

/// A text at the end of a key.
pub(crate) fn text_of(rest: &[u8]) -> Result<&str, Damaged> {
    std::str::from_utf8(rest).map_err(|_| Damaged("key is not UTF-8"))
}

fn check_sum(key: &[u8], value: &[u8]) -> u32 {
    // FNV-1a, 32 bits.
    (key.iter().chain(value)).fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

fn put(room: Room, key: Box<[u8]>, write: impl FnOnce(&mut BytesMut)) -> Change {
    let mut value = BytesMut::with_capacity(64);
    value.put_u8(VERSION);
    write(&mut value);
    let sum = check_sum(&key, &value);
    value.put_u32(sum);
    let value = value.freeze();
    Change::Put { room, key, value }
}

/// The fields of a record, after version and check sum have been looked at.
fn open(key: &[u8], value: &[u8]) -> Result<Reader, Damaged> {
    let (fields, sum) = value.split_last_chunk::<4>().ok_or(Damaged("record too short"))?;
    if u32::from_be_bytes(*sum) != check_sum(key, fields) {
        return Err(Damaged("check sum is wrong"));
    }
    let mut reader = Reader(Bytes::copy_from_slice(fields));
    match reader.u8()? {
        VERSION => Ok(reader),
        _ => Err(Damaged("record of a newer version")),
    }
}

fn put_time(out: &mut BytesMut, time: Option<Timestamp>) {
    out.put_u8(u8::from(time.is_some()));
    out.put_i64(time.map_or(0, Timestamp::millis));
}

fn time(reader: &mut Reader) -> Result<Option<Timestamp>, Damaged> {
    let there = reader.u8()? != 0;
    let millis = reader.u64()?;
    let time = Timestamp::from_millis(i64::from_be_bytes(millis.to_be_bytes()));
    Ok(there.then_some(time))
}

fn qos(bits: u8) -> Result<QoS, Damaged> {
    QoS::from_bits(bits & 3).ok_or(Damaged("QoS 3"))
}

pub(crate) fn put_session(number: u64, record: &SessionRecord) -> Change {
    put(Room::Sessions, session_key(number), |out| {
        put_binary(out, record.key.as_bytes());
        out.put_u32(record.expiry_s);
        put_time(out, record.left);
    })
}

pub(crate) fn session(key: &[u8], value: &[u8]) -> Result<SessionRecord, Damaged> {
    let mut reader = open(key, value)?;
    let record = SessionRecord {
        key: reader.text()?,
        expiry_s: reader.u32()?,
        left: time(&mut reader)?,
    };
    reader.end()?;
    Ok(record)
}

pub(crate) fn put_subscription(number: u64, filter: &str, subscription: &Subscription) -> Change {
    put(Room::Subscriptions, key(number, filter.as_bytes()), |out| {
        let flags = u8::from(subscription.no_local) << 2 | u8::from(subscription.as_published) << 3;
        out.put_u8(subscription.qos.bits() | flags);
        out.put_u32(subscription.id.unwrap_or(0));
    })
}

pub(crate) fn subscription(key: &[u8], value: &[u8]) -> Result<Subscription, Damaged> {
    let mut reader = open(key, value)?;
    let flags = reader.u8()?;
    let id = reader.u32()?;
    reader.end()?;
    Ok(Subscription {
        qos: qos(flags)?,
        no_local: flags & 4 != 0,
        as_published: flags & 8 != 0,
        id: (id != 0).then_some(id),
    })
}

fn put_message(out: &mut BytesMut, message: &Message) {
    out.put_u8(message.qos.bits() | u8::from(message.retain) << 2);
    out.put_u64(message.from);
    out.put_i64(message.arrived.millis());
    out.put_u8(u8::from(message.expiry_s.is_some()));
    out.put_u32(message.expiry_s.unwrap_or(0));
    put_binary(out, message.topic.as_bytes());
    Properties::write(message.properties.as_deref(), out);
    out.put_slice(&message.payload);
}

fn message(mut reader: Reader) -> Result<Message, Damaged> {
    let flags = reader.u8()?;
    let from = reader.u64()?;
    let arrived = i64::from_be_bytes(reader.u64()?.to_be_bytes());
    let ends = reader.u8()? != 0;
    let expiry_s = reader.u32()?;
    Ok(Message {
        qos: qos(flags)?,
        retain: flags & 4 != 0,
        from,
        arrived: Timestamp::from_millis(arrived),
        expiry_s: ends.then_some(expiry_s),
        topic: reader.text()?,
        properties: Properties::read(&mut reader, properties::PUBLISH)?,
        payload: Bytes::copy_from_slice(&reader.0),
    })
}

pub(crate) fn queue_key(number: u64, seq: u64) -> Box<[u8]> {
    key(number, &seq.to_be_bytes())
}

pub(crate) fn put_entry(number: u64, entry: &Entry) -> Change {
    put(Room::Queue, queue_key(number, entry.seq), |out| {
        out.put_u8(entry.qos.bits() | u8::from(entry.retain) << 2);
        put_binary(out, entry.share.as_deref().unwrap_or_default().as_bytes());
        out.put_u16(u16::try_from(entry.ids.len()).unwrap_or(u16::MAX));
        for id in entry.ids.iter().take(usize::from(u16::MAX)) {
            out.put_u32(*id);
        }
        put_message(out, &entry.message);
    })
}

pub(crate) fn entry(key: &[u8], value: &[u8]) -> Result<Entry, Damaged> {
    let seq = number_of(of_session(key)?.1)?;
    let mut reader = open(key, value)?;
    let flags = reader.u8()?;
    let share = reader.text()?;
    let count = reader.u16()?;
    let ids = (0..count).map(|_| reader.u32()).collect::<Result<_, _>>()?;
    Ok(Entry {
        seq,
        qos: qos(flags)?,
        retain: flags & 4 != 0,
        share: (!share.is_empty()).then_some(share),
        ids,
        message: message(reader)?.into(),
    })
}

pub(crate) fn id_key(number: u64, id: u16) -> Box<[u8]> {
    key(number, &id.to_be_bytes())
}

pub(crate) fn put_sending(number: u64, id: u16, record: SendingRecord) -> Change {
    put(Room::Sending, id_key(number, id), |out| {
        out.put_u8(u8::from(record.released));
        out.put_u64(record.seq);
    })
}

pub(crate) fn sending(key: &[u8], value: &[u8]) -> Result<SendingRecord, Damaged> {
    let mut reader = open(key, value)?;
    let released = reader.u8()? != 0;
    let seq = reader.u64()?;
    reader.end()?;
    Ok(SendingRecord { seq, released })
}

pub(crate) fn put_received(number: u64, id: u16) -> Change {
    put(Room::Received, id_key(number, id), |_| ())
}

pub(crate) fn received(key: &[u8], value: &[u8]) -> Result<u16, Damaged> {
    open(key, value)?.end()?;
    id_of(of_session(key)?.1)
}

pub(crate) fn put_retained(message: &Message) -> Change {
    put(Room::Retained, message.topic.as_bytes().into(), |out| {
        put_message(out, message);
    })
}

pub(crate) fn retained(key: &[u8], value: &[u8]) -> Result<Message, Damaged> {
    message(open(key, value)?)
}

pub(crate) fn put_will(number: u64, left: &LeftWill, due: Option<Timestamp>) -> Change {
    put(Room::Wills, session_key(number), |out| {
        put_binary(out, left.sender.as_str().as_bytes());
        put_time(out, due);
        out.put_u8(left.will.qos.bits() | u8::from(left.will.retain) << 2);
        put_binary(out, left.will.topic.as_bytes());
        Properties::write(left.will.properties.as_deref(), out);
        out.put_slice(&left.will.payload);
    })
}

pub(crate) fn will(key: &[u8], value: &[u8]) -> Result<(LeftWill, Option<Timestamp>), Damaged> {
    let mut reader = open(key, value)?;
    let sender = DeviceId::new(&reader.text()?).map_err(|_| Damaged("sender is not a device"))?;
    let due = time(&mut reader)?;
    let flags = reader.u8()?;
    let will = Will {
        qos: qos(flags)?,
        retain: flags & 4 != 0,
        topic: reader.text()?,
        properties: Properties::read(&mut reader, properties::WILL)?,
        payload: Bytes::copy_from_slice(&reader.0),
    };
    Ok((LeftWill { will, sender }, due))
}

/// Forgets everything of a session.
pub(crate) fn forget_session(number: u64) -> Vec<Change> {
    let mut changes = vec![
        Change::Delete {
            room: Room::Sessions,
            key: session_key(number),
        },
        Change::Delete {
            room: Room::Wills,
            key: session_key(number),
        },
    ];
    let rooms = [Room::Subscriptions, Room::Queue, Room::Sending, Room::Received];
    changes.extend(rooms.map(|room| Change::DeletePrefix {
        room,
        prefix: session_key(number),
    }));
    changes
}

#[cfg(test)]
mod tests;
