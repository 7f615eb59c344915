//! How the program ends: one line for a person, one code for a script.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use telemetry::with_causes;

use crate::config::Finding;

/// Why the program ends before its time. The numbers are part of the interface (`--help` lists them).
#[derive(Debug)]
pub(crate) enum Failure {
    /// 1: something broke while running.
    Other {
        what: String,
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// 3: a configuration or an input file is wrong. The text names file, line and what to do.
    Input(String),
    /// 4: an address cannot be listened on.
    Address {
        what: &'static str,
        address: std::net::SocketAddr,
        option: &'static str,
        source: std::io::Error,
    },
    /// 5: the data folder cannot be used.
    Data(String),
    /// 6: the disk failed, is full or holds damaged files. Starting again may help; after three times in a row
    /// `serve` starts degraded.
    Storage(String),
}

impl Failure {
    /// Something broke while running; the disk, when the cause says so.
    pub(crate) fn other(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        let storage = store::is_storage_failure(&*source);
        let other = Self::Other {
            what: what.into(),
            source: Some(source),
        };
        if storage {
            Self::Storage(other.text())
        } else {
            other
        }
    }

    /// A file is refused for all of these reasons.
    pub(crate) fn refused(findings: &[Finding]) -> Self {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Self::Input(lines.join("\n"))
    }

    /// The data folder cannot be used; the disk is at fault, when the cause says so.
    pub(crate) fn data(what: &str, source: &(dyn Error + 'static)) -> Self {
        let text = format!("{what}: {}", with_causes(source));
        if store::is_storage_failure(source) {
            Self::Storage(text)
        } else {
            Self::Data(text)
        }
    }

    /// Something broke and there is no deeper cause to name.
    pub(crate) fn plain(what: impl Into<String>) -> Self {
        Self::Other {
            what: what.into(),
            source: None,
        }
    }

    /// The exit code. 2 is the argument parser's: wrong usage.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Other { .. } => 1,
            Self::Input(_) => 3,
            Self::Address { .. } => 4,
            Self::Data(_) => 5,
            Self::Storage(_) => 6,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Other { what, source: None } => what.clone(),
            Self::Other {
                what,
                source: Some(source),
            } => format!("{what}: {}", with_causes(source.as_ref())),
            Self::Input(text) | Self::Data(text) | Self::Storage(text) => text.clone(),
            Self::Address {
                what,
                address,
                option,
                source,
            } => {
                let why = match source.kind() {
                    std::io::ErrorKind::AddrInUse => "another program listens there".to_owned(),
                    std::io::ErrorKind::PermissionDenied => "it needs more rights".to_owned(),
                    _ => source.to_string(),
                };
                format!("cannot listen on {address} for {what}: {why}; choose another with {option}")
            }
        }
    }

    /// Says why on standard error and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        // Nobody is left to tell when standard error is closed.
        let _closed = writeln!(std::io::stderr(), "townwatch: {}", self.text());
        ExitCode::from(self.code())
    }
}
