use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::packet::{Packet, Publish, QoS};
use super::properties::Properties;
use super::{Malformed, Version, connect, decode, encode, frame, reason, wire};

const MAX: usize = 4096;

fn one(bytes: &[u8]) -> frame::Frame {
    let mut stream = BytesMut::from(bytes);
    let frame = frame::next(&mut stream, MAX).unwrap().expect("a whole packet");
    assert!(stream.is_empty(), "one packet and nothing more");
    frame
}

fn refused(version: Version, bytes: &[u8]) -> Malformed {
    decode::decode(version, one(bytes)).unwrap_err()
}

#[test]
fn a_variable_byte_integer_has_the_lengths_of_the_standard() {
    // Source: MQTT 5.0 table 1-1.
    for (value, bytes) in [
        (0u32, &[0x00][..]),
        (127, &[0x7F]),
        (128, &[0x80, 0x01]),
        (16_383, &[0xFF, 0x7F]),
        (16_384, &[0x80, 0x80, 0x01]),
        (2_097_151, &[0xFF, 0xFF, 0x7F]),
        (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
        (268_435_455, &[0xFF, 0xFF, 0xFF, 0x7F]),
    ] {
        assert_eq!(wire::varint(bytes), Ok(Some((value, bytes.len()))));
        let mut out = BytesMut::new();
        wire::put_varint(&mut out, value.try_into().unwrap());
        assert_eq!(out, bytes);
        assert_eq!(wire::varint_len(value.try_into().unwrap()), bytes.len());
    }
    assert_eq!(wire::varint(&[0x80, 0x80]), Ok(None));
    assert!(wire::varint(&[0x80, 0x80, 0x80, 0x80]).is_err());
}

#[test]
fn a_packet_is_cut_out_when_it_is_whole_and_refused_by_its_header_when_it_is_too_large() {
    // Given the first bytes of a packet of 3 bytes and of one that will be too large,
    let mut stream = BytesMut::from(&[0x30, 0x03, b'a', b'b'][..]);
    // then the first waits for its last byte,
    assert_eq!(frame::next(&mut stream, MAX), Ok(None));
    stream.extend_from_slice(b"c\xC0");
    let frame = frame::next(&mut stream, MAX).unwrap().unwrap();
    assert_eq!((frame.first, &frame.body[..]), (0x30, &b"abc"[..]));
    assert_eq!(&stream[..], b"\xC0");
    // and the second is refused before its body has come: 3 bytes of header and 4,094 of body are 4,097.
    let mut large = BytesMut::from(&[0x30, 0xFE, 0x1F][..]);
    assert_eq!(
        frame::next(&mut large, MAX).unwrap_err().code,
        reason::PACKET_TOO_LARGE
    );
    let mut fits = BytesMut::from(&[0x30, 0xFD, 0x1F][..]);
    assert_eq!(frame::next(&mut fits, MAX), Ok(None));
}

#[test]
fn the_example_of_the_standard_is_read_as_it_says() {
    // Source: MQTT 5.0 figure 3-6 and table 3-7: level 5, user, password, will with QoS 1, clean start,
    // keep-alive 10 s, session expiry 10 s.
    let mut bytes = vec![0x10, 0];
    bytes.extend(b"\x00\x04MQTT\x05\xCE\x00\x0A\x05\x11\x00\x00\x00\x0A");
    bytes.extend(b"\x00\x02id\x00\x00\x01w\x00\x03off\x00\x04user\x00\x02pw");
    bytes[1] = u8::try_from(bytes.len() - 2).unwrap();
    let connect = connect::decode(one(&bytes)).unwrap();
    assert_eq!(connect.version, Version::V5);
    assert_eq!(
        (connect.clean, connect.keep_alive, &*connect.client_id),
        (true, 10, "id")
    );
    let will = connect.will.unwrap();
    assert_eq!(
        (&*will.topic, &will.payload[..], will.qos, will.retain),
        ("w", &b"off"[..], QoS::One, false)
    );
    assert_eq!(connect.user.as_deref(), Some("user"));
    assert_eq!(connect.password.as_deref(), Some(&b"pw"[..]));
    assert_eq!(connect.properties.unwrap().session_expiry_s, Some(10));
}

#[test]
fn what_breaks_the_form_has_the_code_of_the_standard() {
    let v5 = Version::V5;
    let topic = b"\x00\x01a";
    let publish = |properties: &[u8]| {
        let length = u8::try_from(properties.len()).unwrap();
        let body = [topic, &[length][..], properties].concat();
        [&[0x30, u8::try_from(body.len()).unwrap()][..], &body].concat()
    };
    for (bytes, code) in [
        (publish(&[0x01, 0, 0x01, 0]), reason::PROTOCOL_ERROR), // twice
        (publish(&[0x01, 2]), reason::PROTOCOL_ERROR),          // neither 0 nor 1
        (publish(&[0x21, 0, 1]), reason::MALFORMED_PACKET),     // not in a PUBLISH
        (publish(&[0x7F, 0]), reason::MALFORMED_PACKET),        // no such property
        (publish(&[0x23, 0, 0]), reason::TOPIC_ALIAS_INVALID),  // alias 0
        (publish(&[0x02, 0, 0]), reason::MALFORMED_PACKET),     // ends early
        (publish(&[0x0B, 1]), reason::PROTOCOL_ERROR),          // only the server may
        (publish(&[0x26, 0, 0, 0, 0].repeat(17)), reason::QUOTA_EXCEEDED),
        (vec![0x36, 5, 0, 1, b'a', 0, 1], reason::MALFORMED_PACKET), // QoS 3
        (vec![0x32, 5, 0, 1, b'a', 0, 0], reason::PROTOCOL_ERROR),   // packet identifier 0
        (vec![0xC1, 0], reason::MALFORMED_PACKET),                   // flags of PINGREQ
        (vec![0xC0, 1, 0], reason::MALFORMED_PACKET),                // body of PINGREQ
        (vec![0x20, 2, 0, 0], reason::PROTOCOL_ERROR),               // CONNACK from a client
        (vec![0x82, 3, 0, 1, 0], reason::PROTOCOL_ERROR),            // no filter
        (vec![0x82, 7, 0, 1, 0, 0, 1, b'a', 0x40], reason::MALFORMED_PACKET), // reserved option
    ] {
        assert_eq!(refused(v5, &bytes).code, code, "{bytes:x?}");
    }
}

#[test]
fn a_small_payload_does_not_keep_the_block_it_came_in_and_a_large_one_is_not_copied() {
    for (length, copied) in [(10usize, true), (2000, false)] {
        let mut out = BytesMut::new();
        let message = Publish {
            dup: false,
            qos: QoS::Zero,
            retain: false,
            topic: "a".into(),
            id: 0,
            properties: None,
            payload: vec![7; length].into(),
        };
        encode::publish(&mut out, Version::V311, &outgoing(&message));
        let block = out.as_ptr() as usize..out.as_ptr() as usize + out.len();
        let frame = frame::next(&mut out, MAX).unwrap().unwrap();
        let Packet::Publish(read) = decode::decode(Version::V311, frame).unwrap() else {
            panic!("a publish")
        };
        assert_eq!(read.payload, message.payload);
        assert_eq!(block.contains(&(read.payload.as_ptr() as usize)), !copied);
    }
}

#[test]
fn the_answers_have_the_bytes_of_the_standard() {
    let written = |write: &dyn Fn(&mut BytesMut)| {
        let mut out = BytesMut::new();
        write(&mut out);
        out.to_vec()
    };
    let (v4, v5) = (Version::V311, Version::V5);
    assert_eq!(
        written(&|out| encode::connack(out, v4, 0x86, false, None)),
        [0x20, 2, 0, 4]
    );
    assert_eq!(
        written(&|out| encode::connack(out, v5, 0x86, false, None)),
        [0x20, 3, 0, 0x86, 0]
    );
    // 3.1.1 has no return code for it: only closing is left.
    assert_eq!(written(&|out| encode::connack(out, v4, 0x9B, false, None)), b"");
    let properties = Properties {
        maximum_qos: Some(1),
        ..Properties::default()
    };
    assert_eq!(
        written(&|out| encode::connack(out, v5, 0, true, Some(&properties))),
        [0x20, 5, 1, 0, 2, 0x24, 1]
    );
    assert_eq!(
        written(&|out| encode::ack(out, v5, encode::Ack::Puback, 258, (0, None))),
        [0x40, 2, 1, 2]
    );
    assert_eq!(
        written(&|out| encode::ack(out, v5, encode::Ack::Puback, 258, (0x87, None))),
        [0x40, 3, 1, 2, 0x87]
    );
    assert_eq!(
        written(&|out| encode::suback(out, v4, 1, &[1, 0x87])),
        [0x90, 4, 0, 1, 1, 0x80]
    );
    assert_eq!(
        written(&|out| encode::suback(out, v5, 1, &[1, 0x87])),
        [0x90, 5, 0, 1, 0, 1, 0x87]
    );
    assert_eq!(
        written(&|out| encode::unsuback(out, v4, 1, &[0])),
        [0xB0, 2, 0, 1]
    );
    assert_eq!(
        written(&|out| encode::unsuback(out, v5, 1, &[0x11])),
        [0xB0, 4, 0, 1, 0, 0x11]
    );
    assert_eq!(written(&|out| encode::disconnect(out, v4, 0x8B, None)), b"");
    assert_eq!(
        written(&|out| encode::disconnect(out, v5, 0x8B, None)),
        [0xE0, 1, 0x8B]
    );
    // With words: a property 0x1F of five bytes.
    let why = Some("no");
    assert_eq!(
        written(&|out| encode::disconnect(out, v5, 0x8B, why)),
        [0xE0, 7, 0x8B, 5, 0x1F, 0, 2, b'n', b'o']
    );
    assert_eq!(
        written(&|out| encode::ack(out, v5, encode::Ack::Pubrec, 258, (0x87, why))),
        [0x50, 9, 1, 2, 0x87, 5, 0x1F, 0, 2, b'n', b'o']
    );
    assert_eq!(
        written(&|out| encode::refusal(out, v5, 0x86, why)),
        [0x20, 8, 0, 0x86, 5, 0x1F, 0, 2, b'n', b'o']
    );
    assert_eq!(written(&|out| encode::pingresp(out)), [0xD0, 0]);
}

/// `publish` with nothing that is said to one client only.
fn outgoing(publish: &Publish) -> encode::Outgoing<'_> {
    encode::Outgoing {
        dup: publish.dup,
        qos: publish.qos,
        retain: publish.retain,
        topic: &publish.topic,
        id: publish.id,
        properties: publish.properties.as_deref(),
        expiry_s: None,
        alias: None,
        ids: &[],
        payload: &publish.payload,
    }
}

