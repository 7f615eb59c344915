//! Wills: at once, later, after a restart, or not at all.

use broker::Room;

use crate::support::*;

const STATE: &str = "tw/v1/pump-1/state";

/// Will delay of 60 s (0x18).
const DELAY: [u8; 5] = [0x18, 0, 0, 0, 60];

fn with_will<'a>(will_properties: &'a [u8]) -> Hello<'a> {
    Hello {
        clean: false,
        // Session expiry of 1,000 s.
        properties: &[0x11, 0, 0, 3, 0xE8],
        will: Some((STATE, "offline")),
        will_properties,
        ..hello(5, "pump-1")
    }
}

#[tokio::test]
async fn a_will_with_a_delay_is_published_when_the_delay_is_over_and_not_when_the_client_is_back() {
    let home = Home::default();
    let gate = home.gate().await;
    // Given a client that breaks off and is back in time,
    drop(Client::connect(gate.local_addr(), with_will(&DELAY)).await);
    until("it is gone", || gate.counters().connections == 0).await;
    home.pass(59);
    let back = Client::resume(gate.local_addr(), with_will(&DELAY)).await;
    home.pass(100);
    assert_eq!(gate.counters().wills, 0);
    // when it breaks off and stays away, then its will is published after 60 s, once.
    drop(back);
    until("it is gone", || gate.counters().connections == 0).await;
    assert_eq!(home.intake.taken().len(), 0);
    home.pass(60);
    until("the will", || home.intake.payloads() == ["offline"]).await;
    until("the will is no more kept", || home.keeper.count(Room::Wills) == 0).await;
    home.pass(1000);
    until("the session ends", || gate.counters().sessions_expired == 1).await;
    assert_eq!(gate.counters().wills, 1);
}

#[tokio::test]
async fn a_will_is_published_at_the_end_of_the_session_when_that_comes_first() {
    let home = Home::default();
    let gate = home.gate().await;
    // A delay of 5,000 s, a session of 1,000 s.
    let hello = with_will(&[0x18, 0, 0, 0x13, 0x88]);
    drop(Client::connect(gate.local_addr(), hello.clone()).await);
    until("it is gone", || gate.counters().connections == 0).await;
    home.pass(1000);
    until("the will", || gate.counters().wills == 1).await;
    // A clean start ends the session as well.
    drop(Client::connect(gate.local_addr(), hello.clone()).await);
    until("it is gone", || gate.counters().connections == 0).await;
    let fresh = Hello {
        clean: true,
        ..crate::support::hello(5, "pump-1")
    };
    Client::connect(gate.local_addr(), fresh)
        .await
        .expect_alive()
        .await;
    assert_eq!((gate.counters().wills, home.intake.taken().len()), (2, 2));
}

#[tokio::test]
async fn a_will_survives_a_kill_and_an_orderly_stop() {
    let home = Home::default();
    let gate = home.gate().await;
    let client = Client::connect(gate.local_addr(), with_will(&DELAY)).await;
    // Given a gate that is killed and starts again, then the delay counts from there,
    let home = home.killed().await;
    drop((gate, client));
    let gate = home.gate().await;
    home.pass(59);
    Client::resume(gate.local_addr(), with_will(&DELAY))
        .await
        .leave()
        .await;
    assert_eq!(gate.counters().wills, 0);
    let client = Client::resume(gate.local_addr(), with_will(&DELAY)).await;
    drop((gate, client));
    let gate = home.gate().await;
    home.pass(60);
    until("the will", || gate.counters().wills == 1).await;
}

#[tokio::test]
async fn a_will_that_is_retained_is_there_for_who_comes_later_with_its_properties() {
    let home = Home::default();
    let gate = home.gate().await;
    // Content type (0x03) and a user property (0x26); no delay.
    let properties = [&[0x03][..], &string("text"), &[0x26], &string("k"), &string("v")].concat();
    let hello = Hello {
        will_retain: true,
        ..with_will(&properties)
    };
    drop(Client::connect(gate.local_addr(), hello).await);
    until("the will", || gate.counters().retained == 1).await;
    let watcher = Hello {
        level: 5,
        client_id: "w",
        ..Hello::default()
    };
    let mut client = Client::connect(gate.local_addr(), watcher).await;
    client.subscribe(5, &[("tw/#", 1)]).await;
    let expected = Post {
        topic: STATE,
        retain: true,
        properties: &properties,
        payload: "offline",
        ..Post::default()
    };
    client.expect(&expected.bytes()).await;
}
