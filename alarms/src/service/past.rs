//! The log of the alarms by time: for the figures of alarm health, and row by row for whoever audits them.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use store::state::StateError;
use store::state::alarms::{LogPage, LogRow};
use telemetry::{Catalogue, Timestamp};

use super::list::{bounded, log_view};
use super::log_row::happening;
use super::{AlarmError, AlarmService, read_view};
use crate::engine::{EventKind, Tag};
use crate::figures::{AlarmLog, LogFacts, LogRule, Scope, is_rule};
use crate::health::lasting::Active;
use crate::health::{Happening, Left};
use crate::lifecycle::AlarmState;
use crate::rules::{Condition, Rule};
use crate::view::LogView;

/// Rows that are read at once; between two pages others may read.
const PAGE_ROWS: usize = 5_000;
/// Most rows of a period: a year of a county in a constant flood. More: an error that asks for a shorter period.
const ROWS_MAX: usize = 4_000_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Which rows of the log are asked for, the newest first. That somebody was told is never among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    /// First instant.
    pub from: Timestamp,
    /// End, not included.
    pub to: Timestamp,
    /// Whose rules.
    pub scope: Scope,
    /// Only of these events; all where it is empty.
    pub events: Vec<EventKind>,
    /// Only what the figures of alarm health count as a call.
    pub calls: bool,
    /// Only rows with a number below this: the next page.
    pub before: Option<u64>,
    /// Most rows; 0 and what exceeds [`super::ROWS_PER_ANSWER_MAX`] mean that bound.
    pub limit: usize,
}

/// The device of a rule, by its name alone: the rule may be gone.
fn device_of(catalogue: &Catalogue, rule: &str) -> Option<usize> {
    let device = match rule.split_once('/') {
        Some((device, _)) => device,
        None => rule.rsplit_once('.')?.0,
    };
    catalogue.device_index(device)
}

/// The rules that rows speak of, each once.
#[derive(Default)]
struct Names {
    places: FxHashMap<Box<str>, u32>,
    rules: Vec<LogRule>,
}

impl Names {
    fn place(&mut self, catalogue: &Catalogue, rule: &str) -> u32 {
        if let Some(place) = self.places.get(rule) {
            return *place;
        }
        let place = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        self.places.insert(rule.into(), place);
        self.rules.push(LogRule {
            id: rule.into(),
            title: None,
            device: device_of(catalogue, rule),
        });
        place
    }
}

impl AlarmService {
    /// Rows of the log that fit, the newest first.
    ///
    /// # Errors
    /// [`AlarmError::State`] when the disk fails.
    pub fn log_in(&self, filter: &LogFilter) -> Result<Vec<LogView>, AlarmError> {
        let catalogue = &self.shared.catalogue;
        let limit = bounded(filter.limit);
        let mut views = Vec::new();
        let mut before = filter.before.unwrap_or(u64::MAX);
        let mut page = LogPage {
            from: filter.from,
            to: filter.to,
            limit: PAGE_ROWS,
        };
        loop {
            let rows = self.shared.state.alarm_log_back(page, before)?;
            let Some(last) = rows.last() else { break };
            (before, page.to) = (last.seq, Timestamp::from_millis(last.at.millis() + 1));
            let over = rows.len() < PAGE_ROWS;
            for row in rows {
                let site = device_of(catalogue, &row.rule)
                    .and_then(|place| catalogue.devices().get(place))
                    .and_then(|entry| catalogue.site_of(entry));
                let event = EventKind::named(&row.event);
                let wanted =
                    filter.events.is_empty() || event.is_some_and(|event| filter.events.contains(&event));
                if !wanted || !filter.scope.holds_rule(&row.rule, site) {
                    continue;
                }
                let call = self.is_call(&row)?;
                if call || !filter.calls {
                    views.push(LogView {
                        call,
                        ..log_view(row)?
                    });
                }
                if views.len() == limit {
                    return Ok(views);
                }
            }
            if over {
                break;
            }
        }
        Ok(views)
    }

    fn is_call(&self, row: &LogRow) -> Result<bool, StateError> {
        Ok(happening(row, 0, false)?.is_call() && !self.is_flood(&row.rule))
    }

    fn is_flood(&self, rule: &str) -> bool {
        let inner = self.lock();
        let place = inner.by_rule.get(rule);
        let rule = place.and_then(|place| inner.engine.rules().get(*place));
        rule.is_some_and(is_flood)
    }

