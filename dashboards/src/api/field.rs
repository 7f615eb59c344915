//! `GET devices/{device}/modbus`, `POST devices/{device}/identify` and `POST devices/{device}/write`; and
//! `GET audit`, where every write stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use store::state::access::{AuditEntry, AuditRow};

use super::{Shared, device};
use crate::access::{self, Caller, Role};
use crate::book::Moment;
use crate::field::{LinkView, WriteError, Written};
use crate::limits;
use crate::params::Params;
use crate::problem::Problem;
use crate::web::App;

#[derive(Debug, Serialize)]
pub(crate) struct LinkOfDevice {
    device: String,
    #[serde(flatten)]
    link: LinkView,
    /// What the profile allows to be written; the configuration must allow it, too.
    writable: Vec<WritableView>,
}

#[derive(Debug, Serialize)]
struct WritableView {
    signal: String,
    unit: String,
    min: f64,
    max: f64,
    step: Option<f64>,
}

/// `GET /api/v1/devices/{device}/modbus`.
pub(crate) async fn link(
    State(app): Shared,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<LinkOfDevice>, Problem> {
    params.only(&[])?;
    let (_, entry) = device(&app, &id)?;
    let link = app.web.field.link(&id).ok_or_else(|| not_polled(&id))?;
    let profile = &entry.profile;
    let writable = profile.modbus.points.iter().filter_map(|point| {
        let spec = point.write?;
        let signal = profile
            .signals
            .get(profile.signal_index(point.signal.as_str())?)?;
        Some(WritableView {
            signal: signal.name.to_string(),
            unit: signal.unit.to_string(),
            min: spec.min,
            max: spec.max,
            step: spec.step,
        })
    });
    Ok(Json(LinkOfDevice {
        device: id,
        link,
        writable: writable.collect(),
    }))
}

fn not_polled(id: &str) -> Problem {
    Problem::missing(
        "polled unit",
        id,
        "the device comes over MQTT, or its profile has no Modbus map",
    )
}

#[derive(Debug, Serialize)]
pub(crate) struct IdentityView {
    device: String,
    identification: BTreeMap<String, String>,
}

/// `POST /api/v1/devices/{device}/identify`: asks the unit with function 43/14. The role operate is needed,
/// because it takes the line's time.
pub(crate) async fn identify(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<IdentityView>, Problem> {
    access::same_origin_json(&headers)?;
    if caller.role < Role::Operate {
        return Err(Problem::forbidden(
            "this token may only read",
            "use a token with the role operate",
        ));
    }
    device(&app, &id)?;
    app.web.field.link(&id).ok_or_else(|| not_polled(&id))?;
    let asked = app.web.field.identify(&id).await;
    let objects = asked
        .map_err(|why| Problem::field(why, "not every unit knows function 43/14; see docs/modbus.md"))?;
    Ok(Json(IdentityView {
        device: id,
        identification: objects.into_iter().collect(),
    }))
}

/// The body of a write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    signal: String,
    value: Number,
    /// The device's id once more.
    confirm: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Real(f64),
    Bool(bool),
}

#[derive(Debug, Serialize)]
pub(crate) struct WrittenView {
    device: String,
    signal: String,
    value: f64,
    #[serde(flatten)]
    written: Written,
}

/// `POST /api/v1/devices/{device}/write {"signal", "value", "confirm"}`. Two rows of the audit: that it was
/// asked for, which must be on disk before anything is sent, and what came of it.
pub(crate) async fn write(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<WrittenView>, Problem> {
    access::same_origin_json(&headers)?;
    let Some(who) = caller.name.filter(|_| caller.role >= Role::Control) else {
        return Err(Problem::forbidden(
            "writing to a device needs a token with the role control",
            "configure one under [[web.token]], and send it",
        ));
    };
    let order: Order = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_parameter(
            "body",
            format!("the body cannot be read: {error}"),
            r#"send {"signal": "…", "value": 1, "confirm": "the device's id"}"#,
        )
    })?;
    let (_, entry) = device(&app, &id)?;
    if entry.profile.signal_index(&order.signal).is_none() {
        let remedy = "GET /api/v1/devices/{device} lists its signals";
        return Err(Problem::missing("signal", &order.signal, remedy));
    }
    if order.confirm.as_deref() != Some(id.as_str()) {
        return Err(Problem::conflict(
            "nothing was written: the write is not confirmed",
            format!("send it again with \"confirm\": \"{id}\""),
        ));
    }
    let value = match order.value {
        Number::Real(value) => value,
        Number::Bool(on) => f64::from(u8::from(on)),
    };
    // A task of its own: a caller who goes away does not keep the outcome out of the audit.
    let task = carry_out(Arc::clone(&app), who, id, order.signal, value);
    tokio::spawn(task)
        .await
        .map_err(|error| Problem::internal("writing to a device", &error))?
        .map(Json)
}

