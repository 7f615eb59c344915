//! The service beside a running alarm service, on one real database.

use store::testkit::MemorySeries;
use telemetry::registry::Registry;
use telemetry::time::{ManualClock, Span};
use telemetry::{Batch, Lsn, Point, Quality, Sample, SeriesId, Timestamp};

use super::super::evidence::LiveEvidence;
use super::super::lifecycle::CaseState;
use super::*;
use crate::engine::tests::night;
use crate::{AlarmService, AlarmSettings};

/// A gas panel, which saves lives, and a lamp, which does not.
const REGISTRY: &str = r#"
[county]
name = { zh = "某县", en = "county" }
position = { latitude = 27.56, longitude = 119.72 }
[[organisation]]
id = "om-a"
name = { zh = "甲", en = "A" }
[[organisation]]
id = "om-b"
name = { zh = "乙", en = "B" }
[[site]]
id = "depot-1"
kind = "lpg_depot"
name = { zh = "站", en = "depot" }
organisation = "om-a"
town = "t"
position = { latitude = 27.5, longitude = 119.7 }
[[device]]
id = "panel-1"
site = "depot-1"
profile = "gas-detector-panel"
[[device]]
id = "lamp-1"
site = "depot-1"
profile = "street-lamp"
attributes = { rated_power_w = 100 }
"#;

const RULE: &str = "panel-1/GAS-L1-01";
const OFFLINE: &str = "panel-1/GAS-PANEL-OFFLINE";

/// Monday 30 November 2026, 09:00 in the county.
fn start() -> Timestamp {
    "2026-11-30T09:00:00+08:00".parse().unwrap()
}

struct Desk {
    _folder: tempfile::TempDir,
    state: Arc<State>,
    clock: Arc<ManualClock>,
    catalogue: Arc<Catalogue>,
    series: Arc<MemorySeries>,
    alarms: Arc<AlarmService>,
    lsn: std::cell::Cell<u64>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
        let clock = Arc::new(ManualClock::at(start()));
        let registry: Registry = toml::from_str(REGISTRY).unwrap();
        let mut next = 0;
        let number = |_: &telemetry::DeviceId, _: &telemetry::profile::Signal| {
            next += 1;
            SeriesId(next)
        };
        let profiles = telemetry::profile::builtin().unwrap();
        let catalogue = Arc::new(Catalogue::build(registry, &profiles, number).unwrap());
        let alarms = AlarmService::open(
            Arc::clone(&state),
            Arc::clone(&catalogue),
            clock.clone(),
            night(),
            AlarmSettings::default(),
        )
        .unwrap();
        Self {
            _folder: folder,
            state,
            clock,
            catalogue,
            series: Arc::default(),
            alarms: Arc::new(alarms),
            lsn: std::cell::Cell::new(0),
        }
    }

    fn rules() -> Rules {
        Rules {
            settings: CaseSettings::default(),
            calendar: Calendar::builtin().unwrap(),
            deadlines: Deadlines::builtin().unwrap(),
        }
    }

    fn cases(&self, rules: Rules) -> CaseService {
        let evidence = LiveEvidence {
            alarms: Arc::clone(&self.alarms),
            series: self.series.clone(),
            catalogue: Arc::clone(&self.catalogue),
            clock: self.clock.clone(),
        };
        let (state, catalogue) = (Arc::clone(&self.state), Arc::clone(&self.catalogue));
        CaseService::open(state, catalogue, self.clock.clone(), Arc::new(evidence), rules).unwrap()
    }

    /// Seconds after the start.
    fn at(seconds: u64) -> Timestamp {
        start().plus(Span::from_secs(seconds))
    }

    /// The panel says so at that second, and the time has come there.
    fn gas(&self, second: u64, value: f64) {
        let at = Self::at(second);
        let ahead = u64::try_from(at.millis_since(self.clock.now())).unwrap();
        self.clock.advance(Span::from_millis(ahead));
        let lsn = Lsn(self.lsn.get() + 1);
        self.lsn.set(lsn.0);
        let series = self.catalogue.series_id("panel-1", "gas_01").unwrap();
        let sample = Sample {
            time: at,
            value,
            quality: Quality::Good,
        };
        self.series.insert(series, sample);
        self.alarms.observe(&Batch {
            first: lsn,
            last: lsn,
            points: vec![Point {
                series,
                sample,
                arrived: at,
                backfill: false,
            }],
            heard: vec![(self.catalogue.device_index("panel-1").unwrap(), at)],
            ..Batch::default()
        });
        self.alarms.tick();
    }

    /// Gas at second 10, gone at 20; the alarm clears at 31.
    fn excursion(&self) {
        for (second, value) in [(10, 30.0), (20, 2.0), (31, 1.0)] {
            self.gas(second, value);
        }
    }
}

