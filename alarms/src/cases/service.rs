//! The cases on disk and in front of people.
//!
//! One lock stands around reading a case, deciding about it and writing it, so two people who press at once do not both
//! succeed. [`CaseService::follow`] takes what is new in the log of the alarms; the row it has come to is written in the
//! same transaction as the cases, so that a crash files nothing twice and loses nothing.

mod file;
mod follow;
mod form;
mod read;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::tz::TimeZone;
use serde_json::json;
use store::state::cases::{CaseCommit, CaseQuery};
use store::state::{State, StateError};
use telemetry::{Catalogue, Clock};
use tokio::sync::broadcast;

use super::calendar::Calendar;
use super::case::Case;
use super::deadlines::Deadlines;
use super::decide::{Command, Decided, Hand, Refusal, decide, merge};
use super::evidence::{Evidence, Verdict, judge};
use super::settings::{CaseSettings, CaseSettingsError};
use super::worktime::WorkTime;

pub use file::Filing;
pub use form::CaseEventView;
pub use read::{CaseFilter, EVENTS_MAX, PERIOD_CASES_MAX, ROWS_PER_ANSWER_MAX};

/// Longest name of a person, in characters. Longer: refused.
pub const NAME_CHARS_MAX: usize = 100;
/// Longest remark, in characters. Longer: refused.
pub const REMARK_CHARS_MAX: usize = 1000;
/// Longest title of a case that is filed by hand, and longest reference to a photo. Longer: refused.
pub const TITLE_CHARS_MAX: usize = 200;

/// Changes that a slow subscriber may fall behind. Beyond, it is told how many it missed and reads the list again.
pub const CHANGES_BEHIND_MAX: usize = 256;

