//! The worker against a real receiver over TCP that misbehaves.

use std::sync::Mutex;

use telemetry::time::ManualClock;
use telemetry::{Batch, Lsn, Point, Quality, Sample};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::engine::tests::{catalogue, night};

/// One request as it came: its head and body.
#[derive(Clone, Debug)]
struct Request {
    head: String,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A receiver that gives the answers in turn, the last for ever.
struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    async fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                let place = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request);
                    seen.len() - 1
                };
                let answer = answers.get(place).or(answers.last()).unwrap();
                let text = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(text.as_bytes()).await.unwrap();
            }
        });
        Self { port, got }
    }

    fn got(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }
}

async fn read(stream: &mut tokio::net::TcpStream) -> Request {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.unwrap();
        bytes.extend(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length || count == 0 {
                return Request {
                    head: head.to_owned(),
                    body: body.to_owned(),
                };
            }
        }
    }
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Room {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    settings: AlarmSettings,
}

impl Room {
    fn new(url: &str, allow: &[&str]) -> Self {
        let webhook = format!("name = \"hook\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"");
        let settings = AlarmSettings {
            webhooks: vec![toml::from_str(&webhook).unwrap()],
            allow: allow.iter().map(|allowed| Box::from(*allowed)).collect(),
            ..AlarmSettings::default()
        };
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000))),
            settings,
        }
    }

    fn open(&self) -> Arc<AlarmService> {
        let state = Arc::new(store::state::State::open(&self.folder.path().join("state.db")).unwrap());
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Arc::new(
            AlarmService::open(
                state,
                Arc::new(catalogue()),
                clock,
                night(),
                self.settings.clone(),
            )
            .unwrap(),
        )
    }

    /// Gas at 40 %LEL.
    fn gas(&self, service: &AlarmService) {
        let now = self.clock.now();
        let mut batch = Batch {
            first: Lsn(1),
            last: Lsn(1),
            ..Batch::default()
        };
        batch.points.push(Point {
            series: catalogue().series_id("G1", "gas").unwrap(),
            sample: Sample {
                time: now,
                value: 40.0,
                quality: Quality::Good,
            },
            arrived: now,
            backfill: false,
        });
        service.observe(&batch);
    }

    fn run(&self, service: &Arc<AlarmService>) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let cancel = CancellationToken::new();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let notifier = Notifier::new(Arc::clone(service), clock, &self.settings).unwrap();
        (cancel.clone(), tokio::spawn(notifier.run(cancel)))
    }
}

/// Waits until `done`, ten seconds at most; the manual clock goes on by a second with every look.
async fn until(room: &Room, mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        room.clock.advance(Span::from_secs(1));
    }
    panic!("it did not come to pass");
}

