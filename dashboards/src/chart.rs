//! Charts of signals over time, drawn by plotters as SVG.
//!
//! [`trace`] decides what the line is (segments, gaps, band, marks); [`scale`] decides the axes; `draw`
//! only draws.

mod draw;
pub mod scale;
pub mod trace;

use telemetry::profile::Signal;
use telemetry::time::{Span, Timestamp};

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
}

/// Width of one window of a down-sampled chart: one px of `width`, but never less than 1 ms.
#[must_use]
pub fn window(from: Timestamp, to: Timestamp, width: u32) -> Span {
    let span = u64::try_from(to.millis_since(from)).unwrap_or(0);
    Span::from_millis(span.div_ceil(u64::from(width.max(1))).max(1))
}

/// Whether so many samples are expected that windows must stand in for them: more than two a px.
#[must_use]
pub fn is_dense(from: Timestamp, to: Timestamp, every: Span, width: u32) -> bool {
    let span = u64::try_from(to.millis_since(from)).unwrap_or(0);
    span / every.millis().max(1) > u64::from(width) * 2
}

#[cfg(test)]
mod tests;
