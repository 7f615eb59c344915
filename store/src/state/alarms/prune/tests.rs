use super::super::tests::{log_row, notice_of, open, plan_of};
use super::super::{AlarmCommit, Fate, LogRow, Notice, OccurrenceRow};
use super::*;

const BOUND: Timestamp = Timestamp::from_millis(100);

fn occurrence(number: u32, changed_ms: i64, open: bool) -> OccurrenceRow {
    OccurrenceRow {
        rule: "G1/HI".into(),
        occurrence: number,
        seq: u64::from(number),
        changed_at: Timestamp::from_millis(changed_ms),
        open,
        site: "s".into(),
        device: "G1".into(),
        body: format!("{number}"),
    }
}

#[test]
fn pruning_takes_what_is_old_and_over_and_leaves_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    let told = |seq, at| LogRow {
        event: "notified".into(),
        ..log_row(seq, at)
    };
    let commit = AlarmCommit {
        // The first and what was told of it are old; of the second it was told late, by a clock that had been set back.
        log: vec![log_row(1, 5), told(2, 5), log_row(3, 500), told(4, 6)],
        notices: vec![
            notice_of("waiting", 1, false, 5),
            Notice {
                fate: Fate::Delivered,
                ..notice_of("done", 1, false, 5)
            },
            Notice {
                fate: Fate::Delivered,
                ..notice_of("new", 1, false, 100)
            },
        ],
        ..AlarmCommit::default()
    };
    state.commit_alarms(&commit).unwrap();
    // Two rows of the log and one notice.
    assert_eq!(state.prune_alarms(BOUND, 1000).unwrap(), 3);
    assert_eq!(
        state.alarm_log(u64::MAX, 10).unwrap(),
        [told(4, 6), log_row(3, 500)]
    );
    let left = state.notices(10).unwrap();
    let mut left: Vec<&str> = left.iter().map(|notice| &*notice.key).collect();
    left.sort_unstable();
    assert_eq!(left, ["new", "waiting"]);
}

#[test]
fn an_occurrence_that_a_newer_one_overtook_goes_and_one_that_stands_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    // Given one that nobody acknowledged before its rule was raised anew, one that is over, and one that still stands, all old,
    let commit = AlarmCommit {
        occurrences: vec![
            occurrence(1, 5, true),
            occurrence(2, 6, false),
            occurrence(3, 7, true),
        ],
        ..AlarmCommit::default()
    };
    state.commit_alarms(&commit).unwrap();
    // when what is old goes, one at a time,
    for _ in 0..2 {
        assert_eq!(state.prune_alarms(BOUND, 1).unwrap(), 1);
    }
    assert_eq!(state.prune_alarms(BOUND, 1).unwrap(), 0);
    // then the one that stands is left.
    let left = state.alarm_occurrences(u64::MAX, 10, None, None).unwrap();
    assert_eq!(left, ["3"]);
}

#[test]
fn pruning_reads_no_more_than_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    for (sql, index) in [
        (PRUNE_LOG, "INDEX alarm_log_by_time (at<?)"),
        (
            PRUNE_OCCURRENCES,
            "INDEX alarm_occurrence_by_change (changed_at<?)",
        ),
        (PRUNE_NOTICES, "INDEX outbox_done (made_at<?)"),
        (PRUNE_STARTS, "USING INTEGER PRIMARY KEY (rowid<?)"),
        (PRUNE_TOLD, "USING INTEGER PRIMARY KEY (rowid<?)"),
    ] {
        let plan = plan_of(&state, sql);
        let scans = plan.contains("SCAN") && sql != PRUNE_TOLD;
        assert!(
            plan.contains(index) && !scans && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
}
