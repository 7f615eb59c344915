//! A recorded day: what a server judged is written down beside it, and `replay` says of it what the server said.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use store::state::State;

use crate::support::mqtt::Client;
use crate::support::program::{Server, Setup, Simulator, call};
use crate::support::{ask, county, http, wait};

/// What has to be the same: rule, event, occurrence, event time in ms, value, whom it was told to.
type Said = (String, String, u64, i64, String, String);

/// A value, however it is written.
fn number(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, |value| value.to_string())
}

/// What the log of the server says, in its order. A digest has no rule and is not in it.
fn log(data: &Path) -> Vec<(i64, Said)> {
    let state = State::open_read_only(&data.join("state.db")).unwrap();
    let rows = state.alarm_log(u64::MAX, 1_000_000).unwrap();
    rows.iter()
        .rev()
        .filter(|row| !row.rule.is_empty())
        .map(|row| {
            let detail: Value = serde_json::from_str(&row.body).unwrap();
            let said = (
                row.rule.to_string(),
                row.event.to_string(),
                u64::from(row.occurrence),
                detail["since"].as_i64().unwrap(),
                number(&detail["value"]),
                detail["to"].as_str().unwrap_or_default().to_owned(),
            );
            (row.at.millis(), said)
        })
        .collect()
}

/// Times of the output are seconds on the millisecond grid.
fn ms(seconds: &Value) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this century")]
    let ms = (seconds.as_f64().unwrap() * 1000.0).round() as i64;
    ms
}

/// The lines of a replay that a log has, too: delays that begin to run are shown, not logged.
fn played(output: &str) -> Vec<(i64, Said)> {
    let lines = output
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line.get("rule").is_some())
        .filter(|line| !line["event"].as_str().unwrap().starts_with("pending_"))
        .map(|line| {
            let text = |key: &str| {
                line.get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            // Who is told does not repeat since and value.
            let told = line["event"] == "notified";
            let said = (
                text("rule"),
                text("event"),
                line["occurrence"].as_u64().unwrap(),
                if told { 0 } else { ms(&line["since"]) },
                if told {
                    String::new()
                } else {
                    number(&line["value"])
                },
                text("to"),
            );
            (ms(&line["at"]), said)
        })
        .collect()
}

/// The log in the form of [`played`].
fn logged(data: &Path) -> Vec<(i64, Said)> {
    let mut rows = log(data);
    for (_, said) in &mut rows {
        if said.1 == "notified" {
            (said.3, said.4) = (0, String::new());
        }
    }
    rows
}

/// A recording of a data folder.
struct Recording {
    rules: PathBuf,
    input: PathBuf,
}

impl Recording {
    fn of(data: &Path, place: &[&str]) -> (Self, Value) {
        let recording = Self {
            rules: data.with_file_name("recorded.toml"),
            input: data.with_file_name("recorded.jsonl"),
        };
        let mut arguments = vec!["record", "--json"];
        arguments.extend(place);
        arguments.extend(["--rules", recording.rules.to_str().unwrap()]);
        arguments.extend(["--input", recording.input.to_str().unwrap()]);
        let (code, said, errors) = call(&arguments);
        assert_eq!(code, 0, "{said}{errors}");
        let said = serde_json::from_str(&said).unwrap();
        (recording, said)
    }

    fn replay(&self) -> String {
        let (rules, input) = (self.rules.to_str().unwrap(), self.input.to_str().unwrap());
        let (code, output, errors) = call(&["replay", "--rules", rules, "--input", input]);
        assert_eq!(code, 0, "{errors}");
        output
    }
}

/// What one has and the other has not, for a person.
fn difference(server: &[(i64, Said)], replay: &[(i64, Said)]) -> String {
    let of = |all: &[(i64, Said)]| all.iter().map(|(_, said)| said.clone()).collect::<BTreeSet<_>>();
    let (server, replay) = (of(server), of(replay));
    let only: Vec<_> = server.difference(&replay).take(20).collect();
    let more: Vec<_> = replay.difference(&server).take(20).collect();
    format!("only the server: {only:#?}\nonly the replay: {more:#?}")
}

