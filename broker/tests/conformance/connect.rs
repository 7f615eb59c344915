//! CONNECT and CONNACK: MQTT 3.1.1 and 5.0 §3.1, §3.2; authentication §4.12.

use super::answers::Got;
use super::packets::*;
use super::stage::{Stage, TOPIC};

/// Whether a refusal that the standard leaves free is one of those it names; without a word is always right.
fn refused_with(code: Option<u8>, v: u8, in_3: &[u8], in_5: &[u8]) {
    let allowed = if v == V5 { in_5 } else { in_3 };
    assert!(code.is_none_or(|code| allowed.contains(&code)), "{code:x?}");
}

/// Holds 3.1.1: 3.1.0-1, 4.8.0-1; 5.0: 3.1.0-1, 4.13.1-1, 3.14.0-1.
#[tokio::test]
async fn the_first_packet_is_connect_or_the_connection_ends() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for first in [
            Publish::new(v, TOPIC, 0, "x").bytes(),
            subscribe(v, 1, &Props::default(), &[(TOPIC, 0)]),
            unsubscribe(v, 1, &[TOPIC]),
            PINGREQ.to_vec(),
            DISCONNECT.to_vec(),
            ack(PUBREL, 1),
        ] {
            // Without a word, or with a CONNACK that refuses: a DISCONNECT may not come before the CONNACK.
            let mut client = stage.open().await;
            client.send(&first).await;
            match client.next_or_end().await {
                None => {}
                Some(Got::ConnAck { code, .. }) if code != 0 && v == V5 => {
                    assert_eq!(client.next_or_end().await, None);
                }
                Some(other) => panic!("{first:x?} was answered with {other:?}"),
            }
        }
        assert_eq!(stage.taken().len(), 0);
    }
}

/// Holds 3.1.1: 3.1.0-2, 4.8.0-1; 5.0: 3.1.0-2, 3.2.0-2, 4.13.1-1, 4.13.2-1.
#[tokio::test]
async fn a_second_connect_ends_the_connection() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let code = stage.breach(&Connect::new(v, "breach").bytes()).await;
        assert_eq!(code, (v == V5).then_some(0x82));
    }
}

/// Holds 3.1.1: 3.1.2-1, 3.2.2-6; 5.0: 3.1.2-1.
#[tokio::test]
async fn another_protocol_is_not_served() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for name in ["MQTT ", "mqtt", "MQTTX", "HTTP", ""] {
            let connect = Connect::new(v, "c");
            let code = stage.refusal(&connect.bytes_with(name, v, 2)).await;
            refused_with(code, v, &[1], &[0x81, 0x84]);
        }
    }
}

/// Holds 3.1.1: 3.1.2-2, 3.2.2-5; 5.0: 3.1.2-2, 3.2.2-7.
#[tokio::test]
async fn another_version_is_told_so_and_not_served() {
    for (v, level) in [(V3, 3), (V3, 0), (V5, 6), (V5, 100)] {
        let stage = Stage::new(v).await;
        let code = stage
            .refusal(&Connect::new(v, "c").bytes_with("MQTT", level, 2))
            .await;
        // 3.1.1 asks for the answer, 5.0 leaves it free.
        match v {
            V3 => assert_eq!(code, Some(1)),
            _ => refused_with(code, v, &[], &[0x84]),
        }
    }
}

/// Holds 3.1.1: 3.1.2-3, 3.1.4-1; 5.0: 3.1.2-3, 3.1.4-1.
#[tokio::test]
async fn the_reserved_flag_of_connect_is_zero() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let code = stage
            .refusal(&Connect::new(v, "c").bytes_with("MQTT", v, 3))
            .await;
        refused_with(code, v, &[], &[0x81, 0x82]);
    }
}

