//! `/charts/{device}/{signal}.svg`: one signal over time.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use store::series::Cancel;
use store::series::query::{Curve, curve};
use telemetry::time::Span;
use telemetry::{SeriesId, Timestamp};

use super::shell::Ask;
use crate::api::series::{period, signal_of};
use crate::api::{Shared, device};
use crate::chart::trace::Trace;
use crate::chart::{self, Chart};
use crate::problem::Problem;
use crate::web::App;

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
    app.asking(move |app, cancel| {
        let (_, entry) = device(app, &id)?;
        let (signal, series) = signal_of(entry, &name)?;
        let every = entry.profile.report_interval;
        let chart = Chart {
            signal,
            trace: trace(app, series, (from, to), width, every, cancel)?,
            from,
            to,
            width,
            height,
            lang: ask.lang,
            civil: &app.civil,
            bounds: Vec::new(),
        };
        let svg = chart::svg(&chart).map_err(|error| Problem::internal("drawing a chart", &error))?;
        Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response())
    })
    .await
}

/// Single samples where they are few, else windows of about a px that keep every peak.
fn trace(
    app: &App,
    series: SeriesId,
    (from, to): (Timestamp, Timestamp),
    width: u32,
    every: Span,
    cancel: &Cancel,
) -> Result<Trace, Problem> {
    let pixels = usize::try_from(width).unwrap_or(1);
    let found = curve(app.web.series.as_ref(), series, from, to, pixels, cancel)?;
    Ok(match found {
        Curve::Samples(samples) => Trace::of_samples(&samples, every),
        Curve::Windows { windows, width } => Trace::of_windows(&windows, from, width, every),
    })
}
