//! Trials with expected values by hand.

use std::sync::Arc;

use jiff::tz::TimeZone;
use telemetry::profile::{Active, Priority, Title};
use telemetry::time::Span;

use super::*;
use crate::rules::{PlantDevice, Schedule};
use crate::settings::{AlarmSettings, RecipientSettings, Urgent, WebhookSettings};
use crate::telling::{Route, Step};

const DAY: i64 = 86_400;

fn t(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// `D1/HI`, raised at or above `limit` on the only signal of `D1`.
pub(crate) fn high(device: usize, limit: f64, deadband: f64) -> Rule {
    Rule {
        shown_at: device,
        changed: None,
        id: format!("D{device}/HI").into(),
        title: Title {
            zh: "高".into(),
            en: "high".into(),
        },
        device,
        signal: Some(0),
        series: Some(SeriesId(u32::try_from(device).unwrap())),
        condition: Condition::High {
            limit,
            deadband,
            over_range: None,
        },
        on_delay: Span::ZERO,
        off_delay: Span::ZERO,
        priority: Priority::High,
        active: Active::Always,
        schedule: None,
        life_safety: false,
        latching: false,
        re_alarm: None,
        system: false,
    }
}

/// Devices `D0` to `D2`, of kind `k`.
fn set(rules: Vec<Rule>) -> RuleSet {
    let device = |number: usize| PlantDevice {
        name: format!("D{number}").into(),
        kind: "k".into(),
        ..PlantDevice::default()
    };
    let plant = Plant {
        devices: (0..3).map(device).collect(),
        groups: Vec::new(),
    };
    RuleSet::new(plant, rules)
}

fn setting(from: Timestamp, alarms: AlarmSettings) -> Setting {
    Setting {
        from,
        telling: Arc::new(alarms.telling("UTC").unwrap()),
        alarms: Arc::new(alarms),
        daylight: crate::engine::tests::night(),
        night: Schedule::parse("22:00-06:00", TimeZone::UTC).unwrap(),
    }
}

fn reading(device: u32, seconds: i64, value: f64) -> Reading {
    Reading {
        time: t(seconds),
        value,
        series: SeriesId(device),
        device,
        quality: Quality::Good,
    }
}

fn outcome(set: RuleSet, part: Part, (from, to): (i64, i64)) -> Outcome {
    Outcome::of(set, part, (t(from), t(to)))
}

/// What `rules` make of `readings` from `from` to `to`, in seconds.
fn tried(rules: Vec<Rule>, readings: &[Reading], (from, to): (i64, i64)) -> Outcome {
    let setting = setting(t(from), AlarmSettings::default());
    let mut trial = Trial::new(set(rules.clone()), &setting, readings[0].time);
    trial.take(readings, &[]).unwrap();
    outcome(set(rules), trial.end(t(to)).unwrap(), (from, to))
}

/// Raised and cleared, in seconds.
fn times(outcome: &Outcome, rule: &str) -> Vec<(i64, Option<i64>)> {
    let seconds = |at: Timestamp| at.millis() / 1000;
    let of = outcome.of_rule(rule).iter();
    of.map(|one| (seconds(one.raised), one.cleared.map(seconds)))
        .collect()
}

#[test]
fn an_alarm_has_its_times_its_worst_value_and_its_calls() {
    let readings = [
        (0, 10.0),
        (60, 82.0),
        (120, 95.0),
        (180, 85.0),
        (240, 40.0),
        (300, 81.0),
    ]
    .map(|(at, value)| reading(1, at, value));
    // At 80: 60 to 240 with 95 as the worst, and from 300 on.
    let outcome = tried(vec![high(1, 80.0, 0.0)], &readings, (0, 600));
    assert_eq!(times(&outcome, "D1/HI"), [(60, Some(240)), (300, None)]);
    let [first, second] = outcome.of_rule("D1/HI") else {
        panic!("two are expected")
    };
    assert_eq!((first.worst, second.worst), (Some(95.0), Some(81.0)));
    assert_eq!((first.calls, &*first.to), (1, &["all".into()][..]));
    assert_eq!(outcome.called.len(), 1);
    // 1970-01-01T00:01 and 00:05 are in the night.
    let all = &outcome.called[0];
    assert_eq!((all.calls, all.at_night, all.escalations), (2, 2, 0));
}

#[test]
fn an_on_delay_parts_the_beginning_of_the_condition_from_the_raise() {
    let slow = Rule {
        on_delay: Span::from_secs(90),
        off_delay: Span::from_secs(30),
        ..high(1, 80.0, 0.0)
    };
    let readings = [(0, 90.0), (60, 91.0), (120, 70.0), (180, 70.0)].map(|(at, value)| reading(1, at, value));
    // True since 0, for 90 s at 90 by the clock; over since 120, for 30 s at 150.
    let outcome = tried(vec![slow], &readings, (0, 600));
    let one = &outcome.of_rule("D1/HI")[0];
    assert_eq!((one.since, one.raised), (t(0), t(90)));
    assert_eq!((one.over_since, one.cleared), (Some(t(120)), Some(t(150))));
}

#[test]
fn what_stands_at_the_beginning_is_known_and_not_counted_as_raised() {
    // Over before 1000: of no interest. Raised at 900 and not over at 1000: standing. Raised at 1500: counted.
    let readings = [
        (0, 90.0),
        (100, 10.0),
        (900, 90.0),
        (1200, 10.0),
        (1500, 90.0),
        (1600, 10.0),
    ]
    .map(|(at, value)| reading(1, at, value));
    let outcome = tried(vec![high(1, 80.0, 0.0)], &readings, (1000, 2000));
    assert_eq!(times(&outcome, "D1/HI"), [(900, Some(1200)), (1500, Some(1600))]);
    let standing: Vec<bool> = outcome.of_rule("D1/HI").iter().map(|one| one.standing).collect();
    assert_eq!(standing, [true, false]);
    let row = &rows(&outcome, &outcome)[0];
    assert_eq!((row.standing_before, row.raised_before, row.same), (1, 1, 2));
    // The call at 900 came before; that at 1500 counts.
    assert_eq!(outcome.called[0].calls, 1);
}

#[test]
fn each_kind_of_difference_is_found() {
    let of = |limit: f64, readings: &[Reading]| tried(vec![high(1, limit, 0.0)], readings, (0, 1000));
    let readings = [
        (0, 10.0),
        (100, 85.0),
        (200, 10.0),
        (300, 75.0),
        (310, 85.0),
        (400, 75.0),
        (420, 10.0),
        (500, 75.0),
        (600, 10.0),
    ]
    .map(|(at, value)| reading(1, at, value));
    // At 80: 100–200, 310–400. At 70: 100–200, 300–420, 500–600.
    let (before, after) = (of(80.0, &readings), of(70.0, &readings));
    let changes = compare(before.of_rule("D1/HI"), after.of_rule("D1/HI"));
    let [Change::Same(..), Change::Moved(old, new), Change::Added(added)] = changes[..] else {
        panic!("{changes:?}")
    };
    // Raised 10 s earlier, cleared 20 s later.
    let shift = Shift {
        raised_ms: -10_000,
        cleared_ms: Some(20_000),
    };
    assert_eq!(Shift::between(old, new), shift);
    assert_eq!((added.raised, added.worst), (t(500), Some(75.0)));
    // The other way round the last one is removed.
    let back = compare(after.of_rule("D1/HI"), before.of_rule("D1/HI"));
    assert!(
        matches!(
            back[..],
            [Change::Same(..), Change::Moved(..), Change::Removed(_)]
        ),
        "{back:?}"
    );
    let row = &rows(&before, &after)[0];
    assert_eq!((row.same, row.moved, row.added, row.removed), (1, 1, 1, 0));
    assert_eq!((row.raised_before, row.raised_after), (2, 3));
    assert_eq!((&*row.name.profile, &*row.name.rule), ("k", "HI"));
}

#[test]
fn an_alarm_of_another_priority_has_moved_and_one_that_no_longer_clears_as_well() {
    let readings = [(0, 10.0), (100, 85.0), (200, 75.0)].map(|(at, value)| reading(1, at, value));
    let graver = Rule {
        priority: Priority::Critical,
        ..high(1, 80.0, 0.0)
    };
    let (before, after) = (
        tried(vec![high(1, 80.0, 0.0)], &readings, (0, 300)),
        tried(vec![graver], &readings, (0, 300)),
    );
    let changes = compare(before.of_rule("D1/HI"), after.of_rule("D1/HI"));
    assert!(matches!(changes[..], [Change::Moved(..)]), "{changes:?}");
    // With a dead band of 10 the 75 does not clear 80.
    let after = tried(vec![high(1, 80.0, 10.0)], &readings, (0, 300));
    let changes = compare(before.of_rule("D1/HI"), after.of_rule("D1/HI"));
    let [Change::Moved(old, new)] = changes[..] else {
        panic!("{changes:?}")
    };
    let shift = Shift {
        raised_ms: 0,
        cleared_ms: None,
    };
    assert_eq!(Shift::between(old, new), shift);
}

#[test]
fn of_several_that_overlap_the_first_is_the_pair() {
    let readings = [(0, 10.0), (100, 85.0), (200, 75.0), (300, 85.0), (400, 10.0)]
        .map(|(at, value)| reading(1, at, value));
    // Held by a dead band of 10 from 100 to 400; without it 100–200 and 300–400.
    let (before, after) = (
        tried(vec![high(1, 80.0, 10.0)], &readings, (0, 500)),
        tried(vec![high(1, 80.0, 0.0)], &readings, (0, 500)),
    );
    let changes = compare(before.of_rule("D1/HI"), after.of_rule("D1/HI"));
    let [Change::Moved(old, new), Change::Added(second)] = changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(Shift::between(old, new).cleared_ms, Some(-200_000));
    assert_eq!(second.raised, t(300));
}

/// `D1` rises from 0 to 59 in every hour, a reading a minute, for 30 days and the day before; `D2` goes to and fro every 10 s from
/// 12:00 to 12:10 of the first day.
fn thirty_days() -> Vec<Reading> {
    let saw = (0..31 * 24 * 60).map(|minute: i64| {
        let value = (minute % 60) as f64;
        reading(1, minute * 60, value)
    });
    let noon = DAY + DAY / 2;
    let noise = (0..60).map(|n| reading(2, noon + n * 10, if n % 2 == 0 { 85.0 } else { 78.0 }));
    let mut all: Vec<Reading> = saw.chain(noise).collect();
    all.push(reading(2, noon + 600, 10.0));
    all.sort_by_key(|reading| (reading.time, reading.series));
    all
}

#[test]
fn a67_a_new_rule_on_thirty_days() {
    let readings = thirty_days();
    let range = (DAY, 31 * DAY);
    let before = tried(vec![high(1, 50.0, 0.0), high(2, 80.0, 0.0)], &readings, range);
    let after = tried(vec![high(1, 58.0, 0.0), high(2, 80.0, 5.0)], &readings, range);
    // D1 is over 50 once an hour, 30 × 24 = 720 times. D2 rises over 80 every 20 s for 10 min, 30 times; with a dead band of 5 its
    // 78 does not clear: once.
    assert_eq!(
        (before.of_rule("D1/HI").len(), before.of_rule("D2/HI").len()),
        (720, 30)
    );
    assert_eq!(
        (after.of_rule("D1/HI").len(), after.of_rule("D2/HI").len()),
        (720, 1)
    );
    let rows = rows(&before, &after);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    // D1's are all raised 8 min later; D2's first lasts longer, its other 29 are gone.
    assert_eq!((row.same, row.moved, row.added, row.removed), (0, 721, 0, 29));
    let (old, new) = (&before.of_rule("D1/HI")[0], &after.of_rule("D1/HI")[0]);
    let shift = Shift {
        raised_ms: 480_000,
        cleared_ms: Some(0),
    };
    assert_eq!(Shift::between(old, new), shift);
    // From 22:00 to 06:00 are 8 of 24 hours: 240 of the 720.
    let called = |outcome: &Outcome| {
        let all = &outcome.called[0];
        (all.calls, all.at_night)
    };
    assert_eq!((called(&before), called(&after)), ((750, 240), (721, 240)));
    // 12:00 to 12:10 is one interval in flood, of 30 × 144 = 4320.
    assert_eq!(before.health.flood_windows, 1);
    assert!((before.flood_share - 1.0 / 4320.0).abs() < 1e-12);
    // D1 at 11:58 and D2 at 12:00.
    assert_eq!((after.health.flood_windows, after.health.peak_10min), (0, 2));
    assert_eq!(before.health.peak_10min, 30);
    // Three raises within a minute.
    assert_eq!(before.chattering, ["D2/HI".into()]);
    assert!(after.chattering.is_empty());
    assert_eq!(before.health.top10, [("D1/HI".into(), 720), ("D2/HI".into(), 30)]);
}

#[test]
fn however_the_history_is_cut_the_outcome_is_the_same() {
    let readings = thirty_days();
    let setting = setting(t(DAY), AlarmSettings::default());
    let rules = || vec![high(1, 50.0, 0.0), high(2, 80.0, 0.0)];
    let whole = tried(rules(), &readings, (DAY, 31 * DAY));
    for length in [1, 997] {
        let mut trial = Trial::new(set(rules()), &setting, readings[0].time);
        for piece in readings.chunks(length) {
            trial.take(piece, &[]).unwrap();
        }
        let part = trial.end(t(31 * DAY)).unwrap();
        let cut = outcome(set(rules()), part, (DAY, 31 * DAY));
        assert_eq!(cut.occurrences, whole.occurrences);
        assert_eq!(
            (cut.called, cut.health),
            (whole.called.clone(), whole.health.clone())
        );
    }
}

#[test]
fn tried_in_shares_the_outcome_is_the_same() {
    let readings = thirty_days();
    let rules = vec![high(1, 50.0, 0.0), high(2, 80.0, 0.0)];
    let whole = tried(rules.clone(), &readings, (DAY, 31 * DAY));
    let all = set(rules);
    let owners = [(SeriesId(1), 1), (SeriesId(2), 2)];
    let shares = shares([&all, &all], &owners, 1);
    assert_eq!(shares.len(), 2);
    let setting = setting(t(DAY), AlarmSettings::default());
    let mut sum = Part::default();
    for share in shares.iter().rev() {
        let mut trial = Trial::new(all.part(&share.rules[0]), &setting, readings[0].time);
        let of = |reading: &&Reading| share.series.iter().any(|(series, _)| *series == reading.series);
        let own: Vec<Reading> = readings.iter().filter(of).copied().collect();
        trial.take(&own, &[]).unwrap();
        sum.absorb(trial.end(t(31 * DAY)).unwrap()).unwrap();
    }
    let parts = outcome(all, sum, (DAY, 31 * DAY));
    assert_eq!(parts.occurrences, whole.occurrences);
    assert_eq!((parts.called, parts.health), (whole.called, whole.health));
    assert_eq!(parts.chattering, whole.chattering);
}

#[test]
fn a_recorded_acknowledgement_ends_the_escalation_of_the_alarm_that_stands_then_and_of_no_other() {
    let alarms = AlarmSettings {
        routes: vec![Route {
            to: "li".into(),
            ..Route::default()
        }],
        escalation: vec![Step {
            after: Span::from_secs(60),
            to: vec!["boss".into()],
        }],
        ..AlarmSettings::default()
    };
    let setting = setting(t(0), alarms);
    let readings = [
        (0, 10.0),
        (100, 75.0),
        (200, 85.0),
        (500, 10.0),
        (600, 85.0),
        (900, 10.0),
    ]
    .map(|(at, value)| reading(1, at, value));
    let acts = [Act {
        at: t(130),
        rule: "D1/HI".into(),
        by: "li".into(),
        what: ActKind::Acknowledge,
    }];
    let tried = |limit: f64| {
        let set = set(vec![high(1, limit, 0.0)]);
        let mut trial = Trial::new(set.clone(), &setting, t(0));
        trial.take(&readings, &acts).unwrap();
        outcome(set, trial.end(t(1000)).unwrap(), (0, 1000))
    };
    let called = |outcome: &Outcome| -> Vec<(String, u64, u64)> {
        let of = outcome.called.iter();
        of.map(|called| (called.to.to_string(), called.calls, called.escalations))
            .collect()
    };
    // At 70 raised at 100, acknowledged at 130: the boss hears only of the one at 600, at 660.
    let before = tried(70.0);
    assert_eq!(before.acts, 1);
    assert_eq!(called(&before), [("boss".into(), 1, 1), ("li".into(), 2, 0)]);
    // At 80 raised at 200, when nobody had acknowledged that: the boss hears of both.
    let after = tried(80.0);
    assert_eq!(after.acts, 0);
    assert_eq!(called(&after), [("boss".into(), 2, 2), ("li".into(), 2, 0)]);
    let one = &after.of_rule("D1/HI")[0];
    assert_eq!((one.calls, one.escalations), (2, 1));
    assert_eq!(one.to, ["li".into(), "boss".into()]);
}

#[test]
fn a_reset_lets_a_latched_alarm_rise_anew() {
    let latching = || Rule {
        latching: true,
        ..high(1, 80.0, 0.0)
    };
    let readings =
        [(0, 85.0), (100, 10.0), (200, 85.0), (300, 10.0)].map(|(at, value)| reading(1, at, value));
    let act = |at: i64, what| Act {
        at: t(at),
        rule: "D1/HI".into(),
        by: "li".into(),
        what,
    };
    let acts = [act(120, ActKind::Acknowledge), act(130, ActKind::Reset)];
    let tried = |acts: &[Act]| {
        let setting = setting(t(0), AlarmSettings::default());
        let mut trial = Trial::new(set(vec![latching()]), &setting, t(0));
        trial.take(&readings, acts).unwrap();
        outcome(set(vec![latching()]), trial.end(t(400)).unwrap(), (0, 400))
    };
    assert_eq!(times(&tried(&acts), "D1/HI"), [(0, Some(100)), (200, Some(300))]);
    // Under the latch it is one and the same, called twice.
    let held = tried(&[]);
    assert_eq!(times(&held, "D1/HI"), [(0, Some(300))]);
    assert_eq!(held.of_rule("D1/HI")[0].calls, 2);
}

#[test]
fn a_recipient_hears_what_it_asks_for_and_each_call_once() {
    let hook = |name: &str| WebhookSettings {
        name: name.into(),
        url: "https://example.org/".into(),
        secret: None,
        priority_min: Priority::Low,
    };
    let recipient = |name: &str, channel: &str, priority_min| RecipientSettings {
        name: name.into(),
        channels: vec![channel.into()],
        priority_min,
        next_channel_after: Span::from_secs(60),
        next_channel_for: Urgent::LifeSafety,
    };
    let route = |to: &str| Route {
        to: to.into(),
        ..Route::default()
    };
    let alarms = AlarmSettings {
        webhooks: vec![hook("a"), hook("b")],
        recipients: vec![
            recipient("li", "a", Priority::Low),
            recipient("wang", "b", Priority::Critical),
        ],
        // Both lead to li; wang wants critical ones only, and this one is high.
        routes: vec![route("all"), route("li")],
        ..AlarmSettings::default()
    };
    alarms.check().unwrap();
    let setting = setting(t(0), alarms);
    let mut trial = Trial::new(set(vec![high(1, 80.0, 0.0)]), &setting, t(0));
    trial
        .take(&[reading(1, 0, 10.0), reading(1, 60, 85.0)], &[])
        .unwrap();
    let outcome = outcome(RuleSet::default(), trial.end(t(100)).unwrap(), (0, 100));
    let called: Vec<(&str, u64)> = (outcome.called.iter())
        .map(|called| (&*called.to, called.calls))
        .collect();
    assert_eq!(called, [("li", 1)]);
}

#[test]
fn a_device_is_heard_by_signals_that_no_rule_looks_at() {
    let silence = Rule {
        id: "D1/QUIET".into(),
        signal: None,
        series: None,
        condition: Condition::Silence {
            after: Span::from_secs(100),
        },
        ..high(1, 0.0, 0.0)
    };
    let other = |at: i64| Reading {
        series: SeriesId(77),
        ..reading(1, at, 1.0)
    };
    let readings: Vec<Reading> = [0, 60, 120, 180, 400].into_iter().map(other).collect();
    // The last before the gap is at 180: silent at 280, until 400.
    let outcome = tried(vec![silence], &readings, (0, 450));
    assert_eq!(times(&outcome, "D1/QUIET"), [(280, Some(400))]);
    assert_eq!(outcome.of_rule("D1/QUIET")[0].since, t(180));
}

#[test]
fn rules_on_clocks_are_left_out_and_counted() {
    let clock = Rule {
        condition: Condition::Clock,
        ..high(1, 0.0, 0.0)
    };
    let set = set(vec![clock, high(2, 1.0, 0.0)]);
    assert_eq!((set.clock_rules, set.rules().len()), (1, 1));
}

#[test]
fn the_rules_warm_up_for_their_longest_memory_and_a_day_at_least() {
    let silence = |days: u64| Rule {
        condition: Condition::Silence {
            after: Span::from_secs(days * 86_400),
        },
        on_delay: Span::from_secs(10),
        ..high(1, 0.0, 0.0)
    };
    assert_eq!(warm_up(&[high(1, 0.0, 0.0)]), Span::from_secs(86_400));
    // 3 d and an on-delay of 10 s.
    assert_eq!(
        warm_up(&[high(1, 0.0, 0.0), silence(3)]),
        Span::from_secs(3 * 86_400 + 10)
    );
}
