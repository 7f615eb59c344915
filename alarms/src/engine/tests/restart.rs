//! A27, A30, A32: what the engine keeps over a restart.

use super::*;
use AlarmState::{Normal, Unacknowledged};

#[test]
fn a27_an_alarm_is_there_again_and_nobody_is_told_twice() {
    Story::new()
        .hears([g1(0., 40.)])
        .restarts(20.)
        .clock(30.)
        .is("G1/HI", Unacknowledged)
        .says(&["0 raised G1/HI since 0!"]);
}

#[test]
fn a30_an_on_delay_goes_on_from_its_deadline() {
    Story::new()
        .hears([l1(0., 85.)])
        .restarts(8.)
        .clock(10.)
        .says(&["10 raised L1/HI since 0!"]);
    // Due while nobody was there: at once.
    let story = Story::new().hears([l1(0., 85.)]).restarts(30.).clock(30.);
    assert_eq!(story.said, ["10 raised L1/HI since 0!"]);
}

#[test]
fn a32_silence_over_a_restart_waits_for_the_grace() {
    let story = Story::new().hears([g1(0., 5.)]).restarts(600.).clock(659.);
    story
        .says_of("G1/silence", &[])
        .clock(660.)
        .says_of("G1/silence", &["660 raised G1/silence since 0!"]);
}

#[test]
fn the_short_memory_of_a_point_is_there_again() {
    // As A06, with a restart before the late sample.
    Story::new()
        .hears([l1(0., 70.), l1(12., 86.)])
        .restarts(12.5)
        .hears([l1(1., 85.).at(13.)])
        .says(&["13 raised L1/HI since 1 late!"]);
}

#[test]
fn an_engine_that_never_raised_keeps_no_state() {
    let mut story = Story::new()
        .hears([g1(0., 5.), l1(0., 85.), l1(5., 70.)])
        .is("L1/HI", Normal);
    let (rules, devices) = story.engine.take_changes().unwrap();
    assert!(rules.iter().all(|rule| rule.body.is_none()), "{rules:?}");
    assert_eq!(devices.len(), 4);
    assert_eq!(story.engine.take_changes().unwrap(), (Vec::new(), Vec::new()));
}

#[test]
fn a_damaged_memory_is_an_error_and_not_a_panic() {
    let mut story = Story::new().hears([g1(0., 5.)]);
    let (_, devices) = story.engine.take_changes().unwrap();
    let body = &devices.iter().find(|device| device.device == 0).unwrap().body;
    for cut in (0..body.len()).filter(|cut| *cut != 33) {
        assert!(
            engine(&story.catalogue).restore_device(0, &body[..cut]).is_err(),
            "{cut}"
        );
    }
}
