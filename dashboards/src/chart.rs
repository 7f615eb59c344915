//! Charts of signals over time, drawn by plotters as SVG.
//!
//! [`trace`] decides what the line is (segments, gaps, band, marks); [`scale`] decides the axes; `draw`
//! only draws.

mod draw;
pub mod scale;
pub mod trace;

use telemetry::profile::Signal;
use telemetry::time::Timestamp;

pub use draw::{DrawError, svg};
use trace::Trace;

use crate::civil::Civil;
use crate::text::Lang;

/// Everything that one chart shows.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// The signal: title, unit, decimals and names of states.
    pub signal: &'a Signal,
    /// What is drawn.
    pub trace: Trace,
    /// First instant of the axis.
    pub from: Timestamp,
    /// Last instant of the axis.
    pub to: Timestamp,
    /// Whole width, in px, 200 to 2000.
    pub width: u32,
    /// Whole height, in px, 100 to 1000.
    pub height: u32,
    /// Language of the texts.
    pub lang: Lang,
    /// The county's calendar.
    pub civil: &'a Civil,
    /// Lines that stand for bounds, each with what is written at it. With any, the axis begins at 0.
    pub bounds: Vec<(f64, String)>,
}

#[cfg(test)]
mod tests;
