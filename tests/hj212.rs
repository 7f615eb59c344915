//! HJ 212 data loggers, from the socket to the series; the logger is the simulators', with an encoder of its own.

use device_simulators::hj212::{Factor, Logger};

use crate::support::program::Setup;
use crate::support::{ask, county, http, wait};

const MN: &str = "010000A8900016F000169DC0";

/// 2026-11-23 20:00:00 in Shanghai (date(1)); the loggers of these tests report the present, to the second.
fn civil(ms: i64) -> String {
    // UTC+8 without daylight saving since 1991.
    let at = telemetry::Timestamp::from_millis(ms + 8 * 3_600_000).to_rfc3339();
    at.chars().filter(char::is_ascii_digit).take(14).collect()
}

fn metric(web: std::net::SocketAddr, name: &str) -> f64 {
    let page = http::get(web, "/metrics").unwrap().body;
    let line = page.lines().find(|line| line.split(' ').next() == Some(name));
    line.and_then(|line| line.split(' ').nth(1))
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_loggers_readings_stand_in_the_series_with_their_flags_and_outlive_a_kill() {
    // Given a station with a logger,
    let registry = format!(
        "{}{}",
        county::HEAD,
        county::logger("outfall-1", "sewage-logger", MN, "123456")
    );
    let setup = Setup::new(&registry, "[hj212]\nlisten = \"127.0.0.1:0\"");
    let server = setup.start();
    let door = server.door("HJ212");
    let mut logger = Logger::connect(door, MN, "123456").unwrap();
    // when it reports what it sees now, what the last hour was, and a long packet in parts,
    let base = (ask::now() - 60_000) / 1000 * 1000;
    let now = |offset_s: i64| civil(base + offset_s * 1000);
    let said = logger
        .report(
            2011,
            &now(0),
            &[
                Factor::now("w00000", 2.5, 'N'),
                Factor::now("w01018", 33.5, 'N'),
                Factor::now("w21003", 1.25, 'M'),
                Factor::now("w01001", 7.5, 'D'),
            ],
        )
        .unwrap();
    assert!(said.contains("CN=9014;") && said.contains(MN), "{said}");
    let hour = Factor {
        code: "w01018",
        fields: vec![("Avg", 30.5), ("Max", 41.0)],
        flag: 'N',
    };
    logger.report(2061, &now(-3600), &[hour]).unwrap();
    let many = [
        Factor::now("w01018", 34.5, 'N'),
        Factor::now("w21011", 0.125, 'N'),
    ];
    logger.report_split(2011, &now(10), &many, 20).unwrap();
    // (everything that was answered outlives a kill)
    drop(logger);
    server.kill();
    let server = setup.start();
    // then each value stands at its time with its quality: only N is good.
    let point = |signal: &str, offset_s: i64| {
        wait::until(&format!("{signal} is stored"), wait::SOON, || {
            let from = base + offset_s * 1000;
            let points = ask::points(server.web, "outfall-1", signal, from, from + 1);
            points.first().cloned().ok_or_else(|| "nothing".to_owned())
        })
    };
    for (signal, offset_s, value, quality) in [
        ("flow", 0, 9.0, "good"),
        ("cod_out", 0, 33.5, "good"),
        ("nh3n_out", 0, 1.25, "bad"),
        ("ph", 0, 7.5, "bad_sensor_fault"),
        ("cod_out_hour", -3600, 30.5, "good"),
        ("cod_out_hour_max", -3600, 41.0, "good"),
        ("cod_out", 10, 34.5, "good"),
        ("tp_out", 10, 0.125, "good"),
    ] {
        let (ms, have, told) = point(signal, offset_s);
        assert_eq!((ms, told.as_str()), (base + offset_s * 1000, quality), "{signal}");
        // The value of a bad sample is not shown.
        assert!(have.is_nan() || (have - value).abs() < 1e-9, "{signal}: {have}");
        assert!(!have.is_nan() || quality != "good", "{signal}");
    }
    assert_eq!(ask::ledger(server.web, "outfall-1")["adds_up"], true);
}

#[test]
fn strangers_and_nonsense_leave_no_trace_but_their_count() {
    let registry = format!(
        "{}{}",
        county::HEAD,
        county::logger("outfall-1", "sewage-logger", MN, "123456")
    );
    let setup = Setup::new(&registry, "[hj212]\nlisten = \"127.0.0.1:0\"");
    let server = setup.start();
    let door = server.door("HJ212");
    let factor = [Factor::now("w01018", 33.5, 'N')];
    let mut guesser = Logger::connect(door, MN, "000000").unwrap();
    assert!(
        guesser
            .report(2011, "20261123200000", &factor)
            .unwrap()
            .contains("QnRtn=3")
    );
    let mut stranger = Logger::connect(door, "88888880000001", "123456").unwrap();
    assert!(
        stranger
            .report(2011, "20261123200000", &factor)
            .unwrap()
            .contains("QnRtn=4")
    );
    let mut known = Logger::connect(door, MN, "123456").unwrap();
    known.say(b"GET / HTTP/1.1\r\n\r\n##0000##12").unwrap();
    known.say(&[0xFF; 100]).unwrap();
    let now = civil(ask::now());
    assert!(known.report(2011, &now, &factor).unwrap().contains("CN=9014"));
    assert!((ask::latest_value(server.web, "outfall-1", "cod_out") - 33.5).abs() < 1e-9);
    for (name, want) in [
        ("townwatch_hj212_packets_total", 1.0),
        ("townwatch_hj212_wrong_password_total", 1.0),
        ("townwatch_hj212_unknown_mn_total", 1.0),
    ] {
        assert!((metric(server.web, name) - want).abs() < 1e-9, "{name}");
    }
    assert!(metric(server.web, "townwatch_hj212_garbage_bytes_total") > 100.0);
    assert_eq!(
        http::json(server.web, "/api/v1/dead-letters")
            .as_array()
            .unwrap()
            .len(),
        0
    );
}
