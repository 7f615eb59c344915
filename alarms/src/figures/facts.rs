//! What the figures need to know of the alarms.

use telemetry::{DeviceId, SiteId, Timestamp};

/// One life of an alarm, as far as the colour of a unit depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmFact {
    /// Code of the rule, e.g. `GAS-L2-03`; a device before it, as in `panel/GAS-L2-03`, does not matter.
    pub rule: Box<str>,
    /// Whose.
    pub device: DeviceId,
    /// When it was raised, by event time.
    pub raised: Timestamp,
    /// When its cause went away; none while it stands.
    pub returned: Option<Timestamp>,
    /// When somebody acknowledged it; none while nobody has.
    pub acknowledged: Option<Timestamp>,
}

/// Answers what alarms a site has or lately had. Blocking.
pub trait AlarmFacts: Send + Sync {
    /// The alarms of `site` that were raised at or before `at` and, at `at`, had not returned, had not
    /// been acknowledged, or had returned or been acknowledged after `since`. In any order; more than
    /// that does no harm. An error means that the alarms are not known, which is never "no alarms".
    ///
    /// # Errors
    /// Whatever keeps the alarms failed.
    fn facts(
        &self,
        site: &SiteId,
        since: Timestamp,
        at: Timestamp,
    ) -> Result<Vec<AlarmFact>, Box<dyn std::error::Error + Send + Sync>>;
}
