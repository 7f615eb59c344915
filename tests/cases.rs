//! A case over the whole path: filed for a gas alarm, not lost and not doubled by a crash, verified when telemetry is
//! normal again and a person says so, closed, and counted.

use serde_json::json;

use crate::support::mqtt::Client;
use crate::support::program::{Server, Setup};
use crate::support::{ask, county, http, wait};

const TOPIC: &str = "tw/v1/panel-1/telemetry";

fn report(client: &mut Client, ts: i64, gas: f64) {
    let payload = format!(r#"{{"ts":{ts},"values":{{"gas_01":{gas}}}}}"#);
    client.publish_acked(TOPIC, payload.as_bytes()).unwrap();
}

/// What the case answers to an action.
fn act(server: &Server, action: &str) -> http::Answer {
    let body = json!({"by": "Li", "remark": "done"});
    http::post(server.web, &format!("/api/v1/cases/1/{action}"), &body).unwrap()
}

/// Waits until the case says of its alarm whether it stands.
fn until_active(server: &Server, active: bool) {
    wait::until("the case knows of the alarm", wait::SOON, || {
        let cases = http::json(server.web, "/api/v1/cases");
        if cases[0]["alarms"][0]["active"] == active {
            Ok(())
        } else {
            Err(cases.to_string())
        }
    });
}

#[test]
fn a_gas_alarm_becomes_a_case_that_outlives_a_crash_and_is_closed_when_all_is_well() {
    // Given a gas panel that reports 30 %LEL,
    let panel = county::mqtt_device("panel-1", "gas-detector-panel");
    let registry = format!("{}{panel}", county::one_station());
    let setup = Setup::new(&registry, "");
    let server = setup.start();
    let mut client = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    let start = ask::now() - 30_000;
    report(&mut client, start, 30.0);
    // then a case is filed by itself, due in two hours;
    until_active(&server, true);
    let case = http::json(server.web, "/api/v1/cases/1");
    assert_eq!(case["filed_by"], "townwatch", "{case}");
    assert_eq!(case["deadline"]["row"], "gas", "{case}");
    let due = case["deadline"]["handle_by"]["ms"].as_i64().unwrap();
    assert_eq!(due - case["filed"]["ms"].as_i64().unwrap(), 7_200_000, "{case}");
    // and after a kill -9 it is there, once.
    server.kill();
    let server = setup.start();
    until_active(&server, true);
    let open = http::json(server.web, "/api/v1/cases?open=true");
    assert_eq!(open.as_array().unwrap().len(), 1, "{open}");
    // When the work is done while the gas is still there, then it cannot be verified.
    for action in ["dispatch", "start", "handled"] {
        assert_eq!(act(&server, action).status, 200, "{action}");
    }
    let refused = act(&server, "verify");
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.body.contains("the alarm stands"), "{refused:?}");
    // When the gas is gone for the off-delay and the panel has reported three times since,
    let mut client = Client::connect(server.mqtt, "panel-1", "secret").unwrap();
    report(&mut client, start + 10_000, 2.0);
    report(&mut client, start + 21_000, 1.0);
    until_active(&server, false);
    for ahead in 1..=3 {
        report(&mut client, ask::now() + ahead, 1.0);
    }
    // then it can, and is closed.
    wait::until("telemetry agrees", wait::SOON, || {
        let answer = act(&server, "verify");
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.body)
        }
    });
    let closed = act(&server, "close");
    assert_eq!(closed.json()["state"], "closed", "{closed:?}");
    let events = http::json(server.web, "/api/v1/cases/1")["events"].clone();
    let names: Vec<&str> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    let wanted = [
        "file",
        "dispatch",
        "start",
        "handled",
        "alarm_cleared",
        "verify",
        "close",
    ];
    assert_eq!(names, wanted);
    // The figures count it, in time.
    for name in ["case_in_time_handling_rate", "case_in_time_closure_rate"] {
        let figure = http::json(server.web, &format!("/api/v1/figures/{name}?to={}", ask::now()));
        assert_eq!(figure["value"].as_f64(), Some(100.0), "{figure}");
        assert_eq!(
            figure["parts"][0]["evidence"],
            json!(["/api/v1/cases/1"]),
            "{figure}"
        );
    }
    // Alarm health counts the one call, on both sides of the crash, and leads to its row.
    let rule = case["alarms"][0]["rule"].as_str().unwrap();
    let (now, filed) = (ask::now(), case["filed"]["ms"].as_i64().unwrap());
    let health = |from| {
        let period = format!("from={from}&to={now}&scope=rule:{rule}");
        http::json(server.web, &format!("/api/v1/figures/alarm_rate?{period}"))
    };
    let figure = health(start);
    assert_eq!(figure["numerator"].as_f64(), Some(1.0), "{figure}");
    let rows = http::json(server.web, figure["evidence"][0].as_str().unwrap());
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    assert_eq!(
        (&rows[0]["event"], &rows[0]["call"]),
        (&json!("raised"), &json!(true))
    );
    // From the kill to the next start nobody knows.
    let unknown = health(filed)["unknown"]["amount"].as_f64().unwrap();
    assert!(unknown > 0.0, "{unknown} h");
    assert!(server.stop().success());
}
