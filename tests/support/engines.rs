//! Real time-series engines, started on free ports in a folder of their own and ended by their process ids.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::mqtt::Client;
use super::peers::Peer;
use super::program::Server;
use super::{http, wait};

/// What the tests log in with.
pub(crate) const TOKEN: &str = "a-token-of-the-tests";

/// What an engine holds of one signal of one device: by time in ms, value and quality (its code, or its name).
pub(crate) type Held = BTreeMap<i64, (f64, String)>;

/// Publishes levels of a sewage station at these times, each acknowledged, and enters them into the account, with `good` or
/// `bad` as the engine tells quality.
pub(crate) fn publish_levels(
    server: &Server,
    device: &str,
    times: impl IntoIterator<Item = i64>,
    account: &mut Held,
    (good, bad): (&str, &str),
) {
    let mut client = Client::connect(server.mqtt, device, "secret").unwrap();
    let topic = format!("tw/v1/{device}/telemetry");
    let mut in_flight = BTreeMap::new();
    let mut times = times.into_iter().peekable();
    while times.peek().is_some() || !in_flight.is_empty() {
        while in_flight.len() < 20
            && let Some(time) = times.next()
        {
            // Level within 0..=4 m is good; every 50th is out of range, and bad.
            let value = if time % 50 == 0 {
                9.5
            } else {
                f64::from(u32::try_from(time % 399).unwrap()) / 100.0
            };
            let payload = format!(r#"{{"ts":{time},"seq":{time},"values":{{"level":{value}}}}}"#);
            in_flight.insert(client.publish(&topic, payload.as_bytes()).unwrap(), (time, value));
        }
        let (time, value) = in_flight.remove(&client.read_puback().unwrap()).unwrap();
        let quality = if time % 50 == 0 { bad } else { good };
        account.insert(time, (value, quality.to_owned()));
    }
}

/// A port that was free a moment ago: these engines do not say which one the system chose.
fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn wait_until_it_listens(name: &str, address: SocketAddr) {
    wait::until(&format!("{name} listens"), wait::LONG, || {
        std::net::TcpStream::connect(address)
            .map(|_| ())
            .map_err(|error| error.to_string())
    });
}

/// InfluxDB 2.7.12.
#[derive(Debug)]
pub(crate) struct Influx {
    binary: PathBuf,
    folder: tempfile::TempDir,
    pub address: SocketAddr,
    peer: Option<Peer>,
}

impl Influx {
    /// Starts one with the organisation `county` and the bucket `townwatch`, which keeps for ever. None where nobody has
    /// built it, which the test then says.
    pub(crate) fn start() -> Option<Self> {
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.cache/influxd-2.7.12/influxd");
        if !binary.exists() {
            println!(
                "SKIPPED: no InfluxDB at {}: tests/run builds it with Go 1.25 or later",
                binary.display()
            );
            return None;
        }
        let mut influx = Self {
            binary,
            folder: tempfile::tempdir().unwrap(),
            address: free_port(),
            peer: None,
        };
        influx.resume();
        let setup = serde_json::json!({
            "username": "tests", "password": "tests-only", "org": "county", "bucket": "townwatch", "token": TOKEN,
        });
        let answer = http::post(influx.address, "/api/v2/setup", &setup).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        Some(influx)
    }

    /// Starts it again, where it was and with what it has on disk.
    pub(crate) fn resume(&mut self) {
        self.run(&[]);
        wait::until("InfluxDB is healthy", wait::LONG, || {
            let answer = http::get(self.address, "/health")?;
            if answer.status == 200 {
                Ok(())
            } else {
                Err(answer.body)
            }
        });
    }

    /// Starts it again; from now on it speaks TLS only.
    pub(crate) fn resume_behind_tls(&mut self, certificate: &Path, key: &Path) {
        let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
        self.run(&["--tls-cert", certificate, "--tls-key", key]);
        wait_until_it_listens("InfluxDB", self.address);
    }

    fn run(&mut self, more: &[&str]) {
        let below = |name: &str| self.folder.path().join(name);
        let log = std::fs::File::create(below("log")).unwrap();
        let child = Command::new(&self.binary)
            .arg("--bolt-path")
            .arg(below("bolt"))
            .arg("--engine-path")
            .arg(below("engine"))
            .arg("--sqlite-path")
            .arg(below("sqlite"))
            .arg("--http-bind-address")
            .arg(self.address.to_string())
            .arg("--reporting-disabled")
            .args(more)
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(log)
            .spawn()
            .unwrap();
        self.peer = Some(Peer(child));
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.peer = None;
    }

    /// Makes a further bucket, which keeps points for so many seconds.
    pub(crate) fn make_bucket(&self, name: &str, keep_s: u64) {
        let authorization = format!("Authorization: Token {TOKEN}\r\n");
        let organisations = http::ask(self.address, "GET", "/api/v2/orgs", &authorization, b"").unwrap();
        let id = organisations.json()["orgs"][0]["id"].as_str().unwrap().to_owned();
        let bucket = serde_json::json!({
            "orgID": id, "name": name, "retentionRules": [{"type": "expire", "everySeconds": keep_s}],
        });
        let body = bucket.to_string();
        let answer = http::send(self.address, "/api/v2/buckets", &authorization, body.as_bytes()).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// What a bucket holds of a signal, asked for by Flux.
    pub(crate) fn held(&self, bucket: &str, device: &str, signal: &str) -> Result<Held, String> {
        let query = format!(
            "from(bucket: \"{bucket}\") |> range(start: 0) |> filter(fn: (r) => r._measurement == \"townwatch\" and \
             r.device == \"{device}\" and r.signal == \"{signal}\") |> group(columns: [\"_field\"]) \
             |> map(fn: (r) => ({{_time: int(v: r._time) / 1000000, _field: r._field, _value: string(v: r._value)}}))"
        );
        let headers = format!("Authorization: Token {TOKEN}\r\nContent-Type: application/vnd.flux\r\n");
        let answer = http::send(
            self.address,
            "/api/v2/query?org=county",
            &headers,
            query.as_bytes(),
        )?;
        if answer.status != 200 {
            return Err(format!("{answer:?}"));
        }
        let mut values: BTreeMap<i64, f64> = BTreeMap::new();
        let mut qualities: BTreeMap<i64, String> = BTreeMap::new();
        let mut columns: Vec<&str> = Vec::new();
        for line in answer.body.lines() {
            let cells: Vec<&str> = line.trim_end().split(',').collect();
            if cells.len() < 2 || cells.contains(&"_value") {
                columns = cells;
                continue;
            }
            let cell = |name: &str| {
                let place = columns.iter().position(|column| *column == name).unwrap();
                cells[place]
            };
            let time: i64 = cell("_time").parse().unwrap();
            // A second row of one field and time would be a second point.
            let twice = if cell("_field") == "value" {
                values.insert(time, cell("_value").parse().unwrap()).is_some()
            } else {
                qualities.insert(time, cell("_value").to_owned()).is_some()
            };
            assert!(!twice, "two points at {time} of {device}/{signal}: {line}");
        }
        if !values.keys().eq(qualities.keys()) {
            return Err("a write is under way: values and qualities differ in their times".to_owned());
        }
        Ok(values
            .into_iter()
            .zip(qualities.into_values())
            .map(|((time, value), quality)| (time, (value, quality)))
            .collect())
    }
}

/// Debian's VictoriaMetrics, a single node.
#[derive(Debug)]
pub(crate) struct Victoria {
    folder: tempfile::TempDir,
    pub address: SocketAddr,
    /// Path that it lies behind.
    prefix: &'static str,
    /// Header lines that let one in.
    headers: &'static str,
    more: Vec<String>,
    peer: Option<Peer>,
}

impl Victoria {
    /// Starts one with these further flags. It takes together samples of one time, as `docs/scale-out.md` asks for.
    pub(crate) fn start(prefix: &'static str, headers: &'static str, more: &[&str]) -> Self {
        let mut victoria = Self {
            folder: tempfile::tempdir().unwrap(),
            address: free_port(),
            prefix,
            headers,
            more: more.iter().map(|&flag| flag.to_owned()).collect(),
            peer: None,
        };
        victoria.resume();
        victoria
    }

    /// Starts it again, where it was and with what it has on disk.
    pub(crate) fn resume(&mut self) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new("victoria-metrics")
            .arg(format!(
                "-storageDataPath={}",
                self.folder.path().join("data").display()
            ))
            .arg(format!("-httpListenAddr={}", self.address))
            .args([
                "-retentionPeriod=10y",
                "-dedup.minScrapeInterval=1ms",
                "-memory.allowedBytes=64MB",
            ])
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "victoria-metrics cannot be started ({error}): run tests/run once, it installs the peers"
                )
            });
        self.peer = Some(Peer(child));
        wait_until_it_listens("VictoriaMetrics", self.address);
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.peer = None;
    }

    fn get(&self, path: &str) -> Result<http::Answer, String> {
        http::ask(
            self.address,
            "GET",
            &format!("{}{path}", self.prefix),
            self.headers,
            b"",
        )
    }

    /// Shows to queries what is only in the buffers of its writers.
    pub(crate) fn flush(&self) -> Result<(), String> {
        self.get("/internal/force_flush").map(|_| ())
    }

    /// What it holds of a signal, in all its series.
    pub(crate) fn held(&self, device: &str, signal: &str) -> Result<Held, String> {
        self.flush()?;
        let selector = format!(
            "%7B__name__%3D%22townwatch_value%22%2Cdevice%3D%22{device}%22%2Csignal%3D%22{signal}%22%7D"
        );
        let answer = self.get(&format!("/api/v1/export?match%5B%5D={selector}&start=0"))?;
        if answer.status != 200 {
            return Err(format!("{answer:?}"));
        }
        let mut held = Held::new();
        for line in answer.body.lines() {
            let series: serde_json::Value =
                serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
            let quality = series["metric"]["quality"].as_str().unwrap();
            let times = series["timestamps"].as_array().unwrap();
            for (time, value) in times.iter().zip(series["values"].as_array().unwrap()) {
                let point = (value.as_f64().unwrap(), quality.to_owned());
                let twice = held.insert(time.as_i64().unwrap(), point);
                assert!(
                    twice.is_none(),
                    "two points at {time} of {device}/{signal}: {line}"
                );
            }
        }
        Ok(held)
    }
}
