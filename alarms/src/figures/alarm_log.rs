//! What the figures of alarm health need to know of the log of the alarms.

use std::sync::Arc;

use telemetry::Timestamp;
use telemetry::profile::Title;

use crate::health::Happening;
use crate::health::lasting::Active;

/// A rule that the log speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRule {
    /// `DEVICE/RULE-ID`, `DEVICE/SIGNAL.fault` or `DEVICE.clock`.
    pub id: Arc<str>,
    /// What people call it; none when the rule is gone.
    pub title: Option<Title>,
    /// Place of its device in the catalogue; none when the device is gone.
    pub device: Option<usize>,
}

/// What the log says of a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFacts {
    /// The rules that the rest speaks of, by place.
    pub rules: Vec<LogRule>,
    /// What happened from `from` until before `to`, in order. That somebody was told is not among it.
    pub rows: Vec<Happening>,
    /// What was active just before `to`.
    pub active: Vec<Active>,
    /// From when to when nobody knows: the engine did not run, or the log is not kept for so long. In order; may reach
    /// beyond the period, and overlap.
    pub down: Vec<(Timestamp, Timestamp)>,
}

/// Answers what happened to alarms. Blocking.
pub trait AlarmLog: Send + Sync {
    /// What the log says of `from..to`. An error means that it is not known, which is never "no alarms".
    ///
    /// # Errors
    /// Whatever keeps the log failed.
    fn facts(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<LogFacts, Box<dyn std::error::Error + Send + Sync>>;

    /// Whether there is a rule of that name: `DEVICE/RULE-ID`, or `RULE-ID` of any device.
    fn knows(&self, rule: &str) -> bool;
}
