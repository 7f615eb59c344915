//! F03: the power goes. What was acknowledged, readings and acknowledgements of alarms, is there afterwards.
//! `TOWNWATCH_POWER_CUTS` sets how often; default 5.

use std::time::Duration;

use serde_json::json;

use super::ledger::Load;
use super::probe::{Need, has};
use crate::support::disk::Disk;
use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::receiver::Receiver;
use crate::support::{ask, county, http, random, rounds, wait};

const SEED: u64 = 20_261_124;

/// A leak that is reported and acknowledged by a person; the id of its alarm.
fn leak(server: &crate::support::program::Server, panel: &str) -> Result<String, String> {
    let mut client = Client::connect(server.mqtt, panel, "secret")?;
    client.publish_acked(
        &format!("tw/v1/{panel}/telemetry"),
        br#"{"values":{"gas_01":60}}"#,
    )?;
    let id = wait::until("the leak is an alarm", wait::LONG, || {
        let open = ask::alarms(server.web, true, panel, "GAS-L2-01");
        let alarm = open.first().ok_or("none")?;
        Ok(alarm["id"].as_str().unwrap().to_owned())
    });
    let path = format!("/api/v1/alarms/{id}/ack");
    let taken = http::post(server.web, &path, &json!({"by": "Li", "remark": "seen"}))?;
    if taken.status == 200 {
        Ok(id)
    } else {
        Err(format!("{taken:?}"))
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    if !has("F03 power cut", Need::LoopMount) {
        return;
    }
    // Given a data folder on a disk of its own, stations under load, and a gas panel for each round,
    let rounds = rounds("TOWNWATCH_POWER_CUTS", 5);
    println!("F03: seed {SEED}, {rounds} power cuts");
    let load = Load::new("f03");
    let panels: Vec<String> = (0..rounds).map(|round| format!("f03-panel-{round}")).collect();
    let registry: String = panels
        .iter()
        .map(|id| county::mqtt_device(id, "gas-detector-panel"))
        .collect();
    let receiver = Receiver::start();
    let setup = Setup::new(
        &format!("{}{registry}", load.registry()),
        &receiver.configuration(),
    );
    let disk = Disk::new(&setup.data(), 256);
    let mut state = SEED;
    let mut acknowledged = Vec::new();
    // when the power is cut again and again, at random moments of load, each time after an alarm was acknowledged,
    for panel in &panels {
        let server = setup.start();
        // What the last cut left is all that was acknowledged before it.
        load.check(server.web);
        let address = server.mqtt;
        let mut cut_at = 0;
        load.run(address, || {
            acknowledged.push(leak(&server, panel).unwrap());
            std::thread::park_timeout(Duration::from_millis(random(&mut state) % 500));
            let cut = disk.cut_power();
            server.kill();
            cut_at = cut;
        });
        load.forget_since(cut_at);
        disk.power_on();
    }
    // then every acknowledged reading and every acknowledgement is there.
    let server = setup.start();
    load.check(server.web);
    for (id, panel) in acknowledged.iter().zip(&panels) {
        let alarm = ask::alarms(server.web, false, panel, "GAS-L2-01");
        assert_eq!(alarm.len(), 1, "{alarm:?}");
        assert_eq!(alarm[0]["id"].as_str(), Some(id.as_str()));
        assert_eq!(alarm[0]["acknowledged"]["by"], "Li", "{alarm:?}");
    }
    println!(
        "F03: {} readings and {} acknowledgements over {rounds} power cuts",
        load.acknowledged(),
        acknowledged.len()
    );
    assert!(server.stop().success());
}
