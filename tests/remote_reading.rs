//! The suite of questions that every engine has to answer as the model does (`store::testkit::agree`), put to the real
//! engines: after random writes, late ones, repeated ones and kills of the engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use store::remote::{BothReader, Credentials, EngineSettings, Remote, RemoteSettings, Secret, Turn, Writer};
use store::series::SeriesReader;
use store::state::State;
use store::testkit::{MemorySeries, agree};
use telemetry::quality::{Bad, Quality, Uncertain};
use telemetry::time::{Clock, Span, SystemClock};
use telemetry::{Batch, Catalogue, Lsn, Point, Sample, SeriesId, Timestamp};

use crate::support::engines::{Influx, TOKEN, Victoria};
use crate::support::{county, wait};

const DAY_MS: u64 = 86_400_000;
const ROUNDS: u64 = 6;
const POINTS: u64 = 400;

/// Pseudo-random numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn catalogue() -> Arc<Catalogue> {
    catalogue_of(&format!(
        "{}{}",
        county::one_station(),
        county::mqtt_device("station.2", "sewage-station-small")
    ))
}

fn catalogue_of(registry: &str) -> Arc<Catalogue> {
    let mut next = 0;
    let catalogue = Catalogue::build(
        toml::from_str(registry).unwrap(),
        &telemetry::profile::builtin().unwrap(),
        |_, _| {
            next += 1;
            SeriesId(next)
        },
    );
    Arc::new(catalogue.unwrap())
}

fn settings(engine: EngineSettings, url: String, credentials: Credentials, window_s: u64) -> RemoteSettings {
    RemoteSettings {
        engine,
        url,
        credentials,
        ca: None,
        measurement: "townwatch".to_owned(),
        tags: vec![("county".to_owned(), "庆元 1".to_owned())],
        timeout: Span::from_secs(10),
        lines_max: 150,
        replay_window: Span::from_secs(window_s),
    }
}

/// What was written, as the journal would bring it again, and what has to be there.
struct Ledger {
    dice: Dice,
    now: Timestamp,
    series: Vec<SeriesId>,
    batches: Vec<Batch>,
    model: MemorySeries,
    /// Whether a point of a known time may come with another value.
    overwrites: bool,
}

impl Ledger {
    fn new(catalogue: &Catalogue, overwrites: bool) -> Self {
        let of = |device, signal| catalogue.series_id(device, signal).unwrap();
        Self {
            dice: Dice(20_261_123),
            now: SystemClock::new().now(),
            series: vec![
                of("station-1", "level"),
                of("station-1", "flow"),
                of("station.2", "level"),
            ],
            batches: Vec::new(),
            model: MemorySeries::default(),
            overwrites,
        }
    }

    /// The points of one more message: of today and of up to four days ago, some at times that are known already.
    fn write(&mut self) {
        let mut points = Vec::new();
        for _ in 0..POINTS {
            let place = usize::try_from(self.dice.below(self.series.len() as u64)).unwrap();
            let series = self.series[place];
            // Whole seconds, of which a late tenth is a second time in minutes that have points.
            let back = if self.dice.below(4) == 0 {
                self.dice.below(4 * DAY_MS)
            } else {
                self.dice.below(3_600_000)
            };
            let time = self.now.minus(Span::from_millis(back / 1000 * 1000));
            let known = self
                .model
                .range(series, time, time.plus(Span::from_millis(1)), 1)
                .unwrap();
            let sample = match known.first() {
                Some(known) if !self.overwrites => *known,
                _ => Sample {
                    time,
                    value: f64::from(u32::try_from(self.dice.below(4000)).unwrap()) / 4.0 - 500.0,
                    quality: match self.dice.below(10) {
                        0 => Quality::Bad(Bad::OutOfRange),
                        1 => Quality::Uncertain(Uncertain::Reported),
                        2 => Quality::Bad(Bad::Reported),
                        _ => Quality::Good,
                    },
                },
            };
            self.model.insert(series, sample);
            points.push(Point {
                series,
                sample,
                arrived: self.now,
                backfill: false,
            });
        }
        self.batches.push(Batch {
            points,
            last: Lsn(self.batches.len() as u64 + 1),
            ..Batch::default()
        });
    }

    /// Sends what comes after `position` until all is acknowledged, going back where the writer asks for that; and has one
    /// turn more, with nothing. Where it stands then.
    fn send(&self, writer: &mut Writer, mut position: Lsn) -> Lsn {
        let clock = SystemClock::new();
        let too_long = || clock.monotonic().duration() > wait::LONG;
        loop {
            let next = self.batches.iter().find(|batch| batch.last > position);
            if let Some(batch) = next {
                writer.gather(batch);
            }
            position = match writer.turn(&too_long) {
                Turn::Done => next.map_or(position, |batch| batch.last),
                Turn::GoBack(to) => to,
                Turn::Stopped => panic!("not sent within {:?}", wait::LONG),
            };
            if next.is_none() {
                return position;
            }
        }
    }

