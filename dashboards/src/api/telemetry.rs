//! `POST telemetry` and `POST /api/v2/write`: readings that are pushed over HTTP. Answered with 204 when, and only
//! when, they are on disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetry::limits::PAYLOAD_BYTES_MAX;
use telemetry::{DeviceId, Origin, RawMessage};

use super::Shared;
use crate::access;
use crate::limits::{PUSH_LINES_BYTES_MAX, READ_WAIT};
use crate::listener::Peer;
use crate::params::Params;
use crate::problem::Problem;
use crate::push::body::{self, Unfit};
use crate::push::{Door, Lines, Login, NotTaken, Refusal, Speaker, credentials};
use crate::web::App;

/// When a full journal may have room again.
const FULL_RETRY_S: u64 = 10;
/// When somebody may have looked at a stopped journal.
const STOPPED_RETRY_S: u64 = 60;

/// `POST /api/v1/telemetry[?device=]`.
pub(crate) async fn push(State(app): Shared, params: Params, request: Request) -> Response {
    answer(push_json(&app, &params, None, request).await)
}

/// `POST /api/v1/telemetry/{device}`.
pub(crate) async fn push_for(
    State(app): Shared,
    Path(device): Path<String>,
    params: Params,
    request: Request,
) -> Response {
    answer(push_json(&app, &params, Some(&device), request).await)
}

