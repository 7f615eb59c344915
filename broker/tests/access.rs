//! Rights that change while clients are there, and names that try to reach further than they may.

use std::net::SocketAddr;
use std::sync::Arc;

use broker::{Anonymous, Gate, GateConfig, MemoryKeeper, RegistryAuthenticator, Rule, Rules, Who};
use telemetry::time::ManualClock;
use telemetry::{DeviceId, Timestamp};

use crate::support::*;

fn rule(name: &str, who: Who) -> Rule {
    Rule {
        name: DeviceId::new(name).unwrap(),
        who,
        enabled: true,
        hashes: vec![secret().into()],
    }
}

fn device(name: &str, speaks_for: &[&str]) -> Rule {
    let speaks_for = speaks_for.iter().map(|id| DeviceId::new(id).unwrap()).collect();
    let who = Who::Device {
        speaks_for,
        life_safety: false,
    };
    rule(name, who)
}

fn account(name: &str, publish: &[&str], subscribe: &[&str]) -> Rule {
    let owned = |filters: &[&str]| filters.iter().map(|&filter| filter.into()).collect();
    let who = Who::Account {
        publish: owned(publish),
        subscribe: owned(subscribe),
    };
    rule(name, who)
}

fn checked(rules: Vec<Rule>) -> Rules {
    let (rules, errors) = Rules::build(rules);
    assert!(errors.is_empty(), "{errors:?}");
    rules
}

/// A gate whose rules the test can change.
async fn ruled_gate(rules: Vec<Rule>) -> (Gate, Arc<RegistryAuthenticator>) {
    let door = Arc::new(RegistryAuthenticator::with_rules(
        checked(rules),
        Anonymous::Refuse,
    ));
    let gate = Gate::start(
        GateConfig::new("127.0.0.1:0".parse().unwrap()),
        door.clone(),
        Arc::new(TestIntake::default()),
        Arc::new(MemoryKeeper::default()),
        Arc::new(ManualClock::at(Timestamp::from_millis(1_763_870_400_000))),
    )
    .await
    .unwrap();
    (gate, door)
}

/// The code of the CONNACK.
async fn code(address: SocketAddr, hello: Hello<'_>) -> u8 {
    let mut client = Client::open(address).await;
    client.send(&hello.bytes()).await;
    let (first, body) = client.packet().await;
    assert_eq!(first, 0x20);
    body[1]
}

/// Expects DISCONNECT with `code`, then the end.
async fn expect_disconnect(client: &mut Client, code: u8) {
    let (first, body) = client.packet().await;
    assert_eq!((first, body.first()), (0xE0, Some(&code)));
    client.expect_end().await;
}

/// Subscribes in MQTT 3.1.1 and gives the code of the SUBACK.
async fn subscribed(client: &mut Client, filter: &str) -> u8 {
    client.send(&subscribe(4, 9, &[(filter, 0)])).await;
    let (first, body) = client.packet().await;
    assert_eq!(first, 0x90);
    body[2]
}

#[tokio::test]
async fn a_device_that_loses_its_right_is_disconnected_at_once_and_the_others_stay() {
    // Given three devices that are connected, in both versions,
    let (gate, door) = ruled_gate(vec![device("a", &[]), device("b", &[]), device("c", &[])]).await;
    let address = gate.local_addr();
    let mut a = Client::connect(address, hello(5, "a")).await;
    let mut b = Client::connect(address, hello(4, "b")).await;
    let mut c = Client::connect(address, hello(5, "c")).await;
    // when one is disabled and another is no longer registered,
    let disabled = Rule {
        enabled: false,
        ..device("a", &[])
    };
    door.apply(checked(vec![disabled, device("c", &[])]));
    // then the first is told why, the second, of 3.1.1, is closed, and the third goes on;
    expect_disconnect(&mut a, 0x87).await;
    b.expect_end().await;
    c.expect_alive().await;
    until("both are counted", || gate.counters().revoked == 2).await;
    // and neither comes back.
    assert_eq!(code(address, hello(5, "a")).await, 0x87);
    assert_eq!(code(address, hello(5, "b")).await, 0x86);
}

