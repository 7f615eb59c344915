//! Sessions that outlive their connection, and the process.

use broker::Room;

use crate::support::*;

const CMD: &str = "tw/v1/pump-1/cmd";

/// pump-1 with a session that stays.
fn stays(level: u8) -> Hello<'static> {
    Hello {
        clean: false,
        // 1,000 s; 3.1.1 has no such property.
        properties: if level == 5 { &[0x11, 0, 0, 3, 0xE8] } else { &[] },
        ..hello(level, "pump-1")
    }
}

/// Somebody who may send commands.
async fn sender(address: std::net::SocketAddr) -> Client {
    let hello = Hello {
        level: 5,
        client_id: "operator",
        ..Hello::default()
    };
    Client::connect(address, hello).await
}

fn command(id: u16, payload: &str) -> Post<'_> {
    Post {
        topic: CMD,
        id,
        payload,
        ..Post::default()
    }
}

#[tokio::test]
async fn commands_wait_for_a_device_that_is_away_and_come_in_order() {
    for level in [4, 5] {
        let home = Home::default();
        let gate = home.gate().await;
        // Given a device that subscribed with a session that stays, and went,
        let mut device = Client::connect(gate.local_addr(), stays(level)).await;
        device.subscribe(level, &[(CMD, 1)]).await;
        device.leave().await;
        until("it is gone", || gate.counters().connections == 0).await;
        // when commands are sent meanwhile, one of them with QoS 0, which waits for nobody,
        let mut operator = sender(gate.local_addr()).await;
        operator.publish(command(1, "open")).await;
        let fleeting = Post {
            qos: 0,
            ..command(0, "lost")
        };
        operator.send(&fleeting.bytes()).await;
        operator.publish(command(2, "close")).await;
        // then they are there when it is back, and the subscription stands.
        let mut device = Client::resume(gate.local_addr(), stays(level)).await;
        for (id, payload) in [(1, "open"), (2, "close")] {
            let expected = Post {
                level,
                ..command(id, payload)
            };
            device.expect(&expected.bytes()).await;
            device.send(&puback(id)).await;
        }
        operator.publish(command(3, "again")).await;
        let expected = Post {
            level,
            ..command(3, "again")
        };
        device.expect(&expected.bytes()).await;
        device.send(&puback(3)).await;
        device.expect_alive().await;
        assert_eq!(home.keeper.count(Room::Queue), 0);
        assert_eq!(gate.counters().sessions_resumed, 1);
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_under_its_identifier_with_dup() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), stays(5)).await;
    device.subscribe(5, &[(CMD, 2)]).await;
    let mut operator = sender(gate.local_addr()).await;
    // Given a QoS 2 message of which the device has said PUBREC, another of which it has not, and QoS 1,
    for (id, qos) in [(1, 2), (2, 2), (3, 1)] {
        let post = Post {
            qos,
            ..command(id, "x")
        };
        operator.send(&post.bytes()).await;
        operator.packet().await;
        device.expect(&post.bytes()).await;
    }
    device.send(&pubrec(1)).await;
    device.expect(&pubrel(1)).await;
    // when its connection breaks and it comes back,
    drop(device);
    let mut device = Client::resume(gate.local_addr(), stays(5)).await;
    // then the release comes again, and both publishes, in their order.
    device.expect(&pubrel(1)).await;
    for (id, qos) in [(2, 2), (3, 1)] {
        let again = Post {
            qos,
            dup: true,
            ..command(id, "x")
        };
        device.expect(&again.bytes()).await;
    }
}

#[tokio::test]
async fn sessions_subscriptions_and_messages_survive_a_kill() {
    let home = Home::default();
    // Given a session with QoS 2 messages in three stages and one that waits,
    let gate = home.gate().await;
    let narrow = Hello {
        // Receive maximum 2.
        properties: &[0x11, 0, 0, 3, 0xE8, 0x21, 0, 2],
        ..stays(5)
    };
    let mut device = Client::connect(gate.local_addr(), narrow.clone()).await;
    device.subscribe(5, &[(CMD, 2)]).await;
    let mut operator = sender(gate.local_addr()).await;
    for (id, payload) in [(1, "a"), (2, "b"), (3, "c")] {
        let post = Post {
            qos: 2,
            ..command(id, payload)
        };
        operator.send(&post.bytes()).await;
        operator.expect(&pubrec(id)).await;
    }
    for (id, payload) in [(1, "a"), (2, "b")] {
        let post = Post {
            qos: 2,
            ..command(id, payload)
        };
        device.expect(&post.bytes()).await;
    }
    device.send(&pubrec(1)).await;
    device.expect(&pubrel(1)).await;
    // and a message of its own that it has not released,
    let own = Post {
        qos: 2,
        id: 77,
        ..Post::default()
    };
    device.send(&own.bytes()).await;
    device.expect(&pubrec(77)).await;
    // when the process is killed and another one starts on what was kept,
    let home = home.killed().await;
    let gate = home.gate().await;
    let mut device = Client::resume(gate.local_addr(), narrow).await;
    // then everything goes on where it was: nothing twice, nothing lost,
    device.expect(&pubrel(1)).await;
    let second = Post {
        qos: 2,
        dup: true,
        ..command(2, "b")
    };
    device.expect(&second.bytes()).await;
    device.send(&pubcomp(1)).await;
    let (first, body) = device.packet().await;
    // its identifier is any that is free,
    assert_eq!((first, body.last()), (0x34, Some(&b'c')));
    // and its own message is known: released without being journaled again.
    let again = Post { dup: true, ..own };
    device.send(&again.bytes()).await;
    device.expect(&pubrec(77)).await;
    device.send(&pubrel(77)).await;
    device.expect(&pubcomp(77)).await;
    let own = home
        .intake
        .payloads()
        .iter()
        .filter(|payload| *payload == "x")
        .count();
    assert_eq!(own, 1);
    assert_eq!(home.keeper.count(Room::Received), 0);
}

