//! `GET cases`, `GET cases/{id}`, `POST cases` and `POST cases/{id}/{action}`.

mod view;

use alarms::cases::{CaseError, CaseFilter, CaseState, Command, Filing};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Shared;
use super::alarms::checked;
use crate::access::{self, Caller, Role};
use crate::limits;
use crate::params::Params;
use crate::problem::Problem;

pub(crate) use view::{CaseEventItem, CaseView};

/// What is said to whoever writes a body that cannot be read.
const FILE_FORM: &str = r#"send {"alarm": "…"} or {"title": "…", "site": "…"}, with "remark" and "by""#;
const ACT_FORM: &str = r#"send {"remark": "…", "by": "…"} and what the action needs"#;

/// `GET /api/v1/cases[?open=][&site=][&organisation=][&state=][&overdue=][&limit=][&before=]`, newest first.
pub(crate) async fn list(State(app): Shared, params: Params) -> Result<Response, Problem> {
    let filter = filter(&params, &[])?;
    let limit = filter.limit;
    app.blocking(move |app| {
        let cases = app.web.cases.list(&filter).map_err(problem)?;
        let more = cases.len() == limit;
        let now = app.web.clock.now();
        let list: Vec<CaseView> = cases.into_iter().map(|case| CaseView::of(case, now)).collect();
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

/// Which cases a query asks for; `also` are parameters that the caller reads itself.
pub(crate) fn filter(params: &Params, also: &[&str]) -> Result<CaseFilter, Problem> {
    let mut known = vec![
        "open",
        "site",
        "organisation",
        "state",
        "overdue",
        "limit",
        "before",
    ];
    known.extend(also);
    params.only(&known)?;
    let state = params.text("state").map(|name| {
        CaseState::parse(name).ok_or_else(|| {
            let known = CaseState::ALL.map(CaseState::name).join(", ");
            let name: String = name.chars().take(40).collect();
            Problem::bad_parameter(
                "state",
                format!("there is no state {name:?}"),
                format!("known are {known}"),
            )
        })
    });
    let most = u32::try_from(limits::CASES_MAX).unwrap_or(u32::MAX);
    let limit = params.number("limit", 1..=most, most)?;
    Ok(CaseFilter {
        open: params.parse("open")?,
        site: params.text("site").map(Into::into),
        organisation: params.text("organisation").map(Into::into),
        state: state.transpose()?,
        overdue: params.parse("overdue")?,
        before: params.parse("before")?,
        limit: usize::try_from(limit).unwrap_or(limits::CASES_MAX),
    })
}

/// `GET /api/v1/cases/{id}`: the case with its events.
pub(crate) async fn one(State(app): Shared, Path(id): Path<String>) -> Result<Json<CaseView>, Problem> {
    let id = number(&id)?;
    app.blocking(move |app| {
        let (case, events) = app.web.cases.get(id).map_err(problem)?;
        let view = CaseView::of(case, app.web.clock.now());
        let events = events.into_iter().map(CaseEventItem::from).collect();
        Ok(Json(CaseView {
            events: Some(events),
            ..view
        }))
    })
    .await
}

/// The number of a case in an address.
pub(crate) fn number(id: &str) -> Result<u64, Problem> {
    id.parse().map_err(|_| missing(id))
}

fn missing(id: &str) -> Problem {
    Problem::missing("case", id, "GET /api/v1/cases lists the cases with their numbers")
}

/// The body that files a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileBody {
    alarm: Option<Box<str>>,
    title: Option<Box<str>>,
    site: Option<Box<str>>,
    device: Option<Box<str>>,
    deadline: Option<Box<str>>,
    remark: String,
    by: Option<String>,
}

/// `POST /api/v1/cases`: about an alarm, or about something that somebody saw.
pub(crate) async fn file(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    may(&caller, &headers)?;
    let body: FileBody = read(&body, FILE_FORM)?;
    let (by, remark) = who(caller, body.by, &body.remark)?;
    let filing = match (body.alarm, body.title, body.site, body.device, body.deadline) {
        (Some(alarm), None, None, None, None) => Filing::Alarm(alarm),
        (None, Some(title), Some(site), device, deadline) => Filing::Free {
            title: checked("title", &title, limits::TITLE_CHARS_MAX)?.into(),
            site,
            device,
            deadline,
        },
        _ => {
            return Err(Problem::bad_parameter(
                "body",
                "a case is about an alarm, or has a title and a site; not both",
                FILE_FORM,
            ));
        }
    };
    let view = app
        .blocking(move |app| {
            let case = app.web.cases.file(&filing, &by, &remark).map_err(problem)?;
            Ok(CaseView::of(case, app.web.clock.now()))
        })
        .await?;
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// The body of an action.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActBody {
    remark: String,
    by: Option<String>,
    organisation: Option<Box<str>>,
    photo: Option<Box<str>>,
    approve: Option<bool>,
    into: Option<u64>,
}

/// `POST /api/v1/cases/{id}/{action}`.
pub(crate) async fn act(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<CaseView>, Problem> {
    may(&caller, &headers)?;
    let id = number(&id)?;
    let mut body: ActBody = read(&body, ACT_FORM)?;
    let (by, remark) = who(caller, body.by.take(), &body.remark)?;
    let command = command(&action, body)?;
    app.blocking(move |app| {
        let case = app.web.cases.act(id, &command, &by, &remark).map_err(problem)?;
        Ok(Json(CaseView::of(case, app.web.clock.now())))
    })
    .await
}

/// What the action means; a field that it has no use for is refused, so that nobody believes it counted.
fn command(action: &str, body: ActBody) -> Result<Command, Problem> {
    let ActBody {
        organisation,
        photo,
        approve,
        into,
        ..
    } = body;
    let needless = |fields: &[(bool, &str)]| match fields.iter().find(|(given, _)| *given) {
        None => Ok(()),
        Some((_, name)) => Err(Problem::bad_parameter(
            "body",
            format!("{action} has no use for {name}"),
            "leave it out",
        )),
    };
    let (o, p, a, i) = (
        (organisation.is_some(), "organisation"),
        (photo.is_some(), "photo"),
        (approve.is_some(), "approve"),
        (into.is_some(), "into"),
    );
    let (command, others) = match action {
        "dispatch" => (Command::Dispatch { organisation }, vec![p, a, i]),
        "start" => (Command::Start, vec![o, p, a, i]),
        "handled" => (Command::Handled { photo }, vec![o, a, i]),
        "verify" => (Command::Verify { photo }, vec![o, a, i]),
        "rework" => (Command::Rework, vec![o, p, a, i]),
        "suspend" => {
            let approve = approve.unwrap_or(false);
            (Command::Suspend { approve }, vec![o, p, i])
        }
        "resume" => (Command::Resume, vec![o, p, a, i]),
        "cancel" => (Command::Cancel, vec![o, p, a, i]),
        "merge" => {
            let into = into.ok_or_else(|| {
                Problem::bad_parameter(
                    "into",
                    "into is missing",
                    "name the case that goes on by its number",
                )
            })?;
            (Command::Merge { into }, vec![o, p, a])
        }
        "close" => (Command::Close, vec![o, p, a, i]),
        _ => {
            return Err(Problem::missing(
                "action on a case",
                action,
                "known are dispatch, start, handled, verify, rework, suspend, resume, cancel, merge, close",
            ));
        }
    };
    needless(&others)?;
    Ok(command)
}

fn may(caller: &Caller, headers: &HeaderMap) -> Result<(), Problem> {
    access::same_origin_json(headers)?;
    if caller.role < Role::Operate {
        return Err(Problem::forbidden(
            "this token may only read",
            "use a token with the role operate",
        ));
    }
    Ok(())
}

fn read<T: DeserializeOwned>(body: &[u8], form: &'static str) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_parameter("body", format!("the body cannot be read: {error}"), form))
}

/// Who does it, and what they say. With tokens the name is the token's: nobody approves under another one.
fn who(caller: Caller, by: Option<String>, remark: &str) -> Result<(String, String), Problem> {
    let by = match caller.name {
        Some(name) => name.into_string(),
        None => by.unwrap_or_default(),
    };
    Ok((
        checked("by", &by, limits::NAME_CHARS_MAX)?,
        checked("remark", remark, limits::REMARK_CHARS_MAX)?,
    ))
}

pub(crate) fn problem(error: CaseError) -> Problem {
    match error {
        CaseError::Unknown(id) => missing(&id.to_string()),
        CaseError::Missing { what, name } => Problem::missing(
            what,
            &name,
            "GET /api/v1/alarms, sites and devices list what there is; docs/cases.md names the deadlines",
        ),
        CaseError::Exists { id, .. } => {
            Problem::conflict(error.to_string(), format!("go on with /api/v1/cases/{id}"))
        }
        CaseError::Refused(_) => Problem::conflict(
            error.to_string(),
            "GET /api/v1/cases/{id} tells how the case is now",
        ),
        CaseError::Length { .. } => Problem::bad_parameter("body", error.to_string(), "mend the text"),
        CaseError::State(_) | CaseError::Evidence(_) | CaseError::Settings(_) | CaseError::Zone(_) => {
            Problem::internal("working on a case", &error)
        }
    }
}