    fn upto(&self) -> Lsn {
        Lsn(self.batches.len() as u64)
    }
}

/// Both readers against the model: the engine alone, and together with a store that has every third point.
fn compare(remote: &Remote, catalogue: &Arc<Catalogue>, ledger: &Ledger) {
    let reader = remote.reader(Arc::clone(catalogue), Arc::new(SystemClock::new()));
    agree(&reader, &ledger.model, &ledger.series, ledger.now).unwrap();
    let local = MemorySeries::default();
    let everything = (Timestamp::EPOCH, Timestamp::MAX);
    for series in &ledger.series {
        let all = ledger
            .model
            .range(*series, everything.0, everything.1, 1_000_000)
            .unwrap();
        for sample in all.into_iter().step_by(3) {
            local.insert(*series, sample);
        }
    }
    let both = BothReader {
        local: Arc::new(local),
        remote: reader,
    };
    agree(&both, &ledger.model, &ledger.series, ledger.now).unwrap();
}

/// One reading of each of 300 lamps, 2,100 series, and all of them asked for at once.
fn newest_of_many(remote: &Remote, victoria: Option<&Victoria>) {
    let lamps: String = (0..300)
        .map(|place| county::mqtt_device(&format!("lamp-{place}"), "street-lamp"))
        .collect();
    let lamps = catalogue_of(&format!("{}{lamps}", county::HEAD));
    let series: Vec<SeriesId> = (lamps.devices().iter())
        .flat_map(|entry| entry.series.iter().copied())
        .collect();
    assert_eq!(series.len(), 2100);
    let clock = Arc::new(SystemClock::new());
    let now = clock.now();
    let samples: Vec<Sample> = (0..2100u32)
        .map(|place| Sample {
            time: now.minus(Span::from_millis(u64::from(place))),
            value: f64::from(place),
            quality: Quality::Good,
        })
        .collect();
    let points = series.iter().zip(&samples).map(|(series, sample)| Point {
        series: *series,
        sample: *sample,
        arrived: now,
        backfill: false,
    });
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
    let mut writer = remote.writer(state, Arc::clone(&lamps), clock.clone()).unwrap();
    writer.gather(&Batch {
        points: points.collect(),
        last: Lsn(1),
        ..Batch::default()
    });
    let too_long = || clock.monotonic().duration() > wait::LONG;
    assert_eq!(writer.turn(&too_long), Turn::Done);
    victoria.inspect(|victoria| victoria.flush().unwrap());
    let reader = remote.reader(lamps, clock.clone());
    let found: Vec<Sample> = reader
        .latest_many(&series)
        .unwrap()
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(found, samples);
    let (from, to) = (now.minus(Span::from_secs(10)), now.plus(Span::from_secs(1)));
    let never = store::series::Cancel::never();
    let ranges = reader.range_many(&series, from, to, 10_000, &never).unwrap();
    assert_eq!(ranges.concat(), samples);
}

