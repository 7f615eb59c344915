use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use tower::ServiceExt as _;

use super::*;
use crate::limits::EXPORTS_MAX;
use crate::testkit::County;

/// Long enough for a machine that does other things too.
const LONG: std::time::Duration = std::time::Duration::from_secs(30);

async fn ask(county: &County, query: &str) -> Response {
    let request = Request::get(format!("/api/v1/export?{query}")).body(Body::empty());
    county.router.clone().oneshot(request.unwrap()).await.unwrap()
}

/// The whole body; none where it broke off.
async fn whole(response: Response) -> Option<Vec<u8>> {
    let body = tokio::time::timeout(LONG, to_bytes(response.into_body(), usize::MAX));
    body.await.expect("it ends").ok().map(Vec::from)
}

/// Waits until every place is free again.
async fn all_places(county: &County) {
    let places = u32::try_from(EXPORTS_MAX).unwrap();
    let all = tokio::time::timeout(LONG, county.app.exports.acquire_many(places));
    assert!(all.await.expect("the exports end").is_ok());
}

#[tokio::test]
async fn an_export_is_a_file_with_a_name_and_a_type() {
    let county = County::open().await;
    let response = ask(&county, "from=1795435200000&to=1795438800000").await;
    assert_eq!(response.status(), StatusCode::OK);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(
        header("content-disposition"),
        "attachment; filename=\"townwatch-20261123T120000Z-20261123T130000Z.csv\""
    );
    assert_eq!(whole(response).await.unwrap(), b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    let response = ask(&county, "format=parquet").await;
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.apache.parquet"
    );
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused_before_a_file_begins() {
    let county = County::open().await;
    for (query, word) in [
        ("format=xlsx", "there is no format"),
        ("series=nothing", "no series is like"),
        ("serie=st-1", "there is no parameter"),
        ("from=2&to=1", "is not before"),
    ] {
        let response = ask(&county, query).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        let text = String::from_utf8(whole(response).await.unwrap()).unwrap();
        assert!(text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_never_taken_for_one() {
    let county = County::open().await;
    for series in ["broken", "panic"] {
        let response = ask(&county, &format!("series={series}")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(whole(response).await, None, "{series}");
    }
    all_places(&county).await;
    // Nor is one that the server's stop cut off.
    let response = ask(&county, "series=endless").await;
    county.cancel.cancel();
    assert_eq!(whole(response).await, None);
    all_places(&county).await;
}

#[tokio::test]
async fn exports_are_bounded_and_end_when_their_clients_go() {
    // Given as many clients as may, which take nothing,
    let county = County::open().await;
    let mut clients = Vec::new();
    for _ in 0..EXPORTS_MAX {
        let response = ask(&county, "series=endless").await;
        assert_eq!(response.status(), StatusCode::OK);
        clients.push(response);
    }
    // when one more comes, then it is refused for now;
    let response = ask(&county, "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    // when they have gone, their places are free.
    drop(clients);
    all_places(&county).await;
    assert_eq!(ask(&county, "").await.status(), StatusCode::OK);
}

#[test]
fn a_file_is_named_after_its_period() {
    let at = Timestamp::from_millis;
    assert_eq!(
        file_name(at(1_795_435_200_000), at(1_795_435_200_250), ExportForm::Parquet),
        "townwatch-20261123T120000Z-20261123T120000Z.parquet"
    );
}