/// Holds 3.1.1: 3.1.2-11, 3.1.2-13, 3.1.2-14, 3.1.2-15, 3.1.4-1; 5.0: 3.1.2-11, 3.1.2-12, 3.1.2-13, 3.1.4-1.
#[tokio::test]
async fn the_flags_of_the_will_fit_together() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let without = Connect::new(v, "c");
        let with = without.clone().will(Will {
            topic: TOPIC.into(),
            ..Will::default()
        });
        for (connect, flags) in [
            // QoS 1, QoS 2 and retain without a will,
            (&without, 0x0A),
            (&without, 0x12),
            (&without, 0x22),
            // and QoS 3 with one.
            (&with, 0x1E),
        ] {
            let code = stage.refusal(&connect.bytes_with("MQTT", v, flags)).await;
            refused_with(code, v, &[], &[0x81, 0x82]);
        }
        // A will that is there without its flag is not there for the gate: bytes too many.
        let code = stage.refusal(&with.bytes_with("MQTT", v, 0x02)).await;
        refused_with(code, v, &[], &[0x81, 0x82]);
    }
}

/// Holds 3.1.1: 3.1.2-9, 3.1.2-18, 3.1.2-19, 3.1.2-20, 3.1.2-21, 3.1.3-1, 3.1.3-3, 3.1.4-1; 5.0: 3.1.2-9, 3.1.2-16, 3.1.2-17, 3.1.2-18, 3.1.2-19, 3.1.3-1, 3.1.3-3, 3.1.4-1.
#[tokio::test]
async fn the_payload_of_connect_is_what_its_flags_say() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut all = Connect::new(v, "c").will(Will {
            topic: TOPIC.into(),
            payload: b"gone".to_vec(),
            ..Will::default()
        });
        all.user = Some("user".into());
        all.password = Some(b"secret".to_vec());
        // Given everything in its order: client identifier, will, user name, password,
        let (client, _) = stage.connect(&all).await;
        client.leave().await;
        // when one of them is missing although its flag is set, or there although it is not,
        let plain = Connect::new(v, "c");
        let mut user = plain.clone();
        user.user = Some("user".into());
        let mut broken = vec![
            plain.bytes_with("MQTT", v, 0x06),
            plain.bytes_with("MQTT", v, 0x82),
            plain.bytes_with("MQTT", v, 0xC2),
            user.bytes_with("MQTT", v, 0x02),
            user.bytes_with("MQTT", v, 0xC2),
            all.bytes_with("MQTT", v, 0x82 | 0x04),
            all.bytes_with("MQTT", v, 0xC2),
        ];
        // or the client identifier is missing altogether,
        let mut headless = [text("MQTT"), vec![v, 2, 0, 0]].concat();
        headless.extend(Props::default().bytes(v));
        broken.push(packet(0x10, &headless));
        // then it is refused.
        for bytes in broken {
            let code = stage.refusal(&bytes).await;
            refused_with(code, v, &[], &[0x81, 0x82]);
        }
    }
}

/// Holds 3.1.1: 3.1.2-22; 5.0: 3.1.2-16, 3.1.2-19.
#[tokio::test]
async fn a_password_without_a_user_is_for_version_5_only() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut connect = Connect::new(v, "c");
        connect.password = Some(b"token".to_vec());
        if v == V5 {
            stage.connect(&connect).await.0.alive().await;
        } else {
            assert_eq!(stage.refusal(&connect.bytes()).await, None);
        }
    }
}

/// Holds 3.1.1: 3.1.3-5, 3.1.3-2, 3.1.4-4, 3.2.0-1; 5.0: 3.1.3-5, 3.1.3-2, 3.1.4-5, 3.2.0-1.
#[tokio::test]
async fn every_client_identifier_that_has_to_be_allowed_is() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for client in [
            "0",
            "aZ",
            "0123456789abcdefghijklm",
            "ABCDEFGHIJKLMNOPQRSTUVW",
            "nopqrstuvwxyzXYZ",
        ] {
            stage.client(client).await.alive().await;
        }
    }
}

