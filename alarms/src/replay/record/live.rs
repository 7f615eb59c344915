//! A day of a server on a virtual clock, with everything that goes wrong in it, against the replay of its recording.

use store::state::State;
use telemetry::time::ManualClock;
use telemetry::{Bad, Clock, Lsn, Quality, Sample, Uncertain};

use super::*;
use crate::engine::tests::catalogue;
use crate::figures::Sun;
use crate::service::{AlarmAct, AlarmFilter, AlarmService, DeviceAct};
use crate::telling::Step;

const LIGHTING: Lighting = Lighting {
    after_sunset: Span::from_secs(600),
    before_sunrise: Span::from_secs(600),
};
/// 2026-11-23 in Shanghai.
const MORNING_MS: i64 = 1_795_363_200_000;
const DAY_MS: i64 = 86_400_000;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    /// Once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn ms(&mut self, end: u64) -> i64 {
        i64::try_from(self.below(end)).unwrap()
    }
}

struct Day {
    folder: tempfile::TempDir,
    state: Arc<State>,
    clock: Arc<ManualClock>,
    catalogue: Arc<Catalogue>,
    settings: AlarmSettings,
    dice: Dice,
    /// The journal.
    batches: Vec<Batch>,
    restarts: u64,
    acts: u64,
}

impl Day {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
        let step = |secs, to: &str| Step {
            after: Span::from_secs(secs),
            to: vec![to.into()],
        };
        Self {
            state,
            folder,
            clock: Arc::new(ManualClock::at(Timestamp::from_millis(MORNING_MS))),
            catalogue: Arc::new(catalogue()),
            settings: AlarmSettings {
                escalation: vec![step(60, "all"), step(180, "all")],
                ..AlarmSettings::default()
            },
            dice: Dice(seed),
            batches: Vec::new(),
            restarts: 0,
            acts: 0,
        }
    }

    fn open(&self) -> AlarmService {
        let county = &self.catalogue.registry().county;
        let sun = Sun::new(
            county.position,
            &county.zone,
            LIGHTING.after_sunset,
            LIGHTING.before_sunrise,
        );
        let service = AlarmService::open(
            Arc::clone(&self.state),
            Arc::clone(&self.catalogue),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::new(sun.unwrap()),
            self.settings.clone(),
        )
        .unwrap();
        // As the pipeline: what was judged and not written comes again.
        let newest = Lsn(self.batches.len() as u64);
        service.replay_until(newest);
        let cursor = service.cursor();
        for batch in self.batches.iter().filter(|batch| batch.last > cursor) {
            service.observe(batch);
        }
        service
    }

    fn now(&self) -> i64 {
        self.clock.now().millis()
    }

    fn pass(&mut self, end_ms: u64) {
        let ms = 1 + self.dice.below(end_ms);
        self.clock.advance(Span::from_millis(ms));
    }

    /// A message of a device: mostly well, now and then late, twice, from the future, from the past, bad, or without a value.
    fn message(&mut self) -> Batch {
        let lsn = Lsn(self.batches.len() as u64 + 1);
        if self.dice.once_in(40)
            && let Some(again) = self.batches.last()
        {
            let mut again = again.clone();
            (again.first, again.last) = (lsn, lsn);
            let arrived = self.clock.now();
            for point in &mut again.points {
                point.arrived = arrived;
            }
            for (_, at) in &mut again.heard {
                *at = arrived;
            }
            return again;
        }
        let device = usize::try_from(self.dice.below(4)).unwrap();
        let entry = &self.catalogue.devices()[device];
        let series = entry.series[0];
        let arrived = self.clock.now();
        let (age, backfill) = match self.dice.below(40) {
            0 => (self.dice.ms(3_600_000), true),
            1 => (self.dice.ms(3_600_000), false),
            2 => (-self.dice.ms(7_200_000), false),
            3..7 => (self.dice.ms(60_000), false),
            _ => (self.dice.ms(2_000), false),
        };
        let quality = match self.dice.below(30) {
            0 => Quality::Bad(Bad::SensorFault),
            1 => Quality::Bad(Bad::OutOfRange),
            2 => Quality::Uncertain(Uncertain::Reported),
            _ => Quality::Good,
        };
        // Whole stretches are quiet, others are not; in quarters, so that limits are met.
        let most = if (self.now() / 1_200_000) % 3 == 0 {
            400
        } else {
            60
        };
        let value = match &*entry.profile.kind {
            "pump" => f64::from(u8::from(self.dice.once_in(3))),
            _ => f64::from(u32::try_from(self.dice.below(most)).unwrap()) / 4.0,
        };
        let silent = self.dice.once_in(50);
        let point = Point {
            series,
            sample: Sample {
                time: Timestamp::from_millis(arrived.millis() - age),
                value,
                quality,
            },
            arrived,
            backfill,
        };
        Batch {
            first: lsn,
            last: lsn,
            points: if silent { Vec::new() } else { vec![point] },
            heard: if backfill {
                Vec::new()
            } else {
                vec![(device, arrived)]
            },
            ..Batch::default()
        }
    }

    fn act(&mut self, service: &AlarmService) {
        let open = service.list(&AlarmFilter {
            open_only: true,
            ..AlarmFilter::default()
        });
        let open = open.unwrap();
        let device = ["G1", "L1", "N1", "P1"][usize::try_from(self.dice.below(4)).unwrap()];
        let time = Span::from_secs(60 + self.dice.below(1800));
        let done = match self.dice.below(8) {
            0 => service
                .act_on_device(device, DeviceAct::Test(time), "wang", "proof test")
                .is_ok(),
            1 => service
                .act_on_device(device, DeviceAct::EndTest, "wang", "")
                .is_ok(),
            2 => service
                .act_on_device(device, DeviceAct::TakeOutOfService(time), "li", "permit 7")
                .is_ok(),
            3 => service
                .act_on_device(device, DeviceAct::ReturnToService, "li", "done")
                .is_ok(),
            kind => open.first().is_some_and(|alarm| {
                let act = match kind {
                    4 => AlarmAct::Shelve(time),
                    5 => AlarmAct::Unshelve,
                    6 => AlarmAct::Reset,
                    _ => return service.acknowledge(&alarm.id, "li", "going").is_ok(),
                };
                service.act_on_alarm(&alarm.id, act, "li", "known").is_ok()
            }),
        };
        self.acts += u64::from(done);
    }

    fn live(&mut self) {
        let mut service = self.open();
        while self.now() < MORNING_MS + DAY_MS {
            // A restart every two hours or so, a few of them longer than devices may be silent.
            if self.dice.once_in(1500) {
                drop(service);
                self.restarts += 1;
                let down = if self.dice.once_in(3) { 600_000 } else { 5_000 };
                self.pass(down);
                service = self.open();
                self.pass(1_000);
                service.tick();
                self.pass(1_000);
            }
            self.pass(9_000);
            service.tick();
            // What comes at the very instant of a tick comes before it in a replay.
            self.pass(1_000);
            if self.dice.once_in(100) {
                self.act(&service);
                self.pass(500);
            }
            // A silence of some minutes.
            if (self.now() / 300_000) % 11 != 0 {
                let batch = self.message();
                service.observe(&batch);
                self.batches.push(batch);
            }
        }
        service.tick();
        service.close();
    }
}

