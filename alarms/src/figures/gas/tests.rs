use super::*;
use crate::figures::AlarmFact;
use crate::figures::tanks::is_tank;
use crate::figures::testkit::{County, at, close};

const NOW: &str = "2026-11-23T12:00:00+08:00";

/// A depot with two tanks of `design_max_t` each (100 m³) and a detector panel.
fn depot(id: &str, design_max_t: &str, attributes: &str) -> String {
    let device = |name: &str, profile: &str, attributes: &str| {
        format!(
            "[[device]]\nid = \"{id}-{name}\"\nsite = \"{id}\"\nprofile = \"{profile}\"\nattributes = {{ {attributes} }}\n"
        )
    };
    format!(
        "[[site]]\nid = \"{id}\"\nkind = \"lpg_depot\"\nname = {{ zh = \"储配站\", en = \"depot\" }}\norganisation = \"o\"\n\
         town = \"t\"\nposition = {{ latitude = 27.5, longitude = 119.7 }}\nattributes = {{ {attributes} }}\n{}{}{}",
        device(
            "t1",
            "lpg-tank",
            &format!("design_max_t = {design_max_t}, volume_m3 = 100")
        ),
        device(
            "t2",
            "lpg-tank",
            &format!("design_max_t = {design_max_t}, volume_m3 = 100")
        ),
        device("panel", "gas-detector-panel", ""),
    )
}

/// The county with that depot, every instrument of which reported a second ago.
fn alive(toml: &str) -> County {
    let county = County::new(toml, NOW);
    let time = at(NOW).minus(Span::from_secs(1));
    for entry in county.catalogue.devices() {
        let (name, value) = if is_tank(entry) {
            ("level", 60.0)
        } else {
            ("gas_01", 0.0)
        };
        county.put(entry.device.id.as_str(), name, time, value);
    }
    county
}

fn alarm(county: &mut County, rule: &str, raised: &str) {
    let fact = AlarmFact {
        rule: rule.into(),
        device: "d-panel".parse().unwrap(),
        raised: at(raised),
        returned: None,
        acknowledged: None,
    };
    county.alarms.push(("d".parse().unwrap(), fact));
}

fn state(figure: &Figure) -> &UnitState {
    figure.parts[0].hazard.as_ref().unwrap()
}

const ASSESSED: &str = "people_within_500m = 120, lec_l = 1, lec_e = 6, lec_c = 15";

/// Two tanks of 45 t: S = 90/50 = 1.8, α 2.0, R = 2·1.5·1.8 = 5.4, level 4, blue by the mapping.
/// D = 1·6·15 = 90, yellow. Static = max = yellow. Live 2 · 60 % · 100 m³ · 0.5 t/m³ = 60 t.
#[test]
fn a_depot_has_its_tier_and_its_static_colour() {
    let figure = alive(&depot("d", "45.0", ASSESSED)).figure("gas_hazard");
    let state = state(&figure);
    assert_eq!((state.s, state.r, state.level), (Some(1.8), Some(5.4), Some(4)));
    assert_eq!((state.alpha, state.lec_d), (Some(2.0), Some(90.0)));
    close(state.live_t, 60.0);
    assert_eq!(
        (state.static_colour, state.colour),
        (Colour::Yellow, Colour::Yellow)
    );
    assert_eq!((figure.value, figure.colour), (Some(2.0), Some(Colour::Yellow)));
    assert_eq!((figure.numerator, figure.denominator), (Some(1.0), Some(1.0)));
    assert_eq!(figure.variants[0].value, Some(1.0));
}

/// Two tanks of 22.5 t: S = 0.9, no R, no level; the colour is LEC's alone.
#[test]
fn below_one_a_depot_has_no_level() {
    let figure = alive(&depot(
        "d",
        "22.5",
        "people_within_500m = 120, lec_l = 1, lec_e = 3, lec_c = 7",
    ))
    .figure("gas_hazard");
    let state = state(&figure);
    assert_eq!(
        (state.s, state.major_hazard, state.r, state.level),
        (Some(0.9), false, None, None)
    );
    // Live 60 t is more than the 45 t registered: one step worse than blue.
    assert_eq!(
        (state.static_colour, state.colour),
        (Colour::Blue, Colour::Yellow)
    );
    assert!(state.causes.iter().any(|cause| cause.code == "over_design"));
}

