//! F02, F03, F04, F10 and F11 of the series store alone, with flushes and compactions under way all the time. A child
//! process writes points into a store with a small head; it is killed, or the power of its disk is cut, at random moments.
//!
//! The messages are made from their numbers, so the journal that brings them again is arithmetic.
//! `TOWNWATCH_STORE_CUTS` and `TOWNWATCH_STORE_KILLS` set how often; default 10.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use store::series::{SeriesConfig, SeriesReader, SeriesStore};
use store::testkit::MemorySeries;
use telemetry::time::{ManualClock, Span};
use telemetry::{Lsn, Point, Quality, Sample, SeriesId, Timestamp};

use super::probe::{Need, has};
use crate::support::disk::Disk;
use crate::support::{ask, random, rounds, wait};

const SEED: u64 = 20_261_125;
/// Noon of 2026-11-23, UTC.
const NOW: i64 = 1_795_435_200_000;
/// Most points are late, on the three days before: they are compacted all the time.
const SLOTS: u64 = 3 * 1440;
const SERIES: u32 = 8;
const POINTS_PER_MESSAGE: usize = 10;
/// Says to this test program that it is the writing child, and where.
const WRITER: &str = "TOWNWATCH_STORE_WRITER";

/// What came with the message of that number.
fn message(number: u64) -> Vec<Point> {
    let mut state = number;
    let point = |_| {
        let drawn = random(&mut state);
        let minute = i64::try_from(drawn / 64 % SLOTS).unwrap();
        Point {
            series: SeriesId(u32::try_from(drawn % u64::from(SERIES)).unwrap()),
            sample: Sample {
                time: Timestamp::from_millis(NOW - minute * 60_000),
                value: f64::from(u32::try_from(random(&mut state) % 4000).unwrap()) * 0.25,
                quality: Quality::Good,
            },
            arrived: Timestamp::from_millis(NOW),
            backfill: false,
        }
    };
    (0..POINTS_PER_MESSAGE).map(point).collect()
}

fn messages(after: u64, upto: u64) -> Vec<Point> {
    (after + 1..=upto).flat_map(message).collect()
}

fn open(dir: &Path) -> SeriesStore {
    let config = SeriesConfig {
        flush_points: 400,
        care_every: Span::from_secs(3600),
        ..SeriesConfig::default()
    };
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW)));
    SeriesStore::open(dir, config, clock).unwrap()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).ok();
}

/// Appends until it is killed or the disk fails. It says `A number` before messages up to that number are appended,
/// `D number` when they are on disk, `C` and `c` around a compaction.
#[test]
fn the_writing_child_of_the_cases_above() {
    let Ok(dir) = std::env::var(WRITER) else { return };
    let store = open(Path::new(&dir));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seen = 0;
            loop {
                let flushes = store.stats().map_or(seen, |stats| stats.flushes);
                if flushes == seen {
                    std::thread::yield_now();
                    continue;
                }
                seen = flushes;
                say("C");
                if store.compact().is_err() {
                    std::process::exit(3);
                }
                say("c");
            }
        });
        let (mut last, mut durable) = (store.cursor().0, 0);
        loop {
            let upto = last + 5;
            say(&format!("A {upto}"));
            if store.append(&messages(last, upto), Lsn(upto)).is_err() {
                std::process::exit(3);
            }
            last = upto;
            let cursor = store.cursor().0;
            if cursor > durable {
                durable = cursor;
                say(&format!("D {cursor}"));
            }
        }
    });
}

/// What the child said.
#[derive(Debug, Default)]
struct Told {
    appended: u64,
    /// Cursor, and when this process heard of it, in ms.
    durable: Vec<(u64, i64)>,
    compactions: u64,
    is_compacting: bool,
}

/// The writing child, with somebody who listens.
struct Writing {
    child: Child,
    told: Arc<Mutex<Told>>,
    listener: JoinHandle<()>,
}

