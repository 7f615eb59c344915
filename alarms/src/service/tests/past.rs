//! The log by time, over restarts: what the figures of alarm health are made of.

use super::*;
use crate::figures::{AlarmLog, LogFacts, Scope};

/// A gas alarm from 10 to 30 s, and a level alarm from 51 s on.
fn two_alarms(desk: &Desk, service: &AlarmService) {
    desk.to(10);
    service.observe(&desk.batch(1, &[("G1", 10, 40.0, GOOD)]));
    desk.to(31);
    service.observe(&desk.batch(2, &[("G1", 20, 5.0, GOOD), ("G1", 31, 5.0, GOOD)]));
    desk.to(51);
    service.observe(&desk.batch(3, &[("L1", 40, 85.0, GOOD), ("L1", 51, 86.0, GOOD)]));
}

fn calls(facts: &LogFacts) -> Vec<(&str, Timestamp)> {
    let calls = facts.rows.iter().filter(|row| row.is_call());
    calls
        .map(|row| (&*facts.rules[row.rule as usize].id, row.at))
        .collect()
}

fn active(facts: &LogFacts) -> Vec<&str> {
    let active = facts.active.iter();
    active
        .map(|active| &*facts.rules[active.rule as usize].id)
        .collect()
}

fn of(rule: &str) -> LogFilter {
    LogFilter {
        from: s(0),
        to: s(100),
        scope: Scope::Rule(rule.into()),
        events: Vec::new(),
        calls: false,
        before: None,
        limit: 0,
    }
}

#[test]
fn a_time_is_told_as_it_was_whatever_came_later() {
    let desk = Desk::new();
    let service = desk.open();
    two_alarms(&desk, &service);
    // When asked for the first hundred seconds,
    let before = service.facts(s(0), s(55)).unwrap();
    // then two people were called, and the level stands.
    assert_eq!(calls(&before), [("G1/HI", s(10)), ("L1/HI", s(50))]);
    assert_eq!(active(&before), ["L1/HI"]);
    // When the level has fallen, and the program was started again,
    desk.to(100);
    service.observe(&desk.batch(4, &[("L1", 60, 10.0, GOOD), ("L1", 100, 10.0, GOOD)]));
    drop(service);
    let service = desk.open();
    // then the same time is told the same way; by now nothing of it stands.
    let after = service.facts(s(0), s(55)).unwrap();
    assert_eq!((calls(&after), active(&after)), (calls(&before), active(&before)));
    let later = service.facts(s(0), s(101)).unwrap();
    assert!(!active(&later).contains(&"L1/HI"));
    // A time within which nothing happened has nothing.
    assert_eq!(service.facts(s(11), s(12)).unwrap().rows, []);
    assert!(service.knows("HI") && service.knows("L1/HI") && !service.knows("L1/NO"));
}

#[test]
fn rows_are_found_by_rule_event_and_call_and_page_by_page() {
    let desk = Desk::new();
    let service = desk.open();
    two_alarms(&desk, &service);
    let events = |filter: &LogFilter| -> Vec<String> {
        let rows = service.log_in(filter).unwrap();
        rows.into_iter().map(|row| row.event).collect()
    };
    // Newest first, and without what was told to whom.
    assert_eq!(events(&of("G1/HI")), ["cleared", "raised"]);
    let called = LogFilter {
        calls: true,
        ..of("HI")
    };
    let rows = service.log_in(&called).unwrap();
    let rules: Vec<&str> = rows.iter().map(|row| row.rule.as_str()).collect();
    assert_eq!(rules, ["L1/HI", "G1/HI"]);
    assert!(rows.iter().all(|row| row.call && row.detail["page"] == true));
    assert_eq!(rows[1].detail["priority"], "critical");
    let first = LogFilter {
        limit: 1,
        ..of("G1/HI")
    };
    assert_eq!(events(&first), ["cleared"]);
    let seq = service.log_in(&first).unwrap()[0].seq;
    let next = LogFilter {
        before: Some(seq),
        ..first
    };
    assert_eq!(events(&next), ["raised"]);
    let raised = LogFilter {
        events: vec![EventKind::Raised],
        ..of("HI")
    };
    assert_eq!(events(&raised), ["raised", "raised"]);
}

#[test]
fn nobody_knows_of_the_time_in_which_the_engine_did_not_run_nor_of_what_is_not_kept() {
    let mut desk = Desk::new();
    desk.clock.advance(Span::from_secs(1_000_000));
    // Given an engine that ran first from 1,000,000 s on, was killed at 1,000,020 and started at 1,000,500,
    {
        let service = desk.open();
        desk.to(1_000_020);
        service.observe(&desk.batch(1, &[("G1", 1_000_020, 40.0, GOOD)]));
    }
    desk.to(1_000_500);
    let service = desk.open();
    let known = |service: &AlarmService| {
        let facts = service.facts(s(900_000), s(1_000_600)).unwrap();
        let mut down = facts.down;
        down.retain(|(since, until)| until > since);
        (down, facts.rows.len())
    };
    // then nobody knows of the time before, nor of the time between.
    let (down, rows) = known(&service);
    assert!(down.contains(&(s(0), s(1_000_000))), "{down:?}");
    assert!(down.contains(&(s(1_000_020), s(1_000_500))), "{down:?}");
    assert!(rows > 0);
    drop(service);
    // When the log is kept for a day, then a day later nothing of what is older is told, whatever is left of it.
    desk.settings.keep = Span::from_secs(86_400);
    desk.to(1_000_500 + 86_400);
    let service = desk.open();
    let (down, rows) = known(&service);
    assert!(down.iter().any(|(_, until)| *until == s(1_000_500)), "{down:?}");
    assert_eq!(rows, 0);
}
