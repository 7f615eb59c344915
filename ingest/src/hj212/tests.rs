//! Loggers over real sockets: what is journaled, what is answered, and in which order. The packets of these tests are
//! written by their own few lines, or come from other hands.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetry::registry::Transport;
use telemetry::time::ManualClock;
use telemetry::{Catalogue, RawMessage};
use tokio_util::sync::CancellationToken;

use super::{Hj212Config, Listener, Sink};
use crate::testkit::{NOON, PROFILE, catalogue_of, device, profile};

const MN: &str = "010000A8900016F000169DC0";

/// A checksum of the tests' own, by the table that a logger would use.
fn checksum(segment: &str) -> u16 {
    let table: Vec<u16> = (0..256u16)
        .map(|byte| {
            (0..8).fold(byte, |sum, _| {
                if sum & 1 == 1 {
                    (sum >> 1) ^ 0xA001
                } else {
                    sum >> 1
                }
            })
        })
        .collect();
    segment.bytes().fold(0xFFFF, |sum: u16, byte| {
        // The register's low half goes through the table and its high half takes the byte: not as in Modbus.
        table[usize::from((sum >> 8) ^ u16::from(byte))]
    })
}

fn packet(segment: &str) -> Vec<u8> {
    format!("##{:04}{segment}{:04X}\r\n", segment.len(), checksum(segment)).into_bytes()
}

fn segment(cn: u16, flag: u8, cp: &str) -> String {
    format!("QN=20261123120000001;ST=32;CN={cn};PW=123456;MN={MN};Flag={flag};CP=&&{cp}&&")
}

fn loggers() -> Catalogue {
    let mut logger = device("d1", "all-sorts");
    logger.transport = Transport::Hj212 {
        mn: MN.into(),
        password: Some("123456".into()),
    };
    let mut old = device("d2", "all-sorts");
    old.transport = Transport::Hj212 {
        mn: "88888880000001".into(),
        password: None,
    };
    catalogue_of(vec![logger, old], &[profile(PROFILE)])
}

struct Bench {
    listener: Listener,
    kept: Arc<Mutex<Vec<RawMessage>>>,
    full: Arc<AtomicBool>,
}

impl Bench {
    async fn new(config: Hj212Config) -> Self {
        let kept: Arc<Mutex<Vec<RawMessage>>> = Arc::default();
        let full: Arc<AtomicBool> = Arc::default();
        let (into, is_full) = (Arc::clone(&kept), Arc::clone(&full));
        let sink: Sink = Arc::new(move |messages| {
            let (into, is_full) = (Arc::clone(&into), Arc::clone(&is_full));
            Box::pin(async move {
                if is_full.load(Ordering::SeqCst) {
                    return Err("full".into());
                }
                into.lock().unwrap().extend(messages);
                Ok(())
            })
        });
        let clock = Arc::new(ManualClock::at(NOON));
        let any = "127.0.0.1:0".parse().unwrap();
        let cancel = CancellationToken::new();
        let listener = Listener::start(any, &loggers(), sink, clock, config, cancel)
            .await
            .unwrap();
        Self { listener, kept, full }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.listener.local_addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn payloads(&self) -> Vec<(String, String)> {
        let text = |message: &RawMessage| {
            (
                message.sender.to_string(),
                String::from_utf8(message.payload.to_vec()).unwrap(),
            )
        };
        self.kept.lock().unwrap().iter().map(text).collect()
    }

    fn count(&self, name: &str) -> u64 {
        let all: BTreeMap<_, _> = self.listener.counters().iter().collect();
        all[name]
    }

    /// An answer is counted when it has been written, which the logger may see first.
    fn wait_for_count(&self, name: &str, want: u64) {
        for _ in 0..2000 {
            if self.count(name) == want {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("{name} is {}, not {want}", self.count(name));
    }
}

/// One packet of the other side.
fn answer(stream: &mut TcpStream) -> String {
    let mut head = [0; 6];
    stream.read_exact(&mut head).unwrap();
    let length: usize = std::str::from_utf8(&head[2..]).unwrap().parse().unwrap();
    let mut rest = vec![0; length + 6];
    stream.read_exact(&mut rest).unwrap();
    let text = String::from_utf8(rest).unwrap();
    let (segment, tail) = text.split_at(length);
    assert_eq!(tail, format!("{:04X}\r\n", checksum(segment)), "{text}");
    segment.to_owned()
}

fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_))
}

