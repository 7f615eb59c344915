//! What the store does on this machine, as a table: `cargo bench --package townwatch-store`.
//!
//! Nothing here asserts a time; the goals stand in `design.md` §7. The points are a plausible county
//! day from a generator of its own: every figure can be had again with the seed.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed benchmark may panic"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use store::journal::{Journal, JournalConfig};
use store::series::{SeriesConfig, SeriesReader, SeriesStore};
use telemetry::time::{Span, SystemClock};
use telemetry::{Clock, DeviceId, Lsn, Origin, Point, Quality, RawMessage, Sample, SeriesId, Timestamp};

const SEED: u64 = 20_261_123;
/// 2026-11-20T00:00:00Z.
const BEGIN: i64 = 20_777 * Timestamp::DAY_MS;
const SERIES: u32 = 4_000;
const VALUES_PER_MESSAGE: usize = 6;
const BATCH_POINTS: usize = 5_000;

fn main() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    println!("machine  {}", machine());
    println!("seed     {SEED}");
    println!();
    let day = county_day();
    println!("a county day: {} points of {SERIES} series", day.len());
    journal(&clock);
    let dir = tempfile::tempdir().unwrap();
    let store = append_day(dir.path(), &day, &clock);
    compact(&store, &clock);
    drop(store);
    queries(&clock);
}

/// Runs `work` and gives the time it took.
fn timed<T>(clock: &Arc<dyn Clock>, work: impl FnOnce() -> T) -> (T, Duration) {
    let before = clock.monotonic();
    let answer = work();
    let took = clock.monotonic().millis() - before.millis();
    (answer, Duration::from_millis(took.max(1)))
}

fn row(what: &str, figure: String) {
    println!("{what:<64} {figure:>18}");
}

fn per_s(count: usize, took: Duration) -> String {
    format!("{:.0}/s", count as f64 / took.as_secs_f64())
}

fn machine() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches(['\t', ' ', ':']));
    format!("{cpus} × {model}, {}", std::env::consts::OS)
}

/// The journal alone: 64 senders, one message of six values at a time, and one sender of large batches.
fn journal(clock: &Arc<dyn Clock>) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), JournalConfig::default(), Arc::clone(clock)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let single = 30_000;
    let ((), took) = timed(clock, || {
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for sender in 0..64 {
                let journal = journal.clone();
                tasks.spawn(async move {
                    for n in 0..single / 64 {
                        journal.append(vec![message(sender, n)]).await.unwrap();
                    }
                });
            }
            tasks.join_all().await;
        });
    });
    let stats = journal.stats();
    row(
        "journal, 64 senders, one message each at a time",
        per_s(single, took),
    );
    let shared = stats.messages as f64 / stats.commits as f64;
    row("  messages per fsync", format!("{shared:.1}"));
    let fsync = stats.commit_time.millis() as f64 / stats.commits as f64;
    row("  mean commit", format!("{fsync:.2} ms"));
    let (batches, size) = (300, 1000);
    let prepared: Vec<Vec<RawMessage>> = (0..batches)
        .map(|b| (0..size).map(|n| message(b, n)).collect())
        .collect();
    let ((), took) = timed(clock, || {
        runtime.block_on(async {
            for batch in prepared {
                journal.append(batch).await.unwrap();
            }
        });
    });
    row(
        "journal, batches of 1,000 messages, one after the other",
        per_s(batches * size, took),
    );
    row(
        "  as points of six-value messages",
        per_s(batches * size * VALUES_PER_MESSAGE, took),
    );
}

fn message(sender: usize, n: usize) -> RawMessage {
    let time = BEGIN + i64::try_from(n).expect("a few thousand");
    let payload = format!(
        r#"{{"ts":{},"seq":{n},"values":{{"flow":{}.4,"level":1.37,"ph":7.2,"cod":48.1,"nh3n":3.9,"pump_1_run":true}}}}"#,
        time,
        n % 50,
    );
    RawMessage {
        arrived: Timestamp::from_millis(time),
        origin: Origin::Mqtt,
        sender: DeviceId::new(&format!("station-{sender:03}")).unwrap(),
        topic: format!("tw/v1/station-{sender:03}/telemetry").into(),
        payload: Bytes::from(payload),
    }
}

