//! The bounds of one client, of one address and of all, each with its answer.

use std::sync::Arc;

use broker::{Allowance, Anonymous};

use crate::support::*;

const TOPIC: &str = "tw/v1/pump-1/telemetry";

#[tokio::test]
async fn a_device_is_told_the_largest_packet_it_may_send_and_a_larger_one_closes_it() {
    let intake = Arc::default();
    let gate = gate(&intake, Anonymous::Refuse, |config| {
        config.device = Allowance::DEVICE
    })
    .await;
    // Given a 5 client that reads its CONNACK, and a gateway that does,
    let mut told = Vec::new();
    for name in ["pump-1", "gw"] {
        let mut client = Client::open(gate.local_addr()).await;
        client.send(&hello(5, name).bytes()).await;
        let (_, body) = client.packet().await;
        // then property 0x27 says 64 KiB to the one and more to the other.
        let at = body.iter().position(|&byte| byte == 0x27).unwrap() + 1;
        told.push(u32::from_be_bytes(body[at..at + 4].try_into().unwrap()));
    }
    assert_eq!(told[0], 64 * 1024);
    assert!(told[1] > 1024 * 1024, "{told:?}");
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    device.send(&publish(5, TOPIC, 1, &"x".repeat(64 * 1024))).await;
    device.expect(&[0xE0, 1, 0x95]).await;
    assert_eq!(gate.counters().too_large, 1);
}

#[tokio::test]
async fn a_device_that_says_more_than_it_may_is_late_and_loses_nothing() {
    let intake = Arc::new(TestIntake::default());
    // Given a device that may send 20 messages a second, 200 at once,
    let gate = gate(&intake, Anonymous::Refuse, |config| {
        config.device = Allowance {
            messages_per_s: 20,
            ..Allowance::DEVICE
        }
    })
    .await;
    let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    let started = tokio::time::Instant::now();
    // when it sends 220 in one go,
    let burst: Vec<u8> = (1..=220)
        .flat_map(|n| publish(4, TOPIC, n, &n.to_string()))
        .collect();
    device.send(&burst).await;
    for n in 1..=220 {
        device.expect(&puback(n)).await;
    }
    // then the last comes no sooner than the rate allows: 20 beyond the burst, the first in debt, 19 at 20/s.
    assert!(started.elapsed().as_millis() >= 940, "{:?}", started.elapsed());
    let all: Vec<String> = (1..=220).map(|n| n.to_string()).collect();
    assert_eq!(intake.payloads(), all);
    assert!(gate.counters().held_back > 0);
    // Another device is served at once in the meantime, and the first stays connected.
    Client::connect(gate.local_addr(), hello(4, "pump-2"))
        .await
        .expect_alive()
        .await;
}
