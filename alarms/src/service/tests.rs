//! The service on a real database: restarts, kills, acknowledgements, a disk that fails.

mod operate;
mod past;
mod rules;

use std::collections::BTreeSet;

use proptest::prelude::*;
use store::state::alarms::Fate;
use telemetry::time::ManualClock;
use telemetry::{Bad, Point, Quality, Sample};

use super::*;
use crate::engine::EventKind;
use crate::engine::tests::{catalogue, night};
use crate::lifecycle::AlarmState;

fn s(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

struct Desk {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    catalogue: Arc<Catalogue>,
    settings: AlarmSettings,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(s(0))),
            catalogue: Arc::new(catalogue()),
            settings: AlarmSettings::default(),
        }
    }

    fn open(&self) -> AlarmService {
        let state = Arc::new(State::open(&self.folder.path().join("state.db")).unwrap());
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        AlarmService::open(
            state,
            Arc::clone(&self.catalogue),
            clock,
            night(),
            self.settings.clone(),
        )
        .unwrap()
    }

    /// Changes the devices of the registry; every series gets a new number.
    fn register(&mut self, change: impl FnOnce(&mut Vec<telemetry::registry::Device>)) {
        let mut registry = self.catalogue.registry().clone();
        change(&mut registry.devices);
        let profiles = (self.catalogue.devices().iter())
            .map(|entry| (entry.profile.kind.clone(), Arc::clone(&entry.profile)));
        let mut next = 10;
        let built = Catalogue::build(registry, &profiles.collect(), |_, _| {
            next += 1;
            telemetry::SeriesId(next)
        });
        self.catalogue = Arc::new(built.unwrap());
    }

    fn to(&self, seconds: i64) {
        let ahead = s(seconds).millis_since(self.clock.now());
        self.clock
            .advance(Span::from_millis(u64::try_from(ahead).unwrap()));
    }

    fn batch(&self, lsn: u64, samples: &[(&str, i64, f64, Quality)]) -> Batch {
        let mut batch = Batch {
            first: Lsn(lsn),
            last: Lsn(lsn),
            ..Batch::default()
        };
        for (device, seconds, value, quality) in samples {
            let signal = if *device == "G1" { "gas" } else { "level" };
            batch.points.push(Point {
                series: self.catalogue.series_id(device, signal).unwrap(),
                sample: Sample {
                    time: s(*seconds),
                    value: *value,
                    quality: *quality,
                },
                arrived: s(*seconds),
                backfill: false,
            });
            batch
                .heard
                .push((self.catalogue.device_index(device).unwrap(), s(*seconds)));
        }
        batch
    }
}

const GOOD: Quality = Quality::Good;

fn open_only() -> AlarmFilter {
    AlarmFilter {
        open_only: true,
        ..AlarmFilter::default()
    }
}

#[test]
fn an_alarm_is_shown_logged_told_and_acknowledged_over_a_restart() {
    let desk = Desk::new();
    // Given a gas alarm,
    let id = {
        let service = desk.open();
        let mut changes = service.subscribe();
        desk.to(10);
        service.observe(&desk.batch(1, &[("G1", 10, 40.0, GOOD)]));
        let change = changes.try_recv().unwrap();
        assert!(change.durable);
        assert_eq!(change.event, EventKind::Raised);
        change.alarm.id.clone()
    };
    assert_eq!(id, "G1~HI~1");
    // when the program is killed and started again,
    let service = desk.open();
    // then the alarm is there, nobody is told twice, and it can be acknowledged once.
    let views = service.list(&open_only()).unwrap();
    assert_eq!(views.len(), 1);
    assert_eq!(
        (views[0].state, views[0].value, views[0].limit),
        (AlarmState::Unacknowledged, Some(40.0), Some(25.0))
    );
    assert_eq!(service.cursor(), Lsn(1));
    assert_eq!(service.notices(10).unwrap().len(), 1);
    let view = service.acknowledge(&id, "李", "去看了").unwrap();
    assert_eq!(view.state, AlarmState::Acknowledged);
    assert!(matches!(
        service.acknowledge(&id, "li", ""),
        Err(AlarmError::NotOwed { .. })
    ));
    assert!(matches!(
        service.acknowledge("G1~HI~7", "li", ""),
        Err(AlarmError::Unknown { .. })
    ));
    assert!(matches!(
        service.acknowledge("no", "li", ""),
        Err(AlarmError::Unknown { .. })
    ));
    assert!(matches!(
        service.acknowledge(&id, " ", ""),
        Err(AlarmError::Length { what: "by", .. })
    ));
    let log = service.log(None, 10).unwrap();
    let rows: Vec<(&str, Option<&str>)> = log
        .iter()
        .map(|row| (row.event.as_str(), row.by.as_deref()))
        .collect();
    assert_eq!(
        rows,
        [("acknowledged", Some("李")), ("notified", None), ("raised", None)]
    );
    assert_eq!(log[0].remark.as_deref(), Some("去看了"));
    drop(service);
    assert_eq!(
        desk.open().get(&id).unwrap().acknowledged.unwrap().by.as_ref(),
        "李"
    );
}

