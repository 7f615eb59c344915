use super::*;

pub(super) fn open(folder: &tempfile::TempDir) -> State {
    State::open(&folder.path().join("state.db")).unwrap()
}

pub(super) fn notice_of(key: &str, seq: u64, life_safety: bool, next_at: i64) -> Notice {
    Notice {
        key: key.into(),
        seq,
        channel: "hook".into(),
        life_safety,
        payload: "{}".to_owned(),
        fate: Fate::Waiting,
        attempts: 0,
        made_at: Timestamp::from_millis(next_at),
        next_at: Timestamp::from_millis(next_at),
        delivered_at: None,
    }
}

/// How the engine of `state.db` answers `sql`, a step after the other.
pub(super) fn plan_of(state: &State, sql: &str) -> String {
    let plan = state.read("a test", |connection| {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
        let asked = vec![0; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(asked), |row| {
            row.get::<_, String>("detail")
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    });
    plan.unwrap().join("; ")
}

pub(super) fn log_row(seq: u64, at: i64) -> LogRow {
    LogRow {
        seq,
        at: Timestamp::from_millis(at),
        event: "raised".into(),
        rule: "G1/HI".into(),
        occurrence: 1,
        by: None,
        remark: None,
        body: "{}".to_owned(),
    }
}

#[test]
fn a_step_of_the_engine_comes_back_whole_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    // Given a step that was committed,
    let cursor = AlarmCursor {
        lsn: Lsn(7),
        seq: 3,
        now: Timestamp::from_millis(99),
    };
    let commit = AlarmCommit {
        fates: Vec::new(),
        cursor,
        rules: vec![("G1/HI".into(), Some("{\"a\":1}".to_owned()))],
        devices: vec![("G1".into(), vec![1, 2, 3])],
        log: vec![log_row(3, 99)],
        occurrences: vec![OccurrenceRow {
            rule: "G1/HI".into(),
            occurrence: 1,
            seq: 3,
            changed_at: Timestamp::from_millis(99),
            open: true,
            site: "s".into(),
            device: "G1".into(),
            body: "{\"b\":2}".to_owned(),
        }],
        notices: vec![notice_of("k", 3, true, 99)],
    };
    open(&folder).commit_alarms(&commit).unwrap();
    // when the file is opened again,
    let state = open(&folder);
    // then everything is there.
    assert_eq!(state.alarm_cursor().unwrap(), Some(cursor));
    assert_eq!(
        state.alarm_states().unwrap(),
        [("G1/HI".to_owned(), "{\"a\":1}".to_owned())]
    );
    assert_eq!(
        state.alarm_memories().unwrap(),
        [("G1".to_owned(), vec![1, 2, 3])]
    );
    assert_eq!(state.alarm_log(u64::MAX, 10).unwrap(), commit.log);
    assert_eq!(
        state.alarm_occurrences(u64::MAX, 10, Some("s"), None).unwrap(),
        ["{\"b\":2}"]
    );
    assert!(
        state
            .alarm_occurrences(u64::MAX, 10, Some("other"), None)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        state.notices_due(Timestamp::from_millis(99), 10).unwrap(),
        commit.notices
    );
}

#[test]
fn a_step_whose_log_number_was_used_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    let first = AlarmCommit {
        log: vec![log_row(1, 5)],
        ..AlarmCommit::default()
    };
    state.commit_alarms(&first).unwrap();
    let again = AlarmCommit {
        cursor: AlarmCursor {
            lsn: Lsn(9),
            ..AlarmCursor::default()
        },
        rules: vec![("x".into(), Some("{}".to_owned()))],
        ..first
    };
    assert!(state.commit_alarms(&again).is_err());
    assert_eq!(state.alarm_cursor().unwrap().unwrap().lsn, Lsn::ZERO);
    assert!(state.alarm_states().unwrap().is_empty());
}

#[test]
fn life_safety_goes_first_and_a_known_key_is_not_queued_again() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    let notices = vec![
        notice_of("a", 1, false, 10),
        notice_of("b", 2, true, 20),
        notice_of("c", 3, true, 99),
    ];
    state
        .commit_alarms(&AlarmCommit {
            notices: notices.clone(),
            ..AlarmCommit::default()
        })
        .unwrap();
    let due = state.notices_due(Timestamp::from_millis(50), 10).unwrap();
    let keys: Vec<&str> = due.iter().map(|notice| &*notice.key).collect();
    assert_eq!(keys, ["b", "a"]);
    let delivered_at = Some(Timestamp::from_millis(60));
    let done = Notice {
        fate: Fate::Delivered,
        attempts: 1,
        delivered_at,
        ..notices[1].clone()
    };
    state.record_notice(&done).unwrap();
    state
        .commit_alarms(&AlarmCommit {
            notices,
            ..AlarmCommit::default()
        })
        .unwrap();
    let due = state.notices_due(Timestamp::from_millis(50), 10).unwrap();
    assert_eq!(due.len(), 1);
}

#[test]
fn each_channel_has_a_queue_of_its_own() {
    // Given notices for two channels, one of them delivered,
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    let on = |channel: &str, notice: Notice| Notice {
        channel: channel.into(),
        ..notice
    };
    let notices = vec![
        notice_of("a", 1, false, 10),
        notice_of("b", 2, true, 20),
        notice_of("c", 3, true, 99),
        on("other", notice_of("d", 4, false, 70)),
        on(
            "done",
            Notice {
                fate: Fate::Delivered,
                ..notice_of("e", 5, false, 5)
            },
        ),
    ];
    let commit = AlarmCommit {
        notices,
        ..AlarmCommit::default()
    };
    state.commit_alarms(&commit).unwrap();
    // when they are asked for at 50, then each knows what waits and when more is due,
    let at = Timestamp::from_millis;
    let queue = |channel: &str, waiting, next_at| NoticeQueue {
        channel: channel.into(),
        waiting,
        next_at: Some(at(next_at)),
    };
    let queues = state.notice_queues(at(50)).unwrap();
    assert_eq!(queues, [queue("hook", 3, 99), queue("other", 1, 70)]);
    // and gives what is due, and what was made in a span of time.
    let keys = |notices: Vec<Notice>| {
        notices
            .iter()
            .map(|notice| notice.key.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        keys(state.notices_due_for("hook", at(50), 10).unwrap()),
        ["b", "a"]
    );
    assert_eq!(keys(state.notices_due_for("other", at(50), 10).unwrap()), [""; 0]);
    let made = state.notices_waiting("hook", at(10), at(99), 10).unwrap();
    assert_eq!(keys(made), ["b", "c"]);
}

#[test]
fn events_of_one_kind_come_in_order_and_only_those_of_the_time_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder);
    let of = |seq, at, event: &str| LogRow {
        event: event.into(),
        by: Some("li".into()),
        ..log_row(seq, at)
    };
    let log = vec![
        of(1, 10, "acknowledged"),
        of(2, 20, "acknowledged"),
        of(3, 20, "reset"),
        of(4, 29, "acknowledged"),
        of(5, 30, "acknowledged"),
    ];
    let commit = AlarmCommit {
        log: log.clone(),
        ..AlarmCommit::default()
    };
    state.commit_alarms(&commit).unwrap();
    let between = (Timestamp::from_millis(20), Timestamp::from_millis(30));
    let mut found = Vec::new();
    state
        .alarm_events("acknowledged", between, &mut |row| found.push(row))
        .unwrap();
    assert_eq!(found, [log[1].clone(), log[3].clone()]);
}
