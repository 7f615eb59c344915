//! F27: a backup under load, then a wipe and a restore: every point that was acknowledged before the backup began is
//! there, and no alarm that was told is told again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::support::mqtt::Client;
use crate::support::program::{Server, Setup, call};
use crate::support::receiver::Receiver;
use crate::support::{ask, county, wait};

const DEVICES: usize = 3;

/// What was acknowledged: time in ms → value.
type Account = Mutex<BTreeMap<i64, f64>>;

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Publishes one reading after the other until asked to stop.
fn load(address: SocketAddr, device: &str, account: &Account, stop: &AtomicBool) {
    let mut client = Client::connect(address, device, "secret").unwrap();
    let topic = format!("tw/v1/{device}/telemetry");
    let mut ts = 0;
    while !stop.load(Ordering::Relaxed) {
        ts = (ts + 1).max(ask::now());
        let value = f64::from(u32::try_from(ts % 4999).unwrap()) / 1000.0;
        let payload = format!(r#"{{"ts":{ts},"values":{{"flow":{value}}}}}"#);
        client.publish_acked(&topic, payload.as_bytes()).unwrap();
        account.lock().unwrap().insert(ts, value);
    }
}

/// What is acknowledged of each device.
fn copy(accounts: &[Account]) -> Vec<BTreeMap<i64, f64>> {
    accounts
        .iter()
        .map(|account| account.lock().unwrap().clone())
        .collect()
}

#[test]
fn a_backup_under_load_brings_back_every_point_before_it_and_tells_no_alarm_again() {
    // Given stations under load, a gas alarm that was told, and a receiver of notices,
    let mut registry = county::HEAD.to_owned() + &county::mqtt_device("f27-panel", "gas-detector-panel");
    for place in 0..DEVICES {
        registry += &county::mqtt_device(&format!("f27-station-{place}"), "sewage-station-small");
    }
    let receiver = Receiver::start();
    let setup = Setup::new(&registry, &receiver.configuration());
    let started = ask::now();
    let server = setup.start();
    let mut panel = Client::connect(server.mqtt, "f27-panel", "secret").unwrap();
    let payload = format!(r#"{{"ts":{started},"values":{{"gas_01":30.0}}}}"#);
    panel
        .publish_acked("tw/v1/f27-panel/telemetry", payload.as_bytes())
        .unwrap();
    let raised = |body: &str| body.contains("GAS-L1-01");
    wait::until("the alarm is told", wait::SOON, || {
        let keys = receiver.keys(raised);
        if keys.len() == 1 {
            Ok(())
        } else {
            Err(format!("{keys:?}"))
        }
    });
    wait::until("the notice is written down as delivered", wait::SOON, || {
        let metrics = crate::support::http::get(server.web, "/metrics")?.body;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("townwatch_notices_waiting"));
        match line.and_then(|line| line.split_whitespace().last()) {
            Some("0") | None => Ok(()),
            Some(other) => Err(other.to_owned()),
        }
    });
    // when it is backed up twice under that load, loaded more, stopped, wiped and restored from the second backup,
    let accounts: Vec<Account> = (0..DEVICES).map(|_| Account::default()).collect();
    let stop = AtomicBool::new(false);
    let enough = |least: usize| {
        wait::until("enough is acknowledged", wait::LONG, || {
            let least_of = copy(&accounts).iter().map(BTreeMap::len).min().unwrap_or(0);
            if least_of >= least {
                Ok(())
            } else {
                Err(least_of.to_string())
            }
        });
    };
    let (first, second) = (setup.path().join("backup-1"), setup.path().join("backup-2"));
    let mut before = Vec::new();
    std::thread::scope(|scope| {
        for (place, account) in accounts.iter().enumerate() {
            let (address, stop) = (server.mqtt, &stop);
            scope.spawn(move || load(address, &format!("f27-station-{place}"), account, stop));
        }
        enough(50);
        let (code, _, said) = call(&["backup", "--data", text(&setup.data()), text(&first)]);
        assert_eq!(code, 0, "{said}");
        enough(150);
        before = copy(&accounts);
        let (code, answer, said) = call(&["backup", "--data", text(&setup.data()), "--json", text(&second)]);
        assert_eq!(code, 0, "{said}");
        let manifest: Value = serde_json::from_str(&answer).unwrap();
        assert!(
            manifest["cursors"]["journal_newest"].as_u64().unwrap() > 400,
            "{manifest}"
        );
        assert!(said.contains("journal.db"), "{said}");
        let more = copy(&accounts).iter().map(BTreeMap::len).max().unwrap() + 50;
        enough(more);
        stop.store(true, Ordering::Relaxed);
    });
    // an alarm of after the backup is told, and will be forgotten,
    let late = |body: &str| body.contains("GAS-L1-02");
    let again = |server: &Server, told: usize| {
        let mut panel = Client::connect(server.mqtt, "f27-panel", "secret").unwrap();
        let payload = format!(r#"{{"ts":{},"values":{{"gas_02":30.0}}}}"#, ask::now());
        panel
            .publish_acked("tw/v1/f27-panel/telemetry", payload.as_bytes())
            .unwrap();
        wait::until("the late alarm is told", wait::SOON, || {
            let keys = receiver.keys(late);
            if keys.len() >= told {
                Ok(())
            } else {
                Err(format!("{keys:?}"))
            }
        });
    };
    again(&server, 1);
    // A folder in use is neither looked at nor restored into.
    assert_eq!(call(&["verify", text(&setup.data())]).0, 5);
    assert_eq!(
        call(&["restore", text(&second), "--data", text(&setup.data())]).0,
        5
    );
    assert!(server.stop().success());
    for folder in [&first, &second, &setup.data()] {
        let (code, said, _) = call(&["verify", text(folder)]);
        assert_eq!(code, 0, "{said}");
    }
    std::fs::remove_dir_all(setup.data()).unwrap();
    let (code, _, said) = call(&["restore", text(&second), "--data", text(&setup.data())]);
    assert_eq!(code, 0, "{said}");
    let server = setup.start();
    // then every point that was acknowledged before the second backup began is there, once,
    for (place, account) in before.iter().enumerate() {
        let device = format!("f27-station-{place}");
        wait::until(&format!("all of {device} is there"), wait::LONG, || {
            let found = ask::all_points(server.web, &device, "flow", started, ask::now());
            let times: BTreeMap<i64, f64> = found.iter().map(|(ms, value, _)| (*ms, *value)).collect();
            assert_eq!(times.len(), found.len(), "{device}: a time stands there twice");
            let lost = account.iter().find(|(ms, value)| times.get(ms) != Some(value));
            lost.map_or(Ok(()), |lost| Err(format!("{lost:?} is not there")))
        });
        assert!(account.len() >= 150);
    }
    // the open alarm is open and nobody is told of it again,
    assert_eq!(ask::alarms(server.web, true, "f27-panel", "GAS-L1-01").len(), 1);
    // and what happens from now on is told, under a key that no receiver has seen, while the old one stays told once.
    again(&server, 2);
    let keys = receiver.keys(late);
    let marked = keys.iter().filter(|key| key.contains("~restored-")).count();
    assert_eq!((keys.len(), marked), (2, 1), "{keys:?}");
    let told = receiver.bodies().iter().filter(|body| raised(body)).count();
    assert_eq!(told, 1, "{:?}", receiver.keys(raised));
    assert!(server.stop().success());
}
