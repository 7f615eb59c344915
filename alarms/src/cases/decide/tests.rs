use telemetry::profile::Title;

use super::super::case::{Allowed, CaseAlarm};
use super::super::deadlines::Deadlines;
use super::super::due::Due;
use super::super::worktime::tests::{at, county};
use super::*;

fn title(text: &str) -> Title {
    Title {
        zh: text.into(),
        en: text.into(),
    }
}

/// A case about a lamp, filed on Monday 30 November 2026 at 09:00: 24 h, and a working day to verify.
fn case() -> Case {
    let table = Deadlines::builtin().unwrap();
    let mut case = Case {
        id: 1,
        title: title("lamp out"),
        site: "loop-1".into(),
        site_name: title("loop"),
        town: "t".into(),
        device: Some("lamp-1".into()),
        organisation: "om-a".into(),
        priority: None,
        life_safety: false,
        state: CaseState::Filed,
        filed_at: at("2026-11-30T09:00"),
        filed_by: "Li".into(),
        allowed: Allowed::of(&table, Some("LAMP-OUT")).unwrap(),
        due: Due::default(),
        marks: Vec::new(),
        asked: None,
        alarms: vec![CaseAlarm {
            rule: "lamp-1/LAMP-OUT".into(),
            occurrence: 1,
            occurrences: 1,
            active: false,
            returned_at: Some(at("2026-11-30T10:00")),
            acknowledged: true,
            gone: false,
        }],
        notes: 0,
        merged_into: None,
    };
    case.compute_due(&county());
    case
}

fn hand<'a>(by: &'a str, time: &str) -> Hand<'a> {
    Hand {
        by,
        remark: "because",
        at: at(time),
    }
}

fn normal() -> [Verdict; 1] {
    [Verdict::Normal("normal for 30min".to_owned())]
}

/// Does one thing after the other; each must be allowed.
fn through(mut case: Case, steps: &[(Command, &str, &str)]) -> Case {
    for (command, by, time) in steps {
        case = decide(&case, command, hand(by, time), &normal(), &county())
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
            .case;
    }
    case
}

const fn ask(approve: bool) -> Command {
    Command::Suspend { approve }
}

const fn dispatch() -> Command {
    Command::Dispatch { organisation: None }
}

const fn feedback() -> Command {
    Command::Handled { photo: None }
}

const fn verify() -> Command {
    Command::Verify { photo: None }
}

#[test]
fn a_case_goes_from_filing_to_its_end_and_remembers_when() {
    let closed = through(
        case(),
        &[
            (dispatch(), "Li", "2026-11-30T09:10"),
            (Command::Start, "Wang", "2026-11-30T10:00"),
            (feedback(), "Wang", "2026-11-30T16:00"),
            (verify(), "Li", "2026-12-01T09:00"),
            (Command::Close, "Li", "2026-12-01T09:01"),
        ],
    );
    assert_eq!(closed.state, CaseState::Closed);
    assert_eq!(closed.finished_at(), Some(at("2026-12-01T09:01")));
    assert_eq!(closed.overdue_from(), None);
    // As it stood on Monday evening: done, in time, not yet closed.
    let then = closed.standing(at("2026-11-30T20:00"), &county());
    assert_eq!(then.state, CaseState::Handled);
    assert_eq!(then.handled_at, Some(at("2026-11-30T16:00")));
    assert_eq!(then.due.handle, Some(at("2026-12-01T09:00")));
    assert_eq!(then.closed_at, None);
}

#[test]
fn a_case_is_verified_only_when_telemetry_agrees_and_closed_only_while_it_does() {
    let handled = through(
        case(),
        &[
            (dispatch(), "Li", "2026-11-30T09:10"),
            (Command::Start, "Wang", "2026-11-30T10:00"),
            (feedback(), "Wang", "2026-11-30T16:00"),
        ],
    );
    let not_yet = [Verdict::NotYet("the alarm stands".to_owned())];
    let refused = decide(
        &handled,
        &verify(),
        hand("Li", "2026-11-30T17:00"),
        &not_yet,
        &county(),
    );
    assert!(matches!(refused, Err(Refusal::Telemetry(_))), "{refused:?}");
    // When it comes back after the verification, the case cannot be closed but goes to rework, on the same clock.
    let mut verified = through(handled, &[(verify(), "Li", "2026-11-30T17:00")]);
    verified.alarms[0].active = true;
    let refused = decide(
        &verified,
        &Command::Close,
        hand("Li", "2026-11-30T17:05"),
        &[],
        &county(),
    );
    assert!(matches!(refused, Err(Refusal::Telemetry(_))), "{refused:?}");
    let again = through(verified, &[(Command::Rework, "Li", "2026-11-30T17:06")]);
    assert_eq!(again.state, CaseState::Dispatched);
    assert_eq!(again.due.handle, Some(at("2026-12-01T09:00")));
    let then = again.standing(at("2026-11-30T18:00"), &county());
    assert_eq!(
        (then.handled_at, then.feedback.len(), then.reworked.len()),
        (None, 1, 1)
    );
}

