//! A PUBACK means that the intake has the message.

use broker::{Anonymous, IntakeError};
use std::sync::Arc;

use crate::support::*;

const TOPIC: &str = "tw/v1/pump-1/telemetry";

#[tokio::test]
async fn a_publish_is_acknowledged_only_after_the_intake_has_it() {
    for level in [4, 5] {
        // Given an intake that takes its time,
        let intake = Arc::new(TestIntake::holding());
        let gate = gate(&intake, Anonymous::Refuse, |_| {}).await;
        let mut client = Client::connect(gate.local_addr(), hello(level, "pump-1")).await;
        // when a message is published,
        client.send(&publish(level, TOPIC, 7, "a")).await;
        until("the intake is asked", || intake.waiting() == 1).await;
        // then nothing is acknowledged until the intake has it; pings are answered all the while.
        client.expect_quiet().await;
        client.expect_alive().await;
        intake.answer(0, Ok(()));
        client.expect(&puback(7)).await;
        let taken = intake.taken();
        assert_eq!((taken[0].sender.as_str(), &*taken[0].topic), ("pump-1", TOPIC));
        assert_eq!(taken[0].arrived.millis(), 1_763_870_400_000);
        assert_eq!((gate.counters().messages, gate.counters().pubacks), (1, 1));
    }
}

#[tokio::test]
async fn all_that_the_socket_holds_goes_as_one_batch_and_the_next_need_not_wait_for_it() {
    let intake = Arc::new(TestIntake::holding());
    let gate = gate(&intake, Anonymous::Refuse, |_| {}).await;
    let mut client = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    // Given three messages in one write, one of them QoS 0, and a fourth while they are on their way,
    let burst: Vec<u8> = [
        publish(4, TOPIC, 1, "a"),
        publish(4, TOPIC, 0, "b"),
        publish(4, TOPIC, 2, "c"),
    ]
    .concat();
    client.send(&burst).await;
    until("the first batch", || intake.waiting() == 1).await;
    client.send(&publish(4, TOPIC, 3, "d")).await;
    until("the second batch", || intake.waiting() == 2).await;
    assert_eq!(intake.payloads(), ["a", "b", "c", "d"]);
    // when the second is safe first,
    intake.answer(1, Ok(()));
    // then its PUBACK still waits for those before it.
    client.expect_quiet().await;
    intake.answer(0, Ok(()));
    for id in [1, 2, 3] {
        client.expect(&puback(id)).await;
    }
}

#[tokio::test]
async fn what_the_intake_refuses_is_never_acknowledged() {
    for (error, code) in [
        (IntakeError::Full("disk".into()), 0x97),
        (IntakeError::Stopped("fsync".into()), 0x83),
    ] {
        let intake = Arc::new(TestIntake::refusing(error));
        let gate = gate(&intake, Anonymous::Refuse, |_| {}).await;
        // A 5 client is told why; a 3.1.1 client is closed.
        let mut v5 = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
        v5.send(&publish(5, TOPIC, 1, "a")).await;
        v5.expect(&[0xE0, 1, code]).await;
        v5.expect_end().await;
        let mut v311 = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
        v311.send(&publish(4, TOPIC, 1, "a")).await;
        v311.expect_end().await;
        let counters = gate.counters();
        assert_eq!(
            (
                counters.pubacks,
                counters.intake_refusals,
                counters.messages_refused
            ),
            (0, 2, 2)
        );
    }
}

#[tokio::test]
async fn nothing_after_a_refused_batch_is_acknowledged() {
    let intake = Arc::new(TestIntake::holding());
    let gate = gate(&intake, Anonymous::Refuse, |_| {}).await;
    let mut client = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    for (id, batches) in [(1, 1), (2, 2)] {
        client.send(&publish(5, TOPIC, id, "x")).await;
        until("the batch arrives", || intake.waiting() == batches).await;
    }
    // When the first fails although the second is safe,
    intake.answer(1, Ok(()));
    intake.answer(0, Err(IntakeError::Full("disk".into())));
    // then the client hears of neither, only why it is closed.
    client.expect(&[0xE0, 1, 0x97]).await;
    client.expect_end().await;
    assert_eq!(gate.counters().pubacks, 0);
}

#[tokio::test]
async fn a_message_of_a_client_that_left_at_once_still_reaches_the_intake() {
    let (gate, intake) = plain_gate().await;
    let mut client = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    client
        .send(&[publish(4, TOPIC, 0, "last words"), vec![0xE0, 0]].concat())
        .await;
    client.expect_end().await;
    assert_eq!(intake.payloads(), ["last words"]);
}

#[tokio::test]
async fn a_publish_outside_the_own_name_is_refused_in_order_and_not_journaled() {
    let (gate, intake) = plain_gate().await;
    // Given a 5 client that publishes right, wrong and right again,
    let mut v5 = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    let other = "tw/v1/pump-2/telemetry";
    v5.send(
        &[
            publish(5, TOPIC, 1, "a"),
            publish(5, other, 2, "b"),
            publish(5, TOPIC, 3, "c"),
        ]
        .concat(),
    )
    .await;
    // then only the wrong one is refused, in its place.
    v5.expect(&puback(1)).await;
    v5.expect(&[0x40, 3, 0, 2, 0x87]).await;
    v5.expect(&puback(3)).await;
    // A 3.1.1 client cannot be told: it is closed.
    let mut v311 = Client::connect(gate.local_addr(), hello(4, "pump-2")).await;
    v311.send(&publish(4, TOPIC, 1, "d")).await;
    v311.expect_end().await;
    assert_eq!(intake.payloads(), ["a", "c"]);
    assert_eq!(gate.counters().publishes_refused, 2);
}

#[tokio::test]
async fn a_gateway_speaks_for_the_devices_behind_it_and_for_no_other() {
    let (gate, intake) = plain_gate().await;
    let mut gw = Client::connect(gate.local_addr(), hello(5, "gw")).await;
    gw.send(&publish(5, "tw/v1/behind-gw/telemetry", 1, "a")).await;
    gw.expect(&puback(1)).await;
    gw.send(&publish(5, TOPIC, 2, "b")).await;
    gw.expect(&[0x40, 3, 0, 2, 0x87]).await;
    let taken = intake.taken();
    assert_eq!((taken.len(), taken[0].sender.as_str()), (1, "gw"));
}

#[tokio::test]
async fn a_large_message_arrives_whole_and_one_byte_too_many_is_refused() {
    let (gate, intake) = plain_gate().await;
    let mut client = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    let payload = vec![b'x'; telemetry::limits::PAYLOAD_BYTES_MAX];
    client.send(&publish_with(5, TOPIC, 1, &[], &payload)).await;
    client.expect(&puback(1)).await;
    assert_eq!(intake.taken()[0].payload.len(), payload.len());
    // One byte more in the payload: refused.
    client
        .send(&publish_with(5, TOPIC, 2, &[], &[&payload[..], b"x"].concat()))
        .await;
    client.expect(&[0xE0, 1, 0x95]).await;
    client.expect_end().await;
    // A packet that only announces one byte more than the largest: closed by its header of four bytes.
    let mut client = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    let header = packet(0x32, &vec![0; broker::limits::PACKET_BYTES_MAX - 3]);
    client.send(&header[..4]).await;
    client.expect(&[0xE0, 1, 0x95]).await;
    client.expect_end().await;
    assert_eq!(gate.counters().too_large, 2);
}
