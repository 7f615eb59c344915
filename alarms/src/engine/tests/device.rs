//! A17 to A19, A21: silence; clocks that lie; the lighting night.

use super::*;
use AlarmState::{Normal, Unacknowledged};

#[test]
fn a17_silence_is_raised_by_the_clock_and_a21_returns_with_one_message() {
    let story = Story::new()
        .hears([g1(0., 5.)])
        .clock(59.9)
        .says(&[])
        .clock(60.)
        .says(&["60 raised G1/silence since 0!"]);
    let device = story.catalogue.device_index("G1").unwrap();
    assert!(story.engine.is_silent(device));
    let story = story.hears([g1(500., 5.)]);
    assert!(!story.engine.is_silent(device));
    story.is("G1/HI", Normal).says_of(
        "G1/silence",
        &[
            "60 raised G1/silence since 0!",
            "500 cleared G1/silence since 500!",
        ],
    );
}

#[test]
fn a18_silence_holds_an_active_alarm_and_marks_it_stale() {
    let story = Story::new().hears([g1(0., 40.)]).clock(3600.);
    assert!(story.state("G1/HI").stale);
    story
        .is("G1/HI", Unacknowledged)
        .says_of("G1/HI", &["0 raised G1/HI since 0!", "60 stale G1/HI since 0"])
        .hears([g1(3700., 40.)])
        .says_of(
            "G1/HI",
            &[
                "0 raised G1/HI since 0!",
                "60 stale G1/HI since 0",
                "3700 fresh G1/HI since 0",
            ],
        );
}

#[test]
fn a19_a_device_that_was_never_heard_is_silent_after_its_grace() {
    Story::new()
        .clock(119.)
        .says(&[])
        .clock(120.)
        .says_of("G1/silence", &["120 raised G1/silence since 0!"]);
}

#[test]
fn a_device_that_talks_nonsense_is_not_silent() {
    let mut story = Story::new().hears([g1(0., 5.)]);
    let device = story.catalogue.device_index("G1").unwrap();
    story.engine.hear(device, s(50.), &mut story.out);
    story
        .clock(109.)
        .says(&[])
        .clock(110.)
        .says_of("G1/silence", &["110 raised G1/silence since 50!"]);
}

#[test]
fn no_answer_is_silence_and_no_sensor_fault() {
    let silent = |at| At {
        quality: Quality::Bad(Bad::NoAnswer),
        ..g1(at, 0.)
    };
    Story::new()
        .hears([g1(0., 5.), silent(10.), silent(20.), silent(60.), silent(70.)])
        .says(&["60 raised G1/silence since 0!"]);
}

#[test]
fn an_off_delay_that_meets_a_gap_begins_anew() {
    Story::new()
        .hears([
            of("P1", 0., 1.),
            of("P1", 50., 1.),
            of("P1", 100., 1.),
            of("P1", 110., 0.),
        ])
        .clock(300.)
        .is("P1/FAULT", Unacknowledged)
        .hears([of("P1", 400., 0.), of("P1", 450., 0.), of("P1", 499., 0.)])
        .is("P1/FAULT", Unacknowledged)
        .hears([of("P1", 500., 0.)])
        .says_of(
            "P1/FAULT",
            &[
                "100 raised P1/FAULT since 0!",
                "170 stale P1/FAULT since 0",
                "400 fresh P1/FAULT since 0",
                "500 cleared P1/FAULT since 400!",
            ],
        );
}

#[test]
fn a_life_safety_on_delay_counts_through_a_gap_and_a_normal_one_restarts() {
    // P1 (100 s, life-safety): silent from 70 to 105.
    Story::new()
        .hears([of("P1", 0., 1.), of("P1", 10., 1.)])
        .clock(100.)
        .is("P1/FAULT", Normal)
        .hears([of("P1", 105., 1.)])
        .says_of("P1/FAULT", &["105 raised P1/FAULT since 0!"]);
}

#[test]
fn a_clock_that_lies_is_an_alarm_of_the_device() {
    Story::new()
        .hears([g1(0., 5.), g1(9000., 5.).at(10.)])
        .says(&["10 raised G1.clock since 10!"])
        .hears([g1(20., 5.), g1(50., 5.)])
        .clock(80.)
        .says(&["10 raised G1.clock since 10!", "80 cleared G1.clock since 20!"]);
}

#[test]
fn a_lamp_is_silent_only_while_the_lights_are_due() {
    // Heard at 100 s by day; night begins at 10,000 s: silent 45 min after that.
    Story::new()
        .hears([of("N1", 100., 0.)])
        .clock(12_699.)
        .says_of("N1/silence", &[])
        .clock(12_700.)
        .says_of("N1/silence", &["12700 raised N1/silence since 100!"]);
}

#[test]
fn a_lamp_that_falls_silent_in_the_night_is_silent_after_its_time_and_never_by_day() {
    Story::new()
        .hears([of("N1", 20_000., 100.)])
        .clock(22_700.)
        .says_of(
            "N1/silence",
            &[
                "12700 raised N1/silence since 0!",
                "20000 cleared N1/silence since 20000!",
                "22700 raised N1/silence since 20000!",
            ],
        );
    // Heard 40 min before dawn: dawn comes first.
    Story::new()
        .hears([of("N1", 47_600., 100.)])
        .clock(90_000.)
        .says_of(
            "N1/silence",
            &[
                "12700 raised N1/silence since 0!",
                "47600 cleared N1/silence since 47600!",
            ],
        );
}

#[test]
fn a_lamp_without_power_by_day_is_no_alarm() {
    Story::new()
        .hears([of("N1", 9000., 0.)])
        .is("N1/OUT", Normal)
        .hears([of("N1", 11_000., 0.)])
        .is("N1/OUT", Unacknowledged)
        // By day nobody asks: it stays until a night says otherwise.
        .hears([of("N1", 51_000., 0.), of("N1", 52_000., 100.)])
        .is("N1/OUT", Unacknowledged);
}
