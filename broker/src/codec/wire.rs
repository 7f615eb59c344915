//! The primitive types on the wire (MQTT 5.0 §1.5).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Malformed;

const SHORT: Malformed = Malformed::packet("packet ends early");

/// Reads the body of one packet from front to back.
pub(crate) struct Reader(pub(crate) Bytes);

impl Reader {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| SHORT)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().map_err(|_| SHORT)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| SHORT)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.0.try_get_u64().map_err(|_| SHORT)
    }

    pub(crate) fn varint(&mut self) -> Result<u32, Malformed> {
        match varint(&self.0)? {
            Some((value, bytes)) => {
                self.0.advance(bytes);
                Ok(value)
            }
            None => Err(SHORT),
        }
    }

    /// The next `count` bytes, sharing the packet's memory.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<Bytes, Malformed> {
        if count > self.0.len() {
            return Err(SHORT);
        }
        Ok(self.0.split_to(count))
    }

    pub(crate) fn binary(&mut self) -> Result<Bytes, Malformed> {
        let count = self.u16()?;
        self.bytes(usize::from(count))
    }

    /// UTF-8 without U+0000. Source: §1.5.4.
    pub(crate) fn text(&mut self) -> Result<Box<str>, Malformed> {
        let raw = self.binary()?;
        let text = std::str::from_utf8(&raw).map_err(|_| Malformed::packet("string is not UTF-8"))?;
        if text.contains('\0') {
            return Err(Malformed::packet("string holds U+0000"));
        }
        Ok(text.into())
    }

    /// A packet identifier: never 0.
    pub(crate) fn packet_id(&mut self) -> Result<u16, Malformed> {
        match self.u16()? {
            0 => Err(Malformed::protocol("packet identifier 0")),
            id => Ok(id),
        }
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Malformed::packet("bytes after the end of the packet"))
        }
    }
}

/// A variable byte integer at the start of `bytes` and its length, or `None` when more bytes are needed.
pub(crate) fn varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, Malformed> {
    let mut value = 0u32;
    for (place, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some((value, place + 1)));
        }
    }
    if bytes.len() < 4 {
        Ok(None)
    } else {
        Err(Malformed::packet("length has more than four bytes"))
    }
}

/// Writes a variable byte integer; a value that four bytes cannot say does not
/// occur, since every packet is bounded.
pub(crate) fn put_varint(out: &mut BytesMut, value: usize) {
    let mut rest = value;
    loop {
        let low = u8::try_from(rest & 0x7F).unwrap_or(0x7F);
        rest >>= 7;
        if rest == 0 {
            return out.put_u8(low);
        }
        out.put_u8(low | 0x80);
    }
}

/// How many bytes [`put_varint`] writes.
pub(crate) const fn varint_len(value: usize) -> usize {
    match value {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    }
}

/// Writes a length and the bytes; what is longer than the length can say is cut. Nothing of that
/// length gets in.
pub(crate) fn put_binary(out: &mut BytesMut, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.put_u16(length);
    out.put_slice(bytes.get(..usize::from(length)).unwrap_or_default());
}
