//! A real VictoriaMetrics behind the program: it acknowledges from memory, and nothing is lost all the same. Two programs
//! feed one engine, and a third shows what both have sent.

use std::collections::BTreeMap;

use crate::support::engines::{Held, Victoria};
use crate::support::mqtt::Client;
use crate::support::program::{Server, Setup};
use crate::support::{ask, county, http, wait};

/// `tests:secret` in base 64, by coreutils' `base64`.
const BASIC: &str = "Authorization: Basic dGVzdHM6c2VjcmV0\r\n";

fn remote(victoria: &Victoria, more: &str) -> String {
    format!(
        "[remote]\nengine = \"victoriametrics\"\nurl = \"http://{}/vm\"\nuser = \"tests\"\npassword = \"secret\"\n\
         gather = \"50ms\"\n{more}\n",
        victoria.address
    )
}

fn station(id: &str) -> String {
    format!(
        "{}{}",
        county::HEAD,
        county::mqtt_device(id, "sewage-station-small")
    )
}

/// Publishes levels at these times, each acknowledged, and enters them into the account.
fn publish(server: &Server, device: &str, times: impl IntoIterator<Item = i64>, account: &mut Held) {
    let mut client = Client::connect(server.mqtt, device, "secret").unwrap();
    let topic = format!("tw/v1/{device}/telemetry");
    let mut in_flight = BTreeMap::new();
    let mut times = times.into_iter().peekable();
    while times.peek().is_some() || !in_flight.is_empty() {
        while in_flight.len() < 20
            && let Some(time) = times.next()
        {
            // Level within 0..=4 m is good; every 50th is out of range, and bad.
            let value = if time % 50 == 0 {
                9.5
            } else {
                f64::from(u32::try_from(time % 399).unwrap()) / 100.0
            };
            let payload = format!(r#"{{"ts":{time},"seq":{time},"values":{{"level":{value}}}}}"#);
            in_flight.insert(client.publish(&topic, payload.as_bytes()).unwrap(), (time, value));
        }
        let (time, value) = in_flight.remove(&client.read_puback().unwrap()).unwrap();
        let quality = if time % 50 == 0 {
            "bad_out_of_range"
        } else {
            "good"
        };
        account.insert(time, (value, quality.to_owned()));
    }
}

fn wait_for(victoria: &Victoria, device: &str, account: &Held) {
    let held = wait::until("the engine holds what was acknowledged", wait::LONG, || {
        let held = victoria.held(device, "level")?;
        if held.len() >= account.len() {
            Ok(held)
        } else {
            Err(format!("{} of {}", held.len(), account.len()))
        }
    });
    assert_eq!(&held, account);
}

fn wait_until_sent(server: &Server) {
    wait::until("the engine has acknowledged everything", wait::LONG, || {
        let behind = ask::metric(server.web, "remote_behind_messages");
        if behind < 0.5 {
            Ok(())
        } else {
            Err(behind.to_string())
        }
    });
}

#[test]
fn kills_of_an_engine_that_acknowledges_from_memory_lose_nothing_of_two_programs() {
    // Given an engine behind a path and a password, two programs that feed it, and one that reads,
    let mut victoria = Victoria::start(
        "/vm",
        BASIC,
        &[
            "-http.pathPrefix=/vm",
            "-httpAuth.username=tests",
            "-httpAuth.password=secret",
        ],
    );
    let devices = ["station-1", "station-2"];
    let setups = devices.map(|device| Setup::new(&station(device), &remote(&victoria, "")));
    let mut servers = setups.each_ref().map(Setup::start);
    let both = format!(
        "{}{}",
        station(devices[0]),
        county::mqtt_device(devices[1], "sewage-station-small")
    );
    let reading = Setup::new(&both, &remote(&victoria, "viewer = true"));
    let reader = reading.start();
    let base = ask::now() - 200_000;
    let mut accounts = [Held::new(), Held::new()];
    for round in 0..4i64 {
        // when the engine is killed right after it has acknowledged everything,
        for ((server, device), account) in servers.iter().zip(devices).zip(&mut accounts) {
            let start = base + round * 1000;
            publish(server, device, start..start + 150, account);
        }
        servers.iter().for_each(wait_until_sent);
        victoria.kill();
        // (in the third round one of the programs, too)
        if round == 2 {
            let [first, second] = servers;
            first.kill();
            servers = [setups[0].start(), second];
        }
        // and more comes while it is gone,
        for ((server, device), account) in servers.iter().zip(devices).zip(&mut accounts) {
            let start = base + round * 1000 + 500;
            publish(server, device, start..start + 50, account);
        }
        victoria.resume();
        // then it has all of it once, when it is back.
        for (device, account) in devices.iter().zip(&accounts) {
            wait_for(&victoria, device, account);
        }
    }
    assert!(ask::metric(servers[1].web, "remote_replays_total") >= 4.0);
    // The reader, which has nothing of its own, shows both.
    for (device, account) in devices.iter().zip(&accounts) {
        let shown = ask::all_points(reader.web, device, "level", base, base + 4000);
        let shown: Held = shown
            .into_iter()
            .map(|(time, value, quality)| (time, (value, quality)))
            .collect();
        assert_eq!(&shown, account);
        let newest = account.last_key_value().unwrap().1.0;
        wait::until("the viewer shows the newest value", wait::SOON, || {
            let shown = ask::latest_value(reader.web, device, "level");
            if (shown - newest).abs() < 1e-9 {
                Ok(())
            } else {
                Err(shown.to_string())
            }
        });
    }
    // It does not know their alarms, so nothing looks all clear there; and it does not call them silent.
    let sites = http::json(reader.web, "/api/v1/sites");
    let site = sites
        .as_array()
        .unwrap()
        .iter()
        .find(|site| site["id"] == "site-1");
    assert_eq!(site.unwrap()["state"], "no_data", "{sites}");
    let alarms = http::json(reader.web, "/api/v1/alarms?open=true");
    let of_devices = |alarm: &&serde_json::Value| alarm["device"] != "townwatch";
    assert_eq!(
        alarms.as_array().unwrap().iter().filter(of_devices).count(),
        0,
        "{alarms}"
    );
    // The journals keep what the engine may still lose.
    assert!(ask::metric(servers[1].web, "remote_held_messages") >= 800.0);
}
