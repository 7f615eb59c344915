//! The gate beside its peers, in one run: this program, mosquitto (Debian) and stock rumqttd, each as a process
//! of its own, loaded by the same client over loopback sockets.
//!
//! `cargo bench --bench gate` prints the tables for `docs/performance.md`; `cargo bench --bench gate -- publish`
//! (or `rate`, `connect`, `tls`) only some of them, `publish 10000 townwatch` only the rows with so many connections
//! and of that peer. What each peer has done when it acknowledges stands in the tables:
//! only this program has the message on disk.

#![expect(clippy::print_stdout, reason = "a benchmark prints its tables")]

mod client;
mod connect;
mod load;
mod peer;
mod rate;
mod tls;

#[path = "../../tests/support/county.rs"]
#[expect(dead_code, reason = "the bench needs only a part of the tests' county")]
mod county;

#[path = "../support/process.rs"]
mod process;

#[path = "../support/server.rs"]
#[expect(dead_code, reason = "the bench needs only a part")]
mod server;

use peer::Kind;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let Some([word, port]) = arguments.first_chunk::<2>()
        && word == peer::STOCK_RUMQTTD
    {
        return peer::be_stock_rumqttd(port);
    }
    rlimit::increase_nofile_limit(1 << 16).ok();
    println!("machine: {}; load client on the same machine", process::machine());
    for kind in Kind::ALL {
        println!("- {}: {}", kind.name(), kind.promise());
    }
    let wanted = |table: &str| arguments.is_empty() || arguments.iter().any(|a| a == table);
    if wanted("publish") {
        let only: Vec<usize> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
        let named = |kind: &Kind| arguments.iter().any(|a| a == kind.name());
        let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(named).collect();
        load::table(&only, if kinds.is_empty() { &Kind::ALL } else { &kinds });
    }
    if wanted("rate") {
        rate::table();
    }
    if wanted("connect") {
        connect::table();
    }
    if wanted("tls") {
        tls::table();
    }
}

/// One thread for the load: what is left of the machine belongs to the peer.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
