//! `GET sites`: every place with its state.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetry::Catalogue;
use telemetry::profile::Title;
use telemetry::registry::{Attribute, Position, Site, SiteKind};

use super::Shared;
use crate::book::Moment;
use crate::live::board::Snapshot;
use crate::params::Params;
use crate::problem::Problem;

/// A site with its state.
#[derive(Debug, Serialize)]
pub(crate) struct SiteView<'a> {
    id: &'a str,
    kind: SiteKind,
    name: &'a Title,
    organisation: &'a str,
    town: &'a str,
    position: Position,
    attributes: &'a BTreeMap<Box<str>, Attribute>,
    /// `no_data`, `normal`, a priority, or for gas sites a colour.
    state: &'static str,
    some_silent: bool,
    open_alarms: u32,
    last_heard: Option<Moment>,
}

impl<'a> SiteView<'a> {
    /// The site at that place of the catalogue.
    pub(crate) fn at(catalogue: &'a Catalogue, snapshot: &Snapshot, place: usize) -> Option<Self> {
        let site: &Site = catalogue.sites().get(place)?;
        let now = snapshot.sites.get(place)?;
        Some(Self {
            id: site.id.as_str(),
            kind: site.kind,
            name: &site.name,
            organisation: &site.organisation,
            town: &site.town,
            position: site.position,
            attributes: &site.attributes,
            state: now.condition.code(),
            some_silent: now.some_silent,
            open_alarms: now.open,
            last_heard: now.heard.map(Moment::from),
        })
    }
}

/// `GET /api/v1/sites[?kind=]`. The server itself stands there only when asked for by `kind=server`.
pub(crate) async fn list(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&["kind"])?;
    let kind = params.text("kind");
    if let Some(kind) = kind
        && !crate::text::KINDS
            .iter()
            .chain(&[SiteKind::Server])
            .any(|known| crate::text::kind_code(*known) == kind)
    {
        let known = crate::text::KINDS.map(crate::text::kind_code).join(", ");
        return Err(Problem::bad_parameter(
            "kind",
            "there is no such kind of site",
            format!("known are {known}"),
        ));
    }
    let snapshot = app.board.read();
    let catalogue = &app.web.catalogue;
    let all = (0..catalogue.sites().len()).filter_map(|place| SiteView::at(catalogue, &snapshot, place));
    let wanted = all.filter(|site| match kind {
        Some(kind) => crate::text::kind_code(site.kind) == kind,
        None => site.kind != SiteKind::Server,
    });
    Ok(Json(wanted.collect::<Vec<_>>()).into_response())
}

/// `GET /api/v1/sites/{site}`.
pub(crate) async fn one(
    State(app): Shared,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let catalogue = &app.web.catalogue;
    let snapshot = app.board.read();
    let place = catalogue.sites().iter().position(|site| site.id.as_str() == id);
    let view = place.and_then(|place| SiteView::at(catalogue, &snapshot, place));
    let view = view.ok_or_else(|| Problem::missing("site", &id, "GET /api/v1/sites lists all sites"))?;
    Ok(Json(view).into_response())
}
