//! Cases over the API and on the pages: a whole life, roles, bad requests, two persons, hostile texts.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::access::{Access, Role, Token};
use crate::testkit::{Answer, County, HOSTILE};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn post(county: &County, address: &str, body: &Value) -> Answer {
    county.post(address, &body.to_string(), &[JSON]).await
}

/// Files a case about a place and answers with it.
async fn file(county: &County, title: &str) -> Value {
    let body = json!({"title": title, "site": "loop-1", "device": "lamp-1", "deadline": "lamp-single",
        "by": "王工", "remark": "路过看见"});
    let answer = post(county, "/api/v1/cases", &body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    answer.json()
}

async fn act(county: &County, action: &str, more: Value) -> Answer {
    let mut body = json!({"by": "王工", "remark": "好"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    post(county, &format!("/api/v1/cases/1/{action}"), &body).await
}

#[tokio::test]
async fn a_case_is_filed_and_moved_on_to_its_end_and_every_step_is_told() {
    // Given a case about a lamp, filed on Monday 23 November 2026 at 20:00,
    let county = County::with(&[], Access::OpenOnLoopback).await;
    let filed = file(&county, "灯杆不亮").await;
    // then it has a day for the work, and a working day after that to verify: Tuesday 20:00, Wednesday 18:00.
    assert_eq!((&filed["id"], &filed["state"]), (&json!(1), &json!("filed")));
    assert_eq!(filed["deadline"]["handle_by"]["time"], "2026-11-24T12:00:00.000Z");
    assert_eq!(filed["deadline"]["close_by"]["time"], "2026-11-25T10:00:00.000Z");
    assert_eq!(filed["left_ms"], 24 * 3_600_000);
    assert_eq!(
        (&filed["overdue"], &filed["organisation"]),
        (&json!(false), &json!("om-a"))
    );
    // when it goes its way,
    for (action, more, state) in [
        ("dispatch", json!({"organisation": "om-a"}), "dispatched"),
        ("start", json!({}), "handling"),
        ("handled", json!({"photo": "照片1"}), "handled"),
        ("rework", json!({}), "dispatched"),
        ("start", json!({}), "handling"),
        ("handled", json!({}), "handled"),
        ("verify", json!({}), "verified"),
        ("close", json!({}), "closed"),
    ] {
        let answer = act(&county, action, more).await;
        assert_eq!(answer.status, StatusCode::OK, "{action}: {}", answer.text);
        assert_eq!(answer.json()["state"], state, "{action}");
    }
    // then it is over, and its events say who, when and why.
    let one = county.get("/api/v1/cases/1").await.json();
    let events = one["events"].as_array().unwrap();
    assert_eq!(events.len(), 9);
    assert_eq!(
        (&events[0]["event"], &events[0]["remark"]),
        (&json!("file"), &json!("路过看见"))
    );
    assert_eq!(events[3]["detail"]["photo"], "照片1");
    assert!(one["finished"]["ms"].is_i64() && one["left_ms"].is_null());
    assert_eq!(county.get("/api/v1/cases?open=true").await.json(), json!([]));
    let closed = county
        .get("/api/v1/cases?state=closed&organisation=om-a")
        .await
        .json();
    assert_eq!(closed.as_array().unwrap().len(), 1);
    assert!(closed[0].get("events").is_none());
    // and it cannot be moved any more.
    let again = act(&county, "close", json!({})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.json()["detail"].as_str().unwrap().contains("closed"));
}

#[tokio::test]
async fn the_live_feed_tells_of_cases_and_the_parts_of_the_pages_are_served_alone() {
    // Given somebody who follows the live feed,
    let county = County::with(&[], Access::OpenOnLoopback).await;
    let mut events = county.app.bus.subscribe();
    let pulse = tokio::spawn(crate::pulse::run(std::sync::Arc::clone(&county.app)));
    let mut told = async |name: &str| {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let event = tokio::time::timeout_at(deadline, events.recv()).await;
            let event = event.unwrap().unwrap();
            if event.name == name {
                break serde_json::from_str::<Value>(&event.data).unwrap();
            }
        }
    };
    told("stats").await;
    // when a case is filed and moved on, then each step is told,
    file(&county, "灯杆不亮").await;
    let filed = told("case").await;
    assert_eq!((&filed["id"], &filed["state"]), (&json!(1), &json!("filed")));
    assert!(filed["deadline"]["handle_by"]["ms"].is_i64(), "{filed}");
    act(&county, "dispatch", json!({})).await;
    assert_eq!(told("case").await["state"], "dispatched");
    // and what follows it on the pages is what the pages show.
    for (page, fragment) in [
        ("/cases?lang=en", "/fragments/cases?lang=en"),
        ("/cases/1?lang=zh", "/fragments/cases/1?lang=zh"),
    ] {
        let (page, part) = (county.get(page).await.text, county.get(fragment).await);
        assert_eq!(part.status, StatusCode::OK);
        assert!(
            part.text.contains("灯杆不亮") && page.contains(&part.text),
            "{fragment}"
        );
    }
    let overdue = county.get("/fragments/cases?overdue=true").await.text;
    assert!(!overdue.contains("灯杆不亮"), "{overdue}");
    assert_eq!(
        county.get("/fragments/cases/7").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        county.get("/fragments/cases?wrong=1").await.status,
        StatusCode::BAD_REQUEST
    );
    county.cancel.cancel();
    pulse.await.unwrap();
}

#[tokio::test]
async fn a_case_is_put_off_by_two_persons_and_merged_into_another() {
    let county = County::with(&[], Access::OpenOnLoopback).await;
    file(&county, "一").await;
    file(&county, "二").await;
    act(&county, "dispatch", json!({})).await;
    let asked = act(&county, "suspend", json!({})).await.json();
    assert_eq!(
        (&asked["state"], &asked["suspension_asked"]["by"]),
        (&json!("dispatched"), &json!("王工"))
    );
    let alone = act(&county, "suspend", json!({"approve": true})).await;
    assert_eq!(alone.status, StatusCode::CONFLICT, "{}", alone.text);
    let both = act(&county, "suspend", json!({"approve": true, "by": "李科"}))
        .await
        .json();
    assert_eq!(
        (&both["state"], &both["deadline"]["stopped"]),
        (&json!("suspended"), &json!(true))
    );
    assert!(both["left_ms"].is_null());
    let page = county.get("/cases/1?lang=zh").await.text;
    assert!(
        page.contains("挂账，停止计时") && page.contains("恢复处置"),
        "{page}"
    );
    let merged = act(&county, "merge", json!({"into": 2})).await.json();
    assert_eq!(
        (&merged["state"], &merged["merged_into"]),
        (&json!("merged"), &json!(2))
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_and_changes_nothing() {
    let county = County::with(&[], Access::OpenOnLoopback).await;
    file(&county, "一").await;
    let good = json!({"by": "a", "remark": "b"});
    let with = |more: Value| {
        let mut body = good.clone();
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    for (address, body, status) in [
        ("/api/v1/cases", with(json!({})), 400),
        (
            "/api/v1/cases",
            with(json!({"alarm": "x~Y~1", "title": "t"})),
            400,
        ),
        ("/api/v1/cases", with(json!({"alarm": "x~Y~1"})), 404),
        (
            "/api/v1/cases",
            with(json!({"title": "t", "site": "nowhere"})),
            404,
        ),
        (
            "/api/v1/cases",
            with(json!({"title": " ", "site": "loop-1"})),
            400,
        ),
        (
            "/api/v1/cases",
            json!({"title": "t", "site": "loop-1", "by": "a"}),
            400,
        ),
        ("/api/v1/cases/9/start", good.clone(), 404),
        ("/api/v1/cases/one/start", good.clone(), 404),
        ("/api/v1/cases/1/dance", good.clone(), 404),
        ("/api/v1/cases/1/merge", good.clone(), 400),
        ("/api/v1/cases/1/start", with(json!({"into": 2})), 400),
        ("/api/v1/cases/1/start", json!({"by": "a", "remark": ""}), 400),
        (
            "/api/v1/cases/1/dispatch",
            with(json!({"organisation": "nobody"})),
            409,
        ),
        ("/api/v1/cases/1/start", good.clone(), 409),
        ("/api/v1/cases/1/merge", with(json!({"into": 1})), 409),
    ] {
        let answer = post(&county, address, &body).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{address} {body}: {}",
            answer.text
        );
        assert!(
            answer.header("content-type").contains("problem+json"),
            "{address}"
        );
    }
    for (address, status) in [
        ("/api/v1/cases?state=lost", 400),
        ("/api/v1/cases?wrong=1", 400),
        ("/api/v1/cases/7", 404),
        ("/cases/7", 404),
    ] {
        assert_eq!(county.get(address).await.status.as_u16(), status, "{address}");
    }
    let events = county.get("/api/v1/cases/1").await.json()["events"].clone();
    assert_eq!(events.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_may_only_read_changes_no_case_and_a_token_lends_nobody_its_name() {
    let tokens = vec![
        Token::of("reads", "Reader", Role::Read),
        Token::of("works", "Worker", Role::Operate),
    ];
    let county = County::with(&[], Access::Tokens(tokens)).await;
    let body = json!({"title": "t", "site": "loop-1", "by": "somebody else", "remark": "r"}).to_string();
    let reader = [JSON, ("authorization", "Bearer reads")];
    let refused = county.post("/api/v1/cases", &body, &reader).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let worker = [JSON, ("authorization", "Bearer works")];
    let filed = county.post("/api/v1/cases", &body, &worker).await;
    assert_eq!(filed.json()["filed_by"], "Worker");
    // Nor does a page of another origin.
    let foreign = [worker[0], worker[1], ("origin", "http://evil.example")];
    let refused = county
        .post("/api/v1/cases/1/cancel", r#"{"remark": "r"}"#, &foreign)
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let stranger = county.get("/cases").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_pages_show_cases_in_both_languages_and_no_text_becomes_markup() {
    let county = County::with(&[], Access::OpenOnLoopback).await;
    file(&county, HOSTILE).await;
    for (lang, state, left) in [("zh", "已立案", "剩余"), ("en", "filed", "left")] {
        for address in ["/cases", "/cases?open=true", "/cases/1"] {
            let joint = if address.contains('?') { '&' } else { '?' };
            let page = county.get(&format!("{address}{joint}lang={lang}")).await;
            assert_eq!(page.status, StatusCode::OK, "{address}: {}", page.text);
            assert!(
                page.text.contains(state) && page.text.contains(left),
                "{address}: {}",
                page.text
            );
            assert!(!page.text.contains("<script>alert"), "{address}");
        }
    }
    let overdue = county.get("/cases?overdue=true&lang=en").await.text;
    assert!(overdue.contains("no cases"));
    // The figures of the cases have a page as well, with organisations for parts.
    act(&county, "dispatch", json!({})).await;
    act(&county, "start", json!({})).await;
    act(&county, "handled", json!({})).await;
    let figure = county
        .get("/api/v1/figures/case_handling_rate?to=1795435200001")
        .await;
    assert_eq!(figure.status, StatusCode::OK, "{}", figure.text);
    let page = county.get("/figures/case_backlog?lang=zh").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains("积件"));
}