#[test]
fn influxdb_answers_every_question_as_the_model_does_and_of_one_time_the_newest_counts() {
    let Some(mut influx) = Influx::start() else { return };
    let catalogue = catalogue();
    let engine = EngineSettings::Influx {
        organisation: "county".to_owned(),
        bucket: "townwatch".to_owned(),
    };
    let credentials = Credentials::Token(Secret::new(TOKEN.to_owned()));
    let url = format!("http://{}", influx.address);
    let remote = Remote::open(settings(engine, url, credentials, 0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
    let clock = Arc::new(SystemClock::new());
    let mut ledger = Ledger::new(&catalogue, true);
    for round in 0..ROUNDS {
        // Given points of today and late ones, of which some come a second time with another value or quality,
        let before = ledger.upto();
        ledger.write();
        // through a writer that goes on where the one before it stopped,
        let mut writer = remote
            .writer(Arc::clone(&state), Arc::clone(&catalogue), clock.clone())
            .unwrap();
        assert_eq!(writer.cursor(), before);
        ledger.send(&mut writer, before);
        writer.finish();
        // and an engine that is killed now and then,
        if round % 2 == 0 {
            influx.kill();
            influx.resume();
        }
    }
    // then what it has is what the model has.
    compare(&remote, &catalogue, &ledger);
    newest_of_many(&remote, None);
}

#[test]
fn victoriametrics_answers_every_question_as_the_model_does_after_kills() {
    let mut victoria = Victoria::start("", "", &[]);
    let catalogue = catalogue();
    let engine = EngineSettings::Victoria {
        query_url: None,
        tenant: None,
        watch: Vec::new(),
    };
    let url = format!("http://{}", victoria.address);
    let remote = Remote::open(settings(engine, url, Credentials::None, 60)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
    let clock = Arc::new(SystemClock::new());
    let mut writer = remote.writer(state, Arc::clone(&catalogue), clock).unwrap();
    let mut ledger = Ledger::new(&catalogue, false);
    for round in 0..ROUNDS {
        // Given points of today, late ones and repeated ones,
        let before = ledger.upto();
        ledger.write();
        ledger.send(&mut writer, before);
        // and an engine that is killed right after it has acknowledged them,
        if round % 2 == 0 {
            victoria.kill();
            victoria.resume();
        }
    }
    // when the writer has seen that the last of them was restarted,
    ledger.write();
    victoria.kill();
    let replays = || remote.status().replays.load(Ordering::Relaxed);
    let before = replays();
    victoria.resume();
    let mut position = Lsn(ledger.upto().0 - 1);
    wait::until("the restart is seen", wait::LONG, || {
        position = ledger.send(&mut writer, position);
        if replays() > before {
            Ok(())
        } else {
            Err(format!("{} replays", replays()))
        }
    });
    // and all is acknowledged by one that lives,
    position = ledger.send(&mut writer, position);
    assert_eq!(position, ledger.upto());
    victoria.flush().unwrap();
    // then what it has is what the model has.
    compare(&remote, &catalogue, &ledger);
    newest_of_many(&remote, Some(&victoria));
}

/// An authority, and a certificate of it for 127.0.0.1 with its key, as files.
fn certificate(folder: &Path) -> (Vec<u8>, PathBuf, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let files = (folder.join("engine.pem"), folder.join("engine.key"));
    std::fs::write(&files.0, certificate.pem()).unwrap();
    std::fs::write(&files.1, key.serialize_pem()).unwrap();
    (authority.pem().into_bytes(), files.0, files.1)
}

/// Nothing goes to an engine whose authority is another one; with the right one it takes everything and is read from.
fn behind_tls(mut settings: RemoteSettings, authority: Vec<u8>) {
    let catalogue = catalogue();
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
    let clock = Arc::new(SystemClock::new());
    let mut ledger = Ledger::new(&catalogue, false);
    ledger.write();
    settings.ca = Some(certificate(folder.path()).0);
    let stranger = Remote::open(settings.clone()).unwrap();
    let mut writer = stranger
        .writer(Arc::clone(&state), Arc::clone(&catalogue), clock.clone())
        .unwrap();
    writer.gather(&ledger.batches[0]);
    let is_refused = || {
        let trouble = stranger.status().trouble();
        assert!(clock.monotonic().duration() < wait::LONG, "{trouble:?}");
        trouble.is_some_and(|trouble| trouble.contains("certificate"))
    };
    assert_eq!(writer.turn(&is_refused), Turn::Stopped);
    assert_eq!(stranger.status().sent.load(Ordering::Relaxed), 0);
    settings.ca = Some(authority);
    let remote = Remote::open(settings).unwrap();
    let mut writer = remote.writer(state, Arc::clone(&catalogue), clock).unwrap();
    ledger.send(&mut writer, Lsn(0));
    let reader = remote.reader(Arc::clone(&catalogue), Arc::new(SystemClock::new()));
    // (VictoriaMetrics shows what it has taken some seconds later)
    wait::until("it has everything", wait::LONG, || {
        agree(&reader, &ledger.model, &ledger.series, ledger.now).map_err(|error| error.to_string())
    });
}

#[test]
fn influxdb_behind_tls_is_fed_and_read_if_its_authority_is_the_right_one() {
    let Some(mut influx) = Influx::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (authority, certificate, key) = certificate(folder.path());
    influx.kill();
    influx.resume_behind_tls(&certificate, &key);
    let engine = EngineSettings::Influx {
        organisation: "county".to_owned(),
        bucket: "townwatch".to_owned(),
    };
    let credentials = Credentials::Token(Secret::new(TOKEN.to_owned()));
    let url = format!("https://{}", influx.address);
    behind_tls(settings(engine, url, credentials, 0), authority);
}

#[test]
fn victoriametrics_behind_tls_is_fed_and_read_if_its_authority_is_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, certificate, key) = certificate(folder.path());
    let certificate = format!("-tlsCertFile={}", certificate.display());
    let key = format!("-tlsKeyFile={}", key.display());
    let victoria = Victoria::start("", "", &["-tls", &certificate, &key]);
    let engine = EngineSettings::Victoria {
        query_url: None,
        tenant: None,
        watch: Vec::new(),
    };
    let url = format!("https://{}", victoria.address);
    behind_tls(settings(engine, url, Credentials::None, 60), authority);
}
