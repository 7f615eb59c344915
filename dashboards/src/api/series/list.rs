//! `GET series/list`: which series there are, by device, signal, site, town and profile.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetry::profile::{Domain, Signal, Title};
use telemetry::registry::Site;
use telemetry::{DeviceEntry, SeriesId};

use crate::api::devices::kind_name;
use crate::api::{Shared, device};
use crate::limits::SERIES_LISTED_MAX;
use crate::params::Params;
use crate::problem::Problem;

#[derive(Debug, Serialize)]
struct ListedView<'a> {
    /// The number by which `townwatch verify` and the log name it.
    number: u32,
    device: &'a str,
    signal: &'a str,
    title: &'a Title,
    unit: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    profile: &'a str,
    site: &'a str,
    town: &'a str,
}

impl<'a> ListedView<'a> {
    fn of(site: &'a Site, entry: &'a DeviceEntry, signal: &'a Signal, series: SeriesId) -> Self {
        Self {
            number: series.0,
            device: entry.device.id.as_str(),
            signal: signal.name.as_str(),
            title: &signal.title,
            unit: &signal.unit,
            kind: kind_name(signal.kind),
            profile: &entry.device.profile,
            site: site.id.as_str(),
            town: &site.town,
        }
    }
}

/// `GET /api/v1/series/list[?device=][&signal=][&site=][&town=][&profile=][&skip=][&limit=]`, in the order of the registry. The
/// server's own series stand there only when its device or site is asked for.
pub(crate) async fn list(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&["device", "signal", "site", "town", "profile", "skip", "limit"])?;
    let most = u32::try_from(SERIES_LISTED_MAX).unwrap_or(u32::MAX);
    let limit = usize::try_from(params.number("limit", 1..=most, most)?).unwrap_or(SERIES_LISTED_MAX);
    let skip = usize::try_from(params.number("skip", 0..=u32::MAX, 0)?).unwrap_or(usize::MAX);
    let catalogue = &app.web.catalogue;
    if let Some(id) = params.text("device") {
        device(&app, id)?;
    }
    if let Some(id) = params.text("site")
        && catalogue.site(id).is_none()
    {
        return Err(Problem::missing("site", id, "GET /api/v1/sites lists all sites"));
    }
    let is_named = params.text("device").is_some() || params.text("site").is_some();
    let is = |name: &str, value: &str| params.text(name).is_none_or(|wanted| wanted == value);
    let devices = catalogue.devices().iter().filter_map(|entry| {
        let site = catalogue.sites().get(entry.site)?;
        let wanted = is("device", entry.device.id.as_str())
            && is("site", site.id.as_str())
            && is("town", &site.town)
            && is("profile", &entry.device.profile)
            && (is_named || entry.profile.domain != Domain::Server);
        wanted.then_some((site, entry))
    });
    let series = devices.flat_map(|(site, entry)| {
        let pairs = entry.profile.signals.iter().zip(&entry.series);
        pairs.map(move |(signal, series)| (site, entry, signal, *series))
    });
    let mut found = series
        .filter(|(_, _, signal, _)| is("signal", signal.name.as_str()))
        .skip(skip);
    let views: Vec<ListedView<'_>> = (found.by_ref().take(limit))
        .map(|(site, entry, signal, series)| ListedView::of(site, entry, signal, series))
        .collect();
    let more = found.next().is_some();
    let mut response = Json(views).into_response();
    if more {
        let name = HeaderName::from_static("townwatch-more");
        response
            .headers_mut()
            .insert(name, axum::http::HeaderValue::from_static("true"));
    }
    Ok(response)
}