/// A day of 4,000 series in order of time: a third each of slow meters with two decimals every minute,
/// of states that rarely change every five minutes, and of noisy values with jittering times.
fn county_day() -> Vec<Point> {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut points = Vec::new();
    for series in 0..SERIES {
        let (every, jitter) = match series % 3 {
            0 => (60_000, 0),
            1 => (300_000, 0),
            _ => (60_000, 400),
        };
        let mut level: i64 = random.random_range(500..5_000);
        let mut time = BEGIN + i64::from(series) * 7;
        while time < BEGIN + Timestamp::DAY_MS {
            let value = match series % 3 {
                0 => {
                    level += random.random_range(-3i64..=3);
                    level as f64 / 100.0
                }
                1 => f64::from(random.random_bool(0.02)),
                _ => (level + random.random_range(-40i64..=40)) as f64 / 10.0,
            };
            let at = time
                + if jitter > 0 {
                    random.random_range(0..jitter)
                } else {
                    0
                };
            points.push(point(series, at.min(BEGIN + Timestamp::DAY_MS - 1), value));
            time += every;
        }
    }
    points.sort_by_key(|point| point.sample.time);
    points
}

fn point(series: u32, ms: i64, value: f64) -> Point {
    let time = Timestamp::from_millis(ms);
    Point {
        series: SeriesId(series),
        sample: Sample {
            time,
            value,
            quality: Quality::Good,
        },
        arrived: time,
        backfill: false,
    }
}

/// Appends the day in batches as the pipeline does, flushes included; what `Ok` of the last flush means
/// is that every point is on disk.
fn append_day(dir: &std::path::Path, day: &[Point], clock: &Arc<dyn Clock>) -> SeriesStore {
    let store = SeriesStore::open(dir, SeriesConfig::default(), Arc::clone(clock)).unwrap();
    let (appending, took) = timed(clock, || {
        let (appending, ()) = {
            let before = clock.monotonic();
            for (batch, upto) in day.chunks(BATCH_POINTS).zip(1u64..) {
                store.append(batch, Lsn(upto)).unwrap();
            }
            (clock.monotonic().millis() - before.millis(), ())
        };
        store.flush().unwrap();
        appending
    });
    row("series store, append and flush", per_s(day.len(), took));
    row(
        "  appending alone",
        per_s(day.len(), Duration::from_millis(appending.max(1))),
    );
    let stats = store.stats().unwrap();
    let bytes = stats.bytes_per_point().expect("it holds points");
    row(
        "bytes per point after the flushes, all columns, file size",
        format!("{bytes:.2}"),
    );
    row("  blocks", stats.blocks.to_string());
    store
}

fn compact(store: &SeriesStore, clock: &Arc<dyn Clock>) {
    let points = store.stats().unwrap().block_points;
    let ((), took) = timed(clock, || {
        store.compact_day(Timestamp::from_millis(BEGIN)).unwrap()
    });
    let stats = store.stats().unwrap();
    row(
        "compaction of the day",
        per_s(usize::try_from(points).unwrap(), took),
    );
    let bytes = stats.bytes_per_point().expect("it holds points");
    row("bytes per point after the compaction", format!("{bytes:.2}"));
}

/// Thirty days of ten series at one minute: one of them read as samples, by hour and by day.
fn queries(clock: &Arc<dyn Clock>) {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let dir = tempfile::tempdir().unwrap();
    let store = SeriesStore::open(dir.path(), SeriesConfig::default(), Arc::clone(clock)).unwrap();
    let first = BEGIN - 30 * Timestamp::DAY_MS;
    let mut points = Vec::new();
    for minute in 0..30 * 1440 {
        for series in 0..10 {
            let value = f64::from(random.random_range(0..5_000)) / 100.0;
            points.push(point(series, first + minute * 60_000, value));
        }
    }
    store.append(&points, Lsn(1)).unwrap();
    store.flush().unwrap();
    drop(store);
    let (store, took) = timed(clock, || {
        SeriesStore::open(dir.path(), SeriesConfig::default(), Arc::clone(clock)).unwrap()
    });
    row("opening 30 days", format!("{} ms", took.as_millis()));
    let (from, to) = (Timestamp::from_millis(first), Timestamp::from_millis(BEGIN));
    let series = SeriesId(3);
    let (samples, took) = timed(clock, || store.range(series, from, to, 100_000).unwrap());
    assert_eq!(samples.len(), 30 * 1440);
    row(
        "one series, 30 days at 1 min, first time",
        format!("{} ms", took.as_millis()),
    );
    let mean = |work: &dyn Fn()| {
        let ((), took) = timed(clock, || (0..100).for_each(|_| work()));
        format!("{:.2} ms", took.as_secs_f64() * 10.0)
    };
    let range = mean(&|| drop(store.range(series, from, to, 100_000).unwrap()));
    row("one series, 30 days at 1 min, mean of 100", range);
    let hour = Span::from_secs(3600);
    row(
        "  by hour",
        mean(&|| drop(store.windows(series, from, to, hour).unwrap())),
    );
    let day = Span::from_secs(86_400);
    row(
        "  by day",
        mean(&|| drop(store.windows(series, from, to, day).unwrap())),
    );
    row(
        "  last before an instant",
        mean(&|| assert!(store.last_before(series, to).unwrap().is_some())),
    );
}
