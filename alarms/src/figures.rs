//! The figures of the county: computed numbers that can be audited.
//!
//! [`Figures::compute`] answers with a [`Figure`]: the number with its formula, policy, numerator,
//! denominator, what was excluded and why, the share unknown, and the way to the readings behind it.
//! Nothing is estimated in silence. Files here either decide (`colour`, `reduction`, `lamp_night`: pure,
//! over plain inputs) or do (`coverage`, `totaliser`, `volume`, `lighting`, `gas`: read and gather).
//!
//! Start with [`form`] (what a figure looks like), then `coverage`, the simplest of them.

mod alarm_log;
mod asked;
mod case_facts;
mod cases;
mod colour;
mod coverage;
mod facts;
pub mod form;
mod gas;
mod health;
mod lamp_night;
mod lighting;
mod policy;
mod reduction;
mod scope;
mod service_facts;
mod stations;
mod sun;
mod tanks;
mod totaliser;
mod volume;

use std::sync::Arc;

use store::series::{SeriesError, SeriesReader};
use telemetry::time::Clock;
use telemetry::{Catalogue, SiteId, Timestamp};

pub use alarm_log::{AlarmLog, LogFacts, LogRule};
pub use case_facts::{CaseFact, CaseFacts, NoCases};
pub use colour::{Cause, Colour};
pub use facts::{AlarmFact, AlarmFacts};
pub use form::{
    Bound, Course, Excluded, Figure, Formula, Moment, Part, PolicyRef, Relation, Step, Unknown, Variant,
};
pub use gas::UnitState;
pub use health::HealthPolicy;
pub use policy::{Policy, PolicyError};
pub(crate) use scope::is_rule;
pub use scope::{Scope, ScopeError};
pub use sun::{Night, Sun, SunError};

use asked::Asked;

/// Longest period of a figure, in days. Longer ones are refused: ask year by year.
pub const PERIOD_DAYS_MAX: i64 = 400;

