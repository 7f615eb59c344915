use super::super::tests::plan_of;
use super::super::{AlarmCommit, AlarmCursor, OccurrenceRow};
use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn row(seq: u64, ms: i64, event: &str) -> LogRow {
    LogRow {
        seq,
        at: at(ms),
        event: event.into(),
        rule: "G1/HI".into(),
        occurrence: 1,
        by: None,
        remark: None,
        body: "{}".to_owned(),
    }
}

fn occurrence(number: u32, seq: u64, changed_ms: i64) -> OccurrenceRow {
    OccurrenceRow {
        rule: "G1/HI".into(),
        occurrence: number,
        seq,
        changed_at: at(changed_ms),
        open: false,
        site: "s".into(),
        device: "G1".into(),
        body: format!("{number}"),
    }
}

fn state(folder: &tempfile::TempDir) -> State {
    State::open(&folder.path().join("state.db")).unwrap()
}

fn page(from: i64, to: i64, limit: usize) -> LogPage {
    LogPage {
        from: at(from),
        to: at(to),
        limit,
    }
}

fn numbers(rows: &[LogRow]) -> Vec<u64> {
    rows.iter().map(|row| row.seq).collect()
}

#[test]
fn the_log_is_read_by_time_page_by_page_and_without_what_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder);
    let log = vec![
        row(1, 10, "raised"),
        row(2, 10, "notified"),
        row(3, 20, "raised"),
        row(4, 20, "cleared"),
        row(5, 30, "raised"),
        row(6, 40, "raised"),
    ];
    let commit = AlarmCommit {
        log,
        ..AlarmCommit::default()
    };
    state.commit_alarms(&commit).unwrap();
    // The first instant is in, the end is not.
    let all = state.alarm_log_forth(page(10, 40, 100), 0).unwrap();
    assert_eq!(numbers(&all), [1, 3, 4, 5]);
    // A page that ends within an instant is followed by the rest of that instant.
    let first = state.alarm_log_forth(page(10, 40, 2), 0).unwrap();
    assert_eq!(numbers(&first), [1, 3]);
    let next = state.alarm_log_forth(page(20, 40, 2), 3).unwrap();
    assert_eq!(numbers(&next), [4, 5]);
    let back = state.alarm_log_back(page(0, 100, 2), u64::MAX).unwrap();
    assert_eq!(numbers(&back), [6, 5]);
    let back = state.alarm_log_back(page(0, 100, 9), 5).unwrap();
    assert_eq!(numbers(&back), [4, 3, 1]);
    assert_eq!(state.alarm_log_newest().unwrap(), 6);
}

#[test]
fn a_question_about_a_time_reads_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder);
    for (sql, index) in [
        (FORTH, "USING INDEX alarm_log_by_time (at>? AND at<?)"),
        (BACK, "USING INDEX alarm_log_by_time (at>? AND at<?)"),
        (CHANGED, "USING INDEX alarm_occurrence_by_change (changed_at>?)"),
    ] {
        let plan = plan_of(&state, sql);
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn occurrences_that_reach_over_an_instant_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder);
    let commit = AlarmCommit {
        log: vec![row(1, 10, "raised"), row(5, 30, "raised")],
        // Over before 25; over after it; raised after it.
        occurrences: vec![occurrence(1, 1, 20), occurrence(2, 2, 50), occurrence(3, 5, 60)],
        ..AlarmCommit::default()
    };
    state.commit_alarms(&commit).unwrap();
    assert_eq!(state.alarm_occurrences_over(at(25)).unwrap(), ["2"]);
}

#[test]
fn the_engine_was_down_from_its_last_step_to_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder);
    // Given a first start at 1000: of everything before it nobody knows,
    state.alarms_were_down(at(1000)).unwrap();
    let step = |ms| AlarmCommit {
        cursor: AlarmCursor {
            now: at(ms),
            ..AlarmCursor::default()
        },
        ..AlarmCommit::default()
    };
    state.commit_alarms(&step(5000)).unwrap();
    // when it died at 5000, started at 7000, died before its first step and started at 8000,
    state.alarms_were_down(at(7000)).unwrap();
    state.alarms_were_down(at(8000)).unwrap();
    // then it was down from 5000 to 8000.
    let down = |from, to| state.alarms_down(at(from), at(to)).unwrap();
    assert_eq!(down(0, 9000), [(at(0), at(1000)), (at(5000), at(8000))]);
    assert_eq!(down(1000, 5000), []);
    assert_eq!(down(7500, 7600), [(at(5000), at(8000))]);
    // A clock that went back makes no time of it.
    state.commit_alarms(&step(9000)).unwrap();
    state.alarms_were_down(at(8500)).unwrap();
    assert_eq!(down(8200, 9000), [(at(8500), at(8500))]);
}
