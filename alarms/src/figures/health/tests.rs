//! Each figure of alarm health over a log of a few rows, computed by hand.

use std::sync::Arc;

use telemetry::profile::Priority;
use telemetry::time::Span;
use telemetry::{Catalogue, Timestamp};

use crate::engine::{EventKind, Tag, Tags};
use crate::figures::testkit::{County, at, close, health_figures, station};
use crate::figures::{Figure, FigureError, LogFacts, LogRule, Part, Scope, Variant};
use crate::health::lasting::Active;
use crate::health::{Act, Happening, Left};
use crate::lifecycle::AlarmState;

/// The first instant of the log: an hour and an interval of ten minutes begin with it.
const BASE: &str = "2026-11-01T00:00:00+08:00";

fn s(seconds: i64) -> Timestamp {
    Timestamp::from_millis(at(BASE).millis() + seconds * 1000)
}

/// A log that is written down row by row.
struct Log {
    catalogue: Arc<Catalogue>,
    facts: LogFacts,
}

impl Log {
    /// Stations `a` and `b` of the organisations `o` and `p`.
    fn new() -> Self {
        let (a, b) = (
            station("a", "sewage-station-small", ""),
            station("b", "sewage-station-small", ""),
        );
        let text = a + &b.replace("organisation = \"o\"", "organisation = \"p\"");
        Self {
            catalogue: County::new(&text, BASE).catalogue,
            facts: LogFacts::default(),
        }
    }

    fn rule(&mut self, id: &str) -> u32 {
        let known = self.facts.rules.iter().position(|rule| &*rule.id == id);
        let place = known.unwrap_or_else(|| {
            let device = id.split('/').next().unwrap();
            self.facts.rules.push(LogRule {
                id: id.into(),
                title: None,
                device: self.catalogue.device_index(device),
            });
            self.facts.rules.len() - 1
        });
        u32::try_from(place).unwrap()
    }

    /// Something happens to a rule; people are told.
    fn row(&mut self, rule: &str, seconds: i64, event: EventKind) -> &mut Happening {
        let rule = self.rule(rule);
        let seq = self.facts.rows.len() as u64 + 1;
        self.facts.rows.push(Happening {
            seq,
            at: s(seconds),
            rule,
            occurrence: 1,
            event,
            page: true,
            tags: Tags::NONE,
            state: AlarmState::Unacknowledged,
            priority: Priority::Low,
            life_safety: false,
            flood: false,
            raised_at: s(seconds),
            acknowledged: false,
            act: None,
        });
        self.facts.rows.last_mut().unwrap()
    }

    fn raise(&mut self, rule: &str, seconds: i64) -> &mut Happening {
        self.row(rule, seconds, EventKind::Raised)
    }

    /// A person does something with a reason, until so long after.
    fn act(&mut self, rule: &str, seconds: i64, event: EventKind, by: &str, for_s: Option<i64>) -> &mut Act {
        let row = self.row(rule, seconds, event);
        row.act = Some(Box::new(Act {
            by: Some(by.into()),
            reason: Some("reason".into()),
            second: None,
            until: for_s.map(|time| s(seconds + time)),
        }));
        row.act.as_mut().unwrap()
    }

    fn ask(&self, name: &str, from_s: i64, to_s: i64, scope: &str) -> Result<Figure, FigureError> {
        let mut facts = self.facts.clone();
        facts.rows.sort_by_key(|row| row.at);
        let figures = health_figures(Arc::clone(&self.catalogue), facts, s(100 * 86_400));
        figures.compute(name, Some(s(from_s)), Some(s(to_s)), &scope.parse().unwrap())
    }

    fn figure(&self, name: &str, to_s: i64) -> Figure {
        self.ask(name, 0, to_s, "county").unwrap()
    }
}

fn variant<'a>(figure: &'a Figure, name: &str) -> &'a Variant {
    figure
        .variants
        .iter()
        .find(|variant| variant.name == name)
        .unwrap()
}

fn met(figure: &Figure, name: &str, of: Option<&str>) -> Option<bool> {
    let bound = figure
        .bounds
        .iter()
        .find(|bound| bound.name == name && bound.of == of);
    bound.unwrap().met
}

fn numbers(parts: &[Part]) -> Vec<(Option<f64>, Option<f64>)> {
    parts
        .iter()
        .map(|part| (part.numerator, part.denominator))
        .collect()
}

