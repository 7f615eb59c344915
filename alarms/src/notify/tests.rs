//! The worker against real receivers that misbehave.

mod broker;
mod failover;
mod flood;
mod kinds;
mod lifesign;
mod mail;

use std::sync::Mutex;
use std::time::Duration;

use store::state::alarms::{Fate, Notice};
use telemetry::time::{ManualClock, ScaledClock, SystemClock};
use telemetry::{Batch, Lsn, Point, Quality, Sample, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::digest::Parcel;
use super::*;
use crate::engine::tests::{catalogue, night};

/// One request as it came: when, its head and body.
#[derive(Clone, Debug)]
struct Request {
    at: Timestamp,
    head: String,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Method and path.
    fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Answers with this status (and further headers), and this body.
    Says(&'static str, &'static str),
    /// Never answers.
    Hangs,
    /// Closes the connection.
    Resets,
    /// Sends a byte of its long answer now and then.
    Drips,
    /// Answers with more than anybody should read.
    Floods,
}

/// A receiver that does this in turn, the last for ever.
struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    async fn start(does: &'static [Does]) -> Self {
        Self::start_with(does, Arc::new(SystemClock::new())).await
    }

    /// It writes down the times of this clock.
    async fn start_with(does: &'static [Does], clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, clock) = (Arc::clone(&seen), Arc::clone(&clock));
                tokio::spawn(async move {
                    let request = read(&mut stream, &*clock).await;
                    let place = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request);
                        seen.len() - 1
                    };
                    act(*does.get(place).or(does.last()).unwrap(), &mut stream).await;
                });
            }
        });
        Self { port, got }
    }

    fn got(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// What it does; a client that goes away meanwhile is no fault of it.
async fn act(does: Does, stream: &mut tokio::net::TcpStream) {
    match does {
        Does::Says(status, body) => {
            let length = body.len();
            let text =
                format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(text.as_bytes()).await.ok();
        }
        Does::Hangs => tokio::time::sleep(Duration::from_secs(120)).await,
        Does::Resets => {}
        Does::Drips => {
            let head = b"HTTP/1.1 200 ok\r\ncontent-length: 100000\r\n\r\n";
            stream.write_all(head).await.ok();
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Does::Floods => {
            let head = b"HTTP/1.1 200 ok\r\nconnection: close\r\n\r\n";
            stream.write_all(head).await.ok();
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
        }
    }
}

async fn read(stream: &mut tokio::net::TcpStream, clock: &dyn Clock) -> Request {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.unwrap_or(0);
        bytes.extend(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        let whole = text.contains("\r\n\r\n") && body.len() >= length;
        if whole || count == 0 {
            return Request {
                at: clock.now(),
                head: head.to_owned(),
                body: body.to_owned(),
            };
        }
    }
}

const OK: Does = Does::Says("200 ok", "");
const OH: Does = Does::Says("500 oh", "");
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Room {
    folder: tempfile::TempDir,
    clock: Arc<dyn Clock>,
    settings: AlarmSettings,
}

impl Room {
    /// One webhook at `url`.
    fn new(url: &str, allow: &[&str]) -> Self {
        Self::with(&format!(
            "allow = {allow:?}\n[[webhook]]\nname = \"hook\"\nurl = \"{url}\"\nsecret = \"{SECRET}\""
        ))
    }

    /// These settings, and a clock that runs twenty times as fast.
    fn with(settings: &str) -> Self {
        let real = SystemClock::new().now();
        let clock = ScaledClock::new(real, Timestamp::from_millis(1_000_000), 20);
        Self::at(settings, Arc::new(clock))
    }

    /// These settings, and a clock that stands still.
    fn still(settings: &str) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        Self::at(settings, Arc::new(clock))
    }

    fn at(settings: &str, clock: Arc<dyn Clock>) -> Self {
        let settings: AlarmSettings = toml::from_str(settings).unwrap();
        settings.check().unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock,
            settings,
        }
    }

    fn open(&self) -> Arc<AlarmService> {
        let state = Arc::new(store::state::State::open(&self.folder.path().join("state.db")).unwrap());
        let clock = Arc::clone(&self.clock);
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

    /// Gas at 40 %LEL; when that was.
    fn gas(&self, service: &AlarmService) -> Timestamp {
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
        now
    }

    /// The notice of that, as it waits.
    fn gas_notice(&self, service: &AlarmService) -> Notice {
        self.gas(service);
        service.notices_due(self.clock.now(), 10)[0].clone()
    }

    fn channel(&self, place: usize) -> Channel {
        let clients = Clients::new().unwrap();
        Channel::all(&self.settings, &clients).unwrap().remove(place)
    }

    /// Sends a notice once over the first channel.
    async fn send(&self, notice: &Notice) -> Outcome {
        let parcel = Parcel::one(notice.clone());
        self.channel(0).send(&parcel, self.clock.now()).await
    }

    fn run(&self, service: &Arc<AlarmService>) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let cancel = CancellationToken::new();
        let clock = Arc::clone(&self.clock);
        let notifier = Notifier::new(Arc::clone(service), clock, &self.settings).unwrap();
        (cancel.clone(), tokio::spawn(notifier.run(cancel)))
    }
}

