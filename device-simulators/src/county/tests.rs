use std::collections::BTreeMap;
use std::net::SocketAddr;

use argon2::{Argon2, PasswordVerifier};
use telemetry::registry::{ModbusLine, Registry, SiteKind, Transport};
use telemetry::{Catalogue, SeriesId};

use super::*;

/// 2026-11-23 in China.
const TODAY: Timestamp = Timestamp::from_millis(1_795_435_200_000);

fn addresses(county: &County) -> BoundAddresses {
    let port = |n: usize| {
        let port = 20_000 + u16::try_from(n).unwrap();
        ModbusLine::Tcp(SocketAddr::from(([127, 0, 0, 1], port)))
    };
    BoundAddresses((0..county.gateways).map(port).collect())
}

fn registry(size: CountySize, seed: u64) -> Registry {
    let county = County::generate(size, seed);
    county.registry(&addresses(&county), TODAY).unwrap()
}

fn by_profile(registry: &Registry) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for device in &registry.devices {
        *counts.entry(device.profile.as_ref()).or_default() += 1;
    }
    counts
}

#[test]
fn the_same_seed_gives_the_same_registry_to_the_byte() {
    let bytes = |seed| serde_json::to_vec(&registry(CountySize::Small, seed)).unwrap();
    assert_eq!(bytes(4), bytes(4));
    assert_ne!(bytes(4), bytes(5));
}

#[test]
fn the_small_county_is_that_of_the_issue() {
    // Given the small county (issue 3, point 2),
    let registry = registry(CountySize::Small, 1);
    // then it has 24 stations, 4 depots of 2 to 4 tanks, 80 covers, 400 lamps and 6 controllers,
    let counts = by_profile(&registry);
    assert_eq!(counts["sewage-station"] + counts["sewage-station-small"], 24);
    assert_eq!(counts["sewage-station"], 8);
    assert_eq!((counts["lpg-depot-valves"], counts["gas-detector-panel"]), (4, 4));
    assert_eq!(
        (
            counts["manhole-cover"],
            counts["street-lamp"],
            counts["loop-controller"]
        ),
        (80, 400, 6)
    );
    for depot in 1..=4 {
        let tanks = (registry.devices.iter())
            .filter(|device| device.id.as_str().starts_with(&format!("depot-{depot}-tank")))
            .count();
        assert!((2..=4).contains(&tanks), "{tanks}");
    }
    // and the stations of at least 30 t/d, and only they, are polled.
    for device in registry
        .devices
        .iter()
        .filter(|device| device.profile.starts_with("sewage"))
    {
        let site = registry.sites.iter().find(|site| site.id == device.site).unwrap();
        let large = site.number("design_capacity_tpd").unwrap() >= 30.0;
        assert_eq!(
            matches!(device.transport, Transport::Modbus { .. }),
            large,
            "{}",
            device.id
        );
    }
}

#[test]
fn the_model_county_is_that_of_the_domain_table() {
    let registry = registry(CountySize::Model, 1);
    let counts = by_profile(&registry);
    for (profile, amount) in [
        ("sewage-station", 120),
        ("sewage-station-small", 480),
        ("lpg-depot-valves", 5),
        ("lpg-delivery-point", 40),
        ("street-lamp", 20_000),
        ("loop-controller", 250),
        ("manhole-cover", 3000),
        ("waste-bin", 500),
        ("dust-station", 30),
        ("bridge-edge", 5),
    ] {
        assert_eq!(counts[profile], amount, "{profile}");
    }
}

#[test]
fn the_catalogue_takes_both_counties() {
    let profiles = telemetry::profile::builtin().unwrap();
    for size in [CountySize::Small, CountySize::Model] {
        let mut next = 0;
        let number = |_: &_, _: &_| {
            next += 1;
            SeriesId(next)
        };
        Catalogue::build(registry(size, 2), &profiles, number).unwrap();
    }
}

#[test]
fn whoever_speaks_over_mqtt_can_log_in_with_its_password_and_lies_in_the_county() {
    let county = County::generate(CountySize::Small, 3);
    let registry = county.registry(&addresses(&county), TODAY).unwrap();
    for device in &registry.devices {
        let password = county.password(&device.id);
        assert_eq!(
            password.is_some(),
            device.password_hash.is_some(),
            "{}",
            device.id
        );
        assert!(
            password.is_some() || device.gateway.is_some(),
            "{} cannot speak",
            device.id
        );
        if let (Some(password), Some(hash)) = (password, &device.password_hash) {
            assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
            Argon2::default()
                .verify_password(password.as_bytes(), hash.as_ref())
                .unwrap();
        }
    }
    for site in &registry.sites {
        let (north, east) = (site.position.latitude - 27.56, site.position.longitude - 119.72);
        assert!(
            north.abs() * 110.8 < 20.0 && east.abs() * 98.7 < 20.0,
            "{}",
            site.id
        );
    }
}

#[test]
fn some_stations_passed_some_failed_one_is_expired_one_missing_and_one_exempted() {
    // Given the large stations of the small county,
    let registry = registry(CountySize::Small, 1);
    let large: Vec<_> = (registry.sites.iter())
        .filter(|site| {
            site.number("design_capacity_tpd")
                .is_some_and(|capacity| capacity >= 30.0)
        })
        .collect();
    // when their evaluations are looked up,
    let of = |site: &Site| {
        registry
            .evaluations
            .iter()
            .find(|evaluation| evaluation.site == site.id)
    };
    let scoped: Vec<&Site> = large
        .iter()
        .copied()
        .filter(|site| site.flag("exempted") != Some(true))
        .collect();
    let valid: Vec<_> = (scoped.iter().filter_map(|site| of(site)))
        .filter(|e| e.at <= TODAY && TODAY < e.valid_until)
        .collect();
    // then four passed, one failed, one is expired, one missing, and one is exempted.
    assert_eq!((large.len(), scoped.len(), valid.len()), (8, 7, 5));
    assert_eq!(
        valid.iter().filter(|evaluation| evaluation.score >= 80.0).count(),
        4
    );
    assert_eq!(scoped.iter().filter(|site| of(site).is_none()).count(), 1);
    let unvisited = |site: &&Site| site.flag("no_outflow_registered") == Some(true);
    assert_eq!(registry.sites.iter().filter(unvisited).count(), 1);
}

#[test]
fn one_depot_is_a_major_hazard_of_level_3_and_one_is_none() {
    // GB 18218: S = Σq/50, R = α · 1.5 · S; 4 × 45 t and 120 people: S = 3.6, R = 10.8.
    let registry = registry(CountySize::Small, 1);
    let stock = |depot: &str| -> f64 {
        (registry.devices.iter())
            .filter(|device| device.site.as_str() == depot && &*device.profile == "lpg-tank")
            .map(|device| match device.attributes.get("design_max_t") {
                Some(telemetry::registry::Attribute::Number(t)) => *t,
                other => panic!("{other:?}"),
            })
            .sum()
    };
    assert!((stock("depot-1") - 180.0).abs() < 1e-9);
    assert!((stock("depot-2") - 45.0).abs() < 1e-9);
    let depots = registry
        .sites
        .iter()
        .filter(|site| site.kind == SiteKind::LpgDepot);
    let people: Vec<f64> = depots
        .map(|site| site.number("people_within_500m").unwrap())
        .collect();
    assert_eq!(people, [120.0, 35.0, 64.0, 8.0]);
}
