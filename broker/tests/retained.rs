//! Retained messages.

use broker::Room;

use crate::support::*;

const STATE: &str = "tw/v1/pump-1/state";

fn state(payload: &str) -> Post<'_> {
    Post {
        topic: STATE,
        retain: true,
        payload,
        ..Post::default()
    }
}

fn watcher(level: u8) -> Hello<'static> {
    Hello {
        level,
        client_id: "w",
        ..Hello::default()
    }
}

#[tokio::test]
async fn the_last_retained_message_of_each_topic_is_there_for_who_comes_later_and_after_a_restart() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    device.publish(state("off")).await;
    device.publish(state("on")).await;
    let other = Post {
        topic: "tw/v1/pump-1/config",
        ..state("c")
    };
    device.publish(other.clone()).await;
    drop((device, gate));
    let gate = home.gate().await;
    for level in [4, 5] {
        for qos in [0, 1] {
            // Who subscribes gets them in the order of the topics, with the flag set and the lower QoS.
            let mut client = Client::connect(gate.local_addr(), watcher(level)).await;
            client.subscribe(level, &[("tw/v1/+/#", qos)]).await;
            for (id, post) in [(1, other.clone()), (2, state("on"))] {
                let expected = Post {
                    level,
                    qos,
                    id,
                    ..post
                };
                client.expect(&expected.bytes()).await;
            }
            client.expect_alive().await;
            client.leave().await;
        }
    }
}

#[tokio::test]
async fn a_message_is_live_for_who_is_there_and_an_empty_one_with_the_flag_clears() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut client = Client::connect(gate.local_addr(), watcher(5)).await;
    // Retain as published is 8: one subscription keeps the flag.
    client.subscribe(5, &[(STATE, 1)]).await;
    let mut keeps = Client::connect(
        gate.local_addr(),
        Hello {
            client_id: "k",
            ..watcher(5)
        },
    )
    .await;
    keeps.subscribe(5, &[(STATE, 1 | 8)]).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    device.publish(state("on")).await;
    let live = Post {
        retain: false,
        ..state("on")
    };
    client.expect(&live.bytes()).await;
    keeps.expect(&state("on").bytes()).await;
    // An empty message without the flag is a message and clears nothing (rumqttd gets this wrong).
    let empty = Post {
        retain: false,
        ..state("")
    };
    device.publish(empty.clone()).await;
    client
        .expect(
            &Post {
                id: 2,
                ..empty.clone()
            }
            .bytes(),
        )
        .await;
    assert_eq!(home.keeper.count(Room::Retained), 1);
    // With the flag it is delivered as well, and nothing is retained any more.
    device.publish(state("")).await;
    client.expect(&Post { id: 3, ..empty }.bytes()).await;
    assert_eq!(home.keeper.count(Room::Retained), 0);
    assert_eq!(gate.counters().retained, 0);
    let mut late = Client::connect(
        gate.local_addr(),
        Hello {
            client_id: "l",
            ..watcher(5)
        },
    )
    .await;
    late.subscribe(5, &[(STATE, 1)]).await;
    late.expect_quiet().await;
}

#[tokio::test]
async fn a_subscription_says_whether_it_wants_what_is_retained() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    device.publish(state("on")).await;
    let mut client = Client::connect(gate.local_addr(), watcher(5)).await;
    let retained = |id| Post { id, ..state("on") };
    // Retain handling 2 (0x20): never.
    client.subscribe(5, &[(STATE, 0x21)]).await;
    client.expect_quiet().await;
    // 1 (0x10): only when the subscription is new, which it is not.
    client.subscribe(5, &[(STATE, 0x11)]).await;
    client.expect_quiet().await;
    // 0: always.
    client.subscribe(5, &[(STATE, 1)]).await;
    client.expect(&retained(1).bytes()).await;
    client.send(&unsubscribe(5, 3, STATE)).await;
    client.expect(&packet(0xB0, &[0, 3, 0, 0])).await;
    client.subscribe(5, &[(STATE, 0x11)]).await;
    client.expect(&retained(2).bytes()).await;
    // A shared subscription gets none.
    client.subscribe(5, &[("$share/g/tw/v1/pump-1/state", 1)]).await;
    client.expect_quiet().await;
}

#[tokio::test]
async fn more_retained_messages_than_the_window_all_arrive() {
    // rumqttd sends the first 100 and forgets the rest.
    let home = Home::default();
    let gate = home.gate().await;
    let mut anybody = Client::connect(gate.local_addr(), watcher(4)).await;
    let topics: Vec<String> = (0..600).map(|n| format!("tw/v1/d{n:03}/state")).collect();
    for topic in &topics {
        let post = Post {
            level: 4,
            topic,
            ..state("x")
        };
        anybody.publish(post).await;
    }
    anybody.send(&subscribe(4, 7, &[("tw/v1/+/state", 1)])).await;
    anybody.expect(&packet(0x90, &[0, 7, 1])).await;
    for topic in &topics {
        let (first, body) = anybody.packet().await;
        assert_eq!((first, &body[2..2 + topic.len()]), (0x33, topic.as_bytes()));
        let place = 2 + topic.len();
        let id = u16::from_be_bytes([body[place], body[place + 1]]);
        anybody.send(&puback(id)).await;
    }
    anybody.expect_alive().await;
}

#[tokio::test]
async fn an_expired_retained_message_is_not_delivered_and_a_living_one_counts_down() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    for (topic, expiry) in [(STATE, 10), ("tw/v1/pump-1/config", 100)] {
        let post = Post {
            topic,
            properties: &[0x02, 0, 0, 0, expiry],
            ..state("x")
        };
        device.publish(post).await;
    }
    home.pass(30);
    let mut client = Client::connect(gate.local_addr(), watcher(5)).await;
    client.subscribe(5, &[("tw/#", 1)]).await;
    let left = Post {
        topic: "tw/v1/pump-1/config",
        properties: &[0x02, 0, 0, 0, 70],
        ..state("x")
    };
    client.expect(&left.bytes()).await;
    client.expect_quiet().await;
}

#[tokio::test]
async fn a_device_with_too_many_retained_messages_is_heard_but_no_more_is_retained() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    let count = broker::limits::RETAINED_PER_DEVICE_MAX;
    for number in 0..count + 2 {
        let topic = format!("tw/v1/pump-1/{number}");
        let post = Post {
            topic: &topic,
            ..state("x")
        };
        device.publish(post).await;
    }
    assert_eq!(home.intake.taken().len(), count + 2);
    let counters = gate.counters();
    assert_eq!((counters.retained, counters.retained_refused), (64, 2));
}
