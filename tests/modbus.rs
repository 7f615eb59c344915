//! Modbus over real sockets: a slave by pymodbus, slaves that misbehave, and our simulated slaves read
//! by mbpoll.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use device_simulators::rig::{Rig, Table};
use device_simulators::{Answer, Wire};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::peers::{self, Peer};
use crate::support::program::{self, Server, Setup, Simulator};
use crate::support::{ask, county, http, wait};

/// A profile like `sewage-station` that is polled every second.
fn fast_profile(setup: &Setup) {
    let text = include_str!("../telemetry/profiles/sewage-station.toml")
        .replace("kind = \"sewage-station\"", "kind = \"fast-station\"")
        .replace("report_interval = \"5min\"", "report_interval = \"1s\"");
    let folder = setup.path().join("profiles");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("fast-station.toml"), text).unwrap();
    let config = setup.path().join("townwatch.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace(
        "file = \"county.toml\"",
        "file = \"county.toml\"\nprofiles = \"profiles\"",
    );
    std::fs::write(&config, text).unwrap();
}

fn start(devices: &[String]) -> (Setup, Server) {
    let setup = Setup::new(
        &format!("{}{}", county::HEAD, devices.concat()),
        "[modbus]\ntimeout = \"300ms\"\n",
    );
    fast_profile(&setup);
    let server = setup.start();
    (setup, server)
}

fn quality(web: SocketAddr, device: &str, signal: &str) -> Result<(f64, String), String> {
    let answer = http::get(web, &format!("/api/v1/devices/{device}/latest"))?;
    let found = ask::find_signal(&answer.json(), signal).ok_or_else(|| answer.body.clone())?;
    let quality = found["quality"].as_str().unwrap_or("none").to_owned();
    Ok((found["value"].as_f64().unwrap_or(f64::NAN), quality))
}

fn until_quality(web: SocketAddr, device: &str, signal: &str, wanted: &str) -> f64 {
    wait::until(&format!("{device}/{signal} is {wanted}"), wait::SOON, || {
        let (value, quality) = quality(web, device, signal)?;
        if quality == wanted {
            Ok(value)
        } else {
            Err(format!("{value} {quality}"))
        }
    })
}

#[test]
fn a_slave_served_by_pymodbus_is_polled_and_its_exceptions_are_bad_and_never_zero() {
    // Given pymodbus with a whole unit 1 and a unit 2 that lacks registers from 4 on,
    let mut slave = Command::new(peers::python())
        .arg(peers::script("modbus_slave.py"))
        .stdout(Stdio::piped())
        .spawn()
        .map(Peer)
        .unwrap();
    let mut line = String::new();
    BufReader::new(slave.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], line.trim().parse().unwrap()));
    let (_setup, server) = start(&[
        county::modbus_device("whole", "fast-station", address, 1),
        county::modbus_device("partial", "fast-station", address, 2),
    ]);
    // when they are polled, then the whole one has the values that the script was given,
    let expected = [
        ("flow", 12.5),
        ("total", 123_456.7),
        ("level", 1.5),
        ("dissolved_oxygen", 2.5),
        ("ph", 7.12),
        ("temperature", -1.25),
        ("pump_1_run", 1.0),
        ("pump_2_fault", 1.0),
        ("blower_1_run", 1.0),
        ("pump_1_fault", 0.0),
        ("mains", 1.0),
    ];
    for (signal, value) in expected {
        let found = until_quality(server.web, "whole", signal, "good");
        assert!((found - value).abs() < 1e-9, "{signal} is {found}, not {value}");
    }
    // and the partial one is bad where the slave refused.
    until_quality(server.web, "partial", "ph", "bad_exception");
    until_quality(server.web, "partial", "mains", "good");
}

/// What a raw slave does with each request.
#[derive(Clone, Copy)]
enum Manner {
    /// Answers the right number of registers, all `1`.
    Honest,
    /// Answers with one register less than was asked.
    Short,
    /// Answers the first request after the client has given up, and every later one at once.
    LateOnce,
    /// Takes the connection and says nothing.
    Mute,
}

