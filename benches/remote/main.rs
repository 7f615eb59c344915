//! Engines beside the program, measured: `cargo bench --bench remote` prints the figures of `docs/scale-out.md`; `reading` or
//! `outage` behind `--` does one of both. Engine, load client and server share the machine.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a benchmark ends by panicking, and tells its story in one piece"
)]

#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, reason = "the bench needs only a part of what the tests share")]
mod support;

#[path = "../support/process.rs"]
#[expect(dead_code, reason = "the engines are asked, not what they cost")]
mod process;

mod outage;
mod reading;

fn main() {
    println!("machine: {}", process::machine());
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| {
        let named = asked.iter().filter(|word| !word.starts_with('-'));
        named.clone().count() == 0 || named.clone().any(|word| word == name)
    };
    if wants("reading") {
        reading::run();
    }
    if wants("outage") {
        outage::run();
    }
}
