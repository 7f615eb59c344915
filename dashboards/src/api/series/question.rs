//! What `GET series` was asked for, and what one window comes to. Pure.

use std::collections::BTreeMap;

use serde::Serialize;
use store::series::query::{Increase, Stay, TimeWeighted};
use store::series::{CivilUnit, Grid, Window};
use telemetry::Timestamp;
use telemetry::time::Span;

use crate::civil::Civil;
use crate::limits::POINTS_MAX;
use crate::params::Params;
use crate::problem::Problem;

/// How a window becomes one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Min,
    Max,
    Mean,
    Sum,
    Count,
    First,
    Last,
}

/// What is computed of each window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum How {
    /// From its samples alone.
    Window(Aggregate),
    /// The mean over time: each value counts for as long as it holds.
    MeanTimeWeighted,
    /// By how much a counter grew; with where it starts again at 0.
    Increase { modulus: Option<f64> },
    /// How long each state held.
    StateDuration,
}

const AGGREGATES: [(&str, How); 10] = [
    ("min", How::Window(Aggregate::Min)),
    ("max", How::Window(Aggregate::Max)),
    ("mean", How::Window(Aggregate::Mean)),
    ("sum", How::Window(Aggregate::Sum)),
    ("count", How::Window(Aggregate::Count)),
    ("first", How::Window(Aggregate::First)),
    ("last", How::Window(Aggregate::Last)),
    ("mean_time_weighted", How::MeanTimeWeighted),
    ("increase", How::Increase { modulus: None }),
    ("state_duration", How::StateDuration),
];

