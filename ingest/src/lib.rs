//! From raw messages to checked points: sources, decoding by profile, validation, the pipeline.
//!
//! This crate never acknowledges anything, never decides about an alarm and never writes to a field
//! device. What it cannot read it keeps as a dead letter and counts; a bad datum is never an error.
//!
//! Start with [`pipeline::Pipeline`], which follows the journal; then [`decoder::Decoder`], which makes a
//! [`telemetry::Batch`] of a stretch of it; then [`modbus::Poller`], which asks the devices that do not
//! speak by themselves, and [`push`], which looks at what those bring who speak over HTTP.

mod check;
mod decode;
#[cfg(test)]
mod testkit;

pub mod account;
pub mod consumer;
pub mod decoder;
pub mod external;
pub mod history;
pub mod hj212;
pub mod modbus;
pub mod pipeline;
pub mod push;

pub use account::{AccountSettings, Accountant, Totals};
pub use consumer::{BoxError, Consumer};
pub use decoder::{DecodeSettings, Decoder};
pub use pipeline::{Pipeline, PipelineConfig, PipelineError};
