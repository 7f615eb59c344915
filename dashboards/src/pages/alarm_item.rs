//! An alarm as lists and tables show it, and the list itself.

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use telemetry::profile::{Signal, Title};

use super::shell::Ask;
use crate::api::Shared;
use crate::book::{AlarmStage, AlarmView};
use crate::limits::PAGE_ALARMS_MAX;
use crate::problem::Problem;
use crate::text::{self, Lang, Texts};
use crate::unit;
use crate::web::App;

/// Who acknowledged, when, with what words.
pub(crate) struct Known {
    pub(crate) by: String,
    pub(crate) at: String,
    pub(crate) remark: String,
}

/// One alarm, in words of one language.
pub(crate) struct AlarmItem {
    pub(crate) id: String,
    pub(crate) rule: String,
    pub(crate) title: String,
    pub(crate) priority: &'static str,
    pub(crate) priority_code: &'static str,
    pub(crate) life_safety: bool,
    pub(crate) stale: bool,
    pub(crate) durable: bool,
    pub(crate) backfill: bool,
    pub(crate) can_acknowledge: bool,
    pub(crate) can_reset: bool,
    /// One person alone does not shelve what may save a life.
    pub(crate) can_shelve: bool,
    pub(crate) can_unshelve: bool,
    pub(crate) state: &'static str,
    pub(crate) site: String,
    pub(crate) site_name: String,
    pub(crate) device: String,
    pub(crate) signal: String,
    /// With its unit; empty without.
    pub(crate) value: String,
    /// With its unit; empty without.
    pub(crate) limit: String,
    pub(crate) since: String,
    pub(crate) since_rfc3339: String,
    pub(crate) cleared: String,
    pub(crate) acknowledged: Option<Known>,
}

impl AlarmItem {
    pub(crate) fn of(app: &App, alarm: &AlarmView, lang: Lang) -> Self {
        let texts = lang.texts();
        let title = |title: &Title| lang.of(title).to_owned();
        let unit = alarm.unit.as_deref().map(unit::printed).unwrap_or_default();
        let signal = alarm.signal.as_deref().and_then(|name| {
            let entry = app.web.catalogue.device(alarm.device.as_str())?;
            let signal = entry.profile.signals.get(entry.profile.signal_index(name)?)?;
            // A run time is in hours, whatever its signal is in.
            (alarm.unit.as_deref() == Some(&*signal.unit)).then_some(signal)
        });
        let shown = |value: Option<f64>| match (value, signal) {
            (None, _) => String::new(),
            (Some(value), Some(signal)) => quantity(signal, value, lang),
            (Some(value), None) => join(&unit::number(value, alarm.decimals), unit),
        };
        Self {
            id: alarm.id.clone(),
            rule: alarm.rule.clone(),
            title: title(&alarm.title),
            priority: text::priority_name(alarm.priority, lang),
            priority_code: text::priority_code(alarm.priority),
            life_safety: alarm.life_safety,
            stale: alarm.stale,
            durable: alarm.durable,
            backfill: alarm.tags.contains(&"historical"),
            can_acknowledge: alarm.state.wants_acknowledgement(),
            can_reset: alarm.state == AlarmStage::LatchedAcknowledged,
            can_shelve: !alarm.life_safety
                && matches!(
                    alarm.state,
                    AlarmStage::Unacknowledged
                        | AlarmStage::Acknowledged
                        | AlarmStage::ReturnedUnacknowledged
                ),
            can_unshelve: alarm.state == AlarmStage::Shelved,
            state: match alarm.state {
                AlarmStage::Unacknowledged => texts.active_unacked,
                AlarmStage::Acknowledged => texts.active_acked,
                AlarmStage::ReturnedUnacknowledged => texts.returned,
                AlarmStage::LatchedUnacknowledged => texts.latched_unacked,
                AlarmStage::LatchedAcknowledged => texts.latched_acked,
                AlarmStage::Shelved => texts.shelved,
                AlarmStage::SuppressedByDesign => texts.by_design,
                AlarmStage::OutOfService => texts.out_of_service,
                AlarmStage::Normal => texts.settled,
            },
            site: alarm.site.to_string(),
            site_name: title(&alarm.site_name),
            device: alarm.device.to_string(),
            signal: alarm.signal_title.as_ref().map(title).unwrap_or_default(),
            value: shown(alarm.value),
            limit: shown(alarm.limit),
            since: app.civil.second(alarm.since.ms),
            since_rfc3339: alarm.since.time.clone(),
            cleared: alarm
                .returned
                .as_ref()
                .map(|at| app.civil.second(at.ms))
                .unwrap_or_default(),
            acknowledged: alarm.acknowledged.as_ref().map(|known| Known {
                by: known.by.to_string(),
                at: app.civil.minute(known.at.ms),
                remark: known.remark.to_string(),
            }),
        }
    }
}

/// A value with its unit, or the name of its state.
pub(crate) fn quantity(signal: &Signal, value: f64, lang: Lang) -> String {
    match signal.states.get(&unit::number(value, 0)) {
        Some(state) => lang.of(state).to_owned(),
        None => join(&unit::number(value, signal.decimals), unit::printed(&signal.unit)),
    }
}

fn join(number: &str, unit: &str) -> String {
    if unit.is_empty() {
        number.to_owned()
    } else {
        format!("{number} {unit}")
    }
}

#[derive(Template)]
#[template(path = "alarm_list.html")]
struct List {
    t: &'static Texts,
    c: &'static crate::text::cases::Texts,
    alarms: Vec<AlarmItem>,
    more: usize,
}

/// The open alarms, of one site or of all, the most urgent first, as HTML.
pub(crate) fn open_list(app: &App, lang: Lang, site: Option<&str>) -> Result<String, Problem> {
    let snapshot = app.board.read();
    let fits = |alarm: &&AlarmView| site.is_none_or(|site| alarm.site.as_str() == site);
    let all = snapshot.open.iter().filter(fits);
    let count = all.clone().count();
    let alarms = all
        .take(PAGE_ALARMS_MAX)
        .map(|alarm| AlarmItem::of(app, alarm, lang))
        .collect();
    super::text(&List {
        t: lang.texts(),
        c: lang.of_cases(),
        alarms,
        more: count.saturating_sub(PAGE_ALARMS_MAX),
    })
}

/// `GET /fragments/alarms[?site=]`.
pub(crate) async fn fragment(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang", "site"])?;
    // What the live feed said may be newer than the board; the list must not lag behind it.
    crate::pulse::decide(&app).await;
    Ok(Html(open_list(&app, ask.lang, ask.params.text("site"))?).into_response())
}
