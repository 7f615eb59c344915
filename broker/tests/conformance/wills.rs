//! Wills: MQTT 3.1.1 §3.1.2.5, MQTT 5.0 §3.1.2.5, §3.1.3.2.

use super::packets::*;
use super::stage::{Stage, TOPIC};

fn will(qos: u8, payload: &str) -> Will {
    Will {
        topic: TOPIC.into(),
        payload: payload.as_bytes().to_vec(),
        qos,
        ..Will::default()
    }
}

fn delayed(seconds: u32, payload: &str) -> Will {
    Will {
        props: Props::default().four(id::WILL_DELAY, seconds),
        ..will(1, payload)
    }
}

/// Holds 3.1.1: 3.1.2-8, 3.1.2-16; 5.0: 3.1.2-7, 3.1.2-8, 3.1.2-12, 3.1.2-14.
#[tokio::test]
async fn a_will_is_published_when_its_client_is_gone_without_a_word() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for qos in 0..3 {
            let mut listener = stage.listener("l", TOPIC, qos).await;
            let connect = Connect::new(v, "c").will(will(qos, "gone"));
            stage.connect(&connect).await.0.vanish();
            let message = listener.hears("gone").await;
            assert_eq!((message.qos, message.retain), (qos, false));
            listener.leave().await;
            // And nothing of it was retained.
            let mut late = stage.listener("late", TOPIC, 1).await;
            late.alive().await;
            late.leave().await;
        }
    }
}

/// Holds 3.1.1: 3.1.2-8; 5.0: 3.1.2-8.
#[tokio::test]
async fn a_will_is_published_when_the_gate_ends_the_connection() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 1).await;
        let connect = Connect::new(v, "c").will(will(1, "thrown out"));
        let (mut client, _) = stage.connect(&connect).await;
        // A second CONNECT, which is against the protocol;
        client.send(&connect.bytes()).await;
        client.end().await;
        listener.hears("thrown out").await;
        // and another connection of the same client.
        let connect = Connect::new(v, "c").will(will(1, "put out"));
        let (mut client, _) = stage.connect(&connect).await;
        let again = stage.client("c").await;
        client.end().await;
        listener.hears("put out").await;
        again.leave().await;
        listener.alive().await;
    }
}

/// Holds 3.1.1: 3.1.2-10, 3.1.2-12, 3.14.4-3; 5.0: 3.1.2-8, 3.1.2-10, 3.14.4-3.
#[tokio::test]
async fn a_will_is_dropped_when_its_client_says_disconnect() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 1).await;
        let connect = Connect::new(v, "c").will(will(1, "gone"));
        stage.connect(&connect).await.0.leave().await;
        // Nor has a client a will that it did not name, although it had one before.
        stage.client("c").await.vanish();
        let mut other = stage.client("other").await;
        other.say(TOPIC, 1, "marker").await;
        listener.hears("marker").await;
    }
}

/// Holds 3.1.1: 3.1.2-10; 5.0: 3.1.2-10.
#[tokio::test]
async fn a_will_is_published_once() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 1).await;
        let connect = Connect::lasting(v, "c").will(will(1, "gone"));
        stage.connect(&connect).await.0.vanish();
        listener.hears("gone").await;
        // The session goes on without a will.
        let (client, welcome) = stage.lasting("c").await;
        assert!(welcome.present);
        client.vanish();
        stage.client("other").await.say(TOPIC, 1, "marker").await;
        listener.hears("marker").await;
    }
}

/// Holds 5.0: 3.14.4-3, 3.14.2-1.
#[tokio::test]
async fn disconnect_with_another_code_than_0_publishes_the_will() {
    let stage = Stage::new(V5).await;
    let mut listener = stage.listener("l", TOPIC, 1).await;
    for code in [0x04, 0x80, 0x83] {
        let connect = Connect::new(V5, "c").will(will(1, "with will"));
        let (mut client, _) = stage.connect(&connect).await;
        client.send(&disconnect_with(code, &Props::default())).await;
        assert_eq!(client.end().await, None);
        listener.hears("with will").await;
    }
    let connect = Connect::new(V5, "c").will(will(1, "without"));
    let (mut client, _) = stage.connect(&connect).await;
    client.send(&disconnect_with(0, &Props::default())).await;
    assert_eq!(client.end().await, None);
    stage.client("other").await.say(TOPIC, 1, "marker").await;
    listener.hears("marker").await;
}

