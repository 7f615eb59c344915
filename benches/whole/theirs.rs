//! mosquitto, Telegraf and InfluxDB, each as its manual says for data that should last: persistent sessions, QoS 1.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::Stack;
use crate::http::{Server, bytes_below, free_address};
use crate::process;

const INFLUXD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/.cache/influxd-2.7.12/influxd");
const TELEGRAF: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/.cache/telegraf-1.37.2-mqtt/telegraf"
);
const HEAD: &str = "Authorization: Token bench\r\n";

pub(crate) struct Theirs {
    folder: tempfile::TempDir,
    mqtt: SocketAddr,
    mosquitto: Child,
    telegraf: Child,
    influx: Server,
    /// CPU of processes that were killed.
    spent: f64,
}

fn quiet(command: &mut Command) -> Option<Child> {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

fn influx(folder: &std::path::Path, address: SocketAddr) -> Option<Server> {
    let path = |name: &str| folder.join(name).display().to_string();
    let child = quiet(
        Command::new(INFLUXD)
            .args(["--bolt-path", &path("bolt"), "--engine-path", &path("engine")])
            .args([
                "--sqlite-path",
                &path("sqlite"),
                "--http-bind-address",
                &address.to_string(),
            ])
            .args(["--reporting-disabled", "--log-level", "error"]),
    )?;
    Some(Server::of(child, address, "/health"))
}

fn mosquitto(folder: &std::path::Path) -> Option<Child> {
    quiet(
        Command::new("mosquitto")
            .arg("-c")
            .arg(folder.join("mosquitto.conf")),
    )
}

fn telegraf(folder: &std::path::Path) -> Option<Child> {
    quiet(
        Command::new(TELEGRAF)
            .arg("--config")
            .arg(folder.join("telegraf.conf")),
    )
}

impl Theirs {
    /// None when one of the three is not there.
    pub(crate) fn start(_devices: usize) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (mqtt, web) = (free_address(), free_address());
        let path = folder.path().display();
        std::fs::write(
            folder.path().join("mosquitto.conf"),
            format!(
                "listener {} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {path}/\nautosave_interval 10\n\
                 max_queued_messages 0\nlog_type none\nset_tcp_nodelay true\nuser root\n",
                mqtt.port()
            ),
        )
        .expect("the folder is ours");
        std::fs::write(
            folder.path().join("telegraf.conf"),
            format!(
                "[agent]\n  flush_interval = \"1s\"\n  metric_batch_size = 10000\n  metric_buffer_limit = 1000000\n  omit_hostname = true\n\
                 [[inputs.mqtt_consumer]]\n  servers = [\"tcp://{mqtt}\"]\n  topics = [\"tw/v1/+/telemetry\"]\n  qos = 1\n  \
                 persistent_session = true\n  client_id = \"telegraf\"\n  max_undelivered_messages = 50000\n  \
                 data_format = \"json_v2\"\n  [[inputs.mqtt_consumer.json_v2]]\n    timestamp_path = \"ts\"\n    timestamp_format = \"unix_ms\"\n    \
                 measurement_name = \"tw\"\n    [[inputs.mqtt_consumer.json_v2.object]]\n      path = \"values\"\n\
                 [[outputs.influxdb_v2]]\n  urls = [\"http://{web}\"]\n  token = \"bench\"\n  organization = \"bench\"\n  bucket = \"bench\"\n"
            ),
        )
        .expect("the folder is ours");
        let mut influx = influx(folder.path(), web)?;
        let setup = br#"{"username":"bench","password":"bench-bench","org":"bench","bucket":"bench","token":"bench"}"#;
        let (status, body) = influx.ask("POST", "/api/v2/setup", "", setup);
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
        let mosquitto = mosquitto(folder.path())?;
        crate::http::wait("mosquitto listens", || std::net::TcpStream::connect(mqtt).is_ok());
        let telegraf = telegraf(folder.path())?;
        // It has subscribed when a message comes through.
        let mut stack = Self {
            folder,
            mqtt,
            mosquitto,
            telegraf,
            influx,
            spent: 0.0,
        };
        crate::http::wait("Telegraf has subscribed", || {
            let port = mqtt.port().to_string();
            let message = r#"{"ts":1000,"values":{"probe":1}}"#;
            let topic = [
                "-p",
                &port,
                "-q",
                "1",
                "-t",
                "tw/v1/probe/telemetry",
                "-m",
                message,
            ];
            Command::new("mosquitto_pub")
                .args(topic)
                .status()
                .is_ok_and(|status| status.success())
                && stack.count("start: 0, stop: 1971-01-01T00:00:00Z") > 0
        });
        Some(stack)
    }

    /// Points between two instants, over all fields and topics.
    fn count(&mut self, range: &str) -> u64 {
        let flux = format!(
            "from(bucket: \"bench\") |> range({range}) |> count() |> group() |> sum() |> keep(columns: [\"_value\"])"
        );
        // Booleans and numbers are counted in tables of their own, then added up.
        let head = format!("{HEAD}Content-Type: application/vnd.flux\r\nAccept: application/csv\r\n");
        let (status, body) = self
            .influx
            .ask("POST", "/api/v2/query?org=bench", &head, flux.as_bytes());
        if status != 200 {
            return 0;
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        text.lines()
            .filter_map(|line| line.trim().rsplit(',').next()?.parse::<u64>().ok())
            .sum()
    }
}

impl Stack for Theirs {
    fn name(&self) -> &'static str {
        "mosquitto → Telegraf → InfluxDB"
    }

    fn processes(&self) -> Vec<&'static str> {
        vec!["mosquitto", "telegraf", "influxd"]
    }

    fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    fn points(&mut self) -> u64 {
        self.count("start: 2020-01-01T00:00:00Z")
    }

    fn cost(&self) -> (f64, f64, u64) {
        let (cpu, memory) = [self.mosquitto.id(), self.telegraf.id(), self.influx.pid()]
            .map(process::cost)
            .into_iter()
            .fold((self.spent, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (cpu, memory, bytes_below(self.folder.path()))
    }

    fn kill(&mut self, name: &str) {
        let again = "it started before";
        match name {
            "mosquitto" => {
                end(&mut self.mosquitto);
                self.mosquitto = mosquitto(self.folder.path()).expect(again);
            }
            "telegraf" => {
                end(&mut self.telegraf);
                self.telegraf = telegraf(self.folder.path()).expect(again);
            }
            _ => {
                let address = self.influx.address;
                self.influx.kill();
                self.influx = influx(self.folder.path(), address).expect(again);
            }
        }
    }
}

fn end(child: &mut Child) {
    // It may have ended already.
    child.kill().ok();
    child.wait().ok();
}

impl Drop for Theirs {
    fn drop(&mut self) {
        end(&mut self.telegraf);
        end(&mut self.mosquitto);
    }
}
