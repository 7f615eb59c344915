//! `/charts/{device}/{signal}.svg`: one signal over time.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use store::series::SeriesError;
use telemetry::time::Span;
use telemetry::{SeriesId, Timestamp};

use super::shell::Ask;
use crate::api::series::period;
use crate::api::{Shared, device};
use crate::chart::trace::Trace;
use crate::chart::{self, Chart};
use crate::problem::Problem;
use crate::web::App;

/// Samples that are drawn one by one; when there are more, windows stand in for them.
const SAMPLES_MAX: usize = 6000;

/// `GET /charts/{device}/{signal}.svg?[days=|from=&to=]&width=&height=&lang=`.
pub(crate) async fn chart(
    State(app): Shared,
    Path((id, file)): Path<(String, String)>,
    ask: Ask,
) -> Result<Response, Problem> {
    ask.params
        .only(&["lang", "from", "to", "days", "width", "height"])?;
    let missing = || {
        Problem::missing(
            "chart",
            &file,
            "charts are named after a signal of the device, with .svg",
        )
    };
    let name = file.strip_suffix(".svg").ok_or_else(missing)?.to_owned();
    let days = ask.params.number("days", 1..=400, 1)?;
    let (from, to) = period(&app, &ask.params, u64::from(days))?;
    let width = ask.params.number("width", 200..=2000, 720)?;
    let height = ask.params.number("height", 100..=1000, 190)?;
    app.blocking(move |app| {
        let (_, entry) = device(app, &id)?;
        let place = entry.profile.signal_index(&name);
        let found =
            place.and_then(|place| Some((entry.profile.signals.get(place)?, *entry.series.get(place)?)));
        let (signal, series) = found.ok_or_else(|| {
            Problem::missing(
                "signal",
                &name,
                format!("GET /api/v1/devices/{id} lists its signals"),
            )
        })?;
        let every = entry.profile.report_interval;
        let chart = Chart {
            signal,
            trace: trace(app, series, (from, to), width, every)?,
            from,
            to,
            width,
            height,
            lang: ask.lang,
            civil: &app.civil,
        };
        let svg = chart::svg(&chart).map_err(|error| Problem::internal("drawing a chart", &error))?;
        Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response())
    })
    .await
}

/// Single samples where they are few, else windows a px wide that keep every peak.
fn trace(
    app: &App,
    series: SeriesId,
    (from, to): (Timestamp, Timestamp),
    width: u32,
    every: Span,
) -> Result<Trace, Problem> {
    let reader = &app.web.series;
    if !chart::is_dense(from, to, every, width) {
        match reader.range(series, from, to, SAMPLES_MAX) {
            Ok(samples) => return Ok(Trace::of_samples(&samples, every)),
            Err(SeriesError::TooMany { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let window = chart::window(from, to, width);
    Ok(Trace::of_windows(
        &reader.windows(series, from, to, window)?,
        window,
        every,
    ))
}
