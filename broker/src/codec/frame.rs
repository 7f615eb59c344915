//! Cuts packets out of the stream.

use bytes::{Buf, Bytes, BytesMut};

use super::wire::varint;
use super::{Malformed, reason};

/// One packet as it came: the first byte, and everything after the length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Type and flags.
    pub(crate) first: u8,
    /// The rest.
    pub(crate) body: Bytes,
}

impl Frame {
    /// Whether this is a PUBLISH.
    pub(crate) const fn is_publish(&self) -> bool {
        self.first >> 4 == 3
    }
}

/// Takes one packet of at most `bytes_max`, header included, off the front of `stream`; `None` when it
/// is not all there yet. A packet that will be too large is refused as soon as its length is known.
pub(crate) fn next(stream: &mut BytesMut, bytes_max: usize) -> Result<Option<Frame>, Malformed> {
    let Some((&first, rest)) = stream.split_first() else {
        return Ok(None);
    };
    if first < 0x10 {
        return Err(Malformed::packet("packet type 0"));
    }
    let Some((length, length_bytes)) = varint(rest)? else {
        return Ok(None);
    };
    let header = 1 + length_bytes;
    let total = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .saturating_add(header);
    if total > bytes_max {
        return Err(Malformed {
            code: reason::PACKET_TOO_LARGE,
            why: "packet larger than allowed",
        });
    }
    if stream.len() < total {
        return Ok(None);
    }
    let mut body = stream.split_to(total).freeze();
    body.advance(header);
    Ok(Some(Frame { first, body }))
}
