use crate::figures::testkit::{County, close, evaluation, station};

/// Seven stations at the snapshot of 2026-11-23:
/// a 50 t/d passed with 80 (the pass mark); b 100 t/d failed with 79.9; c 30 t/d (the threshold) passed in
/// 2025, failed since; d 40 t/d passed, expired yesterday; e 60 t/d never evaluated; out of scope: f 29.9 t/d,
/// g exempted, h not in service; i without a capacity.
/// 1 of 5 stations: 20 %. Weighted: 50 / (50 + 100 + 30 + 40 + 60) = 50 / 280. Unknown: 1 of 6.
fn county() -> County {
    let full = "sewage-station";
    let sites = [
        station("a", full, "design_capacity_tpd = 50, in_service = true"),
        station("b", full, "design_capacity_tpd = 100"),
        station("c", full, "design_capacity_tpd = 30"),
        station("d", full, "design_capacity_tpd = 40"),
        station("e", full, "design_capacity_tpd = 60"),
        station("f", full, "design_capacity_tpd = 29.9"),
        station("g", full, "design_capacity_tpd = 90, exempted = true"),
        station("h", full, "design_capacity_tpd = 90, in_service = false"),
        station("i", full, "in_service = true"),
    ];
    let year = ("2026-01-01T00:00:00+08:00", "2026-12-31T00:00:00+08:00");
    let evaluations = [
        evaluation("a", year.0, year.1, 80.0),
        evaluation("b", year.0, year.1, 79.9),
        evaluation("c", "2025-12-01T00:00:00+08:00", year.1, 95.0),
        evaluation("c", year.0, year.1, 60.0),
        evaluation("d", year.0, "2026-11-22T00:00:00+08:00", 90.0),
        evaluation("f", year.0, year.1, 99.0),
        // An evaluation of tomorrow does not count today.
        evaluation("e", "2026-11-24T00:00:00+08:00", year.1, 99.0),
    ];
    County::new(
        &(sites.concat() + &evaluations.concat()),
        "2026-11-23T12:00:00+08:00",
    )
}

#[test]
fn coverage_is_the_stations_passed_of_the_stations_in_scope() {
    let figure = county().figure("sewage_om_coverage");
    assert_eq!(figure.numerator, Some(1.0));
    assert_eq!(figure.denominator, Some(5.0));
    close(figure.value, 20.0);
    close(figure.variants[0].value, 50.0 / 280.0 * 100.0);
    close(Some(figure.unknown.amount), 1.0);
    close(figure.unknown.share, 1.0 / 6.0);
    let mut excluded: Vec<(&str, &str)> = figure
        .excluded
        .iter()
        .map(|e| (e.site.as_str(), e.code))
        .collect();
    excluded.sort_unstable();
    assert_eq!(
        excluded,
        [
            ("f", "below_threshold"),
            ("g", "exempted"),
            ("h", "not_in_service"),
            ("i", "no_capacity")
        ]
    );
    assert_eq!(figure.parts.len(), 5);
    assert!(
        figure.parts[3].notes[0].en.contains("expired"),
        "{:?}",
        figure.parts[3].notes
    );
    assert_eq!(figure.evidence[0], "/api/v1/sites/a");
}

#[test]
fn a_snapshot_of_the_past_sees_what_counted_then() {
    // Given the snapshot of 2025-12-15: only c had an evaluation, of 95 points.
    let figure = county()
        .ask("sewage_om_coverage", None, Some("2025-12-15T00:00:00+08:00"))
        .unwrap();
    assert_eq!((figure.numerator, figure.denominator), (Some(1.0), Some(5.0)));
    assert_eq!(figure.parts[2].value, Some(100.0));
}

#[test]
fn without_a_station_in_scope_the_value_is_null_with_a_reason() {
    let county = County::new(
        &station("f", "sewage-station", "design_capacity_tpd = 5"),
        "2026-11-23T12:00:00+08:00",
    );
    let figure = county.figure("sewage_om_coverage");
    assert_eq!((figure.value, figure.denominator), (None, Some(0.0)));
    assert!(figure.reason.unwrap().en.contains("30 t/d"));
    assert_eq!(figure.unknown.share, None);
}

#[test]
fn the_same_question_has_the_same_revision_and_another_rule_another() {
    let mut county = county();
    let first = county.figure("sewage_om_coverage");
    assert_eq!(first.revision, county.figure("sewage_om_coverage").revision);
    assert_eq!(first.revision.len(), 12);
    county.policy.sewage_om_coverage.pass_mark = 79.0;
    let second = county.figure("sewage_om_coverage");
    assert_eq!(second.numerator, Some(2.0));
    assert_ne!(first.revision, second.revision);
}
