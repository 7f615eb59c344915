//! Questions to the API that many tests ask.

use std::net::SocketAddr;

use serde_json::Value;

use super::{http, wait};

/// The newest value of a signal, once it is there.
pub(crate) fn latest_value(web: SocketAddr, device: &str, signal: &str) -> f64 {
    wait::until(&format!("{device}/{signal} has a value"), wait::SOON, || {
        let answer = http::get(web, &format!("/api/v1/devices/{device}/latest"))?;
        find_signal(&answer.json(), signal)
            .and_then(|found| found.get("value").and_then(Value::as_f64))
            .ok_or_else(|| answer.body.clone())
    })
}

/// The entry of a signal in the answer of `latest`.
pub(crate) fn find_signal(latest: &Value, signal: &str) -> Option<Value> {
    latest.get("values")?.get(signal).cloned()
}

/// All points of a signal between two times in ms: `[ms, value, quality]`; a value that is none is NaN.
pub(crate) fn points(
    web: SocketAddr,
    device: &str,
    signal: &str,
    from: i64,
    to: i64,
) -> Vec<(i64, f64, String)> {
    let path = format!("/api/v1/series?device={device}&signal={signal}&from={from}&to={to}");
    let answer = http::json(web, &path);
    let points = answer["points"]
        .as_array()
        .unwrap_or_else(|| panic!("no points in {answer}"));
    points
        .iter()
        .map(|point| {
            (
                point[0].as_i64().unwrap(),
                point[1].as_f64().unwrap_or(f64::NAN),
                point[2].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

/// As [`points`], asked for in pieces of time: an answer has a bound, and the load clients count in milliseconds.
pub(crate) fn all_points(
    web: SocketAddr,
    device: &str,
    signal: &str,
    from: i64,
    to: i64,
) -> Vec<(i64, f64, String)> {
    const PIECE_MS: i64 = 20_000;
    let pieces = (from..to).step_by(usize::try_from(PIECE_MS).unwrap());
    pieces
        .flat_map(|start| points(web, device, signal, start, to.min(start + PIECE_MS)))
        .collect()
}

/// The ledger of a device.
pub(crate) fn ledger(web: SocketAddr, device: &str) -> Value {
    http::json(web, &format!("/api/v1/devices/{device}/ledger"))
}

/// The alarms of a device whose rule is `rule`, as the API lists them (open ones only, or all).
pub(crate) fn alarms(web: SocketAddr, open: bool, device: &str, rule: &str) -> Vec<Value> {
    let answer = http::json(
        web,
        if open {
            "/api/v1/alarms?open=true"
        } else {
            "/api/v1/alarms"
        },
    );
    let rule = format!("{device}/{rule}");
    answer
        .as_array()
        .unwrap()
        .iter()
        .filter(|alarm| alarm["rule"] == rule)
        .cloned()
        .collect()
}

/// Now, in ms.
pub(crate) fn now() -> i64 {
    use telemetry::time::Clock;
    telemetry::time::SystemClock::new().now().millis()
}

/// A line of `/metrics`, without its prefix.
pub(crate) fn metric(web: SocketAddr, name: &str) -> f64 {
    let page = http::get(web, "/metrics").unwrap().body;
    let prefix = format!("townwatch_{name} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("no {name} in {page}"))
        .parse()
        .unwrap()
}
