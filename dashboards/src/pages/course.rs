//! `/figures/{name}/course.svg`: how the count behind a figure went over its period, beside the bounds of the policy.

use alarms::figures::{Course, Figure, Scope};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use telemetry::SignalName;
use telemetry::profile::{Signal, SignalInput, SignalKind};

use super::shell::Ask;
use crate::api::Shared;
use crate::chart::trace::Trace;
use crate::chart::{self, Chart};
use crate::desk::Desk;
use crate::problem::Problem;
use crate::text::Lang;
use crate::web::App;

/// `GET /figures/{name}/course.svg[?from=&to=&scope=]&width=&height=&lang=`.
pub(crate) async fn svg(State(app): Shared, Path(name): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.params
        .only(&["lang", "from", "to", "scope", "width", "height"])?;
    let scope: Scope = ask.params.parse("scope")?.unwrap_or_default();
    let period = (ask.params.parse("from")?, ask.params.parse("to")?);
    let width = ask.params.number("width", 200..=2000, 720)?;
    let height = ask.params.number("height", 100..=1000, 240)?;
    let figure = Desk::get(&app, &name, period, scope).await?;
    let Some(course) = &figure.course else {
        return Err(Problem::missing(
            "course",
            &name,
            "only alarm_rate has one, and only where anything is known",
        ));
    };
    let svg = draw(&app, &figure, course, (width, height), ask.lang)?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response())
}

fn draw(
    app: &App,
    figure: &Figure,
    course: &Course,
    (width, height): (u32, u32),
    lang: Lang,
) -> Result<String, Problem> {
    let signal = Signal {
        name: SignalName::new("count").map_err(|error| Problem::internal("drawing a chart", &error))?,
        title: course.title.clone(),
        unit: course.unit.into(),
        kind: SignalKind::Number,
        range: None,
        states: std::collections::BTreeMap::new(),
        decimals: 0,
        retention_class: None,
        input: SignalInput::default(),
    };
    let steps = course.steps.iter();
    let bounds = course.bounds.iter();
    let chart = Chart {
        signal: &signal,
        trace: Trace::of_steps(steps.map(|step| (step.from.ms, step.to.ms, step.value))),
        from: figure.from.ms,
        to: figure.to.ms,
        width,
        height,
        lang,
        civil: &app.civil,
        bounds: bounds
            .map(|bound| (bound.limit, format!("{} {}", lang.of(&bound.title), bound.limit)))
            .collect(),
    };
    chart::svg(&chart).map_err(|error| Problem::internal("drawing a chart", &error))
}