/// The log of the server and the replay say the same, in the same order, at least `least` times; what the server said after
/// the last message is not in a recording.
fn is_same(data: &Path, output: &str, least: usize) -> Vec<(i64, Said)> {
    let end: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    assert_eq!(end["event"], "end");
    let end = ms(&end["at"]);
    let server: Vec<_> = logged(data).into_iter().filter(|(at, _)| *at <= end).collect();
    let replay = played(output);
    assert!(server.len() >= least, "{server:#?}");
    let said = |all: &[(i64, Said)]| all.iter().map(|(_, said)| said.clone()).collect::<Vec<_>>();
    assert!(said(&server) == said(&replay), "{}", difference(&server, &replay));
    replay
}

/// Rules that show within seconds what others take minutes for: a silence of 3 s, delays of 1 s.
const QUICK: &str = r#"
kind = "quick"
version = 1
title = { zh = "快", en = "quick" }
domain = "gas"
report_interval = "1s"
life_safety = true
[[signal]]
name = "gas"
title = { zh = "燃气", en = "gas" }
unit = "%{LEL}"
range = [0, 100]
decimals = 3
[[signal]]
name = "level"
title = { zh = "液位", en = "level" }
unit = "m"
range = [0, 10]
decimals = 3
[[rule]]
id = "GAS"
title = { zh = "高", en = "high" }
signal = "gas"
kind = "high"
limit = 25
deadband = 5
off_delay = "1s"
priority = "critical"
[[rule]]
id = "LEVEL"
title = { zh = "液位高", en = "high level" }
signal = "level"
kind = "high"
limit = 3.1
deadband = 0.25
on_delay = "1s"
priority = "medium"
[[rule]]
id = "BOTH"
title = { zh = "两者", en = "both" }
kind = "cel"
expression = "gas >= 25.0 && level >= 2.0"
priority = "high"
[[rule]]
id = "SILENT"
title = { zh = "失联", en = "silent" }
kind = "silence"
after = "3s"
priority = "high"
"#;

/// A server with three quick devices, that escalates after a second.
fn quick() -> Setup {
    let devices: String = (1..=3)
        .map(|n| county::mqtt_device(&format!("q-{n}"), "quick"))
        .collect();
    let alarms = "[alarms]\ngrace = \"2s\"\nlateness = \"2s\"\nlive_age = \"1min\"\nfault_off_delay = \"500ms\"\n\
                  [[alarms.escalation]]\nafter = \"1s\"\nto = [\"all\"]\n";
    let setup = Setup::new(&format!("{}{devices}", county::HEAD), alarms);
    let folder = setup.path().join("profiles");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("quick.toml"), QUICK).unwrap();
    let config = setup.path().join("townwatch.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let named = text.replace("[registry]\n", "[registry]\nprofiles = \"profiles\"\n");
    std::fs::write(&config, named).unwrap();
    setup
}

struct Device {
    client: Client,
    topic: String,
}

impl Device {
    fn new(server: &Server, id: &str) -> Self {
        Self {
            client: Client::connect(server.mqtt, id, "secret").unwrap(),
            topic: format!("tw/v1/{id}/telemetry"),
        }
    }

    fn says(&mut self, payload: &str) {
        self.client
            .publish_acked(&self.topic, payload.as_bytes())
            .unwrap();
    }

