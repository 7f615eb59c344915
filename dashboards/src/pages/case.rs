//! `/cases/{id}`: one case, what happened to it, and what can be done with it.

use alarms::cases::lifecycle::after;
use alarms::cases::{Case, CaseEvent, CaseEventView, SELF};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};

use super::cases::{CaseRow, organisations};
use super::shell::{Ask, Shell};
use crate::api::Shared;
use crate::api::cases::{number, problem};
use crate::problem::Problem;
use crate::text::cases::{Texts as CaseTexts, amount, event_name, state_name};
use crate::text::{Lang, Texts};
use crate::web::App;

/// What can be done with a case, as a button with its form.
struct Action {
    /// The last part of the address of the API.
    action: &'static str,
    name: &'static str,
    /// A field of the body with a value of its own: `approve`.
    approve: bool,
    organisations: bool,
    photo: bool,
    into: bool,
}

/// One event in words of one language.
struct EventRow {
    at: String,
    event: String,
    state: &'static str,
    by: String,
    remark: String,
    detail: String,
}

/// The alarms of one rule.
struct AlarmRow {
    rule: String,
    occurrences: u32,
    active: bool,
    gone: bool,
    returned: String,
}

/// The case as it stands now: what follows the live feed.
#[derive(Template)]
#[template(path = "case_now.html")]
struct CaseNow {
    t: &'static Texts,
    c: &'static CaseTexts,
    row: CaseRow,
    filed_by: String,
    handle: String,
    verify: String,
    /// Who asks to put it off, when and why.
    asked: Option<(String, String, String)>,
    merged_into: Option<u64>,
    alarms: Vec<AlarmRow>,
    events: Vec<EventRow>,
    actions: Vec<Action>,
    organisations: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "case.html")]
struct CasePage {
    shell: Shell,
    t: &'static Texts,
    id: u64,
    now: String,
}

/// `GET /cases/{id}`.
pub(crate) async fn one(State(app): Shared, Path(id): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang"])?;
    let id = number(&id)?;
    app.blocking(move |app| {
        let now = now(app, id, ask.lang)?;
        let t = ask.lang.texts();
        let title = format!("{} {id}", t.case);
        let shell = Shell::new(app, &ask, &app.board.read(), &title, "cases");
        super::page(&CasePage { shell, t, id, now }, ask.chosen)
    })
    .await
}

/// `GET /fragments/cases/{id}`.
pub(crate) async fn fragment(
    State(app): Shared,
    Path(id): Path<String>,
    ask: Ask,
) -> Result<Response, Problem> {
    ask.params.only(&["lang"])?;
    let id = number(&id)?;
    app.blocking(move |app| Ok(Html(now(app, id, ask.lang)?).into_response()))
        .await
}

/// The case as HTML. Blocking.
fn now(app: &App, id: u64, lang: Lang) -> Result<String, Problem> {
    let (case, events) = app.web.cases.get(id).map_err(problem)?;
    let (t, c) = (lang.texts(), lang.of_cases());
    let alarms = case.alarms.iter().map(|alarm| AlarmRow {
        rule: alarm.rule.to_string(),
        occurrences: alarm.occurrences,
        active: alarm.active,
        gone: alarm.gone,
        returned: alarm
            .returned_at
            .map(|at| app.civil.second(at))
            .unwrap_or_default(),
    });
    super::text(&CaseNow {
        t,
        c,
        row: CaseRow::of(app, &case, app.web.clock.now(), lang),
        filed_by: person(&case.filed_by, c),
        handle: amount(case.allowed.handle, lang),
        verify: amount(case.allowed.verify, lang),
        asked: case.asked.as_ref().map(|asked| {
            let at = app.civil.minute(asked.at);
            (asked.by.to_string(), at, asked.remark.to_string())
        }),
        merged_into: case.merged_into,
        alarms: alarms.collect(),
        events: events
            .into_iter()
            .map(|event| event_row(app, event, lang))
            .collect(),
        actions: actions(&case, lang),
        organisations: organisations(app, lang),
    })
}

fn person(by: &str, c: &CaseTexts) -> String {
    if by == SELF { c.by_alarm } else { by }.to_owned()
}

fn event_row(app: &App, event: CaseEventView, lang: Lang) -> EventRow {
    let c = lang.of_cases();
    let known = CaseEvent::ALL
        .into_iter()
        .find(|known| known.name() == &*event.event);
    let name = match (known, &*event.event) {
        (Some(known), _) => event_name(known, lang),
        (None, "file") => c.file,
        (None, "merged_in") => c.merged_in,
        (None, "alarm_raised") => c.alarm_raised,
        (None, "alarm_cleared") => c.alarm_cleared,
        (None, "alarm_acknowledged") => c.alarm_acknowledged,
        (None, "alarm_gone") => c.alarm_gone,
        (None, other) => other,
    };
    let state = alarms::cases::CaseState::parse(&event.state);
    EventRow {
        at: app.civil.second(event.at),
        event: name.to_owned(),
        state: state.map(|state| state_name(state, lang)).unwrap_or_default(),
        by: person(&event.by, c),
        remark: event.remark.to_string(),
        detail: match &event.detail {
            serde_json::Value::Null => String::new(),
            detail => detail.to_string(),
        },
    }
}

/// Every event that the life cycle allows now, in the order of a life.
fn actions(case: &Case, lang: Lang) -> Vec<Action> {
    let allowed = |event: &CaseEvent| match event {
        CaseEvent::AskSuspension => case.asked.is_none(),
        CaseEvent::Suspend | CaseEvent::DeclineSuspension => case.asked.is_some(),
        _ => true,
    };
    let possible = CaseEvent::ALL.into_iter().filter(allowed);
    possible
        .filter(|event| after(case.state, *event).is_some())
        .map(|event| Action {
            action: match event {
                CaseEvent::Dispatch => "dispatch",
                CaseEvent::Start => "start",
                CaseEvent::Handled => "handled",
                CaseEvent::Verify => "verify",
                CaseEvent::Rework => "rework",
                CaseEvent::AskSuspension | CaseEvent::Suspend => "suspend",
                CaseEvent::DeclineSuspension | CaseEvent::Resume => "resume",
                CaseEvent::Cancel => "cancel",
                CaseEvent::Merge => "merge",
                CaseEvent::Close => "close",
            },
            name: event_name(event, lang),
            approve: event == CaseEvent::Suspend,
            organisations: event == CaseEvent::Dispatch,
            photo: matches!(event, CaseEvent::Handled | CaseEvent::Verify),
            into: event == CaseEvent::Merge,
        })
        .collect()
}