fn rules(parts: &[Part]) -> Vec<&str> {
    parts.iter().map(|part| part.rule.as_deref().unwrap()).collect()
}

fn excluded(figure: &Figure) -> Vec<(&str, &str, &str)> {
    let excluded = figure.excluded.iter();
    excluded
        .map(|out| (out.site.as_str(), out.code, &*out.reason.en))
        .collect()
}

const HOUR: i64 = 3600;

#[test]
fn the_rate_is_calls_by_known_hours() {
    let mut log = Log::new();
    // Given three calls of a within 9 min 59 s and one of b,
    for seconds in [HOUR, HOUR + 300, HOUR + 599] {
        log.raise("a/HI", seconds);
    }
    log.row("b/LO", 5 * HOUR, EventKind::ReAlarmed);
    // a test, history, one on the shelf and one behind its gateway, the flood's own alarm, one that was only owed again, and a clear,
    log.raise("a/HI", 6 * HOUR).tags = Tags::of(Tag::Test);
    let recorded = log.row("b/LO", 6 * HOUR, EventKind::Recorded);
    (recorded.page, recorded.tags) = (false, Tags::of(Tag::Historical));
    let shelved = log.raise("b/LO", 6 * HOUR);
    (shelved.page, shelved.state) = (false, AlarmState::Shelved);
    let behind = log.raise("b/LO", 6 * HOUR);
    (behind.page, behind.state) = (false, AlarmState::SuppressedByDesign);
    log.raise("a/flood", 6 * HOUR).flood = true;
    log.row("a/HI", 6 * HOUR, EventKind::ReAlarmed).page = false;
    log.row("a/HI", 6 * HOUR, EventKind::Cleared);
    // one after the period, and an engine that was down for the last two of ten hours.
    log.raise("a/HI", 10 * HOUR);
    log.facts.down = vec![(s(8 * HOUR), s(9 * HOUR)), (s(9 * HOUR), s(12 * HOUR))];
    let figure = log.figure("alarm_rate", 10 * HOUR);
    // 4 calls in 8 h: 0.5 an hour, 1/12 in 10 min, 12 a day; the peak is 3.
    close(figure.value, 0.5);
    assert_eq!((figure.numerator, figure.denominator), (Some(4.0), Some(8.0)));
    assert_eq!(
        (figure.unit, figure.counted_in, figure.denominator_in),
        ("{call}/h", "{call}", Some("h"))
    );
    close(variant(&figure, "per_10min").value, 1.0 / 12.0);
    close(variant(&figure, "per_day").value, 12.0);
    close(variant(&figure, "peak_10min").value, 3.0);
    // Two of ten hours are unknown.
    close(figure.unknown.share, 0.2);
    assert_eq!((figure.unknown.amount, figure.unknown.unit), (2.0, "h"));
    assert_eq!(met(&figure, "acceptable", None), Some(true));
    assert_eq!(met(&figure, "peak_max", Some("peak_10min")), Some(true));
    assert_eq!(
        excluded(&figure),
        [
            ("a", "test", "1: in test mode"),
            ("b", "historical", "1: history"),
            ("b", "shelved", "1: shelved"),
            ("b", "suppressed_by_design", "1: suppressed by design"),
        ]
    );
    // Parts are organisations; the course is by hour, and dark where nothing is known.
    let of = |part: &Part| (part.organisation.clone().unwrap(), part.numerator, part.value);
    let parts: Vec<_> = figure.parts.iter().map(of).collect();
    let (three, one) = ((Some(3.0), Some(0.375)), (Some(1.0), Some(0.125)));
    assert_eq!(
        parts,
        [("o".into(), three.0, three.1), ("p".into(), one.0, one.1)]
    );
    let course: Vec<_> = figure
        .course
        .unwrap()
        .steps
        .iter()
        .map(|step| step.value)
        .collect();
    let wanted = [0.0, 3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0].map(Some);
    assert_eq!(course[..8], wanted);
    assert_eq!(course[8..], [None, None]);
    let link = format!(
        "/api/v1/alarms/log?from={}&to={}&scope=county&calls=true",
        s(0).millis(),
        s(10 * HOUR).millis()
    );
    assert_eq!(figure.evidence, [link]);
}

