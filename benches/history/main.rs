//! The store beside its peers, in one run, over the same simulated telemetry: this program's store, VictoriaMetrics
//! (Debian), InfluxDB 2.7 (built by `tests/run`), DuckDB (PyPI) and plain rows in SQLite.
//!
//! `cargo bench --bench history` prints the tables for `docs/performance.md`; `-- year` (with `county=model days=365`),
//! `-- peers` (with `days=31 engine=townwatch`) or `-- sizes` only some of them. What has happened to a batch when it counts as appended stands with
//! each peer: only this program and the two databases have it on disk.

#![expect(clippy::print_stdout, reason = "a benchmark prints its tables")]

mod data;
mod duck;
mod engine;
mod influx;
mod ours;
mod rows;
mod sizes;
mod timed;
mod victoria;
mod year;

#[path = "../support/http.rs"]
#[expect(dead_code, reason = "the bench needs no process id")]
mod http;

#[path = "../support/process.rs"]
mod process;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let setting = |key: &str| {
        arguments
            .iter()
            .find_map(|a| a.strip_prefix(key)?.strip_prefix('='))
    };
    let tables: Vec<&String> = arguments.iter().filter(|a| !a.contains('=')).collect();
    let wanted = |table: &str| tables.is_empty() || tables.iter().any(|a| *a == table);
    println!("machine: {}; seed {}", process::machine(), data::SEED);
    if wanted("year") {
        let size = setting("county")
            .unwrap_or("model")
            .parse()
            .expect("small or model");
        let days = setting("days").map_or(365, |days| days.parse().expect("a number of days"));
        year::table(size, days);
    }
    if wanted("peers") {
        let days = setting("days").map_or(31, |days| days.parse().expect("a number of days"));
        engine::table(days, setting("engine"));
    }
    if wanted("sizes") {
        sizes::table();
    }
}
