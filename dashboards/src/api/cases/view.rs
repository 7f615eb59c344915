//! A case as the API shows it.

use alarms::cases::deadlines::Amount;
use alarms::cases::{Case, CaseAlarm, CaseEventView, CaseState};
use serde::Serialize;
use telemetry::Timestamp;
use telemetry::profile::{Priority, Title};

use crate::book::Moment;

/// A case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CaseView {
    /// The `{id}` of `GET cases/{id}`; grows: `?before=` of the next page.
    pub(crate) id: u64,
    pub(crate) title: Title,
    pub(crate) site: Box<str>,
    pub(crate) site_name: Title,
    pub(crate) town: Box<str>,
    pub(crate) device: Option<Box<str>>,
    /// Whose work it is.
    pub(crate) organisation: Box<str>,
    pub(crate) priority: Option<Priority>,
    pub(crate) life_safety: bool,
    pub(crate) state: CaseState,
    pub(crate) open: bool,
    pub(crate) filed: Moment,
    pub(crate) filed_by: Box<str>,
    pub(crate) deadline: Deadline,
    /// A deadline has passed, and it is neither suspended nor over.
    pub(crate) overdue: bool,
    /// Until it is overdue, in ms; negative when it is; null when its clock stands or nobody knows.
    pub(crate) left_ms: Option<i64>,
    /// When it was closed, cancelled or merged.
    pub(crate) finished: Option<Moment>,
    /// Who asks to put it off.
    pub(crate) suspension_asked: Option<Asked>,
    pub(crate) alarms: Vec<AlarmOfCase>,
    pub(crate) merged_into: Option<u64>,
    /// Only of one case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<Vec<CaseEventItem>>,
}

/// Until when what is to be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Deadline {
    /// Row of the table of deadlines.
    pub(crate) row: Box<str>,
    /// Name and version of the table.
    pub(crate) table: Box<str>,
    /// How long the work may take.
    pub(crate) handle: Amount,
    /// How long verification and closing may take after that.
    pub(crate) verify: Amount,
    /// Until when the work is to be done.
    pub(crate) handle_by: Option<Moment>,
    /// Until when the case is to be closed.
    pub(crate) close_by: Option<Moment>,
    /// The clock stands: it is suspended.
    pub(crate) stopped: bool,
    /// Why a deadline is not known.
    pub(crate) unknown: Option<String>,
    /// Nobody has confirmed the calendar that it was counted with.
    pub(crate) unconfirmed: bool,
}

/// Who asks to put a case off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Asked {
    pub(crate) by: Box<str>,
    pub(crate) at: Moment,
    pub(crate) remark: Box<str>,
}

/// The alarms of one rule of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct AlarmOfCase {
    /// Id of the last occurrence, as in `GET alarms`.
    pub(crate) id: String,
    pub(crate) rule: Box<str>,
    pub(crate) occurrences: u32,
    /// The cause stands.
    pub(crate) active: bool,
    pub(crate) returned: Option<Moment>,
    pub(crate) acknowledged: bool,
    /// The rule is gone from the registry.
    pub(crate) gone: bool,
}

/// One event of the life of a case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CaseEventItem {
    pub(crate) at: Moment,
    pub(crate) event: Box<str>,
    pub(crate) state: Box<str>,
    pub(crate) by: Box<str>,
    pub(crate) remark: Box<str>,
    pub(crate) detail: serde_json::Value,
}

impl CaseView {
    /// The case as it is at `now`.
    pub(crate) fn of(case: Case, now: Timestamp) -> Self {
        let overdue_from = case.overdue_from();
        let left_ms = overdue_from.map(|from| from.millis_since(now));
        let due = case.due;
        let unknown = due
            .unknown_year
            .map(|year| format!("the calendar of working days has no year {year}"));
        Self {
            open: case.state.is_open(),
            filed: case.filed_at.into(),
            overdue: left_ms.is_some_and(|left| left < 0),
            left_ms,
            finished: case.finished_at().map(Into::into),
            deadline: Deadline {
                row: case.allowed.row,
                table: case.allowed.table,
                handle: case.allowed.handle,
                verify: case.allowed.verify,
                handle_by: due.handle.map(Into::into),
                close_by: due.close.map(Into::into),
                stopped: due.stopped,
                unknown,
                unconfirmed: due.unconfirmed,
            },
            suspension_asked: case.asked.map(|asked| Asked {
                by: asked.by,
                at: asked.at.into(),
                remark: asked.remark,
            }),
            alarms: case.alarms.into_iter().map(AlarmOfCase::from).collect(),
            id: case.id,
            title: case.title,
            site: case.site,
            site_name: case.site_name,
            town: case.town,
            device: case.device,
            organisation: case.organisation,
            priority: case.priority,
            life_safety: case.life_safety,
            state: case.state,
            filed_by: case.filed_by,
            merged_into: case.merged_into,
            events: None,
        }
    }
}

impl From<CaseAlarm> for AlarmOfCase {
    fn from(alarm: CaseAlarm) -> Self {
        Self {
            id: alarms::view::id(&alarm.rule, alarm.occurrence),
            rule: alarm.rule,
            occurrences: alarm.occurrences,
            active: alarm.active,
            returned: alarm.returned_at.map(Into::into),
            acknowledged: alarm.acknowledged,
            gone: alarm.gone,
        }
    }
}

impl From<CaseEventView> for CaseEventItem {
    fn from(event: CaseEventView) -> Self {
        Self {
            at: event.at.into(),
            event: event.event,
            state: event.state,
            by: event.by,
            remark: event.remark,
            detail: event.detail,
        }
    }
}
