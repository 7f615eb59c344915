//! SUBSCRIBE and UNSUBSCRIBE with their answers: MQTT 3.1.1 and 5.0 §3.8–§3.11.

use super::answers::Got;
use super::packets::*;
use super::stage::{Stage, TOPIC};

/// Holds 3.1.1: 3.8.1-1, 3.10.1-1, 3.6.1-1, 2.2.2-1, 2.2.2-2; 5.0: 3.8.1-1, 3.10.1-1, 3.6.1-1, 2.1.3-1.
#[tokio::test]
async fn the_fixed_flags_of_a_packet_are_what_the_standard_says() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let good = [
            subscribe(v, 1, &Props::default(), &[(TOPIC, 0)]),
            unsubscribe(v, 1, &[TOPIC]),
            ack(PUBREL, 1),
        ];
        for bytes in good {
            for flags in [0, 1, 3, 4, 8, 0xF] {
                let mut bytes = bytes.clone();
                bytes[0] = bytes[0] & 0xF0 | flags;
                let code = stage.breach(&bytes).await;
                assert!(v == V3 || code == Some(0x81), "{bytes:x?}: {code:x?}");
            }
        }
        for bytes in [
            &[0x41, 2, 0, 1][..],
            &[0x5F, 2, 0, 1],
            &[0x74, 2, 0, 1],
            &[0xC1, 0],
        ] {
            let code = stage.breach(bytes).await;
            assert!(v == V3 || code == Some(0x81), "{bytes:x?}: {code:x?}");
        }
    }
}

/// Holds 3.1.1: 3.8.3-3, 3.10.3-2; 5.0: 3.8.3-2, 3.10.3-2.
#[tokio::test]
async fn a_request_without_a_filter_ends_the_connection() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for bytes in [
            subscribe(v, 1, &Props::default(), &[]),
            unsubscribe(v, 1, &[]),
            // A filter without its options,
            packet(
                0x82,
                &[vec![0, 1], Props::default().bytes(v), text(TOPIC)].concat(),
            ),
        ] {
            let code = stage.breach(&bytes).await;
            assert!(v == V3 || code == Some(0x81) || code == Some(0x82), "{code:x?}");
        }
    }
}

/// Holds 3.1.1: 3.8.3-4; 5.0: 3.8.3-5.
#[tokio::test]
async fn options_that_mean_nothing_end_the_connection() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let wrong: &[u8] = if v == V5 {
            &[0x03, 0x30, 0x40, 0x80, 0xC1]
        } else {
            &[0x03, 0x04, 0x08, 0x10, 0x20, 0x40, 0x81]
        };
        for options in wrong {
            let code = stage
                .breach(&subscribe(v, 1, &Props::default(), &[(TOPIC, *options)]))
                .await;
            assert!(
                v == V3 || code == Some(0x81) || code == Some(0x82),
                "{options:x}: {code:x?}"
            );
        }
    }
}

/// Holds 3.1.1: 3.8.4-1, 3.8.4-2, 3.8.4-4, 3.8.4-5, 3.9.3-1, 3.9.3-2, 2.3.1-7; 5.0: 3.8.4-1, 3.8.4-2, 3.8.4-5, 3.8.4-6, 3.8.4-7, 3.9.3-1, 3.9.3-2, 2.2.1-6.
#[tokio::test]
async fn suback_has_a_code_for_each_filter_in_its_order() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut client = stage.client("c").await;
        let filters = [
            ("tw/a", 2),
            ("elsewhere", 1),
            ("tw/b/+", 0),
            ("tw/v1/c/#", 1),
            ("$SYS/x", 0),
        ];
        client
            .send(&subscribe(v, 0x1234, &Props::default(), &filters))
            .await;
        let refused = if v == V5 { 0x87 } else { 0x80 };
        let expected = Got::SubAck {
            id: 0x1234,
            codes: vec![2, refused, 0, 1, refused],
        };
        assert_eq!(client.next().await, expected);
        // Each of them counts as if it had come alone.
        let mut other = stage.client("p").await;
        other.say("tw/v1/c/x", 1, "heard").await;
        client.hears("heard").await;
    }
}

/// Holds 3.1.1: 3.8.4-6; 5.0: 3.8.4-8.
#[tokio::test]
async fn a_message_comes_with_the_lower_of_both_qos() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for granted in 0..3 {
            let topic = format!("tw/v1/dev/{granted}");
            let mut listener = stage.listener("l", &topic, granted).await;
            let mut client = stage.client("p").await;
            for sent in 0..3 {
                let payload = format!("{sent} for {granted}");
                client.say(&topic, sent, &payload).await;
                assert_eq!(listener.hears(&payload).await.qos, sent.min(granted));
            }
        }
    }
}

