//! `GET export`: points as a file, streamed while it is read.

mod pieces;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use store::series::Cancel;
use telemetry::Timestamp;

use self::pieces::{Received, Sent};
use super::Shared;
use super::series::period;
use crate::exporter::{ExportForm, ExportOrder};
use crate::params::Params;
use crate::problem::Problem;

/// `GET /api/v1/export?[from=][&to=][&series=][&format=]`. A file that is not whole ends with a broken connection.
pub(crate) async fn export(State(app): Shared, params: Params) -> Result<Response, Problem> {
    params.only(&["from", "to", "series", "format"])?;
    let (from, to) = period(&app, &params, 1)?;
    let form = form(&params)?;
    let patterns = params.text("series").unwrap_or_default().split(',');
    let series = patterns.map(str::trim).filter(|text| !text.is_empty());
    let order = ExportOrder {
        from,
        to,
        series: series.map(str::to_owned).collect(),
        form,
    };
    let place = app.exports.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem::busy("as many exports as may are under way"))?;
    let job = app.web.exporter.plan(order).map_err(|why| {
        let remedy =
            "GET /api/v1/series/list tells which series there are; write series=DEVICE/SIGNAL, with * and ?";
        Problem::bad_parameter("series", why, remedy)
    })?;
    let cancel = Cancel::new();
    let (sent, received) = pieces::pair();
    let body = Received::new(received, cancel.clone(), app.cancel.clone());
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut sent = Sent::new(sent, runtime);
        let ended = job(&mut sent, &cancel).and_then(|()| sent.finish());
        if let Err(error) = ended {
            if cancel.is_cancelled() || sent.is_given_up() {
                tracing::debug!(%error, "an export ended before its end: nobody takes it");
            } else {
                tracing::error!(error = telemetry::with_causes(&error), "an export failed");
            }
        }
        drop(place);
    });
    let name = file_name(from, to, form);
    let name = HeaderValue::try_from(format!("attachment; filename=\"{name}\""))
        .map_err(|error| Problem::internal("naming a file", &error))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(form.media_type())),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

fn form(params: &Params) -> Result<ExportForm, Problem> {
    let name = params.text("format").unwrap_or("csv");
    ExportForm::named(name).ok_or_else(|| {
        let shown: String = name.chars().take(40).collect();
        Problem::bad_parameter(
            "format",
            format!("there is no format {shown:?}"),
            "write csv or parquet",
        )
    })
}

/// `townwatch-20261101T000000Z-20261201T000000Z.csv`.
fn file_name(from: Timestamp, to: Timestamp, form: ExportForm) -> String {
    let plain = |at: Timestamp| -> String {
        let text = at.to_rfc3339();
        let seconds = text.split('.').next().unwrap_or(&text);
        let mut plain: String = seconds.chars().filter(char::is_ascii_alphanumeric).collect();
        if !plain.ends_with('Z') {
            plain.push('Z');
        }
        plain
    };
    format!("townwatch-{}-{}.{}", plain(from), plain(to), form.extension())
}

#[cfg(test)]
mod tests;
