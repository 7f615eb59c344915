//! A08, A09, A11, A13: out of order, late, history.

use super::*;
use AlarmState::{Normal, ReturnedUnacknowledged, Unacknowledged};

#[test]
fn a08_a_violation_that_comes_out_of_order_pages_once_and_returns() {
    Story::new()
        .hears([g1(0., 5.), g1(20., 5.), g1(10., 40.).at(25.)])
        .is("G1/HI", Unacknowledged)
        .clock(30.)
        .says(&[
            "25 raised G1/HI since 10 late momentary!",
            "30 cleared G1/HI since 20!",
        ])
        .is("G1/HI", ReturnedUnacknowledged);
}

#[test]
fn a09_a_late_sample_does_not_clear() {
    Story::new()
        .hears([g1(0., 5.), g1(20., 40.), g1(10., 5.).at(25.)])
        .clock(60.)
        .says(&["20 raised G1/HI since 20!"])
        .is("G1/HI", Unacknowledged);
}

#[test]
fn a11_a_violation_beyond_the_lateness_still_pages_and_is_over() {
    let story = Story::new()
        .hears([g1(200., 5.), g1(100., 60.).at(210.)])
        .says_of(
            "G1/HI",
            &[
                "210 raised G1/HI since 100 late momentary!",
                "210 cleared G1/HI since 200 momentary",
            ],
        )
        .is("G1/HI", ReturnedUnacknowledged);
    // The current value is as it was.
    assert_eq!(
        story
            .engine
            .newest(story.catalogue.series_id("G1", "gas").unwrap())
            .unwrap()
            .time,
        s(200.)
    );
}

#[test]
fn a_violation_that_is_older_than_what_is_remembered_pages_all_the_same() {
    // Given gas, of which 150 and 200 are remembered, when a violation of before comes, then it pages, and is over.
    Story::new()
        .hears([g1(0., 5.), g1(150., 5.), g1(200., 5.), g1(100., 60.).at(210.)])
        .says_of(
            "G1/HI",
            &[
                "210 raised G1/HI since 100 late momentary!",
                "210 cleared G1/HI since 150 momentary",
            ],
        );
    // And given a sensor that has failed since, then nothing says that it is over.
    Story::new()
        .hears([g1(0., 5.)])
        .hears([150., 200.].map(|time| g1(time, 5.).bad()))
        .hears([g1(100., 60.).at(210.)])
        .says_of("G1/HI", &["210 raised G1/HI since 100 late!"])
        .is("G1/HI", Unacknowledged);
}

#[test]
fn a_late_violation_beside_an_occurrence_that_is_over_extends_it_without_a_page() {
    Story::new()
        .hears([g1(20., 40.), g1(30., 5.), g1(40., 5.)])
        .hears([g1(15., 40.).at(41.), g1(25., 40.).at(42.)])
        .says(&[
            "20 raised G1/HI since 20!",
            "40 cleared G1/HI since 30!",
            "41 annotated G1/HI since 15 late",
        ]);
}

#[test]
fn a_late_violation_before_an_active_occurrence_extends_it() {
    Story::new()
        .hears([g1(0., 5.), g1(20., 40.), g1(10., 40.).at(21.)])
        .says(&["20 raised G1/HI since 20!", "21 annotated G1/HI since 10 late"]);
}

#[test]
fn a_late_violation_moves_a_running_off_delay() {
    Story::new()
        .hears([g1(0., 40.), g1(10., 5.), g1(16., 5.), g1(14., 40.).at(17.)])
        .clock(25.)
        .is("G1/HI", Unacknowledged)
        .clock(26.)
        .says(&["0 raised G1/HI since 0!", "26 cleared G1/HI since 16!"]);
}

#[test]
fn an_old_sample_that_is_the_newest_of_its_point_is_judged() {
    Story::new()
        .hears([g1(100., 60.).at(5000.)])
        .says_of("G1/HI", &["5000 raised G1/HI since 100 late!"])
        .is("G1/HI", Unacknowledged);
}

#[test]
fn what_is_older_than_the_live_age_and_not_the_newest_is_recorded_and_pages_nobody() {
    Story::new()
        .hears([g1(2000., 5.), g1(100., 60.).at(2001.), g1(110., 5.).at(2001.)])
        .says_of("G1/HI", &["2001 recorded G1/HI since 100 historical"])
        .is("G1/HI", Normal);
}

#[test]
fn a13_back_fill_pages_nobody_but_for_a_violation_that_is_so_now() {
    // Given a day of back-fill of two points, a minute apart, each with violations in it, one of them to the end,
    let day = (0..1440).flat_map(|n| {
        let time = f64::from(n) * 60.;
        let gas = if n % 100 == 50 { 60. } else { 5. };
        let level = if n > 1400 { 90. } else { 50. };
        [
            g1(time, gas).at(90_000.).backfill(),
            l1(time, level).at(90_000.).backfill(),
        ]
    });
    let story = Story::new().hears(day);
    // when it has come to rest,
    let paged = |story: &Story| {
        story
            .said
            .iter()
            .filter(|line| line.ends_with('!') && line.contains("/HI"))
            .count()
    };
    assert_eq!(paged(&story), 0);
    assert_eq!(
        story
            .said
            .iter()
            .filter(|line| line.contains("recorded G1/HI"))
            .count(),
        14
    );
    let story = story.clock(90_030.);
    // then one alarm is raised: the one that is true now, since it began.
    story
        .says_of("L1/HI", &["90030 raised L1/HI since 84060 late!"])
        .is("L1/HI", Unacknowledged);
}

#[test]
fn history_of_two_points_is_told_when_both_have_come_to_rest() {
    // Given history of two points, of which the second comes while the first waits, and more of the first after that,
    let story = Story::new().hears([
        g1(1000., 5.),
        l1(1000., 50.),
        g1(10., 60.).at(1001.).backfill(),
        l1(10., 90.).at(1020.).backfill(),
        l1(30., 90.).at(1020.).backfill(),
        g1(20., 60.).at(1040.).backfill(),
    ]);
    // when nothing more has come for 30 s, then both are written down, and told at once.
    let told = |story: &Story| {
        story
            .everything
            .iter()
            .filter(|one| one.event == EventKind::Digest)
            .count()
    };
    let story = story.clock(1069.9);
    assert_eq!(told(&story), 0);
    let story = story
        .clock(1070.)
        .says_of("G1/HI", &["1070 recorded G1/HI since 10 historical"])
        .says_of("L1/HI", &["1070 recorded L1/HI since 10 historical"]);
    let digest = story.everything.last().unwrap();
    assert_eq!(told(&story), 1);
    assert_eq!(digest.extra.as_ref().unwrap().items.len(), 2);
}

#[test]
fn live_samples_are_judged_while_back_fill_comes_in() {
    Story::new()
        .hears([
            g1(1000., 5.),
            g1(10., 60.).at(1001.).backfill(),
            g1(1002., 60.),
            g1(20., 5.).at(1003.).backfill(),
        ])
        .says_of(
            "G1/HI",
            &[
                "1002 raised G1/HI since 1002!",
                "1003 recorded G1/HI since 10 historical",
            ],
        );
}
