use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;

use telemetry::time::ManualClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::county::CountySize;

/// 2026-11-23 12:00 in China.
const NOON: Timestamp = Timestamp::from_millis(1_795_406_400_000);

fn id(text: &str) -> DeviceId {
    text.parse().unwrap()
}

/// What the tiny broker took: payloads by topic, and how many had come before.
#[derive(Default)]
struct Taken {
    payloads: BTreeMap<String, Vec<Vec<u8>>>,
    again: usize,
    connects: usize,
}

/// A broker of thirty lines: it takes CONNECT, PUBLISH and PINGREQ. `hang_up_after`: it closes each of the first
/// connections after so many publishes, without having acknowledged the last of them.
async fn tiny_broker(hang_up_after: Option<usize>) -> (SocketAddr, Arc<Mutex<Taken>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(Mutex::new(Taken::default()));
    let shared = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let taken = Arc::clone(&shared);
            tokio::spawn(async move {
                let first_try = {
                    let mut taken = taken.lock().unwrap();
                    taken.connects += 1;
                    taken.connects <= 40
                };
                let hang_up = hang_up_after.filter(|_| first_try);
                let mut published = 0;
                while let Some((kind, body)) = packet(&mut stream).await {
                    let answer: Vec<u8> = match kind >> 4 {
                        1 => vec![0x20, 2, 0, 0],
                        3 => {
                            let topic_len = usize::from(u16::from_be_bytes([body[0], body[1]]));
                            let topic = String::from_utf8(body[2..2 + topic_len].to_vec()).unwrap();
                            let payload = body[4 + topic_len..].to_vec();
                            let mut taken = taken.lock().unwrap();
                            taken.again += usize::from(kind & 0x08 != 0);
                            taken.payloads.entry(topic).or_default().push(payload);
                            published += 1;
                            if Some(published) == hang_up {
                                return;
                            }
                            vec![0x40, 2, body[2 + topic_len], body[3 + topic_len]]
                        }
                        12 => vec![0xD0, 0],
                        _ => return,
                    };
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, taken)
}

async fn packet(stream: &mut tokio::net::TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()?;
    let (mut size, mut shift) = (0_usize, 0);
    loop {
        let byte = stream.read_u8().await.ok()?;
        size |= usize::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; size];
    stream.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

/// Runs a small county at noon until its two hours of history are acknowledged, at most a minute.
async fn tell_two_hours(hang_up_after: Option<usize>) -> (Progress, Arc<Mutex<Taken>>) {
    let (mqtt, taken) = tiny_broker(hang_up_after).await;
    let county = Arc::new(County::generate(CountySize::Small, 1));
    let bound = Simulator::bind_local(county).await.unwrap();
    let cancel = CancellationToken::new();
    let done = cancel.clone();
    let config = RunConfig {
        history: Some(Span::from_secs(7200)),
        ..RunConfig::new(mqtt)
    };
    let progress = move |now: Progress| {
        if now.history_done() {
            done.cancel();
        }
    };
    let clock = Arc::new(ManualClock::at(NOON));
    let ran = tokio::time::timeout(
        Duration::from_secs(60),
        bound.run(config, clock, progress, cancel),
    );
    (
        ran.await
            .expect("history was not acknowledged within a minute")
            .unwrap(),
        taken,
    )
}

fn stamps(taken: &Taken, device: &str) -> Vec<i64> {
    let payloads = &taken.payloads[&format!("tw/v1/{device}/telemetry")];
    let records = payloads
        .iter()
        .flat_map(|payload| serde_json::from_slice::<Vec<serde_json::Value>>(payload).unwrap());
    records.map(|record| record["ts"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hours_of_history_are_told_over_the_sockets_once() {
    // Given a broker that acknowledges everything, when the county has told two hours up to noon,
    let (progress, taken) = tell_two_hours(None).await;
    // then each instant of each device came once: 24 of a polled station, 120 of a tank.
    let taken = taken.lock().unwrap();
    for (device, amount) in [
        ("sw-001", 24),
        ("sws-001", 8),
        ("depot-1-tank-1", 120),
        ("depot-4-panel", 120),
    ] {
        let stamps = stamps(&taken, device);
        assert_eq!(stamps.len(), amount, "{device}");
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{device}");
        assert!(stamps.iter().all(|ts| *ts <= NOON.millis()));
    }
    assert_eq!((taken.again, progress.dropped, progress.refused), (0, 0, 0));
    assert_eq!(progress.history_acked, progress.history_total);
    // No lamp burns between ten and noon.
    assert!(!taken.payloads.keys().any(|topic| topic.contains("lamp")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broken_connection_did_not_acknowledge_is_sent_again() {
    // Given a broker that hangs up on the second publish of each of the first forty connections,
    let (progress, taken) = tell_two_hours(Some(2)).await;
    // then it was sent again, marked as a duplicate, and nothing is missing.
    let taken = taken.lock().unwrap();
    assert!(taken.again > 0);
    assert_eq!(progress.history_acked, progress.history_total);
    for (device, amount) in [("sw-001", 24), ("depot-1-tank-1", 120)] {
        let mut stamps = stamps(&taken, device);
        stamps.sort_unstable();
        stamps.dedup();
        assert_eq!(stamps.len(), amount, "{device}");
    }
}

/// Reads registers with `mbpoll`, a program that nobody here wrote; 32-bit values high word first (`-B`).
fn mbpoll(at: (SocketAddr, u8), kind: &str, first: u16, count: u16) -> (String, bool) {
    let output = Command::new("mbpoll")
        .args(["-m", "tcp", "-1", "-q", "-B", "-o", "2", "-t", kind])
        .args(["-p", &at.0.port().to_string(), "-a", &at.1.to_string()])
        .args([
            "-r",
            &(first + 1).to_string(),
            "-c",
            &count.to_string(),
            "127.0.0.1",
        ])
        .output()
        .expect("mbpoll is installed by tests/run");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.success())
}

/// The values of mbpoll's lines, e.g. `[12]: 345`.
fn values(text: &str) -> Vec<f64> {
    (text.lines())
        .filter_map(|line| line.strip_prefix('[')?.split_once("]:"))
        .filter_map(|(_, value)| value.split_whitespace().next()?.parse().ok())
        .collect()
}

/// A running small county at noon that says nothing over MQTT: its slaves, and what stops it.
async fn slaves() -> (
    Arc<County>,
    BTreeMap<&'static str, (SocketAddr, u8)>,
    SlaveScript,
    CancellationToken,
) {
    let county = Arc::new(County::generate(CountySize::Small, 1));
    let bound = Simulator::bind_local(Arc::clone(&county)).await.unwrap();
    let names = ["sw-001", "depot-1-tank-1", "depot-1-tank-2", "depot-1-panel"];
    let at = names
        .into_iter()
        .map(|name| match bound.slave(&id(name)).unwrap() {
            (ModbusLine::Tcp(address), unit) => (name, (address, unit)),
            other => panic!("{other:?}"),
        })
        .collect();
    let (script, cancel) = (bound.slaves(), CancellationToken::new());
    let (mqtt, _) = tiny_broker(None).await;
    let config = RunConfig {
        history: None,
        ..RunConfig::new(mqtt)
    };
    let clock = Arc::new(ManualClock::at(NOON));
    tokio::spawn(bound.run(config, clock, |_| (), cancel.clone()));
    (county, at, script, cancel)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mbpoll_reads_what_the_model_says() {
    // Given a running county whose clock stands at noon,
    let (county, at, _, cancel) = slaves().await;
    let model = move |device: &str, signal: &str| county.value(&id(device), signal, NOON).unwrap();
    tokio::task::spawn_blocking(move || {
        // when mbpoll reads a tank's three input registers (domain.md §7.1: 0.1 %, 0.001 MPa, 0.1 °C),
        let (text, ok) = mbpoll(at["depot-1-tank-1"], "3", 0, 3);
        assert!(ok, "{text}");
        let wanted = [("level", 10.0), ("pressure", 1000.0), ("temperature", 10.0)];
        let wanted: Vec<f64> = wanted
            .iter()
            .map(|(name, by)| (model("depot-1-tank-1", name) * by).round())
            .collect();
        // then they are the model's values;
        assert_eq!(values(&text), wanted, "{text}");
        // and so are a station's flow (float, high word first), its total (0.1 m³) and its mains contact,
        let (text, _) = mbpoll(at["sw-001"], "3:float", 0, 1);
        let flow = model("sw-001", "flow");
        assert!((values(&text)[0] - flow).abs() < 1e-4, "{text} {flow}");
        let (text, _) = mbpoll(at["sw-001"], "3:int", 2, 1);
        assert_eq!(
            values(&text),
            [(model("sw-001", "total") * 10.0).round()],
            "{text}"
        );
        let (text, _) = mbpoll(at["sw-001"], "1", 8, 1);
        assert_eq!(values(&text), [1.0], "{text}");
        // the panel's sixteen channels behind the same address as the tanks,
        let (text, _) = mbpoll(at["depot-1-panel"], "3", 0, 16);
        assert_eq!(at["depot-1-panel"].0, at["depot-1-tank-2"].0);
        let fifth = (model("depot-1-panel", "gas_05") * 10.0).round();
        assert_eq!(values(&text).get(4), Some(&fifth), "{text}");
        // and what is not there is refused: a register (exception 2), a unit (exception 11).
        let (text, ok) = mbpoll(at["depot-1-tank-1"], "3", 3, 1);
        assert!(!ok && text.contains("Illegal data address"), "{text}");
        let (text, ok) = mbpoll((at["depot-1-panel"].0, 77), "3", 0, 1);
        assert!(!ok && text.contains("Target device failed to respond"), "{text}");
    })
    .await
    .unwrap();
    cancel.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slave_answers_as_it_is_told_and_its_neighbour_as_ever() {
    let (_, at, script, cancel) = slaves().await;
    tokio::task::spawn_blocking(move || {
        let tank = id("depot-1-tank-1");
        for (how, says) in [
            (Answer::Exception(4), "Slave device or server failure"),
            (Answer::Silent, "Connection timed out"),
        ] {
            script.answer(&tank, Some(how)).unwrap();
            let (text, ok) = mbpoll(at["depot-1-tank-1"], "3", 0, 3);
            assert!(!ok && text.contains(says), "{how:?}: {text}");
            assert!(mbpoll(at["depot-1-tank-2"], "3", 0, 3).1);
        }
        script.answer(&tank, Some(Answer::Short)).unwrap();
        assert!(!mbpoll(at["depot-1-tank-1"], "3", 0, 3).1);
        script
            .answer(&tank, Some(Answer::Late(Span::from_millis(300))))
            .unwrap();
        assert!(mbpoll(at["depot-1-tank-1"], "3", 0, 3).1);
        script.answer(&tank, None).unwrap();
        assert!(mbpoll(at["depot-1-tank-1"], "3", 0, 3).1);
    })
    .await
    .unwrap();
    cancel.cancel();
}

#[tokio::test]
async fn a_fault_that_cannot_be_had_is_refused_before_anything_begins() {
    let county = Arc::new(County::generate(CountySize::Small, 1));
    let bound = Simulator::bind_local(county).await.unwrap();
    let mut config = RunConfig::new(SocketAddr::from(([127, 0, 0, 1], 9)));
    config.faults = vec!["gas-leak:cover-0001".parse().unwrap()];
    let ran = bound
        .run(
            config,
            Arc::new(ManualClock::at(NOON)),
            |_| (),
            CancellationToken::new(),
        )
        .await;
    let Err(SimulatorError::Fault(error)) = ran else {
        panic!("{ran:?}")
    };
    assert!(error.to_string().contains("detector panels"), "{error}");
}
