//! An alarm's life over the whole path: raised by a device, seen on the live feed, told to a receiver,
//! acknowledged, returned; and silence.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::receiver::Receiver;
use crate::support::{ask, county, http, wait};

#[test]
fn a_gas_alarm_is_raised_told_seen_acknowledged_and_returned() {
    // Given a gas panel, a receiver of notices and a listener to the live feed,
    let registry = format!(
        "{}{}",
        county::one_station(),
        county::mqtt_device("panel-1", "gas-detector-panel")
    );
    let receiver = Receiver::start();
    let hook = receiver.configuration();
    let setup = Setup::new(&registry, &hook);
    let server = setup.start();
    let mut live = TcpStream::connect(server.web).unwrap();
    live.set_read_timeout(Some(wait::LONG)).unwrap();
    write!(
        live,
        "GET /api/v1/live HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n",
        server.web
    )
    .unwrap();
    let mut live = BufReader::new(live).lines().map_while(Result::ok);
    assert!(live.next().unwrap().contains("200"));
    // when 30 %LEL are reported,
    let mut client = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    let topic = "tw/v1/panel-1/telemetry";
    let start = ask::now() - 30_000;
    client
        .publish_acked(
            topic,
            format!(r#"{{"ts":{start},"values":{{"gas_01":30}}}}"#).as_bytes(),
        )
        .unwrap();
    // then the level 1 alarm stands open and unacknowledged, is on the live feed, and was told with a key.
    let alarm = wait::until("the alarm is open", wait::SOON, || {
        let open = ask::alarms(server.web, true, "panel-1", "GAS-L1-01");
        open.first()
            .cloned()
            .ok_or_else(|| http::get(server.web, "/api/v1/alarms").unwrap().body)
    });
    assert_eq!(alarm["state"], "unacknowledged", "{alarm}");
    assert_eq!(alarm["value"].as_f64(), Some(30.0), "{alarm}");
    assert!(
        live.any(|line| line.starts_with("data:") && line.contains("GAS-L1-01")),
        "not on the live feed"
    );
    let keys = wait::until("the notice arrives", wait::SOON, || {
        let keys = receiver.keys(|body| body.contains("GAS-L1-01"));
        if keys.is_empty() {
            Err(format!("{:?}", receiver.bodies()))
        } else {
            Ok(keys)
        }
    });
    assert_eq!(keys.len(), 1);
    // An acknowledgement without a remark is refused; with name and remark it is kept.
    let id = alarm["id"]
        .as_str()
        .unwrap()
        .replace('#', "%23")
        .replace('/', "%2F");
    let path = format!("/api/v1/alarms/{id}/ack");
    let refused = http::post(server.web, &path, &json!({"by": "Li"})).unwrap();
    assert!((400..500).contains(&refused.status), "{refused:?}");
    assert!(refused.head.contains("application/problem+json"), "{refused:?}");
    let taken = http::post(server.web, &path, &json!({"by": "Li", "remark": "on my way"})).unwrap();
    assert!((200..300).contains(&taken.status), "{taken:?}");
    let alarm = &ask::alarms(server.web, true, "panel-1", "GAS-L1-01")[0];
    assert_eq!(alarm["state"], "acknowledged", "{alarm}");
    assert_eq!(alarm["acknowledged"]["by"], "Li", "{alarm}");
    assert_eq!(alarm["acknowledged"]["remark"], "on my way", "{alarm}");
    // when the gas is gone for the off-delay of 10 s, then nothing is open any more.
    for (offset, value) in [(10_000, 2.0), (21_000, 1.0)] {
        let payload = format!(r#"{{"ts":{},"values":{{"gas_01":{value}}}}}"#, start + offset);
        client.publish_acked(topic, payload.as_bytes()).unwrap();
    }
    wait::until("the alarm has returned", wait::SOON, || {
        let open = ask::alarms(server.web, true, "panel-1", "GAS-L1-01");
        if open.is_empty() {
            Ok(())
        } else {
            Err(format!("{open:?}"))
        }
    });
    assert!(server.stop().success());
}

#[test]
fn back_fill_pages_nobody() {
    let registry = format!(
        "{}{}",
        county::one_station(),
        county::mqtt_device("panel-1", "gas-detector-panel")
    );
    let receiver = Receiver::start();
    let hook = receiver.configuration();
    let setup = Setup::new(&registry, &hook);
    let server = setup.start();
    let mut client = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    // Given yesterday's leak, reported today as back-fill, and then a normal live value,
    let yesterday = ask::now() - 86_400_000;
    for (ts, value, backfill) in [
        (yesterday, 60.0, true),
        (yesterday + 60_000, 1.0, true),
        (ask::now(), 1.0, false),
    ] {
        let payload = format!(r#"{{"ts":{ts},"backfill":{backfill},"values":{{"gas_01":{value}}}}}"#);
        client
            .publish_acked("tw/v1/panel-1/telemetry", payload.as_bytes())
            .unwrap();
    }
    // when a real leak follows and was told, then the leak of yesterday was told to nobody.
    let payload = br#"{"values":{"gas_02":60}}"#;
    client.publish_acked("tw/v1/panel-1/telemetry", payload).unwrap();
    wait::until("the real leak is told", wait::SOON, || {
        let keys = receiver.keys(|body| body.contains("GAS-L2-02"));
        if keys.is_empty() {
            Err(format!("{:?}", receiver.bodies()))
        } else {
            Ok(())
        }
    });
    assert!(
        receiver
            .keys(|body| body.contains("GAS-L1-01") || body.contains("GAS-L2-01"))
            .is_empty(),
        "{:?}",
        receiver.bodies()
    );
}

#[test]
fn silence_is_raised_by_the_clock_and_survives_a_restart() {
    // Given a profile that may be silent for two seconds, and a device that spoke once,
    let profile = include_str!("../telemetry/profiles/sewage-station-small.toml")
        .replace("kind = \"sewage-station-small\"", "kind = \"chatty\"")
        .replace("after = \"45min\"", "after = \"2s\"");
    let registry = format!("{}{}", county::HEAD, county::mqtt_device("station-1", "chatty"));
    let setup = Setup::new(&registry, "[alarms]\ngrace = \"1s\"\n");
    let folder = setup.path().join("profiles");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("chatty.toml"), profile).unwrap();
    let config = setup.path().join("townwatch.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("[registry]\n", "[registry]\nprofiles = \"profiles\"\n"),
    )
    .unwrap();
    let server = setup.start();
    let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    client
        .publish_acked("tw/v1/station-1/telemetry", br#"{"values":{"level":1}}"#)
        .unwrap();
    // when nothing more comes, then its silence is an alarm,
    let open = |web| {
        wait::until("silence is an alarm", wait::SOON, || {
            let open = ask::alarms(web, true, "station-1", "SW-OFFLINE");
            open.first().cloned().ok_or_else(|| "none".to_owned())
        })
    };
    let before = open(server.web);
    // and the same alarm after a restart.
    server.kill();
    let server = setup.start();
    assert_eq!(open(server.web)["id"], before["id"]);
    // It ends when the device speaks again.
    let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    client
        .publish_acked("tw/v1/station-1/telemetry", br#"{"values":{"level":1}}"#)
        .unwrap();
    wait::until("the station is back", wait::SOON, || {
        let open = ask::alarms(server.web, true, "station-1", "SW-OFFLINE");
        match open.first() {
            None => Ok(()),
            Some(alarm) if alarm["state"] == "returned_unacknowledged" => Ok(()),
            Some(alarm) => Err(alarm.to_string()),
        }
    });
}