#[test]
fn what_is_over_is_listed_by_page_and_counted_no_more() {
    let desk = Desk::new();
    let service = desk.open();
    for (lsn, (seconds, value)) in
        (1..).zip([(0, 40.0), (10, 5.0), (20, 5.0), (30, 40.0), (40, 5.0), (50, 5.0)])
    {
        desk.to(seconds);
        service.observe(&desk.batch(lsn, &[("G1", seconds, value, GOOD)]));
    }
    assert_eq!(service.counts().returned_unacknowledged, 1);
    service.acknowledge("G1~HI~2", "li", "").unwrap();
    assert_eq!(service.counts(), AlarmCounts::default());
    assert!(service.list(&open_only()).unwrap().is_empty());
    let page = |before, limit| {
        service
            .list(&AlarmFilter {
                before,
                limit,
                ..AlarmFilter::default()
            })
            .unwrap()
    };
    let first = page(None, 1);
    assert_eq!(first[0].id, "G1~HI~2");
    let second = page(Some(first[0].raised_seq), 10);
    assert_eq!(
        second.iter().map(|view| view.id.as_str()).collect::<Vec<_>>(),
        ["G1~HI~1"]
    );
    assert_eq!(service.get("G1~HI~1").unwrap().returned_at, Some(s(20)));
}

#[test]
fn a_notice_without_a_channel_says_so() {
    let desk = Desk::new();
    let service = desk.open();
    service.observe(&desk.batch(1, &[("G1", 0, 40.0, GOOD)]));
    let notices = service.notices(10).unwrap();
    assert_eq!(notices.len(), 1);
    assert_eq!(
        (notices[0].fate, &*notices[0].key),
        (Fate::NoChannel, "G1~HI~1.raised.")
    );
}

#[test]
fn after_a_restore_new_alarms_have_keys_that_were_never_told() {
    // Given an alarm that was raised before the backup, with number 1,
    let settings = AlarmSettings {
        restored: vec![(1, "~restored-5".into()), (4, "~restored-9".into())],
        ..AlarmSettings::default()
    };
    // then its notices keep their keys, later ones bear the mark of the restore that they came after.
    assert_eq!(
        [1, 2, 4, 5].map(|seq| settings.key_suffix(seq)),
        ["", "~restored-5", "~restored-5", "~restored-9"]
    );
    // When the memory is all there is, its own mark counts.
    let volatile = Some("~degraded-7".into());
    let degraded = AlarmSettings { volatile, ..settings };
    assert_eq!(degraded.key_suffix(5), "~degraded-7");
}

#[test]
fn memory_is_written_after_ten_seconds_and_that_of_many_devices_after_one() {
    let mut desk = Desk::new();
    let (few, many): (Vec<String>, Vec<String>) = (
        vec!["L1".to_owned()],
        (0..600).map(|n| format!("L1-{n}")).collect(),
    );
    desk.register(|devices| {
        let like = devices
            .iter()
            .find(|device| device.id.as_str() == "L1")
            .unwrap()
            .clone();
        devices.extend(many.iter().map(|id| telemetry::registry::Device {
            id: id.parse().unwrap(),
            ..like.clone()
        }));
    });
    let service = desk.open();
    let normal = |lsn: u64, seconds: i64, devices: &[String]| {
        desk.to(seconds);
        let samples: Vec<_> = devices.iter().map(|id| (&**id, seconds, 50.0, GOOD)).collect();
        service.observe(&desk.batch(lsn, &samples));
        service.cursor()
    };
    // Given a start, whose memory of all devices is on disk after a second,
    assert_eq!(normal(1, 1, &few), Lsn(1));
    // when one device speaks, then the cursor moves after ten seconds more,
    assert_eq!(normal(2, 10, &few), Lsn(1));
    assert_eq!(normal(3, 11, &few), Lsn(3));
    // and when many do, after one: a transition would have to write all that before anybody is told.
    assert_eq!(normal(4, 11, &many), Lsn(3));
    assert_eq!(normal(5, 12, &few), Lsn(5));
    assert_eq!(normal(6, 13, &few), Lsn(5));
}