/// Holds 3.1.1: 3.1.2-17; 5.0: 3.1.2-15.
#[tokio::test]
async fn a_will_that_is_to_be_retained_is() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 1).await;
        let retained = Will {
            retain: true,
            ..will(1, "offline")
        };
        stage
            .connect(&Connect::new(v, "c").will(retained))
            .await
            .0
            .vanish();
        // An ordinary message for who is there, a retained one for who comes.
        assert!(!listener.hears("offline").await.retain);
        let mut late = stage.listener("late", TOPIC, 1).await;
        assert!(late.hears("offline").await.retain);
    }
}

/// Holds 5.0: 3.1.2-8, 3.1.3-9.
#[tokio::test]
async fn a_will_waits_for_its_delay_and_is_dropped_when_its_client_comes_back() {
    let stage = Stage::new(V5).await;
    let mut listener = stage.listener("l", TOPIC, 1).await;
    // Given two clients with a delay; one of them comes back before it has passed,
    let back = Connect::lasting(V5, "back").will(delayed(1, "back"));
    stage.connect(&back).await.0.vanish();
    let (mut back, welcome) = stage.lasting("back").await;
    assert!(welcome.present);
    let away = Connect::lasting(V5, "away").will(delayed(2, "away"));
    stage.connect(&away).await.0.vanish();
    // then a message that comes at once is heard before the will,
    stage.client("p").await.say(TOPIC, 1, "before").await;
    listener.hears("before").await;
    // and of the wills only that of the one who stayed away.
    listener.hears("away").await;
    listener.alive().await;
    back.alive().await;
}

/// Holds 5.0: 3.1.2-8, 4.1.0-2.
#[tokio::test]
async fn a_will_is_published_at_the_end_of_the_session_when_that_comes_before_its_delay() {
    let stage = Stage::new(V5).await;
    let mut listener = stage.listener("l", TOPIC, 1).await;
    // Given a session that ends with its connection, and one that ends a second later,
    let at_once = Connect::new(V5, "c").will(delayed(3600, "at once"));
    stage.connect(&at_once).await.0.vanish();
    listener.hears("at once").await;
    let soon = Connect::new(V5, "d").staying(1).will(delayed(3600, "soon"));
    stage.connect(&soon).await.0.vanish();
    listener.hears("soon").await;
    // A new session under the same name ends the old one, and publishes its will.
    let long = Connect::lasting(V5, "e").will(delayed(3600, "replaced"));
    stage.connect(&long).await.0.vanish();
    let (_fresh, welcome) = stage.connect(&Connect::new(V5, "e")).await;
    assert!(!welcome.present);
    listener.hears("replaced").await;
}

/// Holds 5.0: 3.1.3-10, 3.1.2-9.
#[tokio::test]
async fn a_will_has_its_properties_in_their_order() {
    let stage = Stage::new(V5).await;
    let mut listener = stage.listener("l", TOPIC, 1).await;
    let props = Props::default()
        .user("z", "1")
        .byte(id::PAYLOAD_FORMAT, 1)
        .user("a", "2")
        .text(id::CONTENT_TYPE, "text/plain")
        .user("z", "1")
        .text(id::RESPONSE_TOPIC, "tw/v1/dev/r")
        .binary(id::CORRELATION, &[0, 255])
        .four(id::MESSAGE_EXPIRY, 100);
    let connect = Connect::new(V5, "c").will(Will {
        props,
        ..will(1, "gone")
    });
    stage.connect(&connect).await.0.vanish();
    let props = listener.hears("gone").await.props;
    assert_eq!(props.users(), [("z", "1"), ("a", "2"), ("z", "1")]);
    assert_eq!(props.number(id::PAYLOAD_FORMAT), Some(1));
    assert_eq!(props.text(id::CONTENT_TYPE), Some("text/plain"));
    assert_eq!(props.text(id::RESPONSE_TOPIC), Some("tw/v1/dev/r"));
    assert_eq!(props.binary(id::CORRELATION), Some(&[0, 255][..]));
    assert!(
        matches!(props.number(id::MESSAGE_EXPIRY), Some(98..=100)),
        "{props:?}"
    );
    assert_eq!(props.number(id::WILL_DELAY), None);
}

/// Holds 5.0: 3.1.2-7, 3.1.2-8.
#[tokio::test]
async fn a_will_with_a_delay_outlives_the_gate() {
    let stage = Stage::new(V5).await;
    let (mut listener, _) = stage.lasting("l").await;
    listener.subscribe(TOPIC, 1).await;
    let connect = Connect::lasting(V5, "c").will(delayed(1, "after all"));
    stage.connect(&connect).await.0.vanish();
    // When the gate is replaced before the delay has passed, then the will comes all the same.
    let stage = stage.restarted().await;
    let (mut listener, _) = stage.lasting("l").await;
    listener.hears("after all").await;
}
