//! Back from disk to where the engine was.

use std::sync::Arc;

use store::state::State;
use telemetry::{Catalogue, Clock, Lsn, Timestamp};

use super::commit::{Unwritten, notices, occurrence_row};
use super::{AlarmError, read_view};
use crate::engine::{DamagedState, Engine, EventKind, RuleState, Spans, Tags, Transition};
use crate::lifecycle::AlarmState;
use crate::rules::{self, Daylight};
use crate::settings::AlarmSettings;

pub(super) struct Restored {
    pub(super) engine: Engine,
    pub(super) lsn: Lsn,
    pub(super) ready: Timestamp,
    pub(super) unwritten: Unwritten,
}

pub(super) fn restore(
    state: &State,
    catalogue: &Catalogue,
    clock: &dyn Clock,
    daylight: Arc<dyn Daylight>,
    settings: &AlarmSettings,
) -> Result<Restored, AlarmError> {
    let cursor = state.alarm_cursor()?;
    let now = clock.now();
    // A wall clock that went back over the restart does not take the engine's time with it.
    let ready = cursor.map_or(now, |cursor| now.max(cursor.now));
    let rules = rules::compile(catalogue, settings.fault_off_delay);
    let mut engine = Engine::new(catalogue, rules, Spans::from(settings), daylight, ready);
    let mut seq = cursor.map_or(0, |cursor| cursor.seq);
    let mut unwritten = Unwritten::default();
    for (device, body) in state.alarm_memories()? {
        if let Some(place) = catalogue.device_index(&device) {
            engine.restore_device(place, &body)?;
        }
    }
    let places: std::collections::HashMap<Arc<str>, usize> = engine
        .rules()
        .iter()
        .enumerate()
        .map(|(place, rule)| (Arc::clone(&rule.id), place))
        .collect();
    for (rule, body) in state.alarm_states()? {
        let stored = RuleState::from_body(&body).map_err(|error| DamagedState {
            of: rule.clone(),
            what: error.to_string(),
        })?;
        match places.get(rule.as_str()) {
            Some(place) => engine.restore_rule(*place, stored),
            None => close(state, &rule, stored, &mut seq, ready, settings, &mut unwritten)?,
        }
    }
    if let Some(cursor) = cursor {
        engine.restored(cursor.now, seq, ready);
    }
    let lsn = cursor.map_or(Lsn::ZERO, |cursor| cursor.lsn);
    Ok(Restored {
        engine,
        lsn,
        ready,
        unwritten,
    })
}

/// The rule is gone: its alarm is closed with a row in the log and one notice, never silently.
fn close(
    state: &State,
    rule: &str,
    stored: RuleState,
    seq: &mut u64,
    at: Timestamp,
    settings: &AlarmSettings,
    unwritten: &mut Unwritten,
) -> Result<(), AlarmError> {
    // Its state stays, closed: a rule of that name that comes back goes on with the next occurrence, so that no key of a
    // notice is ever used twice.
    if !stored.alarm.is_open() {
        return Ok(());
    }
    *seq += 1;
    let (occurrence, since) = (stored.occurrence, stored.since);
    let after = RuleState {
        alarm: AlarmState::Normal,
        seq: *seq,
        returned_at: Some(at),
        pending: None,
        ..stored
    };
    let body = after.body().map_err(|error| DamagedState {
        of: rule.to_owned(),
        what: error.to_string(),
    })?;
    unwritten.rules.insert(rule.into(), Some(body));
    let transition = Transition {
        seq: *seq,
        at,
        event: EventKind::Closed,
        rule: u32::MAX,
        occurrence,
        since,
        value: after.value,
        quality: after.quality,
        state: AlarmState::Normal,
        tags: Tags::NONE,
        page: true,
        after,
    };
    unwritten.log.push(super::commit::log_row(rule, &transition));
    if let Some(body) = state.alarm_occurrence(rule, occurrence)? {
        let mut view = read_view(&body)?;
        view.state = AlarmState::Normal;
        view.returned_at = Some(at);
        view.seq = *seq;
        unwritten.occurrences.extend(occurrence_row(&view, at));
        unwritten
            .notices
            .extend(notices(settings, &view, EventKind::Closed, &transition, at));
    }
    Ok(())
}
