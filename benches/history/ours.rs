//! This program's store as the server runs it: each batch in the journal, fsynced, while a thread takes the one before into
//! the series.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use store::journal::{Journal, JournalConfig};
use store::series::{Cancel, SeriesConfig, SeriesReader, SeriesStore};
use telemetry::time::{Span, SystemClock};
use telemetry::{Clock, Lsn, Origin, Point, RawMessage, SeriesId, Timestamp};

use crate::data::{self, Fleet};
use crate::engine::{Engine, Query};
use crate::process;

/// Batches between the journal and the series.
const UNDER_WAY: usize = 8;

pub(crate) struct Ours {
    folder: PathBuf,
    journal: Arc<Journal>,
    store: Arc<SeriesStore>,
    /// To the thread that takes batches into the series.
    batches: SyncSender<(Vec<Point>, Lsn)>,
    /// From it: how far it is.
    taken: Receiver<Lsn>,
    appended: Lsn,
    readable: Lsn,
    runtime: tokio::runtime::Runtime,
}

impl Ours {
    pub(crate) fn open(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("the folder is ours");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        // Raw messages are kept only until they are stored, as with the peers.
        let config = JournalConfig {
            keep: Span::ZERO,
            ..JournalConfig::default()
        };
        let journal = Journal::open(folder, config, Arc::clone(&clock)).expect("a journal");
        let store = SeriesStore::open(folder, SeriesConfig::default(), clock).expect("a store");
        let (journal, store) = (Arc::new(journal), Arc::new(store));
        let (batches, next) = sync_channel::<(Vec<Point>, Lsn)>(UNDER_WAY);
        let (told, taken) = sync_channel(2 * UNDER_WAY);
        let series = Arc::clone(&store);
        std::thread::spawn(move || {
            for (points, lsn) in next {
                series.append(&points, lsn).expect("the disk has room");
                if told.send(lsn).is_err() {
                    break;
                }
            }
        });
        Self {
            folder: folder.to_owned(),
            journal,
            store,
            batches,
            taken,
            appended: Lsn(0),
            readable: Lsn(0),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime"),
        }
    }
}

impl Engine for Ours {
    fn name(&self) -> String {
        "townwatch".to_owned()
    }

    fn promise(&self) -> String {
        "in this process; each batch fsynced in the journal as the bytes that came; readable when the next one is; no decoding".to_owned()
    }

    fn prepare(&self, fleet: &Fleet, batch: &[Point]) -> Vec<u8> {
        fleet.lines(batch)
    }

    fn append(&mut self, batch: &[Point], wire: Vec<u8>) {
        let message = RawMessage {
            arrived: Timestamp::from_millis(0),
            origin: Origin::Mqtt,
            sender: "fleet".parse().expect("a sound id"),
            topic: "tw/v1/fleet/telemetry".into(),
            payload: Bytes::from(wire),
        };
        let lsn = (self.runtime)
            .block_on(self.journal.append(vec![message]))
            .expect("the disk has room");
        self.batches
            .send((batch.to_vec(), lsn))
            .expect("the thread lives");
        self.appended = lsn;
        // What is behind must not fill the channel.
        while let Ok(taken) = self.taken.try_recv() {
            self.readable = taken;
        }
        self.journal.release(self.store.cursor());
    }

    fn catch_up(&mut self) {
        while self.readable < self.appended {
            self.readable = self.taken.recv().expect("the thread lives");
        }
    }

    fn settle(&mut self) {
        self.store.flush().expect("the disk has room");
        self.store.compact().expect("the disk has room");
        let end = Timestamp::from_millis(data::END);
        self.store.make_months(end).expect("the disk has room");
        self.journal.release(self.store.cursor());
    }

    /// Without the journal, which keeps the room of its greatest size.
    fn bytes(&self) -> u64 {
        let series = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("series");
        let entries = std::fs::read_dir(&self.folder).expect("the folder is ours");
        let entries = entries.filter_map(Result::ok).filter(series);
        entries
            .map(|entry| entry.metadata().map_or(0, |facts| facts.len()))
            .sum()
    }

    fn cost(&self) -> (f64, f64) {
        process::cost(std::process::id())
    }

    fn ask(&mut self, fleet: &Fleet, query: &Query) -> usize {
        let at = Timestamp::from_millis;
        let range = |series: u32, from: i64, to: i64| {
            let samples = self.store.range(SeriesId(series), at(from), at(to), usize::MAX);
            samples.expect("a sound store").len()
        };
        match query {
            Query::Range(series, from, to) => range(*series, *from, *to),
            Query::Many(series, from, to) => {
                let series: Vec<SeriesId> = series.iter().map(|series| SeriesId(*series)).collect();
                let samples =
                    (self.store).range_many(&series, at(*from), at(*to), usize::MAX, &Cancel::never());
                samples.expect("a sound store").iter().map(Vec::len).sum()
            }
            Query::Latest => {
                let count = u32::try_from(fleet.series.len()).expect("fewer than 2^32");
                let latest = |series| self.store.latest(SeriesId(series)).expect("a sound store");
                (0..count).filter_map(latest).count()
            }
            Query::Days(series, from, to) => {
                let day = Span::from_millis(Timestamp::DAY_MS.unsigned_abs());
                let windows = self.store.windows(SeriesId(*series), at(*from), at(*to), day);
                windows.expect("a sound store").len()
            }
        }
    }
}
