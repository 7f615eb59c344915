//! A real VictoriaMetrics behind the program: it acknowledges from memory, and nothing is lost all the same. Two programs
//! feed one engine, and a third shows what both have sent.

use crate::support::engines::{Held, Victoria, publish_levels};
use crate::support::front::Front;
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

fn publish(server: &Server, device: &str, times: impl IntoIterator<Item = i64>, account: &mut Held) {
    publish_levels(server, device, times, account, ("good", "bad_out_of_range"));
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

#[test]
fn a_tenant_of_a_cluster_has_its_own_paths_for_writing_and_reading_and_a_token() {
    // Given an engine that is reached as a cluster is: one address and path to write to, another one to read from, by
    // tenant, for those who have a token,
    let victoria = Victoria::start("", "", &[]);
    let insert = Front::start(
        victoria.address,
        "right",
        &[("/insert/3:7/influx/api/v2/write", "/api/v2/write")],
    );
    let select = Front::start(
        victoria.address,
        "right",
        &[("/select/3:7/prometheus/api/v1/", "/api/v1/")],
    );
    let configured = |token: &str| {
        format!(
            "[remote]\nengine = \"victoriametrics\"\nurl = \"http://{}\"\nquery_url = \"http://{}/\"\ntenant = \"3:7\"\n\
             token = \"{token}\"\ngather = \"50ms\"\nread = true\n",
            insert.address, select.address
        )
    };
    let watched = |token: &str| {
        let page = format!("watch = [\"http://{}/metrics\"]\n", victoria.address);
        configured(token) + &page
    };
    // when a program has a wrong one at first,
    let setup = Setup::new(&station("station-1"), &configured("wrong"));
    let server = setup.start();
    let base = ask::now() - 200_000;
    let mut account = Held::new();
    publish(&server, "station-1", base..base + 100, &mut account);
    wait::until("it is not let in", wait::SOON, || {
        let retried = ask::metric(server.web, "remote_retried_total");
        if retried > 1.0 && ask::metric(server.web, "remote_up") < 0.5 {
            Ok(())
        } else {
            Err(retried.to_string())
        }
    });
    server.kill();
    // and the right one later,
    setup.configure(&watched("right"));
    let server = setup.start();
    wait_for(&victoria, "station-1", &account);
    wait_until_sent(&server);
    // then all is there, and a program that has nothing of its own reads it.
    let reading = Setup::new(&station("station-1"), &watched("right"));
    let reader = reading.start();
    let shown = ask::all_points(reader.web, "station-1", "level", base, base + 100);
    let shown: Held = shown
        .into_iter()
        .map(|(time, value, quality)| (time, (value, quality)))
        .collect();
    assert_eq!(shown, account);
    let newest = account.last_key_value().unwrap().1.0;
    wait::until("the newest value is shown", wait::SOON, || {
        let shown = ask::latest_value(reader.web, "station-1", "level");
        if (shown - newest).abs() < 1e-9 {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    });
    assert_eq!(insert.asked(), ["/insert/3:7/influx/api/v2/write"]);
    assert_eq!(
        select.asked(),
        [
            "/select/3:7/prometheus/api/v1/export",
            "/select/3:7/prometheus/api/v1/query"
        ]
    );
}
