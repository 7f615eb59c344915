//! What is asked of the cases: lists, one of them, counts, and how they stood for the figures.

use store::state::cases::CaseQuery;
use telemetry::Timestamp;

use super::super::case::Case;
use super::super::lifecycle::CaseState;
use super::form::{self, CaseEventView};
use super::{CaseError, CaseService};
use crate::figures::{CaseFact, CaseFacts};

/// Most cases in one answer. More are cut off; ask for the next page.
pub const ROWS_PER_ANSWER_MAX: usize = 1000;
/// Most events of a case in one answer: what a case can have, and a little more.
pub const EVENTS_MAX: usize = 2000;
/// Most cases of the period of a figure. More: an error, never a wrong figure.
pub const PERIOD_CASES_MAX: usize = 200_000;

/// Which cases are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// Only open ones, or only those that are over.
    pub open: Option<bool>,
    /// Only of this site.
    pub site: Option<Box<str>>,
    /// Only of this organisation.
    pub organisation: Option<Box<str>>,
    /// Only in this state.
    pub state: Option<CaseState>,
    /// Only those that are overdue now, or only those that are not.
    pub overdue: Option<bool>,
    /// Only those with a number below: the next page.
    pub before: Option<u64>,
    /// Most cases in the answer; 0 and what exceeds [`ROWS_PER_ANSWER_MAX`] mean that bound.
    pub limit: usize,
}

impl CaseService {
    /// Cases, the newest first.
    ///
    /// # Errors
    /// [`CaseError::State`] when the disk fails.
    pub fn list(&self, filter: &CaseFilter) -> Result<Vec<Case>, CaseError> {
        let now = self.clock.now();
        let limit = match filter.limit {
            0 => ROWS_PER_ANSWER_MAX,
            limit => limit.min(ROWS_PER_ANSWER_MAX),
        };
        let bodies = self.state.case_bodies(&CaseQuery {
            open: filter.open,
            site: filter.site.clone(),
            organisation: filter.organisation.clone(),
            state: filter.state.map(|state| state.name().into()),
            overdue: filter.overdue.map(|wanted| (wanted, now)),
            before: filter.before,
            limit,
        })?;
        Ok(form::cases(&bodies)?)
    }

    /// One case with its events, in order.
    ///
    /// # Errors
    /// [`CaseError::Unknown`] when there is none; [`CaseError::State`] when the disk fails.
    pub fn get(&self, id: u64) -> Result<(Case, Vec<CaseEventView>), CaseError> {
        let case = self.read(id)?;
        let rows = self.state.case_events(id, EVENTS_MAX)?;
        let events = rows.into_iter().map(form::view);
        Ok((case, events.collect::<Result<_, _>>()?))
    }

    /// How many cases are open, and how many of them are overdue.
    ///
    /// # Errors
    /// [`CaseError::State`] when the disk fails.
    pub fn counts(&self) -> Result<(u64, u64), CaseError> {
        Ok(self.state.case_counts(self.clock.now())?)
    }
}

impl CaseFacts for CaseService {
    fn facts(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<CaseFact>, Box<dyn std::error::Error + Send + Sync>> {
        let bodies = self.state.cases_of_period(from, to, PERIOD_CASES_MAX + 1)?;
        if bodies.len() > PERIOD_CASES_MAX {
            return Err(
                format!("the period has more than {PERIOD_CASES_MAX} cases; ask for a shorter one").into(),
            );
        }
        let fact = |case: Case| CaseFact {
            standing: case.standing(to, &self.time),
            id: case.id,
            title: case.title,
            site: case.site,
            site_name: case.site_name,
            town: case.town,
            organisation: case.organisation,
        };
        Ok(form::cases(&bodies)?.into_iter().map(fact).collect())
    }
}
