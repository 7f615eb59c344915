use telemetry::time::Timestamp;

use crate::figures::FigureError;
use crate::figures::testkit::{County, at, close, station};

const FROM: &str = "2026-11-20T00:00:00+08:00";
const TO: &str = "2026-11-21T00:00:00+08:00";

/// a reports every 5 min, 0.1 m³ each; b every 15 min, 0.5 m³ each; c is out of service.
fn county() -> County {
    let toml = [
        station("a", "sewage-station", "design_capacity_tpd = 50"),
        station(
            "b",
            "sewage-station-small",
            "design_capacity_tpd = 10, no_outflow_registered = true",
        ),
        station("c", "sewage-station", "in_service = false"),
    ];
    County::new(&toml.concat(), "2026-11-23T12:00:00+08:00")
}

fn ramp(start: &str, every_s: i64, each: f64) -> impl Fn(Timestamp) -> f64 {
    let start = at(start);
    move |time| 1000.0 + (time.millis_since(start) / (every_s * 1000)) as f64 * each
}

/// a: readings 23:55 of the day before to 23:55 of the day: 288 steps of 0.1 = 28.8 m³, nothing unknown.
/// b: readings 06:00 to 17:45 only: 47 steps of 0.5 = 23.5 m³; 6 h and 6 h 15 min at the edges unknown.
/// Σ = 52.3 m³; unknown 12.25 of 48 station-hours.
#[test]
fn the_volume_of_a_day_is_the_sum_of_the_totalisers() {
    let county = county();
    county.fill(
        "a",
        "total",
        "2026-11-19T20:00:00+08:00",
        TO,
        300,
        ramp(FROM, 300, 0.1),
    );
    county.fill(
        "b",
        "total",
        "2026-11-20T06:00:00+08:00",
        "2026-11-20T18:00:00+08:00",
        900,
        ramp(FROM, 900, 0.5),
    );
    let figure = county.ask("sewage_volume", Some(FROM), Some(TO)).unwrap();
    close(figure.value, 52.3);
    close(figure.parts[0].value, 28.8);
    close(figure.parts[1].value, 23.5);
    assert_eq!((figure.unknown.amount, figure.unknown.unit), (12.25, "h"));
    close(figure.unknown.share, 12.25 / 48.0);
    close(figure.variants[0].value, 0.00523);
    assert_eq!(figure.excluded[0].code, "not_in_service");
    assert_eq!(figure.parts[1].notes.len(), 2, "{:?}", figure.parts[1].notes);
    let (from, to) = (at(FROM).millis(), at(TO).millis());
    let link = format!("/api/v1/series?device=a&signal=total&from={from}&to={to}");
    assert_eq!(figure.evidence[0], link);
    // Whole days in a row add up to the period.
    let days = county
        .ask("sewage_volume", Some("2026-11-19T00:00:00+08:00"), Some(FROM))
        .unwrap();
    let both = county
        .ask("sewage_volume", Some("2026-11-19T00:00:00+08:00"), Some(TO))
        .unwrap();
    assert!((days.value.unwrap() + figure.value.unwrap() - both.value.unwrap()).abs() < 1e-9);
}

#[test]
fn without_any_reading_the_volume_is_null_and_all_is_unknown() {
    let figure = county().ask("sewage_volume", Some(FROM), Some(TO)).unwrap();
    assert_eq!((figure.value, figure.unknown.share), (None, Some(1.0)));
    assert!(figure.reason.unwrap().en.contains("no totaliser"));
}

#[test]
fn without_a_period_the_last_seven_days_and_today_are_meant() {
    let figure = county().figure("sewage_volume");
    assert_eq!(figure.from.time, "2026-11-16T00:00:00+08:00");
    assert_eq!(figure.to.time, "2026-11-23T12:00:00+08:00");
}

#[test]
fn a_period_that_makes_no_sense_is_refused() {
    for (from, to, why) in [
        (TO, FROM, "is empty"),
        (
            "2026-12-01T00:00:00+08:00",
            "2026-12-02T00:00:00+08:00",
            "has not begun",
        ),
        ("2020-01-01T00:00:00+08:00", TO, "longer than 400 days"),
    ] {
        let error = county().ask("sewage_volume", Some(from), Some(to)).unwrap_err();
        assert!(matches!(error, FigureError::Period { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(matches!(
        county().ask("volume", None, None),
        Err(FigureError::Name { .. })
    ));
}