fn follow(cases: &CaseService) {
    while cases.follow().unwrap() > 0 {}
}

fn names(cases: &CaseService, id: u64) -> Vec<String> {
    let (_, events) = cases.get(id).unwrap();
    events.iter().map(|event| event.event.to_string()).collect()
}

const DISPATCH: Command = Command::Dispatch { organisation: None };
const FEEDBACK: Command = Command::Handled { photo: None };
const VERIFY: Command = Command::Verify { photo: None };

#[test]
fn a_grave_alarm_files_a_case_and_further_ones_of_its_rule_are_taken_in() {
    // Given a gas alarm that comes, is acknowledged, goes, and comes again,
    let desk = Desk::new();
    let cases = desk.cases(Desk::rules());
    desk.gas(10, 30.0);
    desk.alarms
        .acknowledge("panel-1~GAS-L1-01~1", "Wang", "on my way")
        .unwrap();
    for (second, value) in [(20, 2.0), (31, 1.0), (40, 30.0)] {
        desk.gas(second, value);
    }
    // when the log is followed,
    follow(&cases);
    // then there is one case, of the time of the first, due two hours later, about both.
    let list = cases.list(&CaseFilter::default()).unwrap();
    assert_eq!(list.len(), 1, "{list:?}");
    let (case, events) = cases.get(1).unwrap();
    assert_eq!(case.filed_at, Desk::at(10));
    assert_eq!(&*case.filed_by, super::super::SELF);
    assert_eq!(case.due.handle, Some(Desk::at(10 + 7200)));
    assert_eq!((&*case.organisation, case.life_safety), ("om-a", true));
    let alarm = &case.alarms[0];
    assert_eq!((&*alarm.rule, alarm.occurrence, alarm.occurrences), (RULE, 2, 2));
    assert!(alarm.active && !alarm.acknowledged, "{alarm:?}");
    let wanted = ["file", "alarm_acknowledged", "alarm_cleared", "alarm_raised"];
    assert_eq!(names(&cases, 1), wanted);
    assert_eq!((&*events[1].by, &*events[1].remark), ("Wang", "on my way"));
}

#[test]
fn after_a_crash_nothing_is_filed_twice_and_nothing_is_lost() {
    // Given two services that have read the same cursor, of which one has followed the log,
    let desk = Desk::new();
    let (one, other) = (desk.cases(Desk::rules()), desk.cases(Desk::rules()));
    desk.gas(10, 30.0);
    follow(&one);
    // when the other does the same, then it is refused as a whole;
    assert!(other.follow().is_err());
    // when the program starts again, then it goes on behind that.
    desk.gas(20, 2.0);
    desk.gas(31, 1.0);
    let again = desk.cases(Desk::rules());
    follow(&again);
    assert_eq!(again.list(&CaseFilter::default()).unwrap().len(), 1);
    assert_eq!(names(&again, 1), ["file", "alarm_cleared"]);
}

#[test]
fn what_is_not_wanted_by_itself_is_filed_by_hand_and_only_once() {
    // Given a setting by which no case is filed by itself,
    let desk = Desk::new();
    let mut rules = Desk::rules();
    rules.settings.auto = super::super::AutoFile::None;
    let cases = desk.cases(rules);
    desk.gas(10, 30.0);
    follow(&cases);
    assert_eq!(cases.list(&CaseFilter::default()).unwrap(), []);
    // when somebody files one,
    let filing = Filing::Alarm("panel-1~GAS-L1-01~1".into());
    let case = cases.file(&filing, "Li", "seen on the wall").unwrap();
    assert_eq!((case.id, case.alarms[0].active), (1, true));
    // then a second one is refused with the number of the first, and the case learns what comes.
    let refused = cases.file(&filing, "Li", "again");
    assert!(
        matches!(refused, Err(CaseError::Exists { id: 1, .. })),
        "{refused:?}"
    );
    desk.gas(20, 2.0);
    desk.gas(31, 1.0);
    follow(&cases);
    assert_eq!(names(&cases, 1), ["file", "alarm_cleared"]);
    let nothing = cases.file(&Filing::Alarm("no~X~1".into()), "Li", "x");
    assert!(matches!(nothing, Err(CaseError::Missing { what: "alarm", .. })));
}

