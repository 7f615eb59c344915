//! Who may come in, changed by the commands beside a running server.

use std::io::Write;
use std::path::Path;
use std::process::Output;

use crate::support::mqtt::Client;
use crate::support::program::{Server, Setup, told, townwatch};
use crate::support::wait;
use crate::support::{ask, county, http, peers};

/// Runs a command that has to fail with `code`, and gives what it says.
fn refused(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = townwatch(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until the other side has closed; nothing but a closing may come.
fn expect_closed(client: &mut Client) {
    let end = client.read_packet().unwrap_err();
    assert!(end == "closed" || end.contains("reset"), "{end}");
}

fn setup() -> Setup {
    Setup::new(&county::one_station(), "")
}

#[test]
fn a_device_is_sent_away_by_a_command_beside_the_running_server() {
    // Given a server with a station that is connected,
    let setup = setup();
    let server = Server::serve(setup.folder.path());
    let folder = setup.folder.path();
    let mut station = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    // when it is disabled from the command line, then it is closed at once and does not come back;
    let disabled = told(folder, &["device", "disable", "station-1"]);
    assert_eq!(
        (disabled["enabled"].as_bool(), disabled["takes_effect"].as_str()),
        (Some(false), Some("now"))
    );
    expect_closed(&mut station);
    assert_eq!(
        Client::connect(server.mqtt, "station-1", "secret").unwrap_err(),
        "connack [0, 5]"
    );
    // when it is enabled, it does.
    told(folder, &["device", "enable", "station-1"]);
    let mut station = wait::until("the station is let in again", wait::SOON, || {
        Client::connect(server.mqtt, "station-1", "secret")
    });
    // A rotation ends the connection of the old password, and the new one opens; without a restart.
    let rotated = told(folder, &["device", "rotate", "station-1"]);
    let password = rotated["password"].as_str().unwrap().to_owned();
    expect_closed(&mut station);
    assert!(Client::connect(server.mqtt, "station-1", "secret").is_err());
    drop(Client::connect(server.mqtt, "station-1", &password).unwrap());
    // A rotation with grace lets both in.
    let again = told(folder, &["device", "rotate", "station-1", "--grace", "1h"]);
    assert!(again["old_until"].is_string());
    let newest = again["password"].as_str().unwrap();
    wait::until("the newest password opens", wait::SOON, || {
        Client::connect(server.mqtt, "station-1", newest).map(drop)
    });
    let mut station = Client::connect(server.mqtt, "station-1", &password).unwrap();
    // A revocation ends all of them, that of the registry file too, also over a restart.
    told(folder, &["device", "revoke", "station-1"]);
    expect_closed(&mut station);
    server.stop();
    let server = Server::serve(folder);
    for password in [&*password, newest, "secret"] {
        assert!(Client::connect(server.mqtt, "station-1", password).is_err());
    }
    assert!(refused(folder, &["device", "enable", "station-1"], 3).contains("rotate"));
    // Who did it stands in the audit log, and no secret does.
    let state = store::state::State::open(&folder.join("data/state.db")).unwrap();
    let mut log = state.audit_log(u64::MAX, 100).unwrap();
    // The first start put the rules in force, of which this is not about.
    log.retain(|row| &*row.what != "rules in force");
    let whats: Vec<&str> = log.iter().rev().map(|row| &*row.what).collect();
    assert_eq!(
        whats,
        [
            "device disabled",
            "device enabled",
            "device rotated",
            "device rotated",
            "device revoked"
        ]
    );
    assert!(
        log.iter()
            .all(|row| &*row.by == "wang (command line)" && &*row.subject == "station-1")
    );
    assert!(!format!("{log:?}").contains(&password));
    server.stop();
}

#[test]
fn an_account_hears_what_is_listed_as_soon_as_it_is_added() {
    let setup = setup();
    let server = Server::serve(setup.folder.path());
    let folder = setup.folder.path();
    let arguments = ["account", "add", "scada", "--subscribe", "tw/v1/+/telemetry"];
    let added = told(folder, &arguments);
    let password = added["password"].as_str().unwrap();
    wait::until("the account is let in", wait::SOON, || {
        Client::connect(server.mqtt, "scada", password).map(drop)
    });
    let listed = told(folder, &["account", "list"]);
    assert_eq!(listed[0]["subscribe"][0], "tw/v1/+/telemetry");
    assert!(
        listed[0]["publish"].as_array().unwrap().is_empty(),
        "read-only by default"
    );
    let mut account = Client::connect(server.mqtt, "scada", password).unwrap();
    told(folder, &["account", "disable", "scada"]);
    expect_closed(&mut account);
    for wrong in [
        &["account", "add", "station-1", "--subscribe", "tw/v1/#"][..],
        &["account", "add", "x", "--subscribe", "#"],
        &["account", "add", "x", "--publish", "tw/v1/#"],
        &["account", "add", "x"],
        &["account", "disable", "station-1"],
    ] {
        refused(folder, wrong, 3);
    }
    server.stop();
}

/// mosquitto_pub as the account `bridge`, with QoS 1.
fn bridge(server: &Server, password: &str, version: &str, topic: &str, message: &str) -> Output {
    let port = server.mqtt.port().to_string();
    let login = ["-h", "127.0.0.1", "-p", &port, "-u", "bridge", "-P", password];
    let rest = ["-V", version, "-q", "1", "-t", topic, "-m", message];
    peers::run("mosquitto_pub", &[&login[..], &rest[..]].concat())
}

#[test]
fn an_account_brings_what_its_devices_measure_and_nothing_outside_its_filters() {
    // Given two stations, and an account that may speak for what the first measures,
    let registry = county::one_station() + &county::mqtt_device("station-2", "sewage-station-small");
    let setup = Setup::new(&registry, "");
    let server = Server::serve(setup.folder.path());
    let arguments = [
        "account",
        "add",
        "bridge",
        "--publish",
        "tw/v1/station-1/telemetry",
    ];
    let added = told(setup.folder.path(), &arguments);
    let password = added["password"].as_str().unwrap();
    wait::until("the account is let in", wait::SOON, || {
        Client::connect(server.mqtt, "bridge", password).map(drop)
    });
    let stored = |device: &str, level: f64| {
        wait::until("the level is stored", wait::SOON, || {
            let value = ask::latest_value(server.web, device, "level");
            let is_there = (value - level).abs() < 1e-9;
            is_there.then_some(()).ok_or_else(|| value.to_string())
        });
    };
    for (version, level) in [("mqttv311", 1.25), ("mqttv5", 1.5)] {
        // when it brings a level of that station, then the level is in the station's series;
        let message = format!(r#"{{"ts":{},"values":{{"level":{level}}}}}"#, ask::now());
        let brought = bridge(&server, password, version, "tw/v1/station-1/telemetry", &message);
        assert!(brought.status.success(), "{version}: {brought:?}");
        stored("station-1", level);
    }
    // when it speaks for the other station, or says something else of its own, then it is refused in words.
    for topic in ["tw/v1/station-2/telemetry", "tw/v1/station-1/cmd"] {
        let message = format!(r#"{{"ts":{},"values":{{"level":9}}}}"#, ask::now());
        let refused = bridge(&server, password, "mqttv5", topic, &message);
        let said = String::from_utf8_lossy(&refused.stderr).to_lowercase();
        assert!(said.contains("not authorized"), "{topic}: {refused:?}");
        // 3.1.1 has no words for it: closed.
        let mut client = Client::connect(server.mqtt, "bridge", password).unwrap();
        client.publish(topic, message.as_bytes()).unwrap();
        expect_closed(&mut client);
    }
    // What the other station says itself is the first that is known of it.
    let mut station = Client::connect(server.mqtt, "station-2", "secret").unwrap();
    let own = format!(r#"{{"ts":{},"values":{{"level":2}}}}"#, ask::now());
    station
        .publish_acked("tw/v1/station-2/telemetry", own.as_bytes())
        .unwrap();
    stored("station-2", 2.0);
    let now = ask::now();
    let points = ask::points(server.web, "station-2", "level", now - 60_000, now + 60_000);
    assert_eq!(points.iter().map(|point| point.1).collect::<Vec<f64>>(), [2.0]);
    server.stop();
}

#[test]
fn an_added_device_speaks_after_the_next_start_and_is_asked_to_wait_before() {
    // Given a running server, when a device is added,
    let setup = setup();
    let folder = setup.folder.path();
    let server = Server::serve(folder);
    let place = ["--site", "site-1", "--profile", "sewage-station-small"];
    let added = told(
        folder,
        &[&["device", "add", "station-2"][..], &place[..]].concat(),
    );
    assert_eq!(added["takes_effect"], "next_start");
    let password = added["password"].as_str().unwrap();
    // then it is told to come later (3.1.1: code 3): nobody could read what it says yet;
    wait::until("the new device is known", wait::SOON, || {
        match Client::connect(server.mqtt, "station-2", password) {
            Err(error) if error == "connack [0, 3]" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    server.stop();
    // and after a start it is let in, and what it says is taken.
    let server = Server::serve(folder);
    let mut station = Client::connect(server.mqtt, "station-2", password).unwrap();
    station
        .publish_acked("tw/v1/station-2/telemetry", br#"{"values":{"flow":1.5}}"#)
        .unwrap();
    assert!((crate::support::ask::latest_value(server.web, "station-2", "flow") - 1.5).abs() < 1e-9);
    // A command of its own is none: 3.1.1 closes.
    station.publish("tw/v1/station-2/cmd", b"{}").unwrap();
    expect_closed(&mut station);
    // Removed, it is gone at once.
    let mut station = Client::connect(server.mqtt, "station-2", password).unwrap();
    told(folder, &["device", "remove", "station-2"]);
    expect_closed(&mut station);
    server.stop();
}

#[test]
fn devices_are_imported_all_or_none_and_their_passwords_are_written_once() {
    let setup = setup();
    let folder = setup.folder.path();
    let path = |name: &str| folder.join(name).display().to_string();
    let (sheet, secrets) = (path("new.csv"), path("secrets.csv"));
    // Given a sheet with mistakes on two lines, then both are named and nothing is added.
    std::fs::write(
        &sheet,
        "id,site,profile\npump-a,site-1,sewage-station-small\npump b,site-1,x\n,site-1,x\n",
    )
    .unwrap();
    let errors = refused(folder, &["device", "import", &sheet, "--out", &secrets], 3);
    assert!(
        errors.contains("new.csv:3: ") && errors.contains("new.csv:4: "),
        "{errors}"
    );
    // A mistake that only the registry shows has its line too.
    std::fs::write(
        &sheet,
        "id,site,profile\npump-a,site-1,sewage-station-small\npump-b,nowhere,sewage-station-small\n",
    )
    .unwrap();
    let errors = refused(folder, &["device", "import", &sheet, "--out", &secrets], 3);
    assert!(errors.contains("new.csv:3: there is no site nowhere"), "{errors}");
    assert!(!Path::new(&secrets).exists());
    // A sound one is only looked at with --dry-run,
    let mut sound = std::fs::File::create(&sheet).unwrap();
    writeln!(sound, "id,site,profile,name_zh").unwrap();
    for n in 0..500 {
        writeln!(sound, "pump-{n},site-1,sewage-station-small,=泵{n}").unwrap();
    }
    let tried = told(folder, &["device", "import", &sheet, "--dry-run"]);
    assert_eq!(
        (tried["devices"].as_u64(), tried["dry_run"].as_bool()),
        (Some(500), Some(true))
    );
    assert_eq!(told(folder, &["device", "list"]).as_array().unwrap().len(), 1);
    // and then added whole, the passwords in a file that nobody else can read.
    refused(folder, &["device", "import", &sheet], 3);
    let done = told(folder, &["device", "import", &sheet, "--out", &secrets]);
    assert_eq!(done["devices"], 500);
    assert_eq!(told(folder, &["device", "list"]).as_array().unwrap().len(), 501);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&secrets).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let written = std::fs::read_to_string(&secrets).unwrap();
    assert_eq!(written.lines().count(), 501);
    let (id, password) = written.lines().nth(1).unwrap().split_once(',').unwrap();
    // What is there is never written over; no cell of an export is a formula.
    std::fs::write(&sheet, "id,site,profile\nlast,site-1,sewage-station-small\n").unwrap();
    assert!(refused(folder, &["device", "import", &sheet, "--out", &secrets], 3).contains("secrets.csv"));
    let exported = townwatch(folder, &["device", "export"]);
    let exported = String::from_utf8(exported.stdout).unwrap();
    assert!(exported.contains(",'=泵0,") && !exported.contains(",=泵") && !exported.contains(password));
    // With the server started, an imported device comes in.
    let server = Server::serve(folder);
    drop(Client::connect(server.mqtt, id, password).unwrap());
    server.stop();
}

#[test]
fn a_device_without_a_password_is_given_one_for_a_token_and_comes_in() {
    // Given a station of the registry file that has no password, a running server, and a token for one device,
    let bare = county::mqtt_device("station-2", "sewage-station-small")
        .lines()
        .filter(|line| !line.starts_with("password_hash"))
        .fold(String::new(), |all, line| all + line + "\n");
    let setup = Setup::new(&format!("{}{bare}", county::one_station()), "");
    let folder = setup.folder.path();
    let server = Server::serve(folder);
    let place = ["--site", "site-1", "--profile", "sewage-station-small"];
    let made = told(folder, &[&["device", "token", "new"][..], &place[..]].concat());
    let token = made["token"].as_str().unwrap();
    let provision = |token: &str, device: &str| {
        let body = serde_json::json!({"token": token, "device": device});
        http::post(server.web, "/api/v1/provision", &body).unwrap()
    };
    // when somebody brings another token, or asks for a device that has a password, nothing is given;
    assert_eq!(
        provision("twp_00000000000000000000000000000000", "station-2").status,
        403
    );
    assert_eq!(provision(token, "station-1").status, 409);
    assert_eq!(provision(token, "#").status, 400);
    // when the station brings the token, it is given a password with which it comes in, once.
    let given = provision(token, "station-2");
    assert_eq!(given.status, 200, "{given:?}");
    let given = given.json();
    assert_eq!(given["takes_effect"], "now");
    let password = given["password"].as_str().unwrap();
    wait::until("the station is let in", wait::SOON, || {
        Client::connect(server.mqtt, "station-2", password).map(drop)
    });
    assert_eq!(provision(token, "station-2").status, 403, "used up");
    // The audit log says so, by name of the token, without the token.
    let log = http::get(server.web, "/api/v1/audit").unwrap();
    assert_eq!(log.status, 200);
    assert_eq!(log.json()[0]["what"], "device provisioned");
    assert!(!log.body.contains(token) && !log.body.contains(password));
    server.stop();
}

#[test]
fn a_credential_that_cannot_be_used_keeps_the_server_from_starting_and_is_named() {
    // Source: CVE-2018-12551, a malformed password line became a valid user.
    let registry = county::one_station().replace(county::SECRET_HASH, "$1$old$md5crypt");
    let setup = Setup::new(&registry, "");
    let output = townwatch(setup.folder.path(), &["serve"]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("station-1") && !text.contains("md5crypt"), "{text}");
}
