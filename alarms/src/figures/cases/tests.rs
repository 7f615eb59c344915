use std::sync::Arc;

use telemetry::time::Timestamp;

use crate::cases::case::Standing;
use crate::cases::due::Due;
use crate::cases::lifecycle::CaseState;
use crate::figures::form::words;
use crate::figures::testkit::{County, at, station};
use crate::figures::{CaseFact, CaseFacts, Figure, Scope};

const FROM: &str = "2026-11-01T00:00:00+08:00";
const TO: &str = "2026-12-01T00:00:00+08:00";

/// A day of November, at noon.
fn day(day: i64) -> Timestamp {
    let first = at("2026-11-01T12:00:00+08:00");
    Timestamp::from_millis(first.millis() + (day - 1) * Timestamp::DAY_MS)
}

struct Told(Vec<CaseFact>);

impl CaseFacts for Told {
    fn facts(
        &self,
        _from: Timestamp,
        _to: Timestamp,
    ) -> Result<Vec<CaseFact>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.clone())
    }
}

/// A case of `o`, in that state, due on these days, done and closed on those.
fn case(id: u64, state: CaseState, due: (i64, i64), done: Option<i64>, closed: Option<i64>) -> CaseFact {
    CaseFact {
        id,
        title: words("案", "case"),
        site: "a".into(),
        site_name: words("甲", "a"),
        town: "t".into(),
        organisation: "o".into(),
        standing: Standing {
            state,
            due: Due {
                handle: Some(day(due.0)),
                close: Some(day(due.1)),
                ..Due::default()
            },
            handled_at: done.map(day),
            closed_at: closed.map(day),
            feedback: done.map(day).into_iter().collect(),
            reworked: Vec::new(),
        },
    }
}

/// Ten cases, counted by hand below.
fn cases() -> Vec<CaseFact> {
    let suspended = Due {
        stopped: true,
        ..Due::default()
    };
    let unknown = Due {
        unknown_year: Some(2027),
        ..Due::default()
    };
    let with = |mut fact: CaseFact, due| {
        fact.standing.due = due;
        fact
    };
    let mut sent_back = case(4, CaseState::Closed, (10, 12), Some(11), Some(12));
    sent_back.standing.feedback = vec![day(9), day(11)];
    sent_back.standing.reworked = vec![day(10)];
    let mut of_other = case(5, CaseState::Closed, (20, 22), Some(19), Some(24));
    of_other.organisation = "p".into();
    vec![
        // 1: done and closed in time.
        case(1, CaseState::Closed, (5, 7), Some(4), Some(6)),
        // 2: done in time, not yet verified, the case is past its own deadline.
        case(2, CaseState::Handled, (15, 17), Some(15), None),
        // 3: not done; overdue.
        case(3, CaseState::Handling, (28, 29), None, None),
        // 4: done in time, sent back, done again late, closed on the day that it was due.
        sent_back,
        // 5: of another organisation: done in time, closed late.
        of_other,
        // 6: due in December, not done: not of this period.
        case(6, CaseState::Dispatched, (35, 37), None, None),
        // 7: due in December, but done and closed in November: of this period.
        case(7, CaseState::Closed, (35, 37), Some(27), Some(28)),
        // 8: done in October, before a deadline in this period: it counted there. Closed in November.
        case(8, CaseState::Closed, (2, 3), Some(-5), Some(2)),
        // 9: suspended; 10: cancelled; 11: the calendar lacks the year.
        with(case(9, CaseState::Suspended, (5, 5), None, None), suspended),
        case(10, CaseState::Cancelled, (5, 5), None, None),
        with(case(11, CaseState::Dispatched, (5, 5), None, None), unknown),
    ]
}

fn ask(facts: Vec<CaseFact>, name: &str, scope: &Scope) -> Figure {
    let county = County::new(&station("a", "sewage-station", ""), "2026-12-05T12:00:00+08:00");
    let figures = county.figures().with_cases(Arc::new(Told(facts)));
    figures
        .compute(name, Some(at(FROM)), Some(at(TO)), scope)
        .unwrap()
}

fn counted(figure: &Figure) -> (Option<f64>, Option<f64>) {
    (figure.numerator, figure.denominator)
}

