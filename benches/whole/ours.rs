//! This program, as one process.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::http::{Server, free_address};
use crate::{Stack, county};

pub(crate) struct Ours {
    folder: tempfile::TempDir,
    mqtt: SocketAddr,
    server: Server,
    devices: usize,
}

impl Ours {
    pub(crate) fn start(devices: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut registry = county::HEAD.to_owned();
        for place in 0..devices {
            registry += &county::mqtt_device(&format!("d{place}"), "sewage-station-small");
        }
        std::fs::write(folder.path().join("county.toml"), registry).expect("the folder is ours");
        let (mqtt, web) = (free_address(), free_address());
        let config = format!(
            "[data]\nfolder = \"data\"\n[registry]\nfile = \"county.toml\"\n[web]\nlisten = \"{web}\"\n\
             [mqtt.device]\nmessages_per_s = 0\nkib_per_s = 0\n\
             [mqtt]\naccepts_per_s = 0\nconnects_per_s_per_address = 0\nlisten = \"{mqtt}\"\n"
        );
        std::fs::write(folder.path().join("townwatch.toml"), config).expect("the folder is ours");
        let server = start(folder.path(), web);
        Self {
            folder,
            mqtt,
            server,
            devices,
        }
    }
}

fn start(folder: &std::path::Path, web: SocketAddr) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_townwatch"));
    command
        .args(["serve", "--config"])
        .arg(folder.join("townwatch.toml"));
    let child: Child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    Server::of(child, web, "/readyz")
}

impl Stack for Ours {
    fn name(&self) -> &'static str {
        "townwatch"
    }

    fn processes(&self) -> Vec<&'static str> {
        vec!["townwatch"]
    }

    fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// What the devices' ledgers call stored: they outlive the process, and a replay counts nothing twice.
    fn points(&mut self) -> u64 {
        let mut stored = 0;
        for place in 0..self.devices {
            let (status, body) = self
                .server
                .ask("GET", &format!("/api/v1/devices/d{place}/ledger"), "", &[]);
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            let ledger: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            stored += ledger
                .get("stored")
                .and_then(serde_json::Value::as_u64)
                .expect("a count");
        }
        stored
    }

    fn cost(&self) -> (f64, f64, u64) {
        let (cpu, memory) = self.server.cost();
        (
            cpu,
            memory,
            crate::http::bytes_below(&self.folder.path().join("data")),
        )
    }

    fn kill(&mut self, _: &str) {
        let web = self.server.address;
        self.server.kill();
        self.server = start(self.folder.path(), web);
    }
}
