//! `townwatch modbus identify`: what a unit says of itself, without a server.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use ingest::modbus::identify;

use crate::arguments::Identify;
use crate::exit::Failure;

/// Asks the unit and prints what it says.
pub(crate) async fn run(options: &Identify) -> Result<ExitCode, Failure> {
    let patience: Duration = options.timeout.duration();
    let identity = identify(&options.address, options.unit, patience)
        .await
        .map_err(|error| Failure::other("the unit could not be identified", error))?;
    let failed = |error| Failure::other("cannot write to standard output", error);
    let mut out = std::io::stdout();
    if options.json {
        let objects: serde_json::Map<String, serde_json::Value> = identity
            .objects
            .into_iter()
            .map(|(name, text)| (name, text.into()))
            .collect();
        writeln!(out, "{}", serde_json::Value::Object(objects)).map_err(failed)?;
    } else {
        for (name, text) in identity.objects {
            writeln!(out, "{name:<18}{text}").map_err(failed)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
