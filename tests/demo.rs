//! The first command of the README: a whole county from nothing.

use crate::support::program::Server;
use crate::support::{ask, http, wait};

#[test]
fn the_demo_shows_a_county_with_its_last_seven_days_and_goes_on_with_the_old_data() {
    // Given the demo's first start in an empty folder,
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::demo(&data, &["--seed", "7"]);
    // then the page is there from the first second,
    let page = http::get(server.web, "/").unwrap();
    assert_eq!(page.status, 200);
    // and all of the history within the deadline of this test (benches measure the time).
    wait::until("the history is complete", 3 * wait::LONG, || {
        match server.line(std::time::Duration::from_secs(1)) {
            Some(line) if line.contains("history complete") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    // The county of the issue: 24 stations, 4 depots, 80 covers, 6 loops with 400 lamps,
    let sites = http::json(server.web, "/api/v1/sites");
    let sites = sites.get("sites").unwrap_or(&sites).as_array().unwrap().clone();
    let count = |kind: &str| sites.iter().filter(|site| site["kind"] == kind).count();
    assert_eq!(
        [
            count("sewage_station"),
            count("lpg_depot"),
            count("manhole_cover"),
            count("lighting_loop")
        ],
        [24, 4, 80, 6]
    );
    let devices = http::json(server.web, "/api/v1/devices");
    let devices = devices
        .get("devices")
        .unwrap_or(&devices)
        .as_array()
        .unwrap()
        .clone();
    let lamps = devices
        .iter()
        .filter(|device| device["profile"] == "street-lamp")
        .count();
    assert_eq!(lamps, 400);
    // every figure has a value,
    for name in [
        "sewage_om_coverage",
        "sewage_volume",
        "sewage_cod_reduction",
        "sewage_nh3n_reduction",
        "lighting_rate",
    ] {
        wait::until(&format!("{name} has a value"), wait::LONG, || {
            let figure = http::json(server.web, &format!("/api/v1/figures/{name}"));
            if figure["value"].is_number() {
                Ok(())
            } else {
                Err(figure.to_string())
            }
        });
    }
    // and a Modbus unit has its seven days.
    let unit = devices
        .iter()
        .find(|device| device["profile"] == "lpg-tank")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let now = ask::now();
    let week = 7 * 86_400_000;
    let before = ask::points(server.web, &unit, "level", now - week, now);
    assert!(before.len() > 1000, "{unit} has {} points", before.len());
    assert!(
        before[0].0 < now - week + 2 * 3_600_000,
        "{unit} begins at {}",
        before[0].0
    );
    // when it is stopped and started again, then the old data is there and no history is sent again.
    assert!(server.stop().success());
    let server = Server::demo(&data, &["--seed", "7"]);
    let after = ask::points(server.web, &unit, "level", now - week, now);
    assert!(
        after.len() >= before.len(),
        "{} points before, {} after",
        before.len(),
        after.len()
    );
    let first_before = before[0].0;
    assert!(after.iter().any(|(ms, ..)| *ms == first_before));
    assert!(server.stop().success());
}