fn answer(done: Result<(), Problem>) -> Response {
    let Err(problem) = done else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let unknown = problem.status() == StatusCode::UNAUTHORIZED;
    let mut response = problem.into_response();
    if unknown {
        let challenge = HeaderValue::from_static("Basic realm=\"townwatch devices\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

async fn push_json(
    app: &Arc<App>,
    params: &Params,
    named: Option<&str>,
    request: Request,
) -> Result<(), Problem> {
    params.only(&["device"])?;
    let (parts, sent) = request.into_parts();
    let (door, speaker) = enter(app, &parts).await?;
    known_form(&parts.headers)?;
    let device = addressed(named, params.text("device"), &*speaker)?;
    let Some(sender) = speaker.sender(&device) else {
        return Err(Problem::forbidden(
            format!("{} may not send readings of the device {device}", speaker.name()),
            "send those of the device itself, or register the sender as its gateway",
        ));
    };
    let _place = place(app).await?;
    let payload = body::read(&parts.headers, sent, PAYLOAD_BYTES_MAX)
        .await
        .map_err(|unfit| unfit_problem(unfit, PAYLOAD_BYTES_MAX))?;
    door.readable(&payload)
        .map_err(|why| Problem::bad_parameter("body", why, FORM_REMEDY))?;
    let message = message(app, Origin::Http, sender, &device, payload);
    keep(&*door, vec![message]).await
}

const FORM_REMEDY: &str =
    r#"send {"ts": …, "values": {…}}, an array of such objects, SenML, or what the profile maps"#;

/// The journal's form of one payload.
fn message(app: &App, origin: Origin, sender: DeviceId, device: &DeviceId, payload: Bytes) -> RawMessage {
    RawMessage {
        arrived: app.web.clock.now(),
        origin,
        sender,
        topic: format!("tw/v1/{device}/telemetry").into(),
        payload,
    }
}

async fn keep(door: &dyn Door, messages: Vec<RawMessage>) -> Result<(), Problem> {
    door.accept(messages).await.map_err(|error| match error {
        NotTaken::Full(why) => Problem::not_accepting(why, FULL_RETRY_S),
        NotTaken::Stopped(why) => Problem::not_accepting(why, STOPPED_RETRY_S),
    })
}

/// Who pushes: known before a byte of the body is read, and not too often.
async fn enter(app: &Arc<App>, parts: &Parts) -> Result<(Arc<dyn Door>, Box<dyn Speaker>), Problem> {
    let Some(push) = &app.web.push else {
        return Err(Problem::forbidden(
            "readings are not accepted over HTTP",
            "push.enabled in the server's configuration allows it",
        ));
    };
    access::same_origin(&parts.headers)?;
    let peer = parts.extensions.get().map(|ConnectInfo(Peer(address))| *address);
    let now = app.web.clock.monotonic();
    let failures = &app.porch.failures;
    if let Some(address) = peer {
        failures
            .check(address.ip(), now)
            .map_err(|wait_s| Problem::too_often("too many refused logins from this address", wait_s))?;
    }
    let said = credentials::read(&parts.headers)
        .ok_or_else(|| Problem::unauthenticated("the header `Authorization` cannot be read"))?;
    let login = Login {
        user: said.user.as_deref(),
        secret: said.secret.as_deref(),
        peer,
    };
    let speaker = push.door.identify(login).await.map_err(|refusal| {
        if let (Some(address), Refusal::Unknown | Refusal::Forbidden) = (peer, refusal) {
            // Already refused: what the bucket says concerns the next one.
            failures.take(address.ip(), now).ok();
        }
        refused(refusal)
    })?;
    app.porch
        .requests
        .take(speaker.name().into(), now)
        .map_err(|wait_s| {
            let most = push.requests_per_s_max;
            let what = format!("{} sends more than {most} requests a second", speaker.name());
            Problem::too_often(what, wait_s)
        })?;
    Ok((Arc::clone(&push.door), speaker))
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Unknown => Problem::unauthenticated("this is no known device or token, or not its password"),
        Refusal::Forbidden => Problem::forbidden(
            "this sender may not push readings",
            "send the id and password of a device, or the name and token of an account that may write, as `Authorization: Basic …`",
        ),
        Refusal::TooFast => Problem::too_often("too many wrong passwords", FULL_RETRY_S),
        Refusal::Unavailable => {
            Problem::not_accepting("who sends this cannot be found out now", FULL_RETRY_S)
        }
    }
}

/// Refuses what a form of a foreign page could send.
fn known_form(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence == "application/octet-stream" || essence.ends_with("/json") || essence.ends_with("+json") {
        return Ok(());
    }
    let shown: String = essence.chars().take(80).collect();
    Err(Problem::unknown_form(
        format!("`Content-Type: {shown}` is not JSON"),
        "send `Content-Type: application/json` (or application/senml+json)",
    ))
}

fn addressed(path: Option<&str>, query: Option<&str>, speaker: &dyn Speaker) -> Result<DeviceId, Problem> {
    let bad = |what: String| Problem::bad_parameter("device", what, "name one registered device");
    match (path, query) {
        (Some(path), Some(query)) if path != query => {
            Err(bad("the path and the parameter name different devices".to_owned()))
        }
        (Some(name), _) | (None, Some(name)) => DeviceId::new(name).map_err(|error| bad(error.to_string())),
        (None, None) => speaker
            .own()
            .cloned()
            .ok_or_else(|| bad("this sender is no device of its own, and none is named".to_owned())),
    }
}

/// A place for a body in memory.
async fn place(app: &App) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
    match tokio::time::timeout(READ_WAIT, app.porch.bodies.acquire()).await {
        Ok(Ok(place)) => Ok(place),
        Ok(Err(_)) | Err(_) => Err(Problem::not_accepting("too many bodies are under way", 1)),
    }
}

fn unfit_problem(unfit: Unfit, bytes_max: usize) -> Problem {
    let remedy = "send it again";
    match unfit {
        Unfit::TooLarge => Problem::too_large(bytes_max),
        Unfit::Encoding => Problem::unknown_form(
            "the `Content-Encoding` is neither gzip nor identity",
            "pack it with gzip, or not at all",
        ),
        Unfit::NotGzip => Problem::bad_parameter("body", "the body says that it is gzip and is not", remedy),
        Unfit::Broken => Problem::bad_parameter("body", "the body broke off", remedy),
    }
}

/// An error as InfluxDB 2 writes it. Source: InfluxDB 2 API, schemas `Error` and `LineProtocolError`.
#[derive(Debug, Serialize)]
struct InfluxError {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

/// `POST /api/v2/write?precision=[&bucket=&org=]`: InfluxDB line protocol.
pub(crate) async fn write(State(app): Shared, params: Params, request: Request) -> Response {
    match write_lines(&app, &params, request).await {
        Ok(lines) => match lines.first_bad {
            None => StatusCode::NO_CONTENT.into_response(),
            Some(bad) => {
                let all = lines.taken == 0 && bad.forbidden;
                let (status, code) = if all {
                    (StatusCode::FORBIDDEN, "forbidden")
                } else {
                    (StatusCode::BAD_REQUEST, "invalid")
                };
                let (taken, left_out) = (lines.taken, lines.left_out);
                let message = format!(
                    "partial write: line {}: {} (lines taken: {taken}, dropped={left_out})",
                    bad.number, bad.why
                );
                influx(status, code, message, Some(bad.number), None)
            }
        },
        Err(problem) => {
            let message = format!("{}; {}", problem.detail(), problem.remedy());
            let (status, wait_s) = (problem.status(), problem.retry_after_s());
            influx(status, influx_code(status), message, None, wait_s)
        }
    }
}

fn influx(
    status: StatusCode,
    code: &'static str,
    message: String,
    line: Option<usize>,
    wait_s: Option<u64>,
) -> Response {
    let error = InfluxError { code, message, line };
    let mut response = (status, axum::Json(error)).into_response();
    if let Some(seconds) = wait_s {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn influx_code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::PAYLOAD_TOO_LARGE => "request too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported media type",
        StatusCode::TOO_MANY_REQUESTS => "too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        StatusCode::BAD_REQUEST => "invalid",
        _ => "internal error",
    }
}

async fn write_lines(app: &Arc<App>, params: &Params, request: Request) -> Result<Lines, Problem> {
    params.only(&["precision", "bucket", "org", "orgID"])?;
    let (parts, sent) = request.into_parts();
    let (door, speaker) = enter(app, &parts).await?;
    let elsewhere = ["bucket", "org", "orgID"]
        .into_iter()
        .find_map(|name| params.text(name));
    if elsewhere.is_some() && !app.porch.told.swap(true, Ordering::Relaxed) {
        tracing::info!(
            sender = speaker.name(),
            "org and bucket of line protocol mean nothing here"
        );
    }
    let _place = place(app).await?;
    let body = body::read(&parts.headers, sent, PUSH_LINES_BYTES_MAX)
        .await
        .map_err(|unfit| unfit_problem(unfit, PUSH_LINES_BYTES_MAX))?;
    let text = std::str::from_utf8(&body)
        .map_err(|_| Problem::bad_parameter("body", "the body is not UTF-8", "send text in UTF-8"))?;
    let precision = params.text("precision").unwrap_or("ns");
    let mut lines = door
        .sort(text, precision, &*speaker)
        .map_err(|why| Problem::bad_parameter("precision", why, "ns, us, ms or s"))?;
    let messages: Vec<RawMessage> = std::mem::take(&mut lines.payloads)
        .into_iter()
        .filter_map(|(device, payload)| {
            let sender = speaker.sender(&device)?;
            Some(message(app, Origin::LineProtocol, sender, &device, payload))
        })
        .collect();
    if !messages.is_empty() {
        keep(&*door, messages).await?;
    }
    Ok(lines)
}

/// `GET /ping`: what InfluxDB's clients ask first.
pub(crate) async fn ping() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// `GET /health` in InfluxDB's form. Source: InfluxDB 2 API, schema `HealthCheck`.
pub(crate) async fn health(State(app): Shared) -> Response {
    #[derive(Serialize)]
    struct Health {
        name: &'static str,
        message: String,
        status: &'static str,
        version: &'static str,
    }
    let why = (app.web.readiness)();
    let status = if why.is_some() { "fail" } else { "pass" };
    let code = if why.is_some() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let health = Health {
        name: "townwatch",
        message: why.unwrap_or_else(|| "ready for writes".to_owned()),
        status,
        version: env!("CARGO_PKG_VERSION"),
    };
    (code, axum::Json(health)).into_response()
}

#[cfg(test)]
mod tests;
