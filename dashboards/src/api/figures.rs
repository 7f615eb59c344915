//! `GET figures` and `GET figures/{name}`.

use alarms::figures::{Figures, Scope};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Shared;
use crate::desk::Desk;
use crate::params::Params;
use crate::problem::Problem;

/// `GET /api/v1/figures`: the names, with the newest value of each for the whole county.
pub(crate) async fn list(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let all = Figures::names().into_iter().map(|name| {
        let headline = app.desk.headline(name);
        let failed = headline.as_ref().and_then(|headline| headline.failed.clone());
        let figure = headline.and_then(|headline| headline.figure);
        json!({
            "name": name,
            "href": format!("/api/v1/figures/{name}"),
            "title": figure.as_ref().map(|figure| &figure.title),
            "value": figure.as_ref().and_then(|figure| figure.value),
            "unit": figure.as_ref().map(|figure| figure.unit),
            "computed_at": figure.as_ref().map(|figure| &figure.computed_at),
            "failed": failed,
        })
    });
    Ok(Json(all.collect::<Vec<_>>()).into_response())
}

/// `GET /api/v1/figures/{name}?from=&to=&scope=`.
pub(crate) async fn one(
    State(app): Shared,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["from", "to", "scope"])?;
    let scope: Scope = params.parse("scope")?.unwrap_or_default();
    let period = (params.parse("from")?, params.parse("to")?);
    let figure = Desk::get(&app, &name, period, scope).await?;
    Ok(Json(&*figure).into_response())
}