/// A slave of our own hands: MODBUS Messaging on TCP/IP V1.0b, MBAP header of 7 bytes.
fn raw_slave(manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut late_done = false;
        for stream in listener.incoming().map_while(Result::ok) {
            answer_all(stream, manner, &mut late_done);
        }
    });
    address
}

fn answer_all(mut stream: TcpStream, manner: Manner, late_done: &mut bool) {
    let mut request = [0u8; 12];
    while stream.read_exact(&mut request).is_ok() {
        let [t1, t2, _, _, _, _, unit, function, _, _, c1, c2] = request;
        let count = usize::from(u16::from_be_bytes([c1, c2]));
        let mut data = if function <= 2 {
            vec![0xFF; count.div_ceil(8)]
        } else {
            [0, 1].repeat(count)
        };
        match manner {
            Manner::Mute => continue,
            Manner::Short => data.truncate(data.len().saturating_sub(2)),
            Manner::LateOnce if !*late_done => {
                *late_done = true;
                // The client's patience is 300 ms; this answer must never be taken for another's.
                std::thread::park_timeout(Duration::from_millis(900));
                data.fill(0x7E);
            }
            Manner::Honest | Manner::LateOnce => {}
        }
        let bytes = u8::try_from(data.len()).unwrap();
        let length = u16::from(bytes) + 3;
        let mut answer = vec![t1, t2, 0, 0];
        answer.extend(length.to_be_bytes());
        answer.extend([unit, function, bytes]);
        answer.extend(&data);
        if stream.write_all(&answer).is_err() {
            break;
        }
    }
}

#[test]
fn slaves_that_are_mute_short_or_late_are_bad_and_never_delay_or_disguise_another() {
    // Given an honest slave beside a mute one, a short one, a late one and one that is not there,
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_setup, server) = start(&[
        county::modbus_device("honest", "fast-station", raw_slave(Manner::Honest), 1),
        county::modbus_device("mute", "fast-station", raw_slave(Manner::Mute), 1),
        county::modbus_device("short", "fast-station", raw_slave(Manner::Short), 1),
        county::modbus_device("late", "fast-station", raw_slave(Manner::LateOnce), 1),
        county::modbus_device("absent", "fast-station", nobody, 1),
    ]);
    // then the honest one's level (register 4 = 1, × 0.01) is good,
    let level = until_quality(server.web, "honest", "level", "good");
    assert!((level - 0.01).abs() < 1e-9, "{level}");
    // the mute, the short and the absent ones have no answer,
    for device in ["mute", "short", "absent"] {
        until_quality(server.web, device, "level", "bad_no_answer");
    }
    // the late one recovers on a new connection, and the late answer (0x7E7E = 323.82 m) is nowhere,
    let level = until_quality(server.web, "late", "level", "good");
    assert!((level - 0.01).abs() < 1e-9, "{level}");
    let all = ask::points(server.web, "late", "level", ask::now() - 600_000, ask::now() + 1);
    assert!(!all.iter().any(|(_, value, _)| *value > 300.0), "{all:?}");
    // and the honest one was polled all the while: at least three more times.
    let before = ask::ledger(server.web, "honest")["messages"].as_u64().unwrap();
    wait::until("the honest slave is polled on", wait::SOON, || {
        let now = ask::ledger(server.web, "honest")["messages"].as_u64().unwrap();
        if now >= before + 3 {
            Ok(())
        } else {
            Err(format!("{before} → {now}"))
        }
    });
}

