//! The load: closed loops over real sockets, and a ledger of what was acknowledged.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use telemetry::time::{Clock, SystemClock};
use tokio::io::AsyncWriteExt;

use crate::client::{self, Client};
use crate::process;

/// What was acknowledged.
pub(crate) struct Load {
    pub(crate) acknowledged: u64,
    latencies: Histogram<u64>,
}

impl Load {
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        self.latencies.value_at_quantile(share) as f64 / 1000.0
    }
}

/// Loads for `seconds`; `midway` is done on this thread when [`crate::KILLED_AFTER`] has passed.
pub(crate) fn run(
    address: SocketAddr,
    connections: usize,
    window: u16,
    seconds: u64,
    midway: impl FnOnce(),
) -> Load {
    let (begun, begins) = mpsc::sync_channel(1);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let local = tokio::task::LocalSet::new();
        runtime.block_on(local.run_until(async move {
            let mut clients = Vec::new();
            for place in 0..connections {
                clients.push(Client::connect(address, &format!("d{place}")).await);
            }
            begun.send(()).expect("somebody waits");
            let end = process::now() + Duration::from_secs(seconds);
            let base = SystemClock::new().now().millis() - 400_000;
            let tasks: Vec<_> = (clients.into_iter().enumerate())
                .map(|(place, client)| tokio::task::spawn_local(one(client, place, window, base, end)))
                .collect();
            let mut load = Load {
                acknowledged: 0,
                latencies: Histogram::new(3).expect("three digits are allowed"),
            };
            for task in tasks {
                let (count, latencies) = task.await.expect("a client does not panic");
                load.acknowledged += count;
                load.latencies.add(latencies).expect("of the same kind");
            }
            load
        }))
    });
    begins.recv().expect("the load begins");
    std::thread::park_timeout(crate::KILLED_AFTER);
    midway();
    thread.join().expect("the load ends")
}

/// One connection until `end` or until it breaks: messages acknowledged and how long each took.
async fn one(
    mut client: Client<tokio::net::TcpStream>,
    place: usize,
    window: u16,
    base: i64,
    end: Instant,
) -> (u64, Histogram<u64>) {
    let topic = format!("tw/v1/d{place}/telemetry");
    let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
    let mut sent: Vec<Option<Instant>> = vec![None; usize::from(window)];
    let (mut out, mut answers) = (Vec::new(), Vec::new());
    let (mut ts, mut done) = (base, 0);
    while process::now() < end {
        out.clear();
        for (id, slot) in (1..).zip(&mut sent) {
            if slot.is_none() {
                ts += 1;
                client::publish(&mut out, &topic, 1, id, ts);
                *slot = Some(process::now());
            }
        }
        if client.stream.write_all(&out).await.is_err() || !client.answers_or_end(&mut answers).await {
            break;
        }
        for (_, id) in &answers {
            let slot = sent.get_mut(usize::from(*id) - 1).and_then(Option::take);
            let since = slot.expect("only what was sent is acknowledged");
            latencies
                .record(u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX))
                .ok();
            done += 1;
        }
    }
    (done, latencies)
}