#[test]
fn a_case_is_put_off_only_with_the_approval_of_another_person_and_its_clock_stands() {
    let dispatched = through(case(), &[(dispatch(), "Li", "2026-11-30T09:10")]);
    let now = "2026-11-30T15:00";
    let try_it = |case: &Case, by: &str| decide(case, &ask(true), hand(by, now), &[], &county());
    // Without a question there is nothing to approve,
    assert_eq!(try_it(&dispatched, "Li").unwrap_err(), Refusal::NotAsked);
    let asked = through(dispatched, &[(ask(false), "Wang", "2026-11-30T14:00")]);
    assert_eq!(asked.state, CaseState::Dispatched);
    // nobody approves of their own question,
    let refused = try_it(&asked, "Wang").unwrap_err();
    assert_eq!(refused, Refusal::SamePerson("Wang".into()));
    // and who moves the case on has declined.
    let moved = through(asked.clone(), &[(Command::Start, "Wang", "2026-11-30T14:30")]);
    assert_eq!(try_it(&moved, "Li").unwrap_err(), Refusal::NotAsked);
    let declined = through(asked.clone(), &[(Command::Resume, "Li", "2026-11-30T14:30")]);
    assert_eq!((declined.state, &declined.asked), (CaseState::Dispatched, &None));
    // Approved at 15:00, 6 of 24 h are used; 18 are left on Wednesday at 08:00.
    let suspended = try_it(&asked, "Li").unwrap().case;
    assert_eq!(
        (suspended.state, suspended.due.handle),
        (CaseState::Suspended, None)
    );
    assert_eq!(suspended.overdue_from(), None);
    let resumed = through(suspended, &[(Command::Resume, "Li", "2026-12-02T08:00")]);
    assert_eq!(resumed.state, CaseState::Dispatched);
    assert_eq!(resumed.overdue_from(), Some(at("2026-12-03T02:00")));
    // Before the suspension it was due on Tuesday: that is how it stood then.
    let then = resumed.standing(at("2026-11-30T14:59"), &county());
    assert_eq!(then.due.handle, Some(at("2026-12-01T09:00")));
}

#[test]
fn what_is_suspended_can_be_ended_and_its_clock_with_it() {
    let suspended = through(
        case(),
        &[
            (dispatch(), "Li", "2026-11-30T09:10"),
            (ask(false), "Wang", "2026-11-30T14:00"),
            (ask(true), "Li", "2026-11-30T15:00"),
            (Command::Cancel, "Li", "2026-11-30T16:00"),
        ],
    );
    assert_eq!(suspended.state, CaseState::Cancelled);
    assert!(!suspended.due.stopped);
}

#[test]
fn a_merged_case_hands_its_alarms_to_the_one_that_goes_on() {
    let other = Case {
        id: 2,
        alarms: Vec::new(),
        ..case()
    };
    let (merged, goes_on) = merge(&case(), &other, hand("Li", "2026-11-30T10:00"), &county()).unwrap();
    assert_eq!(merged.case.state, CaseState::Merged);
    assert_eq!((merged.case.merged_into, merged.case.alarms.len()), (Some(2), 0));
    assert_eq!((goes_on.state, goes_on.alarms.len()), (CaseState::Filed, 1));
    // Not into itself, and not into what is over.
    let itself = merge(&case(), &case(), hand("Li", "2026-11-30T10:00"), &county());
    assert!(
        matches!(itself, Err(Refusal::Merge { into: 1, .. })),
        "{itself:?}"
    );
    let over = merge(&other, &merged.case, hand("Li", "2026-11-30T10:00"), &county());
    assert!(matches!(over, Err(Refusal::Merge { .. })), "{over:?}");
}

#[test]
fn a_clock_that_steps_back_does_not_put_the_life_of_a_case_out_of_order() {
    let dispatched = through(
        case(),
        &[
            (dispatch(), "Li", "2026-11-30T12:00"),
            (Command::Start, "Li", "2026-11-30T11:00"),
        ],
    );
    assert_eq!(dispatched.marks[1].at, at("2026-11-30T12:00"));
}

#[test]
fn what_has_changed_too_often_can_only_be_ended() {
    let mut full = case();
    full.marks = vec![
        super::super::case::Mark {
            event: CaseEvent::Dispatch,
            at: at("2026-11-30T12:00"),
        };
        MARKS_MAX
    ];
    full.state = CaseState::Dispatched;
    let later = hand("Li", "2026-11-30T13:00");
    let refused = decide(&full, &Command::Start, later, &[], &county());
    assert_eq!(refused.unwrap_err(), Refusal::Full);
    assert!(decide(&full, &Command::Cancel, later, &[], &county()).is_ok());
}
