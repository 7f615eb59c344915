//! Shared subscriptions.

use broker::Room;

use crate::support::*;

const GROUP: &str = "$share/g/tw/v1/+/telemetry";

fn member<'a>(level: u8, client_id: &'a str) -> Hello<'a> {
    Hello {
        level,
        client_id,
        clean: false,
        properties: if level == 5 { &[0x11, 0, 0, 3, 0xE8] } else { &[] },
        ..Hello::default()
    }
}

fn reading(id: u16, payload: &str) -> Post<'_> {
    Post {
        id,
        payload,
        ..Post::default()
    }
}

/// What a client gets, by the last byte of its payload, until it has nothing more; acknowledged.
async fn all(client: &mut Client, count: usize) -> Vec<char> {
    let mut got = Vec::new();
    while got.len() < count {
        let (first, body) = client.packet().await;
        assert_eq!(first & 0xF0, 0x30);
        let place = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
        client
            .send(&puback(u16::from_be_bytes([body[place], body[place + 1]])))
            .await;
        got.push(char::from(*body.last().unwrap()));
    }
    got
}

#[tokio::test]
async fn each_message_goes_to_one_member_in_turn_in_both_versions() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut a = Client::connect(gate.local_addr(), member(5, "a")).await;
    let mut b = Client::connect(gate.local_addr(), member(4, "b")).await;
    a.subscribe(5, &[(GROUP, 1)]).await;
    b.subscribe(4, &[(GROUP, 1)]).await;
    // Another group, and a client of its own, get everything as well.
    let mut other = Client::connect(gate.local_addr(), member(5, "o")).await;
    other.subscribe(5, &[("$share/h/tw/#", 1), ("tw/#", 1)]).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    for (id, payload) in [(1, "1"), (2, "2"), (3, "3"), (4, "4")] {
        device.publish(reading(id, payload)).await;
    }
    assert_eq!(all(&mut a, 2).await, ['1', '3']);
    assert_eq!(all(&mut b, 2).await, ['2', '4']);
    let mut twice = all(&mut other, 8).await;
    twice.sort_unstable();
    assert_eq!(twice, ['1', '1', '2', '2', '3', '3', '4', '4']);
}

#[tokio::test]
async fn a_member_that_is_away_gets_nothing_while_another_is_there_and_everything_when_none_is() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut a = Client::connect(gate.local_addr(), member(5, "a")).await;
    let mut b = Client::connect(gate.local_addr(), member(5, "b")).await;
    a.subscribe(5, &[(GROUP, 1)]).await;
    b.subscribe(5, &[(GROUP, 1)]).await;
    b.leave().await;
    until("b is gone", || gate.counters().connections == 1).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    for (id, payload) in [(1, "1"), (2, "2")] {
        device.publish(reading(id, payload)).await;
    }
    assert_eq!(all(&mut a, 2).await, ['1', '2']);
    a.leave().await;
    until("a is gone", || gate.counters().connections == 1).await;
    for (id, payload) in [(3, "3"), (4, "4")] {
        device.publish(reading(id, payload)).await;
    }
    assert_eq!(home.keeper.count(Room::Queue), 2);
    let mut a = Client::resume(gate.local_addr(), member(5, "a")).await;
    let mut b = Client::resume(gate.local_addr(), member(5, "b")).await;
    let mut both = [all(&mut a, 1).await, all(&mut b, 1).await].concat();
    both.sort_unstable();
    assert_eq!(both, ['3', '4']);
}

#[tokio::test]
async fn what_a_member_leaves_behind_goes_to_another() {
    let home = Home::default();
    let gate = home.gate().await;
    // Given a member with a window of one that acknowledges nothing,
    let slow = Hello {
        clean: true,
        properties: &[0x21, 0, 1],
        ..member(5, "slow")
    };
    let mut slow = Client::connect(gate.local_addr(), slow).await;
    slow.subscribe(5, &[(GROUP, 1)]).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    for (id, payload) in [(1, "1"), (2, "2"), (3, "3")] {
        device.publish(reading(id, payload)).await;
    }
    slow.expect(&reading(1, "1").bytes()).await;
    // when another comes and the first one's session ends,
    let mut other = Client::connect(gate.local_addr(), member(5, "other")).await;
    other.subscribe(5, &[(GROUP, 1)]).await;
    slow.leave().await;
    // then the other gets all of it, in order.
    assert_eq!(all(&mut other, 3).await, ['1', '2', '3']);
}

#[tokio::test]
async fn a_message_that_a_member_refuses_goes_to_no_other() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut a = Client::connect(gate.local_addr(), member(5, "a")).await;
    let mut b = Client::connect(gate.local_addr(), member(5, "b")).await;
    a.subscribe(5, &[(GROUP, 1)]).await;
    b.subscribe(5, &[(GROUP, 1)]).await;
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    device.publish(reading(1, "1")).await;
    a.expect(&reading(1, "1").bytes()).await;
    a.send(&[0x40, 3, 0, 1, 0x80]).await;
    a.send(&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0]).await;
    a.expect_end().await;
    b.expect_quiet().await;
}
