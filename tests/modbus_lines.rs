//! The poller against a bench of simulated slaves, over Modbus/TCP, RTU over TCP and RTU over a pseudo-terminal:
//! every type, every fault, writes, scan classes. The slaves have encoders of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use device_simulators::rig::{Rig, Table, registers};
use device_simulators::{Answer, Wire};
use ingest::modbus::{JOBS_PER_LINE_MAX, ModbusConfig, Poller, Reach, Sink, WriteRefused, Writes};
use ingest::{DecodeSettings, Decoder};
use telemetry::profile::Profile;
use telemetry::registry::{Device, ModbusLine, Parity, Registry};
use telemetry::time::{Clock, Span, SystemClock};
use telemetry::{Bad, Catalogue, Lsn, Quality, SeriesId};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::county;

const PATIENCE: Duration = Duration::from_millis(250);
const WIRES: [Wire; 3] = [Wire::Tcp, Wire::RtuOverTcp, Wire::Rtu];

/// What was seen of each signal of each device, in order.
type History = Arc<Mutex<BTreeMap<(String, String), Vec<(f64, Quality)>>>>;

/// A line with slaves, polled.
struct Bench {
    poller: Poller,
    history: History,
    cancel: CancellationToken,
}

/// A profile of points: signal, and the rest of its entry.
fn profile(kind: &str, head: &str, points: &[(&str, &str)]) -> Profile {
    let mut text = format!(
        "kind = \"{kind}\"\nversion = 1\ntitle = {{ zh = \"某\", en = \"some\" }}\ndomain = \"sewage\"\nreport_interval = \"100ms\"\n"
    );
    for (name, _) in points {
        text += &format!(
            "[[signal]]\nname = \"{name}\"\ntitle = {{ zh = \"某\", en = \"some\" }}\nunit = \"1\"\n"
        );
    }
    text += &format!("[modbus]\n{head}\n");
    for (name, rest) in points {
        text += &format!("[[modbus.point]]\nsignal = \"{name}\"\n{rest}\n");
    }
    Profile::parse("test.toml", &text).unwrap()
}

