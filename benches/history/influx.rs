//! InfluxDB 2.7, the binary that `tests/run` builds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use telemetry::Point;

use crate::data::{Fleet, Series};
use crate::engine::{Engine, Query};
use crate::http::{Server, bytes_below, free_address};

const BINARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/.cache/influxd-2.7.12/influxd");
const HEAD: &str = "Authorization: Token bench\r\n";

pub(crate) struct Influx {
    folder: PathBuf,
    server: Server,
}

impl Influx {
    /// None when it was not built.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("the folder is ours");
        let address = free_address();
        let path = |name: &str| folder.join(name).display().to_string();
        let child = Command::new(BINARY)
            .args(["--bolt-path", &path("bolt"), "--engine-path", &path("engine")])
            .args([
                "--sqlite-path",
                &path("sqlite"),
                "--http-bind-address",
                &address.to_string(),
            ])
            .args(["--reporting-disabled", "--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut server = Server::of(child, address, "/health");
        let setup = br#"{"username":"bench","password":"bench-bench","org":"bench","bucket":"bench","token":"bench"}"#;
        let (status, body) = server.ask("POST", "/api/v2/setup", "", setup);
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
        Some(Self {
            folder: folder.to_owned(),
            server,
        })
    }

    /// Rows of the answer to a Flux query, as CSV without annotations.
    fn query(&mut self, flux: &str) -> usize {
        let head = format!("{HEAD}Content-Type: application/vnd.flux\r\nAccept: application/csv\r\n");
        let (status, body) = self
            .server
            .ask("POST", "/api/v2/query?org=bench", &head, flux.as_bytes());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        // Tables have a head and an empty line between them.
        let is_row = |line: &&[u8]| line.len() > 2 && !line.starts_with(b",result");
        body.split(|byte| *byte == b'\n').filter(is_row).count()
    }
}

fn time(ms: i64) -> String {
    telemetry::Timestamp::from_millis(ms).to_rfc3339()
}

fn one(series: &Series) -> String {
    format!(
        "|> filter(fn: (r) => r._measurement == \"tw\" and r._field == \"{}\" and r.device == \"{}\")",
        series.signal, series.device
    )
}

impl Engine for Influx {
    fn name(&self) -> String {
        "InfluxDB 2.7.12".to_owned()
    }

    fn promise(&self) -> String {
        "line protocol over one connection; answers after an fsync of its WAL".to_owned()
    }

    fn prepare(&self, fleet: &Fleet, batch: &[Point]) -> Vec<u8> {
        fleet.lines(batch)
    }

    fn append(&mut self, _: &[Point], wire: Vec<u8>) {
        let path = "/api/v2/write?org=bench&bucket=bench&precision=ms";
        let (status, body) = self.server.ask("POST", path, HEAD, &wire);
        assert_eq!(status, 204, "{}", String::from_utf8_lossy(&body));
    }

    /// It has no command for it: what is there after ten seconds without a change counts.
    fn settle(&mut self) {
        let mut before = (0, crate::process::now());
        crate::http::wait("its files change no more", || {
            let bytes = bytes_below(&self.folder.join("engine"));
            if bytes != before.0 {
                before = (bytes, crate::process::now());
            }
            before.1.elapsed().as_secs() >= 10
        });
    }

    fn bytes(&self) -> u64 {
        bytes_below(&self.folder.join("engine"))
    }

    fn cost(&self) -> (f64, f64) {
        self.server.cost()
    }

    fn ask(&mut self, fleet: &Fleet, query: &Query) -> usize {
        let of = |series: &u32| fleet.series.get(*series as usize).expect("a known series");
        let range = |from: i64, to: i64| {
            format!(
                "from(bucket: \"bench\") |> range(start: {}, stop: {})",
                time(from),
                time(to)
            )
        };
        let keep = "|> keep(columns: [\"_time\", \"_value\", \"device\", \"_field\"])";
        let flux = match query {
            Query::Range(series, from, to) => format!("{} {} {keep}", range(*from, *to), one(of(series))),
            Query::Many(series, from, to) => {
                let mut signals: Vec<&str> = series.iter().map(|series| of(series).signal).collect();
                signals.sort_unstable();
                signals.dedup();
                let any: Vec<String> = signals
                    .iter()
                    .map(|signal| format!("r._field == \"{signal}\""))
                    .collect();
                format!(
                    "{} |> filter(fn: (r) => {}) {keep}",
                    range(*from, *to),
                    any.join(" or ")
                )
            }
            Query::Latest => {
                let end = crate::data::END;
                format!("{} |> last() {keep}", range(end - 2 * 86_400_000, end))
            }
            Query::Days(series, from, to) => format!(
                "data = {} {}\nwindow = (fn) => data |> aggregateWindow(every: 1d, fn: fn) {keep}\n\
                 window(fn: count) |> yield(name: \"count\")\nwindow(fn: min) |> yield(name: \"min\")\n\
                 window(fn: max) |> yield(name: \"max\")\nwindow(fn: sum) |> yield(name: \"sum\")",
                range(*from, *to),
                one(of(series))
            ),
        };
        self.query(&flux)
    }
}