/// Holds 3.1.1: 3.8.4-3; 5.0: 3.8.4-3, 3.8.4-4, 3.3.1-9.
#[tokio::test]
async fn the_same_filter_again_replaces_the_subscription_and_brings_what_is_retained() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut client = stage.client("p").await;
        client.publish(Publish::new(v, TOPIC, 1, "kept").retain()).await;
        let mut listener = stage.listener("l", TOPIC, 1).await;
        listener.hears("kept").await;
        // When it subscribes again with another QoS,
        assert_eq!(listener.subscribe(TOPIC, 2).await, 2);
        // then the retained message comes again, and each message once, with the new QoS.
        assert!(listener.hears("kept").await.retain);
        client.say(TOPIC, 2, "one").await;
        assert_eq!(listener.hears("one").await.qos, 2);
        client.say(TOPIC, 2, "two").await;
        listener.hears("two").await;
    }
}

/// Holds 3.1.1: 3.8.4-3; 5.0: 3.8.4-4.
#[tokio::test]
async fn nothing_is_lost_while_a_subscription_is_replaced() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 1).await;
        let mut client = stage.client("p").await;
        // Given a hundred messages under way,
        let numbers = 1..=100u16;
        let bytes: Vec<u8> = numbers
            .clone()
            .flat_map(|n| Publish::new(v, TOPIC, 1, &n.to_string()).id(n).bytes())
            .collect();
        client.send(&bytes).await;
        // when the listener subscribes again and again,
        for id in 1..=20 {
            listener
                .send(&subscribe(v, id, &Props::default(), &[(TOPIC, 1)]))
                .await;
        }
        // then each of them comes.
        let (mut heard, mut answers) = (Vec::new(), 0);
        while heard.len() < 100 || answers < 20 {
            match listener.next().await {
                Got::Publish(message) => {
                    listener.acknowledge(&message).await;
                    heard.push(message.text().parse::<u16>().unwrap());
                }
                Got::SubAck { .. } => answers += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(heard, numbers.collect::<Vec<_>>());
    }
}

/// Holds 3.1.1: 3.3.5-1; 5.0: 3.3.4-2.
#[tokio::test]
async fn overlapping_subscriptions_bring_the_highest_of_their_qos() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut client = stage.client("p").await;
        for (low, high) in [(0, 1), (1, 2), (0, 2)] {
            let mut listener = stage.listener("l", "tw/#", low).await;
            assert_eq!(listener.subscribe(TOPIC, high).await, high);
            client.say(TOPIC, 2, "both").await;
            client.say("tw/v1/dev/end", 2, "end").await;
            // Once with the highest, or once for each; the highest is among them.
            let mut heard = Vec::new();
            loop {
                let message = listener.message().await;
                if message.text() == "end" {
                    break;
                }
                heard.push(message.qos);
            }
            // What comes on the other way may be late.
            assert!(
                heard.contains(&high) && heard.len() <= 2,
                "{heard:?} of {low} and {high}"
            );
            listener.leave().await;
        }
    }
}

/// Holds 3.1.1: 3.10.4-1, 3.10.4-2, 3.10.4-4, 3.10.4-5, 2.3.1-7; 5.0: 3.10.4-1, 3.10.4-2, 3.10.4-4, 3.10.4-5, 3.11.3-1, 3.11.3-2, 2.2.1-6.
#[tokio::test]
async fn what_is_unsubscribed_character_by_character_is_gone_and_nothing_else() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", "tw/v1/dev/+", 1).await;
        assert_eq!(listener.subscribe("tw/v1/dev/#", 1).await, 1);
        assert_eq!(listener.subscribe(TOPIC, 1).await, 1);
        // Given filters of which three match one topic, when others than those are unsubscribed,
        let none = if v == V5 { 0x11 } else { 0 };
        for filter in ["tw/v1/dev/T", "tw/+/dev/t", "tw/v1/dev/t/#", "#"] {
            assert_eq!(listener.unsubscribe(filter).await, none, "{filter}");
        }
        // then all three are there, and they go one by one.
        for filter in ["tw/v1/dev/+", "tw/v1/dev/#"] {
            assert_eq!(listener.unsubscribe(filter).await, 0);
        }
        let mut client = stage.client("p").await;
        client.say("tw/v1/dev/other", 1, "other").await;
        client.say(TOPIC, 1, "this").await;
        listener.hears("this").await;
        assert_eq!(listener.unsubscribe(TOPIC).await, 0);
        client.say(TOPIC, 1, "late").await;
        assert_eq!(listener.subscribe("tw/v1/dev/end", 1).await, 1);
        client.say("tw/v1/dev/end", 1, "end").await;
        listener.hears("end").await;
    }
}

/// Holds 3.1.1: 3.10.4-6; 5.0: 3.10.4-6, 3.11.3-1.
#[tokio::test]
async fn several_filters_are_unsubscribed_with_one_answer() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", "tw/v1/a/t", 1).await;
        listener.subscribe("tw/v1/b/t", 1).await;
        listener
            .send(&unsubscribe(v, 0x4321, &["tw/v1/a/t", "tw/none", "tw/v1/b/t"]))
            .await;
        let codes = if v == V5 { vec![0, 0x11, 0] } else { vec![] };
        assert_eq!(listener.next().await, Got::UnsubAck { id: 0x4321, codes });
        let mut client = stage.client("p").await;
        client.say("tw/v1/a/t", 1, "a").await;
        client.say("tw/v1/b/t", 1, "b").await;
        listener.alive().await;
    }
}

