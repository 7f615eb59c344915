//! `/dead-letters`: the messages that nobody could read.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::shell::{Ask, Shell};
use crate::api::Shared;
use crate::api::account::shown;
use crate::problem::Problem;
use crate::text::Texts;

/// Letters on the page; the API has more.
const ROWS: usize = 100;

struct Row {
    arrived: String,
    sender: String,
    topic: String,
    reason: String,
    payload: String,
    bytes: usize,
}

#[derive(Template)]
#[template(path = "dead_letters.html")]
struct DeadLettersPage {
    shell: Shell,
    t: &'static Texts,
    rows: Vec<Row>,
    kept: u64,
    dropped: u64,
}

/// `GET /dead-letters`.
pub(crate) async fn dead_letters(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang"])?;
    app.blocking(move |app| {
        let letters = app.web.state.dead_letters(ROWS)?;
        let totals = app.web.state.dead_letter_totals()?;
        let t = ask.lang.texts();
        let rows = letters.iter().map(|letter| Row {
            arrived: app.civil.second(letter.arrived),
            sender: letter.sender.to_string(),
            topic: letter.topic.to_string(),
            reason: letter.reason.to_string(),
            payload: shown(letter),
            bytes: letter.payload.len(),
        });
        let page = DeadLettersPage {
            shell: Shell::new(app, &ask, &app.board.read(), t.dead_letters, "dead_letters"),
            t,
            rows: rows.collect(),
            kept: totals.kept,
            dropped: totals.dropped,
        };
        super::page(&page, ask.chosen)
    })
    .await
}
