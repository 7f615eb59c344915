//! F21 and F22: ten thousand who say nothing, or too slowly; and everybody at once.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::mqtt::{Client, connect_packet};
use crate::support::program::{Server, Setup};
use crate::support::proxy::{Line, Proxy};
use crate::support::receiver::Receiver;
use crate::support::{ask, county, wait};

/// Resident memory, in KiB.
fn memory_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_who_say_nothing_cost_little_and_go_and_others_are_served() {
    rlimit::increase_nofile_limit(20_000).unwrap();
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    let topic = "tw/v1/station-1/telemetry";
    let mut healthy = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    healthy
        .publish_acked(topic, br#"{"values":{"level":1}}"#)
        .unwrap();
    let before = memory_kib(&server);
    // Given ten thousand connections, of which half say nothing and half begin a CONNECT and stop,
    let connect = connect_packet("x", None, 10);
    let mut open = Vec::new();
    let mut refused = 0;
    for place in 0..10_000 {
        let Ok(mut client) = Client::open(server.mqtt) else {
            refused += 1;
            continue;
        };
        if place % 2 == 0 && client.send(&connect[..3]).is_err() {
            refused += 1;
            continue;
        }
        open.push(client);
        if place % 1000 == 0 {
            // then a device that is there is served meanwhile,
            healthy
                .publish_acked(topic, br#"{"values":{"level":2}}"#)
                .unwrap();
        }
    }
    let during = memory_kib(&server);
    println!(
        "F21: {} connections, {refused} refused, {} KiB more",
        open.len(),
        during.saturating_sub(before)
    );
    // each costs less than 16 KiB,
    assert!(
        during.saturating_sub(before) < 160 << 10,
        "{before} KiB grew to {during} KiB"
    );
    // all are closed when their time is over,
    let mut left: Vec<Client> = open;
    wait::until("all are closed", wait::LONG, || {
        left.retain_mut(|client| client.is_open());
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.len().to_string())
        }
    });
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
    let refused = Client::connect(proxy.address, "station-1", "secret");
    // then it never becomes whole, and the same at full speed is taken.
    assert!(refused.is_err());
    Client::connect(server.mqtt, "station-1", "secret").unwrap();
    assert!(server.stop().success());
}

#[test]
fn when_everybody_reconnects_at_once_all_come_in_and_no_gas_alarm_is_lost() {
    // Given two hundred stations and ten gas panels,
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
    let setup = Setup::new(&registry, &receiver.configuration());
    let server = setup.start();
    let address = server.mqtt;
    let began = ask::now();
    // when all connect in the same moment, the panels with a leak each,
    let connected: Vec<(bool, i64)> = std::thread::scope(|scope| {
        let start = |id: String, payload: &'static [u8]| {
            scope.spawn(move || {
                let gas = id.starts_with("panel");
                let topic = format!("tw/v1/{id}/telemetry");
                wait::until(&format!("{id} is let in"), wait::LONG, || {
                    Client::connect(address, &id, "secret")?.publish_acked(&topic, payload)
                });
                (gas, ask::now() - began)
            })
        };
        let mut all: Vec<_> = stations
            .iter()
            .map(|id| start(id.clone(), br#"{"values":{"level":1}}"#))
            .collect();
        all.extend(
            panels
                .iter()
                .map(|id| start(id.clone(), br#"{"values":{"gas_01":60}}"#)),
        );
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let slowest = |gas: bool| {
        connected
            .iter()
            .filter(|(is, _)| *is == gas)
            .map(|(_, ms)| *ms)
            .max()
    };
    println!(
        "F22: panels within {:?} ms, stations within {:?} ms",
        slowest(true),
        slowest(false)
    );
    // then all are served, and each leak is told.
    assert_eq!(connected.len(), 210);
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
