//! Readings that are pushed over HTTP: by hand, as curl would, and by a real Telegraf where there is one.

use std::path::Path;
use std::process::Command;

use crate::support::program::{Server, Setup};
use crate::support::{ask, county, http, program, wait};

/// `station-1:secret` in base 64, by coreutils' `base64`.
const BASIC: &str = "Authorization: Basic c3RhdGlvbi0xOnNlY3JldA==\r\n";
const JSON: &str = "Content-Type: application/json\r\n";

fn behind_a_gateway() -> String {
    let behind = county::mqtt_device("station-2", "sewage-station-small");
    let behind = behind.replace("profile =", "gateway = \"station-1\"\nprofile =");
    format!("{}{behind}", county::one_station())
}

fn points(server: &Server, device: &str) -> Vec<(i64, f64, String)> {
    ask::points(
        server.web,
        device,
        "level",
        ask::now() - 3_600_000,
        ask::now() + 60_000,
    )
}

#[test]
fn what_was_answered_with_204_is_there_after_a_kill() {
    // Given a station that pushes, and is killed off right after each answer,
    let setup = Setup::new(&behind_a_gateway(), "");
    let base = ask::now() - 60_000;
    for round in 0..3 {
        let server = setup.start();
        let ts = base + round;
        let body = format!(r#"{{"ts":{ts},"values":{{"level":1.5}}}}"#);
        let answer = http::send(
            server.web,
            "/api/v1/telemetry",
            &format!("{BASIC}{JSON}"),
            body.as_bytes(),
        );
        let answer = answer.unwrap();
        assert_eq!((answer.status, &*answer.body), (204, ""), "{answer:?}");
        let line = format!("sewage,device=station-2 level=2.5 {ts}");
        let address = "/api/v2/write?precision=ms&bucket=any&org=any";
        let token = "Authorization: Token station-1:secret\r\n";
        let answer = http::send(server.web, address, token, line.as_bytes()).unwrap();
        assert_eq!(answer.status, 204, "{answer:?}");
        server.kill();
    }
    // then after the last start all of it stands in the series, of the device that it is about.
    let server = setup.start();
    for (device, value) in [("station-1", 1.5), ("station-2", 2.5)] {
        let have = wait::until("all readings are there", wait::SOON, || {
            let have = points(&server, device);
            if have.len() == 3 {
                Ok(have)
            } else {
                Err(format!("{have:?}"))
            }
        });
        let want: Vec<(i64, f64, String)> = (0..3)
            .map(|round| (base + round, value, "good".to_owned()))
            .collect();
        assert_eq!(have, want);
    }
    // The page of dead letters is empty, and the accounts add up.
    assert_eq!(
        http::json(server.web, "/api/v1/dead-letters")
            .as_array()
            .unwrap()
            .len(),
        0
    );
    assert_eq!(ask::ledger(server.web, "station-2")["adds_up"], true);
}

#[test]
fn strangers_the_wrong_and_the_unreadable_are_told_so() {
    let registry = format!(
        "{}{}",
        behind_a_gateway(),
        county::mqtt_device("station-3", "sewage-station-small")
    );
    let setup = Setup::new(&registry, "");
    let server = setup.start();
    let reading = br#"{"values":{"level":1}}"#;
    for (address, headers, body, status) in [
        ("/api/v1/telemetry", JSON.to_owned(), &reading[..], 401),
        (
            "/api/v1/telemetry",
            format!("Authorization: Bearer station-1:guess\r\n{JSON}"),
            reading,
            401,
        ),
        (
            "/api/v1/telemetry",
            format!("Authorization: Bearer secret\r\n{JSON}"),
            reading,
            401,
        ),
        (
            "/api/v1/telemetry/station-3",
            format!("{BASIC}{JSON}"),
            reading,
            403,
        ),
        ("/api/v1/telemetry/nobody", format!("{BASIC}{JSON}"), reading, 403),
        (
            "/api/v1/telemetry",
            format!("{BASIC}{JSON}"),
            b"{\"values\":",
            400,
        ),
        ("/api/v2/write", BASIC.to_owned(), b"sewage level", 400),
        (
            "/api/v2/write",
            BASIC.to_owned(),
            b"sewage,device=station-3 level=1",
            403,
        ),
        (
            "/api/v2/write",
            "Authorization: Token x\r\n".to_owned(),
            b"sewage level=1",
            401,
        ),
    ] {
        let answer = http::send(server.web, address, &headers, body).unwrap();
        assert_eq!(answer.status, status, "{address} {headers} {answer:?}");
    }
    assert_eq!(ask::ledger(server.web, "station-1")["received"], 0);
    // SenML, as over MQTT; and a good line beside a bad one is taken.
    let senml = br#"[{"n":"level","v":3.25}]"#;
    let kind = "Content-Type: application/senml+json\r\n";
    let answer = http::send(server.web, "/api/v1/telemetry", &format!("{BASIC}{kind}"), senml).unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
    assert!((ask::latest_value(server.web, "station-1", "level") - 3.25).abs() < 1e-9);
    let lines = b"sewage,device=station-2 level=1\nnonsense\n";
    let answer = http::send(server.web, "/api/v2/write", BASIC, lines).unwrap();
    assert_eq!(
        (answer.status, &answer.json()["line"]),
        (400, &2.into()),
        "{answer:?}"
    );
    assert!((ask::latest_value(server.web, "station-2", "level") - 1.0).abs() < 1e-9);
}

#[test]
fn what_is_json_but_of_no_known_form_is_taken_and_kept_as_a_dead_letter() {
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    let answer = http::send(
        server.web,
        "/api/v1/telemetry",
        &format!("{BASIC}{JSON}"),
        b"{\"lvl\":1}",
    )
    .unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
    let letters = wait::until("a dead letter is there", wait::SOON, || {
        let letters = http::json(server.web, "/api/v1/dead-letters");
        if letters[0].is_object() {
            Ok(letters)
        } else {
            Err(letters.to_string())
        }
    });
    assert_eq!(letters[0]["origin"], "http");
    assert_eq!(letters[0]["payload"], "{\"lvl\":1}");
}

#[test]
fn a_real_telegraf_writes_and_what_is_no_device_of_its_token_is_told_so() {
    // Telegraf 1.37.2, built by tests/run where there is a Go that can.
    let telegraf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache/telegraf-1.37.2-mqtt/telegraf");
    if !telegraf.exists() {
        println!(
            "SKIPPED: no Telegraf at {}: tests/run builds it with Go 1.25 or later",
            telegraf.display()
        );
        return;
    }
    // Given a server and a file of measurements of the station, one of them of a device that is not the token's,
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    let ts = ask::now() - 60_000;
    let lines = format!(
        "sewage,device=station-1 level=1.5,pump_1_run=true {ts}000000\nsewage,device=other level=2 {ts}000000\n\
         sewage,device=station-1 level=1.75 {}000000\n",
        ts + 1000
    );
    let (file, config) = (setup.path().join("lines.txt"), setup.path().join("telegraf.conf"));
    std::fs::write(&file, lines).unwrap();
    let text = format!(
        "[agent]\nomit_hostname = true\nprecision = \"1ms\"\nflush_interval = \"1s\"\n\
         [[inputs.file]]\nfiles = [\"{}\"]\ndata_format = \"influx\"\n\
         [[outputs.influxdb_v2]]\nurls = [\"http://{}\"]\ntoken = \"station-1:secret\"\n\
         organization = \"any\"\nbucket = \"any\"\ncontent_encoding = \"gzip\"\n",
        file.display(),
        server.web
    );
    std::fs::write(&config, text).unwrap();
    // when Telegraf reads it once and writes,
    let ended = Command::new(&telegraf)
        .arg("--once")
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    // then the station's values are there, and Telegraf's log names the line that is not taken.
    let have = wait::until("the values are there", wait::SOON, || {
        let have = points(&server, "station-1");
        if have.len() == 2 {
            Ok(have)
        } else {
            Err(format!("{have:?}; telegraf: {told}"))
        }
    });
    assert_eq!(
        have,
        [(ts, 1.5, "good".to_owned()), (ts + 1000, 1.75, "good".to_owned())],
        "{told}"
    );
    assert!((ask::latest_value(server.web, "station-1", "pump_1_run") - 1.0).abs() < 1e-9);
    assert!(
        told.contains("partial write") && told.contains("device other"),
        "{told}"
    );
}

#[test]
fn a_platforms_account_writes_for_the_devices_of_its_filters_and_no_other() {
    // Given an account of a platform that forwards for every device, made beside the running server,
    let setup = Setup::new(&behind_a_gateway(), "");
    let server = setup.start();
    let config = setup.path().join("townwatch.toml");
    let made = program::command()
        .args([
            "account",
            "add",
            "platform",
            "--publish",
            "tw/v1/station-2/telemetry",
            "--json",
            "--config",
        ])
        .arg(&config)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let token = format!(
        "Authorization: Bearer platform:{}\r\n{JSON}",
        made["password"].as_str().unwrap()
    );
    let push = |device: &str| {
        let address = format!("/api/v1/telemetry/{device}");
        http::send(server.web, &address, &token, br#"{"values":{"level":1.25}}"#)
            .unwrap()
            .status
    };
    // when it pushes, then what its filters match is taken and stands under the device, and nothing else is.
    wait::until("the account is let in", wait::SOON, || match push("station-2") {
        204 => Ok(()),
        other => Err(other.to_string()),
    });
    assert_eq!((push("station-1"), push("platform")), (403, 403));
    assert!((ask::latest_value(server.web, "station-2", "level") - 1.25).abs() < 1e-9);
    assert_eq!(
        http::json(server.web, "/api/v1/dead-letters")
            .as_array()
            .unwrap()
            .len(),
        0
    );
}