fn multi() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn with(config: Hj212Config, story: impl FnOnce(&Bench)) {
    let runtime = multi();
    let bench = runtime.block_on(Bench::new(config));
    story(&bench);
    runtime.block_on(bench.listener.stop());
}

#[test]
fn the_tests_own_checksum_agrees_with_the_vector_of_the_standard() {
    let golden = format!("QN=20160801085857223;ST=32;CN=1062;PW=100000;MN={MN};Flag=5;CP=&&RtdInterval=30&&");
    assert_eq!(checksum(&golden), 0x1C80);
}

#[test]
fn data_are_answered_with_9014_and_a_notice_with_9013_once_they_are_kept() {
    with(Hj212Config::default(), |bench| {
        let mut logger = bench.connect();
        logger
            .write_all(&packet(&segment(2011, 5, "DataTime=20261123195900;w01018-Rtd=1")))
            .unwrap();
        let said = answer(&mut logger);
        assert_eq!(
            said,
            format!("QN=20261123120000001;ST=91;CN=9014;PW=123456;MN={MN};Flag=4;CP=&&&&")
        );
        // What is answered is kept, under the device's name, without the password.
        let kept = bench.payloads();
        let want = format!(
            "QN=20261123120000001;ST=32;CN=2011;MN={MN};Flag=5;CP=&&DataTime=20261123195900;w01018-Rtd=1&&"
        );
        assert_eq!(kept, [("d1".to_owned(), want)]);
        logger.write_all(&packet(&segment(1013, 5, ""))).unwrap();
        assert!(answer(&mut logger).contains("CN=9013;"));
        // Flag 4 wants no answer: the next one that comes is that of the packet behind it.
        logger
            .write_all(&packet(&segment(2011, 4, "DataTime=20261123195901;w01018-Rtd=2")))
            .unwrap();
        logger
            .write_all(&packet(&segment(2051, 5, "DataTime=20261123195000;w01018-Avg=2")))
            .unwrap();
        answer(&mut logger);
        assert_eq!(bench.payloads().len(), 4);
        assert_eq!(bench.count("packets_total"), 4);
        bench.wait_for_count("answers_total", 3);
    });
}

#[test]
fn a_packet_of_2005_is_taken_and_answered_in_its_own_form() {
    with(Hj212Config::default(), |bench| {
        let mut logger = bench.connect();
        let old = "QN=20040516010101001;ST=32;CN=2011;PW=any;MN=88888880000001;Flag=1;\
                   CP=&&DataTime=20040516020111;011-Rtd=36.5,011-Flag=N&&";
        logger.write_all(&packet(old)).unwrap();
        assert_eq!(
            answer(&mut logger),
            "ST=91;CN=9014;PW=any;MN=88888880000001;Flag=0;CP=&&QN=20040516010101001&&"
        );
        assert_eq!(bench.payloads()[0].0, "d2");
    });
}

#[test]
fn what_is_wrong_is_answered_with_its_code_and_not_kept_but_an_unknown_command_is() {
    with(Hj212Config::default(), |bench| {
        let good = segment(2011, 5, "DataTime=20261123195900;w01018-Rtd=1");
        let damaged = String::from_utf8(packet(&good)).unwrap();
        let damaged = damaged.replace("Rtd=1", "Rtd=7");
        let cases: [(Vec<u8>, &str, &str); 5] = [
            (
                packet(&good.replace("PW=123456", "PW=654321")),
                "QnRtn=3",
                "wrong_password_total",
            ),
            (
                packet(&good.replace("MN=0", "MN=9")),
                "QnRtn=4",
                "unknown_mn_total",
            ),
            (
                packet(&good.replace("Flag=5", "Flag=9")),
                "QnRtn=6",
                "unsupported_version_total",
            ),
            (
                packet(&good.replace("CN=2011", "CN=7777")),
                "QnRtn=8",
                "unknown_command_total",
            ),
            (damaged.into_bytes(), "QnRtn=9", "damaged_total"),
        ];
        for (bytes, code, counter) in cases {
            let mut logger = bench.connect();
            logger.write_all(&bytes).unwrap();
            let said = answer(&mut logger);
            assert!(said.contains("CN=9011;") && said.contains(code), "{code}: {said}");
            assert_eq!(bench.count(counter), 1, "{counter}");
        }
        let kept = bench.payloads();
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(
            kept[0].1.contains("CN=7777"),
            "somebody may want to know what it was"
        );
    });
}

