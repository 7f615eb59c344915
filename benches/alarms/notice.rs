//! From a gas reading to its notice at the channel's receiver, while others load the program and a gateway back-fills a day.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::hook::Hook;
use crate::support::ask;
use crate::support::county::{HEAD, mqtt_device};
use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::{process, quantile_ms};

/// Points a second of the model county. Source: `docs/scale-out.md`.
const NOMINAL: f64 = 290.0;
/// Values of a load message.
const VALUES: u64 = 6;
const STATIONS: usize = 100;
const PANELS: usize = 40;
/// Detectors of a panel; each is raised once.
const DETECTORS: usize = 16;
/// From one gas reading to the next.
const EVERY: Duration = Duration::from_millis(100);
/// Stations behind the gateway.
const BEHIND: usize = 50;
/// Records of a back-fill message, a minute apart.
const RECORDS: i64 = 60;
const DAY_MS: i64 = 86_400_000;
const WINDOW: usize = 10;

#[derive(Clone, Copy)]
enum Load {
    None,
    /// Points a second, evenly.
    Paced(f64),
    /// As much as is acknowledged.
    Saturating,
}

/// Prints the table.
pub(crate) fn run() {
    println!(
        "\nfrom a gas reading (QoS 1) to its notice at a webhook receiver; {} readings, one in {} ms; {STATIONS} stations load, \
         {VALUES} values a message; back-fill: a gateway sends days of {BEHIND} stations at 1 min, as fast as it is acknowledged\n",
        PANELS * DETECTORS,
        EVERY.as_millis()
    );
    println!(
        "| load | back-fill | load, points/s | back-fill, points/s | from publish p50 ms | p99 ms | max ms | from PUBACK p50 ms | p99 ms | max ms | CPU cores | memory MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, load, back_fill) in [
        ("none", Load::None, false),
        ("nominal", Load::Paced(NOMINAL), false),
        ("10 × nominal", Load::Paced(10.0 * NOMINAL), false),
        ("10 × nominal", Load::Paced(10.0 * NOMINAL), true),
        ("saturating", Load::Saturating, true),
    ] {
        row(name, load, back_fill);
    }
}

fn setup(hook: &Hook) -> Setup {
    let mut registry = HEAD.to_owned();
    for place in 0..STATIONS {
        registry += &mqtt_device(&format!("d{place}"), "sewage-station-small");
    }
    for place in 0..PANELS {
        registry += &mqtt_device(&format!("p{place}"), "gas-detector-panel");
    }
    registry += &mqtt_device("rtu", "sewage-station-small");
    for place in 0..BEHIND {
        registry += &mqtt_device(&format!("b{place}"), "sewage-station-small");
        registry += "gateway = \"rtu\"\n";
    }
    let free = "[mqtt]\nlisten = \"127.0.0.1:0\"\n[mqtt.device]\nmessages_per_s = 0\nkib_per_s = 0\n\
                [mqtt.gateway]\nmessages_per_s = 0\nkib_per_s = 0\n";
    Setup::new(&registry, &format!("{free}{}", hook.configuration("")))
}

