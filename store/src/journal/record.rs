//! The form of a batch of messages: one blob, one checksum.
//!
//! ```text
//! batch   = version (1 byte, 1) · record × count · CRC-32C (4 bytes, little-endian)
//! record  = arrived (zigzag varint, ms after the record before it; the first: after 1970)
//!         · origin (1 byte) · sender · topic · payload (each: length as varint, bytes)
//! ```
//!
//! The checksum covers the number of the first message and the count, too, so a batch that turns up in
//! another's place is found out.

use bytes::Bytes;
use telemetry::{DeviceId, Lsn, Origin, RawMessage, Timestamp};

use crate::form::{Reader, checksum, put_len, put_varint, unzigzag, zigzag};

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// A batch that grows message by message and is then a row of the journal.
#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) first: Lsn,
    pub(super) count: u32,
    pub(super) arrived_min: Timestamp,
    pub(super) arrived_max: Timestamp,
    before: i64,
    blob: Vec<u8>,
}

impl Encoder {
    pub(super) fn new(first: Lsn) -> Self {
        Self {
            first,
            count: 0,
            arrived_min: Timestamp::MAX,
            arrived_max: Timestamp::MIN,
            before: 0,
            blob: vec![VERSION],
        }
    }

    pub(super) const fn len_bytes(&self) -> usize {
        self.blob.len()
    }

    pub(super) fn push(&mut self, message: &RawMessage) {
        let arrived = message.arrived.millis();
        put_varint(&mut self.blob, zigzag(arrived.wrapping_sub(self.before)));
        self.before = arrived;
        self.blob.push(message.origin.code());
        for part in [
            message.sender.as_str().as_bytes(),
            message.topic.as_bytes(),
            &message.payload,
        ] {
            put_len(&mut self.blob, part.len());
            self.blob.extend_from_slice(part);
        }
        self.count += 1;
        self.arrived_min = self.arrived_min.min(message.arrived);
        self.arrived_max = self.arrived_max.max(message.arrived);
    }

    /// The blob, closed with its checksum.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let sum = sum(self.first, self.count, &self.blob);
        self.blob.extend_from_slice(&sum.to_le_bytes());
        self.blob
    }
}

fn sum(first: Lsn, count: u32, blob: &[u8]) -> u32 {
    checksum(&[&first.0.to_le_bytes(), &count.to_le_bytes(), blob])
}

/// The messages of a batch whose first has the number `first`; the error says what is wrong with it.
pub(super) fn decode(first: Lsn, count: u32, blob: Vec<u8>) -> Result<Vec<RawMessage>, &'static str> {
    let blob = Bytes::from(blob);
    let body_len = blob.len().checked_sub(CHECKSUM_BYTES).ok_or("it is cut off")?;
    let (body, tail) = blob.split_at(body_len);
    if tail != sum(first, count, body).to_le_bytes() {
        return Err("its checksum does not fit");
    }
    let mut reader = Reader::new(body);
    if reader.byte() != Some(VERSION) {
        return Err("it has a form that this program does not know");
    }
    let mut messages = Vec::new();
    let mut before = 0i64;
    for _ in 0..count {
        let message =
            decode_record(&blob, &mut reader, &mut before).ok_or("a record of it makes no sense")?;
        messages.push(message);
    }
    if reader.is_empty() {
        Ok(messages)
    } else {
        Err("it holds more than its count says")
    }
}

fn decode_record(blob: &Bytes, reader: &mut Reader<'_>, before: &mut i64) -> Option<RawMessage> {
    *before = before.wrapping_add(unzigzag(reader.varint()?));
    let origin = Origin::from_code(reader.byte()?)?;
    let mut part = || {
        let len = reader.len()?;
        reader.bytes(len)
    };
    let sender = std::str::from_utf8(part()?).ok()?;
    let topic = std::str::from_utf8(part()?).ok()?;
    let payload = part()?;
    Some(RawMessage {
        arrived: Timestamp::from_millis(*before),
        origin,
        sender: DeviceId::new(sender).ok()?,
        topic: topic.into(),
        payload: blob.slice_ref(payload),
    })
}
