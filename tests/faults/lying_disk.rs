//! F09: the disk confirms what it never writes. After the power comes back the file of a day is as it was an hour before;
//! the server finds it out at the start, says so, and takes from its journal what is missing.

use std::path::{Path, PathBuf};

use crate::support::mqtt::Client;
use crate::support::program::{Server, Setup};
use crate::support::{ask, county, wait};

/// The files of days, with their logs.
fn days(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_day = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("series-2")
    };
    entries.filter(is_day).collect()
}

/// Publishes `count` readings, one a millisecond from `begin` on, each acknowledged.
fn publish(server: &Server, begin: i64, count: i64) {
    let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    for ts in begin..begin + count {
        let payload = format!(r#"{{"ts":{ts},"values":{{"flow":{}}}}}"#, ts % 5);
        client
            .publish_acked("tw/v1/station-1/telemetry", payload.as_bytes())
            .unwrap();
    }
}

#[test]
fn a_disk_that_lied_is_an_alarm_and_the_journal_brings_back_what_it_lost() {
    // Given a server whose day was written twice, of which the disk only kept the first time,
    let registry = format!(
        "{}{}",
        county::HEAD,
        county::mqtt_device("station-1", "sewage-station-small")
    );
    let setup = Setup::new(&registry, "");
    let begin = ask::now() - 1000;
    let server = setup.start();
    publish(&server, begin, 40);
    assert!(server.stop().success());
    let aside = tempfile::tempdir().unwrap();
    for file in days(&setup.data()) {
        std::fs::copy(&file, aside.path().join(file.file_name().unwrap())).unwrap();
    }
    let server = setup.start();
    publish(&server, begin + 40, 40);
    assert!(server.stop().success());
    for file in days(&setup.data()) {
        std::fs::remove_file(file).unwrap();
    }
    for file in days(aside.path()) {
        std::fs::copy(&file, setup.data().join(file.file_name().unwrap())).unwrap();
    }
    // when it is started, then it says so,
    let server = setup.start();
    wait::until("the disk is an alarm", wait::LONG, || {
        match ask::alarms(server.web, true, "townwatch", "SRV-DISK-LIED").len() {
            1 => Ok(()),
            count => Err(format!("{count} alarms")),
        }
    });
    // and every reading is there, once.
    let wanted: Vec<(i64, f64)> = (begin..begin + 80)
        .map(|ts| (ts, f64::from(i32::try_from(ts % 5).unwrap())))
        .collect();
    wait::until("all readings are there", wait::LONG, || {
        let found = ask::points(server.web, "station-1", "flow", begin, begin + 1000);
        let found: Vec<(i64, f64)> = found.into_iter().map(|(ts, value, _)| (ts, value)).collect();
        if found == wanted {
            Ok(())
        } else {
            Err(format!("{} readings", found.len()))
        }
    });
    assert_eq!(ask::ledger(server.web, "station-1")["stored"], 80);
    assert!(server.stop().success());
    // The next start finds nothing wrong; the alarm has returned, and waits for somebody to acknowledge it.
    let server = setup.start();
    wait::until(
        "the disk is no alarm any more",
        wait::LONG,
        || match ask::latest_value(server.web, "townwatch", "disk_lied") {
            0.0 => Ok(()),
            count => Err(format!("{count} days")),
        },
    );
}
