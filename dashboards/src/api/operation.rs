//! `/healthz`, `/readyz` and `/metrics`: for those who keep the program running.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use telemetry::Timestamp;

use super::Shared;

/// `GET /healthz`: the process answers.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 200 when everything works and the board has been decided, else 503 with the reason.
pub(crate) async fn ready(State(app): Shared) -> Response {
    let undecided = app.board.read().at == Timestamp::EPOCH;
    let why = (app.web.readiness)().or_else(|| undecided.then(|| "the board is not decided yet".to_owned()));
    match why {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

/// `GET /metrics`. Source: Prometheus text format 0.0.4.
pub(crate) async fn metrics(State(app): Shared) -> Response {
    let passed = app.web.live.passed();
    let counts = app.board.read().counts();
    let mut out = String::new();
    let mut line = |name: &str, kind: &str, help: &str, rows: &[(String, u64)]| {
        // Writing to a String cannot fail.
        let _written = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in rows {
            let _written = writeln!(out, "{name}{labels} {value}");
        }
    };
    let one = |value: u64| [(String::new(), value)];
    line(
        "townwatch_live_messages_total",
        "counter",
        "Messages and polls seen by the live feed.",
        &one(passed.messages),
    );
    line(
        "townwatch_live_points_total",
        "counter",
        "Points seen by the live feed.",
        &one(passed.points),
    );
    line(
        "townwatch_open_alarms",
        "gauge",
        "Open alarms.",
        &one(counts.open_alarms.into()),
    );
    line(
        "townwatch_unacknowledged_alarms",
        "gauge",
        "Open alarms that nobody acknowledged.",
        &one(counts.unacknowledged.into()),
    );
    let sites: Vec<(String, u64)> = counts
        .sites
        .iter()
        .map(|(state, count)| (format!("{{state=\"{state}\"}}"), u64::from(*count)))
        .collect();
    line("townwatch_sites", "gauge", "Sites by state.", &sites);
    let streams = crate::limits::STREAMS_MAX.saturating_sub(app.streams.available_permits());
    line(
        "townwatch_live_streams",
        "gauge",
        "Open live streams.",
        &one(u64::try_from(streams).unwrap_or(0)),
    );
    out.push_str(&(app.web.metrics)());
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        out,
    )
        .into_response()
}