    /// The rows of `from..to` in order, and the rules that they speak of.
    fn rows(&self, from: Timestamp, to: Timestamp, names: &mut Names) -> Result<Vec<Happening>, Failure> {
        let mut happenings = Vec::new();
        let mut after = 0;
        let mut page = LogPage {
            from,
            to,
            limit: PAGE_ROWS,
        };
        loop {
            let rows = self.shared.state.alarm_log_forth(page, after)?;
            let Some(last) = rows.last() else { break };
            (after, page.from) = (last.seq, last.at);
            for row in &rows {
                // What happens to a device or to nobody has no rule.
                if !row.rule.is_empty() {
                    let place = names.place(&self.shared.catalogue, &row.rule);
                    happenings.push(happening(row, place, false)?);
                }
            }
            if rows.len() < PAGE_ROWS {
                break;
            }
            if happenings.len() > ROWS_MAX {
                return Err(format!(
                    "the log has more than {ROWS_MAX} rows in the period: ask for a shorter one"
                )
                .into());
            }
        }
        Ok(happenings)
    }

    /// What was active just before `to`: of memory what still is, of the disk what is over since.
    fn active_at(&self, to: Timestamp, names: &mut Names) -> Result<Vec<Active>, Failure> {
        let catalogue = &self.shared.catalogue;
        let mut active = Vec::new();
        {
            let inner = self.lock();
            for place in &inner.open {
                let (Some(rule), Some(state)) =
                    (inner.engine.rules().get(*place), inner.engine.state(*place))
                else {
                    continue;
                };
                if state.alarm.is_active() && state.raised_at < to && !is_flood(rule) {
                    active.push(Active {
                        rule: names.place(catalogue, &rule.id),
                        occurrence: state.occurrence,
                        raised_at: state.raised_at,
                        until: None,
                        alone: false,
                        momentary: false,
                        left: left(state.tags.has(Tag::Test), state.shown()),
                    });
                }
            }
        }
        for body in self.shared.state.alarm_occurrences_over(to)? {
            let view = read_view(&body)?;
            let over_since = view.returned_at.is_some_and(|returned| returned >= to);
            if over_since && view.raised_at < to && !self.is_flood(&view.rule) {
                active.push(Active {
                    rule: names.place(catalogue, &view.rule),
                    occurrence: view.occurrence,
                    raised_at: view.raised_at,
                    until: None,
                    alone: false,
                    momentary: false,
                    left: left(view.tags.contains(&Tag::Test), view.state),
                });
            }
        }
        Ok(active)
    }

    /// What the engine knows of the rules: titles, and which one is the flood's.
    fn describe(&self, names: &mut Names, rows: &mut [Happening]) {
        let mut floods = Vec::new();
        {
            let inner = self.lock();
            for (number, known) in names.rules.iter_mut().enumerate() {
                let place = inner.by_rule.get(&known.id);
                let Some(rule) = place.and_then(|place| inner.engine.rules().get(*place)) else {
                    continue;
                };
                known.title = Some(rule.title.clone());
                floods.extend(is_flood(rule).then(|| u32::try_from(number).unwrap_or(u32::MAX)));
            }
        }
        for row in rows {
            row.flood = floods.contains(&row.rule);
        }
    }
}

fn is_flood(rule: &Rule) -> bool {
    matches!(rule.condition, Condition::Flood(_))
}

const fn left(test: bool, state: AlarmState) -> Option<Left> {
    match state {
        _ if test => Some(Left::Test),
        AlarmState::SuppressedByDesign => Some(Left::ByDesign),
        AlarmState::Shelved => Some(Left::Shelved),
        AlarmState::OutOfService => Some(Left::OutOfService),
        AlarmState::Normal
        | AlarmState::Unacknowledged
        | AlarmState::Acknowledged
        | AlarmState::ReturnedUnacknowledged
        | AlarmState::LatchedUnacknowledged
        | AlarmState::LatchedAcknowledged => None,
    }
}

impl AlarmLog for AlarmService {
    fn facts(&self, from: Timestamp, to: Timestamp) -> Result<LogFacts, Failure> {
        // Older rows go, a few at a time: what is left of them is not the whole.
        let kept_from = self.clock.now().minus(self.settings.keep);
        let mut names = Names::default();
        let mut rows = self.rows(from.max(kept_from), to, &mut names)?;
        let active = self.active_at(to, &mut names)?;
        self.describe(&mut names, &mut rows);
        let mut down = self.shared.state.alarms_down(from, to)?;
        down.push((Timestamp::EPOCH.min(from), kept_from));
        // What an earlier program wrote, before the first start of this one, does not say whom it told.
        let begun = down
            .iter()
            .filter(|(since, _)| *since <= Timestamp::EPOCH)
            .map(|(_, until)| *until);
        if let Some(begun) = begun.max() {
            rows.retain(|row| row.at >= begun);
        }
        Ok(LogFacts {
            rules: names.rules,
            rows,
            active,
            down,
        })
    }

    fn knows(&self, rule: &str) -> bool {
        let inner = self.lock();
        inner.by_rule.contains_key(rule) || inner.by_rule.keys().any(|known: &Arc<str>| is_rule(rule, known))
    }
}
