//! Points out of a data folder and into another: export beside a running server, import, and files that others read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::support::mqtt::Client;
use crate::support::program::{Setup, call, command};
use crate::support::{ask, county, peers, wait};

/// Readings of each station.
const READINGS: i64 = 700;
/// One reading every 4 minutes: over two days.
const STEP_MS: i64 = 240_000;

/// Fetches a page into a file, as urllib of Python does: it knows when an answer is not whole.
fn fetch(url: &str, file: &Path) {
    let get = "import sys, urllib.request as r; open(sys.argv[2], 'wb').write(r.urlopen(sys.argv[1]).read())";
    let output = peers::run(text(&peers::python()), &["-c", get, url, text(file)]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What DuckDB and pandas find in a Parquet file.
fn read_parquet(file: &Path) -> Vec<Value> {
    let script = peers::script("read_parquet.py");
    let output = peers::run(text(&peers::python()), &[text(&script), text(file)]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a station says at reading `n`: quarters, so that sums are exact; every 50th is beyond the range of 0 to 5 m3/h,
/// every 70th is a text.
fn flow(station: i64, n: i64) -> Option<f64> {
    if n % 70 == 3 {
        return None;
    }
    let quarters = (n * 7 + station * 3) % 20;
    let far = if n % 50 == 7 { 40 } else { 0 };
    Some(f64::from(i32::try_from(quarters + far).unwrap()) / 4.0)
}

/// Stations `-station-0` and `-station-1` with readings that end now; when the first was.
fn load(setup: &Setup) -> (crate::support::program::Server, i64) {
    let server = setup.start();
    let begin = ask::now() - READINGS * STEP_MS;
    for station in 0..2 {
        let id = format!("-station-{station}");
        let mut client = Client::connect(server.mqtt, &id, "secret").unwrap();
        let all: Vec<i64> = (0..READINGS).collect();
        for part in all.chunks(100) {
            let readings: Vec<String> = part
                .iter()
                .map(|n| {
                    let ts = begin + n * STEP_MS;
                    let value = flow(station, *n).map_or("\"broken\"".to_owned(), |value| value.to_string());
                    format!(r#"{{"ts":{ts},"values":{{"flow":{value},"level":1.5}},"backfill":true}}"#)
                })
                .collect();
            let payload = format!("[{}]", readings.join(","));
            let topic = format!("tw/v1/{id}/telemetry");
            client.publish_acked(&topic, payload.as_bytes()).unwrap();
        }
    }
    (server, begin)
}

fn setup() -> Setup {
    let mut registry = county::HEAD.to_owned();
    for station in 0..2 {
        registry += &county::mqtt_device(&format!("-station-{station}"), "sewage-station-small");
    }
    Setup::new(&registry, "")
}

/// Count, values, sum, first, last, good ones: of the flow of a station, as generated.
fn expected(station: i64, begin: i64) -> Value {
    let all: Vec<Option<f64>> = (0..READINGS).map(|n| flow(station, n)).collect();
    let values: Vec<f64> = all.iter().flatten().copied().collect();
    let good = values.iter().filter(|value| **value <= 5.0).count();
    serde_json::json!([
        format!("-station-{station}"),
        "flow",
        "m3/h",
        all.len(),
        values.len(),
        values.iter().sum::<f64>(),
        begin,
        begin + (READINGS - 1) * STEP_MS,
        good
    ])
}

#[test]
fn what_a_running_server_has_acknowledged_is_exported_as_it_was_generated() {
    // Given a running server that has just acknowledged two days of readings, all of them in memory and journal,
    let setup = setup();
    let (server, begin) = load(&setup);
    let (data, folder) = (setup.data(), setup.path());
    // when they are exported as CSV to standard output and as Parquet into a file,
    let series = ["--series", "-station-?/flow"];
    let (code, csv, said) = call(
        &[
            &["export", "--data", text(&data)][..],
            &[&format!("--series={}", series[1])],
        ]
        .concat(),
    );
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1400 points of 2 series"), "{said}");
    let parquet = folder.join("flow.parquet");
    let into = [
        "export",
        "--data",
        text(&data),
        "--series=-station-?/flow",
        "--format",
        "parquet",
        "--output",
        text(&parquet),
        "--json",
    ];
    let (code, told, said) = call(&into);
    assert_eq!(code, 0, "{said}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["points"], &told["series"]),
        (&1400.into(), &2.into()),
        "{told}"
    );
    assert!(!folder.join("flow.parquet.part").exists());
    // then DuckDB and pandas read in the Parquet file what was generated,
    let answers = read_parquet(&parquet);
    let wanted: Value = (0..2).map(|station| expected(station, begin)).collect();
    assert_eq!(answers[0]["series"], wanted, "DuckDB");
    assert_eq!(answers[1]["series"], wanted, "pandas");
    // and so does CSV, in which no device is a formula,
    assert!(
        csv.starts_with("device,signal,unit,time,value,quality\n'-station-0,flow,m3/h,20"),
        "{csv:.200}"
    );
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[4].is_empty() {
            assert_eq!(cells[5], "bad_wrong_type", "{line}");
        }
        *sums.entry(cells[0]).or_default() += cells[4].parse().unwrap_or(0.0);
    }
    let sums: Vec<Value> = sums.into_values().map(Value::from).collect();
    assert_eq!(sums, [wanted[0][5].clone(), wanted[1][5].clone()]);
    // and a part of the time is that part.
    let (from, to) = (
        (begin + 10 * STEP_MS).to_string(),
        (begin + 20 * STEP_MS).to_string(),
    );
    let piece = [
        "export",
        "--data",
        text(&data),
        "--series=-station-1/flow",
        "--from",
        &from,
        "--to",
        &to,
    ];
    let (code, ten, said) = call(&piece);
    assert_eq!((code, ten.lines().count()), (0, 11), "{said}");
    // The running server gives the same over its API, in both forms.
    let address = format!(
        "http://{}/api/v1/export?series=-station-%3F/flow&from={begin}",
        server.web
    );
    let (streamed, columns) = (folder.join("streamed.csv"), folder.join("streamed.parquet"));
    wait::until("the server has taken everything in", wait::LONG, || {
        fetch(&address, &streamed);
        let streamed = std::fs::read_to_string(&streamed).unwrap();
        let rows = |csv: &str| csv.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        if rows(&streamed) == rows(&csv) {
            Ok(())
        } else {
            Err(format!("{} rows", streamed.lines().count()))
        }
    });
    fetch(&format!("{address}&format=parquet"), &columns);
    assert_eq!(read_parquet(&columns), answers);
    // When the server has stopped, and all of it is in days, the export is the same.
    assert!(server.stop().success());
    let (code, after, said) = call(&["export", "--data", text(&data), "--series=-station-?/flow"]);
    assert_eq!(code, 0, "{said}");
    assert!(after == csv, "after the stop there is something else");
}

#[test]
fn an_export_that_cannot_be_says_why() {
    let setup = setup();
    let data = setup.data();
    let (code, _, said) = call(&["export", "--data", text(&data)]);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("is no data folder"), "{said}");
    assert!(setup.start().stop().success());
    for (more, wanted, word) in [
        (&["--series", "pump-*"][..], 3, "no series is like \"pump-*\""),
        (&["--from", "yesterday"][..], 3, "is no time"),
        (
            &["--from", "2026-11-23", "--to", "2026-11-22"][..],
            3,
            "is not before",
        ),
        (&["--format", "parquet"][..], 2, "--output"),
        (&["--json"][..], 3, "--json needs --output"),
    ] {
        let (code, _, said) = call(&[&["export", "--data", text(&data)], more].concat());
        assert_eq!(code, wanted, "{said}");
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn what_was_exported_and_imported_elsewhere_is_exported_the_same() {
    // Given the export of everything of a county that has stopped, the server's own readings among it,
    let setup_1 = setup();
    let (server, _) = load(&setup_1);
    assert!(server.stop().success());
    let first = setup_1.path().join("first.csv");
    let (code, _, said) = call(&[
        "export",
        "--data",
        text(&setup_1.data()),
        "--output",
        text(&first),
    ]);
    assert_eq!(code, 0, "{said}");
    // when it is looked at, nothing is made;
    let setup_2 = setup();
    let config = setup_2.path().join("townwatch.toml");
    let (code, told, said) = call(&[
        "import",
        "--config",
        text(&config),
        "--dry-run",
        "--json",
        text(&first),
    ]);
    assert_eq!(code, 0, "{said}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(told["points"].as_u64().unwrap() > 2800, "{told}");
    assert!(!setup_2.data().exists());
    // and when it is imported into a new folder,
    let (code, said_out, said) = call(&["import", "--config", text(&config), text(&first)]);
    assert_eq!(code, 0, "{said}");
    let points = told["points"].as_u64().unwrap();
    assert!(
        said_out.starts_with(&format!("{points} points of {points} lines are imported")),
        "{said_out}"
    );
    // then the export of that folder is the same file, and everything in it is sound;
    let second = setup_2.path().join("second.csv");
    let (code, _, said) = call(&[
        "export",
        "--data",
        text(&setup_2.data()),
        "--output",
        text(&second),
    ]);
    assert_eq!(code, 0, "{said}");
    let (first_bytes, second_bytes) = (std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
    assert!(first_bytes == second_bytes, "the files differ");
    // so it is after a second import, and to a server that starts on it, which raises nothing for history.
    let (code, _, said) = call(&["import", "--data", text(&setup_2.data()), text(&first)]);
    assert_eq!(code, 0, "{said}");
    let (code, said, _) = call(&["verify", text(&setup_2.data())]);
    assert_eq!(code, 0, "{said}");
    let server = setup_2.start();
    let (from, to) = (ask::now() - READINGS * STEP_MS - 600_000, ask::now());
    assert_eq!(ask::points(server.web, "-station-1", "flow", from, to).len(), 700);
    let (code, _, said) = call(&["import", "--data", text(&setup_2.data()), text(&first)]);
    assert_eq!(code, 5, "{said}");
    assert!(
        said.contains("in use by another townwatch") && said.contains("/api/v2/write"),
        "{said}"
    );
    assert!(server.stop().success());
    let (_, again, _) = call(&["export", "--data", text(&setup_2.data()), "--series=-station-*"]);
    let (_, wanted, _) = call(&["export", "--data", text(&setup_1.data()), "--series=-station-*"]);
    assert!(again == wanted);
}

#[test]
fn bad_lines_are_named_and_kept_and_the_good_ones_go_in() {
    // Given a file with one good line, one beyond its range, and one of each mistake,
    let setup = setup();
    let (config, data) = (setup.path().join("townwatch.toml"), setup.data());
    let (now, file) = (ask::now(), setup.path().join("history.csv"));
    let hour = |n: i64| now - n * 3_600_000;
    let mut lines = vec!["device,signal,unit,time,value,quality".to_owned()];
    for cells in [
        format!("'-station-0,flow,m3/h,{},2.5,", hour(1)),
        format!("'-station-0,flow,m3/h,{},7.5,good", hour(2)),
        format!("'-station-0,flow,L/s,{},2.5,", hour(3)),
        format!("'-station-0,flow,m3/h,{},two,", hour(3)),
        format!("'-station-0,flow,m3/h,{},,", hour(3)),
        format!("'-station-0,flow,m3/h,{},NaN,", hour(3)),
        "'-station-0,flow,m3/h,yesterday,2.5,".to_owned(),
        format!("'-station-0,flow,m3/h,{},2.5,", now + 3_600_000),
        format!("'-station-0,flow,m3/h,{},2.5,", hour(401 * 24)),
        format!("'-station-0,flow,m3/h,{},2.5,superb", hour(3)),
        format!("station-9,flow,m3/h,{},2.5,", hour(3)),
        format!("'-station-0,smell,m3/h,{},2.5,", hour(3)),
        "'-station-0,flow".to_owned(),
    ] {
        lines.push(cells);
    }
    std::fs::write(&file, lines.join("\n")).unwrap();
    // when it is imported,
    let (code, told, said) = call(&["import", "--config", text(&config), "--json", text(&file)]);
    // then two points are in, the rest is named with its line and reason,
    assert_eq!(code, 3, "{said}");
    let told: Value = serde_json::from_str(&told).unwrap();
    let counts = ["lines", "points", "judged_bad", "rejected"].map(|name| told[name].as_u64().unwrap());
    assert_eq!(counts, [13, 2, 1, 11], "{told}");
    for (line, why) in [
        (4, "its unit is \"L/s\", that of the signal is \"m3/h\""),
        (5, "\"two\" is no number"),
        (6, "it has no value"),
        (7, "\"NaN\" is no finite number"),
        (8, "\"yesterday\" is no time"),
        (9, "is in the future"),
        (10, "is older than what is kept (400 days, data.keep)"),
        (11, "there is no quality \"superb\""),
        (12, "the device \"station-9\" is not registered"),
        (13, "the device -station-0 has no signal \"smell\""),
        (14, "time is missing"),
    ] {
        let found = said
            .lines()
            .find(|said| said.contains(&format!("history.csv:{line}: ")));
        assert!(
            found.is_some_and(|said| said.contains(why)),
            "{line}: {why}: {said}"
        );
    }
    // and kept in a file that can be imported once it is mended.
    let rejects = setup.path().join("history.csv.rejects");
    assert_eq!(told["rejects"], serde_json::json!([text(&rejects)]));
    let kept = std::fs::read_to_string(&rejects).unwrap();
    assert_eq!(kept.lines().count(), 12, "{kept}");
    assert!(
        kept.starts_with("device,signal,unit,time,value,quality,why\n'-station-0,flow,L/s,"),
        "{kept}"
    );
    let mended = setup.path().join("mended.csv");
    let good: Vec<&str> = kept.lines().take(2).collect();
    std::fs::write(&mended, good.join("\n").replace("flow,L/s", "flow,m3/h")).unwrap();
    let (code, _, said) = call(&["import", "--data", text(&data), text(&mended)]);
    assert_eq!(code, 0, "{said}");
    let (_, csv, _) = call(&["export", "--data", text(&data), "--series=-station-0/flow"]);
    let values: Vec<&str> = csv
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once("Z,"))
        .map(|(_, rest)| rest)
        .collect();
    assert_eq!(values, ["2.5,good", "7.5,bad_out_of_range", "2.5,good"], "{csv}");
    // A file that is none of ours is refused with the line that says so.
    std::fs::write(&file, "id,name\n1,2\n").unwrap();
    let (code, _, said) = call(&["import", "--data", text(&data), text(&file)]);
    assert_eq!(code, 3);
    assert!(said.contains("history.csv:1: unknown column \"id\""), "{said}");
}

#[test]
fn what_an_import_has_counted_outlives_a_kill_and_line_protocol_goes_in_too() {
    // Given line protocol of four days, with a few bad lines,
    let setup = setup();
    let (config, data) = (setup.path().join("townwatch.toml"), setup.data());
    let (now, file) = (ask::now() / 1000, setup.path().join("old.lp"));
    let mut lines = vec!["# from an old InfluxDB".to_owned()];
    let mut sum = 0.0;
    for n in 0..4000i64 {
        let value = f64::from(i32::try_from(n % 16).unwrap()) / 4.0;
        sum += value;
        lines.push(format!(
            "sewage,device=-station-0,town=x flow={value},pump_1_run=t {}",
            now - n * 86
        ));
    }
    lines.push("sewage,device=-station-0 flow=1 ".to_owned());
    lines.push("sewage,device=-station-0 flow=\"much\" 1".to_owned());
    lines.push("sewage flow=1 1".to_owned());
    std::fs::write(&file, lines.join("\n")).unwrap();
    // when it is imported, and killed as soon as it has counted,
    let mut import = command();
    import.args([
        "import",
        "--config",
        text(&config),
        "--precision",
        "s",
        "--json",
        text(&file),
    ]);
    let mut import = import
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut told = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(import.stdout.take().unwrap()),
        &mut told,
    )
    .unwrap();
    import.kill().unwrap();
    import.wait().unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    let counts = ["lines", "points", "rejected"].map(|name| told[name].as_u64().unwrap());
    assert_eq!(counts, [4003, 8000, 3], "{told}");
    // then every point is there,
    let (code, csv, said) = call(&["export", "--data", text(&data), "--series=-station-0/*"]);
    assert_eq!(code, 0, "{said}");
    let (mut found, mut states) = (0.0, 0);
    for line in csv.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        match cells[1] {
            "flow" => found += cells[4].parse::<f64>().unwrap(),
            _ => states += i32::from(cells[4] == "1" && cells[5] == "good"),
        }
    }
    assert_eq!((found.to_bits(), states), (sum.to_bits(), 4000));
    // and the lines that did not go in are kept as they were, behind their reasons.
    let kept = std::fs::read_to_string(setup.path().join("old.lp.rejects")).unwrap();
    let kept: Vec<&str> = kept.lines().collect();
    assert!(
        kept[0].starts_with('#') && kept[0].ends_with("old.lp:4002: the line has no time"),
        "{kept:?}"
    );
    assert_eq!(kept[1], "sewage,device=-station-0 flow=1");
    assert!(
        kept[2].ends_with("flow is a text, not a number") && kept[4].ends_with("no tag device"),
        "{kept:?}"
    );
}