#[test]
fn an_alarm_whose_rule_is_gone_is_closed_and_told() {
    let mut desk = Desk::new();
    desk.open().observe(&desk.batch(1, &[("G1", 0, 40.0, GOOD)]));
    // When the device is taken out of the registry,
    desk.register(|devices| devices.retain(|device| device.id.as_str() != "G1"));
    let service = desk.open();
    // then its alarm is closed with a row in the log and a notice, once.
    assert_eq!(service.log(None, 10).unwrap()[0].event, "closed");
    assert!(!service.get("G1~HI~1").unwrap().is_open());
    assert_eq!(service.notices(10).unwrap().len(), 2);
    drop(service);
    assert_eq!(desk.open().notices(10).unwrap().len(), 2);
}

/// A service at 12 s whose predecessor was killed in L1's on-delay of 10 s, with G1 raised; the journal has one message more.
fn killed_in_a_delay(desk: &Desk) -> AlarmService {
    {
        let service = desk.open();
        service.observe(&desk.batch(1, &[("L1", 0, 85.0, GOOD)]));
        // An alarm of another device writes everything.
        service.observe(&desk.batch(2, &[("G1", 1, 40.0, GOOD)]));
    }
    desk.to(12);
    let service = desk.open();
    service.replay_until(Lsn(3));
    service
}

#[test]
fn ticks_wait_until_the_journal_is_read_again() {
    let desk = Desk::new();
    // Given a sample in the journal that speaks against the running delay,
    let service = killed_in_a_delay(&desk);
    service.tick();
    service.observe(&desk.batch(3, &[("L1", 5, 10.0, GOOD)]));
    service.tick();
    // then nothing is raised for the time in which nobody was there.
    assert!(
        service
            .list(&open_only())
            .unwrap()
            .iter()
            .all(|view| view.device != "L1")
    );
}

#[test]
fn gas_that_comes_before_the_journal_is_read_again_is_told_and_lets_no_time_pass() {
    let desk = Desk::new();
    // Given a sample in the journal that speaks against the running delay,
    let service = killed_in_a_delay(&desk);
    // when a detector says that it is broken before that sample is read,
    let broken = Quality::Bad(Bad::SensorFault);
    service.observe_early(&desk.batch(4, &[("G1", 12, 0.0, broken)]));
    // then people are told of that, and of the delay nothing.
    let rules = || -> BTreeSet<String> {
        let open = service.list(&open_only()).unwrap();
        open.into_iter().map(|alarm| alarm.rule).collect()
    };
    let told = BTreeSet::from(["G1/HI", "G1/gas.fault"].map(str::to_owned));
    assert_eq!(rules(), told);
    service.observe(&desk.batch(3, &[("L1", 5, 10.0, GOOD)]));
    service.observe(&desk.batch(4, &[("G1", 12, 0.0, broken)]));
    service.tick();
    assert_eq!(rules(), told);
}

#[test]
fn a_wall_clock_that_steps_moves_no_timer() {
    let desk = Desk::new();
    let service = desk.open();
    service.observe(&desk.batch(1, &[("G1", 0, 5.0, GOOD)]));
    desk.clock.step_wall(s(7200));
    service.tick();
    assert!(service.list(&open_only()).unwrap().is_empty());
    // A sample after the step, at 7230 by the wall and 30 by the even clock, keeps the device fresh until 90.
    desk.clock.advance(Span::from_secs(30));
    service.observe(&desk.batch(2, &[("G1", 7230, 5.0, GOOD)]));
    desk.clock.advance(Span::from_secs(59));
    service.tick();
    assert!(service.list(&open_only()).unwrap().is_empty());
    desk.clock.advance(Span::from_secs(1));
    service.tick();
    assert_eq!(service.list(&open_only()).unwrap()[0].rule, "G1/silence");
}

