//! What subscribers get.

use broker::Anonymous;

use crate::support::*;

const TOPIC: &str = "tw/v1/pump-1/telemetry";

fn watcher(level: u8) -> Hello<'static> {
    Hello {
        level,
        client_id: "w",
        ..Hello::default()
    }
}

#[tokio::test]
async fn a_subscriber_gets_what_is_published_with_the_lower_of_both_qos() {
    let intake = Default::default();
    let gate = gate(&intake, Anonymous::SubscribeOnly, |_| {}).await;
    for level in [4u8, 5] {
        let mut client = Client::connect(gate.local_addr(), watcher(level)).await;
        client
            .send(&subscribe(
                level,
                1,
                &[("tw/v1/+/telemetry", 1), ("tw/v1/gw/#", 0), ("tw/x", 2)],
            ))
            .await;
        let codes = if level == 5 {
            vec![0, 1, 0, 1, 0, 2]
        } else {
            vec![0, 1, 1, 0, 2]
        };
        client.expect(&packet(0x90, &codes)).await;
        let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
        device
            .send(&[publish(4, TOPIC, 0, "zero"), publish(4, TOPIC, 1, "one")].concat())
            .await;
        client.expect(&publish(level, TOPIC, 0, "zero")).await;
        client.expect(&publish(level, TOPIC, 1, "one")).await;
        client.send(&puback(1)).await;
        let mut gw = Client::connect(gate.local_addr(), hello(4, "gw")).await;
        gw.send(&publish(4, "tw/v1/gw/ack", 1, "low")).await;
        client.expect(&publish(level, "tw/v1/gw/ack", 0, "low")).await;
        // After UNSUBSCRIBE nothing comes any more.
        client.send(&unsubscribe(level, 2, "tw/v1/+/telemetry")).await;
        client
            .expect(&packet(0xB0, if level == 5 { &[0, 2, 0, 0] } else { &[0, 2] }))
            .await;
        device.send(&publish(4, TOPIC, 0, "after")).await;
        client.expect_quiet().await;
    }
}

#[tokio::test]
async fn properties_reach_mqtt_5_subscribers_and_are_left_out_for_3_1_1() {
    let intake = Default::default();
    let gate = gate(&intake, Anonymous::SubscribeOnly, |_| {}).await;
    let mut v5 = Client::connect(
        gate.local_addr(),
        Hello {
            client_id: "a",
            ..watcher(5)
        },
    )
    .await;
    let mut v311 = Client::connect(
        gate.local_addr(),
        Hello {
            client_id: "b",
            ..watcher(4)
        },
    )
    .await;
    for (client, level) in [(&mut v5, 5), (&mut v311, 4)] {
        client.send(&subscribe(level, 1, &[("#", 1)])).await;
        assert_eq!(client.packet().await.0, 0x90);
    }
    // payload format, content type, response topic, correlation data, user property: in the order in
    // which the gate writes them.
    let properties = [
        &[0x01, 1][..],
        &[0x03],
        &string("json"),
        &[0x08],
        &string("re/ply"),
        &[0x09, 0, 2, 7, 8],
        &[0x26],
        &string("k"),
        &string("v"),
    ]
    .concat();
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    device.send(&publish_with(5, TOPIC, 4, &properties, b"{}")).await;
    v5.expect(&publish_with(5, TOPIC, 1, &properties, b"{}")).await;
    v311.expect(&publish(4, TOPIC, 1, "{}")).await;
}

#[tokio::test]
async fn a_filter_beyond_the_own_name_is_refused_and_the_others_stand() {
    let (gate, _) = plain_gate().await;
    let filters = [
        ("#", 0),
        ("tw/v1/pump-1/cmd", 1),
        ("tw/v1/+/cmd", 1),
        ("$share/g/tw/v1/pump-1/cmd", 1),
    ];
    let mut v5 = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    v5.send(&subscribe(5, 9, &filters)).await;
    v5.expect(&packet(0x90, &[0, 9, 0, 0x87, 1, 0x87, 1])).await;
    let mut v311 = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    v311.send(&subscribe(4, 9, &filters)).await;
    v311.expect(&packet(0x90, &[0, 9, 0x80, 1, 0x80, 1])).await;
    assert_eq!(gate.counters().subscriptions_refused, 4);
}

