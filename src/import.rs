//! `townwatch import`: history from CSV and line protocol, into a data folder that no server uses.

mod county;
mod intake;
mod rejects;
mod sheet;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use csv::ByteRecord;
use ingest::history::History;
use ingest::push::lines::Precision;
use jiff::tz::TimeZone;
use serde::Serialize;
use store::series::{SeriesConfig, SeriesStore};
use telemetry::Clock;
use telemetry::time::{Span, SystemClock};

use crate::arguments::{Import, ImportFormat, LinePrecision};
use crate::exit::Failure;
use crate::export::folder::zone_of;
use county::County;
use intake::{Counts, Intake};
use rejects::Rejects;
use sheet::Sheet;

/// Lines after which it is told how far the work has come.
const TOLD_EVERY: u64 = 1_000_000;
/// Longest line of line protocol, in bytes: a longer one cannot be told from a file of another kind.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// What was imported.
#[derive(Serialize)]
struct Imported {
    #[serde(flatten)]
    counts: Counts,
    dry_run: bool,
    /// The files with what did not go in.
    rejects: Vec<PathBuf>,
}

/// `townwatch import`.
pub(crate) fn run(options: &Import) -> Result<ExitCode, Failure> {
    if options.rejects.is_some() && options.files.len() > 1 {
        return Err(Failure::Input("--rejects goes with one file".to_owned()));
    }
    let files = open_all(&options.files)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let county = if options.dry_run {
        County::look(&options.place)?
    } else {
        County::hold(&options.place)?
    };
    let store = match options.dry_run {
        true => None,
        false => Some(open_store(&county, &clock)?),
    };
    let mut work = Work {
        options,
        history: History::new(Arc::clone(&county.catalogue)),
        zone: zone_of(&county.catalogue)?,
        intake: Intake::new(store.as_ref(), clock.now(), &county.keep),
        rejects: Vec::new(),
    };
    for (path, file) in files {
        work.file(path, file)?;
    }
    work.intake.write().map_err(not_written)?;
    let imported = Imported {
        counts: work.intake.counts,
        dry_run: options.dry_run,
        rejects: work.rejects,
    };
    say(options.place.json, &imported)?;
    if let Some(store) = &store {
        // The points are on disk; what follows makes them small and quick to ask.
        store.compact().map_err(not_written)?;
        store.close().map_err(not_written)?;
    }
    Ok(if imported.counts.rejected == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Failure::Input(String::new()).code())
    })
}

/// Opens every file before anything is written.
fn open_all(paths: &[PathBuf]) -> Result<Vec<(&Path, File)>, Failure> {
    let open = |path: &'_ PathBuf| {
        File::open(path)
            .map_err(|error| Failure::Input(format!("{} cannot be read: {error}", path.display())))
    };
    paths
        .iter()
        .map(|path| Ok((path.as_path(), open(path)?)))
        .collect()
}

fn open_store(county: &County, clock: &Arc<dyn Clock>) -> Result<SeriesStore, Failure> {
    let config = SeriesConfig {
        keep: county.keep.longest,
        // Nothing is let go here: the server knows how long what stays.
        care_every: Span::TEXT_MAX,
        ..SeriesConfig::default()
    };
    SeriesStore::open(&county.path, config, Arc::clone(clock))
        .map_err(|error| Failure::data("the series store cannot be used", &error))
}

fn not_written(error: store::series::SeriesError) -> Failure {
    Failure::other(
        "not everything was imported; import again, it changes nothing that is there",
        error,
    )
}

/// The work on all files.
struct Work<'a> {
    options: &'a Import,
    history: History,
    zone: TimeZone,
    intake: Intake<'a>,
    rejects: Vec<PathBuf>,
}