#[tokio::test]
async fn a_replaced_password_ends_the_connection_that_came_in_with_the_old_one() {
    let (gate, door) = ruled_gate(vec![device("a", &[])]).await;
    let mut a = Client::connect(gate.local_addr(), hello(5, "a")).await;
    // argon2-cffi 25.1.0 (PyPI): the password `secret` with another salt, so the hash differs.
    let other =
        "$argon2id$v=19$m=64,t=1,p=1$dG93bndhdGNodGVzdCEhIQ$/IzmfUZDINO3Xx+rfNSmTXRMqu+s6LgAd7RM7GgEu0Q";
    let rotated = Rule {
        hashes: vec![other.into()],
        ..device("a", &[])
    };
    door.apply(checked(vec![rotated]));
    expect_disconnect(&mut a, 0x98).await;
}

#[tokio::test]
async fn what_was_subscribed_brings_nothing_after_the_right_to_hear_it_is_gone() {
    // Source: CVE-2018-12546 and CVE-2021-34434, messages outlived revocation.
    // Given a gateway that hears the device behind it,
    let (gate, door) = ruled_gate(vec![device("gw", &["b"]), device("b", &[])]).await;
    let mut gateway = Client::connect(gate.local_addr(), hello(4, "gw")).await;
    let mut b = Client::connect(gate.local_addr(), hello(4, "b")).await;
    assert_eq!(subscribed(&mut gateway, "tw/v1/b/#").await, 0);
    assert_eq!(subscribed(&mut gateway, "tw/v1/gw/#").await, 0);
    b.send(&publish(4, "tw/v1/b/state", 0, "1")).await;
    gateway.expect(&publish(4, "tw/v1/b/state", 0, "1")).await;
    // when the device is taken from it,
    door.apply(checked(vec![device("gw", &[]), device("b", &[])]));
    // then it stays connected, hears its own topics, and nothing of the device any more.
    until("the device's message is kept back", || {
        gate.counters().deliveries_refused > 0 || {
            b.0.try_write(&publish(4, "tw/v1/b/state", 0, "2")).unwrap();
            false
        }
    })
    .await;
    gateway.send(&publish(4, "tw/v1/gw/state", 0, "3")).await;
    loop {
        let (first, body) = gateway.packet().await;
        if packet(first, &body) == publish(4, "tw/v1/gw/state", 0, "3") {
            break;
        }
        // What was on its way before the change may still come.
        assert_eq!(packet(first, &body), publish(4, "tw/v1/b/state", 0, "2"));
    }
    assert_eq!(subscribed(&mut gateway, "tw/v1/b/#").await, 0x80);
}

#[tokio::test]
async fn what_waits_for_a_gateway_that_is_away_is_checked_again_when_it_comes_back() {
    // Given a gateway with a session that stays, which is away,
    let ops = || account("ops", &["tw/v1/gw/cmd"], &["tw/v1/gw/ack"]);
    let (gate, door) = ruled_gate(vec![device("gw", &["b"]), device("b", &[]), ops()]).await;
    let stays = || Hello {
        clean: false,
        ..hello(4, "gw")
    };
    let mut gateway = Client::connect(gate.local_addr(), stays()).await;
    gateway
        .send(&subscribe(4, 1, &[("tw/v1/b/#", 1), ("tw/v1/gw/#", 1)]))
        .await;
    assert_eq!(gateway.packet().await, (0x90, vec![0, 1, 1, 1]));
    gateway.send(&[0xE0, 0]).await;
    gateway.expect_end().await;
    // and a message of the device behind it, and a command for itself, which both wait for it.
    let mut b = Client::connect(gate.local_addr(), hello(4, "b")).await;
    b.send(&publish(4, "tw/v1/b/state", 7, "secret of b")).await;
    b.expect(&puback(7)).await;
    let mut ops_client = Client::connect(gate.local_addr(), hello(4, "ops")).await;
    ops_client.send(&publish(4, "tw/v1/gw/cmd", 8, "go")).await;
    ops_client.expect(&puback(8)).await;
    // When the device is taken from it meanwhile, then it gets the command alone.
    door.apply(checked(vec![device("gw", &[]), device("b", &[]), ops()]));
    let mut gateway = Client::open(gate.local_addr()).await;
    gateway.send(&stays().bytes()).await;
    assert_eq!(
        gateway.packet().await,
        (0x20, vec![1, 0]),
        "its session is still there"
    );
    let (first, body) = gateway.packet().await;
    assert_eq!(first & 0xF6, 0x32);
    let text = String::from_utf8_lossy(&body).into_owned();
    assert!(text.contains("tw/v1/gw/cmd") && text.ends_with("go"), "{text:?}");
    gateway.expect_alive().await;
    assert_eq!(gate.counters().deliveries_refused, 1);
}

