//! `townwatch device import` and `export`: many at once.

use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::{Desk, failure, private};
use crate::access::office::{Issued, NewDevice, NewPassword, OfficeError};
use crate::access::sheet::{self, Line};
use crate::arguments::{ExportDevices, ImportDevices};
use crate::exit::Failure;

#[derive(Serialize)]
struct Imported<'a> {
    devices: usize,
    dry_run: bool,
    secrets: Option<&'a PathBuf>,
    /// `now` or `next_start`.
    takes_effect: &'static str,
}

/// Adds all devices of a file, or none.
pub(super) fn import(options: &ImportDevices) -> Result<ExitCode, Failure> {
    let shown = options.file.display();
    let file = std::fs::File::open(&options.file)
        .map_err(|error| Failure::Input(format!("{shown} cannot be read: {error}")))?;
    let lines = sheet::read(file).map_err(|mistakes| {
        let lines: Vec<String> = mistakes
            .iter()
            .map(|mistake| format!("{shown}:{mistake}"))
            .collect();
        Failure::Input(lines.join("\n"))
    })?;
    let makes = lines.iter().any(|line| line.device.password == NewPassword::Made);
    let desk = Desk::open(&options.place)?;
    let out = match &options.out {
        None if makes && !options.dry_run => {
            return Err(Failure::Input(
                "passwords would be made: say with --out FILE where they are to be written".to_owned(),
            ));
        }
        out => out.as_ref().filter(|_| makes),
    };
    let devices: Vec<NewDevice> = lines.iter().map(|line| line.device.clone()).collect();
    let kept = Cell::new(None);
    let result = desk.office.add_devices(&devices, &desk.by, |issued| {
        if options.dry_run {
            // Everything was checked; nothing stays.
            return Err(OfficeError::DryRun);
        }
        if let Some(path) = out {
            keep(path, issued)?;
            kept.set(Some(path));
        }
        Ok(())
    });
    match result {
        Ok(_) => {}
        Err((_, OfficeError::DryRun)) => {}
        Err((place, error)) => {
            if let Some(path) = kept.get() {
                // Passwords of devices that were not added are worth nothing; a leftover would only confuse.
                std::fs::remove_file(path).ok();
            }
            return Err(named(&shown.to_string(), &lines, place, error));
        }
    }
    let count = devices.len();
    let text = if options.dry_run {
        vec![format!(
            "{count} devices could be added; nothing was changed (--dry-run)"
        )]
    } else {
        let mut text = vec![format!("{count} devices are added")];
        text.extend(out.map(|path| {
            format!(
                "their passwords stand in {}, and nowhere else: only hashes are kept",
                path.display()
            )
        }));
        text.push(
            "a server that is running does not know them yet: they take effect at the next start".to_owned(),
        );
        text
    };
    let answer = Imported {
        devices: count,
        dry_run: options.dry_run,
        secrets: out.filter(|_| !options.dry_run),
        takes_effect: "next_start",
    };
    desk.say(&answer, &text)
}

/// An error with the line of the device that it is about.
fn named(file: &str, lines: &[Line], place: usize, error: OfficeError) -> Failure {
    match (lines.get(place), failure(error)) {
        (Some(line), Failure::Input(text)) => Failure::Input(format!("{file}:{}: {text}", line.line)),
        (_, failure) => failure,
    }
}

/// Writes the passwords down before the devices become final: a password that is lost would be found out in the field.
fn keep(path: &PathBuf, issued: &[Issued]) -> Result<(), OfficeError> {
    let cannot = |error: &dyn std::fmt::Display| {
        OfficeError::File(format!("{} cannot be written: {error}", path.display()))
    };
    let file = private(path).map_err(|error| cannot(&error))?;
    let written = sheet::write_secrets(&file, issued)
        .map_err(std::io::Error::other)
        .and_then(|()| file.sync_all());
    written.map_err(|error| {
        std::fs::remove_file(path).ok();
        cannot(&error)
    })
}

/// Writes all devices as CSV, without their secrets.
pub(super) fn export(options: &ExportDevices) -> Result<ExitCode, Failure> {
    let desk = Desk::open(&options.place)?;
    let devices = desk.office.devices().map_err(failure)?;
    let mut bytes = Vec::new();
    sheet::write_devices(&mut bytes, &devices).map_err(|error| Failure::other("cannot write CSV", error))?;
    match &options.out {
        None => std::io::stdout()
            .lock()
            .write_all(&bytes)
            .map_err(|error| Failure::other("cannot write to standard output", error))?,
        Some(path) => std::fs::write(path, &bytes)
            .map_err(|error| Failure::Input(format!("{} cannot be written: {error}", path.display())))?,
    }
    Ok(ExitCode::SUCCESS)
}