impl Writing {
    fn start(dir: &Path) -> Self {
        let name = "faults::store::the_writing_child_of_the_cases_above";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(WRITER, dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let told: Arc<Mutex<Told>> = Arc::default();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let heard = Arc::clone(&told);
        let listener = std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut told = heard.lock().unwrap();
                let number = |line: &str| line.get(2..).and_then(|number| number.parse().ok());
                match (line.get(..1), number(&line)) {
                    (Some("A"), Some(upto)) => told.appended = upto,
                    (Some("D"), Some(cursor)) => told.durable.push((cursor, ask::now())),
                    (Some("C"), None) if line == "C" => told.is_compacting = true,
                    (Some("c"), None) if line == "c" => {
                        told.is_compacting = false;
                        told.compactions += 1;
                    }
                    _ => {}
                }
            }
        });
        let writing = Self {
            child,
            told,
            listener,
        };
        wait::until("the child writes", wait::LONG, || {
            match writing.told.lock().unwrap().durable.is_empty() {
                true => Err("nothing is on disk yet".to_owned()),
                false => Ok(()),
            }
        });
        writing
    }

    /// Ends it at once; what it said.
    fn kill(mut self) -> Told {
        self.child.kill().ok();
        self.child.wait().unwrap();
        self.listener.join().unwrap();
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

/// All that was ever appended, and what of it must be there.
struct Oracle {
    dir: PathBuf,
    model: MemorySeries,
    upto: u64,
}

impl Oracle {
    fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            model: MemorySeries::default(),
            upto: 0,
        }
    }

    /// The store opens after the child's end; its cursor is not behind what it said was on disk; when the journal has
    /// brought the rest again, everything is there, once, the newest arrival of equal times.
    fn check(&mut self, appended: u64, durable: u64) {
        let store = open(&self.dir);
        let cursor = store.cursor().0;
        assert!(cursor >= durable, "said {durable}, has {cursor}");
        let appended = appended.max(cursor).max(self.upto);
        for point in messages(self.upto, appended) {
            self.model.insert(point.series, point.sample);
        }
        self.upto = appended;
        let mut last = cursor;
        while last < appended {
            let next = (last + 50).min(appended);
            store.append(&messages(last, next), Lsn(next)).unwrap();
            last = next;
        }
        self.compare(&store);
        store.close().unwrap();
        drop(store);
        // Nothing else lies around, and what was closed is there when it is opened again.
        for entry in std::fs::read_dir(&self.dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name.starts_with("series") || name == "lost+found", "{name}");
        }
        self.compare(&open(&self.dir));
    }

    fn compare(&self, store: &SeriesStore) {
        let (from, to) = (Timestamp::MIN, Timestamp::MAX);
        for series in (0..SERIES).map(SeriesId) {
            let found = store.range(series, from, to, 1_000_000).unwrap();
            let wanted = self.model.range(series, from, to, 1_000_000).unwrap();
            let differs = found.iter().zip(&wanted).find(|(a, b)| a != b);
            assert!(
                found == wanted,
                "series {}: {} samples for {}; first {differs:?}",
                series.0,
                found.len(),
                wanted.len()
            );
            assert_eq!(
                store.latest(series).unwrap(),
                self.model.latest(series).unwrap(),
                "latest"
            );
        }
    }

    /// Every question of the suite for engines, after everything is compacted.
    fn agree(&self) {
        let store = open(&self.dir);
        store.compact().unwrap();
        let all: Vec<SeriesId> = (0..SERIES).map(SeriesId).collect();
        store::testkit::agree(&store, &self.model, &all, Timestamp::from_millis(NOW)).unwrap();
    }
}

/// What the child said was on disk before that moment.
fn durable_before(told: &Told, ms: i64) -> u64 {
    let before = told.durable.iter().filter(|(_, at)| *at < ms);
    before.map(|(cursor, _)| *cursor).max().unwrap_or(0)
}

