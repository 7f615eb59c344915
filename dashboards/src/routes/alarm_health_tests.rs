//! Alarm health over the API and on the pages: figures with their rows, scopes, bad requests, chart.

use axum::http::StatusCode;
use serde_json::{Value, json};
use store::state::alarms::{AlarmCommit, LogRow};
use telemetry::Timestamp;

use crate::access::Access;
use crate::testkit::{County, NOW};

const HOUR_MS: i64 = 3_600_000;

fn ago(hours: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() - hours * HOUR_MS)
}

fn row(seq: u64, hours_ago: i64, event: &str, rule: &str, body: &Value) -> LogRow {
    let at = ago(hours_ago);
    let mut whole = json!({"priority": "critical", "quality": "good", "raised_at": at.millis(), "since": at.millis(),
        "state": "unacknowledged", "tags": [], "to": null, "value": 3.2});
    for (name, value) in body.as_object().unwrap() {
        whole[name] = value.clone();
    }
    LogRow {
        seq,
        at,
        event: event.into(),
        rule: rule.into(),
        occurrence: 1,
        by: None,
        remark: None,
        body: whole.to_string(),
    }
}

/// A county with two calls of the station and one of the cover, a test, what somebody was told, and a shelf without a reason.
async fn noisy() -> County {
    let county = County::with(&[], Access::OpenOnLoopback).await;
    let station = "st-1/SW-LEVEL-HH";
    let page = json!({"page": true});
    let mut shelf = row(6, 1, "shelved", station, &json!({"until": NOW.millis()}));
    shelf.by = Some("王工".into());
    let log = vec![
        row(1, 9, "raised", station, &page),
        row(2, 9, "notified", station, &json!({})),
        row(3, 3, "re_alarmed", station, &page),
        row(4, 2, "raised", station, &json!({"page": true, "tags": ["test"]})),
        row(5, 2, "raised", "cv-1/COVER-OPEN", &page),
        shelf,
    ];
    let commit = AlarmCommit {
        log,
        ..AlarmCommit::default()
    };
    county.app.web.state.commit_alarms(&commit).unwrap();
    county
}

fn period() -> String {
    format!("from={}&to={}", ago(10).millis(), NOW.millis())
}

