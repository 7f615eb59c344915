//! The cases of the server: their rules from the configuration, their service, and what follows the log of the alarms.

use std::path::Path;
use std::sync::Arc;

use alarms::AlarmService;
use alarms::cases::{Calendar, CaseService, Deadlines, LiveEvidence, Rules};
use store::series::SeriesStore;

use super::Plan;
use crate::config::{self, Config};
use crate::exit::Failure;

/// What cases are decided by, as the configuration in `file` says.
pub(crate) fn read_rules(file: &Path, config: &Config) -> Result<Rules, Failure> {
    let settings = config.cases.clone();
    let calendar = match &settings.calendar {
        None => Calendar::builtin(),
        Some(named) => {
            let (shown, text) = config::read_named(file, named, "calendar")?;
            Calendar::parse(&shown, &text)
        }
    };
    let deadlines = match &settings.deadlines {
        None => Deadlines::builtin(),
        Some(named) => {
            let (shown, text) = config::read_named(file, named, "table of deadlines")?;
            Deadlines::parse(&shown, &text)
        }
    };
    Ok(Rules {
        calendar: calendar.map_err(|error| Failure::other("the calendar of working days is wrong", error))?,
        deadlines: deadlines.map_err(|error| Failure::other("the table of deadlines is wrong", error))?,
        settings,
    })
}

/// Opens the cases beside the alarms.
pub(super) fn open(
    plan: &Plan,
    alarms: &Arc<AlarmService>,
    series: &Arc<SeriesStore>,
) -> Result<Arc<CaseService>, Failure> {
    let evidence = LiveEvidence {
        alarms: Arc::clone(alarms),
        series: Arc::clone(series) as _,
        catalogue: Arc::clone(&plan.catalogue),
        clock: Arc::clone(&plan.clock),
    };
    CaseService::open(
        Arc::clone(&plan.state),
        Arc::clone(&plan.catalogue),
        Arc::clone(&plan.clock),
        Arc::new(evidence),
        plan.cases.clone(),
    )
    .map(Arc::new)
    .map_err(|error| Failure::other("the cases cannot be opened", error))
}

/// Follows the log of the alarms. A failure is told once, and tried again at every turn: nothing is lost.
pub(super) struct Follower {
    pub(super) cases: Arc<CaseService>,
    pub(super) failing: bool,
}

impl Follower {
    pub(super) fn look(&mut self) {
        let outcome = self.cases.catch_up();
        match &outcome {
            Ok(()) if self.failing => tracing::info!("cases follow the alarms again"),
            Err(error) if !self.failing => {
                let error = telemetry::with_causes(error);
                tracing::error!(error, "cases do not follow the alarms; tried again every second");
            }
            Ok(()) | Err(_) => {}
        }
        self.failing = outcome.is_err();
    }
}