#[test]
fn packets_survive_any_cut_and_any_nonsense_between_them() {
    with(Hj212Config::default(), |bench| {
        let mut logger = bench.connect();
        let stream: Vec<u8> = [
            packet(&segment(2011, 4, "DataTime=20261123195900;w01018-Rtd=1")),
            b"GET / HTTP/1.1\r\n\r\n##12".to_vec(),
            packet(&segment(2011, 4, "DataTime=20261123195901;w01018-Rtd=2")),
            b"##9999QN=cut off here\r\n".to_vec(),
            packet(&segment(2011, 5, "DataTime=20261123195902;w01018-Rtd=3")),
        ]
        .concat();
        for piece in stream.chunks(37) {
            logger.write_all(piece).unwrap();
        }
        assert!(answer(&mut logger).contains("CN=9014;"));
        let values: Vec<String> = bench
            .payloads()
            .into_iter()
            .map(|(_, text)| text.split("Rtd=").nth(1).unwrap().to_owned())
            .collect();
        assert_eq!(values, ["1&&", "2&&", "3&&"]);
    });
}

#[test]
fn what_the_journal_refuses_is_not_answered_and_the_connection_ends() {
    with(Hj212Config::default(), |bench| {
        bench.full.store(true, Ordering::SeqCst);
        let mut logger = bench.connect();
        let bytes = packet(&segment(2011, 5, "DataTime=20261123195900;w01018-Rtd=1"));
        logger.write_all(&bytes).unwrap();
        assert!(is_closed(&mut logger));
        assert_eq!(
            (bench.count("not_taken_total"), bench.count("answers_total")),
            (1, 0)
        );
        // When there is room again, the logger's second try is taken.
        bench.full.store(false, Ordering::SeqCst);
        let mut logger = bench.connect();
        logger.write_all(&bytes).unwrap();
        answer(&mut logger);
        assert_eq!(bench.payloads().len(), 1);
    });
}

#[test]
fn strangers_and_those_who_talk_nonsense_do_not_stay() {
    let config = Hj212Config {
        connections_max: 2,
        first_packet_timeout: Duration::from_millis(50),
        refused_max: 4,
        ..Hj212Config::default()
    };
    with(config, |bench| {
        let mut silent = bench.connect();
        assert!(is_closed(&mut silent), "silent for too long");
        let mut wrong = bench.connect();
        let bytes = packet(&segment(2011, 4, "x").replace("PW=123456", "PW=000000"));
        for _ in 0..4 {
            wrong.write_all(&bytes).ok();
        }
        assert!(is_closed(&mut wrong), "guesses passwords");
        assert!(bench.payloads().is_empty());
    });
}

#[test]
fn more_connections_than_allowed_are_closed_at_once() {
    let config = Hj212Config {
        connections_per_address_max: 1,
        ..Hj212Config::default()
    };
    with(config, |bench| {
        let mut first = bench.connect();
        first
            .write_all(&packet(&segment(2011, 5, "DataTime=20261123195900;w01018-Rtd=1")))
            .unwrap();
        answer(&mut first);
        assert!(is_closed(&mut bench.connect()));
        assert_eq!(bench.count("connections_refused_total"), 1);
        first
            .write_all(&packet(&segment(2011, 5, "DataTime=20261123195901;w01018-Rtd=1")))
            .unwrap();
        answer(&mut first);
    });
}
