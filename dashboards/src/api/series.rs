//! `GET series`: samples of one signal, or windows of them.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::series::Window;
use telemetry::quality::{Bad, Quality};
use telemetry::sample::Sample;
use telemetry::time::Span;
use telemetry::{SeriesId, Timestamp};

use super::{Shared, device};
use crate::book::Moment;
use crate::limits::POINTS_MAX;
use crate::params::Params;
use crate::problem::Problem;
use crate::web::App;

/// How a window becomes one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Min,
    Max,
    Mean,
    Sum,
    Count,
    First,
    Last,
}

const AGGREGATES: [(&str, Aggregate); 7] = [
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("mean", Aggregate::Mean),
    ("sum", Aggregate::Sum),
    ("count", Aggregate::Count),
    ("first", Aggregate::First),
    ("last", Aggregate::Last),
];

/// `[ms, value, quality]`.
type Row = (Timestamp, Option<f64>, &'static str);

#[derive(Debug, Serialize)]
struct SeriesView<'a> {
    device: &'a str,
    signal: &'a str,
    unit: &'a str,
    from: Moment,
    to: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agg: Option<&'static str>,
    points: Vec<Row>,
}

/// The value of a sample; none where there never was one, so that nobody takes the stored 0 for a reading.
pub(crate) fn value_of(sample: &Sample) -> Option<f64> {
    match sample.quality {
        Quality::Bad(Bad::WrongType | Bad::NotFinite | Bad::Exception | Bad::NoAnswer) => None,
        Quality::Good | Quality::Uncertain(_) | Quality::Bad(_) => Some(sample.value),
    }
}

fn row_of(sample: &Sample) -> Row {
    (sample.time, value_of(sample), sample.quality.name())
}

/// A window's time is its first instant. `uncertain`: bad samples were left out; `bad`: there are no others.
fn window_row(window: &Window, how: Aggregate) -> Row {
    let quality = match window {
        Window { count: 0, .. } => "bad",
        Window { bad: 0, .. } => "good",
        _ => "uncertain",
    };
    let some = |value: f64| (window.count > 0).then_some(value);
    let value = match how {
        Aggregate::Min => some(window.min),
        Aggregate::Max => some(window.max),
        Aggregate::Mean => window.mean(),
        Aggregate::Sum => some(window.sum),
        Aggregate::Count => Some(window.count as f64),
        Aggregate::First => some(window.first.value),
        Aggregate::Last => some(window.last.value),
    };
    (window.start, value, quality)
}

/// `from` and `to` of a request; the last day where they are left out.
pub(crate) fn period(app: &App, params: &Params, days: u64) -> Result<(Timestamp, Timestamp), Problem> {
    let to = params.parse("to")?.unwrap_or_else(|| app.web.clock.now());
    let default = to.minus(Span::from_secs(days * 86_400));
    let from = params.parse("from")?.unwrap_or(default);
    if from >= to {
        return Err(Problem::bad_parameter(
            "from",
            format!("from ({from}) is not before to ({to})"),
            "give a from that is earlier than to",
        ));
    }
    Ok((from, to))
}

fn aggregate(params: &Params) -> Result<Option<(Span, &'static str, Aggregate)>, Problem> {
    let every: Option<Span> = params.parse("every")?;
    let name = params.text("agg");
    let Some(every) = every else {
        return match name {
            None => Ok(None),
            Some(_) => Err(Problem::bad_parameter(
                "every",
                "agg needs every",
                "add every=, e.g. every=1h",
            )),
        };
    };
    if every == Span::ZERO {
        return Err(Problem::bad_parameter(
            "every",
            "every is 0",
            "give a span of at least 1ms",
        ));
    }
    let name = name.unwrap_or("mean");
    let known = AGGREGATES.into_iter().find(|(known, _)| *known == name);
    known.map(|(name, how)| Some((every, name, how))).ok_or_else(|| {
        Problem::bad_parameter(
            "agg",
            format!(
                "there is no aggregate {:?}",
                name.chars().take(40).collect::<String>()
            ),
            "use min, max, mean, sum, count, first or last",
        )
    })
}

/// `GET /api/v1/series?device=&signal=&from=&to=[&every=&agg=]`.
pub(crate) async fn series(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&["device", "signal", "from", "to", "every", "agg"])?;
    let id = params.required("device")?.to_owned();
    let name = params.required("signal")?.to_owned();
    let (from, to) = period(&app, &params, 1)?;
    let windows = aggregate(&params)?;
    if let Some((every, ..)) = windows
        && u64::try_from(to.millis_since(from)).unwrap_or(u64::MAX) / every.millis() > POINTS_MAX as u64
    {
        return Err(Problem::too_much(
            format!("more than {POINTS_MAX} windows between from and to"),
            "ask for a shorter time, or for longer windows",
        ));
    }
    app.blocking(move |app| {
        let (_, entry) = device(app, &id)?;
        let place = entry.profile.signal_index(&name);
        let found =
            place.and_then(|place| Some((entry.profile.signals.get(place)?, *entry.series.get(place)?)));
        let Some((signal, series)) = found else {
            return Err(Problem::missing(
                "signal",
                &name,
                format!("GET /api/v1/devices/{id} lists its signals"),
            ));
        };
        let view = SeriesView {
            device: entry.device.id.as_str(),
            signal: signal.name.as_str(),
            unit: &signal.unit,
            from: from.into(),
            to: to.into(),
            every: windows.map(|(every, ..)| every),
            agg: windows.map(|(_, name, _)| name),
            points: points(app, series, from, to, windows.map(|(every, _, how)| (every, how)))?,
        };
        Ok(Json(view).into_response())
    })
    .await
}

fn points(
    app: &App,
    series: SeriesId,
    from: Timestamp,
    to: Timestamp,
    windows: Option<(Span, Aggregate)>,
) -> Result<Vec<Row>, Problem> {
    let reader = &app.web.series;
    Ok(match windows {
        None => reader
            .range(series, from, to, POINTS_MAX)?
            .iter()
            .map(row_of)
            .collect(),
        Some((every, how)) => {
            let windows = reader.windows(series, from, to, every)?;
            windows.iter().map(|window| window_row(window, how)).collect()
        }
    })
}
