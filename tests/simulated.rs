//! The simulated county against the server, as an engineer's CI drives it: `simulate` and `serve` as two
//! processes, faults on request, alarms as the answer.

use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use crate::support::program::{Server, Simulator};
use crate::support::{http, wait};

/// Open alarms by rule, e.g. `GAS-L2-03`.
fn open_rules(web: SocketAddr) -> Vec<String> {
    let answer = http::json(web, "/api/v1/alarms?open=true");
    let rule = |alarm: &Value| Some(alarm["rule"].as_str()?.split_once('/')?.1.to_owned());
    answer.as_array().unwrap().iter().filter_map(rule).collect()
}

#[test]
fn a_fault_asked_of_the_simulator_becomes_an_alarm() {
    // Given the small county, calm, and a server that knows its registry,
    let folder = tempfile::tempdir().unwrap();
    let mqtt = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut simulator = Simulator::start(mqtt, &folder.path().join("county.json"), &["--seed", "5"]);
    let config = format!(
        "[data]\nfolder = \"data\"\n[registry]\nfile = \"county.json\"\n[mqtt]\nlisten = \"{mqtt}\"\n[web]\nlisten = \"127.0.0.1:0\"\n"
    );
    std::fs::write(folder.path().join("townwatch.toml"), config).unwrap();
    let server = Server::serve(folder.path());
    wait::until("all gas panels are polled", wait::LONG, || {
        let panels =
            (1..=4).map(|n| http::get(server.web, &format!("/api/v1/devices/depot-{n}-panel/latest")));
        let heard = panels
            .filter(|answer| answer.as_ref().is_ok_and(|answer| answer.body.contains("gas_01")))
            .count();
        if heard == 4 {
            Ok(())
        } else {
            Err(format!("{heard} of 4"))
        }
    });
    assert!(
        open_rules(server.web)
            .iter()
            .all(|rule| !rule.starts_with("GAS-L")),
        "{:?}",
        open_rules(server.web)
    );
    // when a gas leak and an opened cover are asked for,
    simulator.fault("gas-leak:depot-2-panel+5min");
    simulator.fault("cover-opened+5min");
    // then the leak is found by polling, the cover reports by itself, and both are alarms.
    wait::until("both are alarms", wait::LONG, || {
        let rules = open_rules(server.web);
        let leak = rules.iter().any(|rule| rule.starts_with("GAS-L2-"));
        let cover = rules.iter().any(|rule| rule == "COVER-OPEN");
        if leak && cover {
            Ok(())
        } else {
            Err(format!("{rules:?}"))
        }
    });
    assert!(server.stop().success());
}
