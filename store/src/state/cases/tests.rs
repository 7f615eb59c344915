use super::super::alarms::{AlarmCommit, LogRow};
use super::*;

fn open(folder: &tempfile::TempDir) -> State {
    State::open(&folder.path().join("state.db")).unwrap()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn case(id: u64, rules: &[&str]) -> CaseRow {
    CaseRow {
        id,
        state: "filed".into(),
        open: true,
        site: "s".into(),
        organisation: "o".into(),
        filed_at: at(10),
        finished_at: None,
        overdue_from: Some(at(100)),
        body: format!("{{\"id\":{id}}}"),
        rules: rules.iter().map(|rule| (*rule).into()).collect(),
    }
}

fn event(case: u64, name: &str) -> CaseEventRow {
    CaseEventRow {
        seq: 0,
        case,
        at: at(10),
        event: name.into(),
        state: "filed".into(),
        by: "somebody".into(),
        remark: "why".into(),
        body: "{}".to_owned(),
    }
}

fn log(seq: u64) -> LogRow {
    LogRow {
        seq,
        at: at(5),
        event: "raised".into(),
        rule: "G1/HI".into(),
        occurrence: 1,
        by: None,
        remark: None,
        body: "{}".to_owned(),
    }
}

fn raise(state: &State, seq: u64) {
    let commit = AlarmCommit {
        log: vec![log(seq)],
        ..AlarmCommit::default()
    };
    state.commit_alarms(&commit).unwrap();
}

#[test]
fn a_step_is_on_disk_with_the_cursor_that_led_to_it() {
    // Given a log with two rows, of which one step took both,
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    raise(&state, 1);
    raise(&state, 2);
    assert_eq!(state.alarm_log_after(0, 10).unwrap(), [log(1), log(2)]);
    let commit = CaseCommit {
        cursor: Some((0, 2)),
        cases: vec![case(1, &["G1/HI"])],
        events: vec![event(1, "file")],
    };
    state.commit_cases(&commit).unwrap();
    drop(state);
    // when the file is opened again,
    let state = open(&folder);
    // then case, event and cursor are there,
    assert_eq!(state.case_cursor().unwrap(), 2);
    assert_eq!(state.newest_case().unwrap(), 1);
    assert_eq!(
        state.open_case_of("G1/HI").unwrap().as_deref(),
        Some("{\"id\":1}")
    );
    assert_eq!(state.case_events(1, 10).unwrap().len(), 1);
    assert_eq!(state.alarm_log_after(2, 10).unwrap(), []);
    // and the same step again leaves nothing behind: the log was followed.
    assert!(state.commit_cases(&commit).is_err());
    assert_eq!(state.case_events(1, 10).unwrap().len(), 1);
}

#[test]
fn a_rule_has_one_open_case_and_a_step_may_hand_it_over() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    let put = |cases: Vec<CaseRow>| {
        state.commit_cases(&CaseCommit {
            cases,
            ..CaseCommit::default()
        })
    };
    put(vec![case(1, &["a"]), case(2, &["b"])]).unwrap();
    // A second open case of the same rule is refused as a whole,
    assert!(put(vec![case(3, &["a"])]).is_err());
    assert_eq!(state.newest_case().unwrap(), 2);
    // but one case may take over what another lets go in the same step.
    let merged = CaseRow {
        open: false,
        state: "merged".into(),
        finished_at: Some(at(20)),
        ..case(1, &[])
    };
    put(vec![case(2, &["a", "b"]), merged]).unwrap();
    assert_eq!(state.open_case_of("a").unwrap().as_deref(), Some("{\"id\":2}"));
}

#[test]
fn the_events_of_a_case_are_neither_rewritten_nor_shortened() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    let commit = CaseCommit {
        cases: vec![case(1, &[])],
        events: vec![event(1, "file")],
        ..CaseCommit::default()
    };
    state.commit_cases(&commit).unwrap();
    for sql in ["UPDATE case_event SET by = 'other'", "DELETE FROM case_event"] {
        let refused = state.write("a test", |tx| tx.execute(sql, []));
        assert!(refused.is_err(), "{sql}");
    }
}

#[test]
fn cases_are_found_by_place_state_and_deadline_and_by_period() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    let other_site = CaseRow {
        site: "t".into(),
        overdue_from: None,
        ..case(2, &[])
    };
    let over = CaseRow {
        open: false,
        state: "closed".into(),
        finished_at: Some(at(50)),
        ..case(3, &[])
    };
    let commit = CaseCommit {
        cases: vec![case(1, &[]), other_site, over],
        ..CaseCommit::default()
    };
    state.commit_cases(&commit).unwrap();
    let found = |query: CaseQuery| {
        let query = CaseQuery { limit: 10, ..query };
        let bodies = state.case_bodies(&query).unwrap();
        let number = |body: &String| body.chars().find(char::is_ascii_digit).unwrap();
        bodies.iter().map(number).collect::<String>()
    };
    assert_eq!(found(CaseQuery::default()), "321");
    let open_only = CaseQuery {
        open: Some(true),
        ..CaseQuery::default()
    };
    assert_eq!(found(open_only), "21");
    let site = CaseQuery {
        site: Some("t".into()),
        ..CaseQuery::default()
    };
    assert_eq!(found(site), "2");
    let closed = CaseQuery {
        state: Some("closed".into()),
        ..CaseQuery::default()
    };
    assert_eq!(found(closed), "3");
    for (wanted, now, answer) in [(true, 101, "1"), (true, 100, ""), (false, 101, "32")] {
        let query = CaseQuery {
            overdue: Some((wanted, at(now))),
            ..CaseQuery::default()
        };
        assert_eq!(found(query), answer, "{wanted} at {now}");
    }
    let page = CaseQuery {
        before: Some(3),
        ..CaseQuery::default()
    };
    assert_eq!(found(page), "21");
    assert_eq!(state.case_counts(at(101)).unwrap(), (2, 1));
    let period = |from, to| state.cases_of_period(at(from), at(to), 10).unwrap().len();
    assert_eq!(
        (period(0, 10), period(0, 11), period(50, 60), period(51, 60)),
        (0, 3, 3, 2)
    );
}

#[test]
fn a_database_that_knew_no_cases_begins_at_the_end_of_its_log() {
    // Given a database of version 2, without the tables of the cases, with alarms of long ago,
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    raise(&state, 7);
    state
        .write("a test", |tx| {
            for table in ["case_alarm", "case_event", "case_record", "case_cursor"] {
                tx.execute(&format!("DROP TABLE {table}"), [])?;
            }
            tx.pragma_update(None, "user_version", 2)
        })
        .unwrap();
    drop(state);
    // when this version opens it,
    let state = open(&folder);
    // then its cases begin after them, and it has the new version.
    assert_eq!(state.case_cursor().unwrap(), 7);
    let version: i64 = state
        .read("a test", |connection| {
            connection.pragma_query_value(None, "user_version", |row| row.get(0))
        })
        .unwrap();
    assert_eq!(version, crate::state::VERSION);
    // A second start does not move it.
    raise(&state, 8);
    drop(state);
    assert_eq!(open(&folder).case_cursor().unwrap(), 7);
}