#[test]
fn mbpoll_reads_the_simulated_slaves() {
    // Given the simulated county,
    let folder = tempfile::tempdir().unwrap();
    let registry = folder.path().join("county.json");
    let _simulator = Simulator::start(SocketAddr::from(([127, 0, 0, 1], 1)), &registry, &["--seed", "3"]);
    let registry: Value = serde_json::from_str(&std::fs::read_to_string(&registry).unwrap()).unwrap();
    let units = registry["device"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|device| {
            let modbus = device.get("transport")?.get("modbus")?;
            let address: SocketAddr = modbus["address"].as_str()?.parse().ok()?;
            Some((
                device["profile"].as_str()?.to_owned(),
                address,
                modbus["unit"].as_u64()?,
            ))
        });
    let units: Vec<_> = units.collect();
    assert!(units.len() >= 8 + 4 * 3, "{units:?}");
    // when mbpoll reads the input registers of one unit of each kind,
    for (profile, first, range) in [
        ("lpg-tank", 0, 1..1000),
        ("sewage-station", 6, 500..1000),
        ("gas-detector-panel", 0, 0..1001),
    ] {
        let (_, address, unit) = units.iter().find(|(kind, ..)| kind == profile).unwrap();
        let (port, unit, first) = (address.port().to_string(), unit.to_string(), first.to_string());
        let output = peers::run(
            "mbpoll",
            &[
                "-m",
                "tcp",
                "-p",
                &port,
                "-a",
                &unit,
                "-t",
                "3",
                "-0",
                "-r",
                &first,
                "-c",
                "1",
                "-1",
                "127.0.0.1",
            ],
        );
        // then it gets a plausible value: a tank level in 0.1 %, a pH in 0.01, a gas reading in 0.1 %LEL.
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = text.lines().find_map(|line| {
            line.strip_prefix(&format!("[{first}]:"))?
                .trim()
                .parse::<i64>()
                .ok()
        });
        assert!(
            value.is_some_and(|value| range.contains(&value)),
            "{profile}: {text}"
        );
    }
}

