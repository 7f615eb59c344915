//! The same questions at 1, 10 and 100 times the small county: which costs grow, and how.

use std::sync::Arc;

use device_simulators::CountySize;
use store::series::{SeriesConfig, SeriesReader, SeriesStore};
use telemetry::time::{Clock, ManualClock, Span};
use telemetry::{Lsn, SeriesId, Timestamp};

use crate::data::{self, Fleet};
use crate::process;
use crate::timed::timed;

const DAYS: i64 = 3;
const ASKED: u32 = 200;
/// Series are numbered from 0 in the first copy; room for all of them lies between the copies.
const STRIDE: u32 = 1 << 16;

/// Prints the table.
pub(crate) fn table() {
    println!(
        "\n## Cost against size\n\nThe small county, and 10 and 100 copies of it under further series, {DAYS} days; medians of {ASKED}, ms. One run each.\n"
    );
    println!(
        "| copies | series | points | append, million/s | bytes/point | open | latest | a day of one | {DAYS} days by hour | latest of all |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for copies in [1, 10, 100] {
        row(copies);
    }
}

fn row(copies: u32) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut fleet = Fleet::new(CountySize::Small);
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(data::END)));
    let open = || {
        let clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        SeriesStore::open(folder.path(), SeriesConfig::default(), clock).expect("a store")
    };
    let store = open();
    let (mut points, mut seconds, mut upto) = (0, 0.0, Lsn(0));
    for day in (0..DAYS).rev() {
        let of_day = fleet.day(data::END - (day + 1) * Timestamp::DAY_MS, 1);
        for batch in of_day.chunks(data::BATCH) {
            for copy in 0..copies {
                let mut batch = batch.to_vec();
                for point in &mut batch {
                    point.series = SeriesId(point.series.0 + copy * STRIDE);
                }
                upto = Lsn(upto.0 + 1);
                let begun = process::now();
                store.append(&batch, upto).expect("the disk has room");
                seconds += begun.elapsed().as_secs_f64();
                points += batch.len();
            }
        }
    }
    let begun = process::now();
    store.flush().expect("the disk has room");
    seconds += begun.elapsed().as_secs_f64();
    store.compact().expect("the disk has room");
    let stats = store.stats().expect("a sound store");
    store.close().expect("the disk has room");
    drop(store);
    let begun = process::now();
    let store = open();
    let opened = begun.elapsed().as_secs_f64() * 1000.0;
    let count = u32::try_from(fleet.series.len()).expect("fewer than 2^32");
    print!(
        "| {copies} | {} | {points} | {:.2} | {:.2} | {opened:.1} |",
        count * copies,
        points as f64 / seconds / 1e6,
        stats.disk_bytes as f64 / points as f64
    );
    ask(&store, copies, count);
}

fn ask(store: &SeriesStore, copies: u32, count: u32) {
    let pick = |n: u32| SeriesId(n * 7919 % count + (n % copies) * STRIDE);
    let at = Timestamp::from_millis;
    let median = |question: &dyn Fn(u32) -> usize| timed(ASKED, question).p50_ms;
    let latest = median(&|n| store.latest(pick(n)).expect("sound").iter().count());
    let day = median(&|n| {
        let from = at(data::END - Timestamp::DAY_MS);
        store
            .range(pick(n), from, at(data::END), usize::MAX)
            .expect("sound")
            .len()
    });
    let hours = median(&|n| {
        let from = at(data::END - DAYS * Timestamp::DAY_MS);
        store
            .windows(pick(n), from, at(data::END), Span::from_secs(3600))
            .expect("sound")
            .len()
    });
    let begun = process::now();
    let all = (0..copies).flat_map(|copy| (0..count).map(move |n| SeriesId(n + copy * STRIDE)));
    std::hint::black_box(
        all.filter_map(|series| store.latest(series).expect("sound"))
            .count(),
    );
    let everybody = begun.elapsed().as_secs_f64() * 1000.0;
    println!(" {latest:.4} | {day:.2} | {hours:.2} | {everybody:.1} |");
}