#[tokio::test]
async fn a_client_id_is_bound_to_its_device_and_an_account_has_several() {
    let rules = vec![
        device("a", &[]),
        device("ops-1", &[]),
        account("ops", &[], &["tw/v1/#"]),
    ];
    let (gate, _) = ruled_gate(rules).await;
    let address = gate.local_addr();
    let with = |user: &'static str, client_id: &'static str| Hello {
        client_id,
        ..hello(5, user)
    };
    for (user, client_id, expected) in [
        ("a", "ops-1", 0x85),
        ("a", "a-1", 0x85),
        ("a", "a/b", 0x85),
        ("a", "#", 0x85),
        ("ops", "a", 0x85),
        ("ops", "ops1", 0x85),
        ("ops", "ops-#", 0x85),
        ("a", "a", 0),
        ("ops", "ops", 0),
    ] {
        assert_eq!(
            code(address, with(user, client_id)).await,
            expected,
            "{user} {client_id}"
        );
    }
    // An account with the client id of a device does not end the device's connection, nor its own other one.
    let mut device = Client::connect(address, hello(5, "ops-1")).await;
    let mut first = Client::connect(address, with("ops", "ops-1")).await;
    let mut second = Client::connect(address, with("ops", "ops-2")).await;
    for client in [&mut device, &mut first, &mut second] {
        client.expect_alive().await;
    }
    assert_eq!(gate.counters().taken_over, 0);
}

#[tokio::test]
async fn an_account_reads_what_is_listed_and_commands_where_it_may() {
    // Given an account that may hear two topics and command one device,
    let rules = vec![
        device("a", &[]),
        account("scada", &["tw/v1/a/cmd"], &["tw/v1/+/telemetry", "tw/v1/a/ack"]),
        account("reader", &[], &["tw/v1/#"]),
    ];
    let (gate, _) = ruled_gate(rules).await;
    let mut scada = Client::connect(gate.local_addr(), hello(4, "scada")).await;
    let mut a = Client::connect(gate.local_addr(), hello(4, "a")).await;
    assert_eq!(subscribed(&mut a, "tw/v1/a/cmd").await, 0);
    for (filter, granted) in [
        ("tw/v1/+/telemetry", 0),
        ("tw/v1/a/ack", 0),
        ("tw/v1/+/ack", 0x80),
        ("tw/v1/+/+", 0x80),
        ("tw/v1/#", 0x80),
        ("#", 0x80),
        ("$SYS/#", 0x80),
    ] {
        assert_eq!(subscribed(&mut scada, filter).await, granted, "{filter}");
    }
    // when it commands, the device hears it;
    scada.send(&publish(4, "tw/v1/a/cmd", 0, "on")).await;
    a.expect(&publish(4, "tw/v1/a/cmd", 0, "on")).await;
    // and a device cannot command itself, nor a reading account anybody: 3.1.1 has no answer but to close.
    a.send(&publish(4, "tw/v1/a/cmd", 0, "on")).await;
    a.expect_end().await;
    let mut reader = Client::connect(gate.local_addr(), hello(4, "reader")).await;
    reader.send(&publish(4, "tw/v1/a/cmd", 0, "on")).await;
    reader.expect_end().await;
    assert_eq!(gate.counters().publishes_refused, 2);
}

#[tokio::test]
async fn nobody_comes_in_under_empty_rules_whatever_it_calls_itself() {
    // Source: CVE-2018-12550, an empty file meant everything is allowed; CVE-2017-7650, identities `#` and `+`.
    let (gate, _) = ruled_gate(vec![]).await;
    for (level, refused) in [(4, 4), (5, 0x86)] {
        for user in ["#", "+", "a", "tw/v1/a", "", "$SYS"] {
            assert_eq!(
                code(gate.local_addr(), hello(level, user)).await,
                refused,
                "{user:?}"
            );
        }
        let anonymous = Hello {
            level,
            client_id: "x",
            ..Hello::default()
        };
        assert_ne!(code(gate.local_addr(), anonymous).await, 0);
    }
    assert_eq!(gate.counters().connects, 0);
}