/// Opens a line of that kind on which `rig` answers.
async fn open(rig: &Rig, wire: Wire, cancel: &CancellationToken) -> ModbusLine {
    if wire == Wire::Rtu {
        return ModbusLine::Serial {
            port: rig.clone().serve_pty(cancel.clone()).unwrap(),
            baud: 115_200,
            parity: Parity::None,
            stop_bits: 1,
        };
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(rig.clone().serve(wire, listener, cancel.clone()));
    if wire == Wire::Tcp {
        ModbusLine::Tcp(address)
    } else {
        ModbusLine::RtuOverTcp(address)
    }
}

impl Bench {
    /// Devices `u1`, `u2`, … of `profile` with the unit ids 1, 2, … on one line.
    async fn start(rig: &Rig, wire: Wire, profile: Profile, units: u8, writes: Writes) -> Self {
        let cancel = CancellationToken::new();
        let line = open(rig, wire, &cancel).await;
        let mut registry: Registry = toml::from_str(county::HEAD).unwrap();
        for unit in 1..=units {
            let text = format!(
                "id = \"u{unit}\"\nsite = \"site-1\"\nprofile = \"{}\"\n",
                profile.kind
            );
            let mut device: Device = toml::from_str(&text).unwrap();
            device.transport = line.transport(unit);
            registry.devices.push(device);
        }
        let profiles = BTreeMap::from([(profile.kind.clone(), Arc::new(profile))]);
        let mut next = 0;
        let catalogue = Catalogue::build(registry, &profiles, |_, _| {
            next += 1;
            SeriesId(next)
        });
        let catalogue = Arc::new(catalogue.unwrap());
        let history = History::default();
        let config = ModbusConfig {
            timeout: PATIENCE,
            reconnect_max: Span::from_millis(300),
            unit_backoff_max: Span::from_millis(400),
            writes,
            ..ModbusConfig::default()
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let sink = sink(&catalogue, &history);
        Self {
            poller: Poller::start(&catalogue, sink, clock, config, cancel.clone()),
            history,
            cancel,
        }
    }

    fn seen(&self, device: &str, signal: &str) -> Vec<(f64, Quality)> {
        let history = self.history.lock().unwrap();
        let key = (device.to_owned(), signal.to_owned());
        history.get(&key).cloned().unwrap_or_default()
    }

    /// Forgets what was seen.
    fn forget(&self) {
        self.history.lock().unwrap().clear();
    }

    /// Waits until the newest value of a signal is `wanted`.
    async fn until(&self, device: &str, signal: &str, wanted: (f64, Quality)) {
        self.wait(&format!("{device}/{signal} is {wanted:?}"), || {
            self.seen(device, signal).last() == Some(&wanted)
        })
        .await;
    }

    async fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        for _ in 0..3000 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let statuses: Vec<_> = self.poller.access().statuses().collect();
        panic!(
            "{what}: never; {:#?} {:?} {statuses:#?}",
            self.history
                .lock()
                .unwrap()
                .iter()
                .map(|(key, seen)| (key, seen.last()))
                .collect::<Vec<_>>(),
            self.poller.stats()
        );
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.poller.stop().await;
    }
}

/// Decodes each poll at once, as the pipeline would.
fn sink(catalogue: &Arc<Catalogue>, history: &History) -> Sink {
    let decoder = Decoder::new(Arc::clone(catalogue), DecodeSettings::default());
    let decoder = Mutex::new((decoder, 0));
    let (catalogue, history) = (Arc::clone(catalogue), Arc::clone(history));
    Arc::new(move |messages| {
        let mut decoder = decoder.lock().unwrap();
        let mut history = history.lock().unwrap();
        for message in messages {
            let device = message.sender.to_string();
            decoder.1 += 1;
            let lsn = Lsn(decoder.1);
            let batch = decoder.0.decode(&[(lsn, message)]);
            assert!(batch.dead_letters.is_empty(), "{:?}", batch.dead_letters);
            let entry = catalogue.device(&device).unwrap();
            for point in batch.points {
                let place = entry
                    .series
                    .iter()
                    .position(|series| *series == point.series)
                    .unwrap();
                let signal = entry.profile.signals[place].name.to_string();
                let sample = (point.sample.value, point.sample.quality);
                history.entry((device.clone(), signal)).or_default().push(sample);
            }
        }
        Box::pin(std::future::ready(Ok(())))
    })
}

const GOOD: Quality = Quality::Good;
const SILENT: (f64, Quality) = (0.0, Quality::Bad(Bad::NoAnswer));
const REFUSED: (f64, Quality) = (0.0, Quality::Bad(Bad::Exception));

/// Signal, its entry (the address comes by itself), the registers by the simulators' encoder, and the value.
fn all_types() -> Vec<(&'static str, &'static str, Vec<u16>, f64)> {
    let float = 123.5_f32.to_be_bytes();
    let double = (-2.25_f64).to_be_bytes();
    let long = 1_234_567_890_123_i64.to_be_bytes();
    let int = (-70_000_i32).to_be_bytes();
    let mut all = vec![
        ("u16", "type = \"uint16\"\nscale = 0.1", vec![123], 12.3),
        ("i16", "type = \"int16\"", vec![0xFFFE], -2.0),
        ("i8_low", "type = \"int8_low\"", vec![0x01FF], -1.0),
        ("i8_high", "type = \"int8_high\"", vec![0x80FF], -128.0),
        ("bit_3", "type = \"bool\"\nbit = 3", vec![0b1000], 1.0),
        ("field", "type = \"uint16\"\nbits = [8, 11]", vec![0x5A00], 10.0),
        ("bcd16", "type = \"bcd16\"", vec![0x0815], 815.0),
        ("bcd32", "type = \"bcd32\"", vec![0x0123, 0x4567], 1_234_567.0),
        (
            "text",
            "type = \"string\"\nwords = 2\ntexts = { AUTO = 2, MAN = 1 }",
            vec![0x4D41, 0x4E00],
            1.0,
        ),
    ];
    for (name, letters) in [
        ("f32_abcd", "ABCD"),
        ("f32_cdab", "CDAB"),
        ("f32_badc", "BADC"),
        ("f32_dcba", "DCBA"),
    ] {
        let entry = Box::leak(format!("type = \"float32\"\norder = \"{letters}\"").into_boxed_str());
        all.push((name, entry, registers(&float, letters), 123.5));
    }
    for (name, letters) in [
        ("f64_a", "ABCDEFGH"),
        ("f64_g", "GHEFCDAB"),
        ("f64_b", "BADCFEHG"),
        ("f64_h", "HGFEDCBA"),
        ("f64_e", "EFGHABCD"),
        ("f64_c", "CDABGHEF"),
    ] {
        let entry = Box::leak(format!("type = \"float64\"\norder = \"{letters}\"").into_boxed_str());
        all.push((name, entry, registers(&double, letters), -2.25));
    }
    all.push((
        "i64",
        "type = \"int64\"\norder = \"CDAB\"",
        registers(&long, "GHEFCDAB"),
        1_234_567_890_123.0,
    ));
    all.push((
        "i32",
        "type = \"int32\"\norder = \"DCBA\"",
        registers(&int, "DCBA"),
        -70_000.0,
    ));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_in_every_order_is_read_over_every_wire() {
    // Given a unit with a value of every type, one after the other from register 1 on, and a coil,
    let rig = Rig::new();
    let (mut address, mut points) = (1, Vec::new());
    for (name, entry, words, _) in &all_types() {
        rig.put(1, Table::Holding, address, words);
        points.push((*name, format!("function = 3\naddress = {address}\n{entry}")));
        address += u16::try_from(words.len()).unwrap();
    }
    rig.put(1, Table::Coils, 9, &[1]);
    points.push(("coil", "function = 1\naddress = 9\ntype = \"bool\"".to_owned()));
    let points: Vec<(&str, &str)> = points
        .iter()
        .map(|(name, entry)| (*name, entry.as_str()))
        .collect();
    for wire in WIRES {
        // when it is polled, then every value is as it was put.
        let bench = Bench::start(&rig, wire, profile("types", "", &points), 1, Writes::default()).await;
        for (name, _, _, value) in &all_types() {
            bench.until("u1", name, (*value, GOOD)).await;
        }
        bench.until("u1", "coil", (1.0, GOOD)).await;
        bench.stop().await;
    }
}

/// Two registers that are read one by one, so that their answers look alike.
const TWINS: [(&str, &str); 2] = [
    ("a", "function = 3\naddress = 0"),
    ("b", "function = 3\naddress = 100"),
];

fn twins(rig: &Rig, unit: u8) {
    rig.put(unit, Table::Holding, 0, &[111]);
    rig.put(unit, Table::Holding, 100, &[222]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_slave_does_its_values_are_bad_and_never_another_and_its_neighbour_is_polled_on() {
    for wire in WIRES {
        // Given two units on one line,
        let rig = Rig::new();
        (1..=2).for_each(|unit| twins(&rig, unit));
        rig.put(2, Table::Holding, 0, &[333, 444]);
        rig.put(2, Table::Holding, 100, &[555]);
        let bench = Bench::start(&rig, wire, profile("twins", "", &TWINS), 2, Writes::default()).await;
        bench.until("u1", "a", (111.0, GOOD)).await;
        for fault in [
            Answer::WrongUnit,
            Answer::WrongCheck,
            Answer::Exception(4),
            Answer::Short,
            Answer::Silent,
            Answer::Slow(Span::from_millis(100)),
            Answer::Late(Span::from_millis(400)),
        ] {
            // when the first misbehaves,
            rig.behave(1, Some(fault));
            let bad = if matches!(fault, Answer::Exception(_)) {
                REFUSED
            } else {
                SILENT
            };
            bench.forget();
            bench.until("u1", "a", bad).await;
            // then the second is polled on, at least five times more,
            let before = bench.seen("u2", "a").len();
            bench
                .wait(&format!("{wire:?} {fault:?}: the neighbour goes on"), || {
                    bench.seen("u2", "a").iter().filter(|seen| seen.1 == GOOD).count() > before + 5
                })
                .await;
            // and when it behaves again, the first comes back by itself.
            rig.behave(1, None);
            bench.until("u1", "a", (111.0, GOOD)).await;
            bench.until("u1", "b", (222.0, GOOD)).await;
            for (device, signal, right) in [
                ("u1", "a", 111.0),
                ("u1", "b", 222.0),
                ("u2", "a", 333.0),
                ("u2", "b", 555.0),
            ] {
                for (value, quality) in bench.seen(device, signal) {
                    let fine = quality.is_bad() || (quality, value) == (GOOD, right);
                    assert!(
                        fine,
                        "{wire:?} {fault:?}: {device}/{signal} is {value} {quality:?}"
                    );
                }
            }
        }
        assert_eq!(bench.poller.access().status("u1").unwrap().reach, Reach::Answers);
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_is_never_taken_for_another_register_of_the_same_unit() {
    for wire in WIRES {
        // Given a unit alone on its line, whose two registers are read by questions that look alike,
        let rig = Rig::new();
        twins(&rig, 1);
        let bench = Bench::start(&rig, wire, profile("twins", "", &TWINS), 1, Writes::default()).await;
        bench.until("u1", "b", (222.0, GOOD)).await;
        // when its answers come 1.1 to 2.8 time-outs late, for a while each, and rightly in between,
        for late_ms in [275, 350, 420, 490, 560, 700] {
            let asked = rig.questions(1).len();
            rig.behave(1, Some(Answer::Late(Span::from_millis(late_ms))));
            bench
                .wait("it is asked on", || rig.questions(1).len() >= asked + 4)
                .await;
            rig.behave(1, None);
            let (a, b) = (bench.seen("u1", "a").len(), bench.seen("u1", "b").len());
            bench
                .wait(&format!("{wire:?} {late_ms}: both are read again"), || {
                    let again = |signal: &str, from: usize| {
                        bench
                            .seen("u1", signal)
                            .iter()
                            .skip(from)
                            .any(|seen| seen.1 == GOOD)
                    };
                    again("a", a) && again("b", b)
                })
                .await;
        }
        // then each register was itself or bad, always.
        for (signal, right) in [("a", 111.0), ("b", 222.0)] {
            for (value, quality) in bench.seen("u1", signal) {
                let fine = quality.is_bad() || (quality, value) == (GOOD, right);
                assert!(fine, "{wire:?}: {signal} is {value} {quality:?}");
            }
        }
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_that_is_not_there_does_not_spoil_its_neighbours() {
    // Given ten registers in one read, of which the fifth is not there,
    let rig = Rig::new();
    let names: Vec<(String, String)> = (0..10u16)
        .map(|n| (format!("r{n}"), format!("function = 4\naddress = {n}")))
        .collect();
    for n in (0..10u16).filter(|n| *n != 4) {
        rig.put(1, Table::Input, n, &[n]);
    }
    let points: Vec<(&str, &str)> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let bench = Bench::start(
        &rig,
        Wire::Tcp,
        profile("hole", "", &points),
        1,
        Writes::default(),
    )
    .await;
    // then the others are good, and it is bad, and the unit is asked so from then on.
    for (n, (name, _)) in names.iter().enumerate() {
        let value = f64::from(u32::try_from(n).unwrap());
        let wanted = if n == 4 { REFUSED } else { (value, GOOD) };
        bench.until("u1", name, wanted).await;
    }
    let splits = bench.poller.stats().splits;
    // 0–9 → 0–4 and 5–9; 0–4 → 0–1 and 2–4; 2–4 → 2 and 3–4; 3–4 → 3 and 4.
    assert_eq!(splits, 4);
    let asked = rig.questions(1).len();
    bench
        .wait("it is polled on", || rig.questions(1).len() > asked + 20)
        .await;
    assert_eq!(bench.poller.stats().splits, splits, "it is remembered");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scan_classes_have_their_own_pace_and_a_forbidden_register_is_never_asked_for() {
    let rig = Rig::new();
    rig.put(1, Table::Holding, 0, &[1, 2, 3, 4, 5, 6, 7]);
    let head = "scan = { fast = \"100ms\", slow = \"1s\" }\nforbidden = [{ function = 3, from = 3, to = 3 }]";
    let points = [
        ("fast", "function = 3\naddress = 0\nscan = \"fast\""),
        ("near", "function = 3\naddress = 2\nscan = \"fast\""),
        ("beyond", "function = 3\naddress = 4\nscan = \"fast\""),
        ("slow", "function = 3\naddress = 6\nscan = \"slow\""),
    ];
    let bench = Bench::start(
        &rig,
        Wire::Rtu,
        profile("paces", head, &points),
        1,
        Writes::default(),
    )
    .await;
    bench
        .wait("the slow one is read three times", || {
            bench.seen("u1", "slow").len() >= 3
        })
        .await;
    let (slow, fast) = (bench.seen("u1", "slow").len(), bench.seen("u1", "fast").len());
    // Two whole slow intervals are twenty fast ones; a busy machine may skip some, which is counted.
    let skipped = usize::try_from(bench.poller.stats().skipped_cycles).unwrap();
    assert!(fast + skipped >= 15 && fast > 2 * slow, "{fast} {slow} {skipped}");
    for question in rig.questions(1) {
        let first = u16::from_be_bytes([question[1], question[2]]);
        let last = first + u16::from_be_bytes([question[3], question[4]]) - 1;
        assert!(!(first..=last).contains(&3), "{question:?}");
    }
    bench.until("u1", "beyond", (5.0, GOOD)).await;
    bench.stop().await;
}

/// A set point, a pump and a wide register, all writable, and a reading.
const WRITABLE: [(&str, &str); 4] = [
    (
        "setpoint",
        "function = 3\naddress = 10\ntype = \"int16\"\nscale = 0.1\nwrite = { min = 0, max = 50, step = 0.5 }",
    ),
    (
        "pump",
        "function = 1\naddress = 4\ntype = \"bool\"\nwrite = { min = 0, max = 1, function = 15 }",
    ),
    (
        "wide",
        "function = 3\naddress = 20\ntype = \"float32\"\norder = \"CDAB\"\nwrite = { min = -10, max = 1000 }",
    ),
    ("reading", "function = 4\naddress = 0"),
];

fn writable(rig: &Rig) {
    rig.put(1, Table::Holding, 10, &[200]);
    rig.put(1, Table::Holding, 20, &[0, 0]);
    rig.put(1, Table::Coils, 4, &[0]);
    rig.put(1, Table::Input, 0, &[7]);
}

fn on() -> Writes {
    Writes {
        on: true,
        ..Writes::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_reaches_the_register_and_what_is_read_back_is_answered_and_stored() {
    for wire in WIRES {
        let rig = Rig::new();
        writable(&rig);
        let bench = Bench::start(&rig, wire, profile("set", "", &WRITABLE), 1, on()).await;
        bench.until("u1", "setpoint", (20.0, GOOD)).await;
        let access = bench.poller.access();
        for (signal, value) in [("setpoint", 21.5), ("pump", 1.0), ("wide", 2.5)] {
            let done = access.write("u1", signal, value).await.unwrap();
            assert!(done.answered && done.confirmed, "{wire:?} {signal}: {done:?}");
            assert_eq!(done.read_back, Some(value));
            bench.until("u1", signal, (value, GOOD)).await;
        }
        // 21.5 in 0.1; 2.5 is 0x40200000, its low register first.
        assert_eq!(rig.get(1, Table::Holding, 10), Some(215));
        assert_eq!(rig.get(1, Table::Coils, 4), Some(1));
        assert_eq!(rig.get(1, Table::Holding, 20), Some(0));
        assert_eq!(rig.get(1, Table::Holding, 21), Some(0x4020));
        assert_eq!(bench.poller.stats().writes, 3);
        let refused = access.write("u1", "reading", 1.0).await.unwrap_err();
        assert!(matches!(refused, WriteRefused::NotListed { .. }));
        let refused = access.write("nobody", "reading", 1.0).await.unwrap_err();
        assert!(matches!(refused, WriteRefused::NotPolled(_)));
        bench.stop().await;
        assert_eq!(access.write("u1", "pump", 0.0).await, Err(WriteRefused::Stopped));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_the_unit_refuses_or_does_not_answer_says_so_and_is_never_repeated() {
    for wire in WIRES {
        let rig = Rig::new();
        writable(&rig);
        let bench = Bench::start(&rig, wire, profile("set", "", &WRITABLE), 1, on()).await;
        bench.until("u1", "setpoint", (20.0, GOOD)).await;
        let access = bench.poller.access();
        rig.behave(1, Some(Answer::Exception(4)));
        assert_eq!(
            access.write("u1", "pump", 1.0).await,
            Err(WriteRefused::Exception(4)),
            "{wire:?}"
        );
        rig.behave(1, Some(Answer::Silent));
        let asked = rig.questions(1).len();
        match access.write("u1", "setpoint", 25.0).await {
            // Nothing was sent, because the line was already in doubt,
            Err(WriteRefused::Unreachable) => {}
            // or it was sent once and is not confirmed.
            done => {
                let done = done.unwrap();
                assert!(!done.answered && !done.confirmed, "{wire:?} {done:?}");
            }
        }
        let writes = rig.questions(1).split_off(asked);
        assert!(
            writes.iter().filter(|question| question[0] == 6).count() <= 1,
            "{writes:?}"
        );
        rig.behave(1, None);
        bench.until("u1", "reading", (7.0, GOOD)).await;
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_are_bounded_and_one_that_was_given_up_is_not_done_later() {
    // Given a unit that answers nothing, so that its line is busy with the first write,
    let rig = Rig::new();
    writable(&rig);
    let bench = Bench::start(&rig, Wire::Tcp, profile("set", "", &WRITABLE), 1, on()).await;
    bench.until("u1", "setpoint", (20.0, GOOD)).await;
    rig.behave(1, Some(Answer::Silent));
    // when more writes are asked for than may wait, then the line says that it is busy,
    let access = bench.poller.access();
    let waiting: Vec<_> = (0..JOBS_PER_LINE_MAX + 4)
        .map(|_| {
            let access = access.clone();
            tokio::spawn(async move { access.write("u1", "setpoint", 30.0).await })
        })
        .collect();
    bench
        .wait("some of them are refused", || {
            waiting.iter().filter(|write| write.is_finished()).count() >= 2
        })
        .await;
    // and those that are given up while they wait are not done when the unit answers again.
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    let mut busy = 0;
    for write in waiting {
        busy += usize::from(matches!(write.await, Ok(Err(WriteRefused::Busy(_)))));
    }
    assert!(busy >= 2, "{busy} were refused");
    rig.behave(1, None);
    bench.until("u1", "reading", (7.0, GOOD)).await;
    // (What was given up still has its place in the queue until the line comes to it.)
    let done = loop {
        match access.write("u1", "setpoint", 22.0).await {
            Err(WriteRefused::Busy(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            done => break done.unwrap(),
        }
    };
    assert!(done.confirmed, "{done:?}");
    let to_30 = |question: &Vec<u8>| question[..] == [6, 0, 10, 0x01, 0x2C];
    assert!(rig.questions(1).iter().filter(|question| to_30(question)).count() <= 2);
    assert_eq!(rig.get(1, Table::Holding, 10), Some(220));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_says_what_it_is_over_every_wire() {
    for wire in WIRES {
        let rig = Rig::new();
        writable(&rig);
        let bench = Bench::start(&rig, wire, profile("set", "", &WRITABLE), 1, Writes::default()).await;
        bench.until("u1", "reading", (7.0, GOOD)).await;
        let access = bench.poller.access();
        let refused = access.identify("u1").await.unwrap_err();
        assert!(refused.to_string().contains("exception 1"), "{refused}");
        rig.identify(1, &["Works of Yunxi", "PLC-7", "V2.11"]);
        let identity = access.identify("u1").await.unwrap();
        let objects: Vec<(&str, &str)> = identity
            .objects
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        assert_eq!(
            objects,
            [
                ("vendor_name", "Works of Yunxi"),
                ("product_code", "PLC-7"),
                ("revision", "V2.11")
            ]
        );
        bench.stop().await;
    }
}
