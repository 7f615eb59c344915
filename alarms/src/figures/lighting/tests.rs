use super::*;
use crate::figures::testkit::{County, at, close};

/// Loop L with lamp a (100 W, lit all night), b (150 W, dead from 22:00 to 01:00), c (100 W, never heard) and
/// d (no rated power); loop M with lamp e (100 W, half-night until 24:00, lit until then).
fn county(now: &str) -> County {
    let site = |id: &str| {
        format!(
            "[[site]]\nid = \"{id}\"\nkind = \"lighting_loop\"\nname = {{ zh = \"回路\", en = \"loop\" }}\norganisation = \"o\"\n\
             town = \"t\"\nposition = {{ latitude = 27.5, longitude = 119.7 }}\n"
        )
    };
    let lamp = |id: &str, site: &str, attributes: &str| {
        format!(
            "[[device]]\nid = \"{id}\"\nsite = \"{site}\"\nprofile = \"street-lamp\"\nattributes = {{ {attributes} }}\n"
        )
    };
    let toml = [
        site("L"),
        site("M"),
        lamp("a", "L", "rated_power_w = 100"),
        lamp("b", "L", "rated_power_w = 150"),
        lamp("c", "L", "rated_power_w = 100"),
        lamp("d", "L", ""),
        lamp("e", "M", "rated_power_w = 100, half_night_until_h = 24"),
    ];
    let county = County::new(&toml.concat(), now);
    let (dusk, dawn) = ("2026-11-22T17:15:00+08:00", "2026-11-23T06:30:00+08:00");
    let dead = at("2026-11-22T22:00:00+08:00")..at("2026-11-23T01:00:00+08:00");
    for id in ["a", "b", "d", "e"] {
        county.fill(id, "relay", dusk, dawn, 900, |_| 1.0);
        county.fill(id, "dim", dusk, dawn, 900, |_| 100.0);
        let out = id == "b";
        county.fill(id, "power", dusk, dawn, 900, |time| {
            if out && dead.contains(&time) { 0.0 } else { 95.0 }
        });
    }
    county
}

/// The night of 2026-11-22: due 17:21:51 to 06:12:57 (astral 3.2), 771.1 min; to midnight 398.15 min.
fn night() -> (f64, f64) {
    let county = county(NOON);
    let night = county
        .figures()
        .sun()
        .lighting_night("2026-11-22".parse().unwrap())
        .unwrap();
    let due = minutes(night.to.millis_since(night.from));
    let half = minutes(at("2026-11-23T00:00:00+08:00").millis_since(night.from));
    assert!(
        (due - 771.1).abs() < 2.0 && (half - 398.15).abs() < 1.0,
        "{due} {half}"
    );
    (due, half)
}

const NOON: &str = "2026-11-23T12:00:00+08:00";

/// a: due lit; b: due − 180 lit, 180 dark; c: due unknown; d excluded; e: half lit, the rest excluded.
#[test]
fn the_rate_of_a_night_is_lit_of_due_lamp_minutes() {
    let (due, half) = night();
    let figure = county(NOON).figure("lighting_rate");
    let lit = due + (due - 180.0) + half;
    close(figure.numerator, lit);
    close(figure.denominator, 3.0 * due + half);
    close(figure.value, lit / (3.0 * due + half) * 100.0);
    assert_eq!(figure.unknown.unit, "min");
    close(Some(figure.unknown.amount), due);
    close(figure.unknown.share, due / (3.0 * due + half));
    assert_eq!(figure.variants[0].value, figure.value);
    close(figure.variants[1].value, lit / (2.0 * due + half) * 100.0);
    assert_eq!(
        (figure.excluded.len(), figure.excluded[0].code),
        (1, "no_rated_power")
    );
    assert!(figure.notes[0].en.contains("half-night"), "{:?}", figure.notes);
    // Each loop is a part, and leads to its lamps.
    assert_eq!(figure.parts.len(), 2);
    close(figure.parts[0].value, (2.0 * due - 180.0) / (3.0 * due) * 100.0);
    assert_eq!(figure.parts[1].value, Some(100.0));
    assert!(
        figure.evidence[0].contains("lighting_rate?from=") && figure.evidence[0].ends_with("&scope=site:L")
    );
    assert_eq!(figure.from.time, "2026-11-22T00:00:00+08:00");
}

