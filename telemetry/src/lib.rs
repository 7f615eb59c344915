//! The nouns of Townwatch: what a datum is, where it comes from and what may be said of it.
//!
//! This crate holds types and pure rules only. It never opens a socket or a file, never reads the
//! system clock except through [`time::SystemClock`], and imports nothing else of ours. Every other
//! crate imports it.
//!
//! Start with [`message::RawMessage`] (what arrived), then [`sample::Point`] (what it meant), then
//! [`profile::Profile`] (how one became the other) and [`catalogue::Catalogue`] (whose it was).

mod backoff;
pub mod batch;
pub mod catalogue;
mod cause;
pub mod id;
pub mod ledger;
pub mod limits;
pub mod message;
pub mod namur;
pub mod profile;
pub mod quality;
pub mod registry;
pub mod sample;
pub mod time;

pub use backoff::Backoff;
pub use batch::{Batch, DeadLetter};
pub use catalogue::{Catalogue, DeviceEntry};
pub use cause::with_causes;
pub use id::{DeviceId, IdError, SignalName, SiteId};
pub use ledger::Ledger;
pub use message::{Lsn, Origin, RawMessage};
pub use profile::Profile;
pub use quality::{Bad, Quality, Uncertain};
pub use sample::{Point, Sample, SeriesId};
pub use time::{Clock, Timestamp};
