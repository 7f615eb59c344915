//! What people ask of the alarms: lists, one of them, the log, counts.

use serde::Serialize;
use store::state::StateError;
use store::state::alarms::LogRow;
use telemetry::profile::Priority;

use super::{AlarmError, AlarmService, ROWS_PER_ANSWER_MAX};
use crate::lifecycle::AlarmState;
use crate::view::{AlarmView, LogView, parse_id};

/// Which alarms are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlarmFilter {
    /// Only those that somebody has still to do with.
    pub open_only: bool,
    /// Only of this site.
    pub site: Option<String>,
    /// Only of this device.
    pub device: Option<String>,
    /// Only those raised before the one with this [`AlarmView::raised_seq`]: the next page.
    pub before: Option<u64>,
    /// Most alarms in the answer; 0 and what exceeds [`ROWS_PER_ANSWER_MAX`] mean that bound.
    pub limit: usize,
}

/// How many alarms there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlarmCounts {
    /// Active, nobody knows.
    pub unacknowledged: u64,
    /// Active, somebody knows.
    pub acknowledged: u64,
    /// Over, nobody acknowledged.
    pub returned_unacknowledged: u64,
    /// Over, held by a latch.
    pub latched: u64,
    /// Shelved, suppressed by design or out of service.
    pub set_aside: u64,
    /// Open of priority critical.
    pub critical: u64,
    /// Open of priority high.
    pub high: u64,
    /// Open of priority medium.
    pub medium: u64,
    /// Open of priority low.
    pub low: u64,
    /// Open under a silent device.
    pub stale: u64,
    /// Transitions that are not on disk because it failed.
    pub not_durable: u64,
    /// Open alarms whose readings the journal does not hold yet.
    pub not_journaled: u64,
    /// Log rows lost because the disk failed for too long.
    pub log_dropped: u64,
}

impl AlarmService {
    /// Alarms, the newest first.
    ///
    /// # Errors
    /// [`AlarmError::State`] when the disk fails (never for open ones).
    pub fn list(&self, filter: &AlarmFilter) -> Result<Vec<AlarmView>, AlarmError> {
        let limit = bounded(filter.limit);
        let before = filter.before.unwrap_or(u64::MAX);
        let (site, device) = (filter.site.as_deref(), filter.device.as_deref());
        if filter.open_only {
            let inner = self.lock();
            let mut views: Vec<AlarmView> = inner
                .open
                .iter()
                .filter_map(|place| self.view(&inner, *place))
                .filter(|view| site.is_none_or(|site| view.site == site))
                .filter(|view| device.is_none_or(|device| view.device == device))
                .filter(|view| view.raised_seq < before)
                .collect();
            views.sort_by_key(|view| std::cmp::Reverse(view.raised_seq));
            views.truncate(limit);
            return Ok(views);
        }
        let bodies = self.shared.state.alarm_occurrences(before, limit, site, device)?;
        bodies.iter().map(|body| read_view(body)).collect()
    }

    /// One alarm, whether open or over.
    ///
    /// # Errors
    /// [`AlarmError::Unknown`] when there is none; [`AlarmError::State`] when the disk fails.
    pub fn get(&self, id: &str) -> Result<AlarmView, AlarmError> {
        let unknown = || AlarmError::Unknown { id: id.to_owned() };
        let (rule, occurrence) = parse_id(id).ok_or_else(unknown)?;
        let inner = self.lock();
        if let Some(place) = inner.by_rule.get(rule.as_str())
            && let Some(view) = self.view(&inner, *place)
            && view.occurrence == occurrence
        {
            return Ok(view);
        }
        drop(inner);
        let body = self
            .shared
            .state
            .alarm_occurrence(&rule, occurrence)?
            .ok_or_else(unknown)?;
        read_view(&body)
    }

    /// The log, the newest first: at most `limit` rows with a number below `before`.
    ///
    /// # Errors
    /// [`AlarmError::State`] when the disk fails.
    pub fn log(&self, before: Option<u64>, limit: usize) -> Result<Vec<LogView>, AlarmError> {
        let rows = self
            .shared
            .state
            .alarm_log(before.unwrap_or(u64::MAX), bounded(limit))?;
        rows.into_iter().map(log_view).collect()
    }

    /// How many alarms are open.
    #[must_use]
    pub fn counts(&self) -> AlarmCounts {
        let inner = self.lock();
        let mut counts = AlarmCounts {
            not_durable: inner.log_rows(),
            not_journaled: inner.early.marks(),
            log_dropped: inner.unwritten.dropped,
            ..AlarmCounts::default()
        };
        for place in &inner.open {
            let (Some(rule), Some(state)) = (inner.engine.rules().get(*place), inner.engine.state(*place))
            else {
                continue;
            };
            *match rule.priority {
                Priority::Critical => &mut counts.critical,
                Priority::High => &mut counts.high,
                Priority::Medium => &mut counts.medium,
                Priority::Low => &mut counts.low,
            } += 1;
            counts.stale += u64::from(state.stale);
            match state.shown() {
                AlarmState::Unacknowledged => counts.unacknowledged += 1,
                AlarmState::Acknowledged => counts.acknowledged += 1,
                AlarmState::ReturnedUnacknowledged => counts.returned_unacknowledged += 1,
                AlarmState::LatchedUnacknowledged | AlarmState::LatchedAcknowledged => counts.latched += 1,
                AlarmState::Shelved | AlarmState::SuppressedByDesign | AlarmState::OutOfService => {
                    counts.set_aside += 1;
                }
                AlarmState::Normal => {}
            }
        }
        counts
    }
}

pub(super) fn bounded(limit: usize) -> usize {
    if limit == 0 {
        ROWS_PER_ANSWER_MAX
    } else {
        limit.min(ROWS_PER_ANSWER_MAX)
    }
}

pub(crate) fn read_view(body: &str) -> Result<AlarmView, AlarmError> {
    serde_json::from_str(body).map_err(|error| {
        AlarmError::State(StateError::Damaged {
            table: "alarm_occurrence",
            what: error.to_string(),
        })
    })
}

pub(super) fn log_view(row: LogRow) -> Result<LogView, AlarmError> {
    let detail = serde_json::from_str(&row.body).map_err(|error| StateError::Damaged {
        table: "alarm_log",
        what: error.to_string(),
    })?;
    Ok(LogView {
        seq: row.seq,
        at: row.at,
        event: row.event.into(),
        rule: row.rule.into(),
        occurrence: row.occurrence,
        by: row.by.map(Into::into),
        remark: row.remark.map(Into::into),
        call: false,
        detail,
    })
}
