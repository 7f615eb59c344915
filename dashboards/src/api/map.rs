//! `GET map.geojson` and `/map.svg`.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use telemetry::registry::{Position, SiteKind};

use super::Shared;
use super::sites::SiteView;
use crate::map::{self, MapOf};
use crate::params::Params;
use crate::problem::Problem;
use crate::text::Lang;

fn feature(position: Position, properties: Value) -> Value {
    json!({
        "type": "Feature",
        "geometry": { "type": "Point", "coordinates": [position.longitude, position.latitude] },
        "properties": properties,
    })
}

/// `GET /api/v1/map.geojson[?devices=true]`: all sites, and on wish the devices with a position of their own
/// (lamps). WGS 84, longitude first. Source: RFC 7946.
pub(crate) async fn geojson(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&["devices"])?;
    let with_devices: bool = params.parse("devices")?.unwrap_or(false);
    app.blocking(move |app| {
        let catalogue = &app.web.catalogue;
        let snapshot = app.board.read();
        let sites = catalogue.sites().iter().enumerate().filter_map(|(place, site)| {
            if site.kind == SiteKind::Server {
                return None;
            }
            let mut view = serde_json::to_value(SiteView::at(catalogue, &snapshot, place)?).ok()?;
            view.as_object_mut()?.insert("feature".to_owned(), "site".into());
            Some(feature(site.position, view))
        });
        let mut features: Vec<Value> = sites.collect();
        if with_devices {
            features.extend(
                catalogue
                    .devices()
                    .iter()
                    .enumerate()
                    .filter_map(|(place, entry)| {
                        let properties = json!({
                            "feature": "device",
                            "id": entry.device.id,
                            "site": entry.device.site,
                            "profile": entry.device.profile,
                            "alarm": snapshot.by_device.get(&place),
                            "last_heard": snapshot.heard.get(place).copied().flatten(),
                        });
                        Some(feature(entry.device.position?, properties))
                    }),
            );
        }
        let body = json!({ "type": "FeatureCollection", "features": features }).to_string();
        Ok(([(header::CONTENT_TYPE, "application/geo+json")], body).into_response())
    })
    .await
}

/// `GET /map.svg[?lang=][&width=]`.
pub(crate) async fn svg(
    State(app): Shared,
    headers: axum::http::HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["lang", "width"])?;
    let lang = Lang::choose(params.text("lang"), &headers);
    let width = params.number("width", 100..=4000, 900)?;
    app.blocking(move |app| {
        let snapshot = app.board.read();
        let map = app.maps.get(lang, width, |width| {
            let of = MapOf {
                catalogue: &app.web.catalogue,
                snapshot: &snapshot,
                live: &app.web.live,
                lang,
                width,
            };
            map::svg(&of).map_err(|error| Problem::internal("drawing the map", &error))
        })?;
        Ok(([(header::CONTENT_TYPE, "image/svg+xml")], map.to_string()).into_response())
    })
    .await
}
