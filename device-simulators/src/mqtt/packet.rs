//! Bytes of packets. Pure.

/// What the broker says that a device cares for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inbound {
    /// The connection is accepted (0) or refused (1 to 5).
    ConnAck(u8),
    /// A publish is safe.
    PubAck(u16),
    /// Anything else, e.g. PINGRESP.
    Other,
}

/// CONNECT with a clean session, the id as client id and user name.
pub(super) fn connect(id: &str, password: &str, keep_alive_s: u16) -> Vec<u8> {
    let mut body = Vec::with_capacity(40 + 2 * id.len() + password.len());
    text(&mut body, "MQTT");
    // Level 4; user name, password, clean session.
    body.extend_from_slice(&[4, 0b1100_0010]);
    body.extend_from_slice(&keep_alive_s.to_be_bytes());
    text(&mut body, id);
    text(&mut body, id);
    text(&mut body, password);
    framed(0x10, &body)
}

/// PUBLISH with QoS 1.
pub(super) fn publish(topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(payload.len() + topic.len() + 9);
    packet.push(0x32);
    length(&mut packet, topic.len() + 4 + payload.len());
    text(&mut packet, topic);
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// Marks a PUBLISH as sent before.
pub(super) fn mark_again(packet: &mut [u8]) {
    if let Some(first) = packet.first_mut() {
        *first |= 0x08;
    }
}

pub(super) const PING: [u8; 2] = [0xC0, 0];
pub(super) const DISCONNECT: [u8; 2] = [0xE0, 0];

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    length(&mut packet, body.len());
    packet.extend_from_slice(body);
    packet
}

fn text(out: &mut Vec<u8>, text: &str) {
    // Ids, passwords and topics here are short; a longer one would be cut, and refused by the broker.
    let bytes = text.as_bytes();
    let size = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(bytes.get(..usize::from(size)).unwrap_or(bytes));
}

/// The remaining length: seven bits a byte, the least first (§2.2.3).
fn length(out: &mut Vec<u8>, mut rest: usize) {
    loop {
        let low = u8::try_from(rest % 128).unwrap_or(0);
        rest /= 128;
        out.push(if rest > 0 { low | 0x80 } else { low });
        if rest == 0 {
            return;
        }
    }
}

/// The packet at the beginning of `bytes` and how long it is; `None` while it is not complete.
///
/// # Errors
/// A length of more than four bytes, or a PUBACK or CONNACK of the wrong size: the stream is lost.
pub(super) fn inbound(bytes: &[u8]) -> Result<Option<(Inbound, usize)>, &'static str> {
    let Some((kind, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let mut size = 0_usize;
    let mut head = 1;
    loop {
        let Some(byte) = rest.get(head - 1) else {
            return if head > 4 {
                Err("a length of more than four bytes")
            } else {
                Ok(None)
            };
        };
        if head > 4 {
            return Err("a length of more than four bytes");
        }
        size |= usize::from(byte & 0x7F) << (7 * (head - 1));
        head += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let Some(body) = bytes.get(head..head + size) else {
        return Ok(None);
    };
    let packet = match (kind >> 4, body) {
        (2, [_, code]) => Inbound::ConnAck(*code),
        (4, [high, low]) => Inbound::PubAck(u16::from_be_bytes([*high, *low])),
        (2 | 4, _) => return Err("an acknowledgement of the wrong size"),
        _ => Inbound::Other,
    };
    Ok(Some((packet, head + size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_is_the_bytes_of_the_standard() {
        // Written by hand from MQTT 3.1.1 §3.1.
        let wanted = b"\x10\x19\x00\x04MQTT\x04\xC2\x00\x3C\x00\x03dev\x00\x03dev\x00\x03pwd";
        assert_eq!(connect("dev", "pwd", 60), wanted);
    }

    #[test]
    fn a_publish_of_321_bytes_has_the_length_of_the_standards_example() {
        // MQTT 3.1.1 §2.2.3: 321 is written 0xC1 0x02.
        let packet = publish("t", 10, &[0; 316]);
        assert_eq!(packet[..3], [0x32, 0xC1, 0x02]);
        assert_eq!(packet[3..8], [0, 1, b't', 0, 10]);
    }

    #[test]
    fn inbound_packets_are_found_in_a_stream_that_comes_in_pieces() {
        let stream = [0x20, 2, 0, 0, 0x40, 2, 1, 2, 0xD0, 0];
        assert_eq!(inbound(&stream[..3]), Ok(None));
        assert_eq!(inbound(&stream), Ok(Some((Inbound::ConnAck(0), 4))));
        assert_eq!(inbound(&stream[4..]), Ok(Some((Inbound::PubAck(258), 4))));
        assert_eq!(inbound(&stream[8..]), Ok(Some((Inbound::Other, 2))));
        assert!(inbound(&[0x40, 0xFF, 0xFF, 0xFF, 0xFF, 1]).is_err());
        assert!(inbound(&[0x40, 1, 0]).is_err());
    }
}