#[test]
fn a_store_that_is_killed_while_it_flushes_and_compacts_loses_and_doubles_nothing() {
    let rounds = rounds("TOWNWATCH_STORE_KILLS", 10);
    let dir = tempfile::tempdir().unwrap();
    let mut oracle = Oracle::new(dir.path());
    let (mut state, mut compacting, mut compactions) = (SEED, 0, 0);
    for _ in 0..rounds {
        let writing = Writing::start(dir.path());
        std::thread::park_timeout(Duration::from_millis(random(&mut state) % 300));
        let told = writing.kill();
        compacting += u64::from(told.is_compacting);
        compactions += told.compactions;
        // Killed is not without power: all that it said before its end counts.
        oracle.check(told.appended, durable_before(&told, i64::MAX));
    }
    oracle.agree();
    println!(
        "F02: seed {SEED}, {rounds} kills, {compacting} of them in a compaction, {} messages, {compactions} compactions",
        oracle.upto
    );
}

#[test]
fn a_store_whose_power_is_cut_while_it_flushes_and_compacts_keeps_what_it_said_was_on_disk() {
    if !has("F03 and F04 power cut of the store", Need::LoopMount) {
        return;
    }
    let rounds = rounds("TOWNWATCH_STORE_CUTS", 10);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let disk = Disk::new(&dir, 64);
    let mut oracle = Oracle::new(&dir);
    let (mut state, mut compacting, mut compactions) = (SEED, 0, 0);
    for _ in 0..rounds {
        let writing = Writing::start(&dir);
        std::thread::park_timeout(Duration::from_millis(random(&mut state) % 300));
        let cut_at = disk.cut_power();
        compacting += u64::from(writing.told.lock().unwrap().is_compacting);
        let told = writing.kill();
        compactions += told.compactions;
        disk.power_on();
        oracle.check(told.appended, durable_before(&told, cut_at));
    }
    oracle.agree();
    println!(
        "F03, F04: seed {SEED}, {rounds} power cuts, {compacting} of them in a compaction, {} messages, {compactions} compactions",
        oracle.upto
    );
}

#[test]
fn a_store_on_a_full_disk_refuses_whole_batches_answers_and_goes_on_when_there_is_space() {
    if !has("F10 and F11 full disk of the store", Need::LoopMount) {
        return;
    }
    // Given a store with some days on a small disk that somebody else fills,
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let _disk = Disk::new(&dir, 24);
    let mut oracle = Oracle::new(&dir);
    let store = open(&dir);
    let mut last = 0;
    let mut append = |store: &SeriesStore| {
        let appended = store.append(&messages(last, last + 5), Lsn(last + 5));
        if appended.is_ok() {
            last += 5;
        }
        appended.map(|_| last)
    };
    for _ in 0..200 {
        append(&store).unwrap();
    }
    // A day that nobody has open cannot be read on a full disk, for SQLite wants 32 KiB for the index of its log: known,
    // so all are opened before.
    let everything = |store: &SeriesStore| {
        let all = (0..SERIES).map(SeriesId);
        all.map(|series| {
            store
                .range(series, Timestamp::MIN, Timestamp::MAX, 1_000_000)
                .map(|found| found.len())
        })
        .sum::<Result<usize, _>>()
    };
    everything(&store).unwrap();
    let filler = dir.join("series-filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    for bytes in [1 << 20, 1 << 12] {
        let block = vec![7u8; bytes];
        while file.write_all(&block).is_ok() {}
    }
    file.sync_all().ok();
    // when more comes, then a batch is refused, and a compaction fails;
    let refused = (0..2000).map(|_| append(&store)).find(Result::is_err);
    assert!(refused.is_some(), "the disk never was full");
    store.compact().ok();
    // what was taken is there all the same, and what was refused is not.
    for point in messages(0, last) {
        oracle.model.insert(point.series, point.sample);
    }
    oracle.upto = last;
    oracle.compare(&store);
    // When there is space again it goes on without a restart, and a restart finds everything.
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    store
        .append(&messages(last, last + 5), Lsn(last + 5))
        .expect("there is space again");
    store.compact().unwrap();
    store.close().unwrap();
    drop(store);
    oracle.check(last + 5, last + 5);
    oracle.agree();
}
