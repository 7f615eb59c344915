use super::*;

fn county() -> Sun {
    let position = Position {
        latitude: 27.56,
        longitude: 119.72,
    };
    let offset = Span::from_secs(15 * 60);
    Sun::new(position, "Asia/Shanghai", offset, offset).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[track_caller]
fn near(found: Option<Timestamp>, wanted: &str) {
    let off_ms = found.unwrap().millis_since(at(wanted)).abs();
    assert!(
        off_ms <= 60_000,
        "{:?} is {off_ms} ms off {wanted}",
        found.unwrap()
    );
}

/// Oracle: Python astral 3.2, `sunset` and `sunrise` of `Observer(27.56, 119.72, 0)`; the first row also
/// domain.md §3.2 (NOAA formula, 05:06 and 18:59).
#[test]
fn sunset_and_sunrise_agree_with_astral_within_a_minute() {
    for (date, sunset, sunrise_of_date) in [
        (
            "2021-06-21",
            "2021-06-21T18:59:15.966+08:00",
            "2021-06-21T05:06:32.789+08:00",
        ),
        (
            "2021-12-21",
            "2021-12-21T17:10:55.544+08:00",
            "2021-12-21T06:47:21.975+08:00",
        ),
        (
            "2024-02-29",
            "2024-02-29T18:00:57.667+08:00",
            "2024-02-29T06:26:37.253+08:00",
        ),
        (
            "2026-03-20",
            "2026-03-20T18:11:58.997+08:00",
            "2026-03-20T06:05:43.886+08:00",
        ),
        (
            "2026-11-22",
            "2026-11-22T17:06:51.154+08:00",
            "2026-11-22T06:27:11.146+08:00",
        ),
    ] {
        let date: Date = date.parse().unwrap();
        near(county().sunset_and_sunrise(date).0, sunset);
        near(
            county().sunset_and_sunrise(date.yesterday().unwrap()).1,
            sunrise_of_date,
        );
    }
}

#[test]
fn lights_are_due_from_a_quarter_after_sunset_to_a_quarter_before_sunrise() {
    // Given the night of 2026-11-22: sunset 17:06:51, sunrise of the 23rd 06:27:57 (astral 3.2),
    let sun = county();
    let night = sun.lighting_night("2026-11-22".parse().unwrap()).unwrap();
    // then lights are due from 17:21:51 to 06:12:57, within a minute,
    near(Some(night.from), "2026-11-22T17:21:51+08:00");
    near(Some(night.to), "2026-11-23T06:12:57+08:00");
    // and the hours after midnight belong to the evening before.
    assert_eq!(
        sun.evening(at("2026-11-23T03:00:00+08:00")),
        "2026-11-22".parse().unwrap()
    );
    for (time, due) in [
        ("2026-11-22T17:20:00+08:00", false),
        ("2026-11-22T17:24:00+08:00", true),
        ("2026-11-23T06:11:00+08:00", true),
        ("2026-11-23T06:15:00+08:00", false),
        ("2026-11-23T12:00:00+08:00", false),
    ] {
        assert_eq!(sun.lights_due(at(time)), due, "{time}");
    }
}

#[test]
fn a_zone_without_summer_time_has_days_of_24_hours_all_year() {
    let sun = county();
    let mut date: Date = "2026-01-01".parse().unwrap();
    for _ in 0..365 {
        let next = date.tomorrow().unwrap();
        assert_eq!(
            sun.midnight(next).millis_since(sun.midnight(date)),
            Timestamp::DAY_MS
        );
        assert_eq!(sun.date(sun.midnight(next).minus(Span::from_millis(1))), date);
        date = next;
    }
}

#[test]
fn where_the_sun_does_not_set_nothing_is_due_and_where_it_does_not_rise_everything_is() {
    // Given Tromsø (astral 3.2: "always above" on 2026-06-21, "always below" on 2026-12-21),
    let position = Position {
        latitude: 69.65,
        longitude: 18.96,
    };
    let sun = Sun::new(position, "Europe/Oslo", Span::ZERO, Span::ZERO).unwrap();
    assert_eq!(sun.lighting_night("2026-06-21".parse().unwrap()), None);
    let night = sun.lighting_night("2026-12-21".parse().unwrap()).unwrap();
    assert_eq!(night.to.millis_since(night.from), Timestamp::DAY_MS);
}

#[test]
fn the_ends_of_time_are_shown_and_not_due_to_panic() {
    let sun = county();
    for end in [Timestamp::MIN, Timestamp::MAX] {
        assert!(!sun.text(end).is_empty());
        let _date = sun.date(end);
        let _due = sun.lights_due(end);
    }
}

#[test]
fn a_zone_that_does_not_exist_is_named() {
    let position = Position {
        latitude: 0.0,
        longitude: 0.0,
    };
    let error = Sun::new(position, "Asia/Wenzhou", Span::ZERO, Span::ZERO).unwrap_err();
    assert!(error.to_string().contains("Asia/Wenzhou"), "{error}");
}
