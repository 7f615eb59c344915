//! The bounds of one client, of one address and of all, each with its answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use broker::{Admission, Allowance, Anonymous, Gate, GateConfig};
use telemetry::registry::Device;

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
    // 64 KiB of payload, and room for header, topic and properties: 8 KiB, 256 and 16.
    assert_eq!(told[0], (64 + 8) * 1024 + 256 + 16);
    assert!(told[1] > 1024 * 1024, "{told:?}");
    let mut device = Client::connect(gate.local_addr(), hello(5, "pump-1")).await;
    device.send(&publish(5, TOPIC, 1, &"x".repeat(73 * 1024))).await;
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

/// A gas detector panel, on which lives hang.
fn gas(id: &str) -> Device {
    Device {
        profile: "gas-detector-panel".into(),
        ..device(id, None, true)
    }
}

/// A gate for three covers and two gas panels.
async fn gate_of_five(admission: Admission) -> Gate {
    let devices = vec![
        device("cover-1", None, true),
        device("cover-2", None, true),
        device("cover-3", None, true),
        gas("gas-1"),
        gas("gas-2"),
    ];
    let mut config = GateConfig::new("127.0.0.1:0".parse().unwrap());
    config.admission = admission;
    gate_for(catalogue_of(devices), &Arc::default(), Anonymous::Refuse, config).await
}

/// The code of the CONNACK for `name`, and the client that got it.
async fn ask(gate: &Gate, level: u8, name: &str) -> (u8, Client) {
    let mut client = Client::open(gate.local_addr()).await;
    client.send(&hello(level, name).bytes()).await;
    (client.packet().await.1[1], client)
}

#[tokio::test]
async fn the_last_places_are_kept_for_those_on_whom_lives_hang() {
    let gate = gate_of_five(Admission {
        connections_max: 3,
        kept_for_life_safety: 1,
        ..Admission::default()
    })
    .await;
    let (ok, _first) = ask(&gate, 5, "cover-1").await;
    let (also_ok, second) = ask(&gate, 5, "cover-2").await;
    assert_eq!((ok, also_ok), (0, 0));
    assert_eq!(ask(&gate, 5, "cover-3").await.0, 0x97);
    assert_eq!(ask(&gate, 4, "cover-3").await.0, 3);
    let (gas, _gas) = ask(&gate, 5, "gas-1").await;
    assert_eq!(gas, 0);
    assert_eq!(ask(&gate, 5, "gas-2").await.0, 0x97);
    assert_eq!(gate.counters().refused_full, 3);
    // Who is here already may connect again, though all is full: its old connection makes room.
    let (again, _again) = ask(&gate, 5, "cover-2").await;
    assert_eq!(again, 0);
    drop(second);
}

#[tokio::test]
async fn an_address_that_connects_too_fast_is_told_to_come_later_but_for_life_safety() {
    // Given one CONNECT a second from each address, ten at once,
    let gate = gate_of_five(Admission {
        connects_per_s_per_address: 1,
        ..Admission::default()
    })
    .await;
    // when twelve come in a row, then the last are told so, in the words of their version;
    let mut codes = Vec::new();
    for level in [4; 10].into_iter().chain([5, 4]) {
        codes.push(ask(&gate, level, "cover-1").await.0);
    }
    let slow_machine = codes[10] == 0;
    assert!(codes[..10].iter().all(|&code| code == 0), "{codes:?}");
    assert!(slow_machine || codes[10..] == [0x9F, 3], "{codes:?}");
    // and a gas panel behind the same address is let in.
    assert_eq!(ask(&gate, 5, "gas-1").await.0, 0);
}

#[tokio::test]
async fn those_who_do_not_say_who_they_are_take_no_place_and_their_number_has_a_bound() {
    let gate = gate_of_five(Admission {
        connections_max: 2,
        kept_for_life_safety: 0,
        strangers_max: 50,
        strangers_per_address_max: 40,
        ..Admission::default()
    })
    .await;
    // Given forty silent sockets from one address,
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(Client::open(gate.local_addr()).await);
    }
    until("they are there", || gate.counters().accepted == 40).await;
    // when another comes from there, then it is closed at once;
    let mut one_more = Client::open(gate.local_addr()).await;
    one_more.expect_end().await;
    assert_eq!(gate.counters().refused_strangers, 1);
    // and when some of them go, then a device is served: they have taken no place.
    silent.truncate(30);
    until("there is room", || {
        let socket = std::net::TcpStream::connect(gate.local_addr()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        // Closed at once while there is no room; left waiting once there is.
        std::io::Read::read(&mut &socket, &mut [0]).is_err()
    })
    .await;
    assert_eq!(ask(&gate, 5, "cover-1").await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_everybody_reconnects_the_gas_panels_are_let_in_first() {
    // Given passwords that take some tens of milliseconds to verify, two at a time,
    let params = Params::new(16 * 1024, 2, 1, None).unwrap();
    let slow = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = slow
        .hash_password_with_salt(b"secret", b"saltsalt")
        .unwrap()
        .to_string();
    let covers: Vec<String> = (0..40).map(|n| format!("cover-{n}")).collect();
    let panels: Vec<String> = (0..4).map(|n| format!("gas-{n}")).collect();
    let mut devices: Vec<Device> = covers.iter().map(|id| device(id, None, true)).collect();
    devices.extend(panels.iter().map(|id| gas(id)));
    for device in &mut devices {
        device.password_hash = Some(hash.as_str().into());
    }
    let config = GateConfig::new("127.0.0.1:0".parse().unwrap());
    let gate = gate_for(catalogue_of(devices), &Arc::default(), Anonymous::Refuse, config).await;
    // when all covers ask to come in, and after them the gas panels,
    let admitted = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = tokio::task::JoinSet::new();
    for name in covers.iter().chain(&panels) {
        let mut client = Client::open(gate.local_addr()).await;
        client.send(&hello(4, name).bytes()).await;
        let (name, admitted) = (name.clone(), Arc::clone(&admitted));
        waiting.spawn(async move {
            assert_eq!(client.packet().await.1[1], 0, "{name}");
            admitted.lock().unwrap().push(name);
            client
        });
    }
    let clients = waiting.join_all().await;
    // then the panels are in long before the last of the covers, and in the end everybody is.
    let admitted = admitted.lock().unwrap();
    let last_panel = admitted.iter().rposition(|name| name.starts_with("gas")).unwrap();
    assert!(last_panel < 22, "{admitted:?}");
    assert_eq!((admitted.len(), clients.len()), (44, 44));
}
