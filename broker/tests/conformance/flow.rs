//! Bounds that client and gate tell each other: MQTT 5.0 §3.1.2.11, §3.2.2.3, §3.3.2.3.4, §4.9.

use super::answers::Got;
use super::packets::*;
use super::stage::{Stage, TOPIC};

/// Holds 5.0: 3.3.4-9, 3.3.4-10, 4.9.0-1, 4.9.0-2, 4.9.0-3.
#[tokio::test]
async fn no_more_messages_are_under_way_than_the_client_takes() {
    let stage = Stage::new(V5).await;
    let props = Props::default().two(id::RECEIVE_MAXIMUM, 2);
    let (mut listener, _) = stage.connect(&Connect::new(V5, "l").props(props)).await;
    assert_eq!(listener.subscribe(TOPIC, 2).await, 2);
    let mut client = stage.client("p").await;
    for (qos, payload) in [(1, "a"), (2, "b"), (1, "c"), (2, "d")] {
        client.say(TOPIC, qos, payload).await;
    }
    // Two come, then nothing but answers,
    let (a, b) = (listener.offered().await, listener.offered().await);
    listener.alive().await;
    assert_eq!(listener.subscribe("tw/other", 1).await, 1);
    // until one is done: with PUBACK,
    listener.acknowledge(&a).await;
    let c = listener.offered().await;
    listener.alive().await;
    // with PUBCOMP, not before,
    listener.send(&ack(PUBREC, b.id)).await;
    assert_eq!(listener.next().await, Got::PubRel { id: b.id, code: 0 });
    listener.alive().await;
    listener.send(&ack(PUBCOMP, b.id)).await;
    let d = listener.offered().await;
    listener.alive().await;
    // or with a PUBREC that refuses.
    client.say(TOPIC, 1, "e").await;
    listener.send(&ack_with(PUBREC, d.id, 0x80)).await;
    let e = listener.offered().await;
    assert_eq!(
        [&a, &b, &c, &d, &e].map(|message| message.text().to_owned()),
        ["a", "b", "c", "d", "e"]
    );
}

/// Holds 5.0: 3.3.4-9, 4.9.0-2.
#[tokio::test]
async fn qos_0_does_not_wait_for_acknowledgements() {
    let stage = Stage::new(V5).await;
    let props = Props::default().two(id::RECEIVE_MAXIMUM, 1);
    let (mut listener, _) = stage.connect(&Connect::new(V5, "l").props(props)).await;
    listener.subscribe("tw/#", 1).await;
    let mut client = stage.client("p").await;
    client.say(TOPIC, 1, "first").await;
    let first = listener.offered().await;
    client.say(TOPIC, 0, "second").await;
    assert_eq!(listener.offered().await.text(), "second");
    listener.acknowledge(&first).await;
}

/// Holds 5.0: 3.3.4-7.
#[tokio::test]
async fn a_client_with_more_under_way_than_the_gate_takes_is_told_so() {
    let stage = Stage::new(V5).await;
    let (mut client, welcome) = stage.connect(&Connect::new(V5, "p")).await;
    let most = welcome.props.number(id::RECEIVE_MAXIMUM).unwrap_or(0xFFFF);
    let most = u16::try_from(most).unwrap();
    assert!(most < 0xFFFF, "the test needs an identifier more than that");
    // Given as many QoS 2 messages as it takes, none of them released,
    let some = |range: std::ops::RangeInclusive<u16>| -> Vec<u8> {
        range
            .flat_map(|id| Publish::new(V5, TOPIC, 2, "x").id(id).bytes())
            .collect()
    };
    client.send(&some(1..=most)).await;
    for id in 1..=most {
        assert_eq!(client.next().await, Got::PubRec { id, code: 0 });
    }
    // when one more comes, then that is against the protocol.
    client.send(&some(most + 1..=most + 1)).await;
    assert_eq!(client.end().await, Some(0x93));
}

/// Holds 5.0: 3.1.2-24, 3.1.2-25.
#[tokio::test]
async fn a_message_that_is_too_large_for_the_client_counts_as_sent() {
    let stage = Stage::new(V5).await;
    let small = Props::default()
        .four(id::MAXIMUM_PACKET, 100)
        .two(id::RECEIVE_MAXIMUM, 1);
    let (mut listener, _) = stage.connect(&Connect::new(V5, "l").props(small)).await;
    listener.subscribe(TOPIC, 2).await;
    let mut client = stage.client("p").await;
    // Topic 11 + 2, identifier 2, properties 1, header 2: 82 bytes of payload make 100.
    for (length, fits) in [(82, true), (83, false), (5000, false), (81, true)] {
        for qos in 1..3 {
            client.say(TOPIC, qos, &"x".repeat(length)).await;
            if fits {
                let message = listener.message().await;
                assert_eq!(message.payload.len(), length);
                assert!(message.size <= 100);
            }
        }
    }
    listener.alive().await;
}

