use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Mutex;

use flate2::read::GzDecoder;
use telemetry::time::ManualClock;
use telemetry::{Point, Quality, Sample, Timestamp};

use super::super::testkit::{Asked, Stub, catalogue, station_series};
use super::super::{Credentials, EngineSettings, Remote, Secret};
use super::*;

const NO_CONTENT: &str = "204 No Content";

/// The three ways in which lines are sent: by the crate `influxdb2`, and by our own client to either engine.
fn ways(stub: &Stub) -> [RemoteSettings; 3] {
    let influx = || EngineSettings::Influx {
        organisation: "county".to_owned(),
        bucket: "townwatch".to_owned(),
    };
    let victoria = EngineSettings::Victoria {
        query_url: None,
        tenant: None,
        watch: Vec::new(),
    };
    let basic = || Credentials::Basic {
        user: "tests".to_owned(),
        password: Secret::new("secret".to_owned()),
    };
    let token = Credentials::Token(Secret::new("a-token".to_owned()));
    [(influx(), token), (influx(), basic()), (victoria, basic())].map(|(engine, credentials)| {
        RemoteSettings {
            engine,
            url: format!("http://{}", stub.address),
            credentials,
            ca: None,
            measurement: "townwatch".to_owned(),
            tags: Vec::new(),
            timeout: Span::from_secs(30),
            lines_max: 40,
            replay_window: Span::ZERO,
        }
    })
}

/// The lines of a write, however they are packed.
fn lines_of(asked: &Asked) -> Vec<String> {
    let packed = asked.head.to_ascii_lowercase().contains("content-encoding: gzip");
    let mut text = String::new();
    if packed {
        GzDecoder::new(asked.body.as_slice())
            .read_to_string(&mut text)
            .unwrap();
    } else {
        text.push_str(std::str::from_utf8(&asked.body).unwrap());
    }
    text.lines().map(str::to_owned).collect()
}

/// A state database in a folder, a clock, and messages of one point each, whose value is their number.
struct Desk {
    _folder: tempfile::TempDir,
    state: Arc<State>,
    catalogue: Arc<Catalogue>,
    clock: Arc<ManualClock>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
        Self {
            _folder: folder,
            state,
            catalogue: catalogue(),
            clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_795_469_924_901))),
        }
    }

    fn writer(&self, remote: &Remote) -> Writer {
        let (state, catalogue) = (Arc::clone(&self.state), Arc::clone(&self.catalogue));
        remote.writer(state, catalogue, self.clock.clone()).unwrap()
    }

    fn batch(&self, numbers: Range<u32>) -> Batch {
        let level = station_series(&self.catalogue, "level");
        let now = self.clock.now();
        let point = |number: u32| Point {
            series: level,
            sample: Sample {
                time: Timestamp::from_millis(i64::from(number)),
                value: f64::from(number),
                quality: Quality::Good,
            },
            arrived: now,
            backfill: false,
        };
        Batch {
            last: Lsn(u64::from(numbers.end) - 1),
            points: numbers.map(point).collect(),
            ..Batch::default()
        }
    }
}

#[test]
fn an_engine_that_is_too_busy_is_left_alone_for_as_long_as_it_asks() {
    for way in 0..3 {
        // Given an engine that is too busy at first, and asks for a pause of seven seconds,
        let desk = Desk::new();
        let writes: Arc<Mutex<Vec<(Span, usize)>>> = Arc::default();
        let (clock, seen) = (desk.clock.clone(), Arc::clone(&writes));
        let stub = Stub::start(move |asked| {
            let lines = lines_of(asked).len();
            let mut seen = seen.lock().unwrap();
            let first = seen.is_empty();
            if lines > 0 {
                seen.push((clock.monotonic(), lines));
            }
            if first || lines == 0 {
                let busy = "429 Too Many Requests\r\nRetry-After: 7";
                return (busy.to_owned(), String::new());
            }
            (NO_CONTENT.to_owned(), String::new())
        });
        let remote = Remote::open(ways(&stub)[way].clone()).unwrap();
        let mut writer = desk.writer(&remote);
        writer.gather(&desk.batch(1..11));
        // when the clock goes on by half a second at each look whether to stop,
        let stop = || {
            desk.clock.advance(Span::from_millis(500));
            false
        };
        assert_eq!(writer.turn(&stop), Turn::Done);
        // then the same ten lines come a second time, seven seconds later at the earliest, and not a third time.
        let writes = writes.lock().unwrap();
        let lines: Vec<usize> = writes.iter().map(|(_, lines)| *lines).collect();
        assert_eq!(lines, [10, 10], "way {way}");
        let waited = writes[1].0.millis() - writes[0].0.millis();
        assert!(waited >= 7000, "way {way}: {waited} ms");
        let status = remote.status();
        assert_eq!(status.retried.load(Ordering::Relaxed), 1);
        assert_eq!(status.sent.load(Ordering::Relaxed), 10);
        assert_eq!(status.trouble(), None);
    }
}

