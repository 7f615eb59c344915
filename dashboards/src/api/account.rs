//! `GET devices/{device}/ledger` and `GET dead-letters`: what became of everything that was sent.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetry::{DeadLetter, Ledger};

use super::{Shared, device};
use crate::book::Moment;
use crate::limits::{DEAD_LETTERS_MAX, PAYLOAD_SHOWN_MAX};
use crate::params::Params;
use crate::problem::Problem;

#[derive(Debug, Serialize)]
struct LedgerView {
    device: String,
    #[serde(flatten)]
    ledger: Ledger,
    adds_up: bool,
}

/// `GET /api/v1/devices/{device}/ledger`.
pub(crate) async fn ledger(
    State(app): Shared,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    app.blocking(move |app| {
        let (_, entry) = device(app, &id)?;
        let ledger = app.web.state.ledger(entry.device.id.as_str())?;
        let view = LedgerView {
            device: entry.device.id.to_string(),
            adds_up: ledger.adds_up(),
            ledger,
        };
        Ok(Json(view).into_response())
    })
    .await
}

#[derive(Debug, Serialize)]
struct DeadLetterView {
    lsn: u64,
    arrived: Moment,
    origin: &'static str,
    sender: String,
    topic: String,
    reason: String,
    /// The first bytes as text; bytes that are no UTF-8 show as U+FFFD.
    payload: String,
    payload_bytes: usize,
}

/// The first bytes of a payload as text.
pub(crate) fn shown(letter: &DeadLetter) -> String {
    let head = letter.payload.get(..PAYLOAD_SHOWN_MAX).unwrap_or(&letter.payload);
    String::from_utf8_lossy(head).into_owned()
}

impl From<&DeadLetter> for DeadLetterView {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            lsn: letter.lsn.0,
            arrived: letter.arrived.into(),
            origin: letter.origin.name(),
            sender: letter.sender.to_string(),
            topic: letter.topic.to_string(),
            reason: letter.reason.to_string(),
            payload: shown(letter),
            payload_bytes: letter.payload.len(),
        }
    }
}

/// `GET /api/v1/dead-letters[?limit=]`, newest first.
pub(crate) async fn dead_letters(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&["limit"])?;
    let most = u32::try_from(DEAD_LETTERS_MAX).unwrap_or(u32::MAX);
    let limit = usize::try_from(params.number("limit", 1..=most, 100)?).unwrap_or(DEAD_LETTERS_MAX);
    app.blocking(move |app| {
        let letters = app.web.state.dead_letters(limit)?;
        let views: Vec<DeadLetterView> = letters.iter().map(DeadLetterView::from).collect();
        Ok(Json(views).into_response())
    })
    .await
}
