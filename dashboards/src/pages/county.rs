//! `/`: the county at a glance.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::alarm_item::open_list;
use super::figures::headlines;
use super::shell::{Ask, Shell};
use crate::api::Shared;
use crate::problem::Problem;
use crate::text::Texts;

#[derive(Template)]
#[template(path = "county.html")]
struct CountyPage {
    shell: Shell,
    t: &'static Texts,
    figures: String,
    alarms: String,
}

/// `GET /`.
pub(crate) async fn county(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang"])?;
    let t = ask.lang.texts();
    let page = CountyPage {
        shell: Shell::new(&app, &ask, &app.board.read(), t.overview, "county"),
        t,
        figures: headlines(&app, ask.lang)?,
        alarms: open_list(&app, ask.lang, None)?,
    };
    super::page(&page, ask.chosen)
}
