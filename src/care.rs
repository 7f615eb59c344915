//! `townwatch backup`, `restore`, `verify` and `repair`: the words around [`store::care`].

mod progress;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use store::care::backup::{self, Order};
use store::care::folder::LOCK_FILE;
use store::care::verify::{Finding, Part, Report};
use store::care::{CareError, Manifest, repair, restore, verify};
use telemetry::time::SystemClock;

use crate::arguments::{Backup, Place, Repair, Restore, Verify};
use crate::config;
use crate::data_folder::DataFolder;
use crate::exit::Failure;
use progress::Told;

/// `townwatch backup`.
pub(crate) fn back_up(options: &Backup) -> Result<ExitCode, Failure> {
    let data = folder_of(&options.place)?;
    let order = Order {
        data: &data,
        to: &options.to,
        townwatch: env!("CARGO_PKG_VERSION"),
    };
    let mut told = Told::new("copying");
    let manifest = backup::take(&order, &SystemClock::new(), &mut |progress| told.tell(progress))
        .map_err(|error| failure("nothing was backed up", error, Side::Data))?;
    let place = options.to.display();
    let lines = [
        format!(
            "{} is backed up to {place}: {}",
            data.display(),
            sum_of(&manifest)
        ),
        format!(
            "it shows {}; townwatch verify {place} looks at every block of it",
            manifest.taken_at
        ),
    ];
    say(options.place.json, &manifest, &lines)?;
    Ok(ExitCode::SUCCESS)
}

/// `townwatch restore`.
pub(crate) fn put_back(options: &Restore) -> Result<ExitCode, Failure> {
    let failed = |error| failure("nothing was restored", error, Side::Backup);
    // Before the folder is made: whether there is anything to put there.
    restore::inspect(&options.from).map_err(failed)?;
    let data = DataFolder::hold(&options.data)?;
    let mut told = Told::new("copying");
    let clock = SystemClock::new();
    let manifest = restore::restore(&options.from, data.path(), &clock, &mut |progress| {
        told.tell(progress)
    })
    .map_err(failed)?;
    let place = options.data.display();
    let lines = [
        format!(
            "{place} holds what the backup shows, {}: {}",
            manifest.taken_at,
            sum_of(&manifest)
        ),
        "start the server with the configuration and the registry file of that time".to_owned(),
    ];
    say(options.json, &manifest, &lines)?;
    Ok(ExitCode::SUCCESS)
}

/// `townwatch verify`.
pub(crate) fn look(options: &Verify) -> Result<ExitCode, Failure> {
    let _held = DataFolder::hold_if_used(&options.folder)?;
    let mut told = Told::new("looking at");
    let report = verify::verify(&options.folder, &mut |progress| told.tell(progress))
        .map_err(|error| failure("nothing was looked at", error, Side::Data))?;
    let mut lines: Vec<String> = report.findings.iter().map(describe).collect();
    lines.push(closing(&options.folder, &report));
    say(options.json, &report, &lines)?;
    Ok(if report.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Failure::Storage(String::new()).code())
    })
}

/// `townwatch repair`.
pub(crate) fn mend(options: &Repair) -> Result<ExitCode, Failure> {
    let data = DataFolder::hold_if_used(&options.data)?;
    if data.is_none() {
        return Err(Failure::Data(format!(
            "{} is no data folder of townwatch: there is no {LOCK_FILE}",
            options.data.display()
        )));
    }
    let mut told = Told::new("looking at");
    let repaired = repair::repair(&options.data, &SystemClock::new(), &mut |progress| {
        told.tell(progress)
    })
    .map_err(|error| failure("it was not repaired", error, Side::Data))?;
    let mut lines: Vec<String> = repaired.found.iter().map(describe).collect();
    match &repaired.quarantine {
        None => lines.push("nothing is wrong, nothing was changed".to_owned()),
        Some(place) => lines.push(format!("what is damaged is set aside in {}", place.display())),
    }
    lines.extend(
        repaired
            .left
            .iter()
            .map(|finding| format!("not repaired, restore a backup: {}", describe(finding))),
    );
    say(options.json, &repaired, &lines)?;
    Ok(if repaired.left.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Failure::Storage(String::new()).code())
    })
}

