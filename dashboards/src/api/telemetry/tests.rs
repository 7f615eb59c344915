//! What those who push are answered, and what has gone into the journal by then.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;
use crate::access::Access;
use crate::push::{BadLine, BoxFuture};
use crate::testkit::{Answer, County};
use crate::web::Push;

/// Lets `st-1` in with the password `secret`, which may also speak for `st-2`; keeps what it is given.
#[derive(Default)]
struct TestDoor {
    kept: Mutex<Vec<RawMessage>>,
    refuses: Mutex<Option<NotTaken>>,
}

struct Station(DeviceId);

impl Speaker for Station {
    fn name(&self) -> &str {
        self.0.as_str()
    }

    fn own(&self) -> Option<&DeviceId> {
        Some(&self.0)
    }

    fn sender(&self, device: &DeviceId) -> Option<DeviceId> {
        matches!(device.as_str(), "st-1" | "st-2").then(|| self.0.clone())
    }
}

impl Door for TestDoor {
    fn identify<'a>(&'a self, login: Login<'a>) -> BoxFuture<'a, Result<Box<dyn Speaker>, Refusal>> {
        let known = login.user == Some("st-1") && login.secret == Some(b"secret");
        Box::pin(async move {
            if known {
                Ok(Box::new(Station("st-1".parse().unwrap())) as Box<dyn Speaker>)
            } else {
                Err(Refusal::Unknown)
            }
        })
    }

    fn readable(&self, payload: &[u8]) -> Result<(), String> {
        serde_json::from_slice::<Value>(payload)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    /// A line is a device's name, or `bad`.
    fn sort(&self, body: &str, precision: &str, speaker: &dyn Speaker) -> Result<Lines, String> {
        if precision != "ns" {
            return Err("no precision".to_owned());
        }
        let mut lines = Lines::default();
        for (number, line) in (1..).zip(body.lines()) {
            let device: DeviceId = line.parse().unwrap();
            let forbidden = speaker.sender(&device).is_none();
            if line == "bad" || forbidden {
                lines.left_out += 1;
                lines.first_bad.get_or_insert(BadLine {
                    number,
                    forbidden: line != "bad",
                    why: "why".to_owned(),
                });
            } else {
                lines.taken += 1;
                lines.payloads.push((device, line.to_owned().into()));
            }
        }
        Ok(lines)
    }

    fn accept(&self, messages: Vec<RawMessage>) -> BoxFuture<'static, Result<(), NotTaken>> {
        let refuses = self.refuses.lock().unwrap().clone();
        if refuses.is_none() {
            self.kept.lock().unwrap().extend(messages);
        }
        Box::pin(async move { refuses.map_or(Ok(()), Err) })
    }
}

struct Bench {
    county: County,
    door: Arc<TestDoor>,
}

impl Bench {
    async fn new() -> Self {
        let door = Arc::new(TestDoor::default());
        let push = Push {
            door: door.clone(),
            requests_per_s_max: 10,
        };
        Self {
            county: County::with_push(&[], Access::OpenOnLoopback, Some(push)).await,
            door,
        }
    }

