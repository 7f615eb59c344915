//! The seam to the field: the state of polled units, identification, and the few values that may be written.

use std::future::Future;
use std::pin::Pin;

use serde::Serialize;

use crate::book::Moment;

/// An answer that takes its time.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The polled units, as the web sees them: a poller in the program.
pub trait Field: Send + Sync {
    /// The state of a device's link; `None` when the device is not polled.
    fn link(&self, device: &str) -> Option<LinkView>;

    /// Writes a value, in the signal's unit, and reads it back.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing was written.
    fn write<'a>(
        &'a self,
        device: &'a str,
        signal: &'a str,
        value: f64,
    ) -> Later<'a, Result<Written, WriteError>>;

    /// What the unit says of itself: names and texts.
    ///
    /// # Errors
    /// Why it says nothing, for a person.
    fn identify<'a>(&'a self, device: &'a str) -> Later<'a, Result<Vec<(String, String)>, String>>;
}

/// The state of the link to one polled unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkView {
    /// Its line, e.g. `tcp:10.0.0.7:502` or `rtu:/dev/ttyS1,9600,none,1`.
    pub line: String,
    /// Its unit id.
    pub unit: u8,
    /// `not_asked`, `answers`, `silent` or `backing_off`.
    pub state: &'static str,
    /// Polls in a row that brought nothing.
    pub failures: u32,
    /// When it answered last.
    pub last_answer: Option<Moment>,
    /// Why its last failed read failed.
    pub last_failure: Option<&'static str>,
    /// Polls since the start.
    pub polls: u64,
    /// Polls left out because its line was busy.
    pub skipped_cycles: u64,
    /// Reads that it answered by an exception.
    pub exceptions: u64,
}

/// What became of a write that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Written {
    /// Whether the unit confirmed the write.
    pub answered: bool,
    /// What the register held afterwards, in the signal's unit; null when it could not be read.
    pub read_back: Option<f64>,
    /// Whether that is exactly what was to be written.
    pub confirmed: bool,
}

/// Why nothing was written: one line for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Configuration or profile do not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// The value may not be written.
    #[error("{0}")]
    Value(String),
    /// The unit or its line could not take it.
    #[error("{0}")]
    Failed(String),
    /// Too much waits; asking again helps.
    #[error("{0}")]
    Busy(String),
}

/// A field without any polled unit.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoField;

impl Field for NoField {
    fn link(&self, _device: &str) -> Option<LinkView> {
        None
    }

    fn write<'a>(
        &'a self,
        device: &'a str,
        _signal: &'a str,
        _value: f64,
    ) -> Later<'a, Result<Written, WriteError>> {
        let refused = WriteError::Forbidden(format!("{device} is not polled"));
        Box::pin(std::future::ready(Err(refused)))
    }

    fn identify<'a>(&'a self, device: &'a str) -> Later<'a, Result<Vec<(String, String)>, String>> {
        Box::pin(std::future::ready(Err(format!("{device} is not polled"))))
    }
}