#[test]
fn on_a_failing_disk_alarms_go_out_from_memory_and_are_written_when_it_recovers() {
    let mut desk = Desk::new();
    let webhook = "name = \"hook\"\nurl = \"http://127.0.0.1:9/\"";
    desk.settings.webhooks.push(toml::from_str(webhook).unwrap());
    let service = desk.open();
    let mut changes = service.subscribe();
    // Given a database that takes nothing any more,
    let other = rusqlite::Connection::open(desk.folder.path().join("state.db")).unwrap();
    other
        .execute_batch("ALTER TABLE alarm_log RENAME TO broken")
        .unwrap();
    // when gas is found,
    service.observe(&desk.batch(1, &[("G1", 0, 40.0, GOOD)]));
    // then people are told, and it is said that it is not on disk.
    assert!(!changes.try_recv().unwrap().durable);
    assert_eq!(service.notices_due(s(0), 10).len(), 1);
    assert_eq!(service.cursor(), Lsn::ZERO);
    assert_eq!(service.counts().not_durable, 1);
    let sent = Notice {
        fate: Fate::Delivered,
        attempts: 1,
        delivered_at: Some(s(0)),
        ..service.notices_due(s(0), 10)[0].clone()
    };
    service.record_notice(&sent);
    // When the disk recovers, everything is written, and the notice is not sent again.
    other
        .execute_batch("ALTER TABLE broken RENAME TO alarm_log")
        .unwrap();
    service.tick();
    assert_eq!(service.cursor(), Lsn(1));
    assert_eq!(service.counts().not_durable, 0);
    // Raised, and somebody told.
    assert_eq!(service.log(None, 10).unwrap().len(), 2);
    assert!(service.notices_due(s(0), 10).is_empty());
}

#[test]
fn a_reading_that_came_through_the_journal_in_time_is_not_judged_from_memory() {
    let desk = Desk::new();
    let service = desk.open();
    desk.to(10);
    let batch = desk.batch(1, &[("G1", 10, 40.0, GOOD)]);
    service.observe(&batch);
    service.observe_early(&batch);
    assert_eq!(service.counts().not_journaled, 0);
    // It does not wait for the journal to bring it once more either.
    assert!(service.lock().early.fresh(&batch).is_some());
}

#[test]
fn a_reading_judged_while_the_reader_is_behind_calls_nobody_silent() {
    let desk = Desk::new();
    let service = desk.open();
    // Given two devices that were heard at 10 s, and a reader that at 75 s has come to 30 s,
    desk.to(10);
    service.observe(&desk.batch(1, &[("G1", 10, 5.0, GOOD), ("L1", 10, 10.0, GOOD)]));
    desk.to(75);
    service.observe(&desk.batch(2, &[("G1", 30, 5.0, GOOD)]));
    assert_eq!(
        service.lag_of(&service.lock(), service.clock.monotonic()),
        Span::from_secs(45)
    );
    // when gas comes at 75 s and is judged at once,
    service.observe_early(&desk.batch(3, &[("G1", 75, 40.0, GOOD)]));
    // then it is raised, and L1, whose later readings may wait in the journal, is not silent after its 60 s.
    let rules = |service: &AlarmService| -> Vec<String> {
        let open = service.list(&open_only()).unwrap();
        open.into_iter().map(|alarm| alarm.rule).collect()
    };
    assert_eq!(rules(&service), ["G1/HI"]);
    // The journal brings L1's reading of 60 s and the gas again: nothing is raised twice.
    service.observe(&desk.batch(4, &[("L1", 60, 10.0, GOOD), ("G1", 75, 40.0, GOOD)]));
    service.tick();
    assert_eq!(rules(&service), ["G1/HI"]);
    assert_eq!(service.list(&open_only()).unwrap()[0].occurrence, 1);
}

