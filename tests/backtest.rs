//! New rules tried on the history of a running server, whose own state stays as it is.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::mqtt::Client;
use crate::support::program::{Setup, call};
use crate::support::{ask, county, wait};

const HOUR_MS: i64 = 3_600_000;
const MIN_MS: i64 = 60_000;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Midnight in Shanghai, which is 8 h east, four days ago.
fn midnight() -> i64 {
    (ask::now() + 8 * HOUR_MS).div_euclid(24 * HOUR_MS) * 24 * HOUR_MS - (8 + 4 * 24) * HOUR_MS
}

/// Two days of a station, a reading every 15 min: 1.0 m, but 3.5 m from 06:00 to before 07:00 and 3.1 m from 22:00 to before 22:30 of the
/// second day.
fn history(begin: i64) -> String {
    let mut lines = "device,signal,time,value\n".to_owned();
    for quarter in 0..2 * 24 * 4 {
        let level = match quarter - 96 {
            24..28 => 3.5,
            88..90 => 3.1,
            _ => 1.0,
        };
        let time = begin + i64::from(quarter) * 15 * MIN_MS;
        for (signal, value) in [("level", level), ("mains", 1.0), ("pump_1_fault", 0.0)] {
            lines += &format!("station-1,{signal},{time},{value}\n");
        }
    }
    lines
}

/// The built-in profile with another limit of the level; its own is 3.3 m where the registry names no sill.
fn profile_with_limit(limit: &str) -> String {
    let own = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("telemetry/profiles/sewage-station-small.toml"),
    )
    .unwrap();
    let line = r#"limit = { attribute = "sill_m", offset = -0.2, default = 3.3 }"#;
    assert_eq!(own.matches(line).count(), 1);
    own.replace(line, &format!("limit = {limit}"))
}

/// A county with that history, and the new profile beside it.
fn setup(begin: i64) -> Setup {
    let setup = Setup::new(&county::one_station(), "");
    let folder = setup.path();
    std::fs::write(folder.join("history.csv"), history(begin)).unwrap();
    std::fs::write(folder.join("new.toml"), profile_with_limit("3.0")).unwrap();
    let (config, history) = (folder.join("townwatch.toml"), folder.join("history.csv"));
    let (code, _, said) = call(&["import", "--config", text(&config), text(&history)]);
    assert_eq!(code, 0, "{said}");
    setup
}

/// Exit code, standard output and standard error of a back-test of `rules`, over the second day.
fn tried(setup: &Setup, rules: &str, begin: i64, more: &[&str]) -> (i32, String, String) {
    let (config, rules) = (setup.path().join("townwatch.toml"), setup.path().join(rules));
    let (from, to) = (
        (begin + 24 * HOUR_MS).to_string(),
        (begin + 47 * HOUR_MS).to_string(),
    );
    let always = [
        "backtest",
        "--config",
        text(&config),
        "--rules",
        text(&rules),
        "--from",
        &from,
        "--to",
        &to,
    ];
    call(&[&always, more].concat())
}

/// What the state database holds of the station's alarms, row by row.
fn live_state(setup: &Setup) -> BTreeMap<&'static str, Vec<String>> {
    let database = rusqlite::Connection::open(setup.data().join("state.db")).unwrap();
    let rows = |sql: &str| -> Vec<String> {
        let mut statement = database.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells: Result<Vec<rusqlite::types::Value>, _> = (0..columns).map(|n| row.get(n)).collect();
            Ok(format!("{:?}", cells?))
        });
        rows.unwrap().map(Result::unwrap).collect()
    };
    [
        (
            "alarm_state",
            "SELECT * FROM alarm_state WHERE rule LIKE 'station-1%' ORDER BY rule",
        ),
        (
            "alarm_log",
            "SELECT * FROM alarm_log WHERE rule LIKE 'station-1%' ORDER BY seq",
        ),
        (
            "alarm_occurrence",
            "SELECT * FROM alarm_occurrence WHERE rule LIKE 'station-1%' ORDER BY seq",
        ),
        (
            "outbox",
            "SELECT * FROM outbox WHERE key LIKE 'station-1%' ORDER BY key",
        ),
        ("series", "SELECT * FROM series ORDER BY id"),
    ]
    .into_iter()
    .map(|(table, sql)| (table, rows(sql)))
    .collect()
}

/// Every database of the data folder, byte by byte.
fn files(setup: &Setup) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(setup.data()).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|ending| ending == "db"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect()
}

