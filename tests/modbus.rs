//! Modbus over real sockets: a slave by pymodbus, slaves that misbehave, and our simulated slaves read
//! by mbpoll.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::peers::{self, Peer};
use crate::support::program::{Server, Setup, Simulator};
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
