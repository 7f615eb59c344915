use super::*;
use telemetry::Uncertain;

const HIGH: Condition = Condition::High {
    limit: 25.0,
    deadband: 5.0,
    over_range: Some(100.0),
};

#[test]
fn a_high_limit_is_inclusive_and_clears_only_below_its_dead_band() {
    for (value, verdict) in [
        (24.9, Verdict::Between { good: true }),
        (25.0, Verdict::Violates),
        (20.0, Verdict::Between { good: true }),
        (19.9, Verdict::Clears { good: true }),
    ] {
        assert_eq!(HIGH.judge(value, Quality::Good), verdict, "{value}");
    }
}

#[test]
fn a_low_limit_is_the_mirror() {
    let low = Condition::Low {
        limit: 80.0,
        deadband: 2.0,
    };
    for (value, verdict) in [
        (80.0, Verdict::Violates),
        (82.0, Verdict::Between { good: true }),
        (82.1, Verdict::Clears { good: true }),
    ] {
        assert_eq!(low.judge(value, Quality::Good), verdict, "{value}");
    }
}

#[test]
fn doubt_raises_but_does_not_clear_and_bad_does_neither() {
    let doubtful = Quality::Uncertain(Uncertain::Reported);
    assert_eq!(HIGH.judge(40.0, doubtful), Verdict::Violates);
    assert_eq!(HIGH.judge(5.0, doubtful), Verdict::Clears { good: false });
    assert_eq!(HIGH.judge(40.0, Quality::Bad(Bad::SensorFault)), Verdict::Nothing);
}

#[test]
fn over_range_is_gas_and_under_range_is_a_fault() {
    let out = Quality::Bad(Bad::OutOfRange);
    assert_eq!(HIGH.judge(130.0, out), Verdict::Violates);
    assert_eq!(HIGH.judge(-5.0, out), Verdict::Nothing);
}

#[test]
fn no_answer_is_left_to_the_silence_rule() {
    let none = Quality::Bad(Bad::NoAnswer);
    assert_eq!(
        Condition::Fault {
            silence_watched: true
        }
        .judge(0.0, none),
        Verdict::Nothing
    );
    assert_eq!(
        Condition::Fault {
            silence_watched: false
        }
        .judge(0.0, none),
        Verdict::Violates
    );
}

fn rate(direction: Direction) -> Condition {
    Condition::Rate {
        limit: 5.0,
        per: Span::from_secs(60),
        deadband: 1.0,
        max_gap: Span::from_secs(300),
        direction,
    }
}

#[test]
fn a_rate_is_what_two_samples_make_of_it() {
    let rule = rate(Direction::Both);
    let good = |value, before, gap_ms| {
        rule.judge_after((value, Quality::Good), Some((before, Quality::Good, gap_ms)))
    };
    // 14 - 10 = 4 in 60 s; 20 - 14 = 6 in 60 s; 3 less in 30 s is 6 in 60 s.
    assert_eq!(good(14.0, 10.0, 60_000), (Verdict::Between { good: true }, 4.0));
    assert_eq!(good(20.0, 14.0, 60_000), (Verdict::Violates, 6.0));
    assert_eq!(good(11.0, 14.0, 30_000), (Verdict::Violates, -6.0));
    assert_eq!(good(11.0, 10.0, 60_000), (Verdict::Clears { good: true }, 1.0));
}

#[test]
fn there_is_no_rate_without_time_across_a_gap_or_from_bad() {
    let rule = rate(Direction::Both);
    let uncertain = Quality::Uncertain(Uncertain::Reported);
    let bad = Quality::Bad(Bad::Reported);
    for before in [
        None,
        Some((0.0, Quality::Good, 0)),
        Some((0.0, Quality::Good, 300_001)),
        Some((0.0, bad, 60_000)),
    ] {
        assert_eq!(
            rule.judge_after((50.0, Quality::Good), before).0,
            Verdict::Nothing
        );
    }
    let doubtful = Some((0.0, uncertain, 60_000));
    assert_eq!(
        rule.judge_after((50.0, Quality::Good), doubtful).0,
        Verdict::Violates
    );
    assert_eq!(
        rule.judge_after((1.0, Quality::Good), doubtful).0,
        Verdict::Clears { good: false }
    );
}

#[test]
fn a_rate_of_one_direction_leaves_the_other_alone() {
    let fall = |value| {
        rate(Direction::Fall)
            .judge_after((value, Quality::Good), Some((10.0, Quality::Good, 60_000)))
            .0
    };
    assert_eq!(fall(4.0), Verdict::Violates);
    assert_eq!(fall(16.0), Verdict::Clears { good: true });
}

#[test]
fn a_change_is_from_something_to_something_else() {
    let opened = Condition::Change {
        from: [0.0].into(),
        to: [].into(),
    };
    let judge = |value, before| {
        opened
            .judge_after((value, Quality::Good), Some((before, Quality::Good, 1000)))
            .0
    };
    assert_eq!(judge(1.0, 0.0), Verdict::Violates);
    assert_eq!(judge(0.0, 0.0), Verdict::Clears { good: true });
    assert_eq!(judge(2.0, 1.0), Verdict::Clears { good: true });
}
