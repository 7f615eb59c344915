//! `kill -9` under load, at random moments, again and again: what was acknowledged is in the store once, and alarms
//! are neither doubled nor forgotten. `TOWNWATCH_KILLS` sets how often; default 12.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::receiver::Receiver;
use crate::support::{ask, county, random, rounds, wait};

/// Lives of the alarm of one panel: their times must not lie too far back.
const LIVES_MAX: u64 = 20;
const DEVICES: usize = 4;
/// Fixed, and printed, so that a failure can be played again: the moments of the kills.
const SEED: u64 = 20_261_123;

/// What a load client had acknowledged, by its own account: time in ms → value.
type Account = Arc<Mutex<BTreeMap<i64, f64>>>;

/// Publishes with ten messages in flight until the connection breaks.
fn load(address: std::net::SocketAddr, device: &str, next: &mut i64, account: &Account) {
    let Ok(mut client) = Client::connect(address, device, "secret") else {
        return;
    };
    let topic = format!("tw/v1/{device}/telemetry");
    let mut in_flight = BTreeMap::new();
    loop {
        while in_flight.len() < 10 {
            *next = (*next + 1).max(ask::now() - 300_000);
            // Flow within its range 0..=5 m³/h; unlike its neighbours.
            let value = f64::from(u32::try_from(*next % 4999).unwrap()) / 1000.0;
            let payload = format!(r#"{{"ts":{next},"seq":{next},"values":{{"flow":{value}}}}}"#);
            let Ok(id) = client.publish(&topic, payload.as_bytes()) else {
                return;
            };
            in_flight.insert(id, (*next, value));
        }
        let Ok(id) = client.read_puback() else { return };
        if let Some((ts, value)) = in_flight.remove(&id) {
            account.lock().unwrap().insert(ts, value);
        }
    }
}

/// One life of the gas alarm in event time: raised, gone, and gone for the off-delay of 10 s.
fn gas_cycle(address: std::net::SocketAddr, panel: &str, start: i64) -> Result<(), String> {
    let mut client = Client::connect(address, panel, "secret")?;
    let topic = format!("tw/v1/{panel}/telemetry");
    for (offset_ms, value) in [(0, 30.0), (1_000, 1.0), (12_000, 1.0)] {
        let payload = format!(r#"{{"ts":{},"values":{{"gas_01":{value}}}}}"#, start + offset_ms);
        client.publish_acked(&topic, payload.as_bytes())?;
    }
    Ok(())
}

#[test]
fn kills_under_load_lose_and_double_nothing() {
    // Given four stations under load, a gas panel, and a receiver of notices,
    let rounds = rounds("TOWNWATCH_KILLS", 12);
    println!("F01: seed {SEED}, {rounds} kills");
    let mut registry = county::HEAD.to_owned();
    for place in 0..DEVICES {
        registry += &county::mqtt_device(&format!("f01-station-{place}"), "sewage-station-small");
    }
    let panels: Vec<String> = (0..=rounds / LIVES_MAX)
        .map(|place| format!("f01-panel-{place}"))
        .collect();
    for panel in &panels {
        registry += &county::mqtt_device(panel, "gas-detector-panel");
    }
    let receiver = Receiver::start();
    let hook = receiver.configuration();
    let setup = Setup::new(&registry, &hook);
    let base = ask::now() - 400_000;
    let mut next: Vec<i64> = vec![base; DEVICES];
    let accounts: Vec<Account> = (0..DEVICES).map(|_| Account::default()).collect();
    let mut state = SEED;
    // when the server is killed again and again, each time after a random moment of load and a gas alarm,
    let mut slowest_start = 0;
    let mut first_leak = base;
    for round in 0..rounds {
        let starting = ask::now();
        let server = setup.start();
        slowest_start = slowest_start.max(ask::now() - starting);
        let address = server.mqtt;
        let panel = &panels[usize::try_from(round / LIVES_MAX).unwrap()];
        if round % LIVES_MAX == 0 {
            first_leak = ask::now() - 400_000;
        }
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (place, (next, account)) in next.iter_mut().zip(&accounts).enumerate() {
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        load(address, &format!("f01-station-{place}"), next, account);
                    }
                });
            }
            let start = first_leak + i64::try_from(round % LIVES_MAX).unwrap() * 15_000;
            gas_cycle(address, panel, start).unwrap();
            std::thread::park_timeout(Duration::from_millis(random(&mut state) % 700));
            stop.store(true, Ordering::Relaxed);
            server.kill();
        });
    }
    // then each acknowledged message is in the store, once,
    let server = setup.start();
    let mut acknowledged = 0;
    for (place, account) in accounts.iter().enumerate() {
        let account = account.lock().unwrap();
        acknowledged += account.len();
        let device = format!("f01-station-{place}");
        wait::until(&format!("all of {device} is stored, once"), wait::LONG, || {
            let found = ask::all_points(server.web, &device, "flow", base, ask::now());
            let times: BTreeSet<i64> = found.iter().map(|(ms, ..)| *ms).collect();
            assert_eq!(times.len(), found.len(), "{device}: a time stands there twice");
            let found: BTreeMap<i64, f64> = found.into_iter().map(|(ms, value, _)| (ms, value)).collect();
            let lost: Vec<_> = account
                .iter()
                .filter(|(ms, value)| found.get(ms) != Some(value))
                .collect();
            if lost.is_empty() {
                Ok(())
            } else {
                Err(format!(
                    "{} of {} lost: {:?}…",
                    lost.len(),
                    account.len(),
                    lost.first()
                ))
            }
        });
    }
    println!(
        "{acknowledged} messages were acknowledged over {rounds} kills; slowest start {slowest_start} ms"
    );
    assert!(acknowledged > 500, "the load was no load: {acknowledged}");
    // and the alarms had exactly one life each round, each told at least once and always under its own key.
    wait::until("as many occurrences as rounds", wait::LONG, || {
        let lives: BTreeSet<String> = panels
            .iter()
            .flat_map(|panel| ask::alarms(server.web, false, panel, "GAS-L1-01"))
            .map(|alarm| alarm["id"].to_string())
            .collect();
        if lives.len() as u64 == rounds {
            Ok(())
        } else {
            Err(format!("{lives:?}"))
        }
    });
    wait::until("as many notices as rounds", wait::LONG, || {
        let mut raised = receiver.keys(|body| body.contains("GAS-L1-01"));
        raised.retain(|key| key.contains(".raised."));
        if raised.len() as u64 == rounds {
            Ok(())
        } else {
            Err(format!("{} keys: {raised:?}", raised.len()))
        }
    });
}