/// Holds 3.1.1: 3.1.3-6, 3.1.3-7; 5.0: 3.1.3-6, 3.1.3-7, 3.2.2-16.
#[tokio::test]
async fn a_client_without_an_identifier_gets_one_of_its_own() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let (mut one, first) = stage.connect(&Connect::new(v, "")).await;
        let (mut other, second) = stage.connect(&Connect::new(v, "")).await;
        // Neither has put out the other.
        one.alive().await;
        other.alive().await;
        let (first, second) = (first.props, second.props);
        let names = (first.text(id::ASSIGNED_CLIENT), second.text(id::ASSIGNED_CLIENT));
        if v == V5 {
            assert!(
                names.0.is_some() && names.1.is_some() && names.0 != names.1,
                "{names:?}"
            );
            // And the name is a name: whoever comes with it is that client.
            let mut again = stage.client(names.0.unwrap()).await;
            again.alive().await;
            assert_eq!(one.end().await, Some(0x8E));
        }
    }
}

/// Holds 3.1.1: 3.1.3-8, 3.1.3-9, 3.2.2-4, 3.2.2-5; 5.0: 3.1.3-8, 3.2.2-6, 3.2.2-7.
#[tokio::test]
async fn a_client_identifier_that_is_not_valid_is_refused_in_words() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let code = stage.refusal(&Connect::new(v, "nobody").bytes()).await;
        assert_eq!(code, Some(if v == V5 { 0x85 } else { 2 }));
    }
    // In 3.1.1 a session that stays needs a name from the client.
    let stage = Stage::new(V3).await;
    assert_eq!(stage.refusal(&Connect::lasting(V3, "").bytes()).await, Some(2));
}

/// Holds 3.1.1: 3.1.4-1, 3.2.2-6; 5.0: 3.1.4-1.
#[tokio::test]
async fn a_connect_out_of_form_is_not_served() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let good = Connect::new(v, "client").bytes();
        for length in 3..good.len() {
            // Cut off, with a length that says so.
            let mut bytes = good[..length].to_vec();
            bytes[1] = u8::try_from(length - 2).unwrap();
            let code = stage.refusal(&bytes).await;
            // In 3.1.1 nothing is said.
            refused_with(code, v, &[], &[0x81, 0x82, 0x84]);
        }
        // Bytes behind the last field, and flags in the first byte.
        let mut long = good.clone();
        long.push(0);
        long[1] += 1;
        let mut flags = good.clone();
        flags[0] = 0x11;
        for bytes in [long, flags] {
            let code = stage.refusal(&bytes).await;
            refused_with(code, v, &[], &[0x81, 0x82]);
        }
    }
}

/// Holds 3.1.1: 3.1.4-5, 3.2.2-4, 3.2.2-5; 5.0: 3.1.4-2, 3.1.4-6, 3.2.2-6, 3.2.2-7, 3.2.2-8, 4.13.2-1.
#[tokio::test]
async fn who_is_refused_is_told_so_and_nothing_of_what_it_sends_counts() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        // Given a watcher, and a session of the stranger that a refused CONNECT must not touch,
        let mut watcher = stage.listener("watcher", "tw/#", 1).await;
        let mut connect = Connect::new(v, "c");
        connect.user = Some("stranger".into());
        connect.password = Some(b"guess".to_vec());
        // when a stranger sends CONNECT and a message in one go,
        let both = [connect.bytes(), Publish::new(v, TOPIC, 1, "forged").bytes()].concat();
        let code = stage.refusal(&both).await;
        // then it is refused, and its message is nowhere.
        assert_eq!(code, Some(if v == V5 { 0x86 } else { 4 }));
        stage.client("friend").await.say(TOPIC, 1, "true").await;
        watcher.hears("true").await;
        assert_eq!(stage.taken(), ["true"]);
    }
}

/// Holds 3.1.1: 3.1.4-4, 3.2.0-1; 5.0: 3.1.4-5, 3.2.0-1, 3.2.0-2, 3.2.2-1.
#[tokio::test]
async fn connack_comes_first_and_once_also_when_the_client_does_not_wait_for_it() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut client = stage.open().await;
        let all = [
            Connect::new(v, "hasty").bytes(),
            subscribe(v, 1, &Props::default(), &[(TOPIC, 1)]),
            Publish::new(v, TOPIC, 1, "own").id(2).bytes(),
            PINGREQ.to_vec(),
        ];
        client.send(&all.concat()).await;
        assert!(!client.welcome().await.present);
        let mut rest = Vec::new();
        for _ in 0..4 {
            rest.push(client.next().await);
        }
        assert!(
            rest.contains(&Got::SubAck {
                id: 1,
                codes: vec![1]
            }),
            "{rest:?}"
        );
        assert!(rest.contains(&Got::PubAck { id: 2, code: 0 }), "{rest:?}");
        assert!(rest.contains(&Got::PingResp), "{rest:?}");
    }
}

