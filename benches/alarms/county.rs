//! Devices of ten signals with three threshold rules each, behind gateways: as many series as are asked for.

use std::fmt::Write;

use crate::support::county::{HEAD, mqtt_device};
use crate::support::program::Setup;

/// Signals of a device.
pub(crate) const SIGNALS: usize = 10;
/// Devices behind a gateway.
pub(crate) const DEVICES_PER_GATEWAY: usize = 100;

/// Highest, high and low, as for vmalert; and a silence that nobody meets here.
fn profile() -> String {
    let mut text = String::from(
        "kind = \"bench\"\nversion = 1\ntitle = { zh = \"测\", en = \"bench\" }\ndomain = \"gas\"\n\
         report_interval = \"10s\"\nlife_safety = true\n",
    );
    for signal in 0..SIGNALS {
        let title = format!("title = {{ zh = \"信号{signal}\", en = \"signal {signal}\" }}");
        write!(
            text,
            "[[signal]]\nname = \"s{signal}\"\n{title}\nunit = \"%\"\nrange = [0, 100]\n"
        )
        .unwrap();
    }
    for signal in 0..SIGNALS {
        for (id, kind, limit) in [("HH", "high", 90), ("H", "high", 80), ("L", "low", 5)] {
            write!(
                text,
                "[[rule]]\nid = \"{id}-{signal}\"\ntitle = {{ zh = \"限{signal}\", en = \"limit {signal}\" }}\n\
                 signal = \"s{signal}\"\nkind = \"{kind}\"\nlimit = {limit}\ndeadband = 1\npriority = \"critical\"\n"
            )
            .unwrap();
        }
    }
    text
}

/// The name of a device.
pub(crate) fn device(place: usize) -> String {
    format!("d{place}")
}

/// The gateway that speaks for a device.
pub(crate) fn gateway(place: usize) -> String {
    format!("g{}", place / DEVICES_PER_GATEWAY)
}

/// A folder for `serve` with so many series, and further lines of configuration.
pub(crate) fn setup(series: usize, more: &str) -> Setup {
    let devices = series.div_ceil(SIGNALS);
    let mut registry = HEAD.to_owned();
    for place in 0..devices.div_ceil(DEVICES_PER_GATEWAY) {
        registry += &mqtt_device(&format!("g{place}"), "sewage-station-small");
    }
    for place in 0..devices {
        let gateway = gateway(place);
        write!(
            registry,
            "[[device]]\nid = \"{}\"\nsite = \"site-1\"\nprofile = \"bench\"\ngateway = \"{gateway}\"\n",
            device(place)
        )
        .unwrap();
    }
    let free = "[mqtt]\nlisten = \"127.0.0.1:0\"\n[mqtt.device]\nmessages_per_s = 0\nkib_per_s = 0\n\
                [mqtt.gateway]\nmessages_per_s = 0\nkib_per_s = 0\n";
    let setup = Setup::new(&registry, &format!("{free}{more}"));
    let folder = setup.path().join("profiles");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("bench.toml"), profile()).unwrap();
    let config = setup.path().join("townwatch.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let named = text.replace("[registry]\n", "[registry]\nprofiles = \"profiles\"\n");
    std::fs::write(&config, named).unwrap();
    setup
}

/// The topic of a device's readings.
pub(crate) fn topic(place: usize) -> String {
    format!("tw/v1/{}/telemetry", device(place))
}

/// A message of a device at `ts`: everything within its limits but the first signal, which reads `first`.
pub(crate) fn message(ts: i64, first: f64) -> String {
    let mut text = format!(r#"{{"ts":{ts},"values":{{"s0":{first}"#);
    for signal in 1..SIGNALS {
        write!(text, r#","s{signal}":{}.5"#, 40 + (ts / 1000 + 3) % 17).unwrap();
    }
    text.push_str("}}");
    text
}
