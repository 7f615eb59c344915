//! What people do to alarms and devices, over the API.

use axum::http::StatusCode;

use crate::testkit::County;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn who_shelves_says_who_why_and_for_how_long() {
    let county = County::open().await;
    let open = county.get("/api/v1/alarms?open=true").await.json();
    let id = |vital: bool| {
        let alarms = open.as_array().unwrap().iter();
        let mut found = alarms.filter(|alarm| alarm["life_safety"] == vital);
        found.next().map(|alarm| alarm["id"].as_str().unwrap().to_owned())
    };
    for (vital, body, status) in [
        (
            false,
            r#"{"remark": "清淤", "by": "王工", "for": "30min"}"#,
            StatusCode::OK,
        ),
        (
            false,
            r#"{"remark": "清淤", "by": "王工"}"#,
            StatusCode::BAD_REQUEST,
        ),
        (
            false,
            r#"{"by": "王工", "for": "30min"}"#,
            StatusCode::BAD_REQUEST,
        ),
        (
            true,
            r#"{"remark": "x", "by": "王工", "for": "30min"}"#,
            StatusCode::CONFLICT,
        ),
    ] {
        let Some(id) = id(vital) else { continue };
        let answer = county
            .post(&format!("/api/v1/alarms/{id}/shelve"), body, &[JSON])
            .await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    let id = open[0]["id"].as_str().unwrap();
    let answer = county
        .post(
            &format!("/api/v1/alarms/{id}/forget"),
            r#"{"remark": "x", "by": "y"}"#,
            &[JSON],
        )
        .await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text);
}

#[tokio::test]
async fn a_device_is_tested_and_taken_out_of_service() {
    let county = County::open().await;
    for (action, body, status) in [
        (
            "test",
            r#"{"remark": "年检", "by": "王工"}"#,
            StatusCode::NO_CONTENT,
        ),
        (
            "out-of-service",
            r#"{"remark": "p-7", "by": "王工", "for": "8h"}"#,
            StatusCode::NO_CONTENT,
        ),
        (
            "out-of-service",
            r#"{"remark": "p-7", "by": "王工"}"#,
            StatusCode::BAD_REQUEST,
        ),
        (
            "end-test",
            r#"{"remark": "x", "by": "王工"}"#,
            StatusCode::CONFLICT,
        ),
        (
            "explode",
            r#"{"remark": "x", "by": "王工"}"#,
            StatusCode::NOT_FOUND,
        ),
    ] {
        let address = format!("/api/v1/devices/st-1/alarms/{action}");
        let answer = county.post(&address, body, &[JSON]).await;
        assert_eq!(answer.status, status, "{action} {body}: {}", answer.text);
    }
}
