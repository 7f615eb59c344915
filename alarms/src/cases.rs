//! Cases 案卷: work to be done about an alarm, or about what somebody saw, with a deadline.
//!
//! A case is filed by itself when a grave alarm is raised, takes in the further alarms of the same rule, and goes from
//! hand to hand until telemetry and a person agree that it is done. Files here either decide ([`lifecycle`],
//! [`worktime`], [`due`], [`decide`]: pure) or do ([`service`], [`evidence`]: read and write).
//!
//! Start with [`lifecycle`], then [`decide`]. Source of all of it: `domain.md` §5.

pub mod calendar;
pub mod case;
pub mod deadlines;
pub mod decide;
pub mod due;
pub mod evidence;
pub mod lifecycle;
mod news;
pub mod service;
pub mod settings;
pub mod worktime;

pub use calendar::Calendar;
pub use case::{Case, CaseAlarm};
pub use deadlines::{DeadlineKind, Deadlines};
pub use decide::{Command, Refusal};
pub use evidence::{Evidence, LiveEvidence};
pub use lifecycle::{CaseEvent, CaseState};
pub use news::SELF;
pub use service::{CaseError, CaseEventView, CaseFilter, CaseService, Filing, Rules};
pub use settings::{AutoFile, CaseSettings};
