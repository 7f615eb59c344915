use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};

use super::*;

/// A masked frame, as tungstenite writes it.
fn masked(opcode: OpCode, last: bool, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        is_final: last,
        opcode,
        mask: Some([0x12, 0x34, 0x56, 0x78]),
        ..FrameHeader::default()
    };
    let mut out = Vec::new();
    Frame::from_payload(header, payload.to_vec().into())
        .format(&mut out)
        .unwrap();
    out
}

/// Feeds `bytes` in the given portions; the data, what was said, and the violation if there was one.
fn feed(bytes: &[u8], portions: &[usize]) -> (Vec<u8>, Vec<Heard>, Option<Violation>) {
    let mut inbound = Inbound::default();
    let (mut data, mut heard) = (Vec::new(), Vec::new());
    let mut rest = bytes;
    let mut portions = portions.iter().cycle();
    while !rest.is_empty() {
        let (now, later) = rest.split_at((*portions.next().unwrap()).clamp(1, rest.len()));
        rest = later;
        let mut now = now.to_vec();
        match inbound.strip(&mut now, &mut heard) {
            Ok(count) => data.extend_from_slice(&now[..count]),
            Err(violation) => return (data, heard, Some(violation)),
        }
    }
    (data, heard, None)
}

#[test]
fn the_example_of_the_specification_is_read() {
    // RFC 6455 §5.7: a masked "Hello", here as a binary frame; an empty ping of "Hello" masked.
    let hello = [0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(feed(&hello, &[99]).0, b"Hello");
    let ping = [0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(feed(&ping, &[1]).1, [Heard::Ping(b"Hello".to_vec())]);
}

#[test]
fn what_the_protocol_forbids_is_named_with_its_code() {
    let binary = OpCode::Data(Data::Binary);
    let mut unmasked = BytesMut::new();
    super::binary(&mut unmasked, b"x");
    let mut reserved = masked(binary, true, b"x");
    reserved[0] |= 0x40;
    let two_starts = [masked(binary, false, b"x"), masked(binary, true, b"x")].concat();
    let mut long_ping = vec![0x89, 0xFE, 0, 126];
    long_ping.extend([0; 130]);
    let mut endless = vec![0x82, 0xFF, 0x80];
    endless.extend([0; 11]);
    for (bytes, code) in [
        (unmasked.to_vec(), 1002),
        (reserved, 1002),
        (two_starts, 1002),
        (masked(OpCode::Data(Data::Continue), true, b"x"), 1002),
        (masked(OpCode::Control(Control::Ping), false, b"x"), 1002),
        (long_ping, 1002),
        (endless, 1002),
        (vec![0x83], 1002),
        (vec![0x8B], 1002),
        (masked(OpCode::Data(Data::Text), true, b"x"), 1003),
    ] {
        assert_eq!(feed(&bytes, &[99]).2.unwrap().code, code, "{bytes:02x?}");
    }
}

#[test]
fn after_a_close_nothing_more_is_read() {
    let mut bytes = masked(OpCode::Data(Data::Binary), true, b"before");
    bytes.extend(masked(OpCode::Control(Control::Close), true, &[0x03, 0xE9]));
    bytes.extend(masked(OpCode::Data(Data::Binary), true, b"after"));
    let (data, heard, violation) = feed(&bytes, &[999]);
    assert_eq!(
        (data, heard, violation),
        (b"before".to_vec(), vec![Heard::Close(1001)], None)
    );
    let bare = masked(OpCode::Control(Control::Close), true, &[]);
    assert_eq!(feed(&bare, &[1]).1, [Heard::Close(NORMAL)]);
}

proptest! {
    #[test]
    fn data_comes_through_whatever_the_frames_and_the_portions_are(
        messages in prop::collection::vec(
            prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<bool>()), 1..4), 0..6),
        portions in prop::collection::vec(1_usize..200, 1..5),
    ) {
        // Given messages of several frames each, with pings between them,
        let (mut bytes, mut sent, mut pings) = (Vec::new(), Vec::new(), 0);
        for message in &messages {
            for (place, (payload, ping)) in message.iter().enumerate() {
                let opcode = if place == 0 { Data::Binary } else { Data::Continue };
                bytes.extend(masked(OpCode::Data(opcode), place + 1 == message.len(), payload));
                sent.extend_from_slice(payload);
                if *ping {
                    bytes.extend(masked(OpCode::Control(Control::Ping), true, b"?"));
                    pings += 1;
                }
            }
        }
        // when they come in whatever portions, then their data is what was sent.
        let (data, heard, violation) = feed(&bytes, &portions);
        prop_assert_eq!(violation, None);
        prop_assert_eq!(data, sent);
        prop_assert_eq!(heard.len(), pings);
    }

    #[test]
    fn no_bytes_make_it_panic_or_grow(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        masked in any::<bool>(),
    ) {
        if masked && bytes.len() > 1 {
            bytes[0] = 0x82;
            bytes[1] |= 0x80;
        }
        let (data, _, _) = feed(&bytes, &[7]);
        prop_assert!(data.len() <= bytes.len());
    }

    #[test]
    fn what_is_written_is_read_by_another_hand(payload in prop::collection::vec(any::<u8>(), 0..70_000)) {
        let mut out = BytesMut::new();
        binary(&mut out, &payload);
        let mut cursor = std::io::Cursor::new(&out[..]);
        let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
        prop_assert!(header.is_final && header.mask.is_none());
        prop_assert_eq!(header.opcode, OpCode::Data(Data::Binary));
        prop_assert_eq!(length, payload.len() as u64);
        let at = usize::try_from(cursor.position()).unwrap();
        prop_assert_eq!(&out[at..], &payload[..]);
    }
}
