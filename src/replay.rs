//! `townwatch replay`: the alarm engine on a virtual clock, without a server.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use alarms::replay::{self, ReplayError};
use telemetry::with_causes;

use crate::arguments::Replay;
use crate::exit::Failure;

/// Plays the input and prints what comes of it. What was printed before a refused line stands.
pub(crate) fn run(options: &Replay) -> Result<ExitCode, Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let played = replay::run(&options.rules, &options.input, options.until, &mut out);
    let written = out.flush();
    match played {
        Ok(()) => {}
        Err(ReplayError::Write(error)) => {
            return Err(Failure::other("cannot write to standard output", error));
        }
        Err(error) => return Err(Failure::Input(with_causes(&error))),
    }
    written.map_err(|error| Failure::other("cannot write to standard output", error))?;
    Ok(ExitCode::SUCCESS)
}