/// Why the case service refused.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// A setting is out of range. Mend it.
    #[error("the settings of the cases are wrong")]
    Settings(#[from] CaseSettingsError),
    /// The county's zone does not exist.
    #[error("there is no time zone {0:?}")]
    Zone(String),
    /// The state database failed.
    #[error("cases cannot be read or written")]
    State(#[from] StateError),
    /// There is no such case.
    #[error("there is no case {0}")]
    Unknown(u64),
    /// The case is not filed: what it is about does not exist.
    #[error("there is no {what} {name:?}")]
    Missing {
        /// `site`, `device` or `alarm`.
        what: &'static str,
        /// As asked.
        name: Box<str>,
    },
    /// The rule of the alarm has an open case already.
    #[error("case {id} is about {rule} already")]
    Exists {
        /// Which rule of which device.
        rule: Box<str>,
        /// That case.
        id: u64,
    },
    /// The life cycle, telemetry or another rule speaks against it. Nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A text is missing or too long.
    #[error("{what} has {length} characters; 1 to {allowed} are allowed")]
    Length {
        /// Which text.
        what: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        allowed: usize,
    },
    /// Alarms or readings could not be looked at: whether telemetry agrees is not known.
    #[error("it cannot be seen whether telemetry agrees")]
    Evidence(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The cases of the county. Share it behind an `Arc`; its calls block for one commit at most.
pub struct CaseService {
    state: Arc<State>,
    catalogue: Arc<Catalogue>,
    clock: Arc<dyn Clock>,
    evidence: Arc<dyn Evidence>,
    settings: CaseSettings,
    deadlines: Deadlines,
    time: WorkTime,
    inner: Mutex<Inner>,
    changes: broadcast::Sender<Arc<Case>>,
}

/// What is remembered between calls, so that nothing is read anew when nothing is new.
struct Inner {
    /// How far the log of the alarms was followed.
    cursor: u64,
    /// The number of the newest case.
    newest: u64,
}

impl std::fmt::Debug for CaseService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaseService")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Everything that cases are decided by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What can be set.
    pub settings: CaseSettings,
    /// Which days are worked on.
    pub calendar: Calendar,
    /// How long what may take.
    pub deadlines: Deadlines,
}

impl CaseService {
    /// Opens the cases as `state` holds them. What had no deadline because the calendar lacked a year gets one if it
    /// has that year now.
    ///
    /// # Errors
    /// [`CaseError`] when a setting is out of range, the county's zone does not exist, or the state database fails.
    pub fn open(
        state: Arc<State>,
        catalogue: Arc<Catalogue>,
        clock: Arc<dyn Clock>,
        evidence: Arc<dyn Evidence>,
        rules: Rules,
    ) -> Result<Self, CaseError> {
        rules.settings.check()?;
        let zone = &catalogue.registry().county.zone;
        let zone = TimeZone::get(zone).map_err(|_| CaseError::Zone(zone.to_string()))?;
        let inner = Inner {
            cursor: state.case_cursor()?,
            newest: state.newest_case()?,
        };
        for year in rules.calendar.unconfirmed() {
            tracing::info!(
                year,
                "the calendar of working days is not confirmed for this year"
            );
        }
        let service = Self {
            time: WorkTime {
                calendar: rules.calendar,
                hours: rules.deadlines.working_hours.clone(),
                zone,
            },
            state,
            catalogue,
            clock,
            evidence,
            settings: rules.settings,
            deadlines: rules.deadlines,
            inner: Mutex::new(inner),
            changes: broadcast::channel(CHANGES_BEHIND_MAX).0,
        };
        service.count_anew()?;
        Ok(service)
    }

    /// Computes the deadlines anew that were not known, once the calendar has the year.
    fn count_anew(&self) -> Result<(), CaseError> {
        let mut before = None;
        loop {
            let query = CaseQuery {
                open: Some(true),
                before,
                limit: ROWS_PER_ANSWER_MAX,
                ..CaseQuery::default()
            };
            let page = form::cases(&self.state.case_bodies(&query)?)?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some(last.id);
            let mut cases = Vec::new();
            for mut case in page.into_iter().filter(|case| case.due.unknown_year.is_some()) {
                let known = case.due;
                case.compute_due(&self.time);
                if case.due != known {
                    cases.push(form::row(&case)?);
                }
            }
            if !cases.is_empty() {
                self.state.commit_cases(&CaseCommit {
                    cases,
                    ..CaseCommit::default()
                })?;
            }
        }
    }

    /// Does something with a case in the name of `by`. On disk after `Ok`.
    ///
    /// # Errors
    /// [`CaseError::Unknown`], [`CaseError::Refused`], [`CaseError::Length`] or [`CaseError::Evidence`]: nothing has
    /// changed then; [`CaseError::State`] when the disk fails.
    pub fn act(&self, id: u64, command: &Command, by: &str, remark: &str) -> Result<Case, CaseError> {
        check_text("by", by, NAME_CHARS_MAX)?;
        check_text("remark", remark, REMARK_CHARS_MAX)?;
        self.check_command(command)?;
        if matches!(command, Command::Verify { .. } | Command::Close) {
            // Nobody closes a case over an alarm that came back a moment ago.
            self.catch_up()?;
        }
        let _turn = self.lock();
        let case = self.read(id)?;
        let at = self.clock.now();
        let hand = Hand { by, remark, at };
        let mut commit = CaseCommit::default();
        let mut taken_in = None;
        let decided = if let Command::Merge { into } = command {
            let (decided, goes_on) = merge(&case, &self.read(*into)?, hand, &self.time)?;
            let rules: Vec<&str> = case.alarms.iter().map(|alarm| &*alarm.rule).collect();
            let taken = json!({"from": id, "rules": rules});
            commit.cases.push(form::row(&goes_on)?);
            commit
                .events
                .push(form::event(&goes_on, "merged_in", hand, &taken));
            taken_in = Some(goes_on);
            decided
        } else {
            let verdicts = self.verdicts(&case, command)?;
            decide(&case, command, hand, &verdicts, &self.time)?
        };
        let Decided { case, event, detail } = decided;
        commit.cases.push(form::row(&case)?);
        commit
            .events
            .push(form::event(&case, event.name(), hand, &detail));
        self.state.commit_cases(&commit)?;
        self.tell(taken_in);
        self.tell([case.clone()]);
        Ok(case)
    }

    /// Every case that is filed or changes from now on, as it stands on disk. A receiver that lags behind by more than
    /// [`CHANGES_BEHIND_MAX`] is told and reads the list again.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Case>> {
        self.changes.subscribe()
    }

    /// Tells all who listen; it is no fault when nobody does.
    fn tell(&self, cases: impl IntoIterator<Item = Case>) {
        for case in cases {
            drop(self.changes.send(Arc::new(case)));
        }
    }

    fn check_command(&self, command: &Command) -> Result<(), CaseError> {
        match command {
            Command::Dispatch {
                organisation: Some(organisation),
            } => {
                let registry = self.catalogue.registry();
                let known = registry.organisations.iter().any(|one| one.id == *organisation);
                if known {
                    Ok(())
                } else {
                    let name = organisation.chars().take(80).collect::<String>();
                    Err(Refusal::Organisation(name.into()).into())
                }
            }
            Command::Handled { photo: Some(photo) } | Command::Verify { photo: Some(photo) } => {
                check_text("photo", photo, TITLE_CHARS_MAX)
            }
            _ => Ok(()),
        }
    }

    /// What telemetry says of each alarm of the case, where the command depends on it.
    fn verdicts(&self, case: &Case, command: &Command) -> Result<Vec<Verdict>, CaseError> {
        if !matches!(command, Command::Verify { .. }) {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let mut verdicts = Vec::new();
        for alarm in &case.alarms {
            let since = alarm.returned_at.unwrap_or(now);
            let told = self.evidence.of(alarm, since).map_err(CaseError::Evidence)?;
            verdicts.push(judge(&self.settings, alarm, told, now));
        }
        Ok(verdicts)
    }

    fn read(&self, id: u64) -> Result<Case, CaseError> {
        let body = self.state.case_body(id)?.ok_or(CaseError::Unknown(id))?;
        Ok(form::case(&body)?)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_text(what: &'static str, text: &str, allowed: usize) -> Result<(), CaseError> {
    let length = text.chars().count();
    if text.trim().is_empty() || length > allowed {
        return Err(CaseError::Length {
            what,
            length,
            allowed,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
