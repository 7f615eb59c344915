//! Retained messages: MQTT 3.1.1 and 5.0 §3.3.1.3, §3.8.3.1.

use super::packets::*;
use super::stage::{Stage, TOPIC};

async fn retain(stage: &Stage, topic: &str, qos: u8, payload: &str) {
    let mut client = stage.client("keeper").await;
    client
        .publish(Publish::new(stage.v, topic, qos, payload).retain())
        .await;
    client.leave().await;
}

/// What a new subscriber of the topic hears first: `marker` is published when it has subscribed.
async fn first_heard(stage: &Stage, topic: &str) -> String {
    let mut listener = stage.listener("new", topic, 1).await;
    stage.client("marker").await.say(topic, 1, "marker").await;
    let message = listener.message().await;
    listener.leave().await;
    message.text().to_owned()
}

/// Holds 3.1.1: 3.3.1-5, 3.3.1-6, 3.3.1-7, 3.3.1-8, 3.1.2-7; 5.0: 3.3.1-5, 3.3.1-9.
#[tokio::test]
async fn the_last_retained_message_of_each_topic_comes_to_a_new_subscriber() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for qos in 0..3 {
            let topic = |n: &str| format!("tw/v1/dev/{qos}/{n}");
            // Given retained messages whose senders are gone, one of them replaced, also by QoS 0,
            retain(&stage, &topic("a"), 2, "old").await;
            retain(&stage, &topic("a"), qos, "a").await;
            retain(&stage, &topic("b"), qos, "b").await;
            // when somebody subscribes, then each comes, marked as retained, with its QoS.
            let mut listener = stage.listener("l", &topic("+"), 2).await;
            let mut heard = Vec::new();
            for _ in 0..2 {
                let message = listener.message().await;
                assert!(message.retain && !message.dup);
                assert_eq!(message.qos, qos);
                heard.push(message.text().to_owned());
            }
            heard.sort();
            assert_eq!(heard, ["a", "b"]);
            listener.alive().await;
            listener.leave().await;
        }
    }
}

/// Holds 3.1.1: 3.3.1-9; 5.0: 3.3.1-12.
#[tokio::test]
async fn who_is_there_already_gets_it_as_an_ordinary_message() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for qos in 0..3 {
            let mut listener = stage.listener("l", TOPIC, qos).await;
            retain(&stage, TOPIC, qos, "now").await;
            assert!(!listener.hears("now").await.retain);
            listener.leave().await;
            retain(&stage, TOPIC, qos, "").await;
        }
    }
}

/// Holds 3.1.1: 3.3.1-10, 3.3.1-11; 5.0: 3.3.1-6, 3.3.1-7.
#[tokio::test]
async fn an_empty_retained_message_takes_the_last_one_away_and_is_not_kept() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for qos in 0..3 {
            retain(&stage, TOPIC, 1, "kept").await;
            assert_eq!(first_heard(&stage, TOPIC).await, "kept");
            // Who is there hears the empty message as one.
            let mut listener = stage.listener("l", TOPIC, qos).await;
            listener.hears("kept").await;
            retain(&stage, TOPIC, qos, "").await;
            assert!(!listener.hears("").await.retain);
            listener.leave().await;
            assert_eq!(first_heard(&stage, TOPIC).await, "marker");
        }
    }
}

/// Holds 3.1.1: 3.3.1-12; 5.0: 3.3.1-8.
#[tokio::test]
async fn a_message_without_the_flag_neither_stays_nor_takes_away() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        retain(&stage, TOPIC, 1, "kept").await;
        let mut client = stage.client("p").await;
        client.say(TOPIC, 1, "passing").await;
        client.say(TOPIC, 1, "").await;
        assert_eq!(first_heard(&stage, TOPIC).await, "kept");
        client.say("tw/v1/dev/none", 1, "passing").await;
        assert_eq!(first_heard(&stage, "tw/v1/dev/none").await, "marker");
    }
}

/// Holds 5.0: 3.3.1-9, 3.3.1-10, 3.3.1-11.
#[tokio::test]
async fn retain_handling_says_who_gets_what_is_retained() {
    let stage = Stage::new(V5).await;
    retain(&stage, TOPIC, 1, "kept").await;
    let mut client = stage.client("p").await;
    let mut listener = stage.client("l").await;
    // 2: never.
    assert_eq!(listener.subscribe(TOPIC, 0x20 | 1).await, 1);
    client.say(TOPIC, 1, "one").await;
    listener.hears("one").await;
    // 1: only when the subscription is new; this one is not.
    assert_eq!(listener.subscribe(TOPIC, 0x10 | 1).await, 1);
    client.say(TOPIC, 1, "two").await;
    listener.hears("two").await;
    // It is again after it was given up.
    listener.unsubscribe(TOPIC).await;
    assert_eq!(listener.subscribe(TOPIC, 0x10 | 1).await, 1);
    assert!(listener.hears("kept").await.retain);
    // 0: always.
    assert_eq!(listener.subscribe(TOPIC, 1).await, 1);
    assert!(listener.hears("kept").await.retain);
}

/// Holds 5.0: 3.3.1-12, 3.3.1-13.
#[tokio::test]
async fn retain_as_published_keeps_the_flag() {
    let stage = Stage::new(V5).await;
    for qos in 0..3 {
        let mut listener = stage.client("l").await;
        let filter = |device| format!("tw/v1/{device}/{qos}");
        assert_eq!(listener.subscribe(&filter("a"), 0x08 | qos).await, qos);
        assert_eq!(listener.subscribe(&filter("b"), qos).await, qos);
        for device in ["a", "b"] {
            let topic = filter(device);
            retain(&stage, &topic, qos, "flag").await;
            assert_eq!(listener.hears("flag").await.retain, device == "a");
            stage.client("p").await.say(&topic, qos, "none").await;
            assert!(!listener.hears("none").await.retain);
        }
        listener.leave().await;
    }
}

/// Holds 3.1.1: 3.3.1-5, 3.1.2-7; 5.0: 3.3.1-5.
#[tokio::test]
async fn retained_messages_outlive_the_gate() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        retain(&stage, TOPIC, 1, "kept").await;
        retain(&stage, "tw/v1/dev/gone", 1, "kept").await;
        retain(&stage, "tw/v1/dev/gone", 1, "").await;
        let stage = stage.restarted().await;
        assert_eq!(first_heard(&stage, TOPIC).await, "kept");
        assert_eq!(first_heard(&stage, "tw/v1/dev/gone").await, "marker");
    }
}
