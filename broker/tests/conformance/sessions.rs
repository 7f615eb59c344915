//! Sessions: MQTT 3.1.1 §3.1.2.4, §4.1; MQTT 5.0 §3.1.2.4, §3.1.2.11.2, §4.1, §4.5.

use super::packets::*;
use super::stage::{Stage, TOPIC};

/// Holds 3.1.1: 3.1.2-4, 3.1.2-5, 3.1.3-2, 3.2.2-2, 3.2.2-3, 3.1.4-3, 4.1.0-1, 4.5.0-1; 5.0: 3.1.2-5, 3.1.2-6, 3.1.2-23, 3.1.3-2, 3.1.4-4, 3.2.2-3, 4.1.0-1, 4.5.0-1.
#[tokio::test]
async fn a_session_stays_and_gathers_what_comes_meanwhile() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        // Given a session that is new, and says so,
        let (mut listener, welcome) = stage.lasting("l").await;
        assert!(!welcome.present);
        listener.subscribe(TOPIC, 2).await;
        listener.leave().await;
        // to which messages come while its client is away,
        let mut client = stage.client("p").await;
        client.say(TOPIC, 1, "one").await;
        client.say(TOPIC, 2, "two").await;
        // when the client is back, then the session is there, with the subscription and the messages,
        let (mut listener, welcome) = stage.lasting("l").await;
        assert!(welcome.present);
        let one = listener.hears("one").await;
        let two = listener.hears("two").await;
        assert_eq!((one.qos, two.qos), (1, 2));
        assert!(!one.dup && !two.dup, "they are sent for the first time");
        client.say(TOPIC, 1, "three").await;
        listener.hears("three").await;
        // and another client has another session.
        let (mut other, welcome) = stage.lasting("other").await;
        assert!(!welcome.present);
        other.alive().await;
    }
}

/// Holds 3.1.1: 3.1.2-6, 3.1.4-3, 3.2.2-1; 5.0: 3.1.2-4, 3.1.4-4, 3.2.2-2.
#[tokio::test]
async fn a_clean_start_leaves_nothing_of_the_session_before_it() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let (mut listener, _) = stage.lasting("l").await;
        listener.subscribe(TOPIC, 1).await;
        listener.leave().await;
        let mut client = stage.client("p").await;
        client.say(TOPIC, 1, "old").await;
        let (mut listener, welcome) = stage.connect(&Connect::new(v, "l")).await;
        assert!(!welcome.present);
        client.say(TOPIC, 1, "new").await;
        listener.alive().await;
        listener.leave().await;
        // Nor is that session there afterwards: it ended with its connection.
        let (mut listener, welcome) = stage.lasting("l").await;
        assert!(!welcome.present);
        listener.alive().await;
    }
}

/// Holds 3.1.1: 3.1.2-6; 5.0: 4.1.0-2, 3.1.2-6.
#[tokio::test]
async fn a_session_without_a_time_to_stay_ends_with_its_connection() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let connect = Connect::new(v, "l");
        let (mut listener, _) = stage.connect(&connect).await;
        listener.subscribe(TOPIC, 1).await;
        listener.leave().await;
        let mut client = stage.client("p").await;
        client.say(TOPIC, 1, "lost").await;
        let (mut listener, welcome) = stage.lasting("l").await;
        assert!(!welcome.present);
        listener.alive().await;
    }
}

/// Holds 5.0: 3.1.2-23, 4.1.0-2.
#[tokio::test]
async fn a_session_ends_when_its_time_has_passed() {
    let stage = Stage::new(V5).await;
    let mut watcher = stage.listener("w", "tw/v1/dev/will", 1).await;
    // Given a session of one second, whose will tells when it is over,
    let will = Will {
        topic: "tw/v1/dev/will".into(),
        payload: b"over".to_vec(),
        qos: 1,
        props: Props::default().four(id::WILL_DELAY, 3600),
        ..Will::default()
    };
    let connect = Connect::new(V5, "l").staying(1).will(will);
    let (mut listener, _) = stage.connect(&connect).await;
    listener.subscribe(TOPIC, 1).await;
    listener.vanish();
    watcher.hears("over").await;
    // then it is not there any more.
    let (_, welcome) = stage.lasting("l").await;
    assert!(!welcome.present);
}

