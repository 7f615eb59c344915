//! The whole path, measured from outside: the program as a process, load over real sockets, durable.
//!
//! `cargo bench --bench path` prints a table for `docs/performance.md`. Everything that the figures depend
//! on is printed with them: machine, seed, window, values a message, seconds.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use telemetry::time::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[path = "../tests/support/county.rs"]
#[expect(dead_code, reason = "the bench needs only a part of the tests' county")]
mod county;

#[path = "support/process.rs"]
mod process;

#[path = "support/server.rs"]
mod server;

use server::Server;

const SECONDS: u64 = 10;
const WINDOW: usize = 10;
const VALUES: usize = 6;
const SEED: u64 = 1;

/// A PUBLISH of MQTT 3.1.1 at QoS 1 with six values.
fn publish(topic: &str, id: u16, ts: i64) -> Vec<u8> {
    let payload = format!(
        r#"{{"ts":{ts},"seq":{ts},"values":{{"flow":1.25,"total":{}.5,"level":1.5,"pump_1_run":true,"pump_1_fault":false,"mains":true}}}}"#,
        ts % 1_000_000
    );
    let length = 2 + topic.len() + 2 + payload.len();
    let mut bytes = vec![
        0x32,
        u8::try_from(length % 128 + 128).unwrap_or(0),
        u8::try_from(length / 128).unwrap_or(0),
    ];
    bytes.extend(u16::try_from(topic.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload.as_bytes());
    bytes
}

fn connect(device: &str) -> Vec<u8> {
    let mut body = b"\0\x04MQTT\x04\xC2\0\0".to_vec();
    for text in [device, device, "secret"] {
        body.extend(u16::try_from(text.len()).unwrap_or(0).to_be_bytes());
        body.extend(text.as_bytes());
    }
    let mut bytes = vec![0x10, u8::try_from(body.len()).unwrap_or(0)];
    bytes.extend(body);
    bytes
}

/// One connection with a window of messages in flight until `end`; gives the acknowledged count.
async fn load(
    address: SocketAddr,
    device: String,
    base: i64,
    end: std::time::Instant,
) -> (u64, Histogram<u64>) {
    let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
    let mut stream = TcpStream::connect(address).await.expect("the gate listens");
    stream.set_nodelay(true).expect("a socket takes it");
    stream.write_all(&connect(&device)).await.expect("the gate hears");
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.expect("the gate answers");
    assert_eq!(connack[3], 0, "{device} is refused");
    let topic = format!("tw/v1/{device}/telemetry");
    let mut in_flight = VecDeque::new();
    let (mut id, mut ts, mut acknowledged) = (0u16, base, 0u64);
    while process::now() < end {
        let mut out = Vec::new();
        while in_flight.len() < WINDOW {
            id = id % 60_000 + 1;
            ts += 1;
            out.extend(publish(&topic, id, ts));
            in_flight.push_back(process::now());
        }
        stream.write_all(&out).await.expect("the gate hears");
        let mut buffer = [0; 4 * WINDOW];
        let mut filled = stream.read(&mut buffer).await.expect("the gate answers");
        while filled % 4 != 0 {
            filled += stream
                .read(buffer.get_mut(filled..).expect("room for whole PUBACKs"))
                .await
                .expect("it goes on");
        }
        assert!(filled > 0, "the gate closed {device}");
        for _ in 0..filled / 4 {
            let sent = in_flight.pop_front().expect("only what was sent is acknowledged");
            latencies
                .record(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX))
                .ok();
            acknowledged += 1;
        }
    }
    (acknowledged, latencies)
}

fn configure(folder: &Path, devices: usize) {
    let mut registry = county::HEAD.to_owned();
    for place in 0..devices {
        registry += &county::mqtt_device(&format!("d{place}"), "sewage-station-small");
    }
    std::fs::write(folder.join("county.toml"), registry).expect("the folder is ours");
    let config = "[data]\nfolder = \"data\"\n[registry]\nfile = \"county.toml\"\n\
                  [web]\nlisten = \"127.0.0.1:0\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n\
                  [mqtt.device]\nmessages_per_s = 0\nkib_per_s = 0\n";
    std::fs::write(folder.join("townwatch.toml"), config).expect("the folder is ours");
}

