use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetry::profile::Profile;
use telemetry::registry::Transport;
use telemetry::time::{Span, SystemClock};
use telemetry::{Bad, Catalogue, Clock, Lsn, Quality, RawMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_modbus::server::tcp::{Server, accept_tcp_connection};
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};
use tokio_util::sync::CancellationToken;

use super::registers::profile;
use crate::decoder::{DecodeSettings, Decoder};
use crate::modbus::{ModbusConfig, ModbusStats, Poller, Sink};
use crate::testkit::{catalogue_of, device};

/// A slave: unit 1 answers registers equal to their address, unit 2 refuses address 100 and above,
/// unit 3 is silent.
#[derive(Clone, Default)]
struct Slave {
    asked: Arc<AtomicU64>,
}

impl tokio_modbus::server::Service for Slave {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Option<Response>, ExceptionCode>>;

    fn call(&self, request: SlaveRequest<'static>) -> Self::Future {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if request.slave == 3 {
            return ready(Ok(None));
        }
        let refuses = request.slave == 2;
        ready(match request.request {
            Request::ReadInputRegisters(address, _) if refuses && address >= 100 => {
                Err(ExceptionCode::IllegalDataAddress)
            }
            Request::ReadInputRegisters(address, count) => Ok(Some(Response::ReadInputRegisters(
                (address..address + count).collect(),
            ))),
            Request::ReadHoldingRegisters(address, count) => Ok(Some(Response::ReadHoldingRegisters(
                (address..address + count).collect(),
            ))),
            Request::ReadCoils(address, count) => Ok(Some(Response::ReadCoils(
                (address..address + count).map(|n| n % 2 == 1).collect(),
            ))),
            Request::ReadDiscreteInputs(address, count) => Ok(Some(Response::ReadDiscreteInputs(
                (address..address + count).map(|n| n % 3 == 0).collect(),
            ))),
            _ => Err(ExceptionCode::IllegalFunction),
        })
    }
}

