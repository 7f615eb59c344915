//! Closed loop: every connection keeps a window of messages under way for some seconds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use telemetry::time::{Clock, SystemClock};
use tokio::io::AsyncWriteExt;

use crate::client::{self, Client};
use crate::peer::{Kind, Running};
use crate::process;

const SECONDS: u64 = 5;
const CONNECTIONS: [usize; 4] = [1, 100, 1000, 10_000];

/// Prints the table; of `kinds`, and of `only` those numbers of connections, when any are named.
pub(crate) fn table(only: &[usize], kinds: &[Kind]) {
    println!(
        "\n## Publishing, closed loop\n\n6 values a message, MQTT 3.1.1, {SECONDS} s; 10 messages under way a connection, 1 with \
         10,000 connections. Latency: PUBLISH to PUBACK (QoS 1) or PUBCOMP (QoS 2); QoS 0 has none.\n"
    );
    println!(
        "| peer | QoS | connections | messages/s | p50 ms | p99 ms | max ms | CPU s per million | memory MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for connections in CONNECTIONS {
        if !only.is_empty() && !only.contains(&connections) {
            continue;
        }
        for qos in 0..=2 {
            for &kind in kinds {
                row(kind, qos, connections);
            }
        }
    }
}

fn row(kind: Kind, qos: u8, connections: usize) {
    let peer = Running::start(kind, connections);
    let window = if connections > 1000 { 1 } else { 10 };
    // Some minutes back, a millisecond on with each message: no client runs ahead of the clock.
    let base = SystemClock::new().now().millis() - 400_000;
    let (total, latencies, seconds, cpu_before) = crate::runtime().block_on(async {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let mut clients = Vec::new();
                for place in 0..connections {
                    clients.push(Client::connect(peer.mqtt, &format!("d{place}")).await);
                }
                let (cpu_before, _) = peer.cost();
                let begun = process::now();
                let end = begun + Duration::from_secs(SECONDS);
                let tasks: Vec<_> = (clients.into_iter().enumerate())
                    .map(|(place, client)| {
                        tokio::task::spawn_local(run(
                            client,
                            place,
                            Plan {
                                qos,
                                window,
                                base,
                                end,
                            },
                        ))
                    })
                    .collect();
                let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
                let mut total = 0;
                for task in tasks {
                    let (count, histogram) = task.await.expect("a client does not panic");
                    total += count;
                    latencies.add(histogram).expect("of the same kind");
                }
                (total, latencies, begun.elapsed().as_secs_f64(), cpu_before)
            })
            .await
    });
    let (cpu, memory) = peer.cost();
    let latency = if qos == 0 {
        "| | ".to_owned()
    } else {
        let ms = |us: u64| us as f64 / 1000.0;
        format!(
            "{:.1} | {:.1} | {:.1}",
            ms(latencies.value_at_quantile(0.5)),
            ms(latencies.value_at_quantile(0.99)),
            ms(latencies.max())
        )
    };
    println!(
        "| {} | {qos} | {connections} | {:.0} | {latency} | {:.2} | {memory:.0} |",
        kind.name(),
        total as f64 / seconds,
        (cpu - cpu_before) / (total as f64 / 1e6),
    );
}

#[derive(Clone, Copy)]
struct Plan {
    qos: u8,
    window: usize,
    base: i64,
    end: Instant,
}

/// One connection until the end of the plan: messages done and how long each took.
async fn run<S>(mut client: Client<S>, place: usize, plan: Plan) -> (u64, Histogram<u64>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let topic = format!("tw/v1/d{place}/telemetry");
    let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
    // When each message under way was sent, by its identifier; identifiers are 1..=window, used again when free.
    let mut sent: Vec<Option<Instant>> = vec![None; plan.window];
    let (mut out, mut answers) = (Vec::new(), Vec::new());
    let (mut ts, mut done) = (plan.base, 0);
    while process::now() < plan.end {
        out.clear();
        if plan.qos == 0 {
            for _ in 0..plan.window {
                ts += 1;
                client::publish(&mut out, &topic, 0, 0, ts);
            }
            // The answer to the ping comes after all that was sent before it was read.
            out.extend(client::PINGREQ);
            client.stream.write_all(&out).await.expect("the peer hears");
            client.answers(&mut answers).await;
            assert_eq!(answers, [(client::PINGRESP, 0)]);
            done += plan.window as u64;
            continue;
        }
        for (id, slot) in (1..).zip(&mut sent) {
            if slot.is_none() {
                ts += 1;
                client::publish(&mut out, &topic, plan.qos, id, ts);
                *slot = Some(process::now());
            }
        }
        client.stream.write_all(&out).await.expect("the peer hears");
        client.answers(&mut answers).await;
        out.clear();
        for (kind, id) in &answers {
            match *kind {
                client::PUBACK | client::PUBCOMP => {
                    let slot = sent.get_mut(usize::from(*id) - 1).and_then(Option::take);
                    let since = slot.expect("only what was sent is acknowledged");
                    latencies
                        .record(u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX))
                        .ok();
                    done += 1;
                }
                client::PUBREC => client::release(&mut out, *id),
                other => panic!("an answer of kind {other:#x}"),
            }
        }
        if !out.is_empty() {
            client.stream.write_all(&out).await.expect("the peer hears");
        }
    }
    (done, latencies)
}

/// A connection for the other tables.
pub(crate) async fn connected(address: SocketAddr, place: usize) -> Client<tokio::net::TcpStream> {
    Client::connect(address, &format!("d{place}")).await
}
