//! What `GET series` and `GET series/list` answer, against numbers computed by hand, and what ends with its request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use store::series::{Cancel, SeriesError, SeriesReader, Sink};
use telemetry::quality::{Bad, Quality};
use telemetry::sample::Sample;
use telemetry::{SeriesId, Timestamp};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::testkit::{County, NOW};
use crate::web::App;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Samples of a signal of the station; no value: a bad one.
fn put(county: &County, signal: &str, samples: &[(&str, Option<f64>)]) {
    let series = county.catalogue.series_id("st-1", signal).unwrap();
    for (time, value) in samples {
        let sample = Sample {
            time: at(time),
            value: value.unwrap_or(0.0),
            quality: value.map_or(Quality::Bad(Bad::SensorFault), |_| Quality::Good),
        };
        county.series.insert(series, sample);
    }
}

async fn ask(county: &County, query: &str) -> Value {
    let answer = county.get(&format!("/api/v1/series?device=st-1&{query}")).await;
    assert_eq!(answer.status.as_u16(), 200, "{query}: {}", answer.text);
    answer.json()
}

/// Time of a row as RFC 3339 and the rest of it.
fn rows(answer: &Value) -> Vec<(String, Value, String)> {
    let rows = answer["points"].as_array().unwrap();
    let row = |row: &Value| {
        let time = Timestamp::from_millis(row[0].as_i64().unwrap()).to_rfc3339();
        (time, row[1].clone(), row[2].as_str().unwrap().to_owned())
    };
    rows.iter().map(row).collect()
}

fn row(time: &str, value: Value, quality: &str) -> (String, Value, String) {
    (at(time).to_rfc3339(), value, quality.to_owned())
}

#[tokio::test]
async fn windows_are_days_months_and_nights_of_the_county() {
    // Given readings around midnight (16:00Z) and noon (04:00Z) of Shanghai, and one of October,
    let county = County::open().await;
    put(
        &county,
        "flow",
        &[
            ("2026-10-31T15:00:00Z", Some(7.0)),
            ("2026-11-21T15:59:00Z", Some(1.0)),
            ("2026-11-21T16:00:00Z", Some(2.0)),
            ("2026-11-22T03:59:00Z", Some(4.0)),
            ("2026-11-22T04:00:00Z", Some(8.0)),
        ],
    );
    let from = "signal=flow&agg=sum&from=2026-10-31T00:00:00Z&to=2026-11-23T00:00:00Z";
    // then they are summed by civil day; the first is cut off at from, empty ones are left out.
    let days = ask(&county, &format!("{from}&every=1d")).await;
    assert_eq!(days["every"], "1d");
    assert_eq!(
        rows(&days),
        [
            row("2026-10-31T00:00:00Z", json!(7.0), "good"),
            row("2026-11-20T16:00:00Z", json!(1.0), "good"),
            row("2026-11-21T16:00:00Z", json!(14.0), "good"),
        ]
    );
    let months = ask(&county, &format!("{from}&every=1mo")).await;
    assert_eq!(
        rows(&months),
        [
            row("2026-10-31T00:00:00Z", json!(7.0), "good"),
            row("2026-10-31T16:00:00Z", json!(15.0), "good"),
        ]
    );
    // A night is from noon to noon.
    let nights = ask(&county, &format!("{from}&every=night")).await;
    assert_eq!(
        rows(&nights),
        [
            row("2026-10-31T04:00:00Z", json!(7.0), "good"),
            row("2026-11-21T04:00:00Z", json!(7.0), "good"),
            row("2026-11-22T04:00:00Z", json!(8.0), "good"),
        ]
    );
}

const TWO_HOURS: &str = "from=2026-11-23T00:00:00Z&to=2026-11-23T02:00:00Z&every=1h";

#[tokio::test]
async fn a_mean_over_time_counts_a_value_for_as_long_as_it_holds() {
    let county = County::open().await;
    // Given 2 from 00:00, 4 from 00:45, bad from 01:30: with a hold of 1 h the first hour has 2 for 45 min and 4 for 15,
    // which is 2.5; the second 4 for 30 min, and the rest of it is unknown.
    put(
        &county,
        "flow",
        &[
            ("2026-11-23T00:00:00Z", Some(2.0)),
            ("2026-11-23T00:45:00Z", Some(4.0)),
            ("2026-11-23T01:30:00Z", None),
        ],
    );
    let means = ask(
        &county,
        &format!("signal=flow&{TWO_HOURS}&agg=mean_time_weighted&hold=1h"),
    )
    .await;
    assert_eq!(means["hold"], "1h");
    assert_eq!(
        rows(&means),
        [
            row("2026-11-23T00:00:00Z", json!(2.5), "good"),
            row("2026-11-23T01:00:00Z", json!(4.0), "uncertain"),
        ]
    );
    // Without a hold a value counts for three report intervals, 45 min: the same here.
    let means = ask(
        &county,
        &format!("signal=flow&{TWO_HOURS}&agg=mean_time_weighted"),
    )
    .await;
    assert_eq!(rows(&means)[0].1, json!(2.5));
}

