//! Shared subscriptions: MQTT 5.0 §4.8.2.

use super::packets::*;
use super::stage::{Stage, TOPIC};

const SHARED: &str = "$share/workers/tw/v1/dev/#";

/// Holds 5.0: 4.8.2-1, 4.8.2-2, 3.8.3-4.
#[tokio::test]
async fn a_shared_filter_has_a_name_and_a_filter() {
    let stage = Stage::new(V5).await;
    for filter in [
        "$share",
        "$share/",
        "$share//tw/v1/dev/t",
        "$share/name",
        "$share/name/",
        "$share/na+me/tw/v1/dev/t",
        "$share/#/tw/v1/dev/t",
    ] {
        let mut client = stage.client("c").await;
        client
            .send(&subscribe(V5, 1, &Props::default(), &[(filter, 1)]))
            .await;
        // Refused, or against the protocol.
        match client.next_or_end().await {
            Some(super::answers::Got::SubAck { codes, .. }) => {
                assert!(codes[0] >= 0x80, "{filter}: {codes:x?}")
            }
            Some(super::answers::Got::Disconnect { code, .. }) => {
                assert!([0x81, 0x82, 0x8F].contains(&code), "{filter}: {code:x}");
            }
            other => panic!("{filter}: {other:?}"),
        }
        client.vanish();
    }
    // No Local makes no sense there.
    let code = stage
        .breach(&subscribe(V5, 1, &Props::default(), &[(SHARED, 0x04)]))
        .await;
    assert_eq!(code, Some(0x82));
}

/// Holds 5.0: 4.8.2-3, 4.8.2-1, 4.8.2-2.
#[tokio::test]
async fn each_message_goes_to_one_of_a_group_with_its_own_qos() {
    let stage = Stage::new(V5).await;
    // Given a group of two with different QoS, another group, and somebody alone,
    let mut low = stage.listener("low", SHARED, 0).await;
    let mut high = stage.listener("high", SHARED, 1).await;
    let mut other = stage.listener("other", "$share/others/tw/v1/dev/#", 1).await;
    let mut alone = stage.listener("alone", TOPIC, 1).await;
    // when messages come,
    let mut client = stage.client("p").await;
    for n in 0..20 {
        client.say(TOPIC, 1, &n.to_string()).await;
    }
    // then each is heard by the other group, by the one alone, and by one of the two, as it was granted.
    for n in 0..20 {
        other.hears(&n.to_string()).await;
        alone.hears(&n.to_string()).await;
    }
    let mut heard = Vec::new();
    while heard.len() < 20 {
        let (message, granted) = tokio::select! {
            message = low.message() => (message, 0),
            message = high.message() => (message, 1),
        };
        assert_eq!(message.qos, granted);
        heard.push(message.text().parse::<u32>().unwrap());
    }
    heard.sort_unstable();
    assert_eq!(heard, (0..20).collect::<Vec<_>>());
    low.alive().await;
    high.alive().await;
}

/// Holds 5.0: 4.8.2-4.
#[tokio::test]
async fn a_qos_2_message_that_one_of_a_group_has_begun_is_brought_to_its_end_there() {
    let stage = Stage::new(V5).await;
    let (mut one, _) = stage.lasting("one").await;
    assert_eq!(one.subscribe(SHARED, 2).await, 2);
    stage.client("p").await.say(TOPIC, 2, "begun").await;
    let message = one.offered().await;
    let mut two = stage.listener("two", SHARED, 2).await;
    one.vanish();
    // While it is away nobody else gets it, and it gets it when it is back.
    two.alive().await;
    let (mut one, welcome) = stage.lasting("one").await;
    assert!(welcome.present);
    let again = one.hears("begun").await;
    assert_eq!((again.id, again.dup), (message.id, true));
    two.alive().await;
}

/// Holds 5.0: 4.8.2-5.
#[tokio::test]
async fn a_qos_2_message_that_was_begun_dies_with_the_session_of_its_receiver() {
    let stage = Stage::new(V5).await;
    let (mut one, _) = stage.lasting("one").await;
    assert_eq!(one.subscribe(SHARED, 2).await, 2);
    let mut client = stage.client("p").await;
    client.say(TOPIC, 2, "begun").await;
    let message = one.offered().await;
    let mut two = stage.listener("two", SHARED, 2).await;
    one.send(&ack(PUBREC, message.id)).await;
    one.next().await;
    one.vanish();
    // When the session of the receiver ends, then nobody else gets the message.
    stage.client("one").await.leave().await;
    client.say(TOPIC, 2, "marker").await;
    two.hears("marker").await;
}

/// Holds 5.0: 4.8.2-6.
#[tokio::test]
async fn a_message_that_one_of_a_group_refuses_goes_to_nobody_else() {
    let stage = Stage::new(V5).await;
    let mut one = stage.listener("one", SHARED, 2).await;
    let mut client = stage.client("p").await;
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        client.say(TOPIC, qos, "no").await;
        let message = one.offered().await;
        let mut two = stage.listener("two", SHARED, 2).await;
        one.send(&ack_with(first, message.id, 0x83)).await;
        one.alive().await;
        two.alive().await;
        two.leave().await;
    }
}

/// Holds 5.0: 4.8.2-3.
#[tokio::test]
async fn a_shared_subscription_gets_nothing_that_is_retained() {
    // Source: MQTT 5.0 §4.8.2: retained messages are not sent when it is made.
    let stage = Stage::new(V5).await;
    let mut client = stage.client("p").await;
    client.publish(Publish::new(V5, TOPIC, 1, "kept").retain()).await;
    let mut one = stage.listener("one", SHARED, 1).await;
    client.say(TOPIC, 1, "marker").await;
    one.hears("marker").await;
}