#[test]
fn a_case_is_verified_when_telemetry_has_been_normal_and_closed_by_a_person() {
    // Given a case whose alarm is over since 11 s, and whose work is said to be done,
    let desk = Desk::new();
    let cases = desk.cases(Desk::rules());
    desk.gas(10, 30.0);
    follow(&cases);
    for command in [&DISPATCH, &Command::Start, &FEEDBACK] {
        cases.act(1, command, "Wang", "valve closed").unwrap();
    }
    let refused = cases.act(1, &VERIFY, "Li", "looked").unwrap_err();
    assert!(refused.to_string().contains("the alarm stands"), "{refused}");
    desk.gas(20, 2.0);
    desk.gas(31, 1.0);
    follow(&cases);
    // then one good report since is not enough, three are.
    let refused = cases.act(1, &VERIFY, "Li", "looked").unwrap_err();
    assert!(refused.to_string().contains("3 are needed"), "{refused}");
    for second in [36, 41, 46] {
        desk.gas(second, 1.0);
    }
    let photo = Some("photo 17".into());
    let verified = cases.act(1, &Command::Verify { photo }, "Li", "looked").unwrap();
    assert_eq!(verified.state, CaseState::Verified);
    // Nobody closes it over an alarm that came back a moment ago, although the log was not followed since.
    desk.gas(51, 30.0);
    let refused = cases.act(1, &Command::Close, "Li", "done").unwrap_err();
    assert!(refused.to_string().contains("stands again"), "{refused}");
    for (second, value) in [(56, 2.0), (67, 1.0)] {
        desk.gas(second, value);
    }
    let closed = cases.act(1, &Command::Close, "Li", "done").unwrap();
    assert_eq!(closed.state, CaseState::Closed);
    let (_, events) = cases.get(1).unwrap();
    let verify = events.iter().find(|event| &*event.event == "verify").unwrap();
    assert_eq!(verify.detail["photo"], "photo 17");
    assert!(
        verify.detail["telemetry"][0]
            .as_str()
            .unwrap()
            .contains("normal for")
    );
    // The next alarm of the rule is another case.
    desk.gas(90, 30.0);
    follow(&cases);
    assert_eq!(cases.counts().unwrap(), (1, 0));
    assert_eq!(cases.list(&CaseFilter::default()).unwrap()[0].id, 2);
}

#[test]
fn no_data_is_never_all_clear() {
    // Given a case whose alarm is over, and whose device has since gone silent for an hour,
    let desk = Desk::new();
    let cases = desk.cases(Desk::rules());
    desk.excursion();
    desk.clock.advance(Span::from_secs(3600));
    desk.alarms.tick();
    follow(&cases);
    for command in [&DISPATCH, &Command::Start, &FEEDBACK] {
        cases.act(1, command, "Wang", "x").unwrap();
    }
    // then it cannot be verified, and the silence has a case of its own.
    let refused = cases.act(1, &VERIFY, "Li", "looked").unwrap_err();
    assert!(refused.to_string().contains("silent"), "{refused}");
    assert_eq!(&*cases.get(2).unwrap().0.alarms[0].rule, OFFLINE);
}

#[test]
fn a_merged_case_hands_its_alarms_on() {
    let desk = Desk::new();
    let cases = desk.cases(Desk::rules());
    desk.excursion();
    desk.clock.advance(Span::from_secs(3600));
    desk.alarms.tick();
    follow(&cases);
    let merged = cases
        .act(2, &Command::Merge { into: 1 }, "Li", "one cause")
        .unwrap();
    assert_eq!((merged.state, merged.merged_into), (CaseState::Merged, Some(1)));
    assert_eq!(cases.get(1).unwrap().0.alarms.len(), 2);
    assert_eq!(names(&cases, 1), ["file", "alarm_cleared", "merged_in"]);
    // What the panel says next goes to the one that goes on.
    desk.gas(4000, 1.0);
    follow(&cases);
    assert_eq!(names(&cases, 1).last().unwrap(), "alarm_cleared");
    assert_eq!(cases.counts().unwrap(), (1, 0));
}

