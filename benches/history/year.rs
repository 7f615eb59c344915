//! A year of a county straight into the store: what it costs to write, to keep and to ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use device_simulators::CountySize;
use store::series::{SeriesConfig, SeriesReader, SeriesStore};
use telemetry::time::{Clock, ManualClock, Span};
use telemetry::{Lsn, SeriesId, Timestamp};

use crate::data::{self, Fleet};
use crate::process;
use crate::timed::{Timed, timed};

/// How often each question is asked, of another series each time.
const ASKED: u32 = 200;

/// Prints the tables.
pub(crate) fn table(size: CountySize, days: i64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut fleet = Fleet::new(size);
    // The clock goes with the data, so that days are over when they are.
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(
        data::END - days * Timestamp::DAY_MS,
    )));
    let open = || {
        let clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        // It is looked after by this thread only, so that the times are its own.
        let config = SeriesConfig {
            care_every: Span::from_millis(u64::MAX),
            ..SeriesConfig::default()
        };
        SeriesStore::open(folder.path(), config, clock).expect("a store")
    };
    let store = open();
    let wrote = write(&store, &clock, &mut fleet, days);
    let points = wrote.points;
    let (_, memory) = process::cost(std::process::id());
    let stats = store.stats().expect("a sound store");
    store.close().expect("the disk has room");
    drop(store);
    let begun = process::now();
    let store = open();
    let started = begun.elapsed();
    let million = points as f64 / 1e6;
    println!(
        "\n## A county's history\n\n{size:?} county, {} devices, {} series, {days} days: {points} points, generated outside of the measured times, \
         flushed and compacted day by day, one thread.\n",
        fleet.size(),
        fleet.series.len()
    );
    println!("| | |\n| --- | --- |");
    let rates = [
        ("append and flush", wrote.appended),
        ("compaction and rollups", wrote.compacted),
        ("months out of days", wrote.moved),
    ];
    for (what, took) in rates {
        println!(
            "| {what}, million points/s | {:.2} |",
            million / took.as_secs_f64()
        );
    }
    println!(
        "| bytes/point on disk, all files | {:.2} |",
        stats.disk_bytes as f64 / points as f64
    );
    println!(
        "| files, MiB | {:.0} |",
        stats.disk_bytes as f64 / f64::from(1 << 20)
    );
    println!("| opening it again, ms | {:.1} |", started.as_secs_f64() * 1000.0);
    println!("| resident memory after the last day, generator included, MiB | {memory:.0} |");
    queries(&store, &fleet, days);
    kinds(&store, &fleet, days);
}

/// What writing took.
#[derive(Default)]
struct Wrote {
    points: usize,
    appended: Duration,
    compacted: Duration,
    moved: Duration,
}

fn write(store: &SeriesStore, clock: &ManualClock, fleet: &mut Fleet, days: i64) -> Wrote {
    let mut wrote = Wrote::default();
    let mut upto = Lsn(0);
    for day in (0..days).rev() {
        let begin = data::END - (day + 1) * Timestamp::DAY_MS;
        let of_day = fleet.day(begin, 1);
        clock.advance(Span::from_millis(Timestamp::DAY_MS.unsigned_abs()));
        let begun = process::now();
        for batch in of_day.chunks(data::BATCH) {
            upto = Lsn(upto.0 + 1);
            store.append(batch, upto).expect("the disk has room");
        }
        store.flush().expect("the disk has room");
        wrote.appended += begun.elapsed();
        let begun = process::now();
        store.compact().expect("the disk has room");
        wrote.compacted += begun.elapsed();
        let begun = process::now();
        store.make_months(clock.now()).expect("the disk has room");
        wrote.moved += begun.elapsed();
        wrote.points += of_day.len();
    }
    wrote
}

fn queries(store: &SeriesStore, fleet: &Fleet, days: i64) {
    let at = Timestamp::from_millis;
    let (day, end) = (Timestamp::DAY_MS, data::END);
    let minute = Span::from_secs(60);
    let whole = Span::from_millis(day.unsigned_abs());
    let count = u32::try_from(fleet.series.len()).expect("fewer than 2^32");
    let pick = |n: u32| SeriesId(n * 7919 % count);
    let begin = end - days * day;
    let month = begin.max(end - 30 * day);
    println!(
        "\n| question, {ASKED} times of another series | p50 ms | p99 ms | rows |\n| --- | --- | --- | --- |"
    );
    let ask = |what: &str, question: &dyn Fn(u32) -> usize| {
        let Timed { p50_ms, p99_ms, rows } = timed(ASKED, question);
        println!("| {what} | {p50_ms:.2} | {p99_ms:.2} | {rows} |");
    };
    let windows = |series, from, to, every| {
        store
            .windows(series, at(from), at(to), every)
            .expect("sound")
            .len()
    };
    ask("the last day, every point", &|n| {
        store
            .range(pick(n), at(end - day), at(end), usize::MAX)
            .expect("sound")
            .len()
    });
    ask("30 days in windows of a minute", &|n| {
        windows(pick(n), month, end, minute)
    });
    ask("the whole time by day", &|n| windows(pick(n), begin, end, whole));
    ask("latest value", &|n| {
        store.latest(pick(n)).expect("sound").iter().count()
    });
    ask("last value before a month ago", &|n| {
        store
            .last_before(pick(n), at(month))
            .expect("sound")
            .iter()
            .count()
    });
}

/// What the points of each kind of device cost, by the share of each column.
fn kinds(store: &SeriesStore, fleet: &Fleet, days: i64) {
    let mut kinds: BTreeMap<&str, store::series::Usage> = BTreeMap::new();
    // A week is the same as a year here, and quickly read.
    let from = Timestamp::from_millis(data::END - days.min(7) * Timestamp::DAY_MS);
    store
        .usage(from, Timestamp::from_millis(data::END), &mut |series, usage| {
            kinds.entry(fleet.profile(series.0)).or_default().add(usage);
        })
        .expect("a sound store");
    println!("\n| profile | points | bytes/point | summaries | values | times | qualities | rollups |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (kind, usage) in kinds {
        let share = |bytes: u64| 100.0 * bytes as f64 / usage.bytes() as f64;
        println!(
            "| {kind} | {} | {:.2} | {:.0} % | {:.0} % | {:.0} % | {:.0} % | {:.0} % |",
            usage.points,
            usage.bytes() as f64 / usage.points as f64,
            share(usage.summaries),
            share(usage.values),
            share(usage.times),
            share(usage.qualities),
            share(usage.rollups)
        );
    }
}
