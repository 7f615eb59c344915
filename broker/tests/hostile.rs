//! Bytes from strangers.

use crate::support::*;

/// Kept in the tree: what has broken a broker somewhere, and what breaks the form in each field.
#[expect(clippy::too_many_lines, reason = "one list, a line each")]
fn corpus() -> Vec<Vec<u8>> {
    let after_connect = |bytes: &[u8]| [hello(5, "pump-2").bytes(), bytes.to_vec()].concat();
    let after_connect_4 = |bytes: &[u8]| [hello(4, "pump-2").bytes(), bytes.to_vec()].concat();
    let topic = string("tw/v1/pump-2/telemetry");
    let property = |bytes: &[u8]| {
        let body = [
            &topic[..],
            &[0, 1, u8::try_from(bytes.len()).unwrap()],
            bytes,
            b"x",
        ]
        .concat();
        after_connect(&packet(0x32, &body))
    };
    vec![
        vec![0x00, 0x00],
        vec![0xFF; 64],
        vec![0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        vec![0x10, 0x00],
        packet(0x10, &string("MQTT")),
        packet(0x10, &[string("MQTT"), vec![4, 3, 0, 0], string("x")].concat()), // reserved flag
        packet(
            0x10,
            &[string("MQTT"), vec![5, 0x3E, 0, 0, 0], string("x")].concat(),
        ), // will QoS 3
        packet(0x10, &[string("MQTT"), vec![4, 0x42, 0, 0], string("x")].concat()), // password alone
        packet(
            0x10,
            &[
                string("MQTT"),
                vec![5, 2, 0, 0, 5, 0x21, 0, 0, 0x21, 0],
                string("x"),
            ]
            .concat(),
        ),
        packet(
            0x10,
            &[string("MQTT"), vec![5, 2, 0, 0, 3, 0x21, 0, 0], string("x")].concat(),
        ), // receive maximum 0
        packet(
            0x10,
            &[string("MQTT"), vec![5, 2, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]].concat(),
        ),
        packet(
            0x10,
            &[string("MQTT"), vec![4, 2, 0, 0, 0, 2, 0xC3, 0x28]].concat(),
        ), // not UTF-8
        after_connect(&hello(5, "pump-2").bytes()), // CONNECT twice
        after_connect(&[0x20, 3, 0, 0, 0]),         // CONNACK from a client: CVE-2021-28166
        after_connect(&[0x90, 3, 0, 1, 0]),         // SUBACK
        after_connect(&[0xB0, 3, 0, 1, 0]),         // UNSUBACK: panics rumqttd's reader
        after_connect(&[0xD0, 0]),                  // PINGRESP
        after_connect(&[0xF0, 0]),                  // AUTH
        after_connect_4(&[0xF0, 0]),                // type 15 in 3.1.1
        after_connect(&[0x36, 3, 0, 1, b'a']),      // QoS 3
        after_connect(&[0x38, 3, 0, 1, b'a']),      // DUP with QoS 0
        after_connect(&[0x32, 3, 0, 1, b'a']),      // no packet identifier
        after_connect(&[0x32, 6, 0, 1, b'a', 0, 0, 0]), // packet identifier 0
        after_connect(&[0x30, 3, 0, 0, 0]),         // empty topic without an alias
        after_connect_4(&[0x30, 2, 0, 0]),          // empty topic
        after_connect_4(&packet(0x30, &string("tw/v1/pump-2/+"))),
        after_connect_4(&packet(0x30, &string("tw/v1/pump-2/a\0b"))),
        after_connect_4(&packet(0x30, &string("$SYS/x"))), // CVE-2018-12543
        after_connect_4(&packet(0x30, &string(&"x".repeat(300)))),
        after_connect_4(&packet(0x30, &string("井盖/1"))), // panics rumqttd's router
        property(&[0x23, 0, 0]),                           // topic alias 0
        property(&[0x23, 0, 17]),                          // topic alias beyond the maximum
        property(&[0x0B, 1]),                              // subscription identifier from a client
        property(&[0x01, 2]),                              // payload format 2
        property(&[0x01, 0, 0x01, 0]),                     // twice
        property(&[0x7E, 0]),                              // unknown property
        property(&[0x21, 0, 1]),                           // property of another packet
        property(&[0x08, 0, 1, b'#']),                     // response topic with a wildcard
        property(&[0x26, 0, 1, b'a', 0, 9]),               // user property that ends early
        property(&[0x26, 0, 0, 0, 0].repeat(20)),          // too many user properties
        after_connect(&[0x80, 7, 0, 1, 0, 0, 1, b'#', 0]), // reserved flags
        after_connect(&[0x82, 3, 0, 1, 0]),                // SUBSCRIBE without a filter
        after_connect(&subscribe(5, 1, &[("tw/v1/pump-2/a#", 0)])),
        after_connect(&subscribe(5, 1, &[("", 0)])),
        after_connect(&subscribe(5, 1, &[("a", 3)])),
        after_connect(&subscribe(5, 1, &[("a", 0x30)])),
        after_connect(&subscribe(5, 0, &[("a", 0)])),
        after_connect(&subscribe(5, 1, &[("tw/v1/pump-2/x", 0); 120])),
        after_connect_4(&subscribe(4, 1, &[("a", 4)])),
        after_connect(&[0xA2, 3, 0, 1, 0]), // UNSUBSCRIBE without a filter
        after_connect(&[0xC1, 0]),          // PINGREQ with flags
        after_connect(&[0xC0, 1, 0]),       // PINGREQ with a body
        after_connect(&[0x60, 2, 0, 1]),    // PUBREL with wrong flags
        after_connect(&[0x50, 2, 0, 0]),    // PUBREC of packet identifier 0
        after_connect(&[0x40, 1, 0]),       // PUBACK that ends early
        after_connect(&[0x30, 0x80, 0x80, 0x80, 0x80, 0x01]),
    ]
}

#[tokio::test]
async fn no_hostile_packet_disturbs_a_healthy_client_and_each_sender_is_closed() {
    let (gate, intake) = plain_gate().await;
    let mut healthy = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    for (number, bytes) in corpus().into_iter().enumerate() {
        // Given a stranger that sends nonsense and then waits,
        let mut stranger = Client::open(gate.local_addr()).await;
        stranger.send(&bytes).await;
        // then it is closed, with or without an answer,
        let closed = async { while stranger.try_packet().await.is_some() {} };
        tokio::time::timeout(PATIENCE, closed)
            .await
            .unwrap_or_else(|_| panic!("packet {number} was taken"));
        // and the healthy client goes on.
        let id = u16::try_from(number + 1).unwrap();
        healthy.send(&publish(5, "tw/v1/pump-1/telemetry", id, "x")).await;
        healthy.expect(&puback(id)).await;
    }
    assert_eq!(
        intake.taken().len(),
        corpus().len(),
        "only the healthy client's messages count"
    );
}

#[tokio::test]
async fn a_hundred_cut_and_twisted_packets_do_not_stop_the_gate() {
    let (gate, _) = plain_gate().await;
    let mut healthy = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    let good = [
        hello(5, "pump-2").bytes(),
        publish_with(5, "tw/v1/pump-2/telemetry", 1, &[0x03, 0, 1, b'j'], b"{}"),
        subscribe(5, 2, &[("tw/v1/pump-2/#", 1)]),
        unsubscribe(5, 3, "tw/v1/pump-2/#"),
    ]
    .concat();
    // A fixed sequence of twists: the numbers come from a linear congruence, seed 1.
    let mut random = 1u32;
    for _ in 0..100 {
        let mut bytes = good.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = usize::try_from(random >> 8).unwrap() % bytes.len();
            bytes[place] = random.to_be_bytes()[1];
        }
        bytes.truncate(usize::try_from(random >> 4).unwrap() % bytes.len() + 1);
        let mut stranger = Client::open(gate.local_addr()).await;
        stranger.send(&bytes).await;
    }
    healthy.expect_alive().await;
    // `pump-2` has to wait by now: among the twists were many wrong passwords of it.
    let mut again = Client::connect(gate.local_addr(), hello(4, "gw")).await;
    again.expect_alive().await;
}

