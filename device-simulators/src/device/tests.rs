use std::sync::Arc;

use telemetry::profile::{Profile, SignalKind};
use telemetry::{DeviceId, Timestamp};

use super::*;
use crate::county::CountySize;
use crate::fault::{Fault, FaultSender};

/// 2026-11-23 12:00 in China.
const NOON: i64 = 1_795_406_400_000;
const HOUR: i64 = 3_600_000;

fn place(county: &County, id: &str) -> usize {
    county.place_of(&id.parse::<DeviceId>().unwrap()).unwrap()
}

/// That a reading has all signals of its profile, in its order, each within its range.
fn fits(profile: &Profile, reading: &Reading, what: &str) {
    let names: Vec<&str> = reading.values().iter().map(|(name, _)| *name).collect();
    let wanted: Vec<&str> = profile
        .signals
        .iter()
        .map(|signal| signal.name.as_str())
        .collect();
    assert_eq!(names, wanted, "{what}");
    for signal in &profile.signals {
        let value = reading.real(signal.name.as_str()).unwrap();
        let [least, greatest] = signal.range.unwrap_or([0.0, 1.0]);
        assert!(
            (least..=greatest).contains(&value),
            "{what} {} is {value}",
            signal.name
        );
        let is_flag = matches!(signal.kind, SignalKind::Bool);
        let flags = reading.values().iter().any(|(name, value)| {
            *name == signal.name.as_str() && matches!(value, crate::reading::Value::Flag(_))
        });
        assert_eq!(is_flag, flags, "{what} {}", signal.name);
    }
}

#[test]
fn every_value_of_every_kind_lies_in_the_range_of_its_profile_all_the_year_and_in_every_fault() {
    // Given a model county in which everything goes wrong that can,
    let county = Arc::new(County::generate(CountySize::Model, 5));
    let profiles = telemetry::profile::builtin().unwrap();
    let sender = FaultSender::new(Arc::clone(&county));
    // when the first three of each kind, and every hundredth of all, are read over a year,
    let mut seen = std::collections::HashMap::<&str, usize>::new();
    for (n, device) in county.devices().iter().enumerate() {
        let of_kind = seen.entry(device.profile()).or_default();
        *of_kind += 1;
        if *of_kind > 3 && !n.is_multiple_of(100) {
            continue;
        }
        for kind in [
            FaultKind::PumpTrip,
            FaultKind::GasLeak,
            FaultKind::CoverOpened,
            FaultKind::LampOut,
            FaultKind::CableCut,
        ] {
            if device.can_have(kind) {
                let order: Fault = format!("{kind}:{}@2h+30h", device.id).parse().unwrap();
                sender.send(&order, Timestamp::from_millis(NOON)).unwrap();
            }
        }
        let faults = sender.now();
        let mut reading = Reading::default();
        let whole_year = (0..52 * 7).map(|day| NOON - 180 * DAY + day * DAY + day * 41 * 60_000);
        let two_days = (0..200).map(|n| NOON + n * 14 * 60_000);
        // then each value lies in its range.
        for t in whole_year.chain(two_days) {
            county.read(n, t, &faults, &mut reading);
            fits(
                &profiles[device.profile()],
                &reading,
                &format!("{} at {t}", device.id),
            );
        }
    }
    // The server speaks for itself, and the logger of HJ 212 is played by `hj212`, not by a county.
    let elsewhere = ["server", "sewage-logger"];
    let spoken = profiles
        .keys()
        .filter(|kind| !elsewhere.contains(&&***kind))
        .count();
    assert_eq!(seen.len(), spoken, "a profile is spoken by nobody: {seen:?}");
}

#[test]
fn lamps_are_dark_at_noon_and_lit_at_midnight_and_the_loop_is_their_sum() {
    // Given the lamps of the first cabinet,
    let county = County::generate(CountySize::Small, 1);
    let none = Faults::default();
    let midnight = NOON + 11 * HOUR + 30 * 60_000;
    let read = |place: usize, t: i64| {
        let mut reading = Reading::default();
        county.read(place, t, &none, &mut reading);
        reading
    };
    let cabinet = place(&county, "loop-001");
    let lamps = cabinet + 1..cabinet + 68;
    // when they are read at noon and half an hour before midnight,
    let watts = |t: i64| -> f64 {
        lamps
            .clone()
            .map(|lamp| read(lamp, t).real("power").unwrap())
            .sum()
    };
    // then they draw next to nothing and then their rated power (150 W each, few are out),
    assert!(watts(NOON) < 67.0 * 1.0);
    assert!(
        (67.0 * 150.0 * 0.9..67.0 * 150.0 * 1.05).contains(&watts(midnight)),
        "{}",
        watts(midnight)
    );
    // the cabinet's three phases are their sum, and by day nothing flows.
    let phases = |t: i64| -> f64 {
        ["power_a", "power_b", "power_c"]
            .iter()
            .map(|name| read(cabinet, t).real(name).unwrap())
            .sum()
    };
    assert!(
        (phases(midnight) - watts(midnight)).abs() < 10.0,
        "{} {}",
        phases(midnight),
        watts(midnight)
    );
    assert!(phases(NOON).abs() < f64::EPSILON);
    // And a lamp has nothing to say between switching off and switching on.
    let next = county.devices()[cabinet + 1]
        .plan
        .unwrap()
        .next(&county.world, NOON - 4 * HOUR);
    assert!(next > NOON + 5 * HOUR);
}