    /// A reading `age` ms old, with more keys of the payload before its values.
    fn reports(&mut self, age: i64, more: &str, values: &str) -> String {
        let payload = format!(r#"{{"ts":{},{more}"values":{values}}}"#, ask::now() - age);
        self.says(&payload);
        payload
    }
}

/// Waits until the alarm of a rule is as `state` says.
fn stands(server: &Server, device: &str, rule: &str, state: &str) -> Value {
    wait::until(&format!("{device}/{rule} is {state}"), wait::SOON, || {
        let all = ask::alarms(server.web, false, device, rule);
        let newest = all.first().cloned().ok_or("none")?;
        if newest["state"] == state {
            Ok(newest)
        } else {
            Err(newest.to_string())
        }
    })
}

fn act(server: &Server, path: &str, body: &Value) {
    let answer = http::post(server.web, path, body).unwrap();
    assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
}

#[test]
fn what_a_server_said_is_what_a_replay_of_its_recording_says() {
    let setup = quick();
    // Given devices that report well, late, twice, from the past, nonsense, faults and nothing,
    let server = setup.start();
    let (mut one, mut two) = (Device::new(&server, "q-1"), Device::new(&server, "q-2"));
    one.reports(0, "", r#"{"gas":1.25,"level":1}"#);
    let twice = one.reports(0, "", r#"{"gas":40.125,"level":2.5}"#);
    one.says(&twice);
    let gas = stands(&server, "q-1", "GAS", "unacknowledged");
    stands(&server, "q-1", "BOTH", "unacknowledged");
    two.reports(0, "", r#"{"gas":3,"level":3.5}"#);
    two.reports(1_500, "", r#"{"gas":60}"#);
    two.reports(3_600_000, r#""backfill":true,"#, r#"{"gas":80}"#);
    two.reports(0, "", r#"{"level":"none"}"#);
    two.says("no JSON at all");
    two.reports(-7_200_000, "", r#"{"gas":2}"#);
    stands(&server, "q-2", "GAS", "returned_unacknowledged");
    // people who acknowledge, shelve, test and take out of service,
    let id = gas["id"].as_str().unwrap();
    act(
        &server,
        &format!("/api/v1/alarms/{id}/ack"),
        &json!({"by": "Li", "remark": "going"}),
    );
    act(
        &server,
        "/api/v1/devices/q-2/alarms/test",
        &json!({"by": "Wang", "remark": "calibration", "for": "2s"}),
    );
    two.reports(0, "", r#"{"gas":50}"#);
    act(
        &server,
        "/api/v1/devices/q-1/alarms/out-of-service",
        &json!({"by": "Li", "remark": "permit 7", "for": "1h"}),
    );
    one.reports(0, "", r#"{"gas":1}"#);
    act(
        &server,
        "/api/v1/devices/q-1/alarms/return-to-service",
        &json!({"by": "Li", "remark": "done"}),
    );
    // and a silence, over which the server is killed and started again,
    stands(&server, "q-3", "SILENT", "unacknowledged");
    two.reports(0, "", r#"{"gas":1}"#);
    stands(&server, "q-1", "SILENT", "unacknowledged");
    server.kill();
    let server = setup.start();
    let mut three = Device::new(&server, "q-3");
    three.reports(0, "", r#"{"gas":100.5,"level":9.875}"#);
    stands(&server, "q-3", "GAS", "unacknowledged");
    stands(&server, "q-3", "LEVEL", "unacknowledged");
    let mut one = Device::new(&server, "q-1");
    let end = ask::now();
    one.reports(0, "", r#"{"gas":26,"level":1}"#);
    stands(&server, "q-1", "GAS", "unacknowledged");
    stands(&server, "q-3", "SILENT", "unacknowledged");
    // when all of it is recorded beside the running server, and again when it has stopped,
    let config = setup.path().join("townwatch.toml");
    let place = ["--config", config.to_str().unwrap()];
    let (beside, _) = Recording::of(&setup.data(), &place);
    let first = beside.replay();
    let shown: Vec<Value> = ["q-1", "q-2", "q-3"]
        .iter()
        .flat_map(|device| ["GAS", "LEVEL", "BOTH", "SILENT"].map(|rule| (device, rule)))
        .flat_map(|(device, rule)| ask::alarms(server.web, false, device, rule))
        // A replay ends with the last message: the silence after it is not in it.
        .filter(|alarm| alarm["raised"]["ms"].as_i64().unwrap() <= end)
        .collect();
    assert!(server.stop().success());
    let (recording, said) = Recording::of(&setup.data(), &place);
    assert_eq!(
        (&said["starts"], &said["acts"], &said["moved"]),
        (&json!(2), &json!(4), &json!(0))
    );
    // then two replays of it are the same to the byte, and begin with that of the running server,
    let output = recording.replay();
    assert_eq!(output, recording.replay());
    let before_end = first.lines().count() - 1;
    assert!(first.lines().take(before_end).eq(output.lines().take(before_end)));
    // and say what the server said, in its order: rule, event, occurrence, event time, value, whom it told.
    let replay = is_same(&setup.data(), &output, 40);
    println!(
        "{} transitions and notices of {} readings",
        replay.len(),
        said["readings"]
    );
    // Every occurrence that the API showed was raised in the replay.
    let raised: BTreeSet<(String, u64)> = replay
        .iter()
        .filter(|(_, said)| said.1 == "raised")
        .map(|(_, said)| (said.0.clone(), said.2))
        .collect();
    assert!(shown.len() >= 8, "{shown:?}");
    for alarm in shown {
        let id = alarm["id"].as_str().unwrap();
        let occurrence: u64 = id.rsplit_once('~').unwrap().1.parse().unwrap();
        let rule = alarm["rule"].as_str().unwrap().to_owned();
        assert!(raised.contains(&(rule, occurrence)), "{alarm}");
    }
}

/// Waits until one of the alarms is `wanted`.
fn any(server: &Server, what: &str, wanted: &dyn Fn(&Value) -> bool) {
    wait::until(what, wait::LONG, || {
        let all = http::json(server.web, "/api/v1/alarms?limit=1000");
        let all = all.as_array().unwrap();
        if all.iter().any(wanted) {
            Ok(())
        } else {
            Err(format!("{} alarms", all.len()))
        }
    });
}

#[test]
fn a_recorded_county_replays_to_what_was_live() {
    // Given the simulators' small county with faults, and a server that knows its registry,
    let setup = Setup::new("", "");
    let mqtt = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let registry = setup.path().join("county.json");
    let mut simulator = Simulator::start(mqtt, &registry, &["--seed", "5"]);
    let alarms = "[alarms]\ngrace = \"10s\"\n[[alarms.escalation]]\nafter = \"5s\"\nto = [\"all\"]\n";
    setup.configure(&format!("[mqtt]\nlisten = \"{mqtt}\"\n{alarms}"));
    let config = setup.path().join("townwatch.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("county.toml", "county.json")).unwrap();
    let server = setup.start();
    wait::until("the panel is polled", wait::LONG, || {
        let answer = http::get(server.web, "/api/v1/devices/depot-2-panel/latest")?;
        if answer.body.contains("gas_01") {
            Ok(())
        } else {
            Err(answer.body)
        }
    });
    for fault in [
        "gas-leak:depot-2-panel+40s",
        "nonsense:depot-1-panel+1min",
        "clock-8h+1min",
        "cover-opened+10s",
        "pump-trip+1min",
        "cable-cut+1min",
    ] {
        simulator.fault(fault);
    }
    // when it is killed in the middle of a leak, with messages under way, and started again,
    let leak = |alarm: &Value| {
        alarm["device"] == "depot-2-panel" && alarm["rule"].as_str().unwrap().contains("/GAS-L2-")
    };
    any(&server, "a leak", &leak);
    server.kill();
    let server = setup.start();
    any(&server, "the leak is over", &|alarm| {
        leak(alarm) && alarm["state"] == "returned_unacknowledged"
    });
    any(&server, "a cover was opened and is closed", &|alarm| {
        alarm["rule"].as_str().unwrap().ends_with("/COVER-OPEN") && alarm["returned"].is_object()
    });
    drop(simulator);
    assert!(server.stop().success());
    // then two replays of the recording are the same to the byte, and say what the server said.
    let place = ["--config", config.to_str().unwrap()];
    let (recording, said) = Recording::of(&setup.data(), &place);
    assert_eq!((&said["starts"], &said["moved"]), (&json!(2), &json!(0)));
    let output = recording.replay();
    assert_eq!(output, recording.replay());
    let replay = is_same(&setup.data(), &output, 40);
    println!(
        "{} transitions and notices of {} readings",
        replay.len(),
        said["readings"]
    );
}
