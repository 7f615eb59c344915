//! MQTT clients that nobody here wrote, in both versions of the protocol.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::mqtt::Client;
use crate::support::peers::{self, Peer};
use crate::support::program::{Setup, told};
use crate::support::{ask, county, wait};

fn publish(port: &str, version: &str, password: &str, topic: &str, message: &str) -> std::process::Output {
    let login = ["-u", "station-1", "-P", password, "-i", "station-1"];
    let rest = [
        "-h",
        "127.0.0.1",
        "-p",
        port,
        "-V",
        version,
        "-q",
        "1",
        "-t",
        topic,
        "-m",
        message,
    ];
    peers::run("mosquitto_pub", &[&login[..], &rest[..]].concat())
}

#[test]
fn mosquitto_pub_and_sub_are_served_in_both_versions() {
    // Given a running server and a mosquitto_sub that listens to everything that it may hear,
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    let added = told(
        setup.path(),
        &["account", "add", "desk", "--subscribe", "tw/v1/#"],
    );
    let password = added["password"].as_str().unwrap();
    wait::until("the account is let in", wait::SOON, || {
        Client::connect(server.mqtt, "desk", password).map(drop)
    });
    let port = server.mqtt.port().to_string();
    for (version, level) in [("mqttv311", 1.25), ("mqttv5", 1.5)] {
        let mut listener = Command::new("stdbuf")
            .args([
                "-oL",
                "mosquitto_sub",
                "-u",
                "desk",
                "-P",
                password,
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-V",
                version,
                "-q",
                "1",
                "-t",
                "tw/v1/#",
                "-v",
                "-C",
                "1",
                "-d",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .map(Peer)
            .unwrap();
        let mut lines = BufReader::new(listener.0.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        assert!(
            lines.any(|line| line.contains("SUBACK")),
            "mosquitto_sub {version} got no SUBACK"
        );

        // when mosquitto_pub reports a level,
        let message = format!(r#"{{"ts":{},"values":{{"level":{level}}}}}"#, ask::now());
        let output = publish(&port, version, "secret", "tw/v1/station-1/telemetry", &message);
        assert!(output.status.success(), "{version}: {output:?}");

        // then the listener gets it as it was sent, and the store has it.
        let wanted = format!("tw/v1/station-1/telemetry {message}");
        assert!(
            lines.any(|line| line == wanted),
            "mosquitto_sub {version} did not get {wanted}"
        );
        wait::until("the level is stored", wait::SOON, || {
            let value = ask::latest_value(server.web, "station-1", "level");
            if (value - level).abs() < 1e-9 {
                Ok(())
            } else {
                Err(value.to_string())
            }
        });
    }
    assert!(server.stop().success());
}

#[test]
fn a_wrong_password_and_an_unknown_device_are_refused_in_both_versions() {
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    let port = server.mqtt.port().to_string();
    for version in ["mqttv311", "mqttv5"] {
        let wrong = publish(&port, version, "wrong", "tw/v1/station-1/telemetry", "{}");
        assert!(!wrong.status.success(), "{version}: {wrong:?}");
        let said = String::from_utf8_lossy(&wrong.stderr).to_lowercase();
        assert!(
            said.contains("not authorised") || said.contains("bad user name"),
            "{version}: {said}"
        );
        let stranger = [
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-V",
            version,
            "-u",
            "nobody",
            "-P",
            "secret",
            "-t",
            "tw/v1/nobody/telemetry",
            "-m",
            "{}",
        ];
        assert!(
            !peers::run("mosquitto_pub", &stranger).status.success(),
            "{version}: an unknown device was let in"
        );
        let nameless = [
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-V",
            version,
            "-t",
            "tw/#",
            "-C",
            "1",
            "-W",
            "5",
        ];
        assert!(
            !peers::run("mosquitto_sub", &nameless).status.success(),
            "{version}: a client without a name was let in"
        );
    }
}
