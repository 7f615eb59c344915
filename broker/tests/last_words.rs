//! Who says goodbye has said it, however its connection ends after that.

use std::sync::Arc;

use broker::{Allowance, Anonymous};

use crate::support::*;

const TOPIC: &str = "tw/v1/pump-1/telemetry";
const GOODBYE: [u8; 2] = [0xE0, 0];

/// pump-1 with a will.
fn mortal(level: u8) -> Hello<'static> {
    Hello {
        will: Some(("tw/v1/pump-1/state", "offline")),
        ..hello(level, "pump-1")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_said_goodbye_and_is_back_at_once_leaves_no_will_and_loses_no_message() {
    const ROUNDS: usize = 200;
    let (gate, intake) = plain_gate().await;
    for level in [4, 5] {
        for round in 0..ROUNDS {
            // Given a client that publishes and says goodbye,
            let mut client = Client::connect(gate.local_addr(), mortal(level)).await;
            let last = [publish(level, TOPIC, 0, &round.to_string()), GOODBYE.to_vec()].concat();
            client.send(&last).await;
            // when it is back although the gate may not have read that yet,
            let back = Client::connect(gate.local_addr(), mortal(level)).await;
            back.leave().await;
        }
    }
    // then each message has arrived, and no will.
    let sent: Vec<String> = (0..2 * ROUNDS).map(|n| (n % ROUNDS).to_string()).collect();
    assert_eq!(intake.payloads(), sent);
    assert_eq!((gate.counters().wills, gate.counters().taken_over), (0, 0));
}

#[tokio::test]
async fn a_goodbye_behind_messages_that_wait_for_the_disk_is_found_when_another_connection_comes() {
    for level in [4, 5] {
        // Given a client that is left unread because the intake has as many of its batches as it may have,
        let intake = Arc::new(TestIntake::holding());
        let gate = gate(&intake, Anonymous::Refuse, |_| {}).await;
        let mut client = Client::connect(gate.local_addr(), mortal(level)).await;
        let full = broker::limits::BATCHES_IN_FLIGHT_MAX;
        for batch in 1..=full {
            client.send(&publish(level, TOPIC, 0, &batch.to_string())).await;
            until("the batch arrives", || intake.waiting() == batch).await;
        }
        // when it goes on, says goodbye and is back,
        let last = [publish(level, TOPIC, 0, "last"), GOODBYE.to_vec()].concat();
        client.send(&last).await;
        let address = gate.local_addr();
        let back = tokio::spawn(async move { Client::connect(address, mortal(level)).await });
        until("it knocks", || gate.counters().accepted == 2).await;
        tokio::time::sleep(QUIET).await;
        // then it is let in when the disk has all of it, and its will was taken back.
        (0..full).for_each(|_| intake.answer(0, Ok(())));
        until("the last message arrives", || intake.waiting() == 1).await;
        assert_eq!(intake.payloads().last().unwrap(), "last");
        intake.answer(0, Ok(()));
        back.await.unwrap().expect_alive().await;
        assert_eq!((intake.taken().len(), gate.counters().wills), (full + 1, 0));
    }
}

#[tokio::test]
async fn a_goodbye_behind_messages_that_are_held_back_is_found_when_another_connection_comes() {
    let intake = Arc::new(TestIntake::default());
    let gate = gate(&intake, Anonymous::Refuse, |config| {
        config.device = Allowance {
            messages_per_s: 100,
            bytes_per_s: 0,
            ..Allowance::GATEWAY
        };
    })
    .await;
    // Given a client that has spent what it may say at once, and 20 messages more before its goodbye,
    let mut client = Client::connect(gate.local_addr(), mortal(4)).await;
    let last: Vec<u8> = (0..1020).flat_map(|_| publish(4, TOPIC, 0, "x")).collect();
    client.send(&[last, GOODBYE.to_vec()].concat()).await;
    // when it is back, then all of them have arrived and no will has.
    Client::connect(gate.local_addr(), mortal(4))
        .await
        .expect_alive()
        .await;
    assert_eq!((intake.taken().len(), gate.counters().wills), (1020, 0));
}

#[tokio::test]
async fn a_client_that_says_nothing_before_another_connection_comes_leaves_its_will() {
    let (gate, intake) = plain_gate().await;
    // Given a client whose last packet is not complete,
    let mut client = Client::connect(gate.local_addr(), mortal(5)).await;
    client
        .send(&[&publish(5, TOPIC, 0, "whole")[..], &GOODBYE[..1]].concat())
        .await;
    // when another connection of it comes, then it is told so, and its will is published.
    let mut back = Client::connect(gate.local_addr(), mortal(5)).await;
    back.expect_alive().await;
    client.expect_disconnect(0x8E).await;
    assert_eq!(intake.payloads(), ["whole", "offline"]);
}

#[tokio::test]
async fn a_goodbye_counts_although_the_socket_breaks_after_it() {
    for _ in 0..50 {
        let (gate, intake) = plain_gate().await;
        // Given a client that does not read its answers, says goodbye, and resets its socket,
        let mut client = Client::connect(gate.local_addr(), mortal(4)).await;
        let last = [publish(4, TOPIC, 1, "last"), GOODBYE.to_vec()].concat();
        client.send(&last).await;
        client.0.set_zero_linger().unwrap();
        drop(client);
        // then its message has arrived and its will has not.
        until("it is gone", || gate.counters().connections == 0).await;
        assert_eq!(
            (intake.payloads(), gate.counters().wills),
            (vec!["last".to_owned()], 0)
        );
    }
}