#[test]
fn refused_lines_become_dead_letters_once_and_their_neighbours_arrive() {
    for way in 0..3 {
        // Given an engine that refuses a whole request for one bad line in it,
        let desk = Desk::new();
        let taken: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let seen = Arc::clone(&taken);
        let is_bad = |line: &String| line.contains("value=13.0") || line.contains("value=77.0");
        let stub = Stub::start(move |asked| {
            let lines = lines_of(asked);
            if lines.iter().any(is_bad) {
                let why = r#"{"code":"invalid","message":"a number that brings bad luck"}"#;
                return ("400 Bad Request".to_owned(), why.to_owned());
            }
            seen.lock().unwrap().extend(lines);
            (NO_CONTENT.to_owned(), String::new())
        });
        let remote = Remote::open(ways(&stub)[way].clone()).unwrap();
        let mut writer = desk.writer(&remote);
        // when a hundred lines are sent, of which two are bad,
        writer.gather(&desk.batch(1..101));
        assert_eq!(writer.turn(&|| false), Turn::Done);
        writer.finish();
        assert_eq!(writer.cursor(), Lsn(100));
        // then all others are there, and the two are dead letters with what the engine said.
        assert_eq!(taken.lock().unwrap().len(), 98, "way {way}");
        let letters = desk.state.dead_letters(10).unwrap();
        let texts: Vec<&str> = letters
            .iter()
            .map(|letter| std::str::from_utf8(&letter.payload).unwrap())
            .collect();
        assert_eq!(letters.len(), 2, "way {way}: {letters:?}");
        for (letter, value) in letters.iter().zip(["77.0", "13.0"]) {
            assert!(letter.reason.contains("bad luck"), "{letter:?}");
            assert_eq!(letter.sender.as_str(), "station-1");
            assert!(
                texts.iter().any(|text| text.contains(&format!("value={value}"))),
                "{texts:?}"
            );
        }
        // A writer that has to send them again, as after a restart before the cursor was kept, makes no second letters.
        let behind = RemoteCursor {
            durable: Lsn(0),
            sent: Lsn(100),
        };
        let identity = ways(&stub)[way].identity();
        let bounds = crate::state::dead_letters::DeadLetterBounds::default();
        desk.state.advance_remote(&identity, behind, &[], bounds).unwrap();
        let mut writer = desk.writer(&remote);
        assert_eq!(writer.cursor(), Lsn(0));
        writer.gather(&desk.batch(1..101));
        assert_eq!(writer.turn(&|| false), Turn::Done);
        writer.finish();
        assert_eq!(writer.cursor(), Lsn(100));
        assert_eq!(desk.state.dead_letters(10).unwrap().len(), 2, "way {way}");
    }
}

#[test]
fn what_says_nothing_about_the_lines_gives_up_none_of_them() {
    for way in 0..3 {
        // Given answers of a wrong token, a missing bucket, a redirect, a full disk, a proxy and of what is no engine,
        let answers = [
            ("401 Unauthorized", ""),
            ("404 Not Found", ""),
            ("301 Moved Permanently\r\nLocation: /", ""),
            ("507 Insufficient Storage", "no space left on device"),
            ("502 Bad Gateway", "<html>"),
            (
                "400 Bad Request",
                "Client sent an HTTP request to an HTTPS server.",
            ),
        ];
        let desk = Desk::new();
        let asked = Arc::new(Mutex::new(0usize));
        let count = Arc::clone(&asked);
        let stub = Stub::start(move |_| {
            let mut count = count.lock().unwrap();
            let (status, body) = answers.get(*count).copied().unwrap_or((NO_CONTENT, ""));
            *count += 1;
            (status.to_owned(), body.to_owned())
        });
        let remote = Remote::open(ways(&stub)[way].clone()).unwrap();
        let mut writer = desk.writer(&remote);
        writer.gather(&desk.batch(1..11));
        // when the clock passes quickly,
        let stop = || {
            desk.clock.advance(Span::from_secs(10));
            false
        };
        assert_eq!(writer.turn(&stop), Turn::Done);
        // then the lines have come again until they were taken, each answer having cost one try.
        let status = remote.status();
        assert_eq!(*asked.lock().unwrap(), answers.len() + 1, "way {way}");
        assert_eq!(status.retried.load(Ordering::Relaxed), answers.len() as u64);
        assert_eq!(status.sent.load(Ordering::Relaxed), 10);
        assert_eq!(status.refused.load(Ordering::Relaxed), 0);
        assert!(desk.state.dead_letters(10).unwrap().is_empty());
    }
}