/// Holds 3.1.1: 3.10.4-3; 5.0: 3.10.4-3.
#[tokio::test]
async fn what_has_begun_to_go_out_is_brought_to_its_end_after_unsubscribing() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 2).await;
        stage.client("p").await.say(TOPIC, 2, "begun").await;
        let message = listener.offered().await;
        assert_eq!(listener.unsubscribe(TOPIC).await, 0);
        listener.acknowledge(&message).await;
        listener.alive().await;
    }
}

/// Holds 5.0: 3.8.3-3.
#[tokio::test]
async fn no_local_keeps_a_clients_own_messages_from_it() {
    let stage = Stage::new(V5).await;
    let mut client = stage.client("c").await;
    assert_eq!(client.subscribe(TOPIC, 0x04 | 1).await, 1);
    client.say(TOPIC, 1, "own").await;
    stage.client("other").await.say(TOPIC, 1, "other").await;
    client.hears("other").await;
    // Without the option one's own come back.
    assert_eq!(client.subscribe(TOPIC, 1).await, 1);
    client
        .send(&Publish::new(V5, TOPIC, 1, "own").id(50).bytes())
        .await;
    let mut got = [client.next().await, client.next().await];
    got.sort_by_key(|got| matches!(got, Got::Publish(_)));
    assert_eq!(got[0], Got::PubAck { id: 50, code: 0 });
    assert!(matches!(&got[1], Got::Publish(message) if message.text() == "own"));
}

/// Holds 5.0: 3.3.4-3, 3.3.4-4, 3.3.4-6.
#[tokio::test]
async fn subscription_identifiers_come_with_the_messages_of_their_subscriptions() {
    let stage = Stage::new(V5).await;
    let mut listener = stage.client("l").await;
    let numbered = |number| Props::default().variable(id::SUBSCRIPTION, number);
    for qos in [1, 2] {
        assert_eq!(
            listener.subscribe_with("tw/#", qos, &numbered(268_435_455)).await,
            qos
        );
        assert_eq!(listener.subscribe_with(TOPIC, qos, &numbered(1)).await, qos);
        assert_eq!(listener.subscribe("tw/v1/+/t", qos).await, qos);
        let mut client = stage.client("p").await;
        client.say(TOPIC, qos, "all").await;
        client.say("tw/v1/dev/end", qos, "end").await;
        // In one message or in one for each subscription: both identifiers, each once.
        let mut ids = Vec::new();
        loop {
            let message = listener.message().await;
            let of = message.props.numbers(id::SUBSCRIPTION);
            if message.text() == "end" {
                assert_eq!(of, [268_435_455]);
                break;
            }
            ids.extend(of);
        }
        ids.sort_unstable();
        assert_eq!(ids, [1, 268_435_455]);
    }
    // The last identifier counts, and none takes it away.
    assert_eq!(listener.subscribe_with(TOPIC, 1, &numbered(7)).await, 1);
    assert_eq!(listener.subscribe("tw/#", 1).await, 1);
    stage.client("q").await.say(TOPIC, 1, "again").await;
    let again = listener.hears("again").await;
    assert_eq!(again.props.numbers(id::SUBSCRIPTION), [7]);
    // A client may not send one, nor subscribe with 0.
    let publish = Publish::new(V5, TOPIC, 1, "x").props(numbered(3));
    let code = stage.breach(&publish.bytes()).await;
    assert!(code == Some(0x82) || code == Some(0x81), "{code:x?}");
    let code = stage.breach(&subscribe(V5, 1, &numbered(0), &[(TOPIC, 0)])).await;
    assert!(code == Some(0x82) || code == Some(0x81), "{code:x?}");
}

/// Holds 5.0: 3.3.4-3, 3.3.4-5.
#[tokio::test]
async fn each_copy_of_a_message_has_the_identifier_of_its_own_subscription() {
    let stage = Stage::new(V5).await;
    // Given a client that is subscribed alone and in a group, which makes two copies of each message,
    let mut listener = stage.client("l").await;
    let numbered = |number| Props::default().variable(id::SUBSCRIPTION, number);
    assert_eq!(listener.subscribe_with(TOPIC, 1, &numbered(5)).await, 1);
    let shared = format!("$share/group/{TOPIC}");
    assert_eq!(listener.subscribe_with(&shared, 1, &numbered(6)).await, 1);
    // when a message comes, then each copy has one identifier, its own.
    stage.client("p").await.say(TOPIC, 1, "both").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(listener.hears("both").await.props.numbers(id::SUBSCRIPTION));
    }
    ids.sort_unstable();
    assert_eq!(ids, [[5], [6]]);
}

/// Holds 3.1.1: 3.8.3-2; 5.0: 3.8.4-7.
#[tokio::test]
async fn wildcards_are_supported() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut client = stage.client("c").await;
        for filter in ["#", "tw/#", "tw/+/dev/t", "tw/+/+/#", "tw/v1/dev/+"] {
            assert_eq!(client.subscribe(filter, 1).await, 1, "{filter}");
        }
    }
}