fn row(name: &str, load: Load, back_fill: bool) {
    let hook = Hook::start();
    let setup = setup(&hook);
    let server = setup.start();
    let address = server.mqtt;
    let stop = Arc::new(AtomicBool::new(false));
    let (loaded, filled) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut threads = Vec::new();
    for share in 0..4 {
        let (stop, count) = (Arc::clone(&stop), Arc::clone(&loaded));
        let stations = (share..STATIONS).step_by(4).collect::<Vec<_>>();
        threads.push(match load {
            Load::None => continue,
            Load::Paced(points) => {
                let pause = Duration::from_secs_f64(4.0 * VALUES as f64 / points);
                std::thread::spawn(move || paced(address, &stations, pause, &stop, &count))
            }
            Load::Saturating => std::thread::spawn(move || saturating(address, &stations, &stop, &count)),
        });
    }
    if back_fill {
        let (stop, count) = (Arc::clone(&stop), Arc::clone(&filled));
        threads.push(std::thread::spawn(move || back_filling(address, &stop, &count)));
    }
    // The load runs before anything is measured.
    std::thread::park_timeout(Duration::from_secs(2));
    let (before, _) = process::cost(server.pid());
    let counted = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let (load_before, fill_before) = (counted(&loaded), counted(&filled));
    let begun = process::now();
    let readings = gas(address);
    let seconds = begun.elapsed().as_secs_f64();
    let (after, memory) = process::cost(server.pid());
    let rate = |now: u64, then: u64| (now - then) as f64 / seconds;
    let (load, fill) = (
        rate(counted(&loaded), load_before),
        rate(counted(&filled), fill_before),
    );
    let (mut published, mut acknowledged) = (Vec::new(), Vec::new());
    for (rule, sent, acked) in readings {
        let words = [format!("\"rule\":\"{rule}\""), "\"alarm.raised\"".to_owned()];
        let told = hook.wait_for(&words, Duration::from_secs(60));
        let told = told.unwrap_or_else(|| panic!("{rule} is told within a minute"));
        published.push(told.duration_since(sent));
        // It may be told before its reading is acknowledged.
        acknowledged.push(told.saturating_duration_since(acked));
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    published.sort_unstable();
    acknowledged.sort_unstable();
    let times = |of: &[Duration]| {
        let shares = [0.5, 0.99, 1.0].map(|share| format!("{:.1}", quantile_ms(of, share)));
        shares.join(" | ")
    };
    println!(
        "| {name} | {} | {load:.0} | {fill:.0} | {} | {} | {:.2} | {memory:.0} |",
        if back_fill { "yes" } else { "no" },
        times(&published),
        times(&acknowledged),
        (after - before) / seconds,
    );
    assert!(server.stop().success());
}

/// Every detector of every panel reads 60 %LEL once: which rule that raises, when it was sent, when acknowledged.
fn gas(address: SocketAddr) -> Vec<(String, Instant, Instant)> {
    let mut panels: Vec<Client> = (0..PANELS)
        .map(|place| Client::connect(address, &format!("p{place}"), "secret").unwrap())
        .collect();
    let mut readings = Vec::new();
    let begun = process::now();
    for number in 0..PANELS * DETECTORS {
        let (panel, detector) = (number % PANELS, number / PANELS + 1);
        let due = begun + EVERY * u32::try_from(number).unwrap();
        std::thread::park_timeout(due.saturating_duration_since(process::now()));
        let payload = format!(r#"{{"ts":{},"values":{{"gas_{detector:02}":60}}}}"#, ask::now());
        let sent = process::now();
        panels[panel]
            .publish_acked(&format!("tw/v1/p{panel}/telemetry"), payload.as_bytes())
            .unwrap();
        readings.push((format!("p{panel}/GAS-L2-{detector:02}"), sent, process::now()));
    }
    readings
}

fn values(ts: i64) -> String {
    format!(
        r#"{{"flow":1.25,"total":{}.5,"level":1.5,"pump_1_run":true,"pump_1_fault":false,"mains":true}}"#,
        ts / 1000 % 1_000_000
    )
}

fn clients(address: SocketAddr, stations: &[usize]) -> Vec<(Client, String)> {
    stations
        .iter()
        .map(|place| {
            let client = Client::connect(address, &format!("d{place}"), "secret").unwrap();
            (client, format!("tw/v1/d{place}/telemetry"))
        })
        .collect()
}

/// One message after the other, `pause` apart, whatever the last one waited.
fn paced(address: SocketAddr, stations: &[usize], pause: Duration, stop: &AtomicBool, count: &AtomicU64) {
    let mut clients = clients(address, stations);
    let begun = process::now();
    let mut number = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        for (client, topic) in &mut clients {
            std::thread::park_timeout((begun + pause * number).saturating_duration_since(process::now()));
            number += 1;
            let ts = ask::now();
            let payload = format!(r#"{{"ts":{ts},"values":{}}}"#, values(ts));
            client.publish_acked(topic, payload.as_bytes()).unwrap();
            count.fetch_add(VALUES, Ordering::Relaxed);
        }
    }
}

fn saturating(address: SocketAddr, stations: &[usize], stop: &AtomicBool, count: &AtomicU64) {
    let mut clients = clients(address, stations);
    let mut ts = ask::now() - 400_000;
    while !stop.load(Ordering::Relaxed) {
        for (client, topic) in &mut clients {
            for _ in 0..WINDOW {
                ts += 1;
                let payload = format!(r#"{{"ts":{ts},"values":{}}}"#, values(ts));
                client.publish(topic, payload.as_bytes()).unwrap();
            }
        }
        for (client, _) in &mut clients {
            for _ in 0..WINDOW {
                client.read_puback().unwrap();
                count.fetch_add(VALUES, Ordering::Relaxed);
            }
        }
    }
}

/// A gateway tells the last days of its stations, the newest day first, with some messages in flight.
fn back_filling(address: SocketAddr, stop: &AtomicBool, count: &AtomicU64) {
    let mut client = Client::connect(address, "rtu", "secret").unwrap();
    let mut waiting = VecDeque::new();
    let newest = ask::now() - 3_600_000;
    for day in 0.. {
        for station in 0..BEHIND {
            for first in (0..1440).step_by(usize::try_from(RECORDS).unwrap()) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let records: Vec<String> = (first..first + RECORDS)
                    .map(|minute| {
                        let ts = newest - (day + 1) * DAY_MS + minute * 60_000;
                        format!(r#"{{"ts":{ts},"backfill":true,"values":{}}}"#, values(ts))
                    })
                    .collect();
                let payload = format!("[{}]", records.join(","));
                let topic = format!("tw/v1/b{station}/telemetry");
                waiting.push_back(client.publish(&topic, payload.as_bytes()).unwrap());
                if waiting.len() >= WINDOW {
                    client.read_puback().unwrap();
                    waiting.pop_front();
                    count.fetch_add(RECORDS.unsigned_abs() * VALUES, Ordering::Relaxed);
                }
            }
        }
    }
}
