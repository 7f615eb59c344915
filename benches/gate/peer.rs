//! Who is measured: each started on a free port in a temporary folder, ended by its process id.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::server::Server;
use crate::{county, process};

/// The argument that makes this binary the stock rumqttd.
pub(crate) const STOCK_RUMQTTD: &str = "--be-stock-rumqttd";

/// The measured peers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Townwatch,
    Mosquitto,
    Rumqttd,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Townwatch, Self::Mosquitto, Self::Rumqttd];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Townwatch => "townwatch",
            Self::Mosquitto => "mosquitto",
            Self::Rumqttd => "stock rumqttd",
        }
    }

    /// What it has done with a message when it acknowledges it.
    pub(crate) const fn promise(self) -> &'static str {
        match self {
            Self::Townwatch => {
                "password of each device checked (argon2id, small parameters); acknowledges after an fsync of the \
                 journal; each message is then decoded, judged by the alarm rules and stored"
            }
            Self::Mosquitto => {
                "Debian's 2.0.11, anonymous, persistence off: acknowledges from memory, no subscriber"
            }
            Self::Rumqttd => "0.20.0, anonymous: acknowledges from memory, no subscriber",
        }
    }
}

/// A peer that runs.
pub(crate) struct Running {
    process: Process,
    pub(crate) mqtt: SocketAddr,
    _folder: tempfile::TempDir,
}

enum Process {
    Ours(Server),
    Other(Child),
}

impl Running {
    /// Starts it, ready for the devices `d0` to `d{devices - 1}`.
    pub(crate) fn start(kind: Kind, devices: usize) -> Self {
        Self::start_with(kind, devices, None)
    }

    /// The same, with TLS instead of plain TCP when there are a certificate and its key (PEM).
    pub(crate) fn start_with(kind: Kind, devices: usize, tls: Option<(&str, &str)>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if let Some((certificate, key)) = tls {
            std::fs::write(folder.path().join("cert.pem"), certificate).expect("the folder is ours");
            std::fs::write(folder.path().join("key.pem"), key).expect("the folder is ours");
        }
        let (process, mqtt) = match kind {
            Kind::Townwatch => townwatch(folder.path(), devices, tls.is_some()),
            Kind::Mosquitto => mosquitto(folder.path(), tls.is_some()),
            Kind::Rumqttd => rumqttd(),
        };
        Self {
            process,
            mqtt,
            _folder: folder,
        }
    }

    /// CPU seconds so far and resident memory in MiB.
    pub(crate) fn cost(&self) -> (f64, f64) {
        process::cost(match &self.process {
            Process::Ours(server) => server.pid(),
            Process::Other(child) => child.id(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Process::Other(child) = &mut self.process {
            // It may have ended already.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn townwatch(folder: &Path, devices: usize, tls: bool) -> (Process, SocketAddr) {
    let mut registry = county::HEAD.to_owned();
    for place in 0..devices {
        registry += &county::mqtt_device(&format!("d{place}"), "sewage-station-small");
    }
    std::fs::write(folder.join("county.toml"), registry).expect("the folder is ours");
    let listener = if tls {
        "listen = \"none\"\n[[mqtt.listener]]\naddress = \"127.0.0.1:0\"\nkind = \"tls\"\n\
         certificate = \"cert.pem\"\nkey = \"key.pem\"\n"
    } else {
        "listen = \"127.0.0.1:0\"\n"
    };
    // One load client is one address, and few connections carry all of the load: its rates must not be the figure.
    let config = format!(
        "[data]\nfolder = \"data\"\n[registry]\nfile = \"county.toml\"\n[web]\nlisten = \"127.0.0.1:0\"\n\
         [mqtt.device]\nmessages_per_s = 0\nkib_per_s = 0\n\
         [mqtt]\naccepts_per_s = 0\nconnects_per_s_per_address = 0\n{listener}"
    );
    let file = folder.join("townwatch.toml");
    std::fs::write(&file, config).expect("the folder is ours");
    let server = Server::start(&["serve", "--config", file.to_str().expect("a plain path")]);
    let mqtt = server.mqtt;
    (Process::Ours(server), mqtt)
}

fn mosquitto(folder: &Path, tls: bool) -> (Process, SocketAddr) {
    let address = free_address();
    let mut config = format!(
        "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\nset_tcp_nodelay true\nuser root\n",
        address.port()
    );
    if tls {
        let path = |name: &str| folder.join(name).display().to_string();
        config += &format!("certfile {}\nkeyfile {}\n", path("cert.pem"), path("key.pem"));
    }
    let file = folder.join("mosquitto.conf");
    std::fs::write(&file, config).expect("the folder is ours");
    let child = Command::new("mosquitto")
        .arg("-c")
        .arg(file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto is installed (Debian package mosquitto)");
    (Process::Other(when_it_listens(child, address)), address)
}

fn rumqttd() -> (Process, SocketAddr) {
    let address = free_address();
    let child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args([STOCK_RUMQTTD, &address.port().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program starts");
    (Process::Other(when_it_listens(child, address)), address)
}

/// A port that was free a moment ago: neither peer can say which one it found.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("the system has a free port")
}

fn when_it_listens(child: Child, address: SocketAddr) -> Child {
    let begun = process::now();
    while TcpStream::connect(address).is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the peer does not listen at {address}"
        );
        std::thread::park_timeout(Duration::from_millis(20));
    }
    child
}

/// Is the stock rumqttd until it is killed, with the limits of the configuration that it ships, but the
/// connections that are measured here.
pub(crate) fn be_stock_rumqttd(port: &str) {
    rlimit::increase_nofile_limit(1 << 16).ok();
    let config = format!(
        "id = 0\n[router]\nid = 0\nmax_connections = 10500\nmax_outgoing_packet_count = 200\n\
         max_segment_size = 104857600\nmax_segment_count = 10\n\
         [v4.1]\nname = \"v4-1\"\nlisten = \"127.0.0.1:{port}\"\nnext_connection_delay_ms = 1\n\
         [v4.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = 20480\nmax_inflight_count = 100\n\
         dynamic_filters = true\n"
    );
    let config: rumqttd::Config = toml::from_str(&config).expect("the form of rumqttd 0.20");
    rumqttd::Broker::new(config).start().expect("rumqttd runs");
}
