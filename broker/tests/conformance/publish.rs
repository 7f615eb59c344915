//! PUBLISH: MQTT 3.1.1 and 5.0 §3.3, without what belongs to retained messages and properties.

use super::answers::Got;
use super::packets::*;
use super::stage::{Stage, TOPIC};

/// Holds 3.1.1: 3.3.4-1, 2.3.1-6, 4.3.1-1, 4.3.2-2, 4.3.3-2; 5.0: 3.3.4-1, 2.2.1-5, 3.4.2-1, 3.5.2-1, 3.7.2-1, 4.3.2-4, 4.3.3-8, 4.3.3-11.
#[tokio::test]
async fn each_qos_is_answered_with_its_own_packet_and_the_same_identifier() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        // Somebody listens: 5.0 allows 0x10 where nobody does.
        let _listener = stage.listener("l", TOPIC, 0).await;
        let mut client = stage.client("p").await;
        client.send(&Publish::new(v, TOPIC, 0, "zero").bytes()).await;
        client.alive().await;
        for id in [1, 2, 0x0100, 0xFFFF] {
            client
                .send(&Publish::new(v, TOPIC, 1, "one").id(id).bytes())
                .await;
            assert_eq!(client.next().await, Got::PubAck { id, code: 0 });
            client
                .send(&Publish::new(v, TOPIC, 2, "two").id(id).bytes())
                .await;
            assert_eq!(client.next().await, Got::PubRec { id, code: 0 });
            client.send(&ack(PUBREL, id)).await;
            assert_eq!(client.next().await, Got::PubComp { id, code: 0 });
        }
        assert_eq!(stage.taken().len(), 9);
    }
}

/// Holds 3.1.1: 2.3.1-1, 2.3.1-5; 5.0: 2.2.1-2, 2.2.1-3.
#[tokio::test]
async fn a_packet_identifier_is_not_zero_and_qos_0_has_none() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for bytes in [
            Publish::new(v, TOPIC, 1, "x").id(0).bytes(),
            Publish::new(v, TOPIC, 2, "x").id(0).bytes(),
            subscribe(v, 0, &Props::default(), &[(TOPIC, 0)]),
            unsubscribe(v, 0, &[TOPIC]),
        ] {
            let code = stage.breach(&bytes).await;
            assert!(v == V3 || code == Some(0x81) || code == Some(0x82), "{code:x?}");
        }
        // Two bytes after the topic of QoS 0 are payload, not an identifier.
        let mut listener = stage.listener("l", TOPIC, 0).await;
        let mut client = stage.client("p").await;
        client.say(TOPIC, 0, "\u{1}\u{2}rest").await;
        listener.hears("\u{1}\u{2}rest").await;
    }
}

/// Holds 3.1.1: 3.3.1-2, 3.3.1-4, 4.8.0-1; 5.0: 3.3.1-2, 3.3.1-4, 4.3.1-1, 4.13.1-1.
#[tokio::test]
async fn qos_3_and_a_duplicate_of_qos_0_are_out_of_form() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let both_bits = [&[0x36][..], &Publish::new(v, TOPIC, 1, "x").bytes()[1..]].concat();
        let duplicate = Publish::new(v, TOPIC, 0, "x").dup().bytes();
        for bytes in [both_bits, duplicate] {
            let code = stage.breach(&bytes).await;
            assert!(v == V3 || code == Some(0x81) || code == Some(0x82), "{code:x?}");
        }
        assert_eq!(stage.taken().len(), 0);
    }
}

/// Holds 3.1.1: 3.3.1-1, 3.3.1-3; 5.0: 3.3.1-1, 3.3.1-3, 4.3.1-1, 4.3.2-2, 4.3.3-2.
#[tokio::test]
async fn a_duplicate_that_comes_in_goes_out_as_what_it_is_there() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 2).await;
        let mut client = stage.client("p").await;
        for qos in [1, 2] {
            client.publish(Publish::new(v, TOPIC, qos, "again").dup()).await;
            let message = listener.hears("again").await;
            assert!(!message.dup, "for the listener it is new");
            assert_eq!(message.qos, qos);
        }
    }
}

/// Holds 3.1.1: 3.3.2-2, 4.7.1-1, 4.8.0-1; 5.0: 3.3.2-2, 4.7.0-1, 4.13.1-1.
#[tokio::test]
async fn a_topic_name_has_no_wildcards() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut watcher = stage.listener("w", "tw/#", 1).await;
        for topic in [
            "tw/v1/dev/+",
            "tw/v1/dev/#",
            "#",
            "+",
            "tw/v1/dev/a+b",
            "tw/v1/+/t",
        ] {
            let code = stage.breach(&Publish::new(v, topic, 1, "x").bytes()).await;
            let codes = [Some(0x81), Some(0x82), Some(0x90)];
            assert!(v == V3 || codes.contains(&code), "{topic}: {code:x?}");
        }
        stage.client("p").await.say(TOPIC, 1, "plain").await;
        watcher.hears("plain").await;
    }
}

/// Holds 3.1.1: 3.3.2-1, 3.3.2-3; 5.0: 3.3.2-1, 3.3.2-3.
#[tokio::test]
async fn a_message_arrives_under_its_own_topic_and_with_its_own_bytes() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", "tw/v1/dev/+/x", 1).await;
        let mut client = stage.client("p").await;
        let mut publish = Publish::new(v, "tw/v1/dev/温度/x", 1, "");
        publish.payload = (0..=255).collect();
        client.publish(publish.clone()).await;
        let message = listener.message().await;
        assert_eq!(message.topic, "tw/v1/dev/温度/x");
        assert_eq!(message.payload, publish.payload);
        // An empty payload is a message, too.
        client.say("tw/v1/dev//x", 1, "").await;
        assert_eq!(listener.hears("").await.topic, "tw/v1/dev//x");
    }
}

/// Holds 3.1.1: 3.3.5-2; 5.0: 3.4.2-1, 3.5.2-1.
#[tokio::test]
async fn what_may_not_be_published_is_answered_and_goes_nowhere() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut watcher = stage.listener("w", "#", 1).await;
        for (qos, id) in [(0, 0), (1, 7), (2, 8)] {
            let mut client = stage.client("p").await;
            client
                .send(&Publish::new(v, "elsewhere", qos, "x").id(id).bytes())
                .await;
            if qos == 0 {
                client.send(&PINGREQ).await;
            }
            // In 3.1.1: acknowledged as if it had been taken, or the connection is closed. In 5.0: a code.
            match (v, qos, client.next_or_end().await) {
                (_, 0, Some(Got::PingResp)) | (V3, _, None) => {}
                (V3, 1, Some(Got::PubAck { code: 0, .. })) | (V3, 2, Some(Got::PubRec { .. })) => {}
                (V5, 1, Some(Got::PubAck { code: 0x87, .. })) => {}
                (V5, 2, Some(Got::PubRec { code: 0x87, .. })) => {}
                (V5, _, Some(Got::Disconnect { code: 0x87, .. })) => {}
                (_, _, other) => panic!("QoS {qos} was answered with {other:?}"),
            }
            client.vanish();
        }
        stage.client("q").await.say(TOPIC, 1, "allowed").await;
        watcher.hears("allowed").await;
        assert_eq!(stage.taken(), ["allowed"]);
    }
}
