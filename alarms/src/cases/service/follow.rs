//! Following the log of the alarms: cases are filed by themselves, and those that are open learn what is new.

use std::collections::BTreeMap;

use serde_json::json;
use store::state::cases::CaseCommit;
use telemetry::registry::SiteKind;

use super::super::case::Case;
use super::super::decide::Hand;
use super::super::news::{Kind, News, SELF};
use super::{CaseError, CaseService, Inner, form};
use crate::service::read_view;
use crate::view::AlarmView;

/// Rows of the log that are taken in one transaction.
const ROWS_MAX: usize = 256;
/// Transactions in one turn: what the alarms of a minute of storm come to. The rest comes with the next turn.
const STEPS_MAX: usize = 16;

/// What one transaction will write.
#[derive(Default)]
struct Step {
    /// Cases that are new or have changed, by number.
    cases: BTreeMap<u64, Case>,
    commit: CaseCommit,
}

impl CaseService {
    /// Takes all that is new in the log of the alarms, or as much as one turn takes (4,096 rows). Call it every second or so.
    ///
    /// # Errors
    /// [`CaseError::State`] when the disk fails or a row is damaged; the same rows are taken by the next call.
    pub fn catch_up(&self) -> Result<(), CaseError> {
        for _ in 0..STEPS_MAX {
            if self.follow()? < ROWS_MAX {
                break;
            }
        }
        Ok(())
    }

    /// Takes what is new in the log of the alarms, at most 256 rows; the number of rows taken.
    ///
    /// # Errors
    /// [`CaseError::State`] when the disk fails or a row is damaged; the same rows are taken by the next call.
    pub fn follow(&self) -> Result<usize, CaseError> {
        let mut inner = self.lock();
        let rows = self.state.alarm_log_after(inner.cursor, ROWS_MAX)?;
        let Some(last) = rows.last() else { return Ok(0) };
        let mut step = Step::default();
        let mut newest = inner.newest;
        for row in &rows {
            self.take(&News::of(row), &mut step, &mut newest)?;
        }
        let Step { cases, mut commit } = step;
        for case in cases.values() {
            commit.cases.push(form::row(case)?);
        }
        commit.cursor = Some((inner.cursor, last.seq));
        self.state.commit_cases(&commit)?;
        *inner = Inner {
            cursor: last.seq,
            newest,
        };
        self.tell(cases.into_values());
        Ok(rows.len())
    }

    fn take(&self, news: &News, step: &mut Step, newest: &mut u64) -> Result<(), CaseError> {
        if let Some(case) = self.open_case(news, step)? {
            let note = news.take_into(case);
            if let Some(name) = note {
                let detail = json!({"rule": news.rule, "occurrence": news.occurrence});
                let event = form::event(case, name, hand(news), &detail);
                step.commit.events.push(event);
            }
            return Ok(());
        }
        if news.kind != Kind::Raised || news.quiet {
            return Ok(());
        }
        let Some(view) = self.alarm(news)? else {
            return Ok(());
        };
        if !self.settings.auto.wants(view.priority, view.life_safety) || self.is_of_the_server(&view) {
            return Ok(());
        }
        let id = *newest + 1;
        let Some(case) = self.case_of(id, &view, news.alarm(), news.at, SELF) else {
            return Ok(());
        };
        *newest = id;
        let detail = json!({"rule": news.rule, "occurrence": news.occurrence, "deadline": case.allowed.row});
        step.commit
            .events
            .push(form::event(&case, "file", hand(news), &detail));
        step.cases.insert(id, case);
        Ok(())
    }

    /// The open case that takes in the news, among those that this step has changed or else on disk.
    fn open_case<'a>(&self, news: &News, step: &'a mut Step) -> Result<Option<&'a mut Case>, CaseError> {
        let takes = |case: &Case| case.alarms.iter().any(|alarm| alarm.rule == news.rule);
        let id = match step.cases.values().find(|case| takes(case)) {
            Some(case) => case.id,
            None => {
                let Some(body) = self.state.open_case_of(&news.rule)? else {
                    return Ok(None);
                };
                let case = form::case(&body)?;
                let id = case.id;
                step.cases.insert(id, case);
                id
            }
        };
        Ok(step.cases.get_mut(&id))
    }

    /// The occurrence as the alarm service wrote it with the row; none when it is not there, which is told.
    fn alarm(&self, news: &News) -> Result<Option<AlarmView>, CaseError> {
        let body = self.state.alarm_occurrence(&news.rule, news.occurrence)?;
        let view = body.map(|body| read_view(&body));
        match view {
            Some(Ok(view)) => Ok(Some(view)),
            other => {
                let damaged = other.is_some();
                tracing::warn!(rule = %news.rule, occurrence = news.occurrence, damaged, "no case is filed: the alarm cannot be read");
                Ok(None)
            }
        }
    }

    /// What the server says of itself is not the work of those who keep the county.
    fn is_of_the_server(&self, view: &AlarmView) -> bool {
        let site = self.catalogue.device(&view.device);
        site.and_then(|entry| self.catalogue.site_of(entry))
            .is_some_and(|site| site.kind == SiteKind::Server)
    }
}

fn hand(news: &News) -> Hand<'_> {
    Hand {
        by: news.by.as_deref().unwrap_or(SELF),
        remark: &news.remark,
        at: news.at,
    }
}
