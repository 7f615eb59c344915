//! `townwatch replay`: the very engine on a virtual clock, over a file of rules and a file of input, printing every transition and
//! notice as JSON lines. The forms are described in `docs/rules.md`; others build on them.
//!
//! The same files give the same output to the byte. `file.rs` reads rules, `input.rs` reads input, `player.rs` plays it, `line.rs`
//! prints.

mod file;
mod input;
mod line;
mod player;
pub mod record;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use telemetry::Timestamp;
use telemetry::time::Span;

pub use file::{Compiled, RulesError};
pub use input::InputError;

use input::InputLine;
use player::Player;

/// Longest line of input, in bytes. Longer: refused with its number.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file cannot be read.
    #[error("{path} cannot be read", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The rules are refused.
    #[error("{path}: the rules are refused", path = path.display())]
    Rules {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: RulesError,
    },
    /// A line of the input is refused.
    #[error("{path}: line {line} is refused", path = path.display())]
    Input {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        source: InputError,
    },
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Write(#[source] std::io::Error),
}

/// Plays `input` under `rules` and writes every transition and notice to `out`, until the last line of input or until
/// `until` on the scale of `at`.
///
/// # Errors
/// [`ReplayError`], with the number of the line for what is wrong in the input; what was printed before it stands.
pub fn run(rules: &Path, input: &Path, until: Option<Span>, out: &mut impl Write) -> Result<(), ReplayError> {
    let compiled = compile(rules)?;
    let source = std::fs::File::open(input).map_err(|source| ReplayError::Read {
        path: input.to_owned(),
        source,
    })?;
    let folder = input.parent().unwrap_or_else(|| Path::new("."));
    let mut lines = BufReader::new(source);
    let mut player = Player::new(compiled, folder.to_owned());
    let until = until.map(|until| Timestamp::from_millis(until.millis_i64()));
    let (mut number, mut text) = (0_usize, Vec::new());
    loop {
        text.clear();
        number += 1;
        let refused = |source: InputError| ReplayError::Input {
            path: input.to_owned(),
            line: number,
            source,
        };
        let read = std::io::Read::take(&mut lines, LINE_BYTES_MAX as u64 + 1)
            .read_until(b'\n', &mut text)
            .map_err(|source| ReplayError::Read {
                path: input.to_owned(),
                source,
            })?;
        if read == 0 {
            break;
        }
        if text.len() > LINE_BYTES_MAX {
            return Err(refused(InputError::TooLong));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let line = InputLine::parse(&text).map_err(refused)?;
        if until.is_some_and(|until| line.at > until) {
            break;
        }
        let played = player.play(line, out);
        played.map_err(|error| error.at(refused))?;
    }
    player.end(until, out).map_err(ReplayError::Write)
}

/// Reads and compiles a file of rules.
///
/// # Errors
/// [`ReplayError::Read`] or [`ReplayError::Rules`].
pub fn compile(rules: &Path) -> Result<Compiled, ReplayError> {
    let text = std::fs::read_to_string(rules).map_err(|source| ReplayError::Read {
        path: rules.to_owned(),
        source,
    })?;
    Compiled::parse(&text).map_err(|source| ReplayError::Rules {
        path: rules.to_owned(),
        source,
    })
}