/// Holds 5.0: 3.1.2-23, 4.1.0-1.
#[tokio::test]
async fn the_largest_time_to_stay_is_for_ever_and_disconnect_may_change_it() {
    let stage = Stage::new(V5).await;
    // Given a session for ever,
    let connect = Connect::new(V5, "l").staying(u32::MAX);
    stage.connect(&connect).await.0.leave().await;
    let (mut client, welcome) = stage.lasting("l").await;
    assert!(welcome.present);
    // when DISCONNECT sets its time to 0, then it is gone,
    let props = Props::default().four(id::SESSION_EXPIRY, 0);
    client.send(&disconnect_with(0, &props)).await;
    assert_eq!(client.end().await, None);
    let (client, welcome) = stage.lasting("l").await;
    assert!(!welcome.present);
    client.leave().await;
    // but a session that was to end with its connection cannot be made to stay.
    let (mut client, _) = stage.connect(&Connect::new(V5, "m")).await;
    let props = Props::default().four(id::SESSION_EXPIRY, 100);
    client.send(&disconnect_with(0, &props)).await;
    assert_eq!(client.end().await, Some(0x82));
    let (_, welcome) = stage.lasting("m").await;
    assert!(!welcome.present);
}

/// Holds 3.1.1: 4.1.0-2, 3.1.4-2; 5.0: 4.1.0-1, 3.1.4-3.
#[tokio::test]
async fn a_session_goes_over_to_a_new_connection_of_its_client() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let (mut first, _) = stage.lasting("l").await;
        first.subscribe(TOPIC, 1).await;
        let mut client = stage.client("p").await;
        client.say(TOPIC, 1, "a").await;
        let a = first.offered().await;
        // When a second connection takes it over,
        let (mut second, welcome) = stage.lasting("l").await;
        assert!(welcome.present);
        // then what was not acknowledged comes there, and what is new as well.
        let again = second.hears("a").await;
        assert_eq!((again.id, again.dup), (a.id, true));
        client.say(TOPIC, 1, "b").await;
        second.hears("b").await;
    }
}

/// Holds 3.1.1: 3.1.2-4, 4.1.0-1, 4.3.2-1, 4.3.3-1, 4.3.3-2, 4.4.0-1; 5.0: 3.1.2-23, 4.1.0-1, 4.3.3-3, 4.3.3-10, 4.4.0-1.
#[tokio::test]
async fn sessions_outlive_the_gate() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        // Given a session with a subscription, a message that is half delivered and one that waits,
        let (mut listener, _) = stage.lasting("l").await;
        listener.subscribe(TOPIC, 2).await;
        let mut client = stage.client("p").await;
        client.say(TOPIC, 2, "half").await;
        let half = listener.offered().await;
        listener.vanish();
        client.say(TOPIC, 1, "waits").await;
        // and a publisher with a QoS 2 message that it has not released,
        let (mut publisher, _) = stage.lasting("q").await;
        let publish = Publish::new(v, TOPIC, 2, "unreleased").id(3);
        publisher.send(&publish.bytes()).await;
        publisher.next().await;
        // when the gate is replaced by one that has what it kept,
        let stage = stage.restarted().await;
        let (mut publisher, welcome) = stage.lasting("q").await;
        assert!(welcome.present);
        publisher.send(&publish.dup().bytes()).await;
        publisher.next().await;
        publisher.send(&ack(PUBREL, 3)).await;
        publisher.next().await;
        // then everything is there, each once.
        let (mut listener, welcome) = stage.lasting("l").await;
        assert!(welcome.present);
        let again = listener.hears("half").await;
        assert_eq!(again.id, half.id);
        listener.hears("waits").await;
        listener.hears("unreleased").await;
        stage.client("p").await.say(TOPIC, 1, "after").await;
        listener.hears("after").await;
    }
}

/// Holds 3.1.1: 3.1.2-6; 5.0: 3.1.2-4.
#[tokio::test]
async fn a_session_that_ended_does_not_come_back_with_the_gate() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let (mut listener, _) = stage.lasting("l").await;
        listener.subscribe(TOPIC, 1).await;
        listener.leave().await;
        stage.client("p").await.say(TOPIC, 1, "old").await;
        stage.client("l").await.leave().await;
        let stage = stage.restarted().await;
        let (mut listener, welcome) = stage.lasting("l").await;
        assert!(!welcome.present);
        listener.alive().await;
    }
}
