//! `/sites/{site}`: one place with its alarms, devices, ledgers, newest values and charts.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use telemetry::registry::Site;
use telemetry::{DeviceEntry, Ledger, Timestamp};

use super::alarm_item::open_list;
use super::latest::latest;
use super::shell::{Ask, Shell, heard};
use crate::api::Shared;
use crate::live::board::Snapshot;
use crate::live::condition::{self, Condition};
use crate::map::symbol;
use crate::names;
use crate::problem::Problem;
use crate::text::{self, Lang, Texts};
use crate::web::App;

/// Devices in the table; a page with more says so and leads to the API.
const DEVICES_MAX: usize = 200;

struct DeviceRow {
    id: String,
    name: String,
    profile: String,
    heard: String,
    silent: bool,
    alarm: &'static str,
    alarm_code: &'static str,
    ledger: Ledger,
    /// Stored items of bad quality.
    bad: u64,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "site.html")]
struct SitePage {
    shell: Shell,
    t: &'static Texts,
    id: String,
    name: String,
    code: &'static str,
    state: &'static str,
    facts: Vec<(String, String)>,
    alarms: String,
    devices: Vec<DeviceRow>,
    more_devices: usize,
    /// Id and name of the device whose values and charts are shown.
    chosen: Option<(String, String)>,
    latest: String,
    days: u32,
    /// Where so many days begin, in ms since 1970.
    since: i64,
    periods: [(u32, &'static str); 3],
    signals: Vec<(String, String)>,
}

/// `GET /sites/{site}[?device=][&days=]`.
pub(crate) async fn site(State(app): Shared, Path(id): Path<String>, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang", "device", "days"])?;
    let days = ask.params.number("days", 1..=30, 1)?;
    app.blocking(move |app| {
        let catalogue = &app.web.catalogue;
        let found = catalogue
            .sites()
            .iter()
            .zip(0..)
            .find(|(site, _)| site.id.as_str() == id);
        let (site, place): (&Site, usize) =
            found.ok_or_else(|| Problem::missing("site", &id, "/sites lists all sites"))?;
        let (lang, t) = (ask.lang, ask.lang.texts());
        let snapshot = app.board.read();
        let condition = snapshot
            .sites
            .get(place)
            .map_or(Condition::NoData, |now| now.condition);
        let entries: Vec<&DeviceEntry> = catalogue.devices_at(&id).collect();
        let chosen = chosen(&entries, ask.params.text("device"))?;
        let rows = entries.iter().take(DEVICES_MAX);
        let rows = rows.map(|entry| device_row(app, &snapshot, entry, chosen, lang));
        let page = SitePage {
            shell: Shell::new(app, &ask, &snapshot, lang.of(&site.name), "sites"),
            t,
            name: lang.of(&site.name).to_owned(),
            code: condition.code(),
            state: symbol::words(condition, lang),
            facts: facts(app, site, lang),
            alarms: open_list(app, lang, Some(&id))?,
            devices: rows.collect::<Result<_, _>>()?,
            more_devices: entries.len().saturating_sub(DEVICES_MAX),
            chosen: chosen.map(|entry| (entry.device.id.to_string(), device_name(entry, lang))),
            latest: chosen
                .map(|entry| latest(app, entry, lang))
                .transpose()?
                .unwrap_or_default(),
            days,
            since: since(app, days),
            periods: [(1, t.last_day), (7, t.last_week), (30, t.last_month)],
            signals: chosen.map(|entry| signals(entry, lang)).unwrap_or_default(),
            id,
        };
        super::page(&page, ask.chosen)
    })
    .await
}

/// When `days` days ago was, in ms since 1970.
fn since(app: &App, days: u32) -> i64 {
    let now = app.web.clock.now().millis();
    now.saturating_sub(Timestamp::DAY_MS.saturating_mul(i64::from(days)))
}

/// The device of that id, else the first one.
fn chosen<'a>(entries: &[&'a DeviceEntry], wish: Option<&str>) -> Result<Option<&'a DeviceEntry>, Problem> {
    let Some(wish) = wish else {
        return Ok(entries.first().copied());
    };
    let found = entries.iter().find(|entry| entry.device.id.as_str() == wish);
    match found {
        Some(entry) => Ok(Some(entry)),
        None => Err(Problem::missing(
            "device at this site",
            wish,
            "the page of the site lists its devices",
        )),
    }
}

fn device_name(entry: &DeviceEntry, lang: Lang) -> String {
    match &entry.device.name {
        Some(name) => lang.of(name).to_owned(),
        None => entry.device.id.to_string(),
    }
}

fn signals(entry: &DeviceEntry, lang: Lang) -> Vec<(String, String)> {
    let all = entry.profile.signals.iter();
    all.map(|signal| (signal.name.to_string(), lang.of(&signal.title).to_owned()))
        .collect()
}

fn device_row(
    app: &App,
    snapshot: &Snapshot,
    entry: &DeviceEntry,
    chosen: Option<&DeviceEntry>,
    lang: Lang,
) -> Result<DeviceRow, Problem> {
    let id = entry.device.id.as_str();
    let place = app.web.catalogue.device_index(id).unwrap_or(usize::MAX);
    let last: Option<Timestamp> = snapshot.heard.get(place).copied().flatten();
    let ledger = app.web.state.ledger(id)?;
    let bad = ledger.bad;
    let alarm = snapshot.by_device.get(&place);
    let after = condition::silence_after(&entry.profile);
    Ok(DeviceRow {
        name: device_name(entry, lang),
        profile: lang.of(&entry.profile.title).to_owned(),
        heard: heard(app, lang, last, app.web.clock.now()),
        silent: after.is_some_and(|after| condition::is_silent(last, after, snapshot.at)),
        alarm: alarm
            .map(|priority| text::priority_name(*priority, lang))
            .unwrap_or_default(),
        alarm_code: alarm
            .map(|priority| text::priority_code(*priority))
            .unwrap_or_default(),
        bad: bad.reported
            + bad.out_of_range
            + bad.wrong_type
            + bad.not_finite
            + bad.exception
            + bad.no_answer
            + bad.sensor_fault,
        ledger,
        chosen: chosen.is_some_and(|chosen| chosen.device.id == entry.device.id),
        id: id.to_owned(),
    })
}

fn facts(app: &App, site: &Site, lang: Lang) -> Vec<(String, String)> {
    let t = lang.texts();
    let organisations = &app.web.catalogue.registry().organisations;
    let organisation = organisations.iter().find(|known| known.id == site.organisation);
    let organisation = organisation.map_or(&*site.organisation, |known| lang.of(&known.name));
    let position = format!("{:.5}°N {:.5}°E", site.position.latitude, site.position.longitude);
    let mut facts = vec![
        (t.kind.to_owned(), text::kind_name(site.kind, lang).to_owned()),
        (t.town.to_owned(), site.town.to_string()),
        (t.organisation.to_owned(), organisation.to_owned()),
        (t.position.to_owned(), position),
    ];
    facts.extend(
        site.attributes
            .iter()
            .map(|(name, value)| names::attribute(name, value, lang)),
    );
    facts
}