/// Windows of the county's calendar, by the words of `every`.
const UNITS: [(&str, CivilUnit); 3] = [
    ("1d", CivilUnit::Day),
    ("1mo", CivilUnit::Month),
    ("night", CivilUnit::LightingNight),
];

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Every {
    /// So long, the first from `from` on.
    Span(Span),
    /// A unit of the calendar, and its word.
    Civil(&'static str, CivilUnit),
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Question {
    /// Every sample.
    Samples,
    /// No more points than this, and every peak.
    Curve { points_max: usize },
    /// Windows.
    Windows {
        every: Every,
        name: &'static str,
        how: How,
        /// For how long a value holds; none: three report intervals.
        hold: Option<Span>,
    },
}

/// The value of a row.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    /// Null where there is none.
    Number(Option<f64>),
    /// State and how long it held, ms.
    Stays(BTreeMap<String, i64>),
}

/// `[ms, value, quality]`.
pub(super) type Row = (Timestamp, Value, &'static str);

impl Question {
    /// # Errors
    /// [`Problem`] for what cannot be read or does not go together.
    pub(super) fn read(params: &Params) -> Result<Self, Problem> {
        let points_max: Option<usize> = params.parse("max_points")?;
        let Some(every) = every(params)? else {
            for name in ["agg", "hold", "modulus"] {
                if params.text(name).is_some() {
                    let what = format!("{name} needs every");
                    return Err(Problem::bad_parameter("every", what, "add every=, e.g. every=1h"));
                }
            }
            return match points_max {
                None => Ok(Self::Samples),
                Some(points_max) if (4..=POINTS_MAX).contains(&points_max) => Ok(Self::Curve { points_max }),
                Some(other) => Err(Problem::bad_parameter(
                    "max_points",
                    format!("max_points is {other}, outside 4 to {POINTS_MAX}"),
                    format!("give a number from 4 to {POINTS_MAX}"),
                )),
            };
        };
        if points_max.is_some() {
            return Err(Problem::bad_parameter(
                "max_points",
                "max_points and every do not go together",
                "leave one of them out: every= says how long a window is, max_points= lets the server choose",
            ));
        }
        let (name, how) = aggregate(params)?;
        let hold = params.parse("hold")?;
        if hold == Some(Span::ZERO) {
            let remedy = "give a span of at least 1ms, or leave it out";
            return Err(Problem::bad_parameter("hold", "hold is 0", remedy));
        }
        if hold.is_some() && matches!(how, How::Window(_)) {
            return Err(Problem::bad_parameter(
                "hold",
                format!("{name} looks at samples alone, nothing holds"),
                "leave hold out, or use mean_time_weighted, increase or state_duration",
            ));
        }
        Ok(Self::Windows {
            every,
            name,
            how,
            hold,
        })
    }

    /// The windows, no more than one answer holds.
    ///
    /// # Errors
    /// [`Problem`] when there are more.
    pub(super) fn grid(
        &self,
        civil: &Civil,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Grid>, Problem> {
        let Self::Windows { every, .. } = self else {
            return Ok(None);
        };
        let grid = match every {
            Every::Span(every) => Grid::every(from, to, *every),
            Every::Civil(_, unit) => civil.grid(*unit, from, to)?,
        };
        if grid.len() > POINTS_MAX {
            return Err(Problem::too_much(
                format!("more than {POINTS_MAX} windows between from and to"),
                "ask for a shorter time, or for longer windows",
            ));
        }
        Ok(Some(grid))
    }

    /// The length of a window, in the words of the question.
    pub(super) fn every(&self) -> Option<String> {
        match self {
            Self::Windows {
                every: Every::Span(every),
                ..
            } => Some(every.to_string()),
            Self::Windows {
                every: Every::Civil(word, _),
                ..
            } => Some((*word).to_owned()),
            Self::Samples | Self::Curve { .. } => None,
        }
    }

    /// The name of what is computed.
    pub(super) fn agg(&self) -> Option<&'static str> {
        match self {
            Self::Windows { name, .. } => Some(name),
            Self::Samples | Self::Curve { .. } => None,
        }
    }

    /// For how long a value holds, where that matters.
    pub(super) fn hold(&self, default: Span) -> Option<Span> {
        match self {
            Self::Windows {
                how: How::Window(_), ..
            }
            | Self::Samples
            | Self::Curve { .. } => None,
            Self::Windows { hold, .. } => Some(hold.unwrap_or(default)),
        }
    }
}

fn every(params: &Params) -> Result<Option<Every>, Problem> {
    let text = params.text("every");
    if let Some((word, unit)) = UNITS.into_iter().find(|(word, _)| text == Some(word)) {
        return Ok(Some(Every::Civil(word, unit)));
    }
    let every: Option<Span> = params.parse("every").map_err(|_| {
        Problem::bad_parameter(
            "every",
            "every is no length of a window",
            "give a span, e.g. 15min or 24h, or a unit of the county's calendar: 1d, 1mo or night",
        )
    })?;
    if every == Some(Span::ZERO) {
        let remedy = "give a span of at least 1ms";
        return Err(Problem::bad_parameter("every", "every is 0", remedy));
    }
    Ok(every.map(Every::Span))
}

fn aggregate(params: &Params) -> Result<(&'static str, How), Problem> {
    let name = params.text("agg").unwrap_or("mean");
    let modulus: Option<f64> = params.parse("modulus")?;
    match AGGREGATES.into_iter().find(|(known, _)| *known == name) {
        Some((name, How::Increase { .. })) => match modulus {
            Some(modulus) if !(modulus.is_finite() && modulus > 0.0) => Err(Problem::bad_parameter(
                "modulus",
                "modulus is not above 0",
                "give the number at which the counter starts again at 0",
            )),
            modulus => Ok((name, How::Increase { modulus })),
        },
        Some(_) if modulus.is_some() => Err(Problem::bad_parameter(
            "modulus",
            format!("{name} knows no modulus"),
            "leave modulus out, or use agg=increase",
        )),
        Some(known) => Ok(known),
        None => {
            let name: String = name.chars().take(40).collect();
            let known = AGGREGATES.map(|(name, _)| name).join(", ");
            Err(Problem::bad_parameter(
                "agg",
                format!("there is no aggregate {name:?}"),
                format!("use one of {known}"),
            ))
        }
    }
}

/// `uncertain`: bad samples were left out; `bad`: there are no others.
pub(super) fn quality_of(window: &Window) -> &'static str {
    match window {
        Window { count: 0, .. } => "bad",
        Window { bad: 0, .. } => "good",
        _ => "uncertain",
    }
}

/// A window's time is its first instant.
pub(super) fn window_row(window: &Window, how: Aggregate) -> Row {
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
    (window.start, Value::Number(value), quality_of(window))
}

/// `uncertain`: nothing is known of a part of the window.
fn of_known(unknown_ms: i64) -> &'static str {
    if unknown_ms == 0 { "good" } else { "uncertain" }
}

/// None where nothing is known.
pub(super) fn mean_row(mean: &TimeWeighted) -> Option<Row> {
    let quality = of_known(mean.cell.millis() - mean.known_ms);
    Some((mean.cell.from, Value::Number(Some(mean.mean?)), quality))
}

/// None where no reading is. `uncertain` also where the counter began again, jumped, or counted in a gap so long that
/// nobody knows in which window.
pub(super) fn increase_row(increase: &Increase) -> Option<Row> {
    let odd = increase.resets > 0 || increase.jumps > 0 || increase.undated > 0.0;
    let quality = if odd {
        "uncertain"
    } else {
        of_known(increase.unknown_ms)
    };
    let value = Value::Number(Some(increase.increase));
    increase.is_heard.then_some((increase.cell.from, value, quality))
}

/// None where no state is known.
pub(super) fn stay_row(stay: &Stay) -> Option<Row> {
    let states = stay.states.iter().map(|(state, ms)| (state.to_string(), *ms));
    let value = Value::Stays(states.collect());
    (!stay.states.is_empty()).then_some((stay.cell.from, value, of_known(stay.unknown_ms)))
}