#[tokio::test]
async fn a_clean_start_forgets_the_session_of_before() {
    for level in [4, 5] {
        let home = Home::default();
        let gate = home.gate().await;
        let mut device = Client::connect(gate.local_addr(), stays(level)).await;
        device.subscribe(level, &[(CMD, 1)]).await;
        device.leave().await;
        let mut operator = sender(gate.local_addr()).await;
        operator.publish(command(1, "old")).await;
        let fresh = Hello {
            clean: true,
            ..hello(level, "pump-1")
        };
        let mut device = Client::connect(gate.local_addr(), fresh).await;
        operator.publish(command(2, "nobody hears")).await;
        device.expect_quiet().await;
        for room in [Room::Sessions, Room::Subscriptions, Room::Queue] {
            assert_eq!(home.keeper.count(room), 0, "{room:?}");
        }
    }
}

#[tokio::test]
async fn a_session_ends_when_its_client_stays_away_too_long_even_over_a_restart() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), stays(5)).await;
    device.subscribe(5, &[(CMD, 1)]).await;
    device.leave().await;
    until("it is gone", || gate.counters().connections == 0).await;
    // 999 s are not too long,
    home.pass(999);
    let device = Client::resume(gate.local_addr(), stays(5)).await;
    device.leave().await;
    until("it is gone", || gate.counters().connections == 0).await;
    // 1,000 s are.
    home.pass(1000);
    until("the session ends", || gate.counters().sessions_expired == 1).await;
    assert_eq!(home.keeper.count(Room::Sessions), 0);
    let device = Client::connect(gate.local_addr(), stays(5)).await;
    // So are they when the gate was down meanwhile: a client that is connected when it goes, is away from then.
    drop(gate);
    drop(device);
    home.pass(10);
    let gate = home.gate().await;
    home.pass(1000);
    until("the session ends", || gate.counters().sessions_expired == 1).await;
    Client::connect(gate.local_addr(), stays(5))
        .await
        .expect_alive()
        .await;
}

#[tokio::test]
async fn a_disconnect_can_shorten_the_life_of_a_session_and_cannot_begin_one() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), stays(5)).await;
    // Given a DISCONNECT with an expiry of 0 (0x11), then the session is over at once.
    device.send(&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0]).await;
    device.expect_end().await;
    let device = Client::connect(gate.local_addr(), stays(5)).await;
    device.leave().await;
    // A session that was to end with the connection cannot be prolonged.
    let brief = Hello {
        clean: true,
        ..hello(5, "pump-1")
    };
    let mut device = Client::connect(gate.local_addr(), brief).await;
    device.send(&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9]).await;
    device.expect_disconnect(0x82).await;
}

#[tokio::test]
async fn a_new_connection_takes_the_session_over_from_the_one_before() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut first = Client::connect(gate.local_addr(), stays(5)).await;
    first.subscribe(5, &[(CMD, 1)]).await;
    let mut second = Client::resume(gate.local_addr(), stays(4)).await;
    first.expect_disconnect(0x8E).await;
    let mut operator = sender(gate.local_addr()).await;
    operator.publish(command(1, "x")).await;
    let expected = Post {
        level: 4,
        ..command(1, "x")
    };
    second.expect(&expected.bytes()).await;
}

#[tokio::test]
async fn the_queue_of_an_absent_client_has_an_end_and_the_newest_are_dropped_and_counted() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), stays(5)).await;
    device.subscribe(5, &[(CMD, 1)]).await;
    device.leave().await;
    until("it is gone", || gate.counters().connections == 0).await;
    let mut operator = sender(gate.local_addr()).await;
    let count = u16::try_from(broker::limits::QUEUE_MESSAGES_MAX).unwrap();
    for id in 1..=count + 3 {
        operator.publish(command(id, &id.to_string())).await;
    }
    assert_eq!(gate.counters().dropped_queue_full, 3);
    let mut device = Client::resume(gate.local_addr(), stays(5)).await;
    for id in 1..=count {
        device.expect(&command(id, &id.to_string()).bytes()).await;
        device.send(&puback(id)).await;
    }
    device.expect_alive().await;
    assert_eq!(home.keeper.count(Room::Queue), 0);
}