/// Time, rule, event, occurrence, event time, value, whom it was told to.
type Said = (i64, String, String, u64, i64, Option<f64>, String);

/// What the log holds, without what has no rule.
fn logged(rows: &[LogRow]) -> Vec<Said> {
    let rows = rows.iter().filter(|row| !row.rule.is_empty());
    rows.map(|row| {
        let detail: Value = serde_json::from_str(&row.body).unwrap();
        let told = &*row.event == "notified";
        (
            row.at.millis(),
            row.rule.to_string(),
            row.event.to_string(),
            u64::from(row.occurrence),
            if told {
                0
            } else {
                detail["since"].as_i64().unwrap()
            },
            detail["value"].as_f64().filter(|_| !told),
            detail["to"].as_str().unwrap_or_default().to_owned(),
        )
    })
    .collect()
}

/// The same of a replay.
fn played(output: &str) -> Vec<Said> {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this century")]
    let ms = |value: &Value| (value.as_f64().unwrap() * 1000.0).round() as i64;
    let lines = output
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = lines.filter(|line| line.get("rule").is_some());
    let logged = lines.filter(|line| !line["event"].as_str().unwrap().starts_with("pending"));
    logged
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            let told = line["event"] == "notified";
            (
                ms(&line["at"]),
                text("rule"),
                text("event"),
                line["occurrence"].as_u64().unwrap(),
                if told { 0 } else { ms(&line["since"]) },
                line["value"].as_f64(),
                text("to"),
            )
        })
        .collect()
}

#[test]
fn a_live_day_and_the_replay_of_its_recording_say_the_same() {
    for seed in 1..=2 {
        // Given a day of a server, with late, repeated, wrong and missing readings, people's acts and restarts,
        let mut day = Day::new(seed);
        day.live();
        let mut rows = day.state.alarm_log(u64::MAX, 1_000_000).unwrap();
        rows.reverse();
        // when it is recorded and replayed twice,
        let mut recorder = Recorder::new(&day.catalogue, &day.settings, LIGHTING, Timestamp::EPOCH).unwrap();
        for start in day.state.alarm_starts().unwrap() {
            recorder.start(start);
        }
        for row in &rows {
            recorder.log(row);
        }
        let (rules, input) = (
            day.folder.path().join("r.toml"),
            day.folder.path().join("i.jsonl"),
        );
        std::fs::write(&rules, recorder.rules()).unwrap();
        let mut file = std::fs::File::create(&input).unwrap();
        for batch in &day.batches {
            recorder.batch(batch);
            recorder.write(&mut file).unwrap();
        }
        let recorded = recorder.finish(&mut file).unwrap();
        let until = Span::from_millis(u64::try_from(day.now()).unwrap());
        let replay = || {
            let mut out = Vec::new();
            crate::replay::run(&rules, &input, Some(until), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let output = replay();
        // then both replays are the same to the byte, and say what the server said, at the same times and in its order.
        assert_eq!(output, replay());
        let (live, again) = (logged(&rows), played(&output));
        let first = live.iter().zip(&again).position(|(live, again)| live != again);
        let near = |all: &[Said]| {
            let at = first.unwrap_or(live.len().min(again.len()));
            all.iter()
                .skip(at.saturating_sub(3))
                .take(8)
                .cloned()
                .collect::<Vec<_>>()
        };
        assert!(
            live == again,
            "seed {seed}: {} and {}, the first difference is number {first:?}\nlive {:#?}\nreplay {:#?}",
            live.len(),
            again.len(),
            near(&live),
            near(&again)
        );
        assert_eq!(
            (recorded.starts, recorded.acts, recorded.moved),
            (day.restarts + 1, day.acts, 0)
        );
        assert!(
            live.len() > 1000 && day.restarts > 3 && day.acts > 10,
            "{} {}",
            live.len(),
            day.acts
        );
    }
}
