//! Hostile packets over sockets: every conversation of `broker/tests/corpus/`, and a million packets from
//! strangers, of which the gate looks at the first of each connection and no further. A process of its own, so that its memory is that of the gate.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected has to stop, in its helpers too"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use broker::{
    Authenticator, BoxFuture, Gate, GateConfig, Identity, Intake, IntakeError, Login, MemoryKeeper,
    Permissions, Refusal, Review,
};
use telemetry::RawMessage;
use telemetry::time::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);
const TOPIC: &str = "tw/v1/dev/t";
/// One test at a time, since the memory is that of the process.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Lets in whoever says the word, and everybody where nobody is a stranger.
struct Doorkeeper {
    strangers: bool,
    changes: watch::Sender<u64>,
}

impl Authenticator for Doorkeeper {
    fn authenticate<'a>(&'a self, login: Login<'a>) -> BoxFuture<'a, Result<Identity, Refusal>> {
        let answer = if self.strangers && login.user != Some("friend") {
            Err(Refusal::BadCredentials)
        } else {
            Ok(Identity::Anonymous {
                permissions: Permissions::anybody(),
            })
        };
        Box::pin(std::future::ready(answer))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn review(&self, identity: &Identity) -> Review {
        Review::Stays(identity.permissions().clone())
    }

    fn permissions_of(&self, _key: &str) -> Option<Permissions> {
        Some(Permissions::anybody())
    }
}

/// Takes everything and keeps nothing, so that it does not count as memory of the gate.
struct Taker;

impl Intake for Taker {
    fn accept(&self, _batch: Vec<RawMessage>) -> BoxFuture<'static, Result<(), IntakeError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn gate(strangers: bool) -> Gate {
    let mut config = GateConfig::new("127.0.0.1:0".parse().unwrap());
    // The strangers of these tests all come from one address, and as fast as they can.
    config.admission.accepts_per_s = 0;
    config.admission.connects_per_s_per_address = 0;
    let (changes, _) = watch::channel(0);
    Gate::start(
        config,
        Arc::new(Doorkeeper { strangers, changes }),
        Arc::new(Taker),
        Arc::new(MemoryKeeper::default()),
        Arc::new(SystemClock::new()),
    )
    .await
    .unwrap()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 128, "one byte of length");
    [&[first, u8::try_from(body.len()).unwrap()][..], body].concat()
}

