//! A catalogue of one station for the tests of this module.

use std::sync::Arc;

use telemetry::profile::builtin;
use telemetry::{Catalogue, SeriesId};

const REGISTRY: &str = r#"
[county]
name = { zh = "测试县", en = "Test county" }
position = { latitude = 27.56, longitude = 119.72 }

[[organisation]]
id = "operator"
name = { zh = "运维公司", en = "O&M contractor" }

[[site]]
id = "site-1"
kind = "sewage_station"
name = { zh = "上村站", en = "Shangcun station" }
organisation = "operator"
town = "Shangcun"
position = { latitude = 27.56, longitude = 119.72 }

[[device]]
id = "station-1"
site = "site-1"
profile = "sewage-station-small"
"#;

/// One sewage station, `station-1` at `site-1`.
pub(super) fn catalogue() -> Arc<Catalogue> {
    let registry = toml::from_str(REGISTRY).unwrap();
    let mut next = 0;
    let catalogue = Catalogue::build(registry, &builtin().unwrap(), |_, _| {
        next += 1;
        SeriesId(next)
    });
    Arc::new(catalogue.unwrap())
}

/// The series of a signal of the station.
pub(super) fn station_series(catalogue: &Catalogue, signal: &str) -> SeriesId {
    catalogue.series_id("station-1", signal).unwrap()
}