#[test]
fn a_long_period_is_shown_by_civil_day() {
    let mut log = Log::new();
    for seconds in [0, 86_399, 86_400, 4 * 86_400 + 1] {
        log.raise("a/HI", seconds);
    }
    // Ten hours into the fifth day.
    let figure = log.figure("alarm_rate", 4 * 86_400 + 10 * HOUR);
    let course = figure.course.unwrap();
    let steps: Vec<_> = course.steps.iter().map(|step| step.value.unwrap()).collect();
    assert_eq!(steps, [2.0, 1.0, 0.0, 0.0, 1.0]);
    assert_eq!(
        course.bounds.iter().map(|bound| bound.limit).collect::<Vec<_>>(),
        [150.0, 300.0]
    );
}

#[test]
fn a_flood_is_counted_in_whole_intervals_until_one_of_few_calls() {
    let mut log = Log::new();
    let mut calls = |first: i64, count: i64| {
        for number in 0..count {
            log.raise("a/HI", first + number);
        }
    };
    // 10 calls are no flood; 11 begin one; 5 go on; 4 end it.
    calls(600, 10);
    calls(1200, 11);
    calls(1800, 5);
    calls(2400, 4);
    let figure = log.figure("alarm_flood", HOUR);
    // 2 of 6 intervals; over the limit: 1.
    assert_eq!((figure.numerator, figure.denominator), (Some(2.0), Some(6.0)));
    close(figure.value, 100.0 / 3.0);
    close(variant(&figure, "over").value, 100.0 / 6.0);
    assert_eq!(met(&figure, "share_max", None), Some(false));
    assert_eq!(numbers(&figure.parts), [(Some(2.0), Some(2.0))]);
    assert_eq!(&*figure.parts[0].notes[0].en, "16 calls");
    assert_eq!(
        &*figure.parts[0].name.en,
        "2026-11-01T00:20:00+08:00 – 2026-11-01T00:40:00+08:00"
    );
    // A period that begins within the flood: it goes on. One that begins and ends within intervals: only the whole ones count.
    let late = log.ask("alarm_flood", 1800, HOUR, "county").unwrap();
    assert_eq!((late.numerator, late.denominator), (Some(1.0), Some(3.0)));
    let cut = log.ask("alarm_flood", 1201, 3599, "county").unwrap();
    assert_eq!((cut.numerator, cut.denominator), (Some(1.0), Some(2.0)));
    // An interval in which the engine was down for a second is unknown, unless a flood was seen in it.
    log.facts.down = vec![(s(1199), s(1201))];
    let figure = log.figure("alarm_flood", HOUR);
    assert_eq!((figure.numerator, figure.denominator), (Some(2.0), Some(5.0)));
    assert_eq!((figure.unknown.amount, figure.unknown.unit), (1.0, "{interval}"));
    close(figure.unknown.share, 1.0 / 6.0);
    // Not a single whole interval: there is nothing to say.
    let none = log.ask("alarm_flood", 1, 599, "county").unwrap();
    assert!(none.value.is_none() && none.reason.is_some());
}

#[test]
fn three_raises_within_a_minute_are_chatter() {
    let mut log = Log::new();
    // The third 60 s after the first, and a fourth 30 s later: two too many. 61 s: none.
    for seconds in [0, 30, 60, 90] {
        log.raise("a/HI", seconds);
    }
    for seconds in [0, 30, 61] {
        log.raise("a/LO", seconds);
    }
    // A test does not chatter; what a person has shelved goes on chattering.
    for seconds in [0, 1, 2] {
        log.raise("b/HI", seconds).tags = Tags::of(Tag::Test);
        let shelved = log.raise("b/LO", 100 + seconds);
        (shelved.page, shelved.state) = (false, AlarmState::Shelved);
    }
    let figure = log.figure("alarm_chattering", HOUR);
    assert_eq!((figure.value, figure.denominator), (Some(2.0), None));
    assert_eq!(rules(&figure.parts), ["a/HI", "b/LO"]);
    assert!(figure.parts[0].notes[0].en.starts_with("raised too soon 2 times"));
    assert_eq!(excluded(&figure), [("b", "test", "3: in test mode")]);
    assert_eq!(met(&figure, "goal", None), Some(false));
    // The policy says how many within what; another figure of the same log: none of the stations of nobody.
    let none = log.ask("alarm_chattering", 200, HOUR, "county").unwrap();
    assert_eq!((none.value, met(&none, "goal", None)), (Some(0.0), Some(true)));
}