/// Holds 3.1.1: 3.1.4-2; 5.0: 3.1.4-3, 3.2.2-8.
#[tokio::test]
async fn a_second_connection_of_a_client_ends_the_first() {
    for v in BOTH {
        for clean in [true, false] {
            let stage = Stage::new(v).await;
            let connect = if clean {
                Connect::new(v, "twin")
            } else {
                Connect::lasting(v, "twin")
            };
            let (mut first, _) = stage.connect(&connect).await;
            let (mut second, _) = stage.connect(&connect).await;
            assert_eq!(first.end().await, (v == V5).then_some(0x8E));
            second.alive().await;
        }
    }
}

/// Holds 5.0: 3.2.2-9, 3.2.2-10, 3.2.2-12, 3.2.2-13, 3.1.2-28.
#[tokio::test]
async fn connack_takes_nothing_back_and_tells_nothing_that_was_not_asked_for() {
    let stage = Stage::new(V5).await;
    for asked in [None, Some(0)] {
        let props = asked.map_or(Props::default(), |asked| {
            Props::default().byte(id::REQUEST_RESPONSE, asked)
        });
        let (mut client, welcome) = stage.connect(&Connect::new(V5, "c").props(props)).await;
        let props = welcome.props;
        // Absent means 2, 1, 1, 1, 1: everything is there.
        for id in [
            id::RETAIN_AVAILABLE,
            id::WILDCARDS_AVAILABLE,
            id::SUBSCRIPTION_IDS_AVAILABLE,
            id::SHARED_AVAILABLE,
        ] {
            assert_ne!(props.number(id), Some(0), "property {id:#x}");
        }
        assert_eq!(props.number(id::MAXIMUM_QOS), None);
        assert_eq!(props.text(id::RESPONSE_INFORMATION), None);
        for qos in 0..3 {
            assert_eq!(client.subscribe(TOPIC, qos).await, qos);
        }
    }
    // A will with everything is taken.
    let will = Will {
        topic: TOPIC.into(),
        qos: 2,
        retain: true,
        ..Will::default()
    };
    stage
        .connect(&Connect::new(V5, "w").will(will))
        .await
        .0
        .alive()
        .await;
}

/// Holds 5.0: 4.12.0-1, 4.12.0-6, 4.12.0-7, 3.15.1-1.
#[tokio::test]
async fn extended_authentication_is_refused_in_words() {
    let stage = Stage::new(V5).await;
    let props = Props::default()
        .text(id::AUTH_METHOD, "SCRAM-SHA-256")
        .binary(id::AUTH_DATA, b"n,,n=user");
    let code = stage.refusal(&Connect::new(V5, "c").props(props).bytes()).await;
    assert!(
        code.is_none() || code == Some(0x8C) || code == Some(0x87),
        "{code:x?}"
    );
    // Data without a method makes no sense. Source: MQTT 5.0 §3.1.2.11.10.
    let props = Props::default().binary(id::AUTH_DATA, b"n,,n=user");
    let code = stage.refusal(&Connect::new(V5, "c").props(props).bytes()).await;
    refused_with(code, V5, &[], &[0x81, 0x82]);
    // Who came without a method is not asked, told of none, and may not begin.
    let (_, welcome) = stage.connect(&Connect::new(V5, "plain")).await;
    assert_eq!(welcome.props.text(id::AUTH_METHOD), None);
    let auth = Props::default().text(id::AUTH_METHOD, "SCRAM-SHA-256").bytes(V5);
    let code = stage.breach(&packet(0xF0, &[vec![0x19], auth].concat())).await;
    assert_eq!(code, Some(0x82));
    assert_eq!(stage.breach(&[0xF1, 0]).await, Some(0x81));
}
