//! A full disk: nothing more is acknowledged, nothing that was is lost, and it goes on when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::mqtt::Client;
use crate::support::program::{Server, Setup};
use crate::support::{ask, county, http, wait};

/// A file system of its own of a few MiB, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount.
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(at)
            .output()
            .ok()?;
        if mounted.status.success() {
            Some(Self(at.to_owned()))
        } else {
            println!(
                "SKIPPED: cannot mount a small file system: {}",
                String::from_utf8_lossy(&mounted.stderr).trim()
            );
            None
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// Publishes ever more until one message is not acknowledged; gives the times of those that were.
fn fill(server: &Server, start: i64) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    let filler = "x".repeat(30_000);
    for ts in start..start + 3000 {
        let payload = format!(r#"{{"ts":{ts},"seq":{ts},"note":"{filler}","values":{{"flow":1.5}}}}"#);
        if client
            .publish_acked("tw/v1/station-1/telemetry", payload.as_bytes())
            .is_err()
        {
            return acknowledged;
        }
        acknowledged.push(ts);
    }
    panic!("3000 messages of 30 kB fit on a disk of 24 MiB");
}

#[test]
fn a_full_disk_ends_acknowledgement_loses_nothing_and_recovers_without_a_restart() {
    // Given a server whose data folder is a disk of 24 MiB that also holds a ballast of 8 MiB,
    let setup = Setup::new(&county::one_station(), "");
    let Some(disk) = SmallDisk::mount(&setup.data(), 24) else {
        return;
    };
    let ballast = setup.data().join("ballast");
    std::fs::write(&ballast, vec![0u8; 8 << 20]).unwrap();
    let server = setup.start();
    // In the last minutes: a device that is steadily an hour behind would be one whose clock lies.
    let start = ask::now() - 300_000;
    // when messages come until the disk is full,
    let acknowledged = fill(&server, start);
    assert!(
        acknowledged.len() > 10,
        "only {} messages fit",
        acknowledged.len()
    );
    // then it still answers and says that it is not well,
    let answer = http::get(server.web, "/readyz").unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    // and when there is room again it goes on by itself,
    std::fs::remove_file(&ballast).unwrap();
    let later = start + 100_000;
    wait::until("it acknowledges again", wait::LONG, || {
        let mut client = Client::connect(server.mqtt, "station-1", "secret")?;
        let payload = format!(r#"{{"ts":{later},"values":{{"flow":2.5}}}}"#);
        client.publish_acked("tw/v1/station-1/telemetry", payload.as_bytes())
    });
    // and everything that was acknowledged is there.
    wait::until("all is stored", wait::LONG, || {
        let found = ask::points(server.web, "station-1", "flow", start, later + 1);
        let times: std::collections::BTreeSet<i64> = found.iter().map(|(ms, ..)| *ms).collect();
        let lost = acknowledged
            .iter()
            .chain([&later])
            .filter(|ts| !times.contains(ts))
            .count();
        if lost == 0 {
            Ok(())
        } else {
            Err(format!("{lost} of {} missing", acknowledged.len() + 1))
        }
    });
    drop(server);
    drop(disk);
}
