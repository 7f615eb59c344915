//! The alarms from outside: the program as a process, readings over real sockets, notices to a receiver on loopback.
//!
//! `cargo bench --bench alarms` prints the tables for `docs/performance.md`; words behind `--` choose: `notice` (from a gas reading to
//! its notice, under load), `vmalert` (the same rules on VictoriaMetrics and vmalert of Debian's `victoria-metrics`), `thresholds`
//! (of that only the lines of this program), `restart` (a start with a million rule states). Load client, program and peers share the machine.

#![expect(clippy::print_stdout, reason = "a benchmark prints its tables")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark ends by panicking"
)]

#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, reason = "the bench needs only a part of what the tests share")]
mod support;

#[path = "../support/process.rs"]
mod process;

mod county;
mod hook;
mod notice;
mod restart;
mod vmalert;

fn main() {
    println!("machine: {}; load client on the same machine", process::machine());
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let named: Vec<&String> = asked.iter().filter(|word| !word.starts_with('-')).collect();
    let wants = |name: &str| named.is_empty() || named.iter().any(|word| *word == name);
    if wants("notice") {
        notice::run();
    }
    if wants("vmalert") || wants("thresholds") {
        vmalert::run(wants("vmalert"));
    }
    if wants("restart") {
        restart::run();
    }
}

/// A share of sorted times, in ms.
fn quantile_ms(sorted: &[std::time::Duration], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (sorted.len() as f64 * share) as usize;
    let found = sorted.get(place.min(sorted.len().saturating_sub(1)));
    found.copied().unwrap_or_default().as_secs_f64() * 1000.0
}