fn through_the_path(connections: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    configure(folder.path(), connections);
    let config = folder.path().join("townwatch.toml");
    let server = Server::start(&["serve", "--config", config.to_str().expect("a plain path")]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    // Some minutes back, a millisecond on with each message: the fastest client stays in the past, and none is so late
    // that its clock would be taken for a wrong one.
    let base = SystemClock::new().now().millis() - 400_000;
    let (cpu_before, _) = process::cost(server.pid());
    let begun = process::now();
    let end = begun + Duration::from_secs(SECONDS);
    let results = runtime.block_on(async {
        let local = tokio::task::LocalSet::new();
        let tasks: Vec<_> = (0..connections)
            .map(|place| local.spawn_local(load(server.mqtt, format!("d{place}"), base, end)))
            .collect();
        local
            .run_until(async {
                let mut results = Vec::new();
                for task in tasks {
                    results.push(task.await.expect("a client does not panic"));
                }
                results
            })
            .await
    });
    let seconds = begun.elapsed().as_secs_f64();
    let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
    let mut acknowledged = 0;
    for (count, histogram) in results {
        acknowledged += count;
        latencies.add(histogram).expect("of the same kind");
    }
    // Until every acknowledged value is decoded, judged by the alarms, and in the store.
    let wanted = acknowledged as f64 * VALUES as f64;
    while server.metric("townwatch_points_stored_total") < wanted && begun.elapsed() < Duration::from_secs(60)
    {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let whole = begun.elapsed().as_secs_f64();
    let (cpu, memory) = process::cost(server.pid());
    let points = server.metric("townwatch_points_stored_total");
    println!(
        "| {connections} | {:.0} | {:.1} | {:.1} | {:.1} | {:.0} | {:.2} | {memory:.0} |",
        acknowledged as f64 / seconds,
        latencies.value_at_quantile(0.5) as f64 / 1000.0,
        latencies.value_at_quantile(0.99) as f64 / 1000.0,
        latencies.max() as f64 / 1000.0,
        points / whole,
        (cpu - cpu_before) / (points / 1e6),
    );
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1000.0
}

fn the_demo() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let begun = process::now();
    let mut server = Server::start(&[
        "demo",
        "--mqtt",
        "127.0.0.1:0",
        "--web",
        "127.0.0.1:0",
        "--seed",
        &SEED.to_string(),
        "--calm",
        "--data",
        data.to_str().expect("a plain path"),
    ]);
    let first_page = begun.elapsed();
    let (_, _) = server.get("/");
    while let Some(Ok(line)) = server.lines.next() {
        if line.contains("history complete") {
            break;
        }
    }
    let history = begun.elapsed();
    println!(
        "\nDemo, small county, seed {SEED}: ready after {:.2} s; seven days of history after {:.1} s",
        first_page.as_secs_f64(),
        history.as_secs_f64()
    );
    let (block_points, bytes) = (
        server.metric("townwatch_series_block_points"),
        server.metric("townwatch_series_bytes"),
    );
    println!(
        "points stored: {:.0}",
        server.metric("townwatch_points_stored_total")
    );
    println!(
        "in blocks: {block_points:.0} points, {bytes:.0} bytes, {:.2} B/point (the rest is in memory)",
        bytes / block_points.max(1.0)
    );
    println!("\n| page | median of 20, ms |\n| --- | --- |");
    let (_, devices) = server.get("/api/v1/devices");
    let tank = devices
        .split('"')
        .find(|word| word.starts_with("depot-1-tank-"))
        .unwrap_or("")
        .to_owned();
    for path in [
        "/",
        "/map.svg",
        "/alarms",
        "/api/v1/map.geojson",
        "/api/v1/figures/lighting_rate",
    ] {
        println!(
            "| {path} | {:.1} |",
            median((0..20).map(|_| server.get(path).0).collect())
        );
    }
    if tank.is_empty() {
        println!("(no tank found for the chart)");
    } else {
        let now = SystemClock::new().now().millis();
        let path = format!("/charts/{tank}/level.svg?from={}&to={now}", now - 7 * 86_400_000);
        println!(
            "| chart of seven days at 1 min | {:.1} |",
            median((0..20).map(|_| server.get(&path).0).collect())
        );
    }
}

fn main() {
    println!(
        "machine: {}; load client on the same machine; seed {SEED}",
        process::machine()
    );
    println!(
        "{VALUES} values a message, QoS 1, {WINDOW} in flight a connection, {SECONDS} s; every PUBACK after an fsync\n"
    );
    println!(
        "| connections | messages/s | PUBACK p50 ms | p99 ms | max ms | points/s stored | CPU s per million points | memory MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    rlimit::increase_nofile_limit(1 << 16).ok();
    for connections in [1, 100, 1000] {
        through_the_path(connections);
    }
    the_demo();
}