#[tokio::test]
async fn a_packet_that_comes_byte_by_byte_is_a_packet() {
    let (gate, intake) = plain_gate().await;
    let mut client = Client::open(gate.local_addr()).await;
    client.0.set_nodelay(true).unwrap();
    let all = [
        hello(4, "pump-1").bytes(),
        publish(4, "tw/v1/pump-1/telemetry", 9, "slow"),
    ]
    .concat();
    for byte in all {
        client.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    client.expect(&[0x20, 2, 0, 0]).await;
    client.expect(&puback(9)).await;
    assert_eq!(intake.payloads(), ["slow"]);
}

#[tokio::test]
async fn a_client_that_never_reads_is_left_to_wait_and_holds_up_nobody() {
    let intake = Default::default();
    let gate = gate(&intake, broker::Anonymous::SubscribeOnly, |_| {}).await;
    // Given a subscriber that never reads,
    let watcher = Hello {
        client_id: "w",
        ..Hello::default()
    };
    let mut deaf = Client::connect(gate.local_addr(), watcher).await;
    deaf.send(&subscribe(4, 1, &[("tw/#", 0)])).await;
    until("it is subscribed", || gate.counters().subscriptions == 1).await;
    let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    device
        .send(&publish(4, "tw/v1/pump-1/telemetry", 0, "first"))
        .await;
    until("the first message is delivered", || {
        gate.counters().delivered == 1
    })
    .await;
    // when 2,000 messages of 16 KiB (32 MiB) are published,
    let payload = vec![b'x'; 16 * 1024];
    for round in 0..200u16 {
        for id in 1..=10 {
            device
                .send(&publish_with(
                    4,
                    "tw/v1/pump-1/telemetry",
                    round * 10 + id,
                    &[],
                    &payload,
                ))
                .await;
        }
        for id in 1..=10 {
            device.expect(&puback(round * 10 + id)).await;
        }
    }
    // then the device was served to the end, and what the subscriber missed is counted.
    let counters = gate.counters();
    assert_eq!(counters.pubacks, 2000);
    until("each message is delivered, queued, or counted as dropped", || {
        let counters = gate.counters();
        counters.delivered + counters.dropped_slow + counters.dropped_fan_out + 1024 >= 2000
    })
    .await;
    assert!(gate.counters().dropped_slow + gate.counters().dropped_fan_out > 0);
}
