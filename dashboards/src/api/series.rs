//! `GET series`: samples of one signal, windows of them, or a curve of as many points as a chart shows.
//!
//! [`question`] decides what was asked and what a window comes to; [`list`] says which series there are.

pub(crate) mod list;
mod question;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::series::query::{Counter, Curve, OnReset, curve, increases, state_durations, time_weighted_means};
use store::series::{Cancel, Grid, SeriesReader, Window};
use telemetry::sample::Sample;
use telemetry::time::Span;
use telemetry::{DeviceEntry, SeriesId, Timestamp};

use self::question::{How, Question, Row, Value};
use super::{Shared, device};
use crate::book::Moment;
use crate::chart::trace::GAP_INTERVALS;
use crate::limits::{POINTS_MAX, STATE_WINDOWS_MAX};
use crate::params::Params;
use crate::problem::Problem;
use crate::web::App;

#[derive(Debug, Serialize)]
struct SeriesView<'a> {
    device: &'a str,
    signal: &'a str,
    unit: &'a str,
    from: Moment,
    to: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Span>,
    #[serde(flatten)]
    found: Found,
}

/// What was found, in one of two forms.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Found {
    Points {
        points: Vec<Row>,
    },
    Curve {
        /// Length of its windows.
        width: Span,
        curve: Vec<CurveRow>,
    },
}

/// `[ms, first, least, greatest, last, quality]`.
type CurveRow = (
    Timestamp,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    &'static str,
);

fn row_of(sample: &Sample) -> Row {
    let value = Value::Number(sample.reading());
    (sample.time, value, sample.quality.name())
}

fn curve_row(window: &Window) -> CurveRow {
    let some = |value: f64| (window.count > 0).then_some(value);
    (
        window.start,
        some(window.first.value),
        some(window.min),
        some(window.max),
        some(window.last.value),
        question::quality_of(window),
    )
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

/// `GET /api/v1/series?device=&signal=&from=&to=[&every=&agg=[&hold=][&modulus=]|&max_points=]`.
pub(crate) async fn series(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&[
        "device",
        "signal",
        "from",
        "to",
        "every",
        "agg",
        "hold",
        "modulus",
        "max_points",
    ])?;
    let id = params.required("device")?.to_owned();
    let name = params.required("signal")?.to_owned();
    let (from, to) = period(&app, &params, 1)?;
    let question = Question::read(&params)?;
    let grid = question.grid(&app.civil, from, to)?;
    app.asking(move |app, cancel| {
        let (_, entry) = device(app, &id)?;
        let (signal, series) = signal_of(entry, &name)?;
        let hold = question.hold(Span::from_millis(
            entry
                .profile
                .report_interval
                .millis()
                .saturating_mul(GAP_INTERVALS),
        ));
        let asked = Asked {
            reader: app.web.series.as_ref(),
            series,
            hold: hold.unwrap_or(Span::ZERO),
            cancel,
        };
        let found = match (&question, &grid) {
            (Question::Windows { how, .. }, Some(grid)) => Found::Points {
                points: asked.windows(*how, grid)?,
            },
            (Question::Curve { points_max }, _) => asked.curve(from, to, *points_max)?,
            (Question::Samples | Question::Windows { .. }, _) => asked.samples(from, to)?,
        };
        let view = SeriesView {
            device: entry.device.id.as_str(),
            signal: signal.name.as_str(),
            unit: &signal.unit,
            from: from.into(),
            to: to.into(),
            every: question.every(),
            agg: question.agg(),
            hold,
            found,
        };
        Ok(Json(view).into_response())
    })
    .await
}

/// A signal of a device, with its series.
pub(crate) fn signal_of<'a>(
    entry: &'a DeviceEntry,
    name: &str,
) -> Result<(&'a telemetry::profile::Signal, SeriesId), Problem> {
    let place = entry.profile.signal_index(name);
    let found = place.and_then(|place| Some((entry.profile.signals.get(place)?, *entry.series.get(place)?)));
    found.ok_or_else(|| {
        let id = &entry.device.id;
        Problem::missing(
            "signal",
            name,
            format!("GET /api/v1/devices/{id} lists its signals"),
        )
    })
}

/// One question to the store.
struct Asked<'a> {
    reader: &'a dyn SeriesReader,
    series: SeriesId,
    /// For how long a value holds.
    hold: Span,
    cancel: &'a Cancel,
}

impl Asked<'_> {
    fn samples(&self, from: Timestamp, to: Timestamp) -> Result<Found, Problem> {
        let found = self
            .reader
            .range_many(&[self.series], from, to, POINTS_MAX, self.cancel)?;
        Ok(Found::Points {
            points: found.iter().flatten().map(row_of).collect(),
        })
    }

    /// At most `points_max` numbers: so many samples, or windows of four values each.
    fn curve(&self, from: Timestamp, to: Timestamp, points_max: usize) -> Result<Found, Problem> {
        let pixels = (points_max / 4).max(1);
        Ok(
            match curve(self.reader, self.series, from, to, pixels, self.cancel)? {
                Curve::Samples(samples) => Found::Points {
                    points: samples.iter().map(row_of).collect(),
                },
                Curve::Windows { windows, width } => Found::Curve {
                    width,
                    curve: windows.iter().map(curve_row).collect(),
                },
            },
        )
    }

    fn windows(&self, how: How, grid: &Grid) -> Result<Vec<Row>, Problem> {
        let Self {
            reader,
            series,
            hold,
            cancel,
        } = *self;
        Ok(match how {
            How::Window(how) => {
                let windows = reader.windows_in(series, grid, cancel)?;
                windows
                    .iter()
                    .map(|window| question::window_row(window, how))
                    .collect()
            }
            How::MeanTimeWeighted => {
                let means = time_weighted_means(reader, series, grid, hold, cancel)?;
                means.iter().filter_map(question::mean_row).collect()
            }
            How::Increase { modulus } => {
                let counter = Counter {
                    modulus,
                    rollover_band: ROLLOVER_BAND,
                    on_reset: OnReset::FromZero,
                    rate_max_per_h: None,
                    slack: 0.0,
                    gap_max: hold,
                };
                let grown = increases(reader, series, grid, counter, cancel)?;
                grown.iter().filter_map(question::increase_row).collect()
            }
            How::StateDuration => {
                if grid.len() > STATE_WINDOWS_MAX {
                    return Err(Problem::too_much(
                        format!("more than {STATE_WINDOWS_MAX} windows of states between from and to"),
                        "ask for a shorter time, or for longer windows",
                    ));
                }
                let stays = state_durations(reader, series, grid, hold, cancel)?;
                stays.iter().filter_map(question::stay_row).collect()
            }
        })
    }
}

/// How near to both ends of its range the fall of a counter must be to be a roll-over: share of the modulus.
const ROLLOVER_BAND: f64 = 0.1;