async fn carry_out(
    app: Arc<App>,
    who: Box<str>,
    device: String,
    signal: String,
    value: f64,
) -> Result<WrittenView, Problem> {
    let subject: Box<str> = format!("{device}/{signal}").into();
    note(&app, &who, &subject, format!("asked for {value}")).await?;
    let outcome = app.web.field.write(&device, &signal, value).await;
    note(&app, &who, &subject, told(value, &outcome)).await?;
    let written = outcome.map_err(problem)?;
    if !written.answered {
        let read = written.read_back.map_or_else(
            || "and could not be read back".to_owned(),
            |read| format!("the register reads {read}"),
        );
        return Err(Problem::field(
            format!("the unit did not confirm the write of {value} to {subject}; {read}"),
            "look at the unit before writing again",
        ));
    }
    Ok(WrittenView {
        device,
        signal,
        value,
        written,
    })
}

fn told(value: f64, outcome: &Result<Written, WriteError>) -> String {
    match outcome {
        Err(refused) => format!("{value} not written: {refused}"),
        Ok(written) => {
            let confirmed = if written.answered {
                "written"
            } else {
                "sent, but not confirmed by the unit"
            };
            let read = written
                .read_back
                .map_or_else(|| "not read back".to_owned(), |read| format!("reads {read}"));
            format!("{value} {confirmed}; {read}")
        }
    }
}

fn problem(error: WriteError) -> Problem {
    match error {
        WriteError::Forbidden(why) => Problem::forbidden(
            why,
            "docs/modbus.md says what configuration and profile must allow",
        ),
        WriteError::Value(why) => Problem::bad_parameter(
            "value",
            why,
            "GET /api/v1/devices/{device}/modbus lists what may be written",
        ),
        WriteError::Failed(why) => Problem::field(why, "GET /api/v1/devices/{device}/modbus shows its link"),
        WriteError::Busy(why) => Problem::busy(why),
    }
}

async fn note(app: &Arc<App>, who: &str, subject: &str, detail: String) -> Result<(), Problem> {
    let (who, subject) = (who.to_owned(), subject.to_owned());
    app.blocking(move |app| {
        let entry = AuditEntry {
            at: app.web.clock.now(),
            by: &who,
            what: "modbus write",
            subject: &subject,
            detail: &detail,
        };
        Ok(app.web.state.audit(entry)?)
    })
    .await
}

#[derive(Debug, Serialize)]
pub(crate) struct AuditView {
    seq: u64,
    at: Moment,
    by: Box<str>,
    what: Box<str>,
    subject: Box<str>,
    detail: Box<str>,
}

/// `GET /api/v1/audit[?before=][&limit=]`, newest first. The role operate is needed.
pub(crate) async fn audit(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    params: Params,
) -> Result<Json<Vec<AuditView>>, Problem> {
    params.only(&["before", "limit"])?;
    if caller.role < Role::Operate {
        return Err(Problem::forbidden(
            "this token may only read",
            "use a token with the role operate",
        ));
    }
    let before: Option<u64> = params.parse("before")?;
    let limit = params.number("limit", 1..=limits::AUDIT_ROWS_MAX, 100)?;
    app.blocking(move |app| {
        let limit = limit.try_into().unwrap_or(usize::MAX);
        let rows = app.web.state.audit_log(before.unwrap_or(u64::MAX), limit)?;
        let view = |row: AuditRow| AuditView {
            seq: row.seq,
            at: row.at.into(),
            by: row.by,
            what: row.what,
            subject: row.subject,
            detail: row.detail,
        };
        Ok(Json(rows.into_iter().map(view).collect()))
    })
    .await
}
