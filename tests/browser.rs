//! The page in a real browser: Debian's Chromium, driven by tests/peers/browser.py.

use std::process::Command;

use crate::support::mqtt::Client;
use crate::support::peers;
use crate::support::program::Setup;
use crate::support::{county, wait};

#[test]
fn chromium_sees_the_map_follows_an_alarm_live_and_acknowledges_it() {
    // Given a county of a station and a gas depot, and Chromium on its page, waiting for an alarm,
    let depot = "\n[[site]]\nid = \"depot\"\nkind = \"lpg_depot\"\nname = { zh = \"储配站\", en = \"Depot\" }\n\
                 organisation = \"operator\"\ntown = \"Shangcun\"\nposition = { latitude = 27.6, longitude = 119.8 }\n\
                 attributes = { people_within_500m = 120 }\n";
    let panel = county::mqtt_device("panel-1", "gas-detector-panel").replace("site-1", "depot");
    let setup = Setup::new(&[&county::one_station(), depot, &panel].concat(), "");
    let server = setup.start();
    let shots = setup.path().join("shots");
    std::fs::create_dir_all(&shots).unwrap();
    let mut browser = Command::new(peers::python())
        .arg(peers::script("browser.py"))
        .arg(format!("http://{}/", server.web))
        .arg("2")
        .arg(&shots)
        .spawn()
        .map(peers::Peer)
        .unwrap();
    wait::until("the browser sees the map", wait::LONG, || {
        if shots.join("ready").exists() {
            Ok(())
        } else {
            Err(format!("{:?}", browser.0.try_wait()))
        }
    });
    // when gas is reported,
    let mut client = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    client
        .publish_acked("tw/v1/panel-1/telemetry", br#"{"values":{"gas_03":60}}"#)
        .unwrap();
    // then the script sees it come without a reload, acknowledges it, and sees it acknowledged.
    let status = wait::until("the browser has done its part", wait::LONG, || {
        match browser.0.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        }
    });
    assert!(status.success(), "tests/peers/browser.py failed: {status}");
    let open = crate::support::ask::alarms(server.web, true, "panel-1", "GAS-L2-03");
    assert_eq!(open[0]["state"], "acknowledged", "{open:?}");
    for name in ["page-zh.png", "page-en.png", "site-zh.png"] {
        assert!(
            std::fs::metadata(shots.join(name)).is_ok_and(|file| file.len() > 10_000),
            "{name} is no picture"
        );
    }
}

#[test]
fn chromium_sees_cases_come_and_change_and_what_is_being_typed_stays() {
    // Given a county, and Chromium on its list of cases,
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    // when a case is filed and moved on over the API, then the pages follow: the script says where they do not.
    let status = Command::new(peers::python())
        .arg(peers::script("browser.py"))
        .arg("--cases")
        .arg(format!("http://{}/", server.web))
        .arg("site-1")
        .arg(setup.path())
        .status()
        .unwrap();
    assert!(
        status.success(),
        "tests/peers/browser.py --cases failed: {status}"
    );
}
