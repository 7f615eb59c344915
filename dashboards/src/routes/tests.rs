//! The form of every answer (design.md §6), what bad requests are told, and what must never get through.

use axum::http::StatusCode;
use serde_json::{Value, json};
use telemetry::Timestamp;
use telemetry::quality::{Bad, Quality};
use telemetry::sample::Sample;

use crate::access::{Access, Role, Token};
use crate::testkit::{Answer, County, HOSTILE, NOW};

fn sample(minutes_ago: i64, value: f64, quality: Quality) -> Sample {
    Sample {
        time: Timestamp::from_millis(NOW.millis() - minutes_ago * 60_000),
        value,
        quality,
    }
}

/// A station that reported three times: 1, 2, and then no answer.
async fn reporting() -> County {
    let county = County::open().await;
    let flow = county.catalogue.series_id("st-1", "flow").unwrap();
    county.series.insert(flow, sample(30, 1.0, Quality::Good));
    county.series.insert(flow, sample(20, 2.0, Quality::Good));
    county
        .series
        .insert(flow, sample(10, 0.0, Quality::Bad(Bad::NoAnswer)));
    county
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn sites_and_devices_are_listed_with_their_state() {
    let county = County::open().await;
    let sites = county.get("/api/v1/sites").await.json();
    assert_eq!(sites.as_array().unwrap().len(), 5);
    let station = &county.get("/api/v1/sites?kind=sewage_station").await.json()[0];
    assert_eq!(station["id"], "station-1");
    assert_eq!(station["state"], "critical");
    assert_eq!(station["open_alarms"], 1);
    assert_eq!(
        station["position"],
        json!({"latitude": 27.50, "longitude": 119.60})
    );
    let devices = county.get("/api/v1/devices?site=depot-1").await.json();
    assert_eq!(devices[0]["id"], "depot-1-valves");
    assert_eq!(devices[0]["silent"], true, "never heard");
    let device = county.get("/api/v1/devices/st-1").await.json();
    assert_eq!(device["signals"][0]["name"], "flow");
    assert_eq!(device["signals"][0]["unit"], "m3/h");
    assert_eq!(device["report_interval_ms"], 900_000);
}

#[tokio::test]
async fn latest_gives_value_unit_quality_and_both_times_and_no_value_where_there_was_none() {
    let county = reporting().await;
    let latest = county.get("/api/v1/devices/st-1/latest").await.json();
    let flow = &latest["values"]["flow"];
    assert_eq!(
        flow["value"],
        Value::Null,
        "the stored 0 of a unit that gave no answer is no reading"
    );
    assert_eq!(flow["quality"], "bad_no_answer");
    assert_eq!(flow["unit"], "m3/h");
    assert_eq!(flow["at"]["ms"], NOW.millis() - 600_000);
    assert_eq!(flow["at"]["time"], "2026-11-23T11:50:00.000Z");
    assert_eq!(flow["age_ms"], 600_000);
}

#[tokio::test]
async fn a_ledger_has_the_fields_of_the_design_and_adds_up() {
    let ledger = County::open()
        .await
        .get("/api/v1/devices/st-1/ledger")
        .await
        .json();
    let have = keys(&ledger);
    for field in [
        "received",
        "stored",
        "duplicate",
        "late",
        "rejected",
        "dead_lettered",
        "missing",
    ] {
        assert!(have.contains(&field), "{field}");
    }
    assert!(ledger["rejected"].is_object(), "by reason");
    assert_eq!(ledger["adds_up"], true);
}

#[tokio::test]
async fn series_have_the_form_of_the_design_raw_and_by_window() {
    let county = reporting().await;
    let raw = county.get("/api/v1/series?device=st-1&signal=flow").await.json();
    assert_eq!(
        (&raw["device"], &raw["signal"], &raw["unit"]),
        (&json!("st-1"), &json!("flow"), &json!("m3/h"))
    );
    let start = NOW.millis() - 30 * 60_000;
    let points = json!([
        [start, 1.0, "good"],
        [start + 600_000, 2.0, "good"],
        [start + 1_200_000, null, "bad_no_answer"],
    ]);
    assert_eq!(raw["points"], points);
    // Windows of half an hour from 11:30: one with two good samples and a bad one.
    for (agg, value) in [
        ("min", json!(1.0)),
        ("max", json!(2.0)),
        ("mean", json!(1.5)),
        ("sum", json!(3.0)),
        ("count", json!(2.0)),
        ("first", json!(1.0)),
        ("last", json!(2.0)),
    ] {
        let address = format!(
            "/api/v1/series?device=st-1&signal=flow&from=2026-11-23T19:30:00%2B08:00&to={}&every=30min&agg={agg}",
            NOW.millis()
        );
        let windows = county.get(&address).await.json();
        assert_eq!(windows["points"], json!([[start, value, "uncertain"]]), "{agg}");
        assert_eq!(windows["every"], "30min");
    }
}

#[tokio::test]
async fn figures_have_the_form_of_the_design() {
    let county = County::open().await;
    let list = county.get("/api/v1/figures").await.json();
    assert!(!list.as_array().unwrap().is_empty());
    for entry in list.as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let figure = county.get(&format!("/api/v1/figures/{name}")).await.json();
        assert_eq!(figure["name"], name);
        let have = keys(&figure);
        for field in [
            "value",
            "unit",
            "numerator",
            "denominator",
            "unknown",
            "excluded",
            "formula",
            "policy",
            "revision",
            "parts",
            "evidence",
        ] {
            assert!(have.contains(&field), "{name}: {field}");
        }
        assert!(
            figure["value"].is_number() || figure["reason"].is_object(),
            "{name}: null needs a reason"
        );
    }
}