#[tokio::test]
async fn a_subscriber_that_acknowledges_nothing_gets_no_more_than_it_can_take() {
    let intake = Default::default();
    let gate = gate(&intake, Anonymous::SubscribeOnly, |_| {}).await;
    // Given a subscriber with a receive maximum of 2 (0x21),
    let two = Hello {
        properties: &[0x21, 0, 2],
        ..watcher(5)
    };
    let mut client = Client::connect(gate.local_addr(), two).await;
    client.send(&subscribe(5, 1, &[("tw/#", 1)])).await;
    client.packet().await;
    let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    for id in 1..=4u16 {
        device.send(&publish(4, TOPIC, id, &id.to_string())).await;
        device.expect(&puback(id)).await;
    }
    // then it gets two, and each acknowledgement, in any order, lets another one through.
    client.expect(&publish(5, TOPIC, 1, "1")).await;
    client.expect(&publish(5, TOPIC, 2, "2")).await;
    client.expect_quiet().await;
    client.send(&puback(2)).await;
    client.expect(&publish(5, TOPIC, 3, "3")).await;
    client.expect_quiet().await;
    client.send(&puback(1)).await;
    client.expect(&publish(5, TOPIC, 4, "4")).await;
}

#[tokio::test]
async fn a_message_larger_than_the_subscriber_takes_is_left_out_and_counted() {
    let intake = Default::default();
    let gate = gate(&intake, Anonymous::SubscribeOnly, |_| {}).await;
    let small = Hello {
        properties: &[0x27, 0, 0, 0, 100],
        ..watcher(5)
    };
    let mut client = Client::connect(gate.local_addr(), small).await;
    client.send(&subscribe(5, 1, &[("tw/#", 0)])).await;
    client.packet().await;
    let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    device
        .send(&[publish(4, TOPIC, 0, &"x".repeat(200)), publish(4, TOPIC, 0, "y")].concat())
        .await;
    client.expect(&publish(5, TOPIC, 0, "y")).await;
    assert_eq!(gate.counters().dropped_too_large, 1);
}

#[tokio::test]
async fn ten_thousand_messages_reach_a_subscriber_that_keeps_reading_in_order() {
    // More than rumqttd's 200 pending notifications, so that its pauses are lifted many times.
    let intake = Default::default();
    let gate = gate(&intake, Anonymous::SubscribeOnly, |_| {}).await;
    let mut client = Client::connect(gate.local_addr(), watcher(4)).await;
    client.send(&subscribe(4, 1, &[("tw/#", 0)])).await;
    client.packet().await;
    let reader = tokio::spawn(async move {
        for number in 0..10_000u32 {
            client.expect(&publish(4, TOPIC, 0, &number.to_string())).await;
        }
    });
    let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    for round in 0..100u32 {
        let burst: Vec<u8> = (0..100)
            .flat_map(|place| {
                let number = (round * 100 + place).to_string();
                // The last of each burst asks for an acknowledgement: the device does not run ahead.
                publish(4, TOPIC, if place == 99 { 1 } else { 0 }, &number)
            })
            .collect();
        device.send(&burst).await;
        device.expect(&puback(1)).await;
        let sent = u64::from(round + 1) * 100;
        until("the burst is delivered", || gate.counters().delivered >= sent).await;
    }
    tokio::time::timeout(PATIENCE, reader).await.unwrap().unwrap();
    assert_eq!(gate.counters().dropped_slow + gate.counters().dropped_fan_out, 0);
}

#[tokio::test]
async fn subscribers_come_and_go_and_the_fan_out_goes_on() {
    let intake = Default::default();
    let gate = gate(&intake, Anonymous::SubscribeOnly, |_| {}).await;
    let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    for round in 0..30u16 {
        let mut client = Client::connect(gate.local_addr(), watcher(4)).await;
        client.send(&subscribe(4, 1, &[("tw/#", 0)])).await;
        client.packet().await;
        device.send(&publish(4, TOPIC, 0, &round.to_string())).await;
        client.expect(&publish(4, TOPIC, 0, &round.to_string())).await;
    }
}

#[tokio::test]
async fn an_anonymous_publisher_speaks_for_the_device_that_the_topic_names_where_the_configuration_says_so() {
    let intake = Default::default();
    let gate = gate(&intake, Anonymous::Publish, |_| {}).await;
    let mut client = Client::connect(gate.local_addr(), watcher(4)).await;
    client.send(&publish(4, TOPIC, 1, "x")).await;
    client.expect(&puback(1)).await;
    assert_eq!(intake.taken()[0].sender.as_str(), "pump-1");
}