fn fate(service: &AlarmService) -> Fate {
    service.notices(1).unwrap()[0].fate
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_three_times_gets_the_same_key_four_times() {
    let receiver = Receiver::start(&["500 oh", "500 oh", "500 oh", "200 ok"]).await;
    let room = Room::new(
        &format!("http://127.0.0.1:{}/in", receiver.port),
        &[&format!("127.0.0.1:{}", receiver.port)],
    );
    let service = room.open();
    room.gas(&service);
    let (cancel, worker) = room.run(&service);
    until(&room, || fate(&service) == Fate::Delivered).await;
    cancel.cancel();
    worker.await.unwrap();
    let got = receiver.got();
    assert_eq!(got.len(), 4);
    assert!(
        got.iter()
            .all(|request| request.header("webhook-id") == Some("G1~HI~1.raised.hook"))
    );
    assert!(got.iter().all(|request| request.body == got[0].body));
    assert_eq!(service.notices(1).unwrap()[0].attempts, 4);
    // The signature is over exactly what was sent.
    let key = signature::key(SECRET).unwrap();
    let time = got[0].header("webhook-timestamp").unwrap().parse().unwrap();
    let signed = signature::sign(&key, "G1~HI~1.raised.hook", time, &got[0].body);
    assert_eq!(got[0].header("webhook-signature"), Some(signed.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_sending_and_recording_sends_again_with_the_same_key() {
    let receiver = Receiver::start(&["200 ok"]).await;
    let room = Room::new(
        &format!("http://127.0.0.1:{}/in", receiver.port),
        &[&format!("127.0.0.1:{}", receiver.port)],
    );
    // Given a notice that was sent, and a crash before that was written down,
    {
        let service = room.open();
        room.gas(&service);
        let notice = service.notices_due(room.clock.now(), 10)[0].clone();
        let webhook = Webhook::new(&room.settings.webhooks[0], &room.settings.allow).unwrap();
        assert_eq!(webhook.send(&notice, room.clock.now()).await, Outcome::Delivered);
    }
    // when the program starts again,
    let service = room.open();
    let (cancel, worker) = room.run(&service);
    until(&room, || fate(&service) == Fate::Delivered).await;
    cancel.cancel();
    worker.await.unwrap();
    // then the receiver has it twice, with one key, and not a third time.
    let got = receiver.got();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_not_reached_unless_it_is_listed() {
    let receiver = Receiver::start(&["200 ok"]).await;
    for host in ["127.0.0.1", "localhost"] {
        let room = Room::new(&format!("http://{host}:{}/in", receiver.port), &["127.0.0.1:1"]);
        let service = room.open();
        room.gas(&service);
        let (cancel, worker) = room.run(&service);
        until(&room, || service.notices(1).unwrap()[0].attempts > 0).await;
        cancel.cancel();
        worker.await.unwrap();
        assert_ne!(fate(&service), Fate::Delivered);
    }
    assert!(receiver.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let receiver = Receiver::start(&["302 found\r\nlocation: http://127.0.0.1:1/"]).await;
    let room = Room::new(
        &format!("http://127.0.0.1:{}/in", receiver.port),
        &[&format!("127.0.0.1:{}", receiver.port)],
    );
    let service = room.open();
    room.gas(&service);
    let notice = service.notices_due(room.clock.now(), 10)[0].clone();
    let webhook = Webhook::new(&room.settings.webhooks[0], &room.settings.allow).unwrap();
    let Outcome::Failed(why) = webhook.send(&notice, room.clock.now()).await else {
        panic!("it must fail")
    };
    assert!(why.contains("302"), "{why}");
}

#[test]
fn a_message_says_what_an_inspector_needs() {
    let room = Room::new("http://example.org/", &[]);
    let service = room.open();
    room.gas(&service);
    let notice = service.notices_due(room.clock.now(), 10)[0].clone();
    let body: serde_json::Value = serde_json::from_str(&notice.payload).unwrap();
    assert_eq!(
        body["text"]["en"],
        "high — depot, G1 (G1); value 40.0 %LEL, limit 25 %LEL; since 1970-01-01T08:16:40+08:00 (0 s ago); occurrence G1~HI~1"
    );
    assert_eq!(
        body["text"]["zh"],
        "报警：高，站，G1（G1）；数值40.0 %LEL，限值25 %LEL；自1970-01-01T08:16:40+08:00（0秒前）；编号G1~HI~1"
    );
    assert_eq!(body["alarm"]["limit"], 25.0);
    assert_eq!(body["alarm"]["site"], "s1");
    assert_eq!(body["since"], 1_000_000);
    assert_eq!(body["acknowledge"], "/alarms/G1~HI~1");
}

#[test]
fn the_pauses_double_and_stay_below_their_bound() {
    let room = Room::new("http://example.org/", &[]);
    let service = room.open();
    room.gas(&service);
    let mut notice = service.notices_due(room.clock.now(), 10)[0].clone();
    let mut now = notice.made_at;
    for least in [
        1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000,
    ] {
        notice = after_attempt(notice, &Outcome::Failed("no".to_owned()), now);
        let waited = notice.next_at.millis_since(now);
        assert!(
            (least..=least + least / 4).contains(&waited),
            "{waited} after {}",
            notice.attempts
        );
        now = notice.next_at;
    }
    let late = notice.made_at.plus(Span::from_secs(86_401));
    assert_eq!(
        after_attempt(notice, &Outcome::Failed("no".to_owned()), late).fate,
        Fate::GaveUp
    );
}
