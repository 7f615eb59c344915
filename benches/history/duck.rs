//! DuckDB (PyPI), driven by a program of its own in Python, where most people meet it.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::data::{self, Fleet};
use crate::engine::{Measured, Query, questions};
use crate::http::bytes_below;
use crate::timed::Timed;

pub(crate) const NAME: &str = "DuckDB";
pub(crate) const PROMISE: &str = "in a Python process; each batch a transaction from NumPy arrays, fsynced; a row a point, checkpointed at the end";

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/.venv/bin/python");
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/history/duck.py");

/// None when its Python or DuckDB is not installed.
pub(crate) fn measure(folder: &Path, fleet: &mut Fleet, days: i64) -> Option<Measured> {
    std::fs::create_dir_all(folder).expect("the folder is ours");
    let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join("points")).expect("a file"));
    let mut points = 0;
    for day in (0..days).rev() {
        for point in fleet.day(data::END - (day + 1) * telemetry::Timestamp::DAY_MS, 1) {
            let (time, value) = (point.sample.time.millis(), point.sample.value);
            // One row as NumPy reads it: <i8, <f8, <u4.
            file.write_all(&time.to_le_bytes()).expect("room");
            file.write_all(&value.to_le_bytes()).expect("room");
            file.write_all(&point.series.0.to_le_bytes()).expect("room");
            points += 1;
        }
    }
    file.flush().expect("room");
    let asked: Vec<Vec<serde_json::Value>> = questions(fleet, days)
        .iter()
        .map(|(_, queries)| queries.iter().map(sql).collect())
        .collect();
    std::fs::write(
        folder.join("questions.json"),
        serde_json::to_vec(&asked).expect("JSON"),
    )
    .expect("room");
    let output = Command::new(PYTHON)
        .args([PROGRAM, &folder.display().to_string(), &data::BATCH.to_string()])
        .output()
        .ok()?;
    if !output.status.success() {
        eprintln_skip(&String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let number = |key: &str| {
        said.get(key)
            .and_then(serde_json::Value::as_f64)
            .expect("a number")
    };
    let queries = said.get("queries").and_then(|q| q.as_array()).expect("a list");
    let timed = |query: &serde_json::Value| {
        let part = |n: usize| {
            query
                .get(n)
                .and_then(serde_json::Value::as_f64)
                .expect("a number")
        };
        let rows = query
            .get(2)
            .and_then(serde_json::Value::as_u64)
            .expect("a whole number");
        Timed {
            p50_ms: part(0),
            p99_ms: part(1),
            rows: usize::try_from(rows).expect("fewer than 2^64"),
        }
    };
    Some(Measured {
        points,
        append_s: number("append_s"),
        settle_s: number("settle_s"),
        cpu_s: number("cpu_s"),
        memory_mib: number("memory_mib"),
        bytes: bytes_below(&folder.join("db")),
        queries: queries.iter().map(timed).collect(),
    })
}

#[expect(clippy::print_stderr, reason = "says why a peer is missing")]
fn eprintln_skip(why: &str) {
    eprintln!(
        "DuckDB is skipped: {}",
        why.lines().last().unwrap_or("it said nothing")
    );
}

fn sql(query: &Query) -> serde_json::Value {
    let text = match query {
        Query::Range(series, from, to) => format!(
            "SELECT time, value FROM point WHERE series = {series} AND time >= {from} AND time < {to} ORDER BY time"
        ),
        Query::Many(series, from, to) => {
            let list: Vec<String> = series.iter().map(u32::to_string).collect();
            format!(
                "SELECT series, time, value FROM point WHERE series IN ({}) AND time >= {from} AND time < {to} ORDER BY series, time",
                list.join(",")
            )
        }
        Query::Latest => {
            "SELECT series, max(time), arg_max(value, time) FROM point GROUP BY series".to_owned()
        }
        Query::Days(series, from, to) => format!(
            "SELECT time // 86400000 AS day, count(*), min(value), max(value), sum(value) FROM point \
             WHERE series = {series} AND time >= {from} AND time < {to} GROUP BY day ORDER BY day"
        ),
    };
    serde_json::Value::String(text)
}
