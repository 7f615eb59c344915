//! The wish to stop: Ctrl-C, or SIGTERM from a service manager.

use tokio::signal::unix::{SignalKind, signal};

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
