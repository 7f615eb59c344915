//! `townwatch check`: what is wrong in a configuration.

use std::io::Write;
use std::process::ExitCode;

use crate::arguments::Check;
use crate::config;
use crate::exit::Failure;

/// Prints the template, or what is wrong in the file.
pub(crate) fn run(options: &Check) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    let printed = |error| Failure::other("cannot write to standard output", error);
    let Some(file) = options.file.as_deref().filter(|_| !options.print) else {
        out.write_all(config::TEMPLATE.as_bytes()).map_err(printed)?;
        return Ok(ExitCode::SUCCESS);
    };
    let findings = config::read(file).err().unwrap_or_default();
    if options.json {
        serde_json::to_writer(&mut out, &findings).map_err(|error| printed(error.into()))?;
        writeln!(out).map_err(printed)?;
    } else if findings.is_empty() {
        writeln!(out, "{}: nothing is wrong", file.display()).map_err(printed)?;
    } else {
        for finding in &findings {
            writeln!(out, "{finding}").map_err(printed)?;
        }
    }
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(3)
    })
}