/// The data folder that is meant.
fn folder_of(place: &Place) -> Result<PathBuf, Failure> {
    let Some(file) = &place.config else {
        return Ok(place.data.clone().unwrap_or_default());
    };
    let checked = config::read(file).map_err(|findings| Failure::refused(&findings))?;
    Ok(config::beside(file, &checked.config.data.folder))
}

/// Which folder a refusal is about: it decides about the exit code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The data folder is read, the other written.
    Data,
    /// The backup is read, the data folder written.
    Backup,
}

fn failure(what: &str, error: CareError, side: Side) -> Failure {
    let text = format!("{what}: {}", telemetry::with_causes(&error));
    match error {
        CareError::NotEmpty { .. } if side == Side::Backup => Failure::Data(text),
        CareError::NotEmpty { .. } | CareError::NotWhole { .. } | CareError::Altered { .. } => {
            Failure::Input(text)
        }
        CareError::NoData { .. }
        | CareError::Newer { .. }
        | CareError::IsBackup { .. }
        | CareError::Unknown { .. } => Failure::Data(text),
        CareError::NoRoom { .. } => Failure::Storage(text),
        CareError::Trimmed { .. } | CareError::Io { .. } | CareError::Engine { .. } | CareError::State(_) => {
            Failure::other(what, error)
        }
    }
}

/// How much it is, in words.
fn sum_of(manifest: &Manifest) -> String {
    let bytes: u64 = manifest.files.iter().map(|file| file.size_bytes).sum();
    format!(
        "{} files, {:.1} MiB, {} points in days, messages {} to {} of the journal",
        manifest.files.len(),
        bytes as f64 / f64::from(1 << 20),
        manifest.points,
        manifest.cursors.journal_oldest,
        manifest.cursors.journal_newest
    )
}

fn closing(folder: &Path, report: &Report) -> String {
    let looked = format!(
        "{} files, {} blocks with {} points, {} messages, {} rows",
        report.files, report.blocks, report.points, report.messages, report.rows
    );
    match report.findings.len() {
        0 => format!("{}: nothing is wrong ({looked})", folder.display()),
        1 => format!("{}: 1 thing is wrong ({looked})", folder.display()),
        many => format!("{}: {many} things are wrong ({looked})", folder.display()),
    }
}

/// One finding in one line.
fn describe(finding: &Finding) -> String {
    let Finding { file, what, why } = finding;
    let named = |device: &Option<String>, signal: &Option<String>, series: u32| match (device, signal) {
        (Some(device), Some(signal)) => format!("{device}/{signal}"),
        _ => format!("series {series}"),
    };
    match what {
        Part::File | Part::Newer | Part::Position | Part::Between => format!("{file}: {why}"),
        Part::Block {
            series,
            device,
            signal,
            from,
            to,
            points,
            ..
        } => {
            let many = points.map_or_else(String::new, |points| format!(", {points} points"));
            format!(
                "{file}: {} from {from} to {to}{many}: {why}",
                named(device, signal, *series)
            )
        }
        Part::Latest {
            series,
            device,
            signal,
        } => {
            format!(
                "{file}: the newest sample of {}: {why}",
                named(device, signal, *series)
            )
        }
        Part::Batch {
            first,
            count,
            from,
            to,
        } => {
            let last = first.saturating_add(*count).saturating_sub(1);
            let when = match (from, to) {
                (Some(from), Some(to)) => format!(", arrived {from} to {to}"),
                _ => String::new(),
            };
            format!("{file}: messages {first} to {last}{when}: {why}")
        }
        Part::Kept { room, key } => format!("{file}: row {key} of room {room}: {why}"),
    }
}

/// Answers with one JSON value, or with lines for people.
fn say(json: bool, value: &impl Serialize, lines: &[String]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let printed = |error| Failure::other("cannot write to standard output", error);
    if json {
        serde_json::to_writer(&mut out, value).map_err(|error| printed(error.into()))?;
        writeln!(out).map_err(printed)?;
    } else {
        for line in lines {
            writeln!(out, "{line}").map_err(printed)?;
        }
    }
    Ok(())
}
