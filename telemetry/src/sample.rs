//! A value with its time and quality, and whose it is.

use crate::quality::{Bad, Quality};
use crate::time::Timestamp;

/// One signal of one device over time, as a small number. Given out once by the registry in the state
/// database and never reused; [`crate::Catalogue::series`] leads back to device and signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u32);

/// A value at a time. Booleans are 0 and 1, states are the numbers that the profile names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was so: event time, from the device where its clock can be believed.
    pub time: Timestamp,
    /// In the unit of the signal's profile. Always finite: what was not finite is 0 with a bad quality.
    pub value: f64,
    /// How far it may be trusted.
    pub quality: Quality,
}

impl Sample {
    /// The value, in the unit of the signal's profile; none where there never was one, so that nobody takes the stored 0 for a
    /// reading.
    #[must_use]
    pub const fn reading(&self) -> Option<f64> {
        match self.quality {
            Quality::Bad(Bad::WrongType | Bad::NotFinite | Bad::Exception | Bad::NoAnswer) => None,
            Quality::Good | Quality::Uncertain(_) | Quality::Bad(_) => Some(self.value),
        }
    }
}

/// A sample on its way from a message to the store, the alarms and the pages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Whose value it is.
    pub series: SeriesId,
    /// The value with its event time and quality.
    pub sample: Sample,
    /// When its message arrived here.
    pub arrived: Timestamp,
    /// The device marked it as back-fill: recorded, charted and counted, but it pages nobody.
    pub backfill: bool,
}
