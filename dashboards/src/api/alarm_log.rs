//! `GET alarms/log`: what happened to alarms, row by row; the evidence of the figures of alarm health.

use alarms::engine::EventKind;
use alarms::figures::Scope;
use alarms::service::{LogFilter, ROWS_PER_ANSWER_MAX};
use alarms::view::{self, LogView};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetry::Timestamp;

use super::Shared;
use crate::book::Moment;
use crate::params::Params;
use crate::problem::Problem;

/// How far back the log is read when nobody says from when: a day.
const DEFAULT_MS: i64 = Timestamp::DAY_MS;

/// One row.
#[derive(Debug, Serialize)]
struct Row {
    seq: u64,
    at: Moment,
    event: String,
    /// None for what happens to a device or to nobody.
    rule: Option<String>,
    occurrence: u32,
    /// The id of the alarm; none before its rule has raised.
    alarm: Option<String>,
    by: Option<String>,
    remark: Option<String>,
    /// Whether the figures of alarm health count it as a call.
    call: bool,
    detail: serde_json::Value,
}

impl From<LogView> for Row {
    fn from(row: LogView) -> Self {
        let raised = row.occurrence > 0 && !row.rule.is_empty();
        Self {
            seq: row.seq,
            at: row.at.into(),
            event: row.event,
            alarm: raised.then(|| view::id(&row.rule, row.occurrence)),
            rule: (!row.rule.is_empty()).then_some(row.rule),
            occurrence: row.occurrence,
            by: row.by,
            remark: row.remark,
            call: row.call,
            detail: row.detail,
        }
    }
}

/// `GET /api/v1/alarms/log[?from=&to=][&scope=][&event=][&calls=][&limit=][&before=]`, newest first.
pub(crate) async fn list(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&["from", "to", "scope", "event", "calls", "limit", "before"])?;
    let now = app.web.clock.now();
    // What happens in this very instant is in.
    let to = params
        .parse("to")?
        .unwrap_or(Timestamp::from_millis(now.millis() + 1));
    let from = params
        .parse("from")?
        .unwrap_or(Timestamp::from_millis(to.millis().saturating_sub(DEFAULT_MS)));
    let most = u32::try_from(ROWS_PER_ANSWER_MAX).unwrap_or(u32::MAX);
    let limit = usize::try_from(params.number("limit", 1..=most, most)?).unwrap_or(ROWS_PER_ANSWER_MAX);
    let filter = LogFilter {
        from,
        to,
        scope: scope(&app, &params)?,
        events: events(&params)?,
        calls: params.parse("calls")?.unwrap_or(false),
        before: params.parse("before")?,
        limit,
    };
    app.blocking(move |app| {
        let rows = app.web.alarms.log(&filter);
        let rows = rows.map_err(|error| Problem::internal("reading the alarm log", &*error))?;
        let more = rows.len() == limit;
        let rows: Vec<Row> = rows.into_iter().map(Row::from).collect();
        let mut response = Json(rows).into_response();
        if more {
            let name = HeaderName::from_static("townwatch-more");
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static("true"));
        }
        Ok(response)
    })
    .await
}

/// A rule that is gone has rows as well, so any rule is taken; places must be in the registry.
fn scope(app: &crate::web::App, params: &Params) -> Result<Scope, Problem> {
    let scope: Scope = params.parse("scope")?.unwrap_or_default();
    if matches!(scope, Scope::Rule(_)) || scope.exists(&app.web.catalogue) {
        return Ok(scope);
    }
    Err(Problem::bad_parameter(
        "scope",
        format!("no registered place belongs to {scope}"),
        "use county, site:ID, town:NAME, organisation:ID or rule:ID",
    ))
}

fn events(params: &Params) -> Result<Vec<EventKind>, Problem> {
    let Some(text) = params.text("event") else {
        return Ok(Vec::new());
    };
    let read = |name: &str| {
        EventKind::named(name).ok_or_else(|| {
            let name: String = name.chars().take(40).collect();
            Problem::bad_parameter(
                "event",
                format!("there is no event {name:?}"),
                "write events with commas between them, e.g. raised,cleared; docs/rules.md lists them",
            )
        })
    };
    text.split(',').map(read).collect()
}
