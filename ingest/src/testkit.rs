//! A small county for the tests of this crate.

use std::collections::BTreeMap;
use std::sync::Arc;

use telemetry::profile::Title;
use telemetry::registry::{Device, Position, Registry, Site, SiteKind, Transport};
use telemetry::{Catalogue, Lsn, Origin, Profile, RawMessage, SeriesId, Timestamp};

/// 2026-11-23T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp::from_millis(1_795_435_200_000);

/// Signals of every type, a mapping and a register map.
pub(crate) const PROFILE: &str = r#"
kind = "all-sorts"
version = 1
title = { zh = "各种", en = "all sorts" }
domain = "sewage"
report_interval = "1min"
[[signal]]
name = "level"
title = { zh = "液位", en = "level" }
unit = "m"
range = [0, 4]
[[signal]]
name = "total"
title = { zh = "累计", en = "total" }
unit = "m3"
type = "counter"
[[signal]]
name = "run"
title = { zh = "运行", en = "running" }
unit = "1"
type = "bool"
[[signal]]
name = "mode"
title = { zh = "模式", en = "mode" }
unit = "1"
type = "state"
states = { 0 = { zh = "停", en = "off" }, 1 = { zh = "手动", en = "manual" }, 5 = { zh = "自动", en = "auto" } }
[mqtt]
"#;

pub(crate) fn profile(text: &str) -> Arc<Profile> {
    Arc::new(Profile::parse("test.toml", text).unwrap())
}

pub(crate) fn device(id: &str, profile: &str) -> Device {
    Device {
        id: id.parse().unwrap(),
        site: "s".parse().unwrap(),
        profile: profile.into(),
        name: None,
        position: None,
        transport: Transport::Mqtt,
        gateway: None,
        password_hash: None,
        attributes: BTreeMap::new(),
    }
}

/// A catalogue of these devices and profiles on one site.
pub(crate) fn catalogue_of(devices: Vec<Device>, profiles: &[Arc<Profile>]) -> Catalogue {
    let title = Title {
        zh: "站".into(),
        en: "station".into(),
    };
    let site = Site {
        id: "s".parse().unwrap(),
        kind: SiteKind::SewageStation,
        name: title,
        organisation: "o".into(),
        town: "t".into(),
        position: Position {
            latitude: 27.5,
            longitude: 119.7,
        },
        attributes: BTreeMap::new(),
    };
    let registry = Registry {
        sites: vec![site],
        devices,
        ..Registry::default()
    };
    let profiles = profiles
        .iter()
        .map(|profile| (profile.kind.clone(), Arc::clone(profile)));
    let mut next = 0;
    let number = |_: &_, _: &_| {
        next += 1;
        SeriesId(next)
    };
    Catalogue::build(registry, &profiles.collect(), number).unwrap()
}

/// `d1`, and `d2` for which the gateway `g` may speak; all of them of [`PROFILE`].
pub(crate) fn catalogue() -> Catalogue {
    let mut behind = device("d2", "all-sorts");
    behind.gateway = Some("g".parse().unwrap());
    let devices = vec![device("d1", "all-sorts"), behind, device("g", "all-sorts")];
    catalogue_of(devices, &[profile(PROFILE)])
}

pub(crate) fn publish(
    lsn: u64,
    arrived: Timestamp,
    sender: &str,
    topic: &str,
    payload: &[u8],
) -> (Lsn, RawMessage) {
    let message = RawMessage {
        arrived,
        origin: Origin::Mqtt,
        sender: sender.parse().unwrap(),
        topic: topic.into(),
        payload: payload.to_vec().into(),
    };
    (Lsn(lsn), message)
}
