//! What goes wrong in a request, as RFC 9457 problem details: what, where, and what to do.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::series::SeriesError;
use store::state::StateError;

/// An error answer. `detail` says what happened and where; `remedy` what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Names the kind of problem: a relative address that never changes its meaning.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "status_number")]
    status: StatusCode,
    detail: String,
    remedy: String,
    /// Which part of the request: a query or path parameter, a header, a body field.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'static str>,
    /// In how many seconds it is worth another try.
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

fn status_number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(
        kind: &'static str,
        title: &'static str,
        status: StatusCode,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            title,
            status,
            detail: detail.into(),
            remedy: remedy.into(),
            parameter: None,
            retry_after_s: None,
        }
    }

    /// A parameter or field that cannot be read (400).
    #[must_use]
    pub fn bad_parameter(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let mut problem = Self::new(
            "/problems/bad-parameter",
            "bad parameter",
            StatusCode::BAD_REQUEST,
            detail,
            remedy,
        );
        problem.parameter = Some(name);
        problem
    }

    /// A thing that does not exist (404).
    #[must_use]
    pub fn missing(what: &str, name: &str, remedy: impl Into<String>) -> Self {
        let name: String = name.chars().take(80).collect();
        Self::new(
            "/problems/not-found",
            "not found",
            StatusCode::NOT_FOUND,
            format!("there is no {what} {name:?}"),
            remedy,
        )
    }

    /// A bound was reached (400); asking for less helps.
    #[must_use]
    pub fn too_much(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(
            "/problems/too-much",
            "too much asked",
            StatusCode::BAD_REQUEST,
            detail,
            remedy,
        )
    }

    /// Who asks is not known (401).
    #[must_use]
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(
            "/problems/unauthenticated",
            "not signed in",
            StatusCode::UNAUTHORIZED,
            detail,
            "send a known token as `Authorization: Bearer …`, or sign in at /login",
        )
    }

    /// Who asks may not do this (403).
    #[must_use]
    pub fn forbidden(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(
            "/problems/forbidden",
            "forbidden",
            StatusCode::FORBIDDEN,
            detail,
            remedy,
        )
    }

    /// The body is larger than the bound (413).
    #[must_use]
    pub fn too_large(bytes_max: usize) -> Self {
        Self::new(
            "/problems/too-large",
            "body too large",
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {bytes_max} bytes, packed or unpacked"),
            "send it in parts",
        )
    }

    /// The body is packed or written in a way that is not known here (415).
    #[must_use]
    pub fn unknown_form(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(
            "/problems/unknown-form",
            "unknown form",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            detail,
            remedy,
        )
    }

    /// Too many requests (429).
    #[must_use]
    pub fn too_often(detail: impl Into<String>, retry_after_s: u64) -> Self {
        let mut problem = Self::new(
            "/problems/too-often",
            "too often",
            StatusCode::TOO_MANY_REQUESTS,
            detail,
            "send several readings in one request, and wait for as long as `Retry-After` says",
        );
        problem.retry_after_s = Some(retry_after_s);
        problem
    }

    /// Nothing can be made durable now (503): the sender keeps what it has.
    #[must_use]
    pub fn not_accepting(detail: impl Into<String>, retry_after_s: u64) -> Self {
        let mut problem = Self::new(
            "/problems/not-accepting",
            "nothing is accepted now",
            StatusCode::SERVICE_UNAVAILABLE,
            detail,
            "keep the readings and send them again after as long as `Retry-After` says",
        );
        problem.retry_after_s = Some(retry_after_s);
        problem
    }

    /// The body is not JSON (415).
    #[must_use]
    pub fn not_json() -> Self {
        Self::new(
            "/problems/not-json",
            "body is not JSON",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the request does not carry `Content-Type: application/json`",
            "send a JSON body with that content type",
        )
    }

    /// What was asked does not fit the present state (409).
    #[must_use]
    pub fn conflict(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(
            "/problems/conflict",
            "conflict",
            StatusCode::CONFLICT,
            detail,
            remedy,
        )
    }

    /// A device in the field did not do what it was asked (502).
    #[must_use]
    pub fn field(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(
            "/problems/field",
            "the device did not do it",
            StatusCode::BAD_GATEWAY,
            detail,
            remedy,
        )
    }

    /// The address exists, but not for this method (405).
    #[must_use]
    pub fn wrong_method(method: &axum::http::Method, path: &str) -> Self {
        let path: String = path.chars().take(80).collect();
        Self::new(
            "/problems/wrong-method",
            "wrong method",
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{path} does not answer to {method}"),
            "the header `Allow` names the methods that it answers to",
        )
    }

    /// Too many at once, or too slow (503).
    #[must_use]
    pub fn busy(detail: impl Into<String>) -> Self {
        Self::new(
            "/problems/busy",
            "busy",
            StatusCode::SERVICE_UNAVAILABLE,
            detail,
            "ask again in a few seconds, or for a shorter time",
        )
    }

    /// Something failed here (500). The cause goes to the log, not to the caller.
    #[must_use]
    pub fn internal(doing: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(doing, error = telemetry::with_causes(error), "request failed");
        Self::new(
            "/problems/internal",
            "internal error",
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the server failed while {doing}"),
            "the server's log has the cause; ask again, and report it if it stays",
        )
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// In how many seconds it is worth another try.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// What happened, for a page.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What to do, for a page.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        Self::internal("reading the state database", &error)
    }
}

impl From<SeriesError> for Problem {
    fn from(error: SeriesError) -> Self {
        match error {
            SeriesError::TooMany { .. } => Self::too_much(
                error.to_string(),
                "ask for a shorter time, or for windows with `every=` and `agg=`",
            ),
            SeriesError::TooManyWindows { .. } => {
                Self::too_much(error.to_string(), "ask for a shorter time, or for longer windows")
            }
            SeriesError::TooManyStates { .. } => Self::too_much(
                error.to_string(),
                "ask for another aggregate: this signal has no states",
            ),
            SeriesError::Cancelled => Self::busy(error.to_string()),
            SeriesError::Engine { .. } | SeriesError::Damaged(_) => Self::internal("reading series", &error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after_s {
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"townwatch\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
