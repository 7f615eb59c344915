//! What every engine is asked, and how it is timed.

use device_simulators::CountySize;
use telemetry::{Point, Timestamp};

use crate::data::{self, Fleet};
use crate::timed::{Timed, timed};
use crate::{duck, influx, ours, process, rows, victoria};

/// How often each query is asked, of another series or night each time.
const ASKED: u32 = 20;

/// A question.
#[derive(Clone, Debug)]
pub(crate) enum Query {
    /// Every point of a series between two instants.
    Range(u32, i64, i64),
    /// Every point of many series of one signal between two instants.
    Many(Vec<u32>, i64, i64),
    /// The newest value of every series.
    Latest,
    /// Count, least, greatest and sum by UTC day.
    Days(u32, i64, i64),
}

/// One of those that are compared.
pub(crate) trait Engine {
    fn name(&self) -> String;
    /// What has happened to a batch when `append` comes back.
    fn promise(&self) -> String;
    /// Prepares a batch outside of the measured time: as the bytes that would go over the wire.
    fn prepare(&self, fleet: &Fleet, batch: &[Point]) -> Vec<u8>;
    /// Takes a batch.
    fn append(&mut self, batch: &[Point], wire: Vec<u8>);
    /// Waits until everything that was appended can be read, where `append` came back before.
    fn catch_up(&mut self) {}
    /// Writes everything and makes it as small as it gets.
    fn settle(&mut self);
    /// Bytes on disk.
    fn bytes(&self) -> u64;
    /// CPU seconds and resident MiB of the process that does the work.
    fn cost(&self) -> (f64, f64);
    /// Asks; gives how many rows came back.
    fn ask(&mut self, fleet: &Fleet, query: &Query) -> usize;
}

/// What was measured of one engine.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) points: usize,
    pub(crate) append_s: f64,
    pub(crate) settle_s: f64,
    pub(crate) cpu_s: f64,
    pub(crate) memory_mib: f64,
    pub(crate) bytes: u64,
    /// Of each kind of question.
    pub(crate) queries: Vec<Timed>,
}

/// The questions, by kind: asked of 30 days of the whole fleet and of a year of every `YEAR_STEP`th device.
pub(crate) fn questions(fleet: &Fleet, days: i64) -> Vec<(&'static str, Vec<Query>)> {
    let day = Timestamp::DAY_MS;
    let (from, to) = (data::END - days * day, data::END);
    let flows = fleet.of(|series| series.signal == "flow" || series.signal == "level");
    let lamps = fleet.of(|series| series.signal == "power" || series.signal == "dimming");
    let pick = |n: u32| {
        *flows
            .get(n as usize % flows.len())
            .expect("the county has stations")
    };
    // A night from noon to noon UTC+8.
    let night = |n: u32| data::END - day * i64::from(n % 20 + 2) + 4 * 3_600_000;
    vec![
        (
            "one series, the whole time, every point",
            (0..ASKED).map(|n| Query::Range(pick(n), from, to)).collect(),
        ),
        (
            "lamps, one night, every point",
            (0..ASKED)
                .map(|n| Query::Many(lamps.clone(), night(n), night(n) + day))
                .collect(),
        ),
        (
            "latest value of every series",
            (0..ASKED).map(|_| Query::Latest).collect(),
        ),
        (
            "one series, the whole time, by day",
            (0..ASKED).map(|n| Query::Days(pick(n), from, to)).collect(),
        ),
    ]
}

/// Appends everything to `engine`, lets it settle and asks.
fn measure(engine: &mut dyn Engine, fleet: &mut Fleet, days: i64) -> Measured {
    let mut measured = Measured::default();
    let (cpu, _) = engine.cost();
    for day in (0..days).rev() {
        let points = fleet.day(data::END - (day + 1) * Timestamp::DAY_MS, 1);
        let prepared: Vec<(&[Point], Vec<u8>)> = points
            .chunks(data::BATCH)
            .map(|batch| (batch, engine.prepare(fleet, batch)))
            .collect();
        let begun = process::now();
        for (batch, wire) in prepared {
            engine.append(batch, wire);
        }
        engine.catch_up();
        measured.append_s += begun.elapsed().as_secs_f64();
        measured.points += points.len();
    }
    let begun = process::now();
    engine.settle();
    measured.settle_s = begun.elapsed().as_secs_f64();
    let (after, memory) = engine.cost();
    (measured.cpu_s, measured.memory_mib) = (after - cpu, memory);
    measured.bytes = engine.bytes();
    for (_, queries) in questions(fleet, days) {
        let mut queries = queries.iter().cycle();
        measured.queries.push(timed(ASKED, |_| {
            let query = queries.next().expect("there are questions");
            engine.ask(fleet, query)
        }));
    }
    measured
}