impl Work<'_> {
    fn file(&mut self, path: &Path, file: File) -> Result<(), Failure> {
        let is_csv = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let of_name = if is_csv {
            ImportFormat::Csv
        } else {
            ImportFormat::Lines
        };
        let mut rejects = match self.options.format.unwrap_or(of_name) {
            ImportFormat::Csv => self.sheet(path, file)?,
            ImportFormat::Lines => self.lines(path, file)?,
        };
        rejects.finish().map_err(|error| unkept(&error))?;
        self.intake.counts.rejected += rejects.count;
        self.rejects.extend(rejects.path().map(Path::to_owned));
        Ok(())
    }

    fn rejects(&self, path: &Path, header: Option<ByteRecord>) -> Rejects {
        let beside = || {
            let mut name = OsString::from(path);
            name.push(".rejects");
            PathBuf::from(name)
        };
        let to = self.options.rejects.clone().unwrap_or_else(beside);
        Rejects::new(to, header, !self.options.dry_run)
    }

    fn sheet(&mut self, path: &Path, file: File) -> Result<Rejects, Failure> {
        let unread = |why: String| Failure::Input(format!("{}:1: {why}", path.display()));
        let mut sheet = Sheet::open(file).map_err(unread)?;
        let header = sheet.header();
        let mut rejects = self.rejects(path, Some(header));
        while let Some(line) = sheet.next() {
            self.begin_line(path);
            let (number, broken) = (line.number, line.broken.clone());
            let cells = line.cells.clone();
            let place = format!("{}:{number}", path.display());
            if let Some(why) = broken {
                return Err(Failure::Input(format!("{place}: {why}")));
            }
            let taken = sheet.reading(&self.history, &self.zone);
            let taken = taken.and_then(|(reading, worse)| {
                self.intake.check(&[reading])?;
                Ok((reading, worse))
            });
            match taken {
                Ok((reading, worse)) => {
                    self.intake.counts.judged_bad += u64::from(worse);
                    self.intake.take(&[reading]).map_err(not_written)?;
                }
                Err(why) => rejects
                    .keep(&place, &why, &cells)
                    .map_err(|error| unkept(&error))?,
            }
        }
        Ok(rejects)
    }

    fn lines(&mut self, path: &Path, file: File) -> Result<Rejects, Failure> {
        let precision = match self.options.precision {
            LinePrecision::Ns => Precision::Nanoseconds,
            LinePrecision::Us => Precision::Microseconds,
            LinePrecision::Ms => Precision::Milliseconds,
            LinePrecision::S => Precision::Seconds,
        };
        let mut rejects = self.rejects(path, None);
        let mut reader = BufReader::new(file);
        let (mut bytes, mut readings) = (Vec::new(), Vec::new());
        for number in 1u64.. {
            bytes.clear();
            let mut bounded = io::Read::take(&mut reader, LINE_BYTES_MAX);
            let read = bounded.read_until(b'\n', &mut bytes);
            let place = format!("{}:{number}", path.display());
            let read = read.map_err(|error| Failure::Input(format!("{place}: {error}")))?;
            if read == 0 {
                break;
            }
            if read as u64 == LINE_BYTES_MAX {
                let why = format!("a line is longer than {LINE_BYTES_MAX} bytes: this is no line protocol");
                return Err(Failure::Input(format!("{place}: {why}")));
            }
            let line = bytes.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            self.begin_line(path);
            readings.clear();
            let taken = std::str::from_utf8(line)
                .map_err(|_| "not UTF-8".to_owned())
                .and_then(|line| {
                    let tag = &self.options.device_tag;
                    self.history.line(line, precision, tag, &mut readings)
                })
                .and_then(|()| self.intake.check(&readings));
            match taken {
                Ok(()) => {
                    let worse = readings.iter().filter(|(_, sample)| sample.quality.is_bad());
                    self.intake.counts.judged_bad += worse.count() as u64;
                    self.intake.take(&readings).map_err(not_written)?;
                }
                Err(why) => {
                    let cells = ByteRecord::from(vec![line]);
                    rejects
                        .keep(&place, &why, &cells)
                        .map_err(|error| unkept(&error))?;
                }
            }
        }
        Ok(rejects)
    }

    fn begin_line(&mut self, path: &Path) {
        self.intake.counts.lines += 1;
        if self.intake.counts.lines.is_multiple_of(TOLD_EVERY) {
            let lines = self.intake.counts.lines;
            // Who closes standard error does not want to know.
            let _closed = writeln!(io::stderr(), "{lines} lines read, in {}", path.display());
        }
    }
}

fn unkept(error: &io::Error) -> Failure {
    let text = format!("the lines that did not go in cannot be written down: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull => Failure::Storage(text),
        _ => Failure::Input(text),
    }
}

fn say(json: bool, imported: &Imported) -> Result<(), Failure> {
    let printed = |error| Failure::other("cannot write to standard output", error);
    let mut out = io::stdout();
    if json {
        let text = serde_json::to_string(imported).map_err(|error| printed(error.into()))?;
        writeln!(out, "{text}").map_err(printed)?;
    } else {
        let Counts {
            lines,
            rejected,
            points,
            repeated,
            judged_bad,
        } = imported.counts;
        let done = if imported.dry_run {
            "could be imported; nothing was changed (--dry-run)"
        } else {
            "are imported and on disk"
        };
        writeln!(out, "{points} points of {lines} lines {done}").map_err(printed)?;
        for (count, what) in [
            (
                repeated,
                "points of a time that stands there twice: the later one counts",
            ),
            (judged_bad, "points are bad by their profile, and kept as such"),
            (rejected, "lines did not go in"),
        ] {
            if count > 0 {
                writeln!(out, "{count} {what}").map_err(printed)?;
            }
        }
        for file in &imported.rejects {
            writeln!(out, "they stand in {}", file.display()).map_err(printed)?;
        }
    }
    out.flush().map_err(printed)
}