#[test]
fn a_lower_limit_is_tried_on_the_history_of_a_running_server_which_does_not_notice() {
    // Given a server with two days of history, and an alarm that stands now,
    let begin = midnight();
    let setup = setup(begin);
    let server = setup.start();
    let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    for ago_ms in [6 * MIN_MS, 0] {
        let at = ask::now() - ago_ms;
        let payload = format!(r#"{{"ts":{at},"values":{{"level":3.6,"mains":1}}}}"#);
        client
            .publish_acked("tw/v1/station-1/telemetry", payload.as_bytes())
            .unwrap();
    }
    wait::until("the alarm and its notice are written", wait::SOON, || {
        let held = live_state(&setup);
        if held["outbox"].is_empty() || held["alarm_occurrence"].is_empty() {
            Err(format!("{held:?}"))
        } else {
            Ok(())
        }
    });
    let live = live_state(&setup);
    // when a limit of 3.0 m in place of 3.3 m is tried on the second day,
    let (code, said, told) = tried(&setup, "new.toml", begin, &["--json"]);
    assert_eq!(code, 0, "{told}");
    let report: Value = serde_json::from_str(&said).unwrap();
    // then what was raised at 3.5 m is the same, and 3.1 m is raised anew: since 22:00, after an on-delay of 5 min; over since the
    // reading of 22:30, after an off-delay of 5 min.
    let at = |minutes: i64| json!(begin + (46 * 60 + minutes) * MIN_MS);
    let changes = report["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{report}");
    let (change, after) = (&changes[0], &changes[0]["after"]);
    assert_eq!(change["change"], "added");
    assert_eq!(change["rule"], "station-1/SW-LEVEL-HH");
    assert_eq!(
        (&change["device"], &change["signal"], &change["unit"]),
        (&json!("station-1"), &json!("level"), &json!("m"))
    );
    assert_eq!(
        (
            &after["since"],
            &after["raised"],
            &after["over_since"],
            &after["cleared"]
        ),
        (&at(0), &at(5), &at(30), &at(35))
    );
    assert_eq!(
        (&after["worst"], &after["calls"], &after["to"]),
        (&json!(3.1), &json!(1), &json!(["all"]))
    );
    let rule = report["rules"].as_array().unwrap().iter();
    let rule = rule.clone().find(|rule| rule["rule"] == "SW-LEVEL-HH").unwrap();
    let counts = [
        "raised_before",
        "raised_after",
        "same",
        "added",
        "removed",
        "moved",
    ];
    assert_eq!(
        counts.map(|name| rule[name].as_u64().unwrap()),
        [1, 2, 1, 1, 0, 0]
    );
    // 06:05 is no night, 22:05 is.
    let side = |which: &str| {
        let side = &report[which];
        ["raised", "calls", "calls_at_night", "peak_10min"].map(|name| side[name].as_u64().unwrap())
    };
    assert_eq!((side("before"), side("after")), ([1, 1, 0, 1], [2, 2, 1, 1]));
    // The first day has 96 times 3 readings, of the second 92 lie before 23:00.
    assert_eq!(report["points"], 3 * (96 + 92));
    assert!(told.contains("points/s"), "{told}");
    // Nothing of it is in the server's own state.
    assert_eq!(live_state(&setup), live);
    assert!(server.stop().success());
    // And without a server not a byte of any database changes, while a person reads a table.
    let before = files(&setup);
    let (code, table, told) = tried(&setup, "new.toml", begin, &[]);
    assert_eq!(code, 0, "{told}");
    assert!(table.contains("sewage-station-small SW-LEVEL-HH"), "{table}");
    assert!(table.contains("station-1/SW-LEVEL-HH  3.1 m"), "{table}");
    assert!(files(&setup) == before, "a file has changed");
}

#[test]
fn a_back_test_that_cannot_be_says_why() {
    let begin = midnight();
    let setup = setup(begin);
    let folder = setup.path();
    let profile = profile_with_limit("3.0");
    std::fs::write(
        folder.join("broken.toml"),
        profile.replace("deadband", "deadbnad"),
    )
    .unwrap();
    std::fs::write(
        folder.join("other.toml"),
        profile.replace("kind = \"sewage-station-small\"", "kind = \"well\""),
    )
    .unwrap();
    std::fs::create_dir(folder.join("empty")).unwrap();
    let (data, newer) = (setup.data(), folder.join("newer"));
    let new = folder.join("new.toml");
    let plain = |data: &Path, from: &str, to: &str| {
        call(&[
            "backtest",
            "--data",
            text(data),
            "--rules",
            text(&new),
            "--from",
            from,
            "--to",
            to,
        ])
    };
    let line = 1 + profile
        .lines()
        .position(|line| line.starts_with("deadband"))
        .unwrap();
    let broken = format!("broken.toml:{line}:1");
    let answers = [
        (tried(&setup, "broken.toml", begin, &[]), 3, &*broken),
        (
            tried(&setup, "other.toml", begin, &[]),
            3,
            "no device is of kind well",
        ),
        (tried(&setup, "empty", begin, &[]), 3, "holds no profile"),
        (tried(&setup, "missing.toml", begin, &[]), 3, "cannot be read"),
        (
            tried(&setup, "new.toml", begin, &["--night", "late"]),
            3,
            "--night",
        ),
        (plain(&data, "2026-01-02", "2026-01-01"), 3, "is not before"),
        (plain(&data, "2026-01-02", "yesterday"), 3, "is no time"),
        (plain(&data, "2020-01-01", "2020-01-02"), 3, "nothing is stored"),
        (plain(&data, "2999-01-01", "2999-01-02"), 3, "has not come yet"),
        (plain(&newer, "2020-01-01", "2020-01-02"), 5, "is no data folder"),
    ];
    for ((code, _, said), wanted, word) in answers {
        assert_eq!(code, wanted, "{said}");
        assert!(said.contains(word), "{word}: {said}");
    }
    // A folder of a later version is refused.
    let database = rusqlite::Connection::open(data.join("state.db")).unwrap();
    database.pragma_update(None, "user_version", 999).unwrap();
    drop(database);
    let (code, _, said) = plain(&data, "2020-01-01", "2020-01-02");
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("999"), "{said}");
}
