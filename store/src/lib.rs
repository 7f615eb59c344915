//! What is on disk: the journal (raw messages, in order, before anything is acknowledged), the series
//! store (points, compressed, by day), what the gate must not forget (sessions and what waits in them) and
//! the state database (everything else).
//!
//! This crate never decodes a payload, never decides about an alarm and never opens a socket. Everything
//! durable lies in SQLite files of one data directory, each with one writer.
//!
//! Start with [`journal`], the only thing between a device and its acknowledgement; then [`series`],
//! where the points go; then [`kept`] and [`state`].

mod durable;
mod form;
pub mod journal;
pub mod kept;
pub mod reserve;
pub mod series;
pub mod state;
pub mod testkit;
