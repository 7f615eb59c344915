//! What only MQTT 5 has.

use crate::support::*;

fn watcher(properties: &[u8]) -> Hello<'_> {
    Hello {
        level: 5,
        client_id: "w",
        properties,
        ..Hello::default()
    }
}

#[tokio::test]
async fn a_message_brings_the_identifiers_of_all_subscriptions_that_match() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut client = Client::connect(gate.local_addr(), watcher(&[])).await;
    for (number, filter, qos) in [(1, "tw/#", 1), (2, "tw/v1/pump-1/+", 0), (3, "tw/other/#", 1)] {
        client.send(&subscribe_as(number, 9, &[(filter, qos)])).await;
        client.expect(&packet(0x90, &[0, 9, 0, qos])).await;
    }
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    device.publish(Post::default()).await;
    let both = Post {
        properties: &[0x0B, 1, 0x0B, 2],
        ..Post::default()
    };
    client.expect(&both.bytes()).await;
    // So it is for a client with live QoS 0 subscriptions only.
    let mut live = Client::connect(
        gate.local_addr(),
        Hello {
            client_id: "l",
            ..watcher(&[])
        },
    )
    .await;
    live.send(&subscribe_as(7, 9, &[("tw/#", 0)])).await;
    live.expect(&packet(0x90, &[0, 9, 0, 0])).await;
    device.publish(Post::default()).await;
    let one = Post {
        qos: 0,
        properties: &[0x0B, 7],
        ..Post::default()
    };
    live.expect(&one.bytes()).await;
}

#[tokio::test]
async fn a_client_that_does_not_want_its_own_messages_gets_those_of_others_only() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut client = Client::connect(gate.local_addr(), watcher(&[])).await;
    // No local is 4.
    client.subscribe(5, &[("tw/v1/pump-1/#", 4)]).await;
    client.publish(Post::default()).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    let other = Post {
        payload: "other",
        ..Post::default()
    };
    device.publish(other.clone()).await;
    client.expect(&Post { qos: 0, ..other }.bytes()).await;
}

#[tokio::test]
async fn a_topic_alias_of_the_client_stands_for_its_topic() {
    let (gate, intake) = plain_gate().await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    let alias = |topic, id| Post {
        topic,
        id,
        properties: &[0x23, 0, 16],
        ..Post::default()
    };
    device.publish(alias("tw/v1/pump-1/telemetry", 1)).await;
    device.publish(alias("", 2)).await;
    let topics: Vec<_> = intake.taken().iter().map(|taken| taken.topic.clone()).collect();
    assert_eq!(&*topics[1], "tw/v1/pump-1/telemetry");
    // It is checked like the topic itself, and holds for this connection only.
    drop(device);
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    device.send(&alias("", 1).bytes()).await;
    device.expect_disconnect(0x82).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-2")).await;
    device.send(&alias("tw/v1/pump-1/telemetry", 1).bytes()).await;
    device.expect(&[0x40, 3, 0, 1, 0x87]).await;
}

#[tokio::test]
async fn a_client_that_takes_topic_aliases_gets_the_topic_once() {
    let home = Home::default();
    let gate = home.gate().await;
    // Topic alias maximum of 1 (0x22).
    let mut client = Client::connect(gate.local_addr(), watcher(&[0x22, 0, 1])).await;
    client.subscribe(5, &[("tw/#", 1)]).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    let other = "tw/v1/pump-1/other";
    let (first, again, third) = (
        Post::default(),
        Post::default(),
        Post {
            topic: other,
            ..Post::default()
        },
    );
    for post in [first.clone(), again, third] {
        device.publish(post).await;
    }
    let alias = &[0x23, 0, 1];
    let expected = [
        Post {
            properties: alias,
            ..first.clone()
        },
        Post {
            properties: alias,
            topic: "",
            id: 2,
            ..first.clone()
        },
        Post {
            topic: other,
            id: 3,
            ..first
        },
    ];
    for post in expected {
        client.expect(&post.bytes()).await;
    }
}

#[tokio::test]
async fn user_properties_arrive_in_their_order_with_qos_1_and_without_properties_in_3_1_1() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut client = Client::connect(gate.local_addr(), watcher(&[])).await;
    client.subscribe(5, &[("tw/#", 1)]).await;
    let old = Hello {
        client_id: "old",
        ..Hello::default()
    };
    let mut old = Client::connect(gate.local_addr(), old).await;
    old.subscribe(4, &[("tw/#", 1)]).await;
    let pair = |name: &str, value: &str| [&[0x26][..], &string(name), &string(value)].concat();
    let properties = [pair("b", "1"), pair("a", "2"), pair("b", "3")].concat();
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    let post = Post {
        properties: &properties,
        ..Post::default()
    };
    device.publish(post.clone()).await;
    client.expect(&post.bytes()).await;
    old.expect(&Post { level: 4, ..post }.bytes()).await;
}

#[tokio::test]
async fn a_will_goes_with_any_disconnect_but_the_plain_one() {
    let (gate, intake) = plain_gate().await;
    let hello = Hello {
        will: Some(("tw/v1/pump-1/state", "offline")),
        ..hello(5, "pump-1")
    };
    let mut client = Client::connect(gate.local_addr(), hello).await;
    // 0x80: unspecified error.
    client.send(&[0xE0, 1, 0x80]).await;
    until("the will", || intake.payloads() == ["offline"]).await;
}

#[tokio::test]
async fn a_refusal_says_why_in_words_unless_the_client_does_not_want_to_know() {
    let (gate, _) = plain_gate().await;
    let foreign = Post {
        topic: "tw/v1/pump-2/telemetry",
        ..Post::default()
    };
    let mut client = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    client.send(&foreign.bytes()).await;
    let words = string("you may not do that here");
    let length = u8::try_from(words.len() + 1).unwrap();
    let expected = [&[0, 1, 0x87, length, 0x1F][..], &words].concat();
    assert_eq!(client.packet().await, (0x40, expected));
    client.send(&[0xF0, 0]).await;
    let (first, body) = client.packet().await;
    let words = string("AUTH without an authentication method");
    assert_eq!((first, body[0], &body[3..]), (0xE0, 0x82, &words[..]));
    // Request problem information 0 (0x17), and a largest packet of 20 bytes (0x27): no words.
    for properties in [&[0x17, 0][..], &[0x27, 0, 0, 0, 20]] {
        let terse = Hello {
            properties,
            ..hello(5, "pump-1")
        };
        let mut client = Client::connect(gate.local_addr(), terse).await;
        client.send(&foreign.bytes()).await;
        assert_eq!(client.packet().await, (0x40, vec![0, 1, 0x87]));
        client.send(&[0xF0, 0]).await;
        assert_eq!(client.packet().await, (0xE0, vec![0x82]));
    }
}
