//! How far the history is: one line that people can look at.

use std::io::{IsTerminal, Write};

use telemetry::Clock;
use telemetry::time::{Span, SystemClock};

use crate::exit::Failure;

/// What was shown so far.
pub(super) struct Shown {
    clock: SystemClock,
    terminal: bool,
    /// Tenths that were shown.
    tenths: u64,
    done: bool,
}

impl Shown {
    /// Nothing shown yet; without history there is nothing to show.
    pub(super) fn new(history: Span) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            clock: SystemClock::new(),
            terminal,
            tenths: 0,
            done: history == Span::ZERO,
        }
    }

    /// Shows how far it is; true once, when it is complete.
    pub(super) fn progress(&mut self, acknowledged: u64, total: u64) -> Result<bool, Failure> {
        if self.done || total == 0 {
            return Ok(false);
        }
        let failed = |error| Failure::other("cannot write to the terminal", error);
        let seconds = self.clock.monotonic().millis() / 1000;
        if acknowledged >= total {
            self.done = true;
            if self.terminal {
                write!(std::io::stderr(), "\r\x1b[K").map_err(failed)?;
            }
            let mut out = std::io::stdout();
            writeln!(out, "  history complete: {total} records in {seconds} s").map_err(failed)?;
            return out.flush().map(|()| true).map_err(failed);
        }
        let percent = acknowledged.saturating_mul(100) / total;
        let line = format!("  history: {percent:3} % ({acknowledged} of {total} records, {seconds} s)");
        if self.terminal {
            write!(std::io::stderr(), "\r{line}").map_err(failed)?;
        } else if percent / 10 > self.tenths {
            self.tenths = percent / 10;
            writeln!(std::io::stderr(), "{line}").map_err(failed)?;
        }
        Ok(false)
    }
}