fn text(text: &str) -> Vec<u8> {
    [
        &u16::try_from(text.len()).unwrap().to_be_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

/// A device that goes on publishing while all this happens.
struct Healthy {
    stream: TcpStream,
    published: u16,
}

impl Healthy {
    async fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let hello = [text("MQTT"), vec![4, 0x82, 0, 0], text("healthy"), text("friend")].concat();
        stream.write_all(&packet(0x10, &hello)).await.unwrap();
        let mut answer = [0; 4];
        timeout(PATIENCE, stream.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer, [0x20, 2, 0, 0]);
        Self { stream, published: 0 }
    }

    /// Publishes once and is answered.
    async fn publish(&mut self) {
        self.published = self.published % 60_000 + 1;
        let id = self.published.to_be_bytes();
        let body = [&text(TOPIC)[..], &id, b"fine"].concat();
        self.stream.write_all(&packet(0x32, &body)).await.unwrap();
        let mut answer = [0; 4];
        timeout(PATIENCE, self.stream.read_exact(&mut answer))
            .await
            .expect("an answer in time")
            .expect("an answer");
        assert_eq!(answer, [0x40, 2, id[0], id[1]]);
    }
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    found.sort();
    found
}

/// Sends `bytes`, closes its side, and waits until the gate has closed its own; how many bytes it answered.
async fn stranger(address: SocketAddr, bytes: &[u8]) -> u64 {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let read = async {
        let mut buffer = vec![0; 4096];
        let mut all = 0;
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            all += count as u64;
        }
        all
    };
    let write = async {
        // It may be closed at any time: that is what is tested.
        drop(to.write_all(bytes).await);
        drop(to.shutdown().await);
    };
    let (read, ()) = timeout(PATIENCE, async { tokio::join!(read, write) })
        .await
        .expect("closed in time");
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_conversation_of_the_corpus_ends_and_disturbs_nobody() {
    let _alone = ALONE.lock().await;
    for strangers in [true, false] {
        let gate = gate(strangers).await;
        let mut healthy = Healthy::connect(gate.local_addr()).await;
        for (name, bytes) in corpus() {
            let answered = stranger(gate.local_addr(), &bytes).await;
            // Nobody gets more than a reason string for a packet of four bytes.
            assert!(
                answered <= 200 + 32 * bytes.len() as u64,
                "{name}: {answered} bytes for {}",
                bytes.len()
            );
            healthy.publish().await;
        }
    }
}

/// Resident memory of this process, in KiB. Source: proc(5).
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What a stranger sends: a first packet, and a hundred more behind it.
fn volleys() -> Vec<Vec<u8>> {
    let hello = |user: &str| [text("MQTT"), vec![4, 0x82, 0, 0], text("x"), text(user)].concat();
    let body = [text(TOPIC), vec![0, 7, b'x']].concat();
    let user = [&[0x26][..], &text("k"), &text("v")].concat();
    let will = [vec![7], user.clone(), text(TOPIC), text("gone")].concat();
    let with_will = [text("MQTT"), vec![5, 6, 0, 0, 0], text("x"), will].concat();
    let bad_will = [text("MQTT"), vec![5, 6, 0, 0, 0], text("x"), vec![2, 0x7E, 0]].concat();
    let filters = [vec![0, 1], text("tw/#"), vec![1], text("tw/+/a"), vec![1]].concat();
    let firsts = [
        packet(0x10, &hello("stranger")),
        packet(0x10, &with_will),
        packet(0x10, &bad_will),
        packet(0x20, &[0, 0]),
        packet(0x34, &body),
        packet(0x82, &filters),
        vec![0x10, 0xFF, 0xFF, 0xFF, 0x7F],
        vec![0xF0, 0],
    ];
    let seconds = [
        packet(0x34, &body),
        packet(0x82, &filters),
        packet(0x20, &[0, 0]),
        packet(0x62, &[0, 9]),
        packet(0x10, &hello("stranger")),
        vec![0xC0, 0],
    ];
    (firsts.iter())
        .flat_map(|first| {
            seconds
                .iter()
                .map(|second| [first.clone(), second.repeat(99)].concat())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_hostile_packets_from_strangers_cost_no_memory_and_hold_up_nobody() {
    let _alone = ALONE.lock().await;
    let gate = gate(true).await;
    let address = gate.local_addr();
    let volleys = Arc::new(volleys());
    let turn = Arc::new(AtomicU64::new(0));
    let mut healthy = Healthy::connect(address).await;
    let mut after_first = 0;
    // Ten times a thousand connections with a hundred packets each, sixteen at a time.
    for round in 1..=10u64 {
        let mut attackers = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (volleys, turn) = (Arc::clone(&volleys), Arc::clone(&turn));
            attackers.spawn(async move {
                loop {
                    let number = turn.fetch_add(1, Ordering::Relaxed);
                    if number >= round * 1000 {
                        turn.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    let which = usize::try_from(number).unwrap() % volleys.len();
                    stranger(address, &volleys[which]).await;
                }
            });
        }
        // Meanwhile the device is served.
        let mut served = 0;
        while !attackers.is_empty() {
            healthy.publish().await;
            served += 1;
            while let Some(done) = attackers.try_join_next() {
                done.unwrap();
            }
        }
        assert!(served > 0);
        if round == 1 {
            after_first = resident_kib();
        }
    }
    assert_eq!(turn.load(Ordering::Relaxed), 10_000);
    let counters = gate.counters();
    assert!(counters.accepted >= 10_001, "{counters:?}");
    // The first tenth has warmed everything up. A leak of 64 bytes a packet would be 56 MiB.
    let grown = resident_kib().saturating_sub(after_first);
    assert!(grown < 24 * 1024, "{grown} KiB more after 900,000 packets");
    healthy.publish().await;
}
