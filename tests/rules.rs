//! The county's own rules: tried before they are in force, in force without a restart, and refused with file and line.

use std::fs;

use serde_json::Value;

use crate::support::mqtt::Client;
use crate::support::program::{self, Setup};
use crate::support::{ask, county, http, wait};

const RULES: &str = "[alarms]\nrules = \"rules.toml\"\n";

fn panel() -> String {
    format!(
        "{}{}",
        county::one_station(),
        county::mqtt_device("panel-1", "gas-detector-panel")
    )
}

fn limit(rules: &Value, id: &str) -> Option<f64> {
    let rules = rules["rules"].as_array()?;
    rules.iter().find(|rule| rule["id"] == id)?["limit"].as_f64()
}

#[test]
fn a_sites_own_limit_comes_into_force_on_a_signal_and_raises_by_the_last_value() {
    // Given a server with a rule book that changes nothing, and 12 %LEL, below the profile's limit of 20,
    let setup = Setup::new(&panel(), RULES);
    let book = setup.path().join("rules.toml");
    fs::write(&book, "version = \"one\"\n").unwrap();
    let server = setup.start();
    let mut client = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    let payload = format!(r#"{{"ts":{},"values":{{"gas_01":12}}}}"#, ask::now());
    client
        .publish_acked("tw/v1/panel-1/telemetry", payload.as_bytes())
        .unwrap();
    wait::until("the value is judged", wait::SOON, || {
        let latest = http::json(server.web, "/api/v1/devices/panel-1/latest");
        if latest["values"]["gas_01"]["value"].as_f64() == Some(12.0) {
            Ok(())
        } else {
            Err(latest.to_string())
        }
    });
    let rules = http::json(server.web, "/api/v1/rules?device=panel-1");
    assert_eq!(limit(&rules, "panel-1/GAS-L1-01"), Some(20.0), "{rules}");
    // when a stricter limit is written into it, and the server is told to read it,
    fs::write(
        &book,
        "version = \"two\"\n[[override]]\nrule = \"GAS-L1-*\"\ndevice = \"panel-1\"\nlimit = 10\nreason = \"hot work\"\n",
    )
    .unwrap();
    server.signal("-HUP");
    // then it is in force, with its reason, the audit says so, and the value of before is an alarm.
    let rules = wait::until("the rules are in force", wait::SOON, || {
        let rules = http::json(server.web, "/api/v1/rules?device=panel-1");
        if rules["book"] == "two" {
            Ok(rules)
        } else {
            Err(rules.to_string())
        }
    });
    assert_eq!(limit(&rules, "panel-1/GAS-L1-01"), Some(10.0), "{rules}");
    let changed = (rules["rules"].as_array().unwrap().iter())
        .find(|rule| rule["id"] == "panel-1/GAS-L1-01")
        .unwrap();
    assert!(
        changed["changed"]
            .as_str()
            .unwrap()
            .ends_with("rules.toml:2: hot work"),
        "{changed}"
    );
    wait::until("the alarm is open", wait::SOON, || {
        let open = ask::alarms(server.web, true, "panel-1", "GAS-L1-01");
        open.first().cloned().ok_or_else(|| format!("{open:?}"))
    });
    let audit = http::json(server.web, "/api/v1/audit");
    let row = (audit.as_array().unwrap().iter())
        .find(|row| row["what"] == "rules in force" && row["by"] == "SIGHUP");
    assert!(row.is_some_and(|row| row["subject"] == "two"), "{audit}");
    // A book that cannot be leaves them as they are.
    fs::write(
        &book,
        "version = \"three\"\n[[override]]\nrule = \"NONE\"\nlimit = 1\nreason = \"x\"\n",
    )
    .unwrap();
    server.signal("-HUP");
    let (code, _, told) = program::call(&["check", setup.path().join("townwatch.toml").to_str().unwrap()]);
    assert_eq!(code, 3, "{told}");
    assert_eq!(
        http::json(server.web, "/api/v1/rules?device=panel-1")["book"],
        "two"
    );
    assert!(server.stop().success());
}

#[test]
fn check_tries_the_rules_of_every_day_and_names_file_and_line() {
    let setup = Setup::new(&panel(), RULES);
    let file = setup.path().join("townwatch.toml");
    let check = |book: &str| {
        fs::write(setup.path().join("rules.toml"), book).unwrap();
        let (code, out, told) = program::call(&["check", file.to_str().unwrap()]);
        (code, format!("{out}{told}"))
    };
    assert_eq!(check("").0, 0);
    // A gas alarm is weakened by two persons only, also one of a day that has not come.
    let weaker = "\n[[override]]\nrule = \"GAS-L2-01\"\nfrom = \"2099-01-01\"\nlimit = 60\nreason = \"false alarms\"\n";
    let (code, told) = check(weaker);
    assert_eq!(code, 3, "{told}");
    assert!(
        told.contains("rules.toml:2:1: ") && told.contains("2 persons"),
        "{told}"
    );
    let (code, told) = check(&format!("{weaker}approved_by = [\"Li\", \"Wang\"]\n"));
    assert_eq!(code, 0, "{told}");
    let (code, told) = check("[[override]]\nrule = \"GAS-L1-01\"\nlimt = 10\nreason = \"x\"\n");
    assert_eq!(code, 3, "{told}");
    assert!(
        told.contains("rules.toml:3:1: ") && told.contains("limt"),
        "{told}"
    );
}