#[test]
fn most_lamps_burn_but_not_all() {
    let county = County::generate(CountySize::Small, 1);
    let lighting = county.world.sun.lighting(NOON + 10 * HOUR);
    let dark = (county.devices().iter().enumerate())
        .filter(|(n, device)| match &device.model {
            Model::Lamp(lamp) => lamp.dark(&Faults::default(), *n, &lighting, NOON + 10 * HOUR),
            _ => false,
        })
        .count();
    assert!((1..=20).contains(&dark), "{dark} of 400");
}

#[test]
fn totals_never_run_backwards_in_seven_days_and_catch_up_after_a_trip() {
    // Given a large and a small station, whose pump trips for three hours on the second day,
    let county = Arc::new(County::generate(CountySize::Small, 1));
    let sender = FaultSender::new(Arc::clone(&county));
    for id in ["sw-001", "sws-001"] {
        let order: Fault = format!("pump-trip:{id}@26h+3h").parse().unwrap();
        sender.send(&order, Timestamp::from_millis(NOON)).unwrap();
    }
    let (faults, none) = (sender.now(), Faults::default());
    for id in ["sw-001", "sws-001"] {
        let place = place(&county, id);
        let mut reading = Reading::default();
        let mut last = 0;
        // when they are read every five minutes for seven days,
        for t in (NOON..NOON + 7 * DAY).step_by(300_000) {
            county.read(place, t, &faults, &mut reading);
            // then the total never falls,
            assert!(reading.raw("total") >= last, "{id} at {t}");
            last = reading.raw("total");
        }
        // and at the end it is what it would have been.
        county.read(place, NOON + 7 * DAY, &none, &mut reading);
        assert!(
            (reading.raw("total") - last).abs() <= 5,
            "{id}: {} {last}",
            reading.raw("total")
        );
    }
    // While the only pump stands, nothing flows and the tank rises to its alarm at 3.1 m.
    let mut reading = Reading::default();
    county.read(place(&county, "sws-001"), NOON + 28 * HOUR, &faults, &mut reading);
    assert!(reading.real("flow").unwrap().abs() < f64::EPSILON && reading.real("level").unwrap() > 3.1);
    assert!(reading.is("pump_1_fault") && !reading.is("pump_1_run"));
}

#[test]
fn the_flow_is_the_slope_of_the_total() {
    let county = County::generate(CountySize::Small, 1);
    let station = place(&county, "sw-003");
    let (mut from, mut to, mut now) = (Reading::default(), Reading::default(), Reading::default());
    county.read(station, NOON, &Faults::default(), &mut from);
    county.read(station, NOON + 24 * HOUR, &Faults::default(), &mut to);
    let mut sum = 0.0;
    for n in 0..24 * 60 {
        county.read(station, NOON + n * 60_000, &Faults::default(), &mut now);
        sum += now.real("flow").unwrap() / 60.0;
    }
    let total = to.real("total").unwrap() - from.real("total").unwrap();
    assert!((sum / total - 1.0).abs() < 0.01, "{sum} {total}");
}

#[test]
fn a_leak_reaches_level_2_within_half_a_minute_closes_the_contacts_and_thins_out() {
    // Given a leak of two minutes at the first depot,
    let county = Arc::new(County::generate(CountySize::Small, 1));
    let sender = FaultSender::new(Arc::clone(&county));
    let order: Fault = "gas-leak:depot-1-panel+2min".parse().unwrap();
    sender.send(&order, Timestamp::from_millis(NOON)).unwrap();
    let faults = sender.now();
    let most = |t: i64| {
        let mut reading = Reading::default();
        county.read(place(&county, "depot-1-panel"), t, &faults, &mut reading);
        let most = channels()
            .map(|(gas, ..)| reading.real(gas).unwrap())
            .fold(0.0, f64::max);
        let second = channels().any(|(_, _, second, _)| reading.is(second));
        (most, second)
    };
    // then level 2 is reached after 30 s with its contact, and is gone two minutes after the end;
    assert!(most(NOON - 1).0 <= 3.0);
    assert!(matches!(most(NOON + 30_000), (gas, true) if gas >= 50.0));
    assert!(matches!(most(NOON + 240_000), (gas, false) if gas < 5.0));
    // the depot's own system closes the outlet valve, which is open at noon, within 10 s.
    let outlet = |t: i64| {
        let mut reading = Reading::default();
        county.read(place(&county, "depot-1-valves"), t, &faults, &mut reading);
        reading.is("outlet_valve")
    };
    assert!(outlet(NOON - 1) && !outlet(NOON + 40_000));
}

#[test]
fn a_cut_cable_takes_the_current_of_loop_1_and_silences_its_lamps() {
    let county = Arc::new(County::generate(CountySize::Small, 1));
    let sender = FaultSender::new(Arc::clone(&county));
    let evening = NOON + 9 * HOUR;
    let order: Fault = "cable-cut:loop-002+1h".parse().unwrap();
    sender.send(&order, Timestamp::from_millis(evening)).unwrap();
    let faults = sender.now();
    let cabinet = place(&county, "loop-002");
    let current = |t: i64| {
        let mut reading = Reading::default();
        county.read(cabinet, t, &faults, &mut reading);
        reading.real("loop_1_current").unwrap()
    };
    let rated = match county.devices()[cabinet].attributes.get("loop_1_rated_a") {
        Some(telemetry::registry::Attribute::Number(amperes)) => *amperes,
        other => panic!("{other:?}"),
    };
    assert!(current(evening - 1) > 0.8 * rated);
    assert!(current(evening + 60_000) < 0.3 * rated);
}
