//! `GET alarms` and `POST alarms/{id}/ack`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Shared;
use crate::access::{self, Caller, Role};
use crate::book::{AckError, AlarmView, Wanted};
use crate::limits;
use crate::params::Params;
use crate::problem::Problem;
use crate::web::App;

/// `GET /api/v1/alarms[?open=][&site=][&limit=][&before=]`, newest first.
pub(crate) async fn list(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&["open", "site", "limit", "before"])?;
    let open: Option<bool> = params.parse("open")?;
    let most = u32::try_from(limits::ALARMS_MAX).unwrap_or(u32::MAX);
    let limit = usize::try_from(params.number("limit", 1..=most, 1000)?).unwrap_or(limits::ALARMS_MAX);
    let wanted = Wanted {
        open_only: open == Some(true),
        site: params.text("site").map(str::to_owned),
        before: params.parse("before")?,
        limit,
    };
    if let Some(id) = &wanted.site
        && app.web.catalogue.site(id).is_none()
    {
        return Err(Problem::missing("site", id, "GET /api/v1/sites lists all sites"));
    }
    app.blocking(move |app| {
        let mut list = listed(app, &wanted)?;
        let more = list.len() == limit;
        if open == Some(false) {
            list.retain(|alarm| !alarm.open);
        }
        let mut response = Json(list).into_response();
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

/// The alarms that are wanted. Blocking.
pub(crate) fn listed(app: &App, wanted: &Wanted) -> Result<Vec<AlarmView>, Problem> {
    app.web
        .alarms
        .list(wanted)
        .map_err(|error| Problem::internal("listing the alarms", &*error))
}

/// The body of an acknowledgement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ack {
    remark: String,
    by: Option<String>,
}

/// `POST /api/v1/alarms/{id}/ack {"remark", "by"}`. With tokens the name is the token's.
pub(crate) async fn acknowledge(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<AlarmView>, Problem> {
    access::same_origin_json(&headers)?;
    if caller.role < Role::Operate {
        return Err(Problem::forbidden(
            "this token may only read",
            "use a token with the role operate",
        ));
    }
    let ack: Ack = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_parameter(
            "body",
            format!("the body cannot be read: {error}"),
            r#"send {"remark": "…", "by": "…"}"#,
        )
    })?;
    let by = match caller.name {
        Some(name) => name.into_string(),
        None => ack.by.unwrap_or_default(),
    };
    let by = checked("by", &by, limits::NAME_CHARS_MAX)?;
    let remark = checked("remark", &ack.remark, limits::REMARK_CHARS_MAX)?;
    let done = app
        .blocking(move |app| app.web.alarms.acknowledge(&id, &by, &remark).map_err(problem))
        .await?;
    app.changed.notify_one();
    Ok(Json(done))
}

/// A text of a body without the spaces around it.
pub(super) fn checked(name: &'static str, text: &str, chars_max: usize) -> Result<String, Problem> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(Problem::bad_parameter(
            name,
            format!("{name} is missing or empty"),
            "say who does it (by) and what is done about it (remark)",
        )),
        n if n > chars_max => Err(Problem::bad_parameter(
            name,
            format!("{name} has {n} characters"),
            format!("write at most {chars_max}"),
        )),
        _ if text.chars().any(char::is_control) => Err(Problem::bad_parameter(
            name,
            format!("{name} holds control characters"),
            "write it on one line",
        )),
        _ => Ok(text.to_owned()),
    }
}

pub(super) fn problem(error: AckError) -> Problem {
    match error {
        AckError::Unknown(id) => Problem::missing(
            "alarm",
            &id,
            "GET /api/v1/alarms?open=true lists the open alarms with their ids",
        ),
        AckError::NotOwed { .. } => {
            Problem::conflict(error.to_string(), "GET /api/v1/alarms tells its present state")
        }
        AckError::NotAllowed { .. } => {
            Problem::conflict(error.to_string(), "docs/rules.md says who may do what, and when")
        }
        AckError::Refused(_) => Problem::bad_parameter("body", error.to_string(), "mend name and remark"),
        AckError::Failed(_) => Problem::internal("storing the acknowledgement", &error),
    }
}
