//! `townwatch export`: the points of a data folder as CSV or Parquet, beside a running server or without one.

pub(crate) mod cells;
pub(crate) mod desk;
mod feed;
pub(crate) mod folder;
pub(crate) mod moment;
mod selection;
mod table;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use store::series::{Cancel, Outside, SeriesError, SeriesReader, Sinks};
use telemetry::Timestamp;

use crate::arguments::{Export, ExportFormat};
use crate::exit::Failure;
use feed::Feed;
use folder::{Folder, Named};
use table::{Csv, Parquet, Table};

/// What was exported.
#[derive(Serialize)]
struct Exported<'a> {
    points: u64,
    series: usize,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    file: Option<&'a Path>,
    /// Stretches whose samples were let go: only their summaries are left, and they are not in the file.
    summaries_only: u64,
}

/// `townwatch export`.
pub(crate) fn run(options: &Export) -> Result<ExitCode, Failure> {
    if options.place.json && options.output.is_none() {
        let text = "--json needs --output: the points stand on standard output".to_owned();
        return Err(Failure::Input(text));
    }
    let folder = Folder::open(&options.place)?;
    let (from, to) = period(options, &folder)?;
    let series = selection::select(&options.series, folder.series()?)
        .map_err(|why| Failure::Input(format!("--series: {why}")))?;
    let points = folder.points()?;
    let target = Target::open(options.output.as_deref())?;
    let mut table = target
        .table(options.format)
        .map_err(|error| target.failed(error))?;
    let mut feed = Feed::new(&series, &mut *table, feed::tell);
    let between = (from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX));
    let scanned = scan(&points, &series, between, &mut feed);
    let Feed {
        points,
        thinned,
        failed,
        ..
    } = feed;
    if let Some(error) = failed {
        return Err(target.failed(error));
    }
    scanned.map_err(|error| Failure::data("the points cannot be read", &error))?;
    table
        .finish()
        .and_then(|()| target.settle())
        .map_err(|error| target.failed(error))?;
    let exported = Exported {
        points,
        series: series.len(),
        from,
        to,
        file: options.output.as_deref(),
        summaries_only: thinned,
    };
    say(options.place.json, &exported)
}

/// Month by month, and within a month series by series, however the blocks lie: equal points make equal files.
fn scan(
    points: &Outside,
    series: &[Named],
    (from, to): (Timestamp, Timestamp),
    feed: &mut Feed<'_>,
) -> Result<(), SeriesError> {
    for (begin, end) in points.months() {
        let (begin, end) = (begin.max(from), end.min(to));
        if begin >= end {
            continue;
        }
        for (place, named) in series.iter().enumerate() {
            if let Some(sink) = feed.sink(place) {
                points.scan(named.id, begin, end, &Cancel::never(), sink)?;
            }
            if feed.failed.is_some() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn period(options: &Export, folder: &Folder) -> Result<(Option<Timestamp>, Option<Timestamp>), Failure> {
    let zone = folder.zone()?;
    let read = |option: &str, text: &Option<String>| {
        let time = text.as_deref().map(|text| moment::read(text, &zone));
        time.transpose()
            .map_err(|why| Failure::Input(format!("{option}: {why}")))
    };
    let (from, to) = (read("--from", &options.from)?, read("--to", &options.to)?);
    match (from, to) {
        (Some(from), Some(to)) if from >= to => Err(Failure::Input(format!(
            "--from ({from}) is not before --to ({to})"
        ))),
        period => Ok(period),
    }
}

/// Where the file goes.
enum Target {
    Stdout,
    File {
        file: File,
        part: PathBuf,
        whole: PathBuf,
    },
}

impl Target {
    fn open(output: Option<&Path>) -> Result<Self, Failure> {
        let Some(whole) = output else {
            return Ok(Self::Stdout);
        };
        let mut part = OsString::from(whole);
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part)
            .map_err(|error| Failure::other(format!("{} cannot be written", part.display()), error))?;
        let whole = whole.to_owned();
        Ok(Self::File { file, part, whole })
    }

    fn table(&self, format: ExportFormat) -> io::Result<Box<dyn Table>> {
        Ok(match (self, format) {
            (Self::Stdout, _) => Box::new(Csv::new(BufWriter::new(io::stdout()))?),
            (Self::File { file, .. }, ExportFormat::Csv) => {
                Box::new(Csv::new(BufWriter::new(file.try_clone()?))?)
            }
            (Self::File { file, .. }, ExportFormat::Parquet) => {
                Box::new(Parquet::new(BufWriter::new(file.try_clone()?))?)
            }
        })
    }

    /// Gives the whole file its name, once it is on the disk.
    fn settle(&self) -> io::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File { file, part, whole } => {
                file.sync_all()?;
                std::fs::rename(part, whole)
            }
        }
    }

    fn failed(&self, error: io::Error) -> Failure {
        match self {
            Self::Stdout => Failure::other("cannot write to standard output", error),
            Self::File { part, .. } => Failure::other(format!("{} cannot be written", part.display()), error),
        }
    }
}

/// Answers: beside the points on standard error, else on standard output.
fn say(json: bool, exported: &Exported<'_>) -> Result<ExitCode, Failure> {
    let printed = |error| Failure::other("cannot write to standard output", error);
    let mut line = format!("{} points of {} series", exported.points, exported.series);
    if exported.summaries_only > 0 {
        line.push_str(&format!(
            "; of {} stretches only summaries are left, which are not in the file",
            exported.summaries_only
        ));
    }
    match exported.file {
        None => {
            // Who closes standard error does not want to know.
            let _closed = writeln!(io::stderr(), "{line}");
        }
        Some(_) if json => {
            let text = serde_json::to_string(exported).map_err(|error| printed(error.into()))?;
            writeln!(io::stdout(), "{text}").map_err(printed)?;
        }
        Some(file) => writeln!(io::stdout(), "{line} are in {}", file.display()).map_err(printed)?,
    }
    Ok(ExitCode::SUCCESS)
}