#[test]
fn what_is_said_to_one_client_only_stands_before_the_user_properties() {
    // Given a message with a content type and a user property,
    let properties = Properties {
        content_type: Some("j".into()),
        user: vec![("k".into(), "v".into())],
        ..Properties::default()
    };
    let message = encode::Outgoing {
        dup: false,
        qos: QoS::One,
        retain: true,
        topic: "",
        id: 7,
        properties: Some(&properties),
        expiry_s: Some(9),
        alias: Some(2),
        ids: &[1, 200],
        payload: &Bytes::from_static(b"x"),
    };
    let mut out = BytesMut::new();
    encode::publish(&mut out, Version::V5, &message);
    // then it stands there with expiry, alias and identifiers: 200 is 0xC8 0x01 as a variable byte integer.
    let properties =
        b"\x03\x00\x01j\x02\x00\x00\x00\x09\x23\x00\x02\x0B\x01\x0B\xC8\x01\x26\x00\x01k\x00\x01v";
    let expected = [&[0x33, 30, 0, 0, 0, 7, 24][..], properties, b"x"].concat();
    assert_eq!(properties.len(), 24);
    assert_eq!(out[..], expected[..]);
    assert_eq!(out.len(), encode::publish_len(Version::V5, &message));
}

fn text() -> impl Strategy<Value = Box<str>> {
    "[a-z/井]{0,12}".prop_map(Into::into)
}

