//! `GET openapi.json`: the description of the API, kept by hand and held by a test.

use axum::http::header;
use axum::response::{IntoResponse, Response};

pub(crate) const TEXT: &str = include_str!("../../assets/openapi.json");

/// `GET /api/v1/openapi.json`.
pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT).into_response()
}