#[tokio::test]
async fn every_link_of_evidence_leads_to_an_answer() {
    let county = reporting().await;
    for entry in county.get("/api/v1/figures").await.json().as_array().unwrap() {
        let figure = county
            .get(&format!("/api/v1/figures/{}", entry["name"].as_str().unwrap()))
            .await
            .json();
        let parts = figure["parts"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|part| part["evidence"].as_array().unwrap());
        for path in figure["evidence"].as_array().unwrap().iter().chain(parts) {
            let answer = county.get(path.as_str().unwrap()).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn the_map_is_geojson_with_longitude_first_and_names_as_they_are() {
    let county = County::open().await;
    let answer = county.get("/api/v1/map.geojson?devices=true").await;
    assert_eq!(answer.header("content-type"), "application/geo+json");
    let map = answer.json();
    assert_eq!(map["type"], "FeatureCollection");
    let features = map["features"].as_array().unwrap();
    assert_eq!(features.len(), 6, "five sites and a lamp");
    let cover = features
        .iter()
        .find(|f| f["properties"]["id"] == "cover-1")
        .unwrap();
    assert_eq!(cover["geometry"]["coordinates"], json!([119.75, 27.58]));
    assert_eq!(
        cover["properties"]["name"]["zh"], HOSTILE,
        "JSON carries the text itself"
    );
}

#[tokio::test]
async fn an_alarm_is_listed_acknowledged_once_and_told_to_all() {
    let county = County::open().await;
    let open = county.get("/api/v1/alarms?open=true").await.json();
    assert_eq!(open.as_array().unwrap().len(), 2);
    let id = open[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        open[0]["since"],
        json!({"ms": NOW.millis(), "time": "2026-11-23T12:00:00.000Z"})
    );
    let address = format!("/api/v1/alarms/{id}/ack");
    let body = r#"{"remark": " 已派人 ", "by": "王工"}"#;
    let json_type = ("content-type", "application/json");
    let done = county.post(&address, body, &[json_type]).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(done.json()["state"], "acknowledged");
    assert_eq!(done.json()["acknowledged"]["by"], "王工");
    assert_eq!(done.json()["acknowledged"]["remark"], "已派人");
    let again = county.post(&address, body, &[json_type]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    crate::pulse::decide(&county.app).await;
    let page = county.get("/?lang=zh").await.text;
    assert!(page.contains("王工") && page.contains("已派人"));
}

#[tokio::test]
async fn an_acknowledgement_needs_a_name_a_remark_json_and_the_same_origin() {
    let county = County::open().await;
    let id = county.get("/api/v1/alarms").await.json()[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let address = format!("/api/v1/alarms/{id}/ack");
    let good = r#"{"remark": "ok", "by": "Wang"}"#;
    let json_type = ("content-type", "application/json");
    let long = format!(r#"{{"remark": "{}", "by": "Wang"}}"#, "x".repeat(501));
    let huge = format!(r#"{{"remark": "{}", "by": "Wang"}}"#, "x".repeat(20_000));
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], StatusCode);
    let cases: [Case<'_>; 9] = [
        (r#"{"remark": "ok"}"#, &[json_type], StatusCode::BAD_REQUEST),
        (
            r#"{"remark": "  ", "by": "Wang"}"#,
            &[json_type],
            StatusCode::BAD_REQUEST,
        ),
        (
            r#"{"remark": "a\nb", "by": "Wang"}"#,
            &[json_type],
            StatusCode::BAD_REQUEST,
        ),
        ("not json", &[json_type], StatusCode::BAD_REQUEST),
        (&long, &[json_type], StatusCode::BAD_REQUEST),
        (&huge, &[json_type], StatusCode::PAYLOAD_TOO_LARGE),
        (
            good,
            &[("content-type", "text/plain")],
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            good,
            &[json_type, ("origin", "http://evil.example")],
            StatusCode::FORBIDDEN,
        ),
        (
            good,
            &[json_type, ("sec-fetch-site", "cross-site")],
            StatusCode::FORBIDDEN,
        ),
    ];
    for (body, headers, status) in cases {
        let answer = county.post(&address, body, headers).await;
        assert_eq!(answer.status, status, "{body:.60} {headers:?}: {}", answer.text);
    }
    let unknown = county
        .post("/api/v1/alarms/no~SUCH~1/ack", good, &[json_type])
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_wrong_is_told_as_problem_details_with_what_where_and_what_to_do() {
    let county = reporting().await;
    for (address, status, parameter) in [
        ("/api/v1/devices/none", 404, None),
        ("/api/v1/devices/none/latest", 404, None),
        ("/api/v1/series?signal=flow", 400, Some("device")),
        ("/api/v1/series?device=st-1&signal=none", 404, None),
        (
            "/api/v1/series?device=st-1&signal=flow&from=yesterday",
            400,
            Some("from"),
        ),
        (
            "/api/v1/series?device=st-1&signal=flow&from=2&to=1",
            400,
            Some("from"),
        ),
        (
            "/api/v1/series?device=st-1&signal=flow&every=1h&agg=median",
            400,
            Some("agg"),
        ),
        (
            "/api/v1/series?device=st-1&signal=flow&every=0s",
            400,
            Some("every"),
        ),
        (
            "/api/v1/series?device=st-1&signal=flow&every=1ms&agg=max",
            400,
            None,
        ),
        (
            "/api/v1/series?device=st-1&signal=flow&form=2",
            400,
            Some("query"),
        ),
        ("/api/v1/sites?kind=castle", 400, Some("kind")),
        ("/api/v1/alarms?open=perhaps", 400, Some("open")),
        ("/api/v1/alarms?limit=0", 400, Some("limit")),
        ("/api/v1/figures/none", 404, None),
        ("/api/v1/figures/gas_hazard?scope=moon", 400, Some("scope")),
        ("/api/v1/figures/gas_hazard?scope=site:none", 400, Some("scope")),
        ("/charts/st-1/flow.png", 404, None),
        ("/charts/st-1/flow.svg?width=9", 400, Some("width")),
        ("/no/such/address", 404, None),
    ] {
        let answer = county.get(address).await;
        assert_eq!(answer.status.as_u16(), status, "{address}: {}", answer.text);
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{address}"
        );
        let problem = answer.json();
        assert_eq!(problem["status"], status, "{address}");
        for field in ["type", "title", "detail", "remedy"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "{address}: {field}"
            );
        }
        assert_eq!(
            problem.get("parameter").and_then(Value::as_str),
            parameter,
            "{address}"
        );
    }
    let wrong = county.post("/api/v1/sites", "", &[]).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.json()["title"], "wrong method");
}

const PAGES: [&str; 14] = [
    "/",
    "/sites",
    "/sites?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "/sites?town=%3Cscript%3Ealert(%27x%27)%3C/script%3E%22%26",
    "/sites/station-1?device=st-1&days=7",
    "/sites/cover-1",
    "/alarms",
    "/figures",
    "/figures/sewage_om_coverage",
    "/figures/gas_hazard",
    "/dead-letters",
    "/fragments/alarms",
    "/map.svg",
    "/charts/cv-1/tilt.svg",
];

#[tokio::test]
async fn no_name_from_outside_becomes_markup_on_any_page_or_drawing() {
    let county = County::open().await;
    let mut seen = 0;
    for page in PAGES {
        for lang in ["zh", "en"] {
            let join = if page.contains('?') { '&' } else { '?' };
            let answer = county.get(&format!("{page}{join}lang={lang}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{page}: {}", answer.text);
            assert!(!answer.text.contains("<script>"), "{page} in {lang}");
            assert!(
                !answer.text.contains("alert('x')"),
                "{page} in {lang}: quotes are escaped too"
            );
            seen += usize::from(answer.text.contains("alert(&#39;x&#39;)"));
        }
    }
    assert!(
        seen >= 8,
        "the hostile name shows, escaped, on the pages that name the cover: {seen}"
    );
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_the_browser() {
    let county = County::open().await;
    for address in [
        "/",
        "/api/v1/sites",
        "/map.svg",
        "/assets/app.js",
        "/none",
        "/healthz",
    ] {
        let answer = county.get(address).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{address}"
        );
        assert!(!policy.contains("unsafe"), "{address}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{address}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{address}");
    }
    for page in ["/", "/sites/station-1", "/figures", "/alarms"] {
        let text = county.get(page).await.text;
        assert!(
            !text.contains(" style=") && !text.contains(" onclick=") && !text.contains("://"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn the_county_page_speaks_both_languages_and_remembers_the_choice() {
    let county = County::open().await;
    let english = county.get("/?lang=en").await;
    assert!(english.text.contains("Model County") && english.text.contains("level very high"));
    assert!(english.header("set-cookie").starts_with("townwatch_lang=en;"));
    let chinese = county.get("/").await;
    assert!(chinese.text.contains("示范县") && chinese.text.contains("液位超高"));
    assert!(
        chinese.text.contains("3.40 m") && chinese.text.contains("3.30 m"),
        "value and limit with unit"
    );
    assert_eq!(chinese.header("set-cookie"), "");
}

#[tokio::test]
async fn with_tokens_nobody_comes_in_without_one_and_readers_cannot_acknowledge() {
    let tokens = vec![
        Token::of("r-token", "Reader", Role::Read),
        Token::of("o-token", "Li", Role::Operate),
    ];
    let county = County::with(&[("st-1", "SW-POWER")], Access::Tokens(tokens)).await;
    for address in [
        "/",
        "/api/v1/sites",
        "/api/v1/live",
        "/metrics",
        "/map.svg",
        "/alarms",
    ] {
        let refused = county.get(address).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{address}");
        assert_eq!(
            refused.header("www-authenticate"),
            "Bearer realm=\"townwatch\"",
            "{address}"
        );
    }
    assert_eq!(county.get("/healthz").await.status, StatusCode::OK);
    let address = "/api/v1/alarms/st-1~SW-POWER~1/ack";
    let body = r#"{"remark": "on my way", "by": "somebody else"}"#;
    let json_type = ("content-type", "application/json");
    let reader = county
        .post(address, body, &[json_type, ("authorization", "Bearer r-token")])
        .await;
    assert_eq!(reader.status, StatusCode::FORBIDDEN);
    let operator = county
        .post(address, body, &[json_type, ("authorization", "Bearer o-token")])
        .await;
    assert_eq!(
        operator.json()["acknowledged"]["by"],
        "Li",
        "the name is the token's, not the body's"
    );
}

#[tokio::test]
async fn a_browser_signs_in_with_its_token_and_gets_a_cookie_that_scripts_cannot_read() {
    let county = County::with(&[], Access::Tokens(vec![Token::of("tok-1", "Li", Role::Operate)])).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let wrong = county.post("/login", "token=tok-2", &[form]).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.headers.get("set-cookie").is_none());
    let foreign = county
        .post(
            "/login",
            "token=tok-1",
            &[form, ("origin", "http://evil.example")],
        )
        .await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let right = county.post("/login", "token=tok-1", &[form]).await;
    assert_eq!(right.status, StatusCode::SEE_OTHER);
    let cookie = right.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
}

#[tokio::test]
async fn metrics_are_prometheus_text_and_readiness_waits_for_the_first_decision() {
    let county = County::open().await;
    let metrics = county.get("/metrics").await.text;
    assert!(metrics.contains("townwatch_open_alarms 2\n"));
    assert!(metrics.contains("townwatch_sites{state=\"no_data\"} 3\n"));
    assert!(metrics.ends_with("townwatch_more 1\n"));
    assert_eq!(county.get("/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_live_feed_sends_what_happens_and_ends_with_the_server() {
    use tower::ServiceExt as _;
    let county = County::open().await;
    let request = axum::http::Request::get("/api/v1/live")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = county.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    county.app.bus.send("site", &json!({ "sites": [] }));
    county.cancel.cancel();
    let whole = axum::body::to_bytes(response.into_body(), 1 << 20);
    let whole = tokio::time::timeout(std::time::Duration::from_secs(10), whole)
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8(whole.to_vec()).unwrap();
    assert!(text.contains("event: hello"), "{text}");
    let answer = Answer {
        status: StatusCode::OK,
        headers: axum::http::HeaderMap::new(),
        text,
    };
    assert!(!answer.text.contains("undefined"));
}

#[tokio::test]
async fn a_client_that_falls_behind_is_told_to_fetch_anew() {
    use tokio_stream::StreamExt as _;
    use tower::ServiceExt as _;
    let county = County::open().await;
    let request = axum::http::Request::get("/api/v1/live")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = county.router.clone().oneshot(request).await.unwrap();
    for n in 0..crate::live::bus::EVENTS_MAX * 2 {
        county.app.bus.send("site", &json!({ "n": n }));
    }
    let mut stream = response.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains("event: resync") {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), stream.next()).await;
        text.push_str(std::str::from_utf8(&next.unwrap().unwrap().unwrap()).unwrap());
    }
}

/// Addresses of the nested API router and of the door for pushed readings as `routes.rs` writes them.
fn api_routes() -> Vec<String> {
    let source = include_str!("../routes.rs");
    let routes = |router: &str, until: &str, below: &str| -> Vec<String> {
        let begin = format!("let {router} = Router::new()");
        let part = source.split(&begin).nth(1).unwrap().split(until).next().unwrap();
        part.split(".route(")
            .skip(1)
            .map(|rest| format!("{below}{}", rest.split('"').nth(1).unwrap()))
            .collect()
    };
    let mut all = routes("api", "let guarded", "/api/v1");
    all.extend(routes("pushed", "Router::new()\n        .merge", ""));
    all
}

#[test]
fn the_description_of_the_api_covers_every_address_and_no_other() {
    let description: Value = serde_json::from_str(crate::api::openapi::TEXT).unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    let mut described: Vec<String> = keys(&description["paths"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut routed = api_routes();
    described.sort();
    routed.sort();
    assert!(routed.len() > 10);
    assert_eq!(described, routed);
    for (path, item) in description["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            assert!(
                operation["summary"].is_string()
                    && ["200", "201", "204"]
                        .iter()
                        .any(|code| operation["responses"][code].is_object()),
                "{path}"
            );
        }
    }
}
