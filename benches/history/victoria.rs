//! VictoriaMetrics, single node, as Debian ships it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use telemetry::Point;

use crate::data::{Fleet, Series};
use crate::engine::{Engine, Query};
use crate::http::{Server, bytes_below, escape, free_address};

pub(crate) struct Victoria {
    folder: PathBuf,
    server: Server,
}

impl Victoria {
    /// None when Debian's package victoria-metrics is not installed.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        let address = free_address();
        let child = Command::new("victoria-metrics")
            .arg(format!("-storageDataPath={}", folder.display()))
            .arg(format!("-httpListenAddr={address}"))
            .args(["-retentionPeriod=100y", "-search.maxPointsPerTimeseries=1000000"])
            .args(["-search.disableCache", "-search.latencyOffset=0s"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let server = Server::of(child, address, "/health");
        Some(Self {
            folder: folder.to_owned(),
            server,
        })
    }

    /// Every point of `selector`, as lines of JSON; gives how many.
    fn export(&mut self, selector: &str, from: i64, to: i64) -> usize {
        // It takes seconds, as decimals.
        let (start, end) = (from as f64 / 1e3, (to - 1) as f64 / 1e3);
        let path = format!(
            "/api/v1/export?match[]={}&start={start}&end={end}",
            escape(selector)
        );
        let (status, body) = self.server.ask("GET", &path, "", &[]);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let of = |line: &[u8]| {
            let line: serde_json::Value = serde_json::from_slice(line).expect("JSON");
            line.pointer("/values")
                .and_then(|v| v.as_array())
                .map_or(0, Vec::len)
        };
        body.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(of)
            .sum()
    }

    fn query(&mut self, path: &str) -> serde_json::Value {
        let (status, body) = self.server.ask("GET", path, "", &[]);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }
}

fn name(series: &Series) -> String {
    format!(
        "{{__name__=\"tw_{}\",device=\"{}\"}}",
        series.signal, series.device
    )
}

impl Engine for Victoria {
    fn name(&self) -> String {
        "VictoriaMetrics".to_owned()
    }

    fn promise(&self) -> String {
        "Debian's 1.79, line protocol over one connection; answers from memory, on disk some seconds later"
            .to_owned()
    }

    fn prepare(&self, fleet: &Fleet, batch: &[Point]) -> Vec<u8> {
        fleet.lines(batch)
    }

    fn append(&mut self, _: &[Point], wire: Vec<u8>) {
        let (status, body) = self.server.ask("POST", "/write?precision=ms", "", &wire);
        assert_eq!(status, 204, "{}", String::from_utf8_lossy(&body));
    }

    fn settle(&mut self) {
        let (status, _) = self.server.ask("GET", "/internal/force_flush", "", &[]);
        assert_eq!(status, 200);
        let (status, _) = self.server.ask("GET", "/internal/force_merge", "", &[]);
        assert_eq!(status, 200);
        let server = &mut self.server;
        crate::http::wait("nothing is merged any more", || {
            let (_, body) = server.ask("GET", "/metrics", "", &[]);
            let text = String::from_utf8_lossy(&body).into_owned();
            let merging = |line: &str| line.starts_with("vm_active_force_merges") && !line.ends_with(" 0");
            !text.lines().any(merging)
        });
    }

    fn bytes(&self) -> u64 {
        bytes_below(&self.folder.join("data")) + bytes_below(&self.folder.join("indexdb"))
    }

    fn cost(&self) -> (f64, f64) {
        self.server.cost()
    }

    fn ask(&mut self, fleet: &Fleet, query: &Query) -> usize {
        let of = |series: &u32| fleet.series.get(*series as usize).expect("a known series");
        match query {
            Query::Range(series, from, to) => self.export(&name(of(series)), *from, *to),
            Query::Many(series, from, to) => {
                let mut signals: Vec<&str> = series.iter().map(|series| of(series).signal).collect();
                signals.sort_unstable();
                signals.dedup();
                self.export(
                    &format!("{{__name__=~\"tw_({})\"}}", signals.join("|")),
                    *from,
                    *to,
                )
            }
            Query::Latest => {
                let end = crate::data::END / 1000;
                let query = escape("last_over_time({__name__=~\"tw_.*\"}[2d])");
                let answer = self.query(&format!("/api/v1/query?query={query}&time={end}&nocache=1"));
                answer
                    .pointer("/data/result")
                    .and_then(|r| r.as_array())
                    .map_or(0, Vec::len)
            }
            Query::Days(series, from, to) => {
                let name = name(of(series));
                // Four figures, as everybody else gives.
                let mut rows = 0;
                for function in ["count", "min", "max", "sum"] {
                    let query = escape(&format!("{function}_over_time({name}[1d])"));
                    let (start, end) = (from / 1000 + 86_400, to / 1000);
                    let path = format!(
                        "/api/v1/query_range?query={query}&start={start}&end={end}&step=1d&nocache=1"
                    );
                    let answer = self.query(&path);
                    rows = (answer.pointer("/data/result/0/values").and_then(|v| v.as_array()))
                        .map_or(0, Vec::len);
                }
                rows
            }
        }
    }
}