#[tokio::test]
async fn increases_and_times_in_states_are_computed_by_window() {
    let county = County::open().await;
    // Given a counter that passes 1000 and, in the second hour, begins again: 10 + (5 + 1000 − 990) and 20 + 3.
    put(
        &county,
        "total",
        &[
            ("2026-11-23T00:00:00Z", Some(980.0)),
            ("2026-11-23T00:20:00Z", Some(990.0)),
            ("2026-11-23T00:50:00Z", Some(5.0)),
            ("2026-11-23T01:20:00Z", Some(25.0)),
            ("2026-11-23T01:50:00Z", Some(3.0)),
        ],
    );
    let grown = ask(
        &county,
        &format!("signal=total&{TWO_HOURS}&agg=increase&modulus=1000"),
    )
    .await;
    assert_eq!(
        rows(&grown),
        [
            row("2026-11-23T00:00:00Z", json!(25.0), "good"),
            row("2026-11-23T01:00:00Z", json!(23.0), "uncertain"),
        ]
    );
    // Given a pump that runs 00:10–00:40 and was off before and after: 30 min each; unknown until 00:00.
    put(
        &county,
        "pump_1_run",
        &[
            ("2026-11-23T00:00:00Z", Some(0.0)),
            ("2026-11-23T00:10:00Z", Some(1.0)),
            ("2026-11-23T00:40:00Z", Some(0.0)),
        ],
    );
    let stays = ask(
        &county,
        &format!("signal=pump_1_run&{TWO_HOURS}&agg=state_duration&hold=30min"),
    )
    .await;
    let minutes = |n: i64| n * 60_000;
    assert_eq!(
        rows(&stays),
        [
            row(
                "2026-11-23T00:00:00Z",
                json!({"0": minutes(30), "1": minutes(30)}),
                "good"
            ),
            row("2026-11-23T01:00:00Z", json!({"0": minutes(10)}), "uncertain"),
        ]
    );
}

#[tokio::test]
async fn a_curve_has_no_more_numbers_than_asked_for_and_every_peak() {
    let county = County::open().await;
    let flow = county.catalogue.series_id("st-1", "flow").unwrap();
    for n in 0..2000 {
        let sample = Sample {
            time: Timestamp::from_millis(NOW.millis() - (2000 - n) * 30_000),
            value: if n == 777 { 50.0 } else { 1.0 },
            quality: Quality::Good,
        };
        county.series.insert(flow, sample);
    }
    let drawn = ask(&county, "signal=flow&max_points=400").await;
    let curve = drawn["curve"].as_array().unwrap();
    assert!(curve.len() * 4 <= 400 && curve.len() > 50, "{}", curve.len());
    assert!(drawn.get("points").is_none());
    // 24 h in 100 windows: whole quarters of an hour.
    assert_eq!(drawn["width"], "15min");
    assert!(curve.iter().any(|row| row[3] == json!(50.0)), "the peak is lost");
    // Few enough are given as they are.
    let few = ask(&county, "signal=flow&max_points=2000").await;
    assert_eq!(few["points"].as_array().unwrap().len(), 2000);
}