#[test]
fn what_came_and_went_within_ten_seconds_without_a_person_is_fleeting() {
    let mut log = Log::new();
    let mut ended = |event, ms: i64| {
        let row = log.row("a/HI", 100, event);
        row.raised_at = Timestamp::from_millis(row.at.millis() - ms);
        row.seq
    };
    ended(EventKind::Cleared, 9_999);
    ended(EventKind::Cleared, 10_000);
    // Acknowledged within; found when it was over; in test; latched, so a person has to reset it.
    let acknowledged = ended(EventKind::Cleared, 5_000);
    let momentary = ended(EventKind::Cleared, 0);
    let test = ended(EventKind::Cleared, 1_000);
    ended(EventKind::Latched, 1_000);
    for row in &mut log.facts.rows {
        row.acknowledged = row.seq == acknowledged;
        if row.seq == momentary {
            row.tags = Tags::of(Tag::Momentary);
        } else if row.seq == test {
            row.tags = Tags::of(Tag::Test);
        }
    }
    let figure = log.figure("alarm_fleeting", HOUR);
    assert_eq!(figure.value, Some(1.0));
    // Of four that ended and count.
    assert_eq!(variant(&figure, "share").denominator, Some(4.0));
    close(variant(&figure, "share").value, 25.0);
    assert_eq!(
        excluded(&figure),
        [
            ("a", "momentary", "1: over by the time it was found"),
            ("a", "test", "1: in test mode")
        ]
    );
    assert_eq!(rules(&figure.parts), ["a/HI"]);
}

#[test]
fn what_was_active_for_more_than_a_day_is_stale() {
    let mut log = Log::new();
    let day = 86_400;
    let mut ended = |rule: &str, raised: i64, at: i64| {
        log.row(rule, at, EventKind::Cleared).raised_at = s(raised);
    };
    // A day and a second, over on the second day; a day and no more; five days, from the first on.
    ended("a/ONE", 0, day + 1);
    ended("a/DAY", 0, day);
    ended("b/LONG", 0, 5 * day);
    let active = |rule, left| Active {
        rule,
        occurrence: 3,
        raised_at: s(4 * day),
        until: None,
        alone: false,
        momentary: false,
        left,
    };
    // Two stand at the end: one of them on the shelf.
    let (stands, shelf) = (log.rule("a/STANDS"), log.rule("b/SHELF"));
    log.facts.active = vec![active(stands, None), active(shelf, Some(Left::Shelved))];
    let figure = log.figure("alarm_stale", 7 * day);
    assert_eq!(rules(&figure.parts), ["a/ONE", "b/LONG", "a/STANDS"]);
    assert_eq!(figure.value, Some(3.0));
    assert_eq!(excluded(&figure), [("b", "shelved", "1: shelved")]);
    // The second day: ONE (for a second) and LONG. The sixth: STANDS alone, since LONG ended with the fifth.
    assert_eq!(variant(&figure, "most_on_a_day").value, Some(2.0));
    assert_eq!(variant(&figure, "at_end").value, Some(1.0));
    assert_eq!(met(&figure, "per_day_below", Some("most_on_a_day")), Some(true));
    // Asked for the time before the day is over, nothing is stale.
    log.facts.active.clear();
    assert_eq!(log.ask("alarm_stale", 0, day, "county").unwrap().value, Some(0.0));
}

#[test]
fn the_ten_rules_that_called_most_have_their_share() {
    let mut log = Log::new();
    // Twelve rules with 1 to 12 calls: 78 in all, 75 of the ten.
    for rule in 1..=12 {
        for call in 0..rule {
            log.raise(&format!("a/R{rule:02}"), rule * 100 + call);
        }
    }
    let figure = log.figure("alarm_top_ten", HOUR);
    assert_eq!((figure.numerator, figure.denominator), (Some(75.0), Some(78.0)));
    close(figure.value, 75.0 / 78.0 * 100.0);
    assert_eq!(rules(&figure.parts)[..2], ["a/R12", "a/R11"]);
    assert_eq!(figure.parts.len(), 10);
    close(figure.parts[0].value, 12.0 / 78.0 * 100.0);
    assert_eq!(met(&figure, "share_max", None), Some(false));
    let link = &figure.parts[0].evidence[0];
    assert!(link.contains("scope=rule:a/R12&calls=true"), "{link}");
    // Nobody was called: there is nothing to share.
    let none = log.ask("alarm_top_ten", 5000, 6000, "county").unwrap();
    assert!(none.value.is_none() && none.reason.is_some());
}

