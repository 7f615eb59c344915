//! F10 and F11: the disk is full, whoever filled it. Readings are refused; alarms, acknowledgements and audit go on.

use serde_json::json;

use super::probe::{Need, has};
use crate::support::disk::Disk;
use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::receiver::Receiver;
use crate::support::{ask, county, http, wait};

fn raised(rule: &'static str) -> impl Fn(&str) -> bool {
    move |body| body.contains(rule) && body.contains("alarm.raised")
}

#[test]
fn on_a_full_disk_readings_are_refused_and_alarms_are_raised_acknowledged_and_kept() {
    if !has("F10 and F11 disk full", Need::LoopMount) {
        return;
    }
    // Given a disk of 64 MiB and an open leak,
    let registry = format!(
        "{}{}",
        county::one_station(),
        county::mqtt_device("panel-1", "gas-detector-panel")
    );
    let receiver = Receiver::start();
    let setup = Setup::new(&registry, &receiver.configuration());
    let disk = Disk::new(&setup.data(), 64);
    let server = setup.start();
    let (station, panel) = ("tw/v1/station-1/telemetry", "tw/v1/panel-1/telemetry");
    let mut client = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    client
        .publish_acked(panel, br#"{"values":{"gas_01":60}}"#)
        .unwrap();
    let id = wait::until("the leak is an alarm", wait::SOON, || {
        let open = ask::alarms(server.web, true, "panel-1", "GAS-L2-01");
        open.first()
            .map(|alarm| alarm["id"].as_str().unwrap().to_owned())
            .ok_or_else(|| "none".to_owned())
    });
    // when somebody fills the disk to the last byte and readings come until one is refused,
    let ballast = setup.data().join("ballast");
    let filled = fill(&ballast);
    println!("F10: {filled} bytes of somebody else's");
    let start = ask::now() - 300_000;
    let filler = "x".repeat(20_000);
    let mut acknowledged = Vec::new();
    let mut sender = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    for ts in start..start + 5_000 {
        let payload = format!(r#"{{"ts":{ts},"seq":{ts},"note":"{filler}","values":{{"flow":1.5}}}}"#);
        if sender.publish_acked(station, payload.as_bytes()).is_err() {
            break;
        }
        acknowledged.push(ts);
    }
    assert!(acknowledged.len() < 5_000, "the disk is not full");
    assert_eq!(http::get(server.web, "/readyz").unwrap().status, 503);
    // then a person's acknowledgement is kept, and the server says what is wrong with it,
    let taken = http::post(
        server.web,
        &format!("/api/v1/alarms/{id}/ack"),
        &json!({"by": "Li", "remark": "seen"}),
    );
    assert_eq!(taken.unwrap().status, 200);
    wait::until("the full disk is told", wait::SOON, || {
        let told = receiver.keys(|body| raised("SRV-REFUSING")(body) || raised("SRV-RESERVE")(body));
        if told.is_empty() {
            Err(format!("{:?}", receiver.bodies()))
        } else {
            Ok(())
        }
    });
    // a new leak is told although its reading is refused, and can be acknowledged, too,
    let mut client = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    let refused = client.publish_acked(panel, br#"{"values":{"gas_02":60}}"#);
    assert!(refused.is_err(), "acknowledged on a full disk");
    let second = wait::until("the new leak is told", wait::SOON, || {
        let open = ask::alarms(server.web, true, "panel-1", "GAS-L2-02");
        let told = receiver.keys(raised("GAS-L2-02"));
        let alarm = open.first().filter(|_| !told.is_empty()).ok_or("not yet")?;
        Ok(alarm["id"].as_str().unwrap().to_owned())
    });
    let path = format!("/api/v1/alarms/{second}/ack");
    assert_eq!(
        http::post(server.web, &path, &json!({"by": "Wang", "remark": "seen"}))
            .unwrap()
            .status,
        200
    );
    // and questions are answered, with whole readings only.
    let found = ask::points(server.web, "station-1", "flow", start, ask::now());
    assert!(
        found.iter().all(|(_, value, _)| (value - 1.5).abs() < 1e-9),
        "{found:?}"
    );
    // When there is room again it goes on by itself,
    std::fs::remove_file(&ballast).unwrap();
    let later = start + 100_000;
    wait::until("it acknowledges again", wait::LONG, || {
        let mut sender = Client::connect(server.mqtt, "station-1", "secret")?;
        sender.publish_acked(
            station,
            format!(r#"{{"ts":{later},"values":{{"flow":1.5}}}}"#).as_bytes(),
        )
    });
    wait::until("it is ready and its own alarms are over", wait::LONG, || {
        let ready = http::get(server.web, "/readyz")?;
        let open = http::json(server.web, "/api/v1/alarms?open=true");
        let own = |alarm: &&serde_json::Value| {
            alarm["device"] == "townwatch" && alarm["state"] != "returned_unacknowledged"
        };
        let own = open.as_array().unwrap().iter().filter(own).count();
        if ready.status == 200 && own == 0 {
            Ok(())
        } else {
            Err(format!("{} {open}", ready.body))
        }
    });
    // and after a restart everything that was acknowledged, by the server or by a person, is there.
    assert!(server.stop().success());
    let server = setup.start();
    for (rule, by) in [("GAS-L2-01", "Li"), ("GAS-L2-02", "Wang")] {
        let alarms = ask::alarms(server.web, false, "panel-1", rule);
        assert_eq!(alarms.len(), 1, "{alarms:?}");
        assert_eq!(alarms[0]["acknowledged"]["by"], by, "{alarms:?}");
    }
    acknowledged.push(later);
    wait::until("all is stored", wait::LONG, || {
        let found = ask::points(server.web, "station-1", "flow", start, later + 1);
        let found: std::collections::BTreeSet<i64> = found.iter().map(|(ms, ..)| *ms).collect();
        let lost = acknowledged.iter().filter(|ts| !found.contains(ts)).count();
        if lost == 0 {
            Ok(())
        } else {
            Err(format!("{lost} of {}", acknowledged.len()))
        }
    });
    assert!(server.stop().success());
    drop(disk);
}

/// Writes until nothing more fits; how many bytes that were.
fn fill(file: &std::path::Path) -> u64 {
    use std::io::Write as _;
    let mut ballast = std::fs::File::create(file).unwrap();
    let mut filled = 0;
    for block in [1 << 20, 4096, 512] {
        let block = vec![0xA5u8; block];
        while ballast
            .write_all(&block)
            .and_then(|()| ballast.sync_data())
            .is_ok()
        {
            filled += block.len() as u64;
        }
    }
    filled
}
