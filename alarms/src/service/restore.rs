//! Back from disk to where the engine was.

use std::sync::Arc;

use store::state::State;
use store::state::alarms::AlarmStart;
use telemetry::{Catalogue, Clock, Lsn, Timestamp};

use super::commit::{Unwritten, notices, occurrence_row};
use super::{AlarmError, read_view};
use crate::engine::{DamagedState, Engine, EventKind, RuleState, Spans, Tags, Transition};
use crate::lifecycle::{AlarmState, Suppressions};
use crate::notify::message::News;
use crate::rules::{self, Compiled, Daylight};
use crate::settings::AlarmSettings;
use crate::telling::EVERYBODY;

pub(super) struct Restored {
    pub(super) engine: Engine,
    pub(super) lsn: Lsn,
    pub(super) ready: Timestamp,
    pub(super) start: AlarmStart,
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
    state.alarms_were_down(ready)?;
    let Compiled { plant, rules } =
        rules::compile(catalogue, &settings.book, ready, settings.fault_off_delay)?;
    let telling = Arc::new(settings.telling(&catalogue.registry().county.zone)?);
    let mut engine = Engine::new(plant, rules, Spans::from(settings), daylight, telling, ready);
    let mut closing = Closing {
        state,
        settings,
        zone: &catalogue.registry().county.zone,
        at: ready,
        seq: cursor.map_or(0, |cursor| cursor.seq),
        unwritten: Unwritten::default(),
    };
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
            None => {
                let closed = closing.close(&rule, stored)?;
                engine.retire(rule.into(), closed);
            }
        }
    }
    if let Some(cursor) = cursor {
        engine.restored(cursor.now, closing.seq, ready);
    }
    let lsn = cursor.map_or(Lsn::ZERO, |cursor| cursor.lsn);
    Ok(Restored {
        engine,
        lsn,
        ready,
        start: AlarmStart {
            at: ready,
            lived: cursor.map(|cursor| cursor.now),
        },
        unwritten: closing.unwritten,
    })
}

/// Where the closing of alarms goes, and how it is told.
struct Closing<'a> {
    state: &'a State,
    settings: &'a AlarmSettings,
    zone: &'a str,
    at: Timestamp,
    seq: u64,
    unwritten: Unwritten,
}

impl Closing<'_> {
    /// The rule is gone: its alarm is closed with a row in the log and one notice, never silently. Its state stays, closed: a
    /// rule of that name that comes back goes on with the next occurrence, so that no key of a notice is used twice.
    fn close(&mut self, rule: &str, stored: RuleState) -> Result<RuleState, AlarmError> {
        if !stored.shown().is_open() {
            return Ok(stored);
        }
        self.seq += 1;
        let (seq, at) = (self.seq, self.at);
        let after = RuleState {
            alarm: AlarmState::Normal,
            suppressed: Suppressions::NONE,
            latch: false,
            rare: None,
            seq,
            returned_at: Some(at),
            pending: None,
            ..stored
        };
        let body = after.body().map_err(|error| DamagedState {
            of: rule.to_owned(),
            what: error.to_string(),
        })?;
        self.unwritten.rules.insert(rule.into(), Some(body));
        let closed = after.clone();
        let transition = Transition {
            seq,
            at,
            event: EventKind::Closed,
            rule: u32::MAX,
            occurrence: after.occurrence,
            since: after.since,
            value: after.value,
            quality: after.quality,
            state: AlarmState::Normal,
            tags: Tags::NONE,
            page: true,
            extra: None,
            after,
        };
        self.unwritten
            .log
            .push(super::log_row::log_row(rule, None, &transition));
        if let Some(body) = self.state.alarm_occurrence(rule, transition.occurrence)? {
            let mut alarm = read_view(&body)?;
            alarm.state = AlarmState::Normal;
            alarm.returned_at = Some(at);
            alarm.seq = seq;
            self.unwritten.occurrences.extend(occurrence_row(&alarm, at));
            let news = News {
                alarm: &alarm,
                transition: &transition,
                made_at: at,
                zone: self.zone,
            };
            self.unwritten
                .notices
                .extend(notices(self.settings, &news, EVERYBODY, 0));
        }
        Ok(closed)
    }
}
