//! Who may come in: `devices/{device}/credential`, `accounts` and `provision`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::state::access::Holder;
use telemetry::time::Span;

use super::Shared;
use crate::access::{self, Caller, Role};
use crate::params::Params;
use crate::problem::Problem;
use crate::registrar::{Changed, Credential, CredentialAction, RegistrarError};

/// Who asks, when they may administer.
fn administrator(caller: Caller) -> Result<String, Problem> {
    let name = caller.name.map(String::from);
    match (caller.role, name) {
        (Role::Administer, Some(name)) => Ok(name),
        _ => Err(Problem::forbidden(
            "credentials are the business of administrators",
            "use a token with the role administer, or townwatch device on the server",
        )),
    }
}

/// `GET /api/v1/devices/{device}/credential`.
pub(crate) async fn of_device(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Credential>, Problem> {
    params.only(&[])?;
    administrator(caller)?;
    app.blocking(move |app| Ok(Json(app.web.registrar.credential(Holder::Device, &id)?)))
        .await
}

/// `GET /api/v1/accounts`.
pub(crate) async fn accounts(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    params: Params,
) -> Result<Json<Vec<Credential>>, Problem> {
    params.only(&[])?;
    administrator(caller)?;
    app.blocking(move |app| Ok(Json(app.web.registrar.accounts()?)))
        .await
}

/// What is to be done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    action: Word,
    /// With `rotate`: how long the old password counts.
    grace: Option<Span>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Disable,
    Enable,
    Rotate,
    Revoke,
}

fn body<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes, form: &'static str) -> Result<T, Problem> {
    access::same_origin_json(headers)?;
    serde_json::from_slice(body)
        .map_err(|error| Problem::bad_parameter("body", format!("the body cannot be read: {error}"), form))
}

async fn change(
    app: std::sync::Arc<crate::web::App>,
    holder: Holder,
    name: String,
    caller: Caller,
    asked: Asked,
) -> Result<Json<Changed>, Problem> {
    let by = administrator(caller)?;
    let action = match (asked.action, asked.grace) {
        (Word::Rotate, grace) => CredentialAction::Rotate {
            grace: grace.unwrap_or(Span::ZERO),
        },
        (_, Some(_)) => {
            let detail = "grace goes with the action rotate only";
            return Err(Problem::bad_parameter("grace", detail, "leave it out"));
        }
        (Word::Disable, None) => CredentialAction::Disable,
        (Word::Enable, None) => CredentialAction::Enable,
        (Word::Revoke, None) => CredentialAction::Revoke,
    };
    app.blocking(move |app| Ok(Json(app.web.registrar.change(holder, &name, action, &by)?)))
        .await
}

const FORM: &str = r#"send {"action": "disable" | "enable" | "rotate" | "revoke", "grace": "1h"}"#;

/// `POST /api/v1/devices/{device}/credential`.
pub(crate) async fn change_device(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Changed>, Problem> {
    change(app, Holder::Device, id, caller, body(&headers, &bytes, FORM)?).await
}

/// `POST /api/v1/accounts/{account}/credential`.
pub(crate) async fn change_account(
    State(app): Shared,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Changed>, Problem> {
    change(app, Holder::Account, name, caller, body(&headers, &bytes, FORM)?).await
}

/// What a new device brings along.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    token: String,
    device: String,
}

/// `POST /api/v1/provision {"token", "device"}`: the token is all that it takes.
pub(crate) async fn provision(
    State(app): Shared,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Changed>, Problem> {
    let hello: Hello = body(&headers, &bytes, r#"send {"token": "twp_…", "device": "…"}"#)?;
    app.blocking(move |app| Ok(Json(app.web.registrar.provision(&hello.token, &hello.device)?)))
        .await
}

impl From<RegistrarError> for Problem {
    fn from(error: RegistrarError) -> Self {
        match error {
            RegistrarError::Unknown(_) => Self::missing(
                "such device or account",
                &error.to_string(),
                "GET /api/v1/devices lists the devices",
            ),
            RegistrarError::Conflict(_) => {
                Self::conflict(error.to_string(), "ask for its present state first")
            }
            RegistrarError::Refused(_) => {
                Self::bad_parameter("body", error.to_string(), "mend it and ask again")
            }
            RegistrarError::Token => Self::forbidden(
                error.to_string(),
                "whoever runs the server makes a new one: townwatch device token new",
            ),
            RegistrarError::Failed(_) => Self::internal("changing the credentials", &error),
        }
    }
}
