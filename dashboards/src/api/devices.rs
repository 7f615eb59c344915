//! `GET devices`, `devices/{device}` and `devices/{device}/latest`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetry::profile::{Domain, Signal, SignalKind, Title};
use telemetry::registry::{Attribute, Position};
use telemetry::sample::Sample;
use telemetry::{DeviceEntry, SeriesId, Timestamp};

use super::{Shared, device};
use crate::book::Moment;
use crate::live::condition;
use crate::params::Params;
use crate::problem::Problem;
use crate::web::App;

#[derive(Debug, Serialize)]
struct DeviceView<'a> {
    id: &'a str,
    site: &'a str,
    profile: &'a str,
    domain: Domain,
    name: Option<&'a Title>,
    position: Option<Position>,
    transport: &'static str,
    gateway: Option<&'a str>,
    attributes: &'a BTreeMap<Box<str>, Attribute>,
    /// How often it reports, in ms.
    report_interval_ms: u64,
    last_heard: Option<Moment>,
    /// Longer silent than it may be; null where it may be silent by right.
    silent: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signals: Option<Vec<SignalView<'a>>>,
}

#[derive(Debug, Serialize)]
struct SignalView<'a> {
    name: &'a str,
    title: &'a Title,
    unit: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    range: Option<[f64; 2]>,
    states: &'a BTreeMap<String, Title>,
}

/// What the numbers of a signal mean, as the API names it.
pub(crate) fn kind_name(kind: SignalKind) -> &'static str {
    match kind {
        SignalKind::Number => "number",
        SignalKind::Bool => "bool",
        SignalKind::State => "state",
        SignalKind::Counter => "counter",
    }
}

impl<'a> SignalView<'a> {
    fn of(signal: &'a Signal) -> Self {
        Self {
            name: signal.name.as_str(),
            title: &signal.title,
            unit: &signal.unit,
            kind: kind_name(signal.kind),
            range: signal.range,
            states: &signal.states,
        }
    }
}

impl<'a> DeviceView<'a> {
    fn of(app: &'a App, entry: &'a DeviceEntry, heard: Option<Timestamp>, now: Timestamp) -> Self {
        let after = condition::silence_after(&entry.profile);
        Self {
            id: entry.device.id.as_str(),
            site: entry.device.site.as_str(),
            profile: &entry.device.profile,
            domain: entry.profile.domain,
            name: entry.device.name.as_ref(),
            position: app.web.catalogue.position(entry),
            transport: entry.device.transport.name(),
            gateway: entry.device.gateway.as_ref().map(|gateway| gateway.as_str()),
            attributes: &entry.device.attributes,
            report_interval_ms: entry.profile.report_interval.millis(),
            last_heard: heard.map(Moment::from),
            silent: after.map(|after| condition::is_silent(heard, after, now)),
            signals: None,
        }
    }
}

/// `GET /api/v1/devices[?site=]`. The server's own device stands there only when its site is asked for.
pub(crate) async fn list(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&["site"])?;
    let site = params.text("site");
    if let Some(id) = site
        && app.web.catalogue.site(id).is_none()
    {
        return Err(Problem::missing("site", id, "GET /api/v1/sites lists all sites"));
    }
    let now = app.web.clock.now();
    let heard = app.web.live.heard();
    let all = app.web.catalogue.devices().iter().zip(heard);
    let wanted = all.filter(|(entry, _)| match site {
        Some(site) => entry.device.site.as_str() == site,
        None => entry.profile.domain != Domain::Server,
    });
    let views = wanted.map(|(entry, heard)| DeviceView::of(&app, entry, heard, now));
    Ok(Json(views.collect::<Vec<_>>()).into_response())
}

/// `GET /api/v1/devices/{device}`.
pub(crate) async fn one(
    State(app): Shared,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let (place, entry) = device(&app, &id)?;
    let (heard, _) = app.web.live.device(place);
    let mut view = DeviceView::of(&app, entry, heard, app.web.clock.now());
    view.signals = Some(entry.profile.signals.iter().map(SignalView::of).collect());
    Ok(Json(view).into_response())
}

/// The newest sample of one signal.
#[derive(Debug, Serialize)]
struct LatestView<'a> {
    /// Null where there was no value, e.g. because the unit gave no answer.
    value: Option<f64>,
    unit: &'a str,
    quality: &'static str,
    /// Event time.
    at: Moment,
    age_ms: i64,
}

#[derive(Debug, Serialize)]
struct LatestOfDevice<'a> {
    device: &'a str,
    last_heard: Option<Moment>,
    now: Moment,
    values: BTreeMap<&'a str, LatestView<'a>>,
}

/// The newest sample of every signal of a device: what the live feed saw, else what the store has. Blocking, until the live
/// feed has recalled everything: from then on no store is waited for, which may be an engine that is away.
pub(crate) fn newest(app: &App, place: usize, entry: &DeviceEntry) -> Result<Vec<Option<Sample>>, Problem> {
    let is_whole = app.web.live.is_recalled();
    let (_, seen) = app.web.live.device(place);
    if is_whole {
        return Ok(seen.into_vec());
    }
    let pairs = seen.iter().zip(&entry.series);
    let unseen = pairs.filter_map(|(seen, series)| seen.is_none().then_some(*series));
    let asked: Vec<SeriesId> = unseen.collect();
    let mut stored = app.web.series.latest_many(&asked)?.into_iter();
    let newest = seen.iter().map(|seen| seen.or_else(|| stored.next().flatten()));
    Ok(newest.collect())
}

/// `GET /api/v1/devices/{device}/latest`.
pub(crate) async fn latest(
    State(app): Shared,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let (place, _) = device(&app, &id)?;
    app.blocking(move |app| {
        let (_, entry) = device(app, &id)?;
        let now = app.web.clock.now();
        let samples = newest(app, place, entry)?;
        let values = entry
            .profile
            .signals
            .iter()
            .zip(samples)
            .filter_map(|(signal, sample)| {
                let sample = sample?;
                let view = LatestView {
                    value: sample.reading(),
                    unit: &signal.unit,
                    quality: sample.quality.name(),
                    at: sample.time.into(),
                    age_ms: now.millis_since(sample.time),
                };
                Some((signal.name.as_str(), view))
            });
        let view = LatestOfDevice {
            device: entry.device.id.as_str(),
            last_heard: app.web.live.device(place).0.map(Moment::from),
            now: now.into(),
            values: values.collect(),
        };
        Ok(Json(view).into_response())
    })
    .await
}
