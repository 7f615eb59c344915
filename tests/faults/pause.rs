//! F17: the whole program stands still for longer than a device may be silent. Nobody is called silent who spoke, and delays
//! went on meanwhile.

use std::process::Command;

use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::{ask, county, http, wait};

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args([name, &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn after_a_pause_of_the_program_no_device_that_speaks_is_called_silent() {
    // Given twenty devices that may be silent for three seconds, each of which speaks every half second,
    let profile = include_str!("../../telemetry/profiles/sewage-station-small.toml")
        .replace("kind = \"sewage-station-small\"", "kind = \"chatty\"")
        .replace("after = \"45min\"", "after = \"3s\"");
    let devices: Vec<String> = (0..20).map(|place| format!("station-{place}")).collect();
    let registry: String = devices
        .iter()
        .map(|id| county::mqtt_device(id, "chatty"))
        .collect();
    // and a gas panel, whose alarms clear when the gas has been gone for 10 s,
    let registry = registry + &county::mqtt_device("panel-1", "gas-detector-panel");
    let setup = Setup::new(
        &format!("{}{registry}", county::HEAD),
        "[alarms]\ngrace = \"10s\"\n",
    );
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
    let mut clients: Vec<(Client, String)> = devices
        .iter()
        .map(|id| {
            let client = Client::connect(server.mqtt, id, "secret").unwrap();
            (client, format!("tw/v1/{id}/telemetry"))
        })
        .collect();
    let speak = |clients: &mut Vec<(Client, String)>| {
        for (client, topic) in clients {
            client.publish_acked(topic, br#"{"values":{"level":1}}"#).unwrap();
        }
    };
    let silent = || {
        let open = http::json(server.web, "/api/v1/alarms?open=true");
        let all = open.as_array().unwrap().clone();
        all.into_iter().filter(|alarm| alarm["silence"] == true).count()
    };
    // beyond the grace of the start,
    let ready = ask::now() + 11_000;
    while ask::now() < ready {
        speak(&mut clients);
        std::thread::park_timeout(std::time::Duration::from_millis(500));
    }
    assert_eq!(silent(), 0);
    let mut panel = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    let topic = "tw/v1/panel-1/telemetry";
    panel
        .publish_acked(topic, br#"{"values":{"gas_01":60}}"#)
        .unwrap();
    let gas = || {
        ask::alarms(server.web, false, "panel-1", "GAS-L1-01")
            .first()
            .cloned()
    };
    wait::until("gas is an alarm", wait::SOON, || {
        gas().ok_or("none").map_err(str::to_owned)
    });
    speak(&mut clients);
    let gone = ask::now();
    // (that there is gas elsewhere in the same message shows when it is judged)
    panel
        .publish_acked(topic, br#"{"values":{"gas_01":1,"gas_02":60}}"#)
        .unwrap();
    wait::until("the message is judged", wait::SOON, || {
        let elsewhere = ask::alarms(server.web, true, "panel-1", "GAS-L1-02");
        elsewhere.first().map(|_| ()).ok_or_else(|| "none".to_owned())
    });
    // when the program stands still for thirty seconds,
    signal(server.pid(), "-STOP");
    std::thread::park_timeout(std::time::Duration::from_secs(30));
    signal(server.pid(), "-CONT");
    let goes_on = ask::now();
    // then none of them is an alarm, neither at once nor when they have spoken again,
    assert_eq!(silent(), 0);
    speak(&mut clients);
    assert_eq!(silent(), 0);
    let all = http::json(server.web, "/api/v1/alarms");
    let storm = all
        .as_array()
        .unwrap()
        .iter()
        .filter(|alarm| alarm["silence"] == true)
        .count();
    assert_eq!(storm, 0, "{all}");
    // the delay of the gas alarm has run through the pause by a clock that did not stop: it ended 10 s after the gas had gone,
    let returned = wait::until("gas has returned", wait::SOON, || {
        let alarm = gas().unwrap();
        alarm["returned"]["ms"].as_i64().ok_or_else(|| alarm.to_string())
    });
    println!("F17: returned {} ms after the gas had gone", returned - gone);
    assert!(
        (10_000..12_000).contains(&(returned - gone)),
        "{} ms",
        returned - gone
    );
    assert!(returned < goes_on, "the delay began anew after the pause");
    // but those that then say nothing are found out after the grace.
    wait::until("silence is an alarm", wait::LONG, || {
        let count = silent();
        if count == devices.len() {
            Ok(())
        } else {
            Err(count.to_string())
        }
    });
}
