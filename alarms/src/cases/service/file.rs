//! Filing: what a new case is made of.

use serde_json::json;
use store::state::cases::CaseCommit;
use telemetry::profile::Title;
use telemetry::{SiteId, Timestamp};

use super::super::case::{Allowed, Case, CaseAlarm};
use super::super::decide::Hand;
use super::super::due::Due;
use super::super::lifecycle::CaseState;
use super::super::news::code;
use super::{CaseError, CaseService, NAME_CHARS_MAX, REMARK_CHARS_MAX, TITLE_CHARS_MAX, check_text, form};
use crate::service::read_view;
use crate::view::{AlarmView, parse_id};

/// A case that somebody files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filing {
    /// About an alarm, by its id.
    Alarm(Box<str>),
    /// About something that somebody saw.
    Free {
        /// What, in the words of who saw it.
        title: Box<str>,
        /// A site of the registry.
        site: Box<str>,
        /// A device of that site, where it is about one.
        device: Option<Box<str>>,
        /// Name of a row of the table of deadlines; none: its last.
        deadline: Option<Box<str>>,
    },
}

impl CaseService {
    /// Files a case in the name of `by`. On disk after `Ok`.
    ///
    /// # Errors
    /// [`CaseError::Missing`], [`CaseError::Exists`] or [`CaseError::Length`]: nothing has changed then;
    /// [`CaseError::State`] when the disk fails.
    pub fn file(&self, filing: &Filing, by: &str, remark: &str) -> Result<Case, CaseError> {
        check_text("by", by, NAME_CHARS_MAX)?;
        check_text("remark", remark, REMARK_CHARS_MAX)?;
        let mut inner = self.lock();
        let (id, at) = (inner.newest + 1, self.clock.now());
        let case = match filing {
            Filing::Alarm(alarm) => self.about_alarm(id, alarm, at, by)?,
            Filing::Free { .. } => self.about_anything(id, filing, at, by)?,
        };
        let rule = case.alarms.first().map(|alarm| &alarm.rule);
        let detail = json!({"rule": rule, "deadline": case.allowed.row});
        let hand = Hand { by, remark, at };
        self.state.commit_cases(&CaseCommit {
            cursor: None,
            cases: vec![form::row(&case)?],
            events: vec![form::event(&case, "file", hand, &detail)],
        })?;
        inner.newest = id;
        self.tell([case.clone()]);
        Ok(case)
    }

    fn about_alarm(&self, id: u64, alarm: &str, at: Timestamp, by: &str) -> Result<Case, CaseError> {
        let missing = |what| CaseError::Missing {
            what,
            name: shortened(alarm),
        };
        let (rule, occurrence) = parse_id(alarm).ok_or_else(|| missing("alarm"))?;
        if let Some(body) = self.state.open_case_of(&rule)? {
            return Err(CaseError::Exists {
                rule: rule.into(),
                id: form::case(&body)?.id,
            });
        }
        let body = self.state.alarm_occurrence(&rule, occurrence)?;
        let view = read_view(&body.ok_or_else(|| missing("alarm"))?).map_err(|error| match error {
            crate::service::AlarmError::State(error) => CaseError::State(error),
            other => CaseError::Evidence(Box::new(other)),
        })?;
        let taken = CaseAlarm {
            rule: rule.into(),
            occurrence,
            occurrences: 1,
            active: view.state.is_active(),
            returned_at: view.returned_at,
            acknowledged: view.acknowledged.is_some(),
            gone: false,
        };
        self.case_of(id, &view, taken, at, by)
            .ok_or_else(|| missing("deadline for alarm"))
    }

    fn about_anything(&self, id: u64, filing: &Filing, at: Timestamp, by: &str) -> Result<Case, CaseError> {
        let Filing::Free {
            title,
            site,
            device,
            deadline,
        } = filing
        else {
            return Err(CaseError::Unknown(id));
        };
        check_text("title", title, TITLE_CHARS_MAX)?;
        let missing = |what, name: &str| CaseError::Missing {
            what,
            name: shortened(name),
        };
        let place = SiteId::new(site).ok();
        let place = place.and_then(|site| self.catalogue.site(site.as_str()));
        let place = place.ok_or_else(|| missing("site", site))?;
        if let Some(device) = device {
            let entry = self.catalogue.device(device);
            let of_site = entry.and_then(|entry| self.catalogue.site_of(entry));
            if of_site.is_none_or(|of_site| of_site.id != place.id) {
                return Err(missing("device", device));
            }
        }
        let table = &self.deadlines;
        let allowed = match deadline.as_deref() {
            None => Allowed::of(table, None),
            Some(row) => table.named(row).and_then(|row| {
                Some(Allowed {
                    row: row.id.clone(),
                    handle: row.handle,
                    ..Allowed::of(table, None)?
                })
            }),
        };
        let allowed = allowed.ok_or_else(|| missing("deadline", deadline.as_deref().unwrap_or("*")))?;
        let mut case = Case {
            id,
            title: Title {
                zh: title.clone(),
                en: title.clone(),
            },
            site: place.id.as_str().into(),
            site_name: place.name.clone(),
            town: place.town.clone(),
            device: device.clone(),
            organisation: place.organisation.clone(),
            priority: None,
            life_safety: false,
            state: CaseState::Filed,
            filed_at: at,
            filed_by: by.into(),
            allowed,
            due: Due::default(),
            marks: Vec::new(),
            asked: None,
            alarms: Vec::new(),
            notes: 0,
            merged_into: None,
        };
        case.compute_due(&self.time);
        Ok(case)
    }

    /// A new case about an alarm; none only with a table of deadlines that has no rows.
    pub(super) fn case_of(
        &self,
        id: u64,
        view: &AlarmView,
        taken: CaseAlarm,
        at: Timestamp,
        by: &str,
    ) -> Option<Case> {
        let site = self.catalogue.site(&view.site);
        let mut case = Case {
            id,
            title: view.title.clone(),
            site: view.site.as_str().into(),
            site_name: view.site_name.clone(),
            town: view.town.as_str().into(),
            device: Some(view.device.as_str().into()),
            // A place that has gone from the registry is nobody's: the case says so by its empty name.
            organisation: site.map(|site| site.organisation.clone()).unwrap_or_default(),
            priority: Some(view.priority),
            life_safety: view.life_safety,
            state: CaseState::Filed,
            filed_at: at,
            filed_by: by.into(),
            allowed: Allowed::of(&self.deadlines, Some(code(&taken.rule)))?,
            due: Due::default(),
            marks: Vec::new(),
            asked: None,
            alarms: vec![taken],
            notes: 0,
            merged_into: None,
        };
        case.compute_due(&self.time);
        Some(case)
    }
}

fn shortened(name: &str) -> Box<str> {
    name.chars().take(80).collect::<String>().into()
}