prop_compose! {
    fn properties()(
        payload_format in proptest::option::of(0u8..=1),
        message_expiry_s in proptest::option::of(any::<u32>()),
        content_type in proptest::option::of(text()),
        response_topic in proptest::option::of(text()),
        correlation_data in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
        topic_alias in proptest::option::of(1u16..),
        user in proptest::collection::vec((text(), text()), 0..4),
    ) -> Properties {
        Properties {
            payload_format, message_expiry_s, content_type, response_topic,
            correlation_data: correlation_data.map(Bytes::from),
            topic_alias, user, ..Properties::default()
        }
    }
}

prop_compose! {
    fn publish()(
        qos in 0u8..=2, dup: bool, retain: bool, topic in text(), id in 1u16..,
        properties in proptest::option::of(properties()),
        payload in proptest::collection::vec(any::<u8>(), 0..1500),
    ) -> Publish {
        let qos = QoS::from_bits(qos).unwrap();
        Publish {
            dup: dup && qos != QoS::Zero,
            qos, retain, topic,
            id: if qos == QoS::Zero { 0 } else { id },
            properties: properties.filter(|p| *p != Properties::default()).map(Box::new),
            payload: payload.into(),
        }
    }
}

proptest! {
    #[test]
    fn a_publish_that_is_written_is_read_as_the_same(message in publish(), v5: bool) {
        let version = if v5 { Version::V5 } else { Version::V311 };
        let mut out = BytesMut::new();
        encode::publish(&mut out, version, &outgoing(&message));
        prop_assert_eq!(out.len(), encode::publish_len(version, &outgoing(&message)));
        let read = decode::decode(version, frame::next(&mut out, MAX).unwrap().unwrap()).unwrap();
        prop_assert!(out.is_empty());
        let expected = if v5 { message } else { Publish { properties: None, ..message } };
        prop_assert_eq!(read, Packet::Publish(expected));
    }

    #[test]
    fn an_answer_to_a_publish_is_read_as_the_same_and_only_with_a_code_that_exists(id in 1u16.., code: u8) {
        // Source: MQTT 5.0 §3.4.2.1, §3.5.2.1, §3.6.2.1, §3.7.2.1.
        let published = [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99].contains(&code);
        let released = [0, 0x92].contains(&code);
        for (kind, known, expected) in [
            (encode::Ack::Puback, published, Packet::PubAck { id, code }),
            (encode::Ack::Pubrec, published, Packet::PubRec { id, code }),
            (encode::Ack::Pubrel, released, Packet::PubRel { id, code }),
            (encode::Ack::Pubcomp, released, Packet::PubComp { id, code }),
        ] {
            let mut out = BytesMut::new();
            encode::ack(&mut out, Version::V5, kind, id, (code, None));
            let read = decode::decode(Version::V5, frame::next(&mut out, MAX).unwrap().unwrap());
            prop_assert_eq!(read.ok(), known.then_some(expected));
        }
    }

    #[test]
    fn no_bytes_make_the_codec_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        v5: bool,
    ) {
        let version = if v5 { Version::V5 } else { Version::V311 };
        let mut stream = BytesMut::from(&bytes[..]);
        while let Ok(Some(frame)) = frame::next(&mut stream, MAX) {
            // Either is right; only coming back counts.
            let (first, later) = (connect::decode(frame.clone()), decode::decode(version, frame));
            prop_assert!(first.is_ok() || first.is_err() || later.is_ok());
        }
    }

    #[test]
    fn no_body_of_any_packet_makes_the_codec_panic(
        first in 0x10u8..,
        body in proptest::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..120),
        v5: bool,
    ) {
        let version = if v5 { Version::V5 } else { Version::V311 };
        let frame = frame::Frame { first, body: body.into() };
        if let Ok(Packet::Publish(publish)) = decode::decode(version, frame) {
            // What was taken can be written again.
            let mut out = BytesMut::new();
            encode::publish(&mut out, version, &outgoing(&publish));
            let again = decode::decode(version, frame::next(&mut out, MAX).unwrap().unwrap());
            prop_assert_eq!(again, Ok(Packet::Publish(publish)));
        }
    }

    #[test]
    fn a_connect_with_any_bytes_behind_its_head_does_not_panic(
        level in 4u8..=5,
        rest in proptest::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..120),
    ) {
        let body = [&b"\x00\x04MQTT"[..], &[level], &rest].concat();
        let read = connect::decode(frame::Frame { first: 0x10, body: body.into() });
        if let Ok(connect) = read {
            prop_assert_eq!(connect.version == Version::V5, level == 5);
        }
    }
}
