//! Who may change who may come in, and what they are told.

use axum::http::StatusCode;
use serde_json::json;

use crate::access::{Access, Role, Token};
use crate::testkit::{Answer, County};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn county() -> County {
    let tokens = [
        ("r", Role::Read),
        ("o", Role::Operate),
        ("a", Role::Administer),
        ("c", Role::Control),
    ];
    let tokens = tokens.map(|(token, role)| Token::of(token, &format!("{token}-name"), role));
    County::with(&[], Access::Tokens(tokens.to_vec())).await
}

async fn post(county: &County, token: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [JSON, ("authorization", bearer.as_str())];
    county.post(path, body, &headers).await
}

#[tokio::test]
async fn only_an_administrator_changes_a_credential_and_the_password_is_told_once() {
    let county = county().await;
    let path = "/api/v1/devices/st-1/credential";
    let rotate = r#"{"action": "rotate", "grace": "1h"}"#;
    for (token, status) in [("r", 403), ("o", 403), ("c", 403), ("x", 401), ("a", 200)] {
        let answer = post(&county, token, path, rotate).await;
        assert_eq!(answer.status.as_u16(), status, "{token}: {}", answer.text);
    }
    let answer = post(&county, "a", path, rotate).await.json();
    assert_eq!(
        (
            &answer["password"],
            &answer["changed_by"],
            &answer["takes_effect"]
        ),
        (&json!("told-once"), &json!("a-name"), &json!("now"))
    );
    let disabled = post(&county, "a", path, r#"{"action": "disable"}"#).await.json();
    assert!(disabled.get("password").is_none());
    for (path, body, status) in [
        (path, r#"{"action": "explode"}"#, 400),
        (path, r#"{"action": "disable", "grace": "1h"}"#, 400),
        (path, "{}", 400),
        ("/api/v1/devices/nobody/credential", rotate, 404),
        ("/api/v1/accounts/nobody/credential", rotate, 404),
    ] {
        let answer = post(&county, "a", path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_server_that_is_open_to_its_machine_gives_nobody_credentials() {
    let open = County::open().await;
    let path = "/api/v1/devices/st-1/credential";
    assert_eq!(open.get(path).await.status, StatusCode::FORBIDDEN);
    assert_eq!(open.get("/api/v1/accounts").await.status, StatusCode::FORBIDDEN);
    let answer = open.post(path, r#"{"action": "revoke"}"#, &[JSON]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_device_is_given_its_password_for_a_token_and_for_nothing_else() {
    let county = county().await;
    let give = |token: &str, device: &str| json!({"token": token, "device": device}).to_string();
    let path = "/api/v1/provision";
    let good = county.post(path, &give("twp_good", "st-1"), &[JSON]).await;
    assert_eq!(good.status, StatusCode::OK);
    assert_eq!(good.json()["password"], "told-once");
    assert_eq!(good.header("cache-control"), "no-store");
    let bad = county.post(path, &give("twp_bad", "st-1"), &[JSON]).await;
    assert_eq!(bad.status, StatusCode::FORBIDDEN);
    assert!(!bad.text.contains("twp_bad"));
    let plain = county
        .post(path, &give("twp_good", "st-1"), &[("content-type", "text/plain")])
        .await;
    assert_eq!(plain.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