#[test]
fn the_rates_are_those_that_were_counted_by_hand() {
    for (name, hits, all) in [
        // Due to handle in November: 1, 2, 3, 4, 5, 7. Not done: 3. Late: 4.
        ("case_handling_rate", 5.0, 6.0),
        ("case_in_time_handling_rate", 4.0, 6.0),
        // Due to close in November: 1, 2, 3, 4, 5, 7, 8. Not closed: 2 and 3. Late: 5.
        ("case_closure_rate", 5.0, 7.0),
        ("case_in_time_closure_rate", 4.0, 7.0),
        // With a feedback in November: 1, 2, 4, 5, 7. Sent back: 4.
        ("case_rework_rate", 1.0, 5.0),
    ] {
        let figure = ask(cases(), name, &Scope::County);
        assert_eq!(counted(&figure), (Some(hits), Some(all)), "{name}");
        let found = figure.value.unwrap();
        assert!((found - hits / all * 100.0).abs() < 1e-9, "{name}: {found}");
    }
}

#[test]
fn what_is_cancelled_suspended_or_without_a_deadline_is_left_out_and_named() {
    let figure = ask(cases(), "case_in_time_handling_rate", &Scope::County);
    let codes: Vec<&str> = figure.excluded.iter().map(|out| out.code).collect();
    assert_eq!(codes, ["suspended", "cancelled", "no_deadline"]);
    assert!(figure.excluded[2].reason.en.contains("no year 2027"));
    // One of seven that should count has no deadline.
    assert_eq!(figure.unknown.amount.to_bits(), 1.0_f64.to_bits());
    assert!((figure.unknown.share.unwrap() - 1.0 / 7.0).abs() < 1e-9);
}

#[test]
fn each_organisation_is_a_part_with_the_way_to_its_cases() {
    let figure = ask(cases(), "case_in_time_closure_rate", &Scope::County);
    let parts: Vec<_> = figure
        .parts
        .iter()
        .map(|part| {
            (
                part.organisation.as_deref().unwrap(),
                part.numerator.unwrap(),
                part.denominator.unwrap(),
            )
        })
        .collect();
    assert_eq!(parts, [("o", 4.0, 6.0), ("p", 0.0, 1.0)]);
    assert_eq!(figure.parts[1].evidence, ["/api/v1/cases/5"]);
    assert_eq!(figure.evidence[0], "/api/v1/cases?organisation=o");
    let scope = Scope::Organisation("o".into());
    let county = County::new(&station("a", "sewage-station", ""), "2026-12-05T12:00:00+08:00");
    let figures = county.figures().with_cases(Arc::new(Told(cases())));
    let own = figures
        .compute("case_closure_rate", Some(at(FROM)), Some(at(TO)), &scope)
        .unwrap();
    assert_eq!(counted(&own), (Some(4.0), Some(6.0)));
}

#[test]
fn the_backlog_is_what_is_open_and_past_a_deadline_at_the_end() {
    // 2: done, but the case should be closed; 3: the work should be done. 6 is not yet due, 9 is suspended.
    let figure = ask(cases(), "case_backlog", &Scope::County);
    assert_eq!((figure.value, figure.denominator), (Some(2.0), None));
    assert_eq!(figure.parts[0].evidence, ["/api/v1/cases/2", "/api/v1/cases/3"]);
    // None is a number, not "unknown": 全年无积件.
    let nothing = ask(Vec::new(), "case_backlog", &Scope::County);
    assert_eq!((nothing.value, nothing.reason), (Some(0.0), None));
}

#[test]
fn without_a_case_a_rate_is_null_with_a_reason() {
    for name in ["case_handling_rate", "case_closure_rate", "case_rework_rate"] {
        let figure = ask(Vec::new(), name, &Scope::County);
        assert_eq!((figure.value, figure.denominator), (None, Some(0.0)), "{name}");
        assert!(figure.reason.unwrap().en.contains("no case"), "{name}");
    }
}

#[test]
fn without_a_period_the_civil_year_to_date_is_meant() {
    let county = County::new(&station("a", "sewage-station", ""), "2026-12-05T12:00:00+08:00");
    let figure = county.figure("case_backlog");
    assert_eq!(figure.from.time, "2026-01-01T00:00:00+08:00");
    assert_eq!(figure.to.time, "2026-12-05T12:00:00+08:00");
}