#[test]
fn the_scope_of_a_site_shows_each_lamp() {
    let (due, _) = night();
    let scope = "site:L".parse().unwrap();
    let figure = county(NOON)
        .figures()
        .compute("lighting_rate", None, None, &scope)
        .unwrap();
    let values: Vec<Option<f64>> = figure.parts.iter().map(|part| part.value).collect();
    assert_eq!((values[0], values[2]), (Some(100.0), Some(0.0)));
    close(values[1], (due - 180.0) / due * 100.0);
    assert!(figure.parts[1].evidence[1].starts_with("/api/v1/series?device=b&signal=power&from="));
}

#[test]
fn nights_are_summed_not_averaged_and_a_running_night_says_so() {
    // Given two evenings, the 21st without any reading, and a clock that shows 23:00 of the 22nd,
    let county = county("2026-11-22T23:00:00+08:00");
    let figure = county
        .ask(
            "lighting_rate",
            Some("2026-11-21T00:00:00+08:00"),
            Some("2026-11-23T00:00:00+08:00"),
        )
        .unwrap();
    let sun = county.figures();
    let night = |date: &str| sun.sun().lighting_night(date.parse().unwrap()).unwrap();
    let first = night("2026-11-21");
    // then the first night is due whole (its half-night lamp until midnight), the second until now.
    let whole = minutes(first.to.millis_since(first.from)) * 3.0
        + minutes(at("2026-11-22T00:00:00+08:00").millis_since(first.from));
    let so_far = minutes(at("2026-11-22T23:00:00+08:00").millis_since(night("2026-11-22").from));
    close(figure.denominator, whole + 4.0 * so_far);
    close(figure.numerator, 3.0 * so_far - 60.0);
    assert!(
        figure.notes.iter().any(|note| note.en.contains("not over")),
        "{:?}",
        figure.notes
    );
}

#[test]
fn silent_by_day_is_not_a_fault() {
    // Given the day of 2026-11-23 from after sunrise to noon: no lighting night begins in it,
    let figure = county(NOON)
        .ask("lighting_rate", Some("2026-11-23T07:00:00+08:00"), Some(NOON))
        .unwrap();
    // then nothing is due and nothing is wrong.
    assert_eq!(
        (figure.value, figure.denominator, figure.unknown.share),
        (None, Some(0.0), None)
    );
    assert!(figure.reason.unwrap().en.contains("no lighting night"));
    // And by day there is no rate of now, with a reason.
    let now = county(NOON).figure("lighting_rate");
    assert_eq!(now.variants[2].value, None);
    assert!(now.variants[2].reason.as_ref().unwrap().en.contains("not due"));
}

/// At 23:00 a is lit, b dead, c unknown, e lit (half-night until midnight): 2 of 4, or 2 of 3.
#[test]
fn the_rate_of_now_counts_lamps() {
    let mut county = county("2026-11-22T23:00:00+08:00");
    let now = |county: &County| county.figure("lighting_rate").variants[2].clone();
    assert_eq!(
        (now(&county).numerator, now(&county).denominator),
        (Some(2.0), Some(4.0))
    );
    county.policy.lighting_rate.offline = Offline::Lenient;
    assert_eq!(
        (now(&county).numerator, now(&county).denominator),
        (Some(2.0), Some(3.0))
    );
}

#[test]
fn without_lamps_the_rate_is_null_with_a_reason() {
    let figure = County::new("", NOON).figure("lighting_rate");
    assert_eq!((figure.value, figure.denominator), (None, Some(0.0)));
    assert!(figure.reason.unwrap().en.contains("no lamp"));
}
