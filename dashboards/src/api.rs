//! `/api/v1/…`: what other programs rely on (`docs/api.md`, `design.md` §6).
//!
//! Each file below holds one family of addresses: the handlers and the form of their answers.

pub(crate) mod access;
pub(crate) mod account;
pub(crate) mod alarm_log;
pub(crate) mod alarms;
pub(crate) mod cases;
pub(crate) mod devices;
pub(crate) mod export;
pub(crate) mod field;
pub(crate) mod figures;
pub(crate) mod live;
pub(crate) mod map;
pub(crate) mod openapi;
pub(crate) mod operate;
pub(crate) mod operation;
pub(crate) mod rules;
pub(crate) mod series;
pub(crate) mod sites;
pub(crate) mod telemetry;

use std::sync::Arc;

use ::telemetry::DeviceEntry;

use crate::problem::Problem;
use crate::web::App;

/// What handlers are given.
pub(crate) type Shared = axum::extract::State<Arc<App>>;

/// The device of that id with its place.
pub(crate) fn device<'a>(app: &'a App, id: &str) -> Result<(usize, &'a DeviceEntry), Problem> {
    let catalogue = &app.web.catalogue;
    catalogue
        .device_index(id)
        .and_then(|place| Some((place, catalogue.devices().get(place)?)))
        .ok_or_else(|| Problem::missing("device", id, "GET /api/v1/devices lists all devices"))
}
