//! F20: the kernel loses one packet in five, both ways, between the devices and the server. TCP mends it; what was
//! acknowledged is there.

use std::process::Command;

use super::ledger::Load;
use super::probe::{Need, has};
use crate::support::program::Setup;

/// Loses packets on loopback from and to one port, until it is dropped, also by a panic.
struct Loss {
    port: u16,
}

fn iptables(arguments: &str) -> Result<String, String> {
    let ran = Command::new("iptables")
        .arg("-w")
        .args(arguments.split(' '))
        .output()
        .map_err(|error| error.to_string())?;
    if ran.status.success() {
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    } else {
        Err(format!("{arguments}: {}", String::from_utf8_lossy(&ran.stderr)))
    }
}

impl Loss {
    /// One packet in five.
    fn of(port: u16) -> Self {
        let loss = Self { port };
        for rule in loss.rules() {
            iptables(&format!("-A {rule}")).unwrap();
        }
        loss
    }

    fn rules(&self) -> [String; 2] {
        ["dport", "sport"].map(|end| {
            let port = self.port;
            let statistic = "-m statistic --mode random --probability 0.2";
            format!("INPUT -i lo -p tcp --{end} {port} {statistic} -j DROP")
        })
    }

    /// How many packets were lost, to the port and from it.
    fn lost(&self) -> [u64; 2] {
        let list = iptables("-n -v -x -L INPUT").unwrap();
        ["dpt", "spt"].map(|end| {
            let rule = format!("{end}:{} ", self.port);
            let line = list.lines().find(|line| line.contains(&rule)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        })
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        for rule in self.rules() {
            if let Err(error) = iptables(&format!("-D {rule}")) {
                println!("a rule of the test remains: {error}");
            }
        }
    }
}

#[test]
fn where_one_packet_in_five_is_lost_nothing_acknowledged_is() {
    if !has("F20 packet loss", Need::PacketLoss) {
        return;
    }
    // Given stations whose packets to and from the server are lost, one in five,
    let load = Load::new("f20-loss");
    let setup = Setup::new(&load.registry(), "");
    let server = setup.start();
    let loss = Loss::of(server.mqtt.port());
    // when they publish, and as much as that lets through is acknowledged,
    load.run(server.mqtt, || load.wait_for(100));
    let lost = loss.lost();
    drop(loss);
    // then the store holds all of it.
    load.check(server.web);
    println!(
        "F20: {} messages; {} packets to the server and {} from it were lost",
        load.acknowledged(),
        lost[0],
        lost[1]
    );
    assert!(
        lost.iter().all(|&packets| packets > 0),
        "nothing was lost: {lost:?}"
    );
    assert!(server.stop().success());
}