#[test]
fn a_reading_judged_before_the_journal_had_it_is_judged_once_and_marked_until_then() {
    let mut desk = Desk::new();
    let webhook = "name = \"hook\"\nurl = \"http://127.0.0.1:9/\"";
    desk.settings.webhooks.push(toml::from_str(webhook).unwrap());
    let service = desk.open();
    let mut changes = service.subscribe();
    // Given gas that the journal has not taken,
    let leak = desk.batch(7, &[("G1", 5, 40.0, GOOD)]);
    service.observe_early(&leak);
    // then people are told at once, and that it is not durable: on the feed, in the list and in the notice.
    assert!(!changes.try_recv().unwrap().durable);
    assert!(!service.list(&open_only()).unwrap()[0].durable);
    assert!(!service.get("G1~HI~1").unwrap().durable);
    let notices = service.notices(10).unwrap();
    assert_eq!(notices.len(), 1);
    assert!(
        notices[0].payload.contains(r#""durable":false"#),
        "{}",
        notices[0].payload
    );
    assert!(notices[0].payload.contains("[NOT YET DURABLE]"));
    assert_eq!(service.counts().not_journaled, 1);
    // The journal's cursor has not moved.
    assert_eq!(service.cursor(), Lsn::ZERO);
    // When the device sends it again, or the journal brings it, nothing is raised twice,
    service.observe_early(&leak);
    service.observe(&leak);
    assert!(changes.try_recv().is_err());
    assert_eq!(service.notices(10).unwrap().len(), 1);
    // raised, and somebody told:
    assert_eq!(service.log(None, 10).unwrap().len(), 2);
    // and the mark goes away.
    assert!(service.list(&open_only()).unwrap()[0].durable);
    assert_eq!(service.counts().not_journaled, 0);
    service.close();
    assert_eq!(service.cursor(), Lsn(7));
}

#[test]
fn a_reading_that_comes_out_of_the_journal_long_after_it_was_judged_raises_nothing_anew() {
    let desk = Desk::new();
    let service = desk.open();
    let mut changes = service.subscribe();
    // Given a short leak and its end, both judged early, and a minute of readings after them,
    let stories: Vec<Batch> = [(0, 40.0), (10, 5.0), (20, 5.0), (80, 5.0), (160, 5.0)]
        .into_iter()
        .zip(1..)
        .map(|((seconds, value), lsn)| desk.batch(lsn, &[("G1", seconds, value, GOOD)]))
        .collect();
    for batch in &stories {
        desk.to(batch.points[0].arrived.millis() / 1000);
        service.observe_early(batch);
    }
    let told = std::iter::from_fn(|| changes.try_recv().ok()).count();
    assert!(told >= 2, "raised and cleared: {told}");
    // when the journal brings them all, beyond what the engine remembers, then nobody hears of it again.
    for batch in &stories {
        service.observe(batch);
    }
    assert!(changes.try_recv().is_err());
    assert_eq!(service.get("G1~HI~1").unwrap().occurrence, 1);
    assert!(service.get("G1~HI~2").is_err());
}

#[test]
fn while_the_disk_is_slow_alarms_go_out_from_memory_and_the_mark_goes_when_it_is_done() {
    let mut desk = Desk::new();
    let webhook = "name = \"hook\"\nurl = \"http://127.0.0.1:9/\"";
    desk.settings.webhooks.push(toml::from_str(webhook).unwrap());
    let service = desk.open();
    service.set_patience(Duration::from_millis(50));
    let mut changes = service.subscribe();
    // Given somebody who holds the database's write lock,
    let other = rusqlite::Connection::open(desk.folder.path().join("state.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // when gas is found, then people are told, from memory, and the notice can be sent,
    service.observe(&desk.batch(1, &[("G1", 0, 40.0, GOOD)]));
    assert!(!changes.try_recv().unwrap().durable);
    assert!(!service.list(&open_only()).unwrap()[0].durable);
    let notices = service.notices_due(s(0), 10);
    assert_eq!(notices.len(), 1);
    // and what becomes of it is remembered.
    service.record_notice(&Notice {
        fate: Fate::Delivered,
        attempts: 1,
        delivered_at: Some(s(0)),
        ..notices[0].clone()
    });
    assert!(service.notices_due(s(0), 10).is_empty());
    // When the lock is gone, everything comes on disk: once, delivered, and without a mark.
    other.execute_batch("COMMIT").unwrap();
    service.close();
    assert!(service.list(&open_only()).unwrap()[0].durable);
    drop(service);
    let service = desk.open();
    assert_eq!(service.cursor(), Lsn(1));
    let notices = service.notices(10).unwrap();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].fate, Fate::Delivered);
    assert!(service.notices_due(s(0), 10).is_empty());
}

#[test]
fn after_a_pause_of_the_whole_program_nobody_counts_as_silent_who_could_not_be_heard() {
    let desk = Desk::new();
    let service = desk.open();
    service.expect_ticks(Duration::from_millis(250));
    service.observe(&desk.batch(1, &[("G1", 0, 5.0, GOOD)]));
    // Given a second in which the clock was looked at four times a second,
    for _ in 0..4 {
        desk.clock.advance(Span::from_millis(250));
        service.tick();
    }
    // when the program then stands still for as long as a device may be silent,
    desk.clock.advance(Span::from_secs(90));
    service.tick();
    // then silence is not raised, but it is when the device says nothing after the grace either.
    let silent = || {
        service
            .list(&open_only())
            .unwrap()
            .iter()
            .any(|alarm| alarm.rule == "G1/silence")
    };
    assert!(!silent());
    for _ in 0..4 * 61 {
        desk.clock.advance(Span::from_millis(250));
        service.tick();
    }
    assert!(silent());
}

#[test]
fn what_arrived_before_a_delay_ends_is_judged_before_it_although_a_tick_overtakes_it() {
    let desk = Desk::new();
    let service = desk.open();
    service.expect_ticks(Duration::from_secs(3));
    // Given a level that is high at 0 s, with 10 s of delay,
    service.observe(&desk.batch(1, &[("L1", 0, 90.0, GOOD)]));
    desk.to(8);
    service.tick();
    // when it is low at 9 s, but that is still on its way through the journal when the clock is looked at at 11 s,
    desk.to(11);
    service.tick();
    service.observe(&desk.batch(2, &[("L1", 9, 50.0, GOOD)]));
    // then no alarm is raised, and where it stays high, one is with the next tick.
    for seconds in [14, 17] {
        desk.to(seconds);
        service.tick();
    }
    assert_eq!(service.log(None, 10).unwrap().len(), 0);
    service.observe(&desk.batch(3, &[("L1", 17, 90.0, GOOD)]));
    for seconds in [20, 23, 26, 28] {
        desk.to(seconds);
        service.tick();
    }
    assert_eq!(service.log(None, 10).unwrap().len(), 0);
    desk.to(30);
    service.tick();
    let log = service.log(None, 10).unwrap();
    let first = log.last().unwrap();
    assert_eq!((&*first.event, first.at), ("raised", s(27)));
}

#[test]
fn who_expects_nobody_calls_nobody_silent() {
    let desk = Desk::new();
    let service = desk.open();
    service.expect_nobody();
    service.observe(&desk.batch(1, &[("G1", 0, 5.0, GOOD)]));
    // Given four hours in which nobody says anything, with a pause in them,
    for minutes in [60, 60, 120] {
        desk.clock.advance(Span::from_secs(minutes * 60));
        service.tick();
    }
    // then nobody is silent.
    assert!(service.list(&open_only()).unwrap().is_empty());
}

/// What a person would find in the log.
fn log_of(service: &AlarmService) -> Vec<(u64, String)> {
    let mut rows: Vec<(u64, String)> = service
        .log(None, 1000)
        .unwrap()
        .into_iter()
        .map(|row| {
            (
                row.seq,
                format!(
                    "{} {} {} {} {}",
                    row.at, row.event, row.rule, row.occurrence, row.detail
                ),
            )
        })
        .collect();
    rows.reverse();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// P3: killed at any batch and read on from the cursor, nothing is doubled and nothing forgotten.
    #[test]
    fn a_kill_anywhere_changes_nothing(
        values in prop::collection::vec((0usize..5, 0usize..5, 0u8..10, 1i64..15), 4..40),
        kills in prop::collection::btree_set(1usize..40, 1..5),
    ) {
        let desk = Desk::new();
        let mut now = 0;
        let mut journal = Vec::new();
        for (lsn, (gas, level, quality, gap)) in (1..).zip(&values) {
            now += gap;
            let quality = if *quality == 0 { Quality::Bad(Bad::SensorFault) } else { GOOD };
            let value = |place: usize| [5.0, 22.0, 30.0, 77.0, 90.0][place];
            journal.push(desk.batch(lsn, &[("G1", now, value(*gas), quality), ("L1", now, value(*level), GOOD)]));
        }
        let run = |kills: &dyn Fn(usize) -> bool| {
            let desk = Desk { folder: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::at(s(0))), ..Desk::new() };
            let mut service = desk.open();
            for (place, batch) in journal.iter().enumerate() {
                desk.to(batch.points[0].arrived.millis() / 1000);
                service.observe(batch);
                if kills(place) {
                    drop(service);
                    service = desk.open();
                    let from = service.cursor();
                    for again in journal.iter().take(place + 1).filter(|batch| batch.last > from) {
                        service.observe(again);
                    }
                }
            }
            let keys: BTreeSet<String> =
                service.notices(1000).unwrap().iter().map(|notice| notice.key.to_string()).collect();
            (log_of(&service), keys)
        };
        // The devices that are never heard fall silent by a clock that a restart gives a grace.
        let heard = |(log, keys): (Vec<(u64, String)>, std::collections::BTreeSet<String>)| {
            let log: Vec<String> = log.into_iter().map(|(_, row)| row).filter(|row| !row.contains("silence")).collect();
            (log, keys.into_iter().filter(|key| !key.contains("silence")).collect::<Vec<_>>())
        };
        prop_assert_eq!(heard(run(&|_| false)), heard(run(&|place| kills.contains(&place))));
    }
}