#[test]
fn calls_are_shared_out_by_the_priority_that_the_rule_had() {
    let mut log = Log::new();
    let grave = [Priority::Critical, Priority::High, Priority::Medium];
    for (number, priority) in grave.into_iter().chain([Priority::Low; 7]).enumerate() {
        let rule = if number == 1 { "b/HI" } else { "a/HI" };
        log.raise(rule, i64::try_from(number).unwrap()).priority = priority;
    }
    let figure = log.figure("alarm_priority_mix", HOUR);
    // Of ten, one is critical and one is high.
    close(figure.value, 20.0);
    for (name, share) in [
        ("low", 70.0),
        ("medium", 10.0),
        ("high", 10.0),
        ("critical", 10.0),
    ] {
        close(variant(&figure, name).value, share);
    }
    assert_eq!(met(&figure, "critical", Some("critical")), Some(false));
    assert_eq!(
        met(&figure, "low", Some("low")),
        None,
        "nobody says how near is near"
    );
    // Organisation o: 1 of 9; p: 1 of 1.
    assert_eq!(
        numbers(&figure.parts),
        [(Some(1.0), Some(9.0)), (Some(1.0), Some(1.0))]
    );
}

#[test]
fn what_was_set_aside_without_permission_is_counted_once_each() {
    let mut log = Log::new();
    let (shelved, out) = (EventKind::Shelved, EventKind::OutOfService);
    let day = 86_400;
    // All well: a shelf of 8 h, a permit of 30 days, a gateway's children, life-safety by two.
    log.act("a/OK", 0, shelved, "li", Some(8 * HOUR));
    log.act("a/OK", 0, out, "li", Some(30 * day));
    log.act("a/OK", 0, EventKind::Suppressed, "", None);
    log.act("a/LIFE", 0, shelved, "li", Some(60)).second = Some("wang".into());
    log.facts.rows.last_mut().unwrap().life_safety = true;
    assert_eq!(
        log.figure("alarm_unauthorised_suppression", HOUR).value,
        Some(0.0)
    );
    // Life-safety by one, and by one who signs twice; no reason and no name at once; too long; no end; a rule out of force.
    for second in [None, Some("li")] {
        log.act("b/LIFE", 1, shelved, "li", Some(60)).second = second.map(Into::into);
        log.facts.rows.last_mut().unwrap().life_safety = true;
    }
    let nobody = log.act("b/HI", 2, shelved, " ", Some(60));
    nobody.reason = None;
    log.act("b/HI", 3, out, "li", Some(30 * day + 1));
    log.act("b/LO", 4, out, "li", None);
    log.act("b/HI", 5, EventKind::Suppressed, "", None).reason = None;
    log.act("b/HI", 6, EventKind::Closed, "li", None);
    // A shelf of 20 h that is renewed before it ends, to 30 h in all; one that is renewed after a break is well.
    log.act("a/LONG", 0, shelved, "li", Some(20 * HOUR));
    log.act("a/LONG", 10 * HOUR, shelved, "li", Some(20 * HOUR));
    log.act("a/BREAK", 0, shelved, "li", Some(20 * HOUR));
    log.row("a/BREAK", 9 * HOUR, EventKind::Unshelved);
    log.act("a/BREAK", 10 * HOUR, shelved, "li", Some(20 * HOUR));
    let figure = log.figure("alarm_unauthorised_suppression", day);
    // b: 2 + 1 + 1 + 1 + 1 + 1 = 7; a: the renewal. All in all 4 + 7 + 4 acts.
    assert_eq!(figure.value, Some(8.0));
    assert_eq!(variant(&figure, "all").value, Some(15.0));
    assert_eq!(numbers(&figure.parts), [(Some(1.0), None), (Some(7.0), None)]);
    let notes: Vec<&str> = figure.parts[1].notes.iter().map(|note| &*note.en).collect();
    assert_eq!(
        notes,
        [
            "1: nobody is named",
            "2: no reason or permit",
            "2: life-safety, shelved by one person",
            "2: for longer than allowed",
            "1: the rule was taken out of force or removed",
        ]
    );
    // A shelf that began before the period counts for how long it is.
    let late = log
        .ask("alarm_unauthorised_suppression", 9 * HOUR + 1, day, "county")
        .unwrap();
    assert_eq!(late.value, Some(1.0));
}

