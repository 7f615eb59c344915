//! `/alarms`: every alarm there was, newest first.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::alarm_item::AlarmItem;
use super::shell::{Ask, Shell};
use crate::api::Shared;
use crate::api::alarms::listed;
use crate::book::Wanted;
use crate::problem::Problem;
use crate::text::Texts;

/// Alarms on one page of the history.
const ROWS: usize = 200;

#[derive(Template)]
#[template(path = "alarms.html")]
struct AlarmsPage {
    shell: Shell,
    t: &'static Texts,
    rows: Vec<AlarmItem>,
    only_open: bool,
    older: Option<String>,
}

/// `GET /alarms[?open=true][&before=]`.
pub(crate) async fn alarms(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang", "open", "before"])?;
    let only_open = ask.params.parse("open")?.unwrap_or(false);
    let wanted = Wanted {
        open_only: only_open,
        site: None,
        before: ask.params.parse("before")?,
        limit: ROWS,
    };
    app.blocking(move |app| {
        let list = listed(app, &wanted)?;
        let last = list
            .last()
            .filter(|_| list.len() == ROWS)
            .map(|alarm| alarm.raised_seq);
        let t = ask.lang.texts();
        let page = AlarmsPage {
            shell: Shell::new(app, &ask, &app.board.read(), t.alarm_history, "alarms"),
            t,
            rows: list
                .iter()
                .map(|alarm| AlarmItem::of(app, alarm, ask.lang))
                .collect(),
            only_open,
            older: last.map(|seq| ask.params.address("/alarms", "before", &seq.to_string())),
        };
        super::page(&page, ask.chosen)
    })
    .await
}
