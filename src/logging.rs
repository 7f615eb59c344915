//! Where log lines go.

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. `TOWNWATCH_LOG` holds a filter and goes before `verbose`.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => "warn,rumqttd=error",
        1 => "debug,rumqttd=warn",
        _ => "trace,rumqttd=info",
    };
    let filter = EnvFilter::try_from_env("TOWNWATCH_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
