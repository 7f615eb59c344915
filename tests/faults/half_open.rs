//! F21 and F22: ten thousand who say nothing, or too slowly; and everybody at once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::mqtt::{Client, connect_packet};
use crate::support::program::Setup;
use crate::support::proxy::{Line, Proxy};
use crate::support::receiver::Receiver;
use crate::support::{county, wait};

#[test]
fn ten_thousand_who_say_nothing_cost_little_and_go_and_others_are_served() {
    rlimit::increase_nofile_limit(25_000).unwrap();
    // So long that all are there at once, from one address.
    let connect_timeout = Duration::from_secs(30);
    let setup = Setup::new(
        &county::one_station(),
        "[mqtt]\nlisten = \"127.0.0.1:0\"\nconnect_timeout = \"30s\"\nstrangers_max = 20000\n\
         strangers_per_address_max = 20000\n",
    );
    let server = setup.start();
    let topic = "tw/v1/station-1/telemetry";
    let mut healthy = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    healthy
        .publish_acked(topic, br#"{"values":{"level":1}}"#)
        .unwrap();
    let before = server.memory_kib();
    // Given ten thousand connections, of which half say nothing and half begin a CONNECT and stop,
    let connect = connect_packet("x", None, 10);
    let mut left: Vec<(Client, Instant)> = Vec::new();
    for place in 0..10_000 {
        let mut client = Client::open(server.mqtt).unwrap();
        let opened = Instant::now();
        if place % 2 == 0 {
            client.send(&connect[..3]).unwrap();
        }
        left.push((client, opened));
        if place % 1000 == 0 {
            // then a device that is there is served meanwhile,
            healthy
                .publish_acked(topic, br#"{"values":{"level":2}}"#)
                .unwrap();
        }
    }
    // (those of a CONNECT with one more byte, which does not give them more time)
    for (client, _) in left.iter_mut().step_by(2) {
        client.send(&connect[3..4]).unwrap();
    }
    let during = server.memory_kib();
    let more = during.saturating_sub(before);
    // each costs less than 16 KiB,
    assert!(more < 160 << 10, "{before} KiB grew to {during} KiB");
    // each is closed when its time is over, and not before; a machine that is busy may take some seconds more,
    let (mut first, mut last) = (Duration::MAX, Duration::ZERO);
    wait::until("all are closed", wait::LONG, || {
        left.retain_mut(|(client, opened)| {
            let open = client.is_open();
            if !open {
                first = first.min(opened.elapsed());
                last = last.max(opened.elapsed());
            }
            open
        });
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.len().to_string())
        }
    });
    println!("F21: 10000 connections, {more} KiB more, closed {first:?} to {last:?} after they began");
    assert!(
        first >= connect_timeout - Duration::from_millis(100),
        "one was closed after {first:?}"
    );
    assert!(
        last < connect_timeout + Duration::from_secs(25),
        "one was open for {last:?}"
    );
    // and whoever comes then is let in.
    let mut healthy = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    healthy
        .publish_acked(topic, br#"{"values":{"level":3}}"#)
        .unwrap();
    assert!(server.stop().success());
}

#[test]
fn a_connect_that_drips_is_closed_when_its_time_is_over() {
    let setup = Setup::new(
        &county::one_station(),
        "[mqtt]\nlisten = \"127.0.0.1:0\"\nconnect_timeout = \"2s\"\n",
    );
    let server = setup.start();
    let drip = Some(Duration::from_millis(300));
    let proxy = Proxy::start(
        server.mqtt,
        Line {
            drip,
            ..Line::default()
        },
    );
    // Given a CONNECT of some forty bytes, of which one comes every 300 ms,
    let began = Instant::now();
    let refused = Client::connect(proxy.address, "station-1", "secret");
    let after = began.elapsed();
    // then it is closed after two seconds, long before it would be whole, and the same at full speed is taken.
    assert!(refused.is_err());
    let whole = Duration::from_millis(300) * 40;
    println!("F21: a CONNECT that drips is closed after {after:?}");
    assert!(after >= Duration::from_secs(2) && after < whole, "{after:?}");
    Client::connect(server.mqtt, "station-1", "secret").unwrap();
    assert!(server.stop().success());
}

#[test]
fn when_everybody_reconnects_at_once_gas_panels_come_in_first_and_no_gas_alarm_is_lost() {
    // Given two hundred stations and ten gas panels behind one address, from which five CONNECTs a second are taken
    // (fifty at once),
    let stations: Vec<String> = (0..200).map(|place| format!("station-{place}")).collect();
    let panels: Vec<String> = (0..10).map(|place| format!("panel-{place}")).collect();
    let mut registry = county::HEAD.to_owned();
    registry.extend(
        stations
            .iter()
            .map(|id| county::mqtt_device(id, "sewage-station-small")),
    );
    registry.extend(
        panels
            .iter()
            .map(|id| county::mqtt_device(id, "gas-detector-panel")),
    );
    let receiver = Receiver::start();
    let door = "[mqtt]\nlisten = \"127.0.0.1:0\"\nconnects_per_s_per_address = 5\n";
    let setup = Setup::new(&registry, &format!("{door}{}", receiver.configuration()));
    let server = setup.start();
    let began = Instant::now();
    // when all connect in the same moment, the panels, with a leak each, after the stations,
    let connected: Vec<Admitted> = std::thread::scope(|scope| {
        let start = |id: &String, payload: &'static [u8]| {
            let (id, address) = (id.clone(), server.mqtt);
            scope.spawn(move || come_in(address, &id, payload, began))
        };
        let level = br#"{"values":{"level":1}}"#;
        let leak = br#"{"values":{"gas_01":60}}"#;
        let mut all: Vec<_> = stations.iter().map(|id| start(id, level)).collect();
        all.extend(panels.iter().map(|id| start(id, leak)));
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (gas, others): (Vec<Admitted>, Vec<Admitted>) = connected.into_iter().partition(|one| one.gas);
    let slowest = |all: &[Admitted]| all.iter().map(|one| one.after).max().unwrap();
    let refusals: u32 = others.iter().map(|one| one.refused).sum();
    println!(
        "F22: panels within {:?}, stations within {:?} after {refusals} refusals",
        slowest(&gas),
        slowest(&others)
    );
    // then all are served, the panels at once and before the last stations, which are told to come later,
    assert_eq!((gas.len(), others.len()), (10, 200));
    assert!(refusals > 0, "the storm was none");
    assert!(gas.iter().all(|one| one.refused == 0), "a panel was refused");
    assert!(slowest(&gas) < slowest(&others));
    // and each leak is told.
    wait::until("every leak is told", wait::LONG, || {
        let told: BTreeSet<String> =
            receiver.keys(|body| body.contains("GAS-L2-01") && body.contains("alarm.raised"));
        if told.len() == panels.len() {
            Ok(())
        } else {
            Err(format!("{told:?}"))
        }
    });
    assert!(server.stop().success());
}

/// A device that came in and whose reading was acknowledged.
struct Admitted {
    gas: bool,
    /// How often it was not let in before.
    refused: u32,
    after: Duration,
}

/// Tries until it is let in and its reading is acknowledged.
fn come_in(address: SocketAddr, id: &str, payload: &[u8], began: Instant) -> Admitted {
    let mut refused = 0;
    loop {
        let served = Client::connect(address, id, "secret")
            .and_then(|mut client| client.publish_acked(&format!("tw/v1/{id}/telemetry"), payload));
        match served {
            Ok(()) => break,
            Err(error) => assert!(began.elapsed() < wait::LONG, "{id} is never let in: {error}"),
        }
        refused += 1;
        std::thread::park_timeout(Duration::from_millis(200));
    }
    Admitted {
        gas: id.starts_with("panel"),
        refused,
        after: began.elapsed(),
    }
}
