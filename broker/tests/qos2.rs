//! Exactly once, in both directions.

use std::sync::Arc;

use broker::Anonymous;

use crate::support::*;

const LEVELS: [u8; 2] = [4, 5];

fn post(level: u8, id: u16, payload: &str) -> Post<'_> {
    Post {
        level,
        qos: 2,
        id,
        payload,
        ..Post::default()
    }
}

#[tokio::test]
async fn a_qos_2_message_is_answered_with_pubrec_only_after_the_intake_has_it() {
    for level in LEVELS {
        let intake = Arc::new(TestIntake::holding());
        let gate = gate(&intake, Anonymous::Refuse, |_| {}).await;
        let mut client = Client::connect(gate.local_addr(), hello(level, "pump-1")).await;
        client.send(&post(level, 7, "a").bytes()).await;
        until("the intake is asked", || intake.waiting() == 1).await;
        client.expect_quiet().await;
        intake.answer(0, Ok(()));
        client.expect(&pubrec(7)).await;
        client.send(&pubrel(7)).await;
        client.expect(&pubcomp(7)).await;
        assert_eq!((gate.counters().messages, gate.counters().pubrecs), (1, 1));
    }
}

#[tokio::test]
async fn a_qos_2_message_that_comes_again_is_not_journaled_again_until_it_was_released() {
    for level in LEVELS {
        let (gate, intake) = plain_gate().await;
        let mut client = Client::connect(gate.local_addr(), hello(level, "pump-1")).await;
        // Given a message that is sent three times, the last time marked as a duplicate,
        client.send(&post(level, 7, "a").bytes()).await;
        client.expect(&pubrec(7)).await;
        client.send(&post(level, 7, "a").bytes()).await;
        client.expect(&pubrec(7)).await;
        let again = Post {
            dup: true,
            ..post(level, 7, "a")
        };
        client.send(&again.bytes()).await;
        client.expect(&pubrec(7)).await;
        assert_eq!(intake.payloads(), ["a"]);
        // when it has been released, then the identifier stands for another message.
        client.send(&pubrel(7)).await;
        client.expect(&pubcomp(7)).await;
        client.send(&post(level, 7, "b").bytes()).await;
        client.expect(&pubrec(7)).await;
        assert_eq!(intake.payloads(), ["a", "b"]);
        assert_eq!(gate.counters().repeated, 2);
    }
}

#[tokio::test]
async fn a_pubrel_or_pubrec_of_something_unknown_is_answered_with_0x92_and_the_client_stays() {
    let (gate, _) = plain_gate().await;
    let mut v5 = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    v5.send(&pubrel(9)).await;
    v5.expect(&[0x70, 3, 0, 9, 0x92]).await;
    v5.send(&pubrec(9)).await;
    v5.expect(&[0x62, 3, 0, 9, 0x92]).await;
    // A late answer to nothing is let pass.
    v5.send(&[pubcomp(9), puback(9)].concat()).await;
    v5.expect_alive().await;
    let mut v311 = Client::connect(gate.local_addr(), hello(4, "pump-2")).await;
    v311.send(&pubrel(9)).await;
    v311.expect(&pubcomp(9)).await;
}

#[tokio::test]
async fn a_qos_2_publish_without_permission_gets_its_code_in_pubrec() {
    let (gate, intake) = plain_gate().await;
    let mut v5 = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    let foreign = Post {
        topic: "tw/v1/pump-2/telemetry",
        ..post(5, 3, "a")
    };
    v5.send(&foreign.bytes()).await;
    v5.expect(&[0x50, 3, 0, 3, 0x87]).await;
    // That was the end of it: the identifier is free.
    v5.send(&post(5, 3, "b").bytes()).await;
    v5.expect(&pubrec(3)).await;
    assert_eq!(intake.payloads(), ["b"]);
}

#[tokio::test]
async fn a_qos_2_subscriber_gets_a_message_once_and_is_asked_to_release_it() {
    let home = Home::default();
    let gate = home.gate().await;
    for level in LEVELS {
        let watcher = Hello {
            level,
            client_id: "w",
            ..Hello::default()
        };
        let mut client = Client::connect(gate.local_addr(), watcher).await;
        client.subscribe(level, &[("tw/#", 2)]).await;
        let mut device = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
        device.send(&post(4, 1, "a").bytes()).await;
        device.expect(&pubrec(1)).await;
        client.expect(&post(level, 1, "a").bytes()).await;
        client.send(&pubrec(1)).await;
        client.expect(&pubrel(1)).await;
        // Asked again, it says the same.
        client.send(&pubrec(1)).await;
        client.expect(&pubrel(1)).await;
        client.send(&pubcomp(1)).await;
        client.expect_alive().await;
        client.leave().await;
    }
}

#[tokio::test]
async fn a_pubrec_with_an_error_ends_the_delivery_and_frees_the_window() {
    let home = Home::default();
    let gate = home.gate().await;
    let narrow = Hello {
        level: 5,
        client_id: "w",
        properties: &[0x21, 0, 1],
        ..Hello::default()
    };
    let mut client = Client::connect(gate.local_addr(), narrow).await;
    client.subscribe(5, &[("tw/#", 2)]).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    for (id, payload) in [(1, "a"), (2, "b")] {
        device.send(&post(5, id, payload).bytes()).await;
        device.expect(&pubrec(id)).await;
    }
    client.expect(&post(5, 1, "a").bytes()).await;
    client.expect_quiet().await;
    client.send(&[0x50, 3, 0, 1, 0x97]).await;
    client.expect(&post(5, 2, "b").bytes()).await;
}

#[tokio::test]
async fn an_answer_of_the_wrong_kind_ends_the_connection() {
    let home = Home::default();
    let gate = home.gate().await;
    let watcher = Hello {
        level: 5,
        client_id: "w",
        ..Hello::default()
    };
    let mut client = Client::connect(gate.local_addr(), watcher).await;
    client.subscribe(5, &[("tw/#", 2)]).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    device.send(&post(5, 1, "a").bytes()).await;
    client.expect(&post(5, 1, "a").bytes()).await;
    client.send(&puback(1)).await;
    client.expect_disconnect(0x82).await;
}

#[tokio::test]
async fn a_client_that_never_releases_is_told_that_it_has_too_much_under_way() {
    let (gate, _) = plain_gate().await;
    let mut client = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    for id in 1..=broker::limits::RECEIVE_MAXIMUM {
        client.send(&post(5, id, "x").bytes()).await;
        client.expect(&pubrec(id)).await;
    }
    client.send(&post(5, 5000, "x").bytes()).await;
    client.expect_disconnect(0x93).await;
}
