//! `/cases`: the cases, newest first, with the time that is left, and the form that files one.

use alarms::cases::{Case, CaseFilter};
use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use telemetry::Timestamp;

use super::shell::{Ask, Shell};
use crate::api::Shared;
use crate::api::cases::{filter, problem};
use crate::problem::Problem;
use crate::text::cases::{Texts as CaseTexts, state_name};
use crate::text::{self, Lang, Texts};
use crate::web::App;

/// Cases on one page.
const ROWS: usize = 200;

/// One case in words of one language.
pub(crate) struct CaseRow {
    pub(crate) id: u64,
    pub(crate) title: String,
    pub(crate) state: &'static str,
    pub(crate) priority: &'static str,
    pub(crate) priority_code: &'static str,
    pub(crate) life_safety: bool,
    pub(crate) site: String,
    pub(crate) site_name: String,
    pub(crate) device: String,
    pub(crate) organisation: String,
    pub(crate) filed: String,
    /// Until when the work is to be done; empty when nobody knows.
    pub(crate) handle_by: String,
    /// Until when it is to be closed.
    pub(crate) close_by: String,
    /// The time that is left, or since it is overdue, or why there is none; empty when it is over.
    pub(crate) left: String,
    pub(crate) overdue: bool,
    /// Nobody has confirmed the calendar that it was counted with.
    pub(crate) unconfirmed: bool,
}

impl CaseRow {
    pub(crate) fn of(app: &App, case: &Case, now: Timestamp, lang: Lang) -> Self {
        let from = case.overdue_from();
        let overdue = from.is_some_and(|from| from < now);
        let organisation = organisations(app, lang)
            .into_iter()
            .find(|one| *one.0 == *case.organisation);
        let moment = |at: Option<Timestamp>| at.map(|at| app.civil.minute(at)).unwrap_or_default();
        Self {
            id: case.id,
            title: lang.of(&case.title).to_owned(),
            state: state_name(case.state, lang),
            priority: case
                .priority
                .map_or("", |priority| text::priority_name(priority, lang)),
            priority_code: case.priority.map_or("grey", text::priority_code),
            life_safety: case.life_safety,
            site: case.site.to_string(),
            site_name: lang.of(&case.site_name).to_owned(),
            device: case.device.as_deref().unwrap_or_default().to_owned(),
            organisation: organisation.map_or_else(|| case.organisation.to_string(), |one| one.1),
            filed: app.civil.minute(case.filed_at),
            handle_by: moment(case.due.handle),
            close_by: moment(case.due.close),
            left: left(case, from, now, lang),
            overdue,
            unconfirmed: case.due.unconfirmed && case.state.is_open(),
        }
    }
}

fn left(case: &Case, from: Option<Timestamp>, now: Timestamp, lang: Lang) -> String {
    let t = lang.of_cases();
    match from {
        Some(from) if from < now => format!("{} {}", t.overdue, text::age(now.millis_since(from), lang)),
        Some(from) => format!("{} {}", t.left, text::age(from.millis_since(now), lang)),
        None if !case.state.is_open() => String::new(),
        None if case.due.stopped => t.stopped.to_owned(),
        None => t.not_known.to_owned(),
    }
}

/// Id and name of every organisation.
pub(crate) fn organisations(app: &App, lang: Lang) -> Vec<(String, String)> {
    let all = app.web.catalogue.registry().organisations.iter();
    all.map(|one| (one.id.to_string(), lang.of(&one.name).to_owned()))
        .collect()
}

/// The cases, as a table.
#[derive(Template)]
#[template(path = "case_list.html")]
struct List {
    t: &'static Texts,
    c: &'static CaseTexts,
    rows: Vec<CaseRow>,
}

#[derive(Template)]
#[template(path = "cases.html")]
struct CasesPage {
    shell: Shell,
    t: &'static Texts,
    c: &'static CaseTexts,
    list: String,
    /// Where the same table is fetched anew.
    fragment: String,
    /// Address, text and "this is it" of each choice.
    choices: [(&'static str, &'static str, bool); 3],
    older: Option<String>,
}

/// The table as HTML.
fn table(app: &App, cases: &[Case], lang: Lang) -> Result<String, Problem> {
    let now = app.web.clock.now();
    let rows = cases.iter().map(|case| CaseRow::of(app, case, now, lang));
    super::text(&List {
        t: lang.texts(),
        c: lang.of_cases(),
        rows: rows.collect(),
    })
}

/// What the query asks for, at most [`ROWS`] of it.
fn wanted(ask: &Ask) -> Result<CaseFilter, Problem> {
    let filter = filter(&ask.params, &["lang"])?;
    Ok(CaseFilter {
        limit: filter.limit.min(ROWS),
        ..filter
    })
}

/// `GET /cases[?open=][&site=][&organisation=][&state=][&overdue=][&before=]`.
pub(crate) async fn list(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    let filter = wanted(&ask)?;
    app.blocking(move |app| {
        let cases = app.web.cases.list(&filter).map_err(problem)?;
        let last = cases.last().filter(|_| cases.len() == filter.limit);
        let older = last.map(|case| ask.params.address("/cases", "before", &case.id.to_string()));
        let (t, c) = (ask.lang.texts(), ask.lang.of_cases());
        let (open, overdue) = (filter.open == Some(true), filter.overdue == Some(true));
        let page = CasesPage {
            shell: Shell::new(app, &ask, &app.board.read(), t.cases, "cases"),
            t,
            c,
            list: table(app, &cases, ask.lang)?,
            fragment: ask.params.address("/fragments/cases", "lang", ask.lang.code()),
            choices: [
                ("/cases?open=true", c.open_cases, open && !overdue),
                ("/cases?overdue=true", c.overdue_cases, overdue),
                ("/cases", c.all_cases, !open && !overdue),
            ],
            older,
        };
        super::page(&page, ask.chosen)
    })
    .await
}

/// `GET /fragments/cases`, asked as the page is.
pub(crate) async fn fragment(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    let filter = wanted(&ask)?;
    app.blocking(move |app| {
        let cases = app.web.cases.list(&filter).map_err(problem)?;
        Ok(Html(table(app, &cases, ask.lang)?).into_response())
    })
    .await
}
