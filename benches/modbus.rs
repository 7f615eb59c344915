//! The poller at scale: a thousand Modbus/TCP slaves with thirty registers each, every second, one of them dead.
//!
//! `cargo bench --bench modbus` prints a table for `docs/performance.md`. The slaves are another process (this
//! binary, started once more), so that the CPU of the poller is its own; the polls are decoded as the pipeline
//! would, and then dropped: no journal.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use device_simulators::rig::{Rig, Table};
use device_simulators::{Answer, Wire};
use ingest::modbus::{ModbusConfig, Poller, Sink};
use ingest::{DecodeSettings, Decoder};
use telemetry::profile::Profile;
use telemetry::registry::{Device, Registry, Transport};
use telemetry::time::{Clock, SystemClock};
use telemetry::{Catalogue, Lsn, SeriesId};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[path = "../tests/support/county.rs"]
#[expect(dead_code, reason = "the bench needs only a part of the tests' county")]
mod county;

#[path = "support/process.rs"]
#[expect(dead_code, reason = "nothing here is timed by hand")]
mod process;

const SLAVES: usize = 1000;
const REGISTERS: u16 = 30;
const SECONDS: u64 = 30;
/// Every slave is asked at least once in this time.
const WARM_UP: Duration = Duration::from_secs(3);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the system has threads");
    // Cargo adds `--bench`.
    if std::env::args().any(|argument| argument == "slaves") {
        runtime.block_on(slaves());
    } else {
        runtime.block_on(measure());
    }
}

/// The slaves: unit 1 on a port of its own each; the first is dead. Ends with its standard input.
async fn slaves() {
    rlimit::increase_nofile_limit(1 << 20).expect("the system allows more files");
    let cancel = CancellationToken::new();
    let words: Vec<u16> = (0..REGISTERS).collect();
    for n in 0..SLAVES {
        let rig = Rig::new();
        rig.put(1, Table::Holding, 0, &words);
        rig.behave(1, (n == 0).then_some(Answer::Silent));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
        println!("{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(rig.serve(Wire::Tcp, listener, cancel.clone()));
    }
    let until_closed = || {
        std::io::stdin().lines().count();
    };
    tokio::task::spawn_blocking(until_closed)
        .await
        .expect("it only reads");
}

fn profile() -> Profile {
    let mut text = String::from(
        "kind = \"thirty\"\nversion = 1\ntitle = { zh = \"某\", en = \"some\" }\ndomain = \"sewage\"\nreport_interval = \"1s\"\n",
    );
    for n in 0..REGISTERS {
        text +=
            &format!("[[signal]]\nname = \"r{n}\"\ntitle = {{ zh = \"某\", en = \"some\" }}\nunit = \"1\"\n");
    }
    text += "[modbus]\n";
    for n in 0..REGISTERS {
        text += &format!("[[modbus.point]]\nsignal = \"r{n}\"\nfunction = 3\naddress = {n}\n");
    }
    Profile::parse("bench.toml", &text).expect("the profile above is sound")
}

fn catalogue(addresses: &[SocketAddr]) -> Catalogue {
    let mut registry: Registry = toml::from_str(county::HEAD).expect("the tests' county is sound");
    for (n, address) in addresses.iter().enumerate() {
        let text = format!("id = \"u{n:04}\"\nsite = \"site-1\"\nprofile = \"thirty\"\n");
        let mut device: Device = toml::from_str(&text).expect("the device above is sound");
        device.transport = Transport::Modbus {
            address: *address,
            unit: 1,
        };
        registry.devices.push(device);
    }
    let profiles = BTreeMap::from([("thirty".into(), Arc::new(profile()))]);
    let mut next = 0;
    let number = |_: &_, _: &_| {
        next += 1;
        SeriesId(next)
    };
    Catalogue::build(registry, &profiles, number).expect("the county above fits together")
}

/// CPU seconds of this process.
fn cpu_seconds() -> f64 {
    process::cost(std::process::id()).0
}

async fn measure() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("machine: {}; load before: {}", process::machine(), load.trim());
    let mut child = Command::new(std::env::current_exe().expect("it runs"))
        .arg("slaves")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts once more");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let addresses: Vec<SocketAddr> = lines
        .take(SLAVES)
        .map(|line| line.expect("it says its ports").parse().expect("an address"))
        .collect();
    rlimit::increase_nofile_limit(1 << 20).expect("the system allows more files");
    let catalogue = Arc::new(catalogue(&addresses));
    let points = Arc::new(AtomicU64::new(0));
    let decoder = Mutex::new(Decoder::new(Arc::clone(&catalogue), DecodeSettings::default()));
    let counted = Arc::clone(&points);
    let sink: Sink = Arc::new(move |messages| {
        let messages: Vec<_> = messages.into_iter().map(|message| (Lsn(1), message)).collect();
        let batch = decoder.lock().expect("nobody panics").decode(&messages);
        counted.fetch_add(batch.points.len() as u64, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(())))
    });
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let poller = Poller::start(
        &catalogue,
        sink,
        clock,
        ModbusConfig::default(),
        CancellationToken::new(),
    );
    tokio::time::sleep(WARM_UP).await;
    let (before, cpu, read) = (poller.stats(), cpu_seconds(), points.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let (after, cpu, read) = (
        poller.stats(),
        cpu_seconds() - cpu,
        points.load(Ordering::Relaxed) - read,
    );
    let dead = poller.access().status("u0000");
    poller.stop().await;
    drop(child.stdin.take());
    child.wait().expect("it ends with its input");
    println!("slaves: {SLAVES} (1 dead), {REGISTERS} registers each, every second, {SECONDS} s, decoded");
    println!(
        "| polls | wanted | skipped cycles | reads without answer | points | CPU of the poller, s | of one core |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    println!(
        "| {} | {} | {} | {} | {read} | {cpu:.2} | {:.1} % |",
        after.polls - before.polls,
        SLAVES as u64 * SECONDS,
        after.skipped_cycles - before.skipped_cycles,
        after.no_answers - before.no_answers,
        100.0 * cpu / SECONDS as f64
    );
    println!(
        "dead slave: {:?}",
        dead.map(|status| (status.reach, status.polls, status.skipped_cycles))
    );
}
