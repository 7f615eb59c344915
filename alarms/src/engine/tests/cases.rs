//! A01 to A07, A15, A22, A24: limits, delays, duplicates, quality.

use super::*;
use AlarmState::{Acknowledged, Normal, ReturnedUnacknowledged, Unacknowledged};

#[test]
fn a01_the_limit_is_inclusive_and_the_dead_band_holds() {
    Story::new()
        .hears([
            g1(0., 24.9),
            g1(10., 25.0),
            g1(20., 21.),
            g1(30., 20.0),
            g1(40., 19.9),
        ])
        .is("G1/HI", Unacknowledged)
        .clock(50.)
        .says(&["10 raised G1/HI since 10!", "50 cleared G1/HI since 40!"])
        .is("G1/HI", ReturnedUnacknowledged);
}

#[test]
fn a02_chatter_inside_the_dead_band_is_one_alarm() {
    let samples = (0..30).map(|n| g1(f64::from(n) * 10., if n % 2 == 0 { 25.1 } else { 24.0 }));
    Story::new().hears(samples).says(&["0 raised G1/HI since 0!"]);
}

#[test]
fn a03_an_on_delay_matures_by_the_clock() {
    Story::new()
        .hears([l1(0., 85.)])
        .clock(10.)
        .says(&["10 raised L1/HI since 0!"]);
}

#[test]
fn a04_a_value_below_the_limit_stops_an_on_delay_although_it_is_in_the_dead_band() {
    let story = Story::new().hears([l1(0., 85.)]);
    assert_eq!(story.state("L1/HI").pending(), Some((Side::On, s(0.))));
    let story = story.hears([l1(5., 79.)]);
    assert_eq!(story.state("L1/HI").pending(), None);
    story.clock(60.).says(&[]).is("L1/HI", Normal);
}

#[test]
fn a05_a_late_contrary_sample_annotates_and_takes_nothing_back() {
    Story::new()
        .hears([l1(0., 85.), l1(10., 86.), l1(5., 70.).at(12.)])
        .clock(60.)
        .says(&[
            "10 raised L1/HI since 0!",
            "12 annotated L1/HI since 0 late contradicted",
        ])
        .is("L1/HI", Unacknowledged);
}

#[test]
fn a06_a_late_supporting_sample_matures_an_on_delay() {
    Story::new()
        .hears([l1(0., 70.), l1(12., 86.), l1(1., 85.).at(13.)])
        .says(&["13 raised L1/HI since 1 late!"]);
}

#[test]
fn a07_a_violation_stops_an_off_delay() {
    Story::new()
        .hears([l1(80., 85.), l1(90., 85.), l1(100., 70.), l1(110., 81.)])
        .clock(130.)
        .says(&["90 raised L1/HI since 80!"])
        .is("L1/HI", Unacknowledged);
}

#[test]
fn a_value_inside_the_dead_band_stops_an_off_delay() {
    Story::new()
        .hears([g1(0., 40.), g1(10., 5.), g1(15., 22.)])
        .clock(30.)
        .is("G1/HI", Unacknowledged)
        .hears([g1(31., 5.)])
        .clock(41.)
        .says(&["0 raised G1/HI since 0!", "41 cleared G1/HI since 31!"]);
}

#[test]
fn a15_a_duplicate_neither_restarts_nor_shortens_a_delay() {
    let again = |at| l1(0., 85.).at(at);
    Story::new()
        .hears([l1(0., 85.), again(3.), again(6.), again(9.)])
        .clock(10.)
        .says(&["10 raised L1/HI since 0!"]);
}

#[test]
fn a22_doubt_raises() {
    let story = Story::new()
        .hears([g1(0., 40.).doubtful()])
        .says(&["0 raised G1/HI since 0!"]);
    assert_eq!(
        story.state("G1/HI").quality,
        Quality::Uncertain(Uncertain::Reported)
    );
    // and does not clear.
    story
        .hears([g1(10., 5.).doubtful()])
        .clock(59.)
        .is("G1/HI", Unacknowledged);
}

#[test]
fn a24_bad_holds_the_alarm_and_raises_a_sensor_fault() {
    Story::new()
        .hears([g1(0., 40.), g1(10., 0.).bad()])
        .clock(60.)
        .says(&["0 raised G1/HI since 0!", "10 raised G1/gas.fault since 10!"])
        .is("G1/HI", Unacknowledged);
}

#[test]
fn a_sensor_fault_returns_only_after_a_minute_of_good_samples() {
    Story::new()
        .hears([g1(0., 5.).bad(), g1(10., 5.), g1(20., 5.).bad()])
        .hears((3..10).map(|n| g1(f64::from(n) * 10., 5.)))
        .says_of(
            "G1/gas.fault",
            &[
                "0 raised G1/gas.fault since 0!",
                "90 cleared G1/gas.fault since 30!",
            ],
        );
}

#[test]
fn while_the_newest_is_bad_an_off_delay_waits() {
    Story::new()
        .hears([g1(0., 40.), g1(10., 5.), g1(15., 0.).bad()])
        .clock(30.)
        .is("G1/HI", Unacknowledged)
        .hears([g1(31., 5.)])
        .says_of(
            "G1/HI",
            &["0 raised G1/HI since 0!", "31 cleared G1/HI since 10!"],
        );
}

#[test]
fn an_acknowledged_alarm_that_clears_is_normal_and_the_next_is_a_new_occurrence() {
    let story = Story::new()
        .hears([g1(0., 40.)])
        .acknowledges("G1/HI", 1)
        .is("G1/HI", Acknowledged)
        .hears([g1(10., 5.)])
        .clock(20.)
        .is("G1/HI", Normal)
        .hears([g1(30., 40.)])
        .is("G1/HI", Unacknowledged);
    assert_eq!(story.state("G1/HI").occurrence, 2);
    assert_eq!(story.state("G1/HI").acknowledged, None);
}

#[test]
fn what_is_not_owed_cannot_be_acknowledged() {
    let mut story = Story::new().hears([g1(0., 40.)]);
    let place = story.place("G1/HI");
    let by = Acknowledgement {
        by: "li".into(),
        remark: "".into(),
        at: s(0.),
    };
    let mut ask = |occurrence| {
        story
            .engine
            .acknowledge(place, occurrence, by.clone(), None, &mut Vec::new())
    };
    assert_eq!(ask(0), Err(Refusal::Unknown));
    assert_eq!(ask(2), Err(Refusal::Unknown));
    assert_eq!(ask(1), Ok(()));
    assert_eq!(ask(1), Err(Refusal::NotOwed));
    let mut story = story.hears([g1(10., 5.)]).clock(20.).hears([g1(30., 40.)]);
    assert_eq!(
        story.engine.acknowledge(place, 1, by, None, &mut Vec::new()),
        Err(Refusal::Superseded)
    );
}