impl Slave {
    async fn serve(&self, listener: TcpListener) {
        let slave = self.clone();
        let server = Server::new(listener);
        let connected = |stream, from| {
            let slave = slave.clone();
            async move { accept_tcp_connection(stream, from, |_| Ok(Some(slave.clone()))) }
        };
        server.serve(&connected, |_| {}).await.unwrap();
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What the poller brought, decoded.
struct Bench {
    poller: Poller,
    catalogue: Arc<Catalogue>,
    polls: Arc<Mutex<Vec<RawMessage>>>,
}

impl Bench {
    fn start(profile: &Arc<Profile>, units: &[(&str, SocketAddr, u8)]) -> Self {
        let unit = |(id, address, unit): &(&str, SocketAddr, u8)| {
            let mut device = device(id, "unit");
            device.transport = Transport::Modbus {
                address: *address,
                unit: *unit,
            };
            device
        };
        let devices = units.iter().map(unit).collect();
        let catalogue = Arc::new(catalogue_of(devices, std::slice::from_ref(profile)));
        let polls: Arc<Mutex<Vec<RawMessage>>> = Arc::default();
        let kept = Arc::clone(&polls);
        let sink: Sink = Arc::new(move |messages| {
            kept.lock().unwrap().extend(messages);
            Box::pin(ready(Ok(())))
        });
        Self {
            poller: start(&catalogue, sink),
            catalogue,
            polls,
        }
    }

    /// Waits until `device` was polled so that its points satisfy `wanted`; at most 10 s.
    async fn wait(&self, device: &str, wanted: impl Fn(&[(f64, Quality)]) -> bool) {
        let mut last = Vec::new();
        for _ in 0..1000 {
            let polls: Vec<RawMessage> = self.polls.lock().unwrap().drain(..).collect();
            let mut decoder = Decoder::new(Arc::clone(&self.catalogue), DecodeSettings::default());
            for poll in polls.into_iter().filter(|poll| poll.sender.as_str() == device) {
                let batch = decoder.decode(&[(Lsn(1), poll)]);
                last = batch
                    .points
                    .iter()
                    .map(|point| (point.sample.value, point.sample.quality))
                    .collect();
                if wanted(&last) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{device} never came to that: {last:?}, {:?}", self.poller.stats());
    }

    /// Waits until `device` was polled `polls` times more, at most 10 s. How often `other` was meanwhile.
    async fn meanwhile(&self, device: &str, polls: usize, other: &str) -> usize {
        self.polls.lock().unwrap().clear();
        for _ in 0..1000 {
            {
                let seen = self.polls.lock().unwrap();
                let of = |id: &str| seen.iter().filter(|poll| poll.sender.as_str() == id).count();
                if of(device) >= polls {
                    return of(other);
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{device} is not polled any more: {:?}", self.poller.stats());
    }
}

fn start(catalogue: &Arc<Catalogue>, sink: Sink) -> Poller {
    let config = ModbusConfig {
        timeout: Duration::from_millis(150),
        reconnect_max: Span::from_millis(300),
        ..ModbusConfig::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Poller::start(catalogue, sink, clock, config, CancellationToken::new())
}

/// Polled ten times a second.
fn fast(points: &[(u8, u16, &str)]) -> Arc<Profile> {
    let mut profile = Profile::clone(&profile("gap_max = 4", points));
    profile.report_interval = Span::from_millis(100);
    Arc::new(profile)
}

const GOOD: Quality = Quality::Good;
const REFUSED: (f64, Quality) = (0.0, Quality::Bad(Bad::Exception));
const SILENT: (f64, Quality) = (0.0, Quality::Bad(Bad::NoAnswer));

#[tokio::test]
async fn all_four_tables_are_read_and_an_exception_stays_with_its_block() {
    // Given a slave, and a map over all four tables with one block that unit 2 refuses,
    let (listener, address) = listener().await;
    let slave = Slave::default();
    let server = tokio::spawn(async move { slave.serve(listener).await });
    let bit = "type = \"bool\"";
    let profile = fast(&[(1, 1, bit), (2, 1, bit), (3, 5, ""), (4, 6, ""), (4, 100, "")]);
    let bench = Bench::start(&profile, &[("u1", address, 1), ("u2", address, 2)]);
    // when it is polled, then every value is as the slave has it.
    let common = [(1.0, GOOD), (0.0, GOOD), (5.0, GOOD), (6.0, GOOD)];
    bench
        .wait("u1", |points| points == [&common[..], &[(100.0, GOOD)]].concat())
        .await;
    bench
        .wait("u2", |points| points == [&common[..], &[REFUSED]].concat())
        .await;
    let stats = bench.poller.stats();
    assert_eq!(
        (stats.connections, stats.no_answers, stats.sink_failures),
        (1, 0, 0),
        "{stats:?}"
    );
    bench.poller.stop().await;
    server.abort();
}

#[tokio::test]
async fn a_silent_unit_backs_off_and_its_neighbours_go_on() {
    let (listener, address) = listener().await;
    let slave = Slave::default();
    let server = tokio::spawn(async move { slave.serve(listener).await });
    let bench = Bench::start(&fast(&[(4, 7, "")]), &[("u1", address, 1), ("u3", address, 3)]);
    bench.wait("u3", |points| points == [SILENT]).await;
    bench.wait("u1", |points| points == [(7.0, GOOD)]).await;
    // Given time for the silent one to fail a few times (its waits grow to 0.2, 0.4, 0.8 s …),
    let until = |stats: ModbusStats| stats.no_answers >= 4;
    for _ in 0..1000 {
        if until(bench.poller.stats()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // then the neighbour is asked many times before the silent one is asked again.
    let silent = bench.meanwhile("u1", 20, "u3").await;
    assert!(
        silent <= 6,
        "the silent one was asked {silent} times, its neighbour 20 times"
    );
    bench.poller.stop().await;
    server.abort();
}

#[tokio::test]
async fn a_dead_gateway_delays_nobody_else() {
    // Given a gateway that takes connections and never answers, one that refuses them, and a good one,
    let (mute, mute_address) = listener().await;
    let (gone, gone_address) = listener().await;
    drop(gone);
    let (listener, address) = listener().await;
    let slave = Slave::default();
    let server = tokio::spawn(async move { slave.serve(listener).await });
    let units = [
        ("mute", mute_address, 1),
        ("gone", gone_address, 1),
        ("good", address, 1),
    ];
    let bench = Bench::start(&fast(&[(4, 7, "")]), &units);
    bench.wait("good", |points| points == [(7.0, GOOD)]).await;
    bench.wait("mute", |points| points == [SILENT]).await;
    bench.wait("gone", |points| points == [SILENT]).await;
    // then the good one is polled at its pace: on the line of the mute one it could not be polled more often.
    let mute_polls = bench.meanwhile("good", 40, "mute").await;
    assert!(
        mute_polls < 35,
        "the mute one was asked {mute_polls} times, the good one 40 times"
    );
    bench.poller.stop().await;
    drop(mute);
    server.abort();
}

#[tokio::test]
async fn a_gateway_that_comes_back_is_polled_again() {
    // Given a gateway that is there, then gone,
    let (listener, address) = listener().await;
    let slave = Slave::default();
    let first = tokio::spawn({
        let slave = slave.clone();
        async move { slave.serve(listener).await }
    });
    let bench = Bench::start(&fast(&[(4, 7, "")]), &[("u1", address, 1)]);
    bench.wait("u1", |points| points == [(7.0, GOOD)]).await;
    first.abort();
    bench.wait("u1", |points| points == [SILENT]).await;
    // when it listens again,
    let listener = TcpListener::bind(address).await.unwrap();
    let second = tokio::spawn(async move { slave.serve(listener).await });
    // then it is found.
    bench.wait("u1", |points| points == [(7.0, GOOD)]).await;
    bench.poller.stop().await;
    second.abort();
}

/// Answers each request, as raw bytes, with what `answer` makes of the request; on every connection.
async fn raw_slave<F>(listener: TcpListener, connections: Arc<AtomicU64>, answer: F)
where
    F: Fn(u64, [u8; 12]) -> (Duration, Vec<u8>) + Clone + Send + 'static,
{
    let asked = Arc::new(AtomicU64::new(0));
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::Relaxed);
        let (answer, asked) = (answer.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            let mut request = [0u8; 12];
            while stream.read_exact(&mut request).await.is_ok() {
                let (wait, bytes) = answer(asked.fetch_add(1, Ordering::Relaxed), request);
                tokio::time::sleep(wait).await;
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// A reply to `request` with this PDU.
fn reply(request: [u8; 12], pdu: &[u8]) -> Vec<u8> {
    let length = u8::try_from(pdu.len() + 1).unwrap();
    [&request[..4], &[0, length, request[6]], pdu].concat()
}

#[tokio::test]
async fn a_short_answer_is_no_answer_and_the_next_read_has_a_new_connection() {
    // Given a slave that answers the two registers at 0 with one, and that at 20 in full,
    let (listener, address) = listener().await;
    let connections = Arc::new(AtomicU64::new(0));
    let server = tokio::spawn(raw_slave(listener, Arc::clone(&connections), |_, request| {
        let bytes = match request[9] {
            0 => reply(request, &[4, 2, 0, 1]),
            _ => reply(request, &[4, 2, 0, 9]),
        };
        (Duration::ZERO, bytes)
    }));
    let bench = Bench::start(
        &fast(&[(4, 0, "type = \"float32\""), (4, 20, "")]),
        &[("u1", address, 1)],
    );
    bench.wait("u1", |points| points == [SILENT, (9.0, GOOD)]).await;
    assert!(connections.load(Ordering::Relaxed) >= 2);
    bench.poller.stop().await;
    server.abort();
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_another() {
    // Given a slave whose first answer comes after the time-out and says 1111; all later ones say 7,
    let (listener, address) = listener().await;
    let connections = Arc::new(AtomicU64::new(0));
    let server = tokio::spawn(raw_slave(
        listener,
        Arc::clone(&connections),
        |number, request| match number {
            0 => (Duration::from_millis(200), reply(request, &[4, 2, 0x04, 0x57])),
            _ => (Duration::ZERO, reply(request, &[4, 2, 0, 7])),
        },
    ));
    let bench = Bench::start(&fast(&[(4, 0, "")]), &[("u1", address, 1)]);
    bench.wait("u1", |points| points == [SILENT]).await;
    for _ in 0..3 {
        bench
            .wait("u1", |points| {
                assert!(points.is_empty() || points == [(7.0, GOOD)], "{points:?}");
                !points.is_empty()
            })
            .await;
    }
    assert_eq!(
        connections.load(Ordering::Relaxed),
        2,
        "one before the time-out, one after"
    );
    bench.poller.stop().await;
    server.abort();
}

#[tokio::test]
async fn a_connection_that_the_gateway_closes_between_polls_costs_no_reading() {
    // Given a gateway that closes after each answer,
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0u8; 12];
            if stream.read_exact(&mut request).await.is_ok() {
                stream.write_all(&reply(request, &[4, 2, 0, 7])).await.unwrap();
            }
        }
    });
    let bench = Bench::start(&fast(&[(4, 0, "")]), &[("u1", address, 1)]);
    for _ in 0..5 {
        bench
            .wait("u1", |points| {
                assert_eq!(points, [(7.0, GOOD)]);
                true
            })
            .await;
    }
    bench.poller.stop().await;
    server.abort();
}

#[tokio::test]
async fn polling_goes_on_when_the_sink_fails() {
    let (listener, address) = listener().await;
    let slave = Slave::default();
    let asked = Arc::clone(&slave.asked);
    let server = tokio::spawn(async move { slave.serve(listener).await });
    let mut unit = device("u1", "unit");
    unit.transport = Transport::Modbus { address, unit: 1 };
    let catalogue = Arc::new(catalogue_of(vec![unit], &[fast(&[(4, 0, "")])]));
    let sink: Sink = Arc::new(|_| Box::pin(ready(Err("the journal is full".into()))));
    let poller = start(&catalogue, sink);
    for _ in 0..1000 {
        if asked.load(Ordering::Relaxed) >= 3 && poller.stats().sink_failures >= 3 {
            poller.stop().await;
            server.abort();
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", poller.stats());
}