/// Starts an engine; none where it is not to be had.
type Start = Box<dyn FnOnce() -> Option<Box<dyn Engine>>>;

/// Prints the tables; of one engine only, when it is named.
pub(crate) fn table(days: i64, only: Option<&str>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut all: Vec<(String, String, Measured)> = Vec::new();
    let mut fleet = Fleet::new(CountySize::Small);
    let mut engines: Vec<(&str, Start)> = Vec::new();
    let of = |name: &str| folder.path().join(name);
    let (ours, rows, victoria, influx) = (of("ours"), of("rows"), of("victoria"), of("influx"));
    engines.push((
        "townwatch",
        Box::new(move || Some(Box::new(ours::Ours::open(&ours)))),
    ));
    let start = move || victoria::Victoria::start(&victoria).map(|e| Box::new(e) as _);
    engines.push(("victoria", Box::new(start)));
    let start = move || influx::Influx::start(&influx).map(|e| Box::new(e) as _);
    engines.push(("influxdb", Box::new(start)));
    engines.push((
        "sqlite",
        Box::new(move || Some(Box::new(rows::Rows::open(&rows)))),
    ));
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    for (name, start) in engines {
        if wanted(name)
            && let Some(mut engine) = start()
        {
            let measured = measure(&mut *engine, &mut fleet, days);
            all.push((engine.name(), engine.promise(), measured));
        }
    }
    let duck = folder.path().join("duck");
    if wanted("duckdb")
        && let Some(measured) = duck::measure(&duck, &mut fleet, days)
    {
        all.push((duck::NAME.to_owned(), duck::PROMISE.to_owned(), measured));
    }
    print(&fleet, days, &all);
}

fn print(fleet: &Fleet, days: i64, all: &[(String, String, Measured)]) {
    let points = all.first().map_or(0, |(_, _, measured)| measured.points);
    println!(
        "\n## The store beside its peers\n\nThe simulated small county ({} devices, {} series), {days} days, {points} points in batches of {}, \
         by time. CPU and memory are those of the process that stores. *Settled*: flushed and compacted.\n",
        fleet.size(),
        fleet.series.len(),
        data::BATCH
    );
    for (name, promise, _) in all {
        println!("- {name}: {promise}");
    }
    println!(
        "\n| engine | points/s appended | CPU s per million points | MiB | settled after, s | bytes/point |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, _, m) in all {
        println!(
            "| {name} | {:.0} | {:.2} | {:.0} | {:.1} | {:.2} |",
            m.points as f64 / m.append_s,
            m.cpu_s / (m.points as f64 / 1e6),
            m.memory_mib,
            m.settle_s,
            m.bytes as f64 / m.points as f64
        );
    }
    println!(
        "\nEach question {ASKED} times, of another series or night each time; p50 / p99 ms, and the rows of the largest answer.\n"
    );
    println!(
        "| question | {} |",
        all.iter()
            .map(|(name, _, _)| name.as_str())
            .collect::<Vec<_>>()
            .join(" | ")
    );
    println!("| --- |{}", " --- |".repeat(all.len()));
    for (place, (what, _)) in questions(fleet, days).iter().enumerate() {
        let cells: Vec<String> = all
            .iter()
            .map(|(_, _, m)| {
                m.queries
                    .get(place)
                    .map_or_else(String::new, |Timed { p50_ms, p99_ms, rows }| {
                        format!("{p50_ms:.2} / {p99_ms:.2} ({rows})")
                    })
            })
            .collect();
        println!("| {what} | {} |", cells.join(" | "));
    }
}