fn numbers(rows: &Value) -> Vec<u64> {
    let rows = rows.as_array().unwrap();
    rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn every_call_that_a_figure_counts_is_one_row_of_its_evidence() {
    let county = noisy().await;
    let figure = county
        .get(&format!("/api/v1/figures/alarm_rate?{}", period()))
        .await
        .json();
    // Three calls in ten hours.
    assert_eq!(
        (&figure["value"], &figure["unit"]),
        (&json!(0.3), &json!("{call}/h")),
        "{figure}"
    );
    assert_eq!(figure["excluded"][0]["code"], "test");
    assert_eq!(figure["parts"][0]["organisation"], "om-a");
    let rows = county.get(figure["evidence"][0].as_str().unwrap()).await.json();
    assert_eq!(numbers(&rows), [5, 3, 1]);
    assert!(rows.as_array().unwrap().iter().all(|row| row["call"] == true));
    let first = &rows[2];
    assert_eq!(
        (&first["alarm"], &first["event"]),
        (&json!("st-1~SW-LEVEL-HH~1"), &json!("raised"))
    );
    assert_eq!(first["at"]["time"], "2026-11-23T03:00:00.000Z");
    // Every other link leads to rows as well.
    let names = [
        "alarm_top_ten",
        "alarm_priority_mix",
        "alarm_unauthorised_suppression",
    ];
    for name in names {
        let figure = county
            .get(&format!("/api/v1/figures/{name}?{}", period()))
            .await
            .json();
        for part in figure["parts"].as_array().unwrap() {
            let link = part["evidence"][0].as_str().unwrap();
            let rows = county.get(link).await.json();
            assert!(!rows.as_array().unwrap().is_empty(), "{link}");
        }
    }
    let aside = county
        .get(&format!(
            "/api/v1/figures/alarm_unauthorised_suppression?{}",
            period()
        ))
        .await
        .json();
    assert_eq!(aside["value"], 1.0);
    assert_eq!(aside["parts"][0]["notes"][0]["en"], "1: no reason or permit");
    let link = aside["parts"][0]["evidence"][0].as_str().unwrap();
    assert_eq!(numbers(&county.get(link).await.json()), [6]);
}

#[tokio::test]
async fn the_log_is_read_by_time_scope_event_and_page() {
    let county = noisy().await;
    let ask = async |query: &str| {
        county
            .get(&format!("/api/v1/alarms/log?{}{query}", period()))
            .await
    };
    // What somebody was told is no row of it.
    assert_eq!(numbers(&ask("").await.json()), [6, 5, 4, 3, 1]);
    assert_eq!(numbers(&ask("&event=raised,shelved").await.json()), [6, 5, 4, 1]);
    assert_eq!(numbers(&ask("&scope=site:cover-1").await.json()), [5]);
    assert_eq!(
        numbers(&ask("&scope=rule:SW-LEVEL-HH&calls=true").await.json()),
        [3, 1]
    );
    assert_eq!(numbers(&ask("&scope=rule:no/SUCH").await.json()), [0_u64; 0]);
    let page = ask("&limit=2").await;
    assert_eq!(
        (page.header("townwatch-more"), numbers(&page.json())),
        ("true", vec![6, 5])
    );
    assert_eq!(numbers(&ask("&limit=2&before=5").await.json()), [4, 3]);
    // Without a time: the last day.
    assert_eq!(
        numbers(&county.get("/api/v1/alarms/log?calls=true").await.json()),
        [5, 3, 1]
    );
    for (query, parameter) in [
        ("&event=raised,sung", "event"),
        ("&scope=site:none", "scope"),
        ("&scope=moon", "scope"),
        ("&calls=perhaps", "calls"),
        ("&limit=1001", "limit"),
    ] {
        let refused = ask(query).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(refused.json()["parameter"], parameter, "{query}");
    }
}

#[tokio::test]
async fn only_the_figures_of_alarms_know_rules() {
    let county = noisy().await;
    let one = format!(
        "/api/v1/figures/alarm_rate?{}&scope=rule:st-1/SW-LEVEL-HH",
        period()
    );
    let figure = county.get(&one).await.json();
    assert_eq!(
        (&figure["numerator"], &figure["parts"][0]["rule"]),
        (&json!(2.0), &json!("st-1/SW-LEVEL-HH"))
    );
    for address in [
        "/api/v1/figures/alarm_rate?scope=rule:NONE",
        "/api/v1/figures/lighting_rate?scope=rule:SW-LEVEL-HH",
    ] {
        let refused = county.get(address).await;
        assert_eq!(
            (refused.status, refused.json()["parameter"].clone()),
            (StatusCode::BAD_REQUEST, json!("scope"))
        );
    }
}

#[tokio::test]
async fn the_page_has_bounds_chart_and_the_rules_that_call_most_in_both_languages() {
    let county = noisy().await;
    let page = county
        .get(&format!("/figures/alarm_rate?lang=zh&{}", period()))
        .await
        .text;
    for text in [
        "报警率",
        "0.300 <small>/h</small>",
        "可应付的上限",
        "≤ 12 /h",
        "达标",
        "10.0 h",
        "data-svg=\"/figures/alarm_rate/course.svg?",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let page = county
        .get(&format!("/figures/alarm_top_ten?lang=en&{}", period()))
        .await
        .text;
    for text in [
        "share of the ten rules that call most",
        "greatest share",
        "not met",
        "st-1/SW-LEVEL-HH",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // Four weeks by day: a level for each day, two bounds with their words.
    let chart = county.get("/figures/alarm_rate/course.svg?lang=en").await;
    assert_eq!(chart.header("content-type"), "image/svg+xml");
    for text in [
        "calls per day",
        "very likely acceptable 150",
        "maximum manageable 300",
    ] {
        assert!(chart.text.contains(text), "{text}: {}", chart.text);
    }
    // What has no course says so; the county page speaks of utilities only.
    let none = county.get("/figures/alarm_flood/course.svg").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let cards = county.get("/figures?lang=zh").await.text;
    assert!(cards.contains("alarm_stale"), "{cards}");
    assert!(!county.get("/?lang=zh").await.text.contains("/figures/alarm_"));
}
