//! Open loop: messages are due at fixed times, whether or not the peer keeps up, and the latency counts from the time
//! that a message was due, so that a peer that stalls cannot hide it.

use std::time::Duration;

use hdrhistogram::Histogram;
use telemetry::time::{Clock, SystemClock};
use tokio::io::AsyncWriteExt;

use crate::client::{self, Client};
use crate::load;
use crate::peer::{Kind, Running};

const SECONDS: u64 = 10;
const CONNECTIONS: usize = 1000;
const RATES: [u64; 4] = [5_000, 20_000, 50_000, 100_000];

/// Prints the table.
pub(crate) fn table() {
    println!(
        "\n## Publishing at a fixed rate\n\nQoS 1, {CONNECTIONS} connections, 6 values a message, {SECONDS} s; latency from the time \
         that a message was due to its PUBACK. *Reached*: acknowledged within the {SECONDS} s and half a second.\n"
    );
    println!("| peer | due messages/s | reached messages/s | p50 ms | p99 ms | max ms | CPU, cores |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for rate in RATES {
        for kind in Kind::ALL {
            row(kind, rate);
        }
    }
}

fn row(kind: Kind, rate: u64) {
    let peer = Running::start(kind, CONNECTIONS);
    let base = SystemClock::new().now().millis() - 400_000;
    let (done, latencies, cpu) = crate::runtime().block_on(async {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let mut clients = Vec::new();
                for place in 0..CONNECTIONS {
                    clients.push(load::connected(peer.mqtt, place).await);
                }
                let (cpu_before, _) = peer.cost();
                let begun = tokio::time::Instant::now();
                let every = Duration::from_secs(1).mul_f64(CONNECTIONS as f64 / rate as f64);
                let tasks: Vec<_> = (clients.into_iter().enumerate())
                    .map(|(place, client)| {
                        // Spread over the interval, so that not all are due at once.
                        let first = begun + every.mul_f64(place as f64 / CONNECTIONS as f64);
                        tokio::task::spawn_local(run(client, place, base, first, every))
                    })
                    .collect();
                let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
                let mut done = 0;
                for task in tasks {
                    let (count, histogram) = task.await.expect("a client does not panic");
                    done += count;
                    latencies.add(histogram).expect("of the same kind");
                }
                let (cpu, _) = peer.cost();
                (
                    done,
                    latencies,
                    (cpu - cpu_before) / begun.elapsed().as_secs_f64(),
                )
            })
            .await
    });
    let ms = |us: u64| us as f64 / 1000.0;
    println!(
        "| {} | {rate} | {:.0} | {:.1} | {:.1} | {:.1} | {cpu:.2} |",
        kind.name(),
        done as f64 / SECONDS as f64,
        ms(latencies.value_at_quantile(0.5)),
        ms(latencies.value_at_quantile(0.99)),
        ms(latencies.max())
    );
}

/// One connection: what was acknowledged in time, and how long after it was due.
async fn run(
    mut client: Client<tokio::net::TcpStream>,
    place: usize,
    base: i64,
    first: tokio::time::Instant,
    every: Duration,
) -> (u64, Histogram<u64>) {
    let topic = format!("tw/v1/d{place}/telemetry");
    let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
    let due_count =
        u32::try_from((Duration::from_secs(SECONDS).as_nanos() / every.as_nanos()).max(1)).expect("few");
    let last = first + Duration::from_secs(SECONDS) + Duration::from_millis(500);
    let (mut sent, mut done) = (0u32, 0u32);
    let (mut out, mut answers) = (Vec::new(), Vec::new());
    while done < due_count {
        let now = tokio::time::Instant::now();
        if now >= last {
            break;
        }
        out.clear();
        while sent < due_count && first + every * sent <= now {
            sent += 1;
            let id = u16::try_from(sent % 60_000).expect("below 60,000") + 1;
            client::publish(&mut out, &topic, 1, id, base + i64::from(sent));
        }
        if !out.is_empty() {
            client.stream.write_all(&out).await.expect("the peer hears");
        }
        let next = if sent < due_count {
            (first + every * sent).min(last)
        } else {
            last
        };
        tokio::select! {
            () = client.answers(&mut answers) => {
                let now = tokio::time::Instant::now();
                for _ in &answers {
                    let since = now.saturating_duration_since(first + every * done);
                    latencies.record(u64::try_from(since.as_micros()).unwrap_or(u64::MAX)).ok();
                    done += 1;
                }
            }
            () = tokio::time::sleep_until(next) => {}
        }
    }
    (u64::from(done), latencies)
}
