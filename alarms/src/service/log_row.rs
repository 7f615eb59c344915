//! The form of a row of the log: how a transition is written down, and what the health of the alarm system reads of it.

use serde::{Deserialize, Serialize};
use store::state::StateError;
use store::state::alarms::LogRow;
use telemetry::Timestamp;
use telemetry::profile::Priority;

use crate::engine::{EventKind, Tag, Tags, Transition};
use crate::health::{Act, Happening};
use crate::lifecycle::AlarmState;
use crate::rules::Rule;

/// The body of a row. Rows of before the figures of alarm health lack everything that has a default here.
#[derive(Debug, Serialize, Deserialize)]
struct Body<'a> {
    /// Somebody knew of the occurrence.
    #[serde(default, skip_serializing_if = "is_false")]
    acknowledged: bool,
    /// What a person did to a device, where no rule says which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_false")]
    life_safety: bool,
    /// People were told.
    #[serde(default, skip_serializing_if = "is_false")]
    page: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    #[serde(borrow)]
    quality: std::borrow::Cow<'a, str>,
    /// Version of the rules; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raised_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    second: Option<Box<str>>,
    since: Timestamp,
    state: AlarmState,
    tags: Vec<Tag>,
    to: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    value: Option<f64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference here"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The row of a transition; without a rule for what happens to a device or to nobody.
pub(crate) fn log_row(id: &str, rule: Option<&Rule>, transition: &Transition) -> LogRow {
    let person = transition
        .after
        .acknowledged
        .as_ref()
        .filter(|_| transition.event == EventKind::Acknowledged);
    let extra = transition.extra.as_deref();
    let by = extra.and_then(|extra| extra.by.as_deref().map(Into::into));
    let reason = extra.and_then(|extra| extra.reason.as_deref().map(Into::into));
    // What somebody was told stands in the row of what they were told of.
    let rule = rule.filter(|_| transition.event != EventKind::Notified);
    let body = Body {
        acknowledged: rule.is_some() && transition.after.acknowledged.is_some(),
        device: extra
            .filter(|extra| extra.by.is_some())
            .and_then(|extra| extra.points.first().map(|device| (&**device).into())),
        life_safety: rule.is_some_and(|rule| rule.life_safety),
        page: transition.page,
        priority: rule.map(|rule| rule.priority),
        quality: transition.quality.name().into(),
        rules: extra.and_then(|extra| extra.version),
        raised_at: rule
            .filter(|_| transition.occurrence > 0)
            .map(|_| transition.after.raised_at),
        second: extra.and_then(|extra| extra.second.as_deref().map(Into::into)),
        since: transition.since,
        state: transition.state,
        tags: transition.tags.list(),
        to: extra.and_then(|extra| extra.to.as_deref().map(Into::into)),
        until: extra.and_then(|extra| extra.until),
        value: transition.value,
    };
    LogRow {
        seq: transition.seq,
        at: transition.at,
        event: transition.event.name().into(),
        rule: id.into(),
        occurrence: transition.occurrence,
        by: person.map(|person| person.by.clone()).or(by),
        remark: person.map(|person| person.remark.clone()).or(reason),
        // Without what JSON cannot hold: a value that is no number is written as null.
        body: serde_json::to_string(&body).unwrap_or_else(|_| "{}".to_owned()),
    }
}

/// What a row says to the health of the alarm system: `place` is the rule's place in the reader's list, `flood` whether it is the
/// alarm about a flood of alarms.
///
/// # Errors
/// [`StateError::Damaged`] when the row is not what [`log_row`] writes.
pub(crate) fn happening(row: &LogRow, place: u32, flood: bool) -> Result<Happening, StateError> {
    let damaged = |what: String| StateError::Damaged {
        table: "alarm_log",
        what,
    };
    let body: Body<'_> = serde_json::from_str(&row.body).map_err(|error| damaged(error.to_string()))?;
    let event = EventKind::named(&row.event)
        .ok_or_else(|| damaged(format!("row {} is of an unknown event {}", row.seq, row.event)))?;
    let tags = body
        .tags
        .iter()
        .fold(Tags::NONE, |tags, tag| tags.and(Tags::of(*tag)));
    let act = Act::is_told_by(event).then(|| {
        Box::new(Act {
            by: row.by.clone(),
            reason: row.remark.clone(),
            second: body.second,
            until: body.until,
        })
    });
    Ok(Happening {
        seq: row.seq,
        at: row.at,
        rule: place,
        occurrence: row.occurrence,
        event,
        page: body.page,
        tags,
        state: body.state,
        // Only the closing of a rule that is gone has none, and no figure asks for it.
        priority: body.priority.unwrap_or(Priority::Low),
        life_safety: body.life_safety,
        flood,
        raised_at: body.raised_at.unwrap_or(row.at),
        acknowledged: body.acknowledged,
        act,
    })
}