    async fn send(&self, address: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::post(address).header("host", "127.0.0.1:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.county.ask(request.body(body.into()).unwrap()).await
    }

    /// As `st-1`.
    async fn push(&self, address: &str, body: impl Into<Body>) -> Answer {
        self.send(address, &[("authorization", &basic("st-1:secret"))], body)
            .await
    }

    fn kept(&self) -> Vec<(Origin, String, String)> {
        let text = |message: &RawMessage| {
            let payload = String::from_utf8(message.payload.to_vec()).unwrap();
            (message.origin, message.topic.to_string(), payload)
        };
        self.door.kept.lock().unwrap().iter().map(text).collect()
    }
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

/// Address, headers, body and the code that is due.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, u16);

const READING: &str = r#"{"values":{"flow":1}}"#;

#[tokio::test]
async fn a_reading_is_kept_under_its_device_and_answered_with_204() {
    let bench = Bench::new().await;
    for (address, device) in [
        ("/api/v1/telemetry", "st-1"),
        ("/api/v1/telemetry?device=st-2", "st-2"),
        ("/api/v1/telemetry/st-2", "st-2"),
        ("/api/v1/telemetry/st-2?device=st-2", "st-2"),
    ] {
        let answer = bench.push(address, READING).await;
        assert_eq!(
            (answer.status, &*answer.text),
            (StatusCode::NO_CONTENT, ""),
            "{address}"
        );
        let want = (
            Origin::Http,
            format!("tw/v1/{device}/telemetry"),
            READING.to_owned(),
        );
        assert_eq!(bench.kept().last(), Some(&want), "{address}");
    }
    assert_eq!(
        bench.door.kept.lock().unwrap()[1].sender.as_str(),
        "st-1",
        "the gateway is the sender"
    );
}

#[tokio::test]
async fn every_refusal_has_its_code_says_what_to_do_and_keeps_nothing() {
    let bench = Bench::new().await;
    let right = basic("st-1:secret");
    let wrong = basic("st-1:guess");
    let auth = ("authorization", right.as_str());
    let large = "[".to_owned() + &" ".repeat(PAYLOAD_BYTES_MAX) + "]";
    let cases: [Case<'_>; 10] = [
        ("/api/v1/telemetry", &[], READING, 401),
        ("/api/v1/telemetry", &[("authorization", &wrong)], READING, 401),
        (
            "/api/v1/telemetry",
            &[("authorization", "Digest x")],
            READING,
            401,
        ),
        ("/api/v1/telemetry/other", &[auth], READING, 403),
        (
            "/api/v1/telemetry",
            &[auth, ("origin", "http://evil.example")],
            READING,
            403,
        ),
        ("/api/v1/telemetry/a%20b", &[auth], READING, 400),
        ("/api/v1/telemetry/st-1?device=st-2", &[auth], READING, 400),
        ("/api/v1/telemetry", &[auth], "{", 400),
        (
            "/api/v1/telemetry",
            &[auth, ("content-type", "text/plain")],
            READING,
            415,
        ),
        ("/api/v1/telemetry", &[auth], &large, 413),
    ];
    for (address, headers, body, code) in cases {
        let answer = bench.send(address, headers, body.to_owned()).await;
        assert_eq!(
            answer.status.as_u16(),
            code,
            "{address} {headers:?}: {}",
            answer.text
        );
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["status"], code);
        assert!(!problem["remedy"].as_str().unwrap().is_empty());
        assert_eq!(
            answer.header("www-authenticate").starts_with("Basic"),
            code == 401
        );
    }
    assert!(bench.kept().is_empty());
}

#[tokio::test]
async fn nothing_is_answered_with_success_that_the_journal_refused() {
    let bench = Bench::new().await;
    for (why, wait_s) in [
        (NotTaken::Full("full".to_owned()), "10"),
        (NotTaken::Stopped("broken".to_owned()), "60"),
    ] {
        *bench.door.refuses.lock().unwrap() = Some(why);
        for (address, body) in [("/api/v1/telemetry", READING), ("/api/v2/write", "st-1")] {
            let answer = bench.push(address, body).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{address}");
            assert_eq!(answer.header("retry-after"), wait_s, "{address}");
        }
    }
}

#[tokio::test]
async fn a_packed_body_is_unpacked_and_a_sender_that_comes_too_often_waits() {
    let bench = Bench::new().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(READING.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let auth = basic("st-1:secret");
    let headers = [("authorization", auth.as_str()), ("content-encoding", "gzip")];
    // Given 10 requests a second, 20 at once, when 21 come while the clock stands still,
    for _ in 0..20 {
        let answer = bench.send("/api/v1/telemetry", &headers, packed.clone()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    }
    assert_eq!(bench.kept()[0].2, READING);
    // then the last is told when to come again.
    let answer = bench.send("/api/v1/telemetry", &headers, packed).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn good_lines_are_taken_and_the_first_bad_one_is_named_as_influxdb_does() {
    let bench = Bench::new().await;
    let answer = bench
        .push("/api/v2/write?bucket=b&org=o&precision=ns", "st-1\nst-2")
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text);
    assert_eq!(
        bench.kept(),
        [
            (
                Origin::LineProtocol,
                "tw/v1/st-1/telemetry".to_owned(),
                "st-1".to_owned()
            ),
            (
                Origin::LineProtocol,
                "tw/v1/st-2/telemetry".to_owned(),
                "st-2".to_owned()
            ),
        ]
    );
    let answer = bench.push("/api/v2/write", "st-1\nbad\nother\nst-2").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let error = answer.json();
    assert_eq!((&error["code"], &error["line"]), (&"invalid".into(), &2.into()));
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("line 2") && message.contains("dropped=2"),
        "{message}"
    );
    assert_eq!(bench.kept().len(), 4, "the good ones are kept");
    // A body of nothing but foreign devices is forbidden.
    let answer = bench.push("/api/v2/write", "other").await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (StatusCode::FORBIDDEN, &"forbidden".into())
    );
}

#[tokio::test]
async fn line_protocol_is_refused_in_influxdbs_own_words() {
    let bench = Bench::new().await;
    let token = [("authorization", "Token st-1:secret")];
    let answer = bench.send("/api/v2/write", &token, "st-1").await;
    assert_eq!(
        answer.status,
        StatusCode::NO_CONTENT,
        "a token as InfluxDB's clients send it"
    );
    let answer = bench
        .send("/api/v2/write", &[("authorization", "Token x")], "st-1")
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["code"]),
        (401, &"unauthorized".into())
    );
    let answer = bench.push("/api/v2/write?precision=h", "st-1").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["code"]),
        (400, &"invalid".into())
    );
    let answer = bench
        .push("/api/v2/write", vec![b'#'; PUSH_LINES_BYTES_MAX + 1])
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["code"]),
        (413, &"request too large".into())
    );
    assert_eq!(bench.county.get("/ping").await.status, StatusCode::NO_CONTENT);
    assert_eq!(bench.county.get("/health").await.json()["status"], "pass");
}

#[tokio::test]
async fn without_a_door_nobody_pushes() {
    let county = County::open().await;
    let answer = county.post("/api/v1/telemetry", READING, &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