/// Waits until `done`, twenty seconds at most.
async fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come to pass");
}

fn fate(service: &AlarmService) -> Fate {
    service.notices(1).unwrap()[0].fate
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_three_times_gets_the_same_key_four_times() {
    let receiver = Receiver::start(&[OH, OH, OH, OK]).await;
    let room = Room::new(
        &format!("http://127.0.0.1:{}/in", receiver.port),
        &[&format!("127.0.0.1:{}", receiver.port)],
    );
    let service = room.open();
    room.gas(&service);
    let (cancel, worker) = room.run(&service);
    until(|| fate(&service) == Fate::Delivered).await;
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
    let receiver = Receiver::start(&[OK]).await;
    let room = Room::new(
        &format!("http://127.0.0.1:{}/in", receiver.port),
        &[&format!("127.0.0.1:{}", receiver.port)],
    );
    // Given a notice that was sent, and a crash before that was written down,
    {
        let service = room.open();
        room.gas(&service);
        let notice = service.notices_due(room.clock.now(), 10)[0].clone();
        assert_eq!(room.send(&notice).await, Outcome::Delivered);
    }
    // when the program starts again,
    let service = room.open();
    let (cancel, worker) = room.run(&service);
    until(|| fate(&service) == Fate::Delivered).await;
    cancel.cancel();
    worker.await.unwrap();
    // then the receiver has it twice, with one key, and not a third time.
    let got = receiver.got();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_not_reached_unless_it_is_listed() {
    let receiver = Receiver::start(&[OK]).await;
    for host in ["127.0.0.1", "localhost"] {
        let room = Room::new(&format!("http://{host}:{}/in", receiver.port), &["127.0.0.1:1"]);
        let service = room.open();
        room.gas(&service);
        let (cancel, worker) = room.run(&service);
        until(|| service.notices(1).unwrap()[0].attempts > 0).await;
        cancel.cancel();
        worker.await.unwrap();
        assert_ne!(fate(&service), Fate::Delivered);
    }
    assert!(receiver.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let receiver = Receiver::start(&[Does::Says("302 found\r\nlocation: http://127.0.0.1:1/", "")]).await;
    let room = Room::new(
        &format!("http://127.0.0.1:{}/in", receiver.port),
        &[&format!("127.0.0.1:{}", receiver.port)],
    );
    let service = room.open();
    room.gas(&service);
    let notice = service.notices_due(room.clock.now(), 10)[0].clone();
    let Outcome::Failed(why) = room.send(&notice).await else {
        panic!("it must fail")
    };
    assert!(why.contains("302"), "{why}");
}

#[test]
fn a_message_says_what_an_inspector_needs() {
    let room = Room::still("[[webhook]]\nname = \"hook\"\nurl = \"http://example.org/\"");
    let service = room.open();
    let notice = room.gas_notice(&service);
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
