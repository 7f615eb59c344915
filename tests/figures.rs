//! Figures over the whole path: reported by devices, asked of the API, compared with a calculation by hand.

use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::{ask, county, http, wait};

const DAY_MS: i64 = 86_400_000;
/// Asia/Shanghai is eight hours ahead of UTC, without summer time.
const ZONE_MS: i64 = 8 * 3_600_000;

fn station(id: &str, capacity: u32, more: &str) -> String {
    format!(
        "\n[[site]]\nid = \"{id}\"\nkind = \"sewage_station\"\nname = {{ zh = \"{id}站\", en = \"{id}\" }}\n\
         organisation = \"operator\"\ntown = \"Shangcun\"\nposition = {{ latitude = 27.5, longitude = 119.7 }}\n\
         attributes = {{ design_capacity_tpd = {capacity}, in_service = true{more} }}\n"
    )
}

fn evaluation(site: &str, score: u32) -> String {
    let now = ask::now();
    format!(
        "\n[[evaluation]]\nsite = \"{site}\"\nat = {}\nvalid_until = {}\nscore = {score}\nevaluator = \"bureau\"\n",
        now - 30 * DAY_MS,
        now + 300 * DAY_MS
    )
}

#[test]
fn coverage_counts_passed_stations_over_those_in_scope() {
    // Given five stations: 50 t/d passed with 85; 30 t/d failed with 79; 40 t/d never evaluated; 60 t/d
    // exempted; 20 t/d below the threshold of 30 t/d (the 20 t/d station of the head besides),
    let registry = [
        county::one_station(),
        station("a", 50, ""),
        station("b", 30, ""),
        station("c", 40, ""),
        station("d", 60, ", exempted = true"),
        station("e", 20, ""),
        evaluation("a", 85),
        evaluation("b", 79),
        evaluation("d", 95),
        evaluation("e", 95),
    ]
    .concat();
    let setup = Setup::new(&registry, "");
    let server = setup.start();
    // then 1 of 3 in scope passed: 33.3 %.
    let figure = http::json(server.web, "/api/v1/figures/sewage_om_coverage");
    assert_eq!(figure["numerator"].as_f64(), Some(1.0), "{figure}");
    assert_eq!(figure["denominator"].as_f64(), Some(3.0), "{figure}");
    assert!(
        (figure["value"].as_f64().unwrap() - 100.0 / 3.0).abs() < 1e-9,
        "{figure}"
    );
    for key in [
        "name", "unit", "unknown", "excluded", "formula", "policy", "revision", "parts", "evidence",
    ] {
        assert!(!figure[key].is_null(), "{key} is missing in {figure}");
    }
}

#[test]
fn volume_is_the_growth_of_the_totaliser_over_civil_days() {
    // Given a station whose totaliser stands at 100.0 m³ at the midnight that begins yesterday, at 112.5 at
    // noon and at 120.0 at the end of its last minute,
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    let today = (ask::now() + ZONE_MS).div_euclid(DAY_MS) * DAY_MS - ZONE_MS;
    let yesterday = today - DAY_MS;
    let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    for (ts, total) in [
        (yesterday, 100.0),
        (yesterday + DAY_MS / 2, 112.5),
        (today - 1, 120.0),
    ] {
        let payload = format!(r#"{{"ts":{ts},"backfill":true,"values":{{"total":{total}}}}}"#);
        client
            .publish_acked("tw/v1/station-1/telemetry", payload.as_bytes())
            .unwrap();
    }
    // (a figure of a period that is asked for is kept for 30 s: it is not asked for before all readings are there)
    wait::until("the readings are stored", wait::SOON, || {
        let readings = ask::points(server.web, "station-1", "total", yesterday, today);
        if readings.len() == 3 {
            Ok(())
        } else {
            Err(format!("{readings:?}"))
        }
    });
    // then 20.0 m³ = 0.002 万t were treated yesterday.
    let figure = http::json(
        server.web,
        &format!("/api/v1/figures/sewage_volume?from={yesterday}&to={today}"),
    );
    let value = figure["value"].as_f64().unwrap_or(f64::NAN);
    let in_cubic_metres = if figure["unit"] == "m3" {
        value
    } else {
        value * 1e4
    };
    assert!((in_cubic_metres - 20.0).abs() < 1e-6, "{figure}");
}

#[test]
fn a_depot_at_the_critical_quantity_is_a_major_hazard_and_grey_without_data() {
    // Given a depot with two tanks of 45 t (S = 90/50 = 1.8; 120 people: α = 2; R = 2 × 1.5 × 1.8 = 5.4: level 4),
    let tank = |id: &str| {
        format!(
            "\n[[device]]\nid = \"{id}\"\nsite = \"depot\"\nprofile = \"lpg-tank\"\npassword_hash = \"{}\"\n\
             attributes = {{ volume_m3 = 100, design_max_t = 45 }}\n",
            county::SECRET_HASH
        )
    };
    let depot = "\n[[site]]\nid = \"depot\"\nkind = \"lpg_depot\"\nname = { zh = \"储配站\", en = \"depot\" }\n\
                 organisation = \"operator\"\ntown = \"Shangcun\"\nposition = { latitude = 27.6, longitude = 119.8 }\n\
                 attributes = { people_within_500m = 120 }\n";
    let setup = Setup::new(
        &[&county::one_station(), depot, &tank("tank-1"), &tank("tank-2")].concat(),
        "",
    );
    let server = setup.start();
    let figure = http::json(server.web, "/api/v1/figures/gas_hazard");
    let part = &figure["parts"][0]["hazard"];
    assert_eq!(part["s"].as_f64(), Some(1.8), "{figure}");
    assert_eq!(part["r"].as_f64(), Some(5.4), "{figure}");
    assert_eq!(part["level"].as_i64(), Some(4), "{figure}");
    assert_eq!(part["colour"], "grey", "{figure}");
    // when its tanks report, it has a colour.
    for id in ["tank-1", "tank-2"] {
        let mut client = Client::connect(server.mqtt, id, "secret").unwrap();
        let payload = br#"{"values":{"level":60,"pressure":0.6,"temperature":20}}"#;
        client
            .publish_acked(&format!("tw/v1/{id}/telemetry"), payload)
            .unwrap();
    }
    wait::until("the depot has a colour", wait::SOON, || {
        let figure = http::json(server.web, "/api/v1/figures/gas_hazard");
        let colour = figure["parts"][0]["hazard"]["colour"]
            .as_str()
            .unwrap_or("none")
            .to_owned();
        if ["red", "orange", "yellow", "blue"].contains(&colour.as_str()) {
            Ok(())
        } else {
            Err(figure.to_string())
        }
    });
}