#[test]
fn what_somebody_saw_is_a_case_and_what_does_not_exist_is_refused() {
    let desk = Desk::new();
    let cases = desk.cases(Desk::rules());
    let free = |site: &str, device: Option<&str>, deadline: Option<&str>| Filing::Free {
        title: "路灯杆倾斜".into(),
        site: site.into(),
        device: device.map(Into::into),
        deadline: deadline.map(Into::into),
    };
    for (filing, wanted) in [
        (free("nowhere", None, None), "site"),
        (free("depot-1", Some("nothing"), None), "device"),
        (free("depot-1", None, Some("no row")), "deadline"),
    ] {
        let refused = cases.file(&filing, "Li", "x");
        let as_wanted = matches!(refused, Err(CaseError::Missing { what, .. }) if what == wanted);
        assert!(as_wanted, "{refused:?}");
    }
    // A leaning pole: two hours to make it safe, from Monday 09:00.
    let case = cases
        .file(&free("depot-1", None, Some("lamp-danger")), "Li", "x")
        .unwrap();
    assert_eq!(case.due.handle, Some(Desk::at(7200)));
    desk.clock.advance(Span::from_secs(7201));
    assert_eq!(cases.counts().unwrap(), (1, 1));
    let overdue = CaseFilter {
        overdue: Some(true),
        ..CaseFilter::default()
    };
    assert_eq!(cases.list(&overdue).unwrap().len(), 1);
    // It has no telemetry: a person is enough.
    let to = Command::Dispatch {
        organisation: Some("om-b".into()),
    };
    for command in [&to, &Command::Start, &FEEDBACK, &VERIFY, &Command::Close] {
        cases.act(1, command, "Li", "x").unwrap();
    }
    let (case, _) = cases.get(1).unwrap();
    assert_eq!((case.state, &*case.organisation), (CaseState::Closed, "om-b"));
    // Texts are bounded, and organisations are those of the registry.
    let long = "x".repeat(REMARK_CHARS_MAX + 1);
    for (by, remark) in [("", "x"), ("Li", ""), ("Li", long.as_str())] {
        let refused = cases.act(1, &Command::Cancel, by, remark);
        assert!(matches!(refused, Err(CaseError::Length { .. })), "{refused:?}");
    }
    let nobody = Command::Dispatch {
        organisation: Some("nobody".into()),
    };
    let refused = cases.act(1, &nobody, "Li", "x");
    assert!(matches!(
        refused,
        Err(CaseError::Refused(Refusal::Organisation(_)))
    ));
    assert!(matches!(
        cases.act(9, &Command::Start, "Li", "x"),
        Err(CaseError::Unknown(9))
    ));
}

#[test]
fn a_deadline_that_was_not_known_is_computed_once_the_calendar_has_the_year() {
    // Given a calendar without any year,
    let desk = Desk::new();
    let mut rules = Desk::rules();
    rules.calendar = Calendar::parse("f", "id = \"empty\"\nversion = 1\n").unwrap();
    let cases = desk.cases(rules);
    let filing = Filing::Free {
        title: "x".into(),
        site: "depot-1".into(),
        device: None,
        deadline: None,
    };
    let case = cases.file(&filing, "Li", "x").unwrap();
    // then the case says so instead of guessing, and is never overdue;
    assert_eq!((case.due.handle, case.due.unknown_year), (None, Some(2026)));
    assert_eq!(case.overdue_from(), None);
    // and when the program starts with a calendar that has it: three working days from Monday 09:00.
    drop(cases);
    let cases = desk.cases(Desk::rules());
    let (case, _) = cases.get(1).unwrap();
    let due: Timestamp = "2026-12-03T09:00:00+08:00".parse().unwrap();
    assert_eq!((case.due.handle, case.due.unknown_year), (Some(due), None));
    assert_eq!(case.overdue_from(), Some(due));
}
