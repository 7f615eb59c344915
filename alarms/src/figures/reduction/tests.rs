use super::*;
use crate::figures::testkit::{County, at, close, station};

fn day(volume_m3: f64, inflow: f64, outflow: f64) -> Day {
    let mean = |value| Mean { sum: value, count: 1 };
    Day {
        volume_m3,
        undated_m3: 0.0,
        inflow: mean(inflow),
        outflow: mean(outflow),
    }
}

/// Golden vector of domain.md §1.9: 150 万吨, COD 180 → 28, NH3-N 25 → 2.5.
#[test]
fn a_year_of_a_town_plant_gives_the_golden_vector() {
    let tonnes = |inflow, outflow| reduce([day(1_500_000.0, inflow, outflow)].into_iter(), 1).clamped_t;
    close(Some(tonnes(180.0, 28.0)), 228.0);
    close(Some(tonnes(25.0, 2.5)), 33.75);
}

/// 100 m³ · (200 − 50) = 0.015 t; 100 m³ · (50 − 80) = −0.003 t; 40 m³ without concentrations.
#[test]
fn negative_days_count_as_nothing_or_as_they_are() {
    let mut blind = day(40.0, 0.0, 0.0);
    blind.outflow = Mean::default();
    let sums = reduce(
        [day(100.0, 200.0, 50.0), day(100.0, 50.0, 80.0), blind].into_iter(),
        1,
    );
    close(Some(sums.clamped_t), 0.015);
    close(Some(sums.raw_t), 0.012);
    assert_eq!(
        (sums.known_m3, sums.unknown_m3, sums.negative_days),
        (200.0, 40.0, 1)
    );
}

const FROM: &str = "2026-11-19T00:00:00+08:00";
const TO: &str = "2026-11-21T00:00:00+08:00";

/// Two civil days of station a, read every 5 min: 0.5 m³ a step, so 144 m³ a day (readings of 23:55 before
/// on). COD in: 180 before noon, 220 after, mean 200; out 40 on the 19th, 50 on the 20th: 144 · 160 · 10⁻⁶ +
/// 144 · 150 · 10⁻⁶ = 0.04464 t. Station b has no analysers: 0.4 m³ each 15 min, 96 a day, 38.4 m³ a day,
/// 76.8 unknown of 76.8 + 288.
fn county() -> County {
    let toml = station("a", "sewage-station", "design_capacity_tpd = 50")
        + &station("b", "sewage-station-small", "design_capacity_tpd = 10");
    let county = County::new(&toml, "2026-11-23T12:00:00+08:00");
    let start = "2026-11-18T23:00:00+08:00";
    let steps = move |time: Timestamp, every_s: i64| (time.millis_since(at(start)) / (every_s * 1000)) as f64;
    county.fill("a", "total", start, TO, 300, |time| steps(time, 300) * 0.5);
    county.fill("b", "total", start, TO, 900, |time| steps(time, 900) * 0.4);
    let hour = |time: Timestamp| time.millis_since(at(FROM)).rem_euclid(Timestamp::DAY_MS) / 3_600_000;
    county.fill("a", "cod_in", FROM, TO, 300, |time| {
        if hour(time) < 12 { 180.0 } else { 220.0 }
    });
    let second = at("2026-11-20T00:00:00+08:00");
    county.fill("a", "cod_out", FROM, TO, 300, |time| {
        if time < second { 40.0 } else { 50.0 }
    });
    county
}

#[test]
fn reduction_is_summed_by_civil_day_of_the_county() {
    let figure = county()
        .ask("sewage_cod_reduction", Some(FROM), Some(TO))
        .unwrap();
    close(figure.value, 0.04464);
    close(figure.parts[0].value, 0.04464);
    close(Some(figure.unknown.amount), 76.8);
    close(figure.unknown.share, 76.8 / 364.8);
    assert_eq!(
        (figure.excluded[0].site.as_str(), figure.excluded[0].code),
        ("b", "no_analyser")
    );
    assert_eq!(figure.evidence.len(), 3);
}

#[test]
fn without_concentrations_the_reduction_is_null_and_all_volume_unknown() {
    // Given no NH3-N reading at all,
    let figure = county()
        .ask("sewage_nh3n_reduction", Some(FROM), Some(TO))
        .unwrap();
    assert_eq!((figure.value, figure.unknown.share), (None, Some(1.0)));
    assert!(figure.reason.is_some());
}

#[test]
fn volume_that_flowed_over_midnight_in_a_gap_belongs_to_no_day() {
    // Given a day whose totaliser was silent from 20:00 of the day before to 04:00,
    let toml = station("a", "sewage-station", "design_capacity_tpd = 50");
    let county = County::new(&toml, "2026-11-23T12:00:00+08:00");
    for (time, total) in [
        ("2026-11-19T00:00:00+08:00", 0.0),
        ("2026-11-19T20:00:00+08:00", 20.0),
        ("2026-11-20T04:00:00+08:00", 28.0),
        ("2026-11-20T23:59:00+08:00", 48.0),
    ] {
        county.put("a", "total", at(time), total);
    }
    county.fill("a", "cod_in", FROM, TO, 3600, |_| 200.0);
    county.fill("a", "cod_out", FROM, TO, 3600, |_| 100.0);
    // then (20 + 20) m³ · 100 mg/L · 10⁻⁶ = 0.004 t count and the 8 m³ in between are unknown.
    let figure = county.ask("sewage_cod_reduction", Some(FROM), Some(TO)).unwrap();
    close(figure.value, 0.004);
    close(Some(figure.unknown.amount), 8.0);
}
