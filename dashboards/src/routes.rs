//! Every address of the web, and what stands around each request: bounds, access, headers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::problem::Problem;
use crate::web::App;
use crate::{api, assets, limits, pages};

/// The router over everything.
pub(crate) fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/sites", get(api::sites::list))
        .route("/sites/{site}", get(api::sites::one))
        .route("/devices", get(api::devices::list))
        .route("/devices/{device}", get(api::devices::one))
        .route("/devices/{device}/latest", get(api::devices::latest))
        .route("/devices/{device}/ledger", get(api::account::ledger))
        .route("/devices/{device}/modbus", get(api::field::link))
        .route("/devices/{device}/identify", post(api::field::identify))
        .route("/devices/{device}/write", post(api::field::write))
        .route("/audit", get(api::field::audit))
        .route(
            "/devices/{device}/credential",
            get(api::access::of_device).post(api::access::change_device),
        )
        .route("/accounts", get(api::access::accounts))
        .route(
            "/accounts/{account}/credential",
            post(api::access::change_account),
        )
        .route("/series", get(api::series::series))
        .route("/series/list", get(api::series::list::list))
        .route("/export", get(api::export::export))
        .route("/alarms", get(api::alarms::list))
        .route("/rules", get(api::rules::list))
        .route("/alarms/log", get(api::alarm_log::list))
        .route("/alarms/{id}/ack", post(api::alarms::acknowledge))
        .route("/alarms/{id}/{action}", post(api::operate::alarm))
        .route("/devices/{device}/alarms/{action}", post(api::operate::device))
        .route("/cases", get(api::cases::list).post(api::cases::file))
        .route("/cases/{id}", get(api::cases::one))
        .route("/cases/{id}/{action}", post(api::cases::act))
        .route("/figures", get(api::figures::list))
        .route("/figures/{name}", get(api::figures::one))
        .route("/map.geojson", get(api::map::geojson))
        .route("/dead-letters", get(api::account::dead_letters))
        .route("/live", get(api::live::live))
        .route("/openapi.json", get(api::openapi::openapi));
    let guarded = Router::new()
        .nest("/api/v1", api)
        .route("/metrics", get(api::operation::metrics))
        .route("/map.svg", get(api::map::svg))
        .merge(for_people())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), admit));
    // Who pushes is asked for a device's credentials, who registers itself for its token: not for one of the pages.
    let pushed = Router::new()
        .route("/api/v1/provision", post(api::access::provision))
        .route("/api/v1/telemetry", post(api::telemetry::push))
        .route("/api/v1/telemetry/{device}", post(api::telemetry::push_for))
        .route("/api/v2/write", post(api::telemetry::write));
    Router::new()
        .merge(guarded)
        .merge(pushed)
        .route("/ping", get(api::telemetry::ping))
        .route("/health", get(api::telemetry::health))
        .route("/healthz", get(api::operation::health))
        .route("/readyz", get(api::operation::ready))
        .route("/login", get(pages::login::form).post(pages::login::sign_in))
        .route("/assets/{file}", get(assets::asset))
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .layer(middleware::from_fn(protect))
        .with_state(app)
}

/// The pages, and what they fetch anew.
fn for_people() -> Router<Arc<App>> {
    Router::new()
        .route("/charts/{device}/{file}", get(pages::charts::chart))
        .route("/fragments/alarms", get(pages::alarm_item::fragment))
        .route("/fragments/cases", get(pages::cases::fragment))
        .route("/fragments/cases/{id}", get(pages::case::fragment))
        .route("/fragments/figures", get(pages::figures::fragment))
        .route("/fragments/headlines", get(pages::figures::headlines_fragment))
        .route("/fragments/latest", get(pages::latest::fragment))
        .route("/", get(pages::county::county))
        .route("/sites", get(pages::sites::sites))
        .route("/sites/{site}", get(pages::site::site))
        .route("/alarms", get(pages::alarms::alarms))
        .route("/cases", get(pages::cases::list))
        .route("/cases/{id}", get(pages::case::one))
        .route("/figures", get(pages::figures::list))
        .route("/figures/{name}", get(pages::figures::one))
        .route("/figures/{name}/course.svg", get(pages::course::svg))
        .route("/dead-letters", get(pages::dead_letters::dead_letters))
}

/// Lets in who may come in, and tells the handlers who it is.
async fn admit(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let caller = app.web.access.admit(request.headers())?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// What a page may load and who may frame it. SVG documents of their own may also use their style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Bounds the time of a request and sets the headers that every answer carries.
async fn protect(request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(limits::REQUEST_TIME, next.run(request)).await;
    let mut response = match answered {
        Ok(response) => response,
        Err(_) => Problem::busy("the request took too long").into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn nothing(request: Request) -> Problem {
    Problem::missing(
        "address",
        request.uri().path(),
        "GET /api/v1/openapi.json lists the API; the pages start at /",
    )
}

async fn wrong_method(method: Method, request: Request) -> Problem {
    Problem::wrong_method(&method, request.uri().path())
}

#[cfg(test)]
mod access_tests;
#[cfg(test)]
mod alarm_health_tests;
#[cfg(test)]
mod case_tests;
#[cfg(test)]
mod operate_tests;
#[cfg(test)]
mod series_tests;
#[cfg(test)]
mod tests;
