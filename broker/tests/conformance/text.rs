//! Strings and lengths: MQTT 3.1.1 §1.5.3, §2.2.3; MQTT 5.0 §1.5.4, §1.5.5.

use super::answers::Got;
use super::packets::*;
use super::stage::{Stage, TOPIC};

/// What may not stand in a string. Source: RFC 3629 §3, §4; the last is U+0000.
const BROKEN: [&[u8]; 8] = [
    &[0xC3, 0x28],
    &[0xFF],
    &[0x80],
    &[0xC0, 0xAF],
    &[0xED, 0xA0, 0x80],
    &[0xF4, 0x90, 0x80, 0x80],
    &[0xE4, 0xBA],
    &[0],
];

/// Holds 3.1.1: 1.5.3-1, 1.5.3-2, 3.1.3-4, 3.1.3-10, 3.1.3-11; 5.0: 1.5.4-1, 1.5.4-2, 3.1.3-4, 3.1.3-11, 3.1.3-12.
#[tokio::test]
async fn strings_of_connect_are_utf_8_without_null() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut good = Connect::new(v, "CLIENT").will(Will {
            topic: "tw/v1/dev/WILL".into(),
            ..Will::default()
        });
        good.user = Some("USER".into());
        let good = good.bytes();
        for (field, length) in [("CLIENT", 6), ("WILL", 4), ("USER", 4)] {
            let place = good
                .windows(length)
                .position(|window| window == field.as_bytes())
                .unwrap();
            for broken in BROKEN {
                // In place of the field's last bytes, so that all lengths stay.
                let mut bytes = good.clone();
                let end = place + length;
                bytes[end - broken.len()..end].copy_from_slice(broken);
                let code = stage.refusal(&bytes).await;
                let allowed = [None, Some(0x81), Some(0x82), Some(0x85), Some(0x90)];
                assert!(
                    if v == V5 {
                        allowed.contains(&code)
                    } else {
                        code.is_none()
                    },
                    "{field} {broken:x?}: {code:x?}"
                );
            }
        }
    }
}

/// Holds 3.1.1: 1.5.3-1, 1.5.3-2, 3.3.2-1, 3.8.3-1, 3.10.3-1, 4.8.0-1; 5.0: 1.5.4-1, 1.5.4-2, 3.3.2-1, 3.8.3-1, 3.10.3-1, 4.13.1-1.
#[tokio::test]
async fn topics_and_filters_are_utf_8_without_null() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for good in [
            Publish::new(v, "tw/v1/dev/NAME", 1, "x").bytes(),
            subscribe(v, 1, &Props::default(), &[("tw/v1/dev/NAME", 0)]),
            unsubscribe(v, 1, &["tw/v1/dev/NAME"]),
        ] {
            let place = good.windows(4).position(|window| window == b"NAME").unwrap();
            for broken in BROKEN {
                let mut bytes = good.clone();
                bytes[place + 4 - broken.len()..place + 4].copy_from_slice(broken);
                let code = stage.breach(&bytes).await;
                assert!(
                    v == V3 || [Some(0x81), Some(0x82), Some(0x90), Some(0x8F)].contains(&code),
                    "{broken:x?}: {code:x?}"
                );
            }
        }
        assert_eq!(stage.taken().len(), 0);
    }
}

/// Holds 3.1.1: 1.5.3-3; 5.0: 1.5.4-3.
#[tokio::test]
async fn a_byte_order_mark_is_a_character_like_others() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let (with, without) = ("tw/v1/dev/\u{feff}t", TOPIC);
        let mut listener = stage.client("l").await;
        listener.subscribe(with, 1).await;
        let mut client = stage.client("p").await;
        client.say(without, 1, "without").await;
        client.say(with, 1, "with").await;
        assert_eq!(listener.hears("with").await.topic, with);
        // So are they in a client identifier: two clients.
        let mut one = stage.client("name").await;
        let mut other = stage.client("\u{feff}name").await;
        one.alive().await;
        other.alive().await;
    }
}

/// Holds 5.0: 1.5.5-1; 3.1.1: 4.8.0-1.
#[tokio::test]
async fn a_length_has_four_bytes_at_most_and_is_read_to_its_end() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let code = stage.breach(&[0x30, 0x80, 0x80, 0x80, 0x80, 0x01]).await;
        assert!(v == V3 || code == Some(0x81), "{code:x?}");
        assert_eq!(
            stage
                .refusal(&[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F])
                .await
                .unwrap_or(0x81),
            0x81
        );
        // A length of two bytes, and one byte of a packet at a time.
        let mut listener = stage.listener("l", TOPIC, 1).await;
        let mut client = stage.client("p").await;
        let payload = "x".repeat(300);
        for byte in Publish::new(v, TOPIC, 1, &payload).bytes() {
            client.send(&[byte]).await;
        }
        listener.hears(&payload).await;
    }
}

/// Holds 5.0: 1.5.5-1.
#[tokio::test]
async fn a_length_that_is_longer_than_it_need_be_is_no_way_around_anything() {
    // What the gate writes is checked by the strict reader, everywhere. What it reads may be refused, or understood.
    let stage = Stage::new(V5).await;
    let mut client = stage.client("c").await;
    client.send(&[0xC0, 0x80, 0x00]).await;
    match client.next_or_end().await {
        Some(Got::PingResp | Got::Disconnect { code: 0x81, .. }) => {}
        other => panic!("{other:?}"),
    }
}