#[test]
fn a_scope_narrows_every_figure_and_only_these_know_rules() {
    let mut log = Log::new();
    log.raise("a/HI", 10);
    log.raise("b/HI", 20);
    log.raise("b/LO", 30);
    let calls = |scope: &str| log.ask("alarm_rate", 0, HOUR, scope).unwrap().numerator;
    assert_eq!(calls("county"), Some(3.0));
    assert_eq!(calls("organisation:p"), Some(2.0));
    assert_eq!(calls("site:a"), Some(1.0));
    assert_eq!(calls("rule:HI"), Some(2.0));
    assert_eq!(calls("rule:b/HI"), Some(1.0));
    // Below the county the parts are rules.
    let parts = log.ask("alarm_rate", 0, HOUR, "organisation:p").unwrap().parts;
    assert_eq!(rules(&parts), ["b/HI", "b/LO"]);
    for (name, scope) in [("alarm_rate", "rule:NONE"), ("lighting_rate", "rule:HI")] {
        let refused = log.ask(name, 0, HOUR, scope);
        assert!(
            matches!(refused, Err(FigureError::Scope { .. })),
            "{name} {scope}"
        );
    }
}

#[test]
fn a_bound_is_called_met_only_where_half_of_the_period_is_known_and_missed_at_once() {
    // Given ten hours with three calls in the last; of the ten the first six, or five, are unknown.
    let met_of = |unknown_h: i64, name: &str, of| {
        let mut log = Log::new();
        log.facts.down = vec![(s(0), s(unknown_h * HOUR))];
        for minute in 0..3 {
            log.raise("a/HI", 9 * HOUR + minute * 600);
        }
        let figure = log.figure("alarm_rate", 10 * HOUR);
        let told = figure.notes.iter().any(|note| note.en.contains("less than 50 %"));
        (met(&figure, name, of), told)
    };
    // When the bound is kept, then it is met where half is known, and nobody can say where less is.
    assert_eq!(met_of(5, "acceptable", None), (Some(true), false));
    assert_eq!(met_of(6, "acceptable", None), (None, true));
    // When it is missed, then that is said, however little is known.
    let mut log = Log::new();
    log.facts.down = vec![(s(0), s(9 * HOUR))];
    for second in 0..11 {
        log.raise("a/HI", 9 * HOUR + second);
    }
    let figure = log.figure("alarm_rate", 10 * HOUR);
    assert_eq!(met(&figure, "peak_max", Some("peak_10min")), Some(false));
}

#[test]
fn without_a_log_nothing_is_known_and_nothing_is_zero() {
    let mut log = Log::new();
    log.facts.down = vec![(Timestamp::EPOCH, s(HOUR))];
    for name in crate::figures::Figures::names()
        .into_iter()
        .filter(|name| name.starts_with("alarm_"))
    {
        let figure = log.figure(name, HOUR);
        assert!(figure.value.is_none() && figure.reason.is_some(), "{name}");
        assert_eq!(figure.unknown.share, Some(1.0), "{name}");
    }
    // Who keeps no log at all gives no answer.
    let county = County::new(&station("a", "sewage-station-small", ""), BASE);
    let refused = county.figures().compute("alarm_rate", None, None, &Scope::County);
    assert!(matches!(refused, Err(FigureError::Log(_))));
}

#[test]
fn late_news_changes_the_revision_and_asking_again_does_not() {
    let mut log = Log::new();
    log.raise("a/HI", 10);
    let first = log.figure("alarm_rate", HOUR);
    assert_eq!(first.revision, log.figure("alarm_rate", HOUR).revision);
    log.raise("a/HI", 20);
    assert_ne!(first.revision, log.figure("alarm_rate", HOUR).revision);
    assert_eq!((&*first.policy.id, first.policy.version), ("alarm-health", 1));
    assert_eq!(
        Span::from_secs(600),
        crate::figures::HealthPolicy::builtin().unwrap().flood.interval
    );
}