#[tokio::test]
async fn a_message_that_waited_longer_than_its_expiry_is_not_delivered_and_the_others_count_down() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), stays(5)).await;
    device.subscribe(5, &[(CMD, 1)]).await;
    device.leave().await;
    until("it is gone", || gate.counters().connections == 0).await;
    let mut operator = sender(gate.local_addr()).await;
    for (id, expiry) in [(1, 5), (2, 60)] {
        let brief = Post {
            properties: &[0x02, 0, 0, 0, expiry],
            ..command(id, "x")
        };
        operator.publish(brief).await;
    }
    home.pass(20);
    let mut device = Client::resume(gate.local_addr(), stays(5)).await;
    let left = Post {
        properties: &[0x02, 0, 0, 0, 40],
        ..command(1, "x")
    };
    device.expect(&left.bytes()).await;
    device.expect_alive().await;
    assert_eq!(gate.counters().expired, 1);
}

#[tokio::test]
async fn a_session_with_live_qos_0_subscriptions_hears_again_when_it_is_taken_up() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), stays(4)).await;
    device.subscribe(4, &[("tw/v1/pump-1/#", 0)]).await;
    device.leave().await;
    drop(gate);
    let gate = home.gate().await;
    let mut device = Client::resume(gate.local_addr(), stays(4)).await;
    // It is heard that the subscription stands when the gate answers.
    device.expect_alive().await;
    let mut operator = sender(gate.local_addr()).await;
    operator.publish(command(1, "x")).await;
    device.expect(&publish(4, CMD, 0, "x")).await;
}

#[tokio::test]
async fn a_message_that_was_acknowledged_to_its_sender_survives_a_kill_for_every_absent_session() {
    let home = Home::default();
    let gate = home.gate().await;
    // Given two absent sessions, one of them a member of a shared subscription,
    for (client_id, filter) in [("a", "tw/v1/+/cmd"), ("b", "$share/g/tw/v1/+/cmd")] {
        let absent = Hello {
            clean: false,
            client_id,
            ..Hello::default()
        };
        let mut client = Client::connect(gate.local_addr(), absent).await;
        client.subscribe(4, &[(filter, 1)]).await;
        client.leave().await;
    }
    until("both are gone", || gate.counters().connections == 0).await;
    // when ten commands have been acknowledged and the process is killed,
    let mut operator = sender(gate.local_addr()).await;
    for id in 1..=10u16 {
        operator.publish(command(id, &id.to_string())).await;
    }
    let home = home.killed().await;
    let gate = home.gate().await;
    // then each gets all ten.
    for client_id in ["a", "b"] {
        let back = Hello {
            clean: false,
            client_id,
            ..Hello::default()
        };
        let mut client = Client::resume(gate.local_addr(), back).await;
        for id in 1..=10u16 {
            let payload = id.to_string();
            let expected = Post {
                level: 4,
                ..command(id, &payload)
            };
            client.expect(&expected.bytes()).await;
            client.send(&puback(id)).await;
        }
        client.expect_alive().await;
    }
}

#[tokio::test]
async fn a_damaged_record_is_counted_and_left_out_and_the_gate_starts() {
    let home = Home::default();
    let gate = home.gate().await;
    let mut device = Client::connect(gate.local_addr(), stays(5)).await;
    device.subscribe(5, &[(CMD, 1)]).await;
    device.leave().await;
    until("it is gone", || gate.counters().connections == 0).await;
    let mut operator = sender(gate.local_addr()).await;
    for id in 1..=3 {
        operator.publish(command(id, &id.to_string())).await;
    }
    drop(gate);
    // Given a message in the queue of which a byte has changed, and a will that belongs to nobody,
    let (mut count, mut broken) = (0, None);
    broker::Keeper::load(&*home.keeper, &mut |room, key, value| {
        if room == Room::Queue {
            count += 1;
            if count == 2 {
                let mut value = value.to_vec();
                *value.last_mut().unwrap() ^= 1;
                broken = Some((key.to_vec(), value));
            }
        }
    })
    .unwrap();
    let (key, value) = broken.unwrap();
    let changes = [(Room::Queue, key), (Room::Wills, vec![9; 8])].map(|(room, key)| broker::Change::Put {
        room,
        key: key.into(),
        value: value.clone().into(),
    });
    broker::Keeper::keep(&*home.keeper, changes.into()).await.unwrap();
    // when the gate starts, then the other messages are there.
    let gate = home.gate().await;
    assert_eq!(gate.counters().kept_damaged, 3);
    let mut device = Client::resume(gate.local_addr(), stays(5)).await;
    for (id, payload) in [(1, "1"), (2, "3")] {
        device.expect(&command(id, payload).bytes()).await;
    }
}
