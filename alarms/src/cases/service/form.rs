//! Cases and their events between the program and the rows of the database.

use serde::Serialize;
use serde_json::Value;
use store::state::StateError;
use store::state::cases::{CaseEventRow, CaseRow};
use telemetry::Timestamp;

use super::super::case::Case;
use super::super::decide::Hand;

/// One event of the life of a case, as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseEventView {
    /// Its number, over all cases.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What: `file`, a [`super::super::CaseEvent`], `merged_in`, or `alarm_raised`, `alarm_cleared`,
    /// `alarm_acknowledged`, `alarm_gone`.
    pub event: Box<str>,
    /// State of the case after it.
    pub state: Box<str>,
    /// Who; `townwatch` for what the program did by itself.
    pub by: Box<str>,
    /// What they said.
    pub remark: Box<str>,
    /// What else is to be known of it.
    pub detail: Value,
}

pub(super) fn case(body: &str) -> Result<Case, StateError> {
    serde_json::from_str(body).map_err(|error| StateError::Damaged {
        table: "case_record",
        what: error.to_string(),
    })
}

pub(super) fn cases(bodies: &[String]) -> Result<Vec<Case>, StateError> {
    bodies.iter().map(|body| case(body)).collect()
}

pub(super) fn row(case: &Case) -> Result<CaseRow, StateError> {
    let body = serde_json::to_string(case).map_err(|error| StateError::Damaged {
        table: "case_record",
        what: error.to_string(),
    })?;
    let open = case.state.is_open();
    let rules = case.alarms.iter().map(|alarm| alarm.rule.clone());
    Ok(CaseRow {
        id: case.id,
        state: case.state.name().into(),
        open,
        site: case.site.clone(),
        organisation: case.organisation.clone(),
        filed_at: case.filed_at,
        finished_at: case.finished_at(),
        overdue_from: case.overdue_from(),
        body,
        rules: rules.filter(|_| open).collect(),
    })
}

pub(super) fn event(case: &Case, event: &str, hand: Hand<'_>, detail: &Value) -> CaseEventRow {
    CaseEventRow {
        seq: 0,
        case: case.id,
        at: hand.at,
        event: event.into(),
        state: case.state.name().into(),
        by: hand.by.into(),
        remark: hand.remark.into(),
        body: detail.to_string(),
    }
}

pub(super) fn view(row: CaseEventRow) -> Result<CaseEventView, StateError> {
    let detail = serde_json::from_str(&row.body).map_err(|error| StateError::Damaged {
        table: "case_event",
        what: error.to_string(),
    })?;
    Ok(CaseEventView {
        seq: row.seq,
        at: row.at,
        event: row.event,
        state: row.state,
        by: row.by,
        remark: row.remark,
        detail,
    })
}