/// Starts a peer and reads the words of its first line.
fn peer(command: &mut Command) -> (Peer, Vec<String>) {
    let mut peer = command.stdout(Stdio::piped()).spawn().map(Peer).unwrap();
    let mut line = String::new();
    BufReader::new(peer.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    assert!(!words.is_empty(), "{command:?} said nothing");
    (peer, words)
}

/// Two joined pseudo-terminals.
fn cable() -> (Peer, String, String) {
    let (peer, ends) = peer(Command::new(peers::python()).arg(peers::script("pty_pair.py")));
    (peer, ends[0].clone(), ends[1].clone())
}

/// A device with that transport.
fn polled(id: &str, profile: &str, transport: &str) -> String {
    format!(
        "\n[[device]]\nid = \"{id}\"\nsite = \"site-1\"\nprofile = \"{profile}\"\ntransport = {{ {transport} }}\n"
    )
}

#[test]
fn pymodbus_is_polled_in_rtu_frames_over_a_serial_line_and_over_tcp() {
    // Given pymodbus behind a serial cable, and behind a serial server,
    let (_cable, theirs, ours) = cable();
    let slave = |way: &str| {
        peer(
            Command::new(peers::python())
                .arg(peers::script("modbus_slave.py"))
                .arg(way),
        )
    };
    let (_serial, _) = slave(&theirs);
    let (_server, port) = slave("rtu-over-tcp");
    let (_setup, server) = start(&[
        polled(
            "serial",
            "fast-station",
            &format!("rtu = {{ port = \"{ours}\", baud = 9600, unit = 1 }}"),
        ),
        polled(
            "partial",
            "fast-station",
            &format!("rtu = {{ port = \"{ours}\", baud = 9600, unit = 2 }}"),
        ),
        polled(
            "over-tcp",
            "fast-station",
            &format!(
                "rtu_over_tcp = {{ address = \"127.0.0.1:{}\", unit = 1 }}",
                port[0]
            ),
        ),
    ]);
    // when they are polled, then both have the values that the script was given,
    for device in ["serial", "over-tcp"] {
        for (signal, value) in [
            ("flow", 12.5),
            ("total", 123_456.7),
            ("ph", 7.12),
            ("temperature", -1.25),
            ("pump_2_fault", 1.0),
            ("mains", 1.0),
        ] {
            let found = until_quality(server.web, device, signal, "good");
            assert!(
                (found - value).abs() < 1e-9,
                "{device}/{signal} is {found}, not {value}"
            );
        }
    }
    // and the one that lacks registers is bad where it refused.
    until_quality(server.web, "partial", "ph", "bad_exception");
    until_quality(server.web, "partial", "flow", "good");
    let link = http::json(server.web, "/api/v1/devices/serial/modbus");
    assert_eq!(link["state"], "answers", "{link}");
    assert_eq!(link["line"], format!("rtu:{ours},9600,none,1"));
}

#[test]
fn townwatch_asks_pymodbus_what_it_is() {
    let (_slave, port) = peer(Command::new(peers::python()).arg(peers::script("modbus_slave.py")));
    let output = program::command()
        .args(["modbus", "identify", "--timeout", "5s", "--json"])
        .args([format!("127.0.0.1:{}", port[0]).as_str(), "1"])
        .output()
        .unwrap();
    let said: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(said["vendor_name"], "pymodbus");
    assert_eq!(said["product_code"], "PM");
    assert_eq!(said["revision"], "3.16");
}

/// Registers of `libmodbus_slave.c`, the set point writable in steps of 10.
const LIBMODBUS: &str = r#"
kind = "plc"
version = 1
title = { zh = "控制器", en = "controller" }
domain = "sewage"
report_interval = "1s"
[[signal]]
name = "flow"
title = { zh = "流量", en = "flow" }
unit = "m3/h"
[[signal]]
name = "setpoint"
title = { zh = "设定值", en = "set point" }
unit = "1"
[[signal]]
name = "gain"
title = { zh = "增益", en = "gain" }
unit = "1"
[[signal]]
name = "pump"
title = { zh = "泵", en = "pump" }
unit = "1"
type = "bool"
[modbus]
[[modbus.point]]
signal = "flow"
function = 4
address = 0
type = "float32"
[[modbus.point]]
signal = "setpoint"
function = 3
address = 5
write = { min = 0, max = 1000, step = 10 }
[[modbus.point]]
signal = "gain"
function = 3
address = 6
type = "float32"
order = "CDAB"
write = { min = 0, max = 10 }
[[modbus.point]]
signal = "pump"
function = 1
address = 3
type = "bool"
write = { min = 0, max = 1 }
"#;

/// A server with `devices` of that profile, writing allowed, and a token of each role (the role's name is the token).
fn plc(devices: &[String]) -> (Setup, Server) {
    // printf %s ROLE | sha256sum (coreutils).
    let token = |role: &str, sha256: &str| {
        format!("[[web.token]]\nname = \"{role}-person\"\nsha256 = \"{sha256}\"\nrole = \"{role}\"\n")
    };
    let tokens = [
        token(
            "read",
            "3316348dbadfb7b11c7c2ea235949419e23f9fa898ad2c198f999617912a9925",
        ),
        token(
            "operate",
            "2c29d39181de8f853de5e48ba983a5c88612b9dbaa5ab32c7748800a0840aeb8",
        ),
        token(
            "control",
            "0fcd568a5cb9bdb4677b69354b11ee415af8f784519cff3da49a26f84eaee7f2",
        ),
    ];
    let more = format!("[modbus]\ntimeout = \"1s\"\nwrites = true\n{}", tokens.concat());
    let setup = Setup::new(&format!("{}{}", county::HEAD, devices.concat()), &more);
    let folder = setup.path().join("profiles");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("plc.toml"), LIBMODBUS).unwrap();
    let config = setup.path().join("townwatch.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace(
        "file = \"county.toml\"",
        "file = \"county.toml\"\nprofiles = \"profiles\"",
    );
    std::fs::write(&config, text).unwrap();
    let server = setup.start();
    (setup, server)
}

fn ask_as(web: SocketAddr, role: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let headers = format!("Authorization: Bearer {role}\r\nContent-Type: application/json\r\n");
    let answer = http::ask(web, method, path, &headers, body.as_bytes()).unwrap();
    (answer.status, answer.json())
}

