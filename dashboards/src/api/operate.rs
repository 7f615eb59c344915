//! What people do to alarms and devices beside acknowledging: `POST alarms/{id}/reset|shelve|unshelve`, `POST
//! devices/{device}/test|end-test|out-of-service|return-to-service`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use telemetry::time::Span;

use super::Shared;
use super::alarms::{checked, problem};
use crate::access::{self, Caller, Role};
use crate::book::{Act, AlarmView, DeviceAct};
use crate::limits;
use crate::problem::Problem;

/// The body: why, who, and for how long where that is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    remark: String,
    by: Option<String>,
    #[serde(rename = "for")]
    time: Option<Span>,
}

/// Who does it and why.
struct Said {
    by: String,
    remark: String,
    time: Option<Span>,
}

impl Said {
    fn read(caller: Caller, headers: &HeaderMap, body: &Bytes) -> Result<Self, Problem> {
        access::same_origin_json(headers)?;
        if caller.role < Role::Operate {
            return Err(Problem::forbidden(
                "this token may only read",
                "use a token with the role operate",
            ));
        }
        let body: Body = serde_json::from_slice(body).map_err(|error| {
            Problem::bad_parameter(
                "body",
                format!("the body cannot be read: {error}"),
                r#"send {"remark": "…", "by": "…", "for": "30min"}"#,
            )
        })?;
        let by = match caller.name {
            Some(name) => name.into_string(),
            None => body.by.unwrap_or_default(),
        };
        Ok(Self {
            by: checked("by", &by, limits::NAME_CHARS_MAX)?,
            remark: checked("remark", &body.remark, limits::REMARK_CHARS_MAX)?,
            time: body.time,
        })
    }

    fn time(&self) -> Result<Span, Problem> {
        self.time.ok_or_else(|| {
            Problem::bad_parameter("for", "for is missing", r#"say how long, e.g. "for": "30min""#)
        })
    }
}

/// `POST /api/v1/alarms/{id}/{action}`.
pub(crate) async fn alarm(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<AlarmView>, Problem> {
    let said = Said::read(caller, &headers, &body)?;
    let act = match action.as_str() {
        "reset" => Act::Reset,
        "shelve" => Act::Shelve(said.time()?),
        "unshelve" => Act::Unshelve,
        other => return Err(Problem::missing("action", other, "ack, reset, shelve, unshelve")),
    };
    let done = app
        .blocking(move |app| {
            let done = app.web.alarms.act(&id, act, &said.by, &said.remark);
            done.map_err(problem)
        })
        .await?;
    app.changed.notify_one();
    Ok(Json(done))
}

/// `POST /api/v1/devices/{device}/alarms/{action}`.
pub(crate) async fn device(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path((device, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let said = Said::read(caller, &headers, &body)?;
    let act = match action.as_str() {
        "test" => DeviceAct::Test(said.time.unwrap_or(Span::from_secs(3600))),
        "end-test" => DeviceAct::EndTest,
        "out-of-service" => DeviceAct::TakeOutOfService(said.time()?),
        "return-to-service" => DeviceAct::ReturnToService,
        other => {
            let known = "test, end-test, out-of-service, return-to-service";
            return Err(Problem::missing("action", other, known));
        }
    };
    app.blocking(move |app| {
        let done = app.web.alarms.act_on_device(&device, act, &said.by, &said.remark);
        done.map_err(problem)
    })
    .await?;
    app.changed.notify_one();
    Ok(StatusCode::NO_CONTENT)
}
