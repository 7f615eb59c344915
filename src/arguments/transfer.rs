//! The arguments of `export`, `import` and `record`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Place;

pub(crate) const EXPORT_HELP: &str = "Examples:
  townwatch export --data ./townwatch-data --from 2026-11-01 --to 2026-12-01 --output november.csv
  townwatch export --config townwatch.toml --series 'station-*/flow' --series pump-1 --format parquet --output flow.parquet
  townwatch export --data ./townwatch-data --series 'lamp-00??/power' --from 2026-11-23T18:00 | gzip > evening.csv.gz

A server may run meanwhile: what it has acknowledged is in the export, also what it has only in memory and in its journal.
Columns: device, signal, unit (UCUM), time (RFC 3339, UTC), value, quality; ordered by UTC month, device, signal and time.
A value is empty where there never was one. In CSV a text that a spreadsheet would take for a formula begins with '.
A file appears under its name when it is whole; until then it is FILE.part.

Exit codes: 0 done, 2 wrong usage, 3 no series matches or a time cannot be read, 5 the data folder cannot be used,
6 a disk failed, is full or holds damaged files.";

pub(crate) const IMPORT_HELP: &str = "Examples:
  townwatch import --config townwatch.toml --dry-run history.csv
  townwatch import --config townwatch.toml history.csv
  townwatch import --data ./townwatch-data --format lines --precision s old-influx.lp

CSV has a header with device, signal, time and value, and may have unit and quality: the form of townwatch export. Times are
RFC 3339, ms since 1970, or civil in the county's zone. Of line protocol the tag `device` (--device-tag) names the device and
a field the signal, as at /api/v2/write. Devices have to be registered. A value outside of its profile's range is kept as
bad_out_of_range; one in another unit is refused. A line goes in whole or not at all: what does not is named with its line
and its reason and kept in FILE.rejects (--rejects).

No server may run on the folder: send history to a running one over POST /api/v2/write or /api/v1/telemetry. What was
imported raises no alarm. When the command has ended with 0 or 3 every point that it counts is on disk. Compaction
comes last and may take a while; it may be interrupted.

Exit codes: 0 every line went in, 3 some did not, or a file cannot be read, 5 the data folder is in use or cannot be used,
6 a disk failed or is full.";

pub(crate) const RECORD_HELP: &str = "Example:
  townwatch record --config townwatch.toml --from 2026-11-23 --to 2026-11-24 --rules monday.toml --input monday.jsonl
  townwatch replay --rules monday.toml --input monday.jsonl

A server may run meanwhile. The rules are those in force now, with every limit resolved, every signal a point named
DEVICE_SIGNAL; the input holds the messages that are still in the journal, what people did, and each start of the server.
From the server's first start on the replay says what the server said. It cannot know what was open before --from, other
rules of former days, or by how much the wall clock was set. A file appears under its name when it is whole.

Exit codes: 0 done, 2 wrong usage, 3 the configuration or a time cannot be read, 5 the data folder cannot be used,
6 a disk failed, is full or holds damaged files.";

/// The form of an exported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Comma-separated values (RFC 4180) with a header.
    Csv,
    /// Apache Parquet, snappy; needs --output.
    Parquet,
}

/// The form of a file of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// Comma-separated values with a header.
    Csv,
    /// InfluxDB line protocol.
    Lines,
}

/// In what the times of line protocol are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinePrecision {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub place: Place,
    /// From when: a day or a time in the county's zone, RFC 3339, or ms since 1970. Without: from the beginning.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Until when, itself left out. Without: until now.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Which series: DEVICE/SIGNAL or DEVICE, where * stands for any letters and ? for one; may be repeated. Without: all.
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub series: Vec<String>,
    /// Form of the file.
    #[arg(long, value_enum, default_value = "csv")]
    pub format: ExportFormat,
    /// Where to. Without: standard output.
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "parquet"))]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    #[command(flatten)]
    pub place: Place,
    /// From when: a day or a time in the county's zone, RFC 3339, or ms since 1970. Without: from the beginning.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Until when, itself left out. Without: until now.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Where the rules go: TOML.
    #[arg(long, value_name = "FILE")]
    pub rules: PathBuf,
    /// Where the input goes: JSON lines.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub place: Place,
    /// Files of history, in this order: of two values of the same time the later one counts.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Form of the files. Without: CSV, where the name ends in .csv, else line protocol.
    #[arg(long, value_enum)]
    pub format: Option<ImportFormat>,
    /// In what the times of line protocol are counted.
    #[arg(long, value_enum, default_value = "ns")]
    pub precision: LinePrecision,
    /// The tag of line protocol that names the device.
    #[arg(long, value_name = "TAG", default_value = "device")]
    pub device_tag: String,
    /// Where lines go that did not go in. Without: beside each file, its name and .rejects.
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Only say what would become of each line.
    #[arg(long)]
    pub dry_run: bool,
}
