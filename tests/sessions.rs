//! What MQTT clients rely on survives `kill -9`: sessions, what waits in them, retained messages; seen by mosquitto's clients.

use std::process::Output;

use crate::support::county;
use crate::support::peers;
use crate::support::program::{Server, Setup};

const TOPIC: &str = "tw/v1/station-1/telemetry";
const STATE: &str = "tw/v1/station-1/state";

/// The gateway `gw` speaks for `station-1`.
fn setup() -> Setup {
    let registry = format!(
        "{}gateway = \"gw\"\n{}",
        county::one_station(),
        county::mqtt_device("gw", "sewage-station-small")
    );
    Setup::new(&registry, "")
}

fn client(program: &str, server: &Server, version: &str, name: &str, more: &[&str]) -> Output {
    let port = server.mqtt.port().to_string();
    let login = [
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-V",
        version,
        "-u",
        name,
        "-P",
        "secret",
        "-i",
        name,
    ];
    peers::run(program, &[&login[..], more].concat())
}

fn publish(server: &Server, version: &str, more: &[&str]) {
    let output = client("mosquitto_pub", server, version, "gw", more);
    assert!(output.status.success(), "{output:?}");
}

/// Lines that `station-1` gets with its lasting session, until there are `count`.
fn receive(server: &Server, version: &str, count: &str, more: &[&str]) -> Vec<String> {
    let lasting: &[&str] = match version {
        "mqttv5" => &["-c", "-x", "3600"],
        _ => &["-c"],
    };
    let asked = ["-q", "2", "-t", "tw/v1/station-1/#", "-F", "%q %r %p", "-W", "20"];
    let until: &[&str] = if count == "0" { &["-E"] } else { &["-C", count] };
    let output = client(
        "mosquitto_sub",
        server,
        version,
        "station-1",
        &[lasting, &asked, until, more].concat(),
    );
    assert!(output.status.success(), "{version}: {output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn queued_and_retained_messages_survive_a_kill_in_both_versions() {
    for version in ["mqttv311", "mqttv5"] {
        // Given a station whose session lasts, and which is away,
        let setup = setup();
        let server = setup.start();
        receive(&server, version, "0", &[]);
        // and messages that were acknowledged to their publisher, one of them retained,
        let mut wanted = Vec::new();
        for (number, qos) in ["1", "2", "2", "1", "2"].iter().enumerate() {
            let payload = format!(r#"{{"values":{{"level":{number}}}}}"#);
            publish(&server, version, &["-q", qos, "-t", TOPIC, "-m", &payload]);
            wanted.push(format!("{qos} 0 {payload}"));
        }
        publish(&server, version, &["-q", "1", "-t", STATE, "-m", "online", "-r"]);
        wanted.push("1 0 online".to_owned());
        // when the program is killed and started again, and the station comes back,
        server.kill();
        let server = setup.start();
        let count = (wanted.len() + 1).to_string();
        let mut got = receive(&server, version, &count, &[]);
        // then it gets each of them once, in the order of its quality of service (mosquitto_sub shows a message of
        // QoS 2 only when it is released), and the retained one because it subscribes again;
        let retained = got
            .iter()
            .position(|line| line == "1 1 online")
            .expect("the retained state is there");
        got.remove(retained);
        for qos in ["1 ", "2 "] {
            let of = |lines: &[String]| -> Vec<String> {
                lines
                    .iter()
                    .filter(|line| line.starts_with(qos))
                    .cloned()
                    .collect()
            };
            assert_eq!(of(&got), of(&wanted), "{version}");
        }
        // and what it has acknowledged does not come again after another kill.
        server.kill();
        let server = setup.start();
        assert_eq!(receive(&server, version, "1", &[]), ["1 1 online"], "{version}");
        assert!(server.stop().success());
    }
}
