//! The wishes that come as signals: to stop, by Ctrl-C or SIGTERM, and to read files anew, by SIGHUP.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn asked() -> Result<(), Failure> {
    let failed = |error| Failure::other("cannot wait for signals", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// SIGHUP, which does not end the program from now on.
pub(crate) fn hangup() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(|error| Failure::other("cannot wait for signals", error))
}