/// Why a figure could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// There is no figure of that name.
    #[error("there is no figure {name:?}; there are {}", Figures::names().join(", "))]
    Name {
        /// As asked.
        name: String,
    },
    /// The period is empty, too long, or has not begun.
    #[error("the period from {from} to {to} {why}")]
    Period {
        /// As asked, or the default.
        from: Timestamp,
        /// As asked, or the default.
        to: Timestamp,
        /// What is wrong.
        why: String,
    },
    /// No registered place or rule belongs to the scope, or the figure knows no rules.
    #[error("no registered place or rule of this figure belongs to {scope}")]
    Scope {
        /// As asked.
        scope: String,
    },
    /// The readings could not be read.
    #[error("the readings could not be read")]
    Series(#[from] SeriesError),
    /// The alarms of a site could not be read; without them its colour is not known.
    #[error("the alarms of {site} could not be read")]
    Alarms {
        /// Which site.
        site: SiteId,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The cases could not be read, or there are too many of them in the period.
    #[error("the cases could not be read")]
    Cases(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The log of the alarms could not be read, or nobody keeps one. Not known is not "no alarms".
    #[error("the log of the alarms could not be read")]
    Log(#[source] Box<dyn std::error::Error + Send + Sync>),
}

type Computer = fn(&Asked<'_>) -> Result<Figure, FigureError>;

/// Every figure by name, in the order of pages.
const TABLE: [(&str, Computer); 20] = [
    ("sewage_om_coverage", coverage::compute),
    ("sewage_volume", volume::compute),
    ("sewage_cod_reduction", reduction::cod),
    ("sewage_nh3n_reduction", reduction::nh3n),
    ("lighting_rate", lighting::compute),
    ("gas_hazard", gas::compute),
    ("case_handling_rate", cases::handling),
    ("case_in_time_handling_rate", cases::in_time_handling),
    ("case_closure_rate", cases::closure),
    ("case_in_time_closure_rate", cases::in_time_closure),
    ("case_rework_rate", cases::rework),
    ("case_backlog", cases::backlog),
    ("alarm_rate", health::rate),
    ("alarm_flood", health::flood),
    ("alarm_chattering", health::chattering),
    ("alarm_fleeting", health::fleeting),
    ("alarm_stale", health::stale),
    ("alarm_top_ten", health::top_ten),
    ("alarm_priority_mix", health::priority_mix),
    ("alarm_unauthorised_suppression", health::unauthorised_suppression),
];

/// The name of every figure of alarm health begins so: only those know rules as scopes.
const OF_ALARMS: &str = "alarm_";

/// Computes the figures of one county.
pub struct Figures {
    catalogue: Arc<Catalogue>,
    series: Arc<dyn SeriesReader>,
    alarms: Arc<dyn AlarmFacts>,
    cases: Arc<dyn CaseFacts>,
    health: Option<(Arc<dyn AlarmLog>, HealthPolicy)>,
    policy: Policy,
    clock: Arc<dyn Clock>,
    sun: Arc<Sun>,
    /// Places in [`Catalogue::devices`] by place in [`Catalogue::sites`].
    devices: Vec<Vec<usize>>,
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Figures")
            .field("policy", &self.policy.id)
            .finish_non_exhaustive()
    }
}

impl Figures {
    /// # Errors
    /// [`SunError`] when the county's zone or position does not exist.
    pub fn new(
        catalogue: Arc<Catalogue>,
        series: Arc<dyn SeriesReader>,
        alarms: Arc<dyn AlarmFacts>,
        policy: Policy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SunError> {
        let county = &catalogue.registry().county;
        let lighting = &policy.lighting_rate;
        let sun = Sun::new(
            county.position,
            &county.zone,
            lighting.on_after_sunset,
            lighting.off_before_sunrise,
        )?;
        let mut devices = vec![Vec::new(); catalogue.sites().len()];
        for (place, entry) in catalogue.devices().iter().enumerate() {
            if let Some(of_site) = devices.get_mut(entry.site) {
                of_site.push(place);
            }
        }
        Ok(Self {
            catalogue,
            series,
            alarms,
            cases: Arc::new(NoCases),
            health: None,
            policy,
            clock,
            sun: Arc::new(sun),
            devices,
        })
    }

    /// The same, with the figures of those cases; without it there are none.
    #[must_use]
    pub fn with_cases(self, cases: Arc<dyn CaseFacts>) -> Self {
        Self { cases, ..self }
    }

    /// The same, with the health of the alarm system as that log tells it; without it nobody knows it.
    #[must_use]
    pub fn with_alarm_log(self, log: Arc<dyn AlarmLog>, policy: HealthPolicy) -> Self {
        Self {
            health: Some((log, policy)),
            ..self
        }
    }

    /// The names of all figures, in the order of pages.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        TABLE.iter().map(|(name, _)| *name).collect()
    }

    /// The sun over the county, as the lighting rate sees it.
    #[must_use]
    pub fn sun(&self) -> &Arc<Sun> {
        &self.sun
    }

    /// The policy pack in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Computes a figure. Blocks on disk: call it from a blocking thread.
    ///
    /// Times in the future count as now. Without `from` and `to` each figure takes its own period:
    /// coverage and hazard now, volume and reductions the last seven complete civil days and today,
    /// the lighting rate the last complete night, cases the civil year to date, alarm health the last thirty complete civil
    /// days and today.
    ///
    /// # Errors
    /// [`FigureError`] when the name, the scope or the period make no sense, or the store fails.
    pub fn compute(
        &self,
        name: &str,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        scope: &Scope,
    ) -> Result<Figure, FigureError> {
        let Some((_, compute)) = TABLE.iter().find(|(known, _)| *known == name) else {
            let name = name.chars().take(80).collect();
            return Err(FigureError::Name { name });
        };
        let exists = match scope {
            Scope::Rule(rule) => name.starts_with(OF_ALARMS) && self.has_rule(rule),
            _ => scope.exists(&self.catalogue),
        };
        if !exists {
            let scope = scope.to_string();
            return Err(FigureError::Scope { scope });
        }
        let asked = Asked {
            catalogue: &self.catalogue,
            devices: &self.devices,
            series: self.series.as_ref(),
            alarms: self.alarms.as_ref(),
            cases: self.cases.as_ref(),
            health: self.health.as_ref().map(|(log, policy)| (log.as_ref(), policy)),
            policy: &self.policy,
            sun: &self.sun,
            now: self.clock.now(),
            from,
            to,
            scope,
        };
        let mut figure = compute(&asked)?;
        if let Some((_, policy)) = (self.health.as_ref()).filter(|_| name.starts_with(OF_ALARMS)) {
            health::withhold(policy, &mut figure);
        }
        figure.seal();
        Ok(figure)
    }

    fn has_rule(&self, rule: &str) -> bool {
        self.health.as_ref().is_none_or(|(log, _)| log.knows(rule))
    }
}

#[cfg(test)]
mod testkit;
