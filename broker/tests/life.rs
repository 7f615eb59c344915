//! How connections live and end.

use std::sync::Arc;
use std::time::Duration;

use broker::Anonymous;

use crate::support::*;

const TOPIC: &str = "tw/v1/pump-1/telemetry";

#[tokio::test]
async fn a_second_connection_of_a_device_ends_the_first() {
    let (gate, _) = plain_gate().await;
    // Given a 5 client,
    let mut first = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    // when the same device comes again, then the first is told and the second served;
    let mut second = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    first.expect(&[0xE0, 1, 0x8E]).await;
    first.expect_end().await;
    second.expect_alive().await;
    // and so on, ten times.
    for _ in 0..10 {
        let mut next = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
        second.expect_end().await;
        next.expect_alive().await;
        second = next;
    }
    assert_eq!(gate.counters().taken_over, 11);
}

#[tokio::test]
async fn an_anonymous_client_cannot_end_the_connection_of_a_device() {
    let intake = Default::default();
    let gate = gate(&intake, Anonymous::SubscribeOnly, |_| {}).await;
    let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    let namesake = Hello {
        client_id: "pump-1",
        ..Hello::default()
    };
    Client::connect(gate.local_addr(), namesake)
        .await
        .expect_alive()
        .await;
    device.expect_alive().await;
    assert_eq!(gate.counters().taken_over, 0);
}

#[tokio::test]
async fn a_client_that_falls_silent_is_closed_after_one_and_a_half_keep_alives() {
    let (gate, _) = plain_gate().await;
    let brief = Hello {
        keep_alive: 1,
        ..hello(5, "pump-1")
    };
    let started = tokio::time::Instant::now();
    let mut silent = Client::connect(gate.local_addr(), brief).await;
    let mut endless = Client::connect(gate.local_addr(), hello(5, "pump-2")).await;
    silent.expect(&[0xE0, 1, 0x8D]).await;
    // 1.5 s; a timer may be a millisecond early.
    assert!(
        started.elapsed() >= Duration::from_millis(1499),
        "{:?}",
        started.elapsed()
    );
    // With keep-alive 0 nobody asks.
    endless.expect_alive().await;
    assert_eq!(gate.counters().keep_alive_expired, 1);
}

#[tokio::test]
async fn what_the_gate_sends_does_not_keep_a_silent_client_alive() {
    let intake = Default::default();
    let gate = gate(&intake, Anonymous::SubscribeOnly, |_| {}).await;
    // Given a silent subscriber with a keep-alive of 1 s, and a device that publishes all the time,
    let brief = Hello {
        level: 5,
        keep_alive: 1,
        client_id: "w",
        ..Hello::default()
    };
    let mut watcher = Client::connect(gate.local_addr(), brief).await;
    watcher.send(&subscribe(5, 1, &[("tw/#", 0)])).await;
    watcher.packet().await;
    let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    // then it is closed all the same.
    let closed = async {
        while watcher.packet().await.0 != 0xE0 {
            device.send(&publish(4, TOPIC, 0, "x")).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.unwrap();
    assert_eq!(gate.counters().keep_alive_expired, 1);
}

#[tokio::test]
async fn the_will_is_published_when_a_client_goes_without_a_word_and_not_otherwise() {
    let (gate, intake) = plain_gate().await;
    let will = |level| Hello {
        will: Some(("tw/v1/pump-1/state", "offline")),
        ..hello(level, "pump-1")
    };
    for level in [4, 5] {
        // A client that says good-bye takes its will with it.
        let mut polite = Client::connect(gate.local_addr(), will(level)).await;
        polite.send(&[0xE0, 0]).await;
        polite.expect_end().await;
    }
    assert_eq!(intake.taken().len(), 0);
    // One that does not leaves it; so does a 5 client that asks for it (0x04).
    drop(Client::connect(gate.local_addr(), will(4)).await);
    until("the first will", || intake.payloads() == ["offline"]).await;
    let mut asks = Client::connect(gate.local_addr(), will(5)).await;
    asks.send(&[0xE0, 1, 4]).await;
    until("the second will", || intake.payloads().len() == 2).await;
    assert_eq!(gate.counters().wills, 2);
    // A will on the topic of another is refused at the door.
    let mut bad = Client::open(gate.local_addr()).await;
    let foreign = Hello {
        will: Some(("tw/v1/pump-2/state", "offline")),
        ..hello(5, "pump-1")
    };
    bad.send(&foreign.bytes()).await;
    bad.expect(&[0x20, 3, 0, 0x87, 0]).await;
}

#[tokio::test]
async fn a_stop_acknowledges_what_is_under_way_then_tells_everybody_and_frees_the_port() {
    let intake = Arc::new(TestIntake::holding());
    let gate = gate(&intake, Anonymous::Refuse, |_| {}).await;
    let address = gate.local_addr();
    let mut v5 = Client::connect(address, hello(5, "pump-1")).await;
    let mut v311 = Client::connect(address, hello(4, "pump-2")).await;
    let mut unknown = Client::open(address).await;
    v5.send(&publish(5, TOPIC, 5, "a")).await;
    until("the batch is under way", || intake.waiting() == 1).await;
    // When the gate stops while a message is under way,
    let stopped = tokio::spawn(async move { gate.stop().await });
    v5.expect_quiet().await;
    intake.answer(0, Ok(()));
    // then it is acknowledged first.
    v5.expect(&puback(5)).await;
    v5.expect(&[0xE0, 1, 0x8B]).await;
    v5.expect_end().await;
    v311.expect_end().await;
    unknown.expect_end().await;
    drop((v5, v311, unknown));
    tokio::time::timeout(PATIENCE, stopped).await.unwrap().unwrap();
    tokio::net::TcpListener::bind(address)
        .await
        .expect("the port is free");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever_for_an_intake_that_hangs() {
    let intake = Arc::new(TestIntake::holding());
    let patience = Duration::from_millis(200);
    let gate = gate(&intake, Anonymous::Refuse, |config| {
        config.stop_timeout = patience
    })
    .await;
    let mut client = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    client.send(&publish(5, TOPIC, 5, "a")).await;
    until("the batch is under way", || intake.waiting() == 1).await;
    let stopped = tokio::spawn(async move { gate.stop().await });
    client.expect(&[0xE0, 1, 0x8B]).await;
    drop(client);
    tokio::time::timeout(PATIENCE, stopped).await.unwrap().unwrap();
}
