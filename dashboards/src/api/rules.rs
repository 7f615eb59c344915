//! `GET rules`: which rules are in force, since when, and where they differ from their profiles.

use alarms::service::{GroupView, RuleView};
use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Shared;
use crate::book::{InForce, Moment};
use crate::params::Params;
use crate::problem::Problem;

/// The rules in force, with their times in both forms.
#[derive(Serialize)]
pub(crate) struct Answer {
    version: u32,
    book: String,
    digest: String,
    since: Moment,
    next_change: Option<Moment>,
    count: usize,
    rules: Vec<RuleView>,
    groups: Vec<GroupView>,
}

impl From<InForce> for Answer {
    fn from(found: InForce) -> Self {
        Self {
            version: found.version,
            book: found.book,
            digest: found.digest,
            since: found.since.into(),
            next_change: found.next_change.map(Into::into),
            count: found.count,
            rules: found.rules,
            groups: found.groups,
        }
    }
}

/// `GET /api/v1/rules[?site=][&device=]`.
pub(crate) async fn list(State(app): Shared, params: Params) -> Result<Json<Answer>, Problem> {
    params.only(&["site", "device"])?;
    let (site, device) = (
        params.text("site").map(str::to_owned),
        params.text("device").map(str::to_owned),
    );
    if let Some(id) = &site
        && app.web.catalogue.site(id).is_none()
    {
        return Err(Problem::missing("site", id, "GET /api/v1/sites lists all sites"));
    }
    if let Some(id) = &device
        && app.web.catalogue.device(id).is_none()
    {
        return Err(Problem::missing(
            "device",
            id,
            "GET /api/v1/devices lists all devices",
        ));
    }
    app.blocking(move |app| {
        let found = app.web.alarms.rules(site.as_deref(), device.as_deref());
        Ok(Json(found.into()))
    })
    .await
}