#[test]
fn a_gas_alarm_lifts_the_colour_and_the_reasons_say_so() {
    let mut county = alive(&depot("d", "45.0", ASSESSED));
    alarm(&mut county, "GAS-L1-03", "2026-11-23T11:50:00+08:00");
    assert_eq!(state(&county.figure("gas_hazard")).colour, Colour::Orange);
    alarm(&mut county, "GAS-FAULT-01", "2026-11-23T11:40:00+08:00");
    let figure = county.figure("gas_hazard");
    assert_eq!(state(&figure).colour, Colour::Red);
    assert!(
        figure.parts[0]
            .notes
            .iter()
            .any(|note| note.en.contains("GAS-L1-03")),
        "{:?}",
        figure.parts[0].notes
    );
}

#[test]
fn without_data_a_depot_is_grey_and_keeps_its_last_colour() {
    // Given a depot that nobody has heard for eleven minutes, with a second-level alarm standing,
    let mut county = County::new(&depot("d", "45.0", ASSESSED), NOW);
    county.put("d-t1", "level", at("2026-11-23T11:49:00+08:00"), 60.0);
    alarm(&mut county, "GAS-L2-03", "2026-11-23T11:48:00+08:00");
    // then it is grey, its last colour red, and the area red: silence holds the alarm.
    let figure = county.figure("gas_hazard");
    assert_eq!(
        (state(&figure).colour, state(&figure).last_colour),
        (Colour::Grey, Colour::Red)
    );
    assert_eq!(figure.colour, Some(Colour::Red));
    assert_eq!((figure.numerator, figure.unknown.share), (Some(0.0), Some(1.0)));
}

#[test]
fn a_bad_reading_is_no_data_and_a_grey_area_is_never_blue() {
    use telemetry::{Bad, Quality};
    let blue = "people_within_500m = 0, lec_l = 1, lec_e = 1, lec_c = 7";
    // Given one depot in order and one whose instruments answer with errors only,
    let county = alive(&(depot("d", "30.0", blue) + &depot("e", "30.0", blue)));
    for entry in county.catalogue.devices_at("e") {
        for name in ["level", "gas_01"] {
            if signal(entry, name).is_some() {
                let (id, time) = (entry.device.id.as_str(), at(NOW).minus(Span::from_secs(1)));
                county.put_with(id, name, time, 0.0, Quality::Bad(Bad::NoAnswer));
            }
        }
    }
    let figure = county.figure("gas_hazard");
    assert_eq!(figure.parts[0].hazard.as_ref().unwrap().colour, Colour::Blue);
    assert_eq!(figure.parts[1].hazard.as_ref().unwrap().colour, Colour::Grey);
    // Silent instruments are a step worse: the last colour of e is yellow, and so is the area.
    assert_eq!(figure.colour, Some(Colour::Yellow));
    let grey = UnitState {
        colour: Colour::Grey,
        last_colour: Colour::Blue,
        ..figure.parts[0].hazard.clone().unwrap()
    };
    assert_eq!(area([&grey, &grey].into_iter()), Colour::Grey);
}

#[test]
fn one_silent_tank_is_a_step_worse_not_grey() {
    let county = County::new(&depot("d", "45.0", ASSESSED), NOW);
    county.put("d-t1", "level", at(NOW), 60.0);
    county.put("d-panel", "gas_01", at(NOW), 0.0);
    let figure = county.figure("gas_hazard");
    assert_eq!(state(&figure).colour, Colour::Orange);
    assert_eq!(state(&figure).live_t, None);
}

#[test]
fn direct_determination_turns_every_major_hazard_red() {
    let mut county = alive(&depot("d", "45.0", ASSESSED));
    county.policy.gas_hazard.direct_determination = true;
    assert_eq!(state(&county.figure("gas_hazard")).colour, Colour::Red);
}

#[test]
fn what_the_register_does_not_say_is_never_taken_as_safe() {
    // Without the number of people a major hazard is taken as the greatest;
    let figure = alive(&depot("d", "45.0", "lec_l = 1, lec_e = 1, lec_c = 1")).figure("gas_hazard");
    assert_eq!((state(&figure).level, state(&figure).colour), (None, Colour::Red));
    // without tanks and LEC a depot is grey;
    let figure = alive(&depot("d", "-1.0", "people_within_500m = 5")).figure("gas_hazard");
    assert_eq!(
        (state(&figure).s, state(&figure).colour, figure.value),
        (None, Colour::Grey, None)
    );
    assert_eq!(figure.excluded.len(), 2);
    // and where there is no depot there is no value, with a reason.
    let figure = County::new("", NOW).figure("gas_hazard");
    assert_eq!((figure.value, figure.denominator), (None, Some(0.0)));
    assert!(figure.reason.is_some());
}
