//! The newest value of every signal of a device, as a table.

use askama::Template;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use telemetry::DeviceEntry;
use telemetry::profile::Signal;

use super::shell::Ask;
use crate::api::{self, Shared};
use crate::problem::Problem;
use crate::text::{self, Lang, Texts};
use crate::unit;
use crate::web::App;

struct Row {
    name: String,
    title: String,
    value: String,
    unit: String,
    quality: &'static str,
    good: bool,
    time: String,
    age: String,
}

#[derive(Template)]
#[template(path = "latest.html")]
struct LatestTable {
    t: &'static Texts,
    rows: Vec<Row>,
}

/// The table as HTML. Blocking.
pub(crate) fn latest(app: &App, entry: &DeviceEntry, lang: Lang) -> Result<String, Problem> {
    let place = app
        .web
        .catalogue
        .device_index(entry.device.id.as_str())
        .unwrap_or(usize::MAX);
    let now = app.web.clock.now();
    let samples = api::devices::newest(app, place, entry)?;
    let rows = entry
        .profile
        .signals
        .iter()
        .zip(samples)
        .map(|(signal, sample)| Row {
            name: signal.name.to_string(),
            title: lang.of(&signal.title).to_owned(),
            value: sample
                .as_ref()
                .and_then(telemetry::Sample::reading)
                .map_or_else(|| "–".to_owned(), |value| bare(signal, value, lang)),
            unit: unit::printed(&signal.unit).to_owned(),
            quality: match sample {
                None => lang.texts().no_data,
                Some(sample) => text::quality_name(sample.quality, lang),
            },
            good: sample.is_some_and(|sample| sample.quality.is_good()),
            time: sample
                .map(|sample| app.civil.second(sample.time))
                .unwrap_or_default(),
            age: sample
                .map(|sample| text::age(now.millis_since(sample.time), lang))
                .unwrap_or_default(),
        });
    super::text(&LatestTable {
        t: lang.texts(),
        rows: rows.collect(),
    })
}

/// A value without its unit, or the name of its state.
fn bare(signal: &Signal, value: f64, lang: Lang) -> String {
    match signal.states.get(&unit::number(value, 0)) {
        Some(state) => lang.of(state).to_owned(),
        None => unit::number(value, signal.decimals),
    }
}

/// `GET /fragments/latest?device=`.
pub(crate) async fn fragment(State(app): Shared, ask: Ask) -> Result<Response, Problem> {
    ask.params.only(&["lang", "device"])?;
    let id = ask.params.required("device")?.to_owned();
    app.blocking(move |app| {
        let (_, entry) = api::device(app, &id)?;
        Ok(Html(latest(app, entry, ask.lang)?).into_response())
    })
    .await
}