#[tokio::test]
async fn what_does_not_go_together_or_is_too_much_is_refused_with_advice() {
    let county = County::open().await;
    let many: Vec<Sample> = (0..100)
        .map(|n| Sample {
            time: Timestamp::from_millis(NOW.millis() - 60_000 * (n + 1)),
            value: n as f64,
            quality: Quality::Good,
        })
        .collect();
    let flow = county.catalogue.series_id("st-1", "flow").unwrap();
    for sample in many {
        county.series.insert(flow, sample);
    }
    for (query, kind, parameter) in [
        ("max_points=3", "bad-parameter", Some("max_points")),
        ("max_points=100&every=1h", "bad-parameter", Some("max_points")),
        ("hold=1h", "bad-parameter", Some("every")),
        ("every=1h&agg=mean&hold=1h", "bad-parameter", Some("hold")),
        (
            "every=1h&agg=increase&modulus=0",
            "bad-parameter",
            Some("modulus"),
        ),
        ("every=1h&agg=max&modulus=9", "bad-parameter", Some("modulus")),
        ("every=fortnight", "bad-parameter", Some("every")),
        ("every=1s&agg=state_duration", "too-much", None),
        ("every=1d&agg=state_duration", "too-much", None),
        ("every=1d&agg=sum&from=0001-01-01T00:00:00Z", "too-much", None),
    ] {
        let answer = county
            .get(&format!("/api/v1/series?device=st-1&signal=flow&{query}"))
            .await;
        assert_eq!(answer.status.as_u16(), 400, "{query}: {}", answer.text);
        let problem = answer.json();
        assert_eq!(problem["type"], format!("/problems/{kind}"), "{query}");
        assert_eq!(problem["parameter"].as_str(), parameter, "{query}");
        assert!(!problem["remedy"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn series_are_found_by_device_signal_site_town_and_profile() {
    let county = County::open().await;
    let list = async |query: &str| county.get(&format!("/api/v1/series/list?{query}")).await;
    let all = list("").await.json();
    let all = all.as_array().unwrap();
    assert!(all.len() > 10);
    let one = list("device=st-1&signal=flow").await.json();
    let [flow] = one.as_array().unwrap().as_slice() else {
        panic!("{one}")
    };
    assert_eq!(
        (&flow["site"], &flow["unit"], &flow["type"]),
        (&json!("station-1"), &json!("m3/h"), &json!("number"))
    );
    let number = county.catalogue.series_id("st-1", "flow").unwrap().0;
    assert_eq!(flow["number"], number);
    for (name, field) in [("town", "town"), ("profile", "profile"), ("site", "site")] {
        let value = flow[field].as_str().unwrap();
        let found = list(&format!("{name}={value}")).await.json();
        let found = found.as_array().unwrap();
        let expected = all.iter().filter(|series| series[field] == value).count();
        assert!(expected > 0 && found.len() == expected, "{name}");
    }
    // Page by page they are the same.
    let first = list("limit=3").await;
    assert_eq!(first.header("townwatch-more"), "true");
    let second = list("limit=3&skip=3").await.json();
    assert_eq!(
        (&first.json()[0], &second[0]),
        (&all[0], &all[3]),
        "three and three"
    );
    assert_eq!(list("town=nowhere").await.json(), json!([]));
    assert_eq!(list("device=none").await.status.as_u16(), 404);
    assert_eq!(list("limit=0").await.status.as_u16(), 400);
}

/// A store that answers nothing until it is told that nobody waits any more.
struct Slow {
    begun: Mutex<Option<oneshot::Sender<()>>>,
    ended: Mutex<Option<oneshot::Sender<bool>>>,
}

impl SeriesReader for Slow {
    fn latest(&self, _: SeriesId) -> Result<Option<Sample>, SeriesError> {
        Ok(None)
    }

    fn last_before(&self, _: SeriesId, _: Timestamp) -> Result<Option<Sample>, SeriesError> {
        Ok(None)
    }

    fn scan(
        &self,
        _: SeriesId,
        _: Timestamp,
        _: Timestamp,
        cancel: &Cancel,
        _: &mut dyn Sink,
    ) -> Result<(), SeriesError> {
        if let Some(begun) = self.begun.lock().unwrap().take() {
            begun.send(()).unwrap();
        }
        // An end of its own, so that a failed test does not hang.
        for _ in 0..30_000_000 {
            if cancel.is_cancelled() {
                break;
            }
            std::thread::yield_now();
        }
        if let Some(ended) = self.ended.lock().unwrap().take() {
            ended.send(cancel.is_cancelled()).unwrap();
        }
        Err(SeriesError::Cancelled)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_ends_when_its_client_has_gone() {
    // Given a question that takes for ever,
    let county = County::open().await;
    let (begun, has_begun) = oneshot::channel();
    let (ended, has_ended) = oneshot::channel();
    let mut web = county.app.web.clone();
    web.series = Arc::new(Slow {
        begun: Mutex::new(Some(begun)),
        ended: Mutex::new(Some(ended)),
    });
    let router = crate::routes::router(App::new(web, CancellationToken::new()));
    let address = "/api/v1/series?device=st-1&signal=flow&every=1h";
    let request = Request::get(address).header("host", "127.0.0.1:8080");
    let asked = tokio::spawn(router.oneshot(request.body(Body::empty()).unwrap()));
    has_begun.await.unwrap();
    // when the one who asked has gone, then it is told and ends.
    asked.abort();
    let told = tokio::time::timeout(Duration::from_secs(60), has_ended).await;
    assert!(told.unwrap().unwrap(), "it was never told");
}
