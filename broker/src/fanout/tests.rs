use std::time::Duration;

use bytes::Bytes;
use telemetry::Timestamp;

use super::*;
use crate::codec::packet::QoS;

fn message(topic: &str, payload: &str) -> Message {
    Message {
        topic: topic.into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        qos: QoS::One,
        retain: false,
        from: 0,
        arrived: Timestamp::from_millis(0),
        expiry_s: None,
        properties: None,
    }
}

async fn next(subscriber: &mut Subscriber) -> Message {
    tokio::time::timeout(Duration::from_secs(20), subscriber.next())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_topic_that_would_end_the_router_is_kept_from_it() {
    // rumqttd 0.20 cuts the first byte off a topic, which panics when it is part of a longer character.
    let tally = Arc::<Tally>::default();
    let fan_out = FanOut::start(Arc::clone(&tally)).unwrap();
    let mut subscriber = fan_out.open().await.unwrap();
    subscriber.subscribe("#").await.unwrap();
    fan_out.publish(vec![message("井盖/1", "no"), message("tw/v1/a/b", "yes")]);
    assert_eq!(next(&mut subscriber).await, message("tw/v1/a/b", "yes"));
    assert_eq!(tally.dropped_fan_out.get(), 1);
}

#[tokio::test]
async fn a_link_is_used_again_and_its_old_subscriptions_are_gone() {
    let fan_out = FanOut::start(Arc::default()).unwrap();
    assert!(!fan_out.wanted());
    for round in 0..300 {
        // Given a subscriber that went,
        let mut subscriber = fan_out.open().await.unwrap();
        assert!(fan_out.wanted());
        let own = format!("tw/v1/d{}/x", round % 3);
        subscriber.subscribe(&own).await.unwrap();
        // when the next comes and others' messages pass by, then it gets its own only.
        fan_out.publish(
            (0..3)
                .map(|n| message(&format!("tw/v1/d{n}/x"), &round.to_string()))
                .collect(),
        );
        assert_eq!(next(&mut subscriber).await, message(&own, &round.to_string()));
    }
    assert!(!fan_out.wanted());
}

#[tokio::test]
async fn what_the_router_drops_for_a_subscriber_that_is_behind_is_counted() {
    // Given a subscriber whose task does not run, since this test does not let it,
    let tally = Arc::<Tally>::default();
    let fan_out = FanOut::start(Arc::clone(&tally)).unwrap();
    let mut subscriber = fan_out.open().await.unwrap();
    subscriber.subscribe("#").await.unwrap();
    fan_out.publish(vec![message("tw/v1/a/b", "first")]);
    next(&mut subscriber).await;
    // when 8 MiB are published to it, four times what the router keeps of a filter,
    let payload = "x".repeat(16 * 1024);
    for _ in 0..512 {
        fan_out.publish(vec![message("tw/v1/a/b", &payload)]);
    }
    fan_out.publish(vec![message("tw/v1/a/b", "last")]);
    // then each of them has arrived or is counted.
    let mut arrived = 0;
    while &*next(&mut subscriber).await.payload != b"last" {
        arrived += 1;
    }
    let dropped = tally.dropped_fan_out.get() + tally.dropped_slow.get();
    assert_eq!(arrived + dropped, 512);
}

#[test]
fn qos_retain_and_payload_format_come_out_of_the_router_as_they_went_in() {
    for (qos, retain) in [(QoS::Zero, true), (QoS::One, false), (QoS::Two, true)] {
        for format in [None, Some(0), Some(1)] {
            let properties = format.map(|format| {
                let properties = crate::codec::properties::Properties {
                    payload_format: Some(format),
                    ..Default::default()
                };
                Box::new(properties)
            });
            let sent = Message {
                qos,
                retain,
                properties,
                ..message("a", "b")
            };
            let rumqttd::protocol::Packet::Publish(publish, properties) = convert::to_router(sent.clone())
            else {
                panic!("a publish")
            };
            let forward = Forward {
                cursor: None,
                size: 0,
                publish,
                properties,
            };
            assert_eq!(convert::from_router(forward), Some(sent));
        }
    }
}
