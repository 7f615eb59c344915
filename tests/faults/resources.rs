//! F15 and F16: no more files may be opened; no more memory is there.

use std::process::Command;

use super::ledger::Load;
use super::probe::{Need, has};
use crate::support::mqtt::Client;
use crate::support::program::Setup;
use crate::support::{county, wait};

#[test]
fn without_file_descriptors_those_who_are_there_are_served_and_others_later() {
    // Given a server with a device that is connected, and hardly any file descriptors left,
    let registry = format!(
        "{}{}",
        county::one_station(),
        county::mqtt_device("station-2", "sewage-station-small")
    );
    let setup = Setup::new(&registry, "");
    let server = setup.start();
    let topic = "tw/v1/station-1/telemetry";
    let mut there = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    there.publish_acked(topic, br#"{"values":{"level":1}}"#).unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .unwrap()
        .count();
    let limit = |soft: usize| {
        let set = Command::new("prlimit")
            .args(["--pid", &server.pid().to_string(), &format!("--nofile={soft}:")])
            .status();
        assert!(set.unwrap().success());
    };
    limit(open + 5);
    // when more connect than there is room for,
    let strangers: Vec<Client> = (0..40).filter_map(|_| Client::open(server.mqtt).ok()).collect();
    // then the one that is there goes on,
    for level in 0..20 {
        there
            .publish_acked(topic, format!(r#"{{"values":{{"level":{level}}}}}"#).as_bytes())
            .unwrap();
    }
    // and when there is room again, others come in.
    drop(strangers);
    limit(open + 500);
    wait::until("another device is let in", wait::LONG, || {
        let mut late = Client::connect(server.mqtt, "station-2", "secret")?;
        late.publish_acked("tw/v1/station-2/telemetry", br#"{"values":{"level":1}}"#)
    });
    assert!(server.stop().success());
}

/// A memory group of this test, gone at the end.
struct Group(std::path::PathBuf);

impl Group {
    fn new() -> Self {
        let folder = format!("/sys/fs/cgroup/memory/townwatch-test-{}", std::process::id());
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder.into())
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.join(file), text).unwrap();
    }

    /// Memory that cannot be given back to the system.
    fn used(&self) -> u64 {
        let stat = std::fs::read_to_string(self.0.join("memory.stat")).unwrap();
        let rss = stat
            .lines()
            .find_map(|line| line.strip_prefix("total_rss "))
            .unwrap();
        rss.parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Empty by now, unless the test failed.
        std::fs::remove_dir(&self.0).ok();
    }
}

#[test]
fn a_server_that_is_killed_for_want_of_memory_has_kept_what_it_acknowledged() {
    if !has("F16 out of memory", Need::MemoryGroup) {
        return;
    }
    rlimit::increase_nofile_limit(20_000).unwrap();
    // Given stations under load, and a server that may take eight MiB more than it has,
    let load = Load::new("f16");
    let setup = Setup::new(&load.registry(), "");
    let group = Group::new();
    let server = setup.start();
    group.write("cgroup.procs", &server.pid().to_string());
    let address = server.mqtt;
    let status = load.run(address, || {
        load.wait_for(300);
        // Pages of before belong to another group: the ones from now on are counted.
        group.write("memory.limit_in_bytes", &(group.used() + (8 << 20)).to_string());
        // when ever more clients come,
        let mut crowd = Vec::new();
        for _ in 0..15_000 {
            match Client::open(address) {
                Ok(mut client) => {
                    if client.send(&[0x10, 0x7F, 0]).is_ok() {
                        crowd.push(client);
                    }
                }
                Err(_) => break,
            }
        }
        println!("F16: killed with {} connections", crowd.len());
        server.exited()
    });
    // then the kernel ends it,
    assert!(!status.success(), "{status:?}");
    // and what it has acknowledged is there.
    let server = setup.start();
    load.check(server.web);
    println!("F16: {} messages were acknowledged", load.acknowledged());
    assert!(server.stop().success());
}
