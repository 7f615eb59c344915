use super::*;
use crate::figures::Policy;

fn policy() -> GasPolicy {
    Policy::builtin().unwrap().gas_hazard
}

/// Minutes after an arbitrary start.
fn minute(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + minutes * 60_000)
}

fn fact(rule: &str, returned: Option<i64>, acknowledged: Option<i64>) -> AlarmFact {
    AlarmFact {
        rule: rule.into(),
        device: "panel".parse().unwrap(),
        raised: minute(0),
        returned: returned.map(minute),
        acknowledged: acknowledged.map(minute),
    }
}

fn asked(fact: &AlarmFact, at: i64) -> Option<Option<Colour>> {
    alarm_cause(fact, minute(at), &policy()).map(|cause| cause.colour)
}

fn fixed(colour: Colour) -> Vec<Cause> {
    vec![Cause {
        code: "lec",
        colour: Some(colour),
        text: words("", ""),
    }]
}

#[test]
fn lec_cut_offs_are_inclusive() {
    for (d, colour) in [
        (320.0, Colour::Red),
        (319.9, Colour::Orange),
        (160.0, Colour::Orange),
        (159.9, Colour::Yellow),
        (70.0, Colour::Yellow),
        (69.9, Colour::Blue),
    ] {
        assert_eq!(lec_colour(d, &policy()), colour, "{d}");
    }
}

#[test]
fn a_second_level_gas_alarm_is_red_at_once_and_a_first_level_one_orange_after_a_minute() {
    assert_eq!(asked(&fact("GAS-L2-03", None, None), 0), Some(Some(Colour::Red)));
    assert_eq!(asked(&fact("GAS-L1-03", None, None), 0), None);
    assert_eq!(
        asked(&fact("GAS-L1-03", None, None), 1),
        Some(Some(Colour::Orange))
    );
    assert_eq!(asked(&fact("LPG-LEVEL-L", None, None), 60), None);
    assert_eq!(
        asked(&fact("panel-1/GAS-L2-03", None, None), 0),
        Some(Some(Colour::Red))
    );
    assert_eq!(asked(&fact("panel-1/gas_03.fault", None, None), 10), Some(None));
}

#[test]
fn a_colour_is_lowered_only_after_thirty_clear_minutes_and_an_acknowledgement() {
    // Given a second-level alarm that went away after 10 minutes:
    // acknowledged at 5: red until 40.
    let early = fact("GAS-L2-03", Some(10), Some(5));
    assert_eq!(asked(&early, 39), Some(Some(Colour::Red)));
    assert_eq!(asked(&early, 40), None);
    // Acknowledged at 100: red until 100.
    let late = fact("GAS-L2-03", Some(10), Some(100));
    assert_eq!(asked(&late, 99), Some(Some(Colour::Red)));
    assert_eq!(asked(&late, 100), None);
    // Never acknowledged: red for ever.
    assert_eq!(
        asked(&fact("GAS-L2-03", Some(10), None), 100_000),
        Some(Some(Colour::Red))
    );
}

#[test]
fn a_faulty_instrument_makes_its_unit_one_step_worse_after_ten_minutes() {
    let fault = fact("GAS-FAULT-01", None, None);
    assert_eq!(asked(&fault, 9), None);
    let step = alarm_cause(&fault, minute(10), &policy()).unwrap();
    for (before, after) in [
        (Colour::Blue, Colour::Yellow),
        (Colour::Yellow, Colour::Orange),
        (Colour::Orange, Colour::Red),
        (Colour::Red, Colour::Red),
    ] {
        assert_eq!(compose(&fixed(before), std::slice::from_ref(&step)), after);
    }
    // What nobody assessed is not made a colour by a step.
    assert_eq!(compose(&[], &[step]), Colour::Grey);
}

#[test]
fn a_colour_never_falls_below_the_static_one() {
    let orange = alarm_cause(&fact("LPG-LEVEL-H", None, None), minute(0), &policy()).unwrap();
    assert_eq!(
        compose(&fixed(Colour::Red), std::slice::from_ref(&orange)),
        Colour::Red
    );
    assert_eq!(compose(&fixed(Colour::Blue), &[orange]), Colour::Orange);
    assert_eq!(compose(&fixed(Colour::Yellow), &[]), Colour::Yellow);
}