#[test]
fn libmodbus_is_polled_and_written_over_tcp_and_over_a_serial_line() {
    // Given libmodbus over TCP and behind a serial cable,
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("libmodbus_slave");
    let compiled = Command::new("cc")
        .args(["-Wall", "-Werror", "-O1", "-o"])
        .arg(&binary)
        .arg(peers::script("libmodbus_slave.c"))
        .arg("-lmodbus")
        .status()
        .unwrap();
    assert!(
        compiled.success(),
        "run tests/run once, it installs libmodbus-dev"
    );
    let (_cable, theirs, ours) = cable();
    let (_serial, _) = peer(Command::new(&binary).arg(&theirs));
    let (_tcp, port) = peer(Command::new(&binary).arg("tcp"));
    let (_setup, server) = plc(&[
        polled(
            "tcp",
            "plc",
            &format!("modbus = {{ address = \"127.0.0.1:{}\", unit = 1 }}", port[0]),
        ),
        polled(
            "serial",
            "plc",
            &format!("rtu = {{ port = \"{ours}\", baud = 9600, unit = 1 }}"),
        ),
    ]);
    let web = server.web;
    let latest = |device: &str, signal: &str| {
        let (_, answer) = ask_as(
            web,
            "read",
            "GET",
            &format!("/api/v1/devices/{device}/latest"),
            "",
        );
        ask::find_signal(&answer, signal).and_then(|found| found["value"].as_f64())
    };
    for device in ["tcp", "serial"] {
        for (signal, value) in [("flow", 12.5), ("setpoint", 500.0), ("pump", 1.0)] {
            wait::until(
                &format!("{device}/{signal} is {value}"),
                wait::LONG,
                || match latest(device, signal) {
                    Some(found) if (found - value).abs() < 1e-9 => Ok(()),
                    other => Err(format!("{other:?}")),
                },
            );
        }
        // when a value is written with everything that is needed, then the unit has it,
        let path = format!("/api/v1/devices/{device}/write");
        for (signal, value) in [("setpoint", 730.0), ("gain", 2.5), ("pump", 0.0)] {
            let body = format!("{{\"signal\": \"{signal}\", \"value\": {value}, \"confirm\": \"{device}\"}}");
            let (status, done) = ask_as(web, "control", "POST", &path, &body);
            assert_eq!(status, 200, "{device}/{signal}: {done}");
            assert_eq!(done["confirmed"], true, "{done}");
            assert_eq!(done["read_back"].as_f64(), Some(value), "{done}");
        }
        // and the pages show what was read back.
        wait::until("the set point is stored", wait::SOON, || {
            match latest(device, "setpoint") {
                Some(found) if (found - 730.0).abs() < 1e-9 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
}

#[test]
fn a_write_is_refused_without_role_range_confirmation_or_permission_and_the_audit_tells_all() {
    // Given a slave of known registers, and a server that may write,
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let rig = Rig::new();
    rig.put(1, Table::Input, 0, &[0x4148, 0]); // 12.5
    rig.put(1, Table::Holding, 5, &[500, 0, 0]);
    rig.put(1, Table::Coils, 3, &[1]);
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    let _served = runtime.spawn(rig.clone().serve(Wire::Tcp, listener, CancellationToken::new()));
    let device = polled(
        "plc-1",
        "plc",
        &format!("modbus = {{ address = \"{address}\", unit = 1 }}"),
    );
    let (_setup, server) = plc(std::slice::from_ref(&device));
    let path = "/api/v1/devices/plc-1/write";
    let good = r#"{"signal": "setpoint", "value": 730, "confirm": "plc-1"}"#;
    let ask = |role: &str, body: &str| ask_as(server.web, role, "POST", path, body);
    // when something is missing, then nothing is written,
    for (role, body, status, word) in [
        ("nobody", good, 401, "token"),
        ("read", good, 403, "role control"),
        ("operate", good, 403, "role control"),
        (
            "control",
            r#"{"signal": "setpoint", "value": 730}"#,
            409,
            "not confirmed",
        ),
        (
            "control",
            r#"{"signal": "setpoint", "value": 730, "confirm": "plc-2"}"#,
            409,
            "not confirmed",
        ),
        (
            "control",
            r#"{"signal": "setpoint", "value": 735, "confirm": "plc-1"}"#,
            400,
            "in steps of 10",
        ),
        (
            "control",
            r#"{"signal": "setpoint", "value": 1010, "confirm": "plc-1"}"#,
            400,
            "0 to 1000",
        ),
        (
            "control",
            r#"{"signal": "flow", "value": 1, "confirm": "plc-1"}"#,
            403,
            "does not allow flow",
        ),
        (
            "control",
            r#"{"signal": "nothing", "value": 1, "confirm": "plc-1"}"#,
            404,
            "no signal",
        ),
        (
            "control",
            r#"{"signal": "setpoint", "value": "730", "confirm": "plc-1"}"#,
            400,
            "cannot be read",
        ),
    ] {
        let (found, answer) = ask(role, body);
        assert_eq!(found, status, "{role} {body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(word), "{answer}");
    }
    assert_eq!(rig.get(1, Table::Holding, 5), Some(500));
    // and when nothing is, it is written.
    let (status, done) = ask("control", good);
    assert_eq!((status, &done["confirmed"]), (200, &Value::from(true)), "{done}");
    assert_eq!(rig.get(1, Table::Holding, 5), Some(730));
    // A unit that refuses is told, too.
    rig.behave(1, Some(Answer::Exception(4)));
    let (status, answer) = ask("control", good);
    assert_eq!(status, 502, "{answer}");
    assert!(
        answer["detail"].as_str().unwrap().contains("exception 4"),
        "{answer}"
    );
    // The audit has two lines of each that came so far, newest first, with the name of the token.
    let (status, audit) = ask_as(server.web, "operate", "GET", "/api/v1/audit", "");
    assert_eq!(status, 200);
    let lines: Vec<(&str, &str, &str)> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["by"].as_str().unwrap(),
                row["subject"].as_str().unwrap(),
                row["detail"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        lines[..4],
        [
            (
                "control-person",
                "plc-1/setpoint",
                "730 not written: the unit refused with exception 4"
            ),
            ("control-person", "plc-1/setpoint", "asked for 730"),
            ("control-person", "plc-1/setpoint", "730 written; reads 730"),
            ("control-person", "plc-1/setpoint", "asked for 730"),
        ]
    );
    assert!(
        lines.iter().any(|line| line.2.contains("in steps of 10")),
        "{lines:?}"
    );
    assert_eq!(ask_as(server.web, "read", "GET", "/api/v1/audit", "").0, 403);
}

#[test]
fn mbpoll_reads_the_simulated_slaves_in_rtu_frames_over_a_pseudo_terminal() {
    // Given the simulated county, its Modbus units on pseudo-terminals,
    let folder = tempfile::tempdir().unwrap();
    let registry = folder.path().join("county.json");
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let _simulator = Simulator::start(nowhere, &registry, &["--seed", "3", "--modbus-wire", "rtu"]);
    let registry: Value = serde_json::from_str(&std::fs::read_to_string(&registry).unwrap()).unwrap();
    let tank = registry["device"]
        .as_array()
        .unwrap()
        .iter()
        .find(|device| device["profile"] == "lpg-tank")
        .unwrap();
    let rtu = &tank["transport"]["rtu"];
    let (port, unit) = (rtu["port"].as_str().unwrap(), rtu["unit"].to_string());
    // when mbpoll reads a tank's level (0.1 %), then it gets a plausible one.
    let output = peers::run(
        "mbpoll",
        &[
            "-m", "rtu", "-b", "9600", "-P", "none", "-a", &unit, "-t", "3", "-0", "-r", "0", "-c", "1",
            "-1", port,
        ],
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let level = text
        .lines()
        .find_map(|line| line.strip_prefix("[0]:")?.trim().parse::<i64>().ok());
    assert!(level.is_some_and(|level| (1..1000).contains(&level)), "{text}");
}