/// Holds 5.0: 3.1.2-24, 3.2.2-19, 3.4.2-2, 3.5.2-2, 3.6.2-2, 3.7.2-2, 3.9.2-1, 3.11.2-1, 3.14.2-3.
#[tokio::test]
async fn no_answer_is_larger_than_the_client_takes() {
    let stage = Stage::new(V5).await;
    let small = Props::default().four(id::MAXIMUM_PACKET, 40);
    let mut client = stage.open().await;
    client.send(&Connect::new(V5, "l").props(small).bytes()).await;
    assert!(client.size_of_next().await <= 40);
    // Each is refused with a code, and with words only where they fit.
    for bytes in [
        Publish::new(V5, "elsewhere", 1, "x").id(7).bytes(),
        Publish::new(V5, "elsewhere", 2, "x").id(8).bytes(),
        ack(PUBREC, 9),
        ack(PUBREL, 9),
        subscribe(V5, 10, &Props::default(), &[("elsewhere", 0)]),
        unsubscribe(V5, 11, &["elsewhere"]),
        vec![0xC1, 0],
    ] {
        client.send(&bytes).await;
        let size = client.size_of_next().await;
        assert!(size <= 40, "{size} bytes for {bytes:x?}");
    }
    assert_eq!(client.next_or_end().await, None);
}

/// Holds 5.0: 3.2.2-15, 3.14.4-1, 3.14.4-2.
#[tokio::test]
async fn a_packet_that_is_too_large_for_the_gate_ends_the_connection() {
    let stage = Stage::new(V5).await;
    let (mut client, welcome) = stage.connect(&Connect::new(V5, "p")).await;
    let most = welcome.props.number(id::MAXIMUM_PACKET).expect("a bound, told");
    // The header alone says that it is too large.
    let header = [&[0x30][..], &variable(usize::try_from(most).unwrap())].concat();
    client.send(&header).await;
    assert_eq!(client.end().await, Some(0x95));
}

/// Holds 5.0: 3.3.2-7, 3.3.2-8, 3.3.2-9, 3.3.2-12, 3.2.2-17, 3.2.2-18.
#[tokio::test]
async fn topic_aliases_are_taken_up_to_what_the_gate_told() {
    let stage = Stage::new(V5).await;
    let (mut client, welcome) = stage.connect(&Connect::lasting(V5, "p")).await;
    let most = welcome.props.number(id::ALIAS_MAXIMUM).unwrap_or(0);
    let most = u16::try_from(most).unwrap();
    let alias = |topic: &str, alias: u16| {
        let props = Props::default().two(id::ALIAS, alias);
        Publish::new(V5, topic, 1, topic).props(props)
    };
    let mut listener = stage.listener("l", "tw/#", 1).await;
    for number in [1, most] {
        if number == 0 {
            continue;
        }
        // Given a topic with an alias, then the alias stands for it, until it gets another.
        for topic in ["tw/v1/dev/a", "tw/v1/dev/b"] {
            client.publish(alias(topic, number)).await;
            assert_eq!(listener.hears(topic).await.topic, topic);
            client.publish(alias("", number)).await;
            assert_eq!(listener.hears("").await.topic, topic);
        }
    }
    client.leave().await;
    // Aliases end with the connection; without one there, the topic is missing.
    let (mut client, welcome) = stage.connect(&Connect::lasting(V5, "p")).await;
    assert!(welcome.present);
    client.send(&alias("", 1).bytes()).await;
    let code = client.end().await;
    assert!([Some(0x82), Some(0x94)].contains(&code), "{code:x?}");
    // 0, and more than was told, are none.
    for number in [0, most.saturating_add(1)] {
        let code = stage.breach(&alias(TOPIC, number).bytes()).await;
        assert!([Some(0x82), Some(0x94)].contains(&code), "{code:x?}");
    }
}

/// Holds 5.0: 3.1.2-26, 3.1.2-27, 3.3.2-11.
#[tokio::test]
async fn the_gate_uses_no_more_aliases_than_the_client_takes() {
    let stage = Stage::new(V5).await;
    for most in [0u16, 2] {
        let props = Props::default().two(id::ALIAS_MAXIMUM, most);
        let (mut listener, _) = stage.connect(&Connect::new(V5, "l").props(props)).await;
        listener.subscribe("tw/#", 1).await;
        let mut client = stage.client("p").await;
        let mut known = std::collections::BTreeMap::new();
        for round in 0..2 {
            for n in 0..4 {
                let topic = format!("tw/v1/dev/{n}");
                client.say(&topic, 1, &topic).await;
                let message = listener.hears(&topic).await;
                match message.props.number(id::ALIAS) {
                    None => assert_eq!(message.topic, topic, "round {round}"),
                    Some(alias) => {
                        assert!(alias > 0 && alias <= most.into(), "{alias}");
                        if !message.topic.is_empty() {
                            known.insert(alias, message.topic);
                        }
                        assert_eq!(known.get(&alias), Some(&topic));
                    }
                }
            }
        }
        listener.leave().await;
    }
}
