//! The whole path beside what a user would pick instead, in one run and under the same load client: this program, and
//! mosquitto → Telegraf → InfluxDB 2.7 (Debian; the binaries that `tests/run` builds).
//!
//! `cargo bench --bench whole` prints the tables for `docs/performance.md`: what is sustained and what it costs, and
//! what of the acknowledged is lost after `kill -9` of each process in turn. The load client's own count of
//! acknowledgements decides.

#![expect(clippy::print_stdout, reason = "a benchmark prints its tables")]

mod load;
mod ours;
mod theirs;

#[path = "../gate/client.rs"]
#[expect(dead_code, reason = "the bench needs only QoS 1")]
mod client;

#[path = "../../tests/support/county.rs"]
#[expect(dead_code, reason = "the bench needs only a part of the tests' county")]
mod county;

#[path = "../support/http.rs"]
#[expect(dead_code, reason = "the bench asks no escaped query")]
mod http;

#[path = "../support/process.rs"]
mod process;

use std::net::SocketAddr;
use std::time::Duration;

/// Values of one message.
const VALUES: u64 = 6;
const SECONDS: u64 = 10;
/// When in the load a process is killed.
const KILLED_AFTER: Duration = Duration::from_secs(4);
/// Nothing new is stored for so long: all that will come has come.
const QUIET: Duration = Duration::from_secs(8);
const DEADLINE: Duration = Duration::from_secs(240);

/// Something that takes readings over MQTT and stores them.
trait Stack {
    fn name(&self) -> &'static str;
    /// Its processes, in the order of a datum.
    fn processes(&self) -> Vec<&'static str>;
    fn mqtt(&self) -> SocketAddr;
    /// Points that can be read back now, of all devices.
    fn points(&mut self) -> u64;
    /// CPU seconds and MiB over all processes; bytes on disk.
    fn cost(&self) -> (f64, f64, u64);
    /// `kill -9`, and a start again.
    fn kill(&mut self, process: &str);
}

type Start = fn(usize) -> Option<Box<dyn Stack>>;

fn main() {
    rlimit::increase_nofile_limit(1 << 16).ok();
    println!("machine: {}; load client on the same machine", process::machine());
    let stacks: [Start; 2] = [
        |devices| Some(Box::new(ours::Ours::start(devices))),
        |devices| theirs::Theirs::start(devices).map(|stack| Box::new(stack) as _),
    ];
    sustained(&stacks);
    killed(&stacks);
}

fn sustained(stacks: &[Start]) {
    println!(
        "\n## The whole path beside what a user would pick instead\n\n{VALUES} values a message, QoS 1, MQTT 3.1.1, one message under way a \
         connection, {SECONDS} s; CPU, memory and disk summed over all processes when everything is stored.\n"
    );
    println!(
        "| stack | connections | messages/s | PUBACK p50 ms | p99 ms | points/s until stored | CPU s per million points | MiB | bytes on disk a point | acknowledged points missing |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for connections in [100, 1000] {
        for start in stacks {
            let Some(mut stack) = start(connections) else {
                continue;
            };
            let (cpu, _, disk) = stack.cost();
            let begun = process::now();
            let load = load::run(stack.mqtt(), connections, 1, SECONDS, || {});
            let loaded = begun.elapsed();
            let (points, at) = settled(&mut *stack, load.acknowledged * VALUES);
            let took = at.map_or(loaded, |at| at.duration_since(begun));
            let (cpu_after, memory, disk_after) = stack.cost();
            let million = points as f64 / 1e6;
            println!(
                "| {} | {connections} | {:.0} | {:.1} | {:.1} | {:.0} | {:.2} | {memory:.0} | {:.1} | {} |",
                stack.name(),
                load.acknowledged as f64 / loaded.as_secs_f64(),
                load.quantile_ms(0.5),
                load.quantile_ms(0.99),
                points as f64 / took.as_secs_f64(),
                (cpu_after - cpu) / million,
                (disk_after - disk) as f64 / points as f64,
                (load.acknowledged * VALUES).saturating_sub(points)
            );
        }
    }
}

fn killed(stacks: &[Start]) {
    const CONNECTIONS: usize = 100;
    println!(
        "\nAfter `kill -9` of one process {} s into {SECONDS} s of load ({CONNECTIONS} connections, 10 messages under way each; a connection that breaks stays \
         down), started again at once; counted when nothing new was stored for {} s.\n",
        KILLED_AFTER.as_secs(),
        QUIET.as_secs()
    );
    println!("| stack | killed | acknowledged messages | of them not stored |\n| --- | --- | --- | --- |");
    for start in stacks {
        let names = start(1).map_or_else(Vec::new, |stack| stack.processes());
        for name in names {
            let Some(mut stack) = start(CONNECTIONS) else {
                continue;
            };
            let mqtt = stack.mqtt();
            let load = load::run(mqtt, CONNECTIONS, 10, SECONDS, || stack.kill(name));
            let (points, _) = settled(&mut *stack, load.acknowledged * VALUES);
            let lost = load.acknowledged.saturating_sub(points / VALUES);
            println!("| {} | {name} | {} | {lost} |", stack.name(), load.acknowledged);
        }
    }
}

/// Waits until `wanted` points are stored, or nothing new comes; gives how many, and when the last ones came.
fn settled(stack: &mut dyn Stack, wanted: u64) -> (u64, Option<std::time::Instant>) {
    let begun = process::now();
    let (mut before, mut since) = (stack.points(), process::now());
    let mut last = None;
    while before < wanted && since.elapsed() < QUIET && begun.elapsed() < DEADLINE {
        std::thread::park_timeout(Duration::from_millis(250));
        let points = stack.points();
        if points != before {
            (before, since, last) = (points, process::now(), Some(process::now()));
        }
    }
    (before, last)
}
