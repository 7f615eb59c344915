//! WebSocket frames, as the server's side reads and writes them: pure. Source: RFC 6455 §5.

use bytes::{BufMut, BytesMut};

/// A close without complaint.
pub(crate) const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const UNSUPPORTED_DATA: u16 = 1003;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
/// Payload of a control frame, at most. Source: RFC 6455 §5.5.
const CONTROL_BYTES_MAX: u64 = 125;

/// Something the other side said that is not data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// To be answered with a pong of the same payload.
    Ping(Vec<u8>),
    /// It closes: to be answered with a close of this code.
    Close(u16),
}

/// Why the connection has to be closed, with the code that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) code: u16,
    pub(super) why: &'static str,
}

const fn broken(why: &'static str) -> Violation {
    Violation {
        code: PROTOCOL_ERROR,
        why,
    }
}

/// Where the reading of frames stands.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// What is there of the next header: its longest form has 14 bytes.
    header: [u8; 14],
    header_len: usize,
    payload: Option<Payload>,
    /// Whether a message of several frames is open.
    in_message: bool,
}

#[derive(Debug)]
struct Payload {
    left: u64,
    mask: [u8; 4],
    /// How many bytes of the payload were there: where in the mask the next one stands.
    at: usize,
    /// What a control frame carries; none for data.
    control: Option<(u8, Vec<u8>)>,
}

impl Inbound {
    /// Leaves of `bytes` only the data, unmasked and moved to the front, and says how many bytes that is.
    /// What the control frames said is added to `heard`; after a close nothing more is looked at.
    pub(super) fn strip(&mut self, bytes: &mut [u8], heard: &mut Vec<Heard>) -> Result<usize, Violation> {
        let (mut read, mut write) = (0, 0);
        while let Some(&byte) = bytes.get(read) {
            let Some(payload) = &mut self.payload else {
                read += 1;
                self.push_header(byte)?;
                self.finish_control(heard);
                if matches!(heard.last(), Some(Heard::Close(_))) {
                    return Ok(write);
                }
                continue;
            };
            let there = bytes.len() - read;
            let take = usize::try_from(payload.left).unwrap_or(usize::MAX).min(there);
            if let Some(part) = bytes.get_mut(read..read + take) {
                payload.unmask(part);
                if let Some((_, control)) = &mut payload.control {
                    control.extend_from_slice(part);
                } else {
                    bytes.copy_within(read..read + take, write);
                    write += take;
                }
            }
            read += take;
            self.finish_control(heard);
            if matches!(heard.last(), Some(Heard::Close(_))) {
                return Ok(write);
            }
        }
        Ok(write)
    }

    /// Takes one byte of a header; with the last, its payload begins.
    fn push_header(&mut self, byte: u8) -> Result<(), Violation> {
        if let Some(place) = self.header.get_mut(self.header_len) {
            *place = byte;
        }
        self.header_len += 1;
        let [first, second, rest @ ..] = self.header;
        if self.header_len == 1 {
            return check_first(first, self.in_message);
        }
        if self.header_len == 2 && second & 0x80 == 0 {
            return Err(broken("frame is not masked"));
        }
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.header_len < 2 + extended + 4 {
            return Ok(());
        }
        let [a, b, c, d, e, f, g, h, i, j, k, l] = rest;
        let left = match extended {
            2 => u64::from(u16::from_be_bytes([a, b])),
            8 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            _ => u64::from(second & 0x7F),
        };
        let mask = match extended {
            2 => [c, d, e, f],
            8 => [i, j, k, l],
            _ => [a, b, c, d],
        };
        self.header_len = 0;
        self.begin(first, left, mask)
    }

    fn begin(&mut self, first: u8, left: u64, mask: [u8; 4]) -> Result<(), Violation> {
        let (last, opcode) = (first & 0x80 != 0, first & 0x0F);
        let control = opcode >= CLOSE;
        if control && (left > CONTROL_BYTES_MAX || !last) {
            return Err(broken("control frame too long or in parts"));
        }
        if left > i64::MAX.unsigned_abs() {
            return Err(broken("length with the highest bit"));
        }
        if !control {
            self.in_message = !last;
        }
        self.payload = Some(Payload {
            left,
            mask,
            at: 0,
            control: control.then(|| (opcode, Vec::new())),
        });
        Ok(())
    }

    /// When the payload is complete, makes place for the next header, and tells what a control frame said.
    fn finish_control(&mut self, heard: &mut Vec<Heard>) {
        let Some(done) = self.payload.take_if(|payload| payload.left == 0) else {
            return;
        };
        match done.control {
            Some((CLOSE, said)) => {
                let code = said
                    .first_chunk()
                    .map_or(NORMAL, |&code| u16::from_be_bytes(code));
                heard.push(Heard::Close(code));
            }
            Some((PING, said)) => heard.push(Heard::Ping(said)),
            Some(_) | None => {}
        }
    }
}

fn check_first(first: u8, in_message: bool) -> Result<(), Violation> {
    if first & 0x70 != 0 {
        return Err(broken("reserved bit"));
    }
    match first & 0x0F {
        CONTINUATION if in_message => Ok(()),
        BINARY if !in_message => Ok(()),
        CLOSE | PING | PONG => Ok(()),
        // Source: MQTT 5.0 §6, [MQTT-6.0.0-1].
        TEXT => Err(Violation {
            code: UNSUPPORTED_DATA,
            why: "text frame",
        }),
        CONTINUATION | BINARY => Err(broken("frame out of order")),
        _ => Err(broken("unknown opcode")),
    }
}

impl Payload {
    fn unmask(&mut self, part: &mut [u8]) {
        let mut mask = self.mask;
        mask.rotate_left(self.at % 4);
        let [a, b, c, d] = mask;
        let mut groups = part.chunks_exact_mut(4);
        for group in &mut groups {
            if let [w, x, y, z] = group {
                *w ^= a;
                *x ^= b;
                *y ^= c;
                *z ^= d;
            }
        }
        for (byte, mask) in groups.into_remainder().iter_mut().zip(mask) {
            *byte ^= mask;
        }
        self.at = (self.at + part.len()) % 4;
        self.left -= u64::try_from(part.len()).unwrap_or(self.left);
    }
}

/// Appends a frame with `data`.
pub(super) fn binary(out: &mut BytesMut, data: &[u8]) {
    frame(out, BINARY, data);
}

/// Appends the answer to a ping.
pub(super) fn pong(out: &mut BytesMut, payload: &[u8]) {
    frame(out, PONG, payload);
}

/// Appends a close frame.
pub(super) fn close(out: &mut BytesMut, code: u16) {
    frame(out, CLOSE, &code.to_be_bytes());
}

fn frame(out: &mut BytesMut, opcode: u8, payload: &[u8]) {
    out.reserve(payload.len() + 10);
    out.put_u8(0x80 | opcode);
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => out.put_u8(length),
        _ => match u16::try_from(payload.len()) {
            Ok(length) => {
                out.put_u8(126);
                out.put_u16(length);
            }
            Err(_) => {
                out.put_u8(127);
                out.put_u64(u64::try_from(payload.len()).unwrap_or(u64::MAX));
            }
        },
    }
    out.put_slice(payload);
}

#[cfg(test)]
mod tests;
