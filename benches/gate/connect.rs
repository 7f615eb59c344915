//! A storm of connects, and what a connection costs when it is idle.

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::Semaphore;

use crate::peer::{Kind, Running};
use crate::{load, process};

const CONNECTIONS: usize = 10_000;
const AT_ONCE: usize = 500;
/// What a peer may do after the last CONNECT before its memory is read.
const REST: Duration = Duration::from_secs(3);

/// Prints the table.
pub(crate) fn table() {
    println!(
        "\n## Connecting\n\n{CONNECTIONS} clients, {AT_ONCE} at a time; time from the SYN to the CONNACK. Memory: growth of the resident set per \
         connection, {} s after the last one.\n",
        REST.as_secs()
    );
    println!("| peer | connects/s | p50 ms | p99 ms | max ms | KiB per idle connection |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for kind in Kind::ALL {
        row(kind);
    }
}

fn row(kind: Kind) {
    let peer = Running::start(kind, CONNECTIONS);
    let (_, before) = peer.cost();
    crate::runtime().block_on(async {
        let turns = std::rc::Rc::new(Semaphore::new(AT_ONCE));
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let begun = process::now();
                let tasks: Vec<_> = (0..CONNECTIONS)
                    .map(|place| {
                        let (turns, address) = (std::rc::Rc::clone(&turns), peer.mqtt);
                        tokio::task::spawn_local(async move {
                            let _turn = turns.acquire().await.expect("open to the end");
                            let begun = process::now();
                            let client = load::connected(address, place).await;
                            (client, begun.elapsed())
                        })
                    })
                    .collect();
                let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
                let mut open = Vec::new();
                for task in tasks {
                    let (client, took) = task.await.expect("a client does not panic");
                    latencies
                        .record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
                        .ok();
                    open.push(client);
                }
                let seconds = begun.elapsed().as_secs_f64();
                tokio::time::sleep(REST).await;
                let (_, after) = peer.cost();
                let ms = |us: u64| us as f64 / 1000.0;
                println!(
                    "| {} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} |",
                    kind.name(),
                    CONNECTIONS as f64 / seconds,
                    ms(latencies.value_at_quantile(0.5)),
                    ms(latencies.value_at_quantile(0.99)),
                    ms(latencies.max()),
                    (after - before) * 1024.0 / CONNECTIONS as f64
                );
            })
            .await;
    });
}
