//! What a step of the engine leaves to be written, and its writing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use store::state::alarms::{AlarmCommit, AlarmCursor, Fate, LogRow, Notice, OccurrenceRow};
use telemetry::time::Span;
use telemetry::{Catalogue, Timestamp};

use super::{AlarmService, Inner, MEMORY_UNWRITTEN_MAX, since};
use crate::engine::{DamagedState, Engine, EventKind, Transition};
use crate::notify::message::{self, News};
use crate::settings::AlarmSettings;
use crate::view::{AlarmChange, AlarmView};

/// Most log rows that wait for a failing disk. Beyond, the oldest are dropped and counted; the alarms themselves stay.
const UNWRITTEN_ROWS_MAX: usize = 100_000;
/// Most notices that wait for the sender while the disk fails. Beyond, the oldest is dropped, life-safety last.
const VOLATILE_MAX: usize = 10_000;
/// How often old rows are looked for.
const PRUNE_EVERY: Span = Span::from_secs(600);
/// Most rows that one look takes away.
const PRUNE_ROWS_MAX: usize = 10_000;

/// What the next commit will write.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    pub(super) rules: BTreeMap<Box<str>, Option<String>>,
    pub(super) devices: BTreeMap<usize, Vec<u8>>,
    pub(super) log: Vec<LogRow>,
    pub(super) occurrences: Vec<OccurrenceRow>,
    pub(super) notices: Vec<Notice>,
    /// Log rows that are lost.
    pub(super) dropped: u64,
}

impl Unwritten {
    pub(super) fn log_rows(&self) -> u64 {
        self.log.len() as u64
    }

    fn is_urgent(&self) -> bool {
        !self.log.is_empty() || !self.notices.is_empty()
    }

    fn bound(&mut self) {
        let over = self.log.len().saturating_sub(UNWRITTEN_ROWS_MAX);
        self.dropped += over as u64;
        self.log.drain(..over);
        let over = self.occurrences.len().saturating_sub(UNWRITTEN_ROWS_MAX);
        self.occurrences.drain(..over);
        let over = self.notices.len().saturating_sub(UNWRITTEN_ROWS_MAX);
        self.notices.drain(..over);
    }

    fn commit(&self, catalogue: &Catalogue, cursor: AlarmCursor) -> AlarmCommit {
        let name = |place: &usize| {
            catalogue
                .devices()
                .get(*place)
                .map(|entry| entry.device.id.as_str().into())
        };
        AlarmCommit {
            cursor,
            rules: self
                .rules
                .iter()
                .map(|(rule, body)| (rule.clone(), body.clone()))
                .collect(),
            devices: self
                .devices
                .iter()
                .filter_map(|(place, body)| Some((name(place)?, body.clone())))
                .collect(),
            log: self.log.clone(),
            occurrences: self.occurrences.clone(),
            notices: self.notices.clone(),
        }
    }

    fn clear(&mut self) {
        *self = Self {
            dropped: self.dropped,
            ..Self::default()
        };
    }

    /// Takes in one transition; the change to broadcast, where there is an occurrence to speak of.
    pub(super) fn take(
        &mut self,
        catalogue: &Catalogue,
        engine: &Engine,
        settings: &AlarmSettings,
        transition: &Transition,
        made_at: Timestamp,
    ) -> Option<AlarmChange> {
        if !transition.event.is_logged() {
            return None;
        }
        let rule = engine.rules().get(usize::try_from(transition.rule).ok()?)?;
        self.log.push(log_row(&rule.id, transition));
        let view = AlarmView::of(catalogue, rule, &transition.after)?;
        self.occurrences.push(occurrence_row(&view, transition.at)?);
        if transition.page {
            let zone = &catalogue.registry().county.zone;
            let news = News {
                alarm: &view,
                transition,
                made_at,
                zone,
            };
            self.notices.extend(notices(settings, &news));
        }
        Some(AlarmChange {
            event: transition.event,
            at: transition.at,
            seq: transition.seq,
            tags: transition.tags.list(),
            alarm: view,
            durable: true,
        })
    }
}

pub(super) fn log_row(rule: &str, transition: &Transition) -> LogRow {
    let person = transition
        .after
        .acknowledged
        .as_ref()
        .filter(|_| transition.event == EventKind::Acknowledged);
    LogRow {
        seq: transition.seq,
        at: transition.at,
        event: transition.event.name().into(),
        rule: rule.into(),
        occurrence: transition.occurrence,
        by: person.map(|person| person.by.clone()),
        remark: person.map(|person| person.remark.clone()),
        body: json!({
            "since": transition.since,
            "value": transition.value,
            "quality": transition.quality.name(),
            "state": transition.state,
            "tags": transition.tags.list(),
        })
        .to_string(),
    }
}

/// None only for what JSON cannot hold, which a view never has.
pub(super) fn occurrence_row(view: &AlarmView, changed_at: Timestamp) -> Option<OccurrenceRow> {
    Some(OccurrenceRow {
        rule: view.rule.as_str().into(),
        occurrence: view.occurrence,
        seq: view.raised_seq,
        changed_at,
        open: view.is_open(),
        site: view.site.as_str().into(),
        device: view.device.as_str().into(),
        body: serde_json::to_string(view).ok()?,
    })
}

/// One notice for each channel that wants it; where none does, one that says so.
pub(super) fn notices(settings: &AlarmSettings, news: &News<'_>) -> Vec<Notice> {
    let News {
        alarm,
        transition,
        made_at,
        ..
    } = *news;
    let notice = |channel: &str, fate| {
        let key = format!("{}.{}.{channel}", alarm.id, transition.event.name());
        Notice {
            payload: message::payload(&key, news),
            key: key.into(),
            seq: transition.seq,
            channel: channel.into(),
            life_safety: alarm.life_safety,
            fate,
            attempts: 0,
            made_at,
            next_at: made_at,
            delivered_at: None,
        }
    };
    let wanted: Vec<Notice> = settings
        .webhooks
        .iter()
        .filter(|webhook| alarm.life_safety || alarm.priority >= webhook.priority_min)
        .map(|webhook| notice(&webhook.name, Fate::Waiting))
        .collect();
    if wanted.is_empty() {
        vec![notice("", Fate::NoChannel)]
    } else {
        wanted
    }
}

impl AlarmService {
    /// Writes what a step left and tells everybody. On a failing disk people are told all the same.
    pub(super) fn write(&self, inner: &mut Inner, out: &[Transition]) {
        let made_at = self.clock.now();
        let queued = inner.unwritten.notices.len();
        let mut changes = Vec::new();
        for transition in out {
            if let Ok(place) = usize::try_from(transition.rule) {
                if transition.state.is_open() {
                    inner.open.insert(place);
                } else {
                    inner.open.remove(&place);
                }
            }
            let Inner {
                engine, unwritten, ..
            } = &mut *inner;
            changes.extend(unwritten.take(&self.catalogue, engine, &self.settings, transition, made_at));
        }
        let fresh: Vec<Notice> = inner.unwritten.notices.get(queued..).unwrap_or_default().to_vec();
        let mono = self.clock.monotonic();
        let due = since(mono, inner.written_at) >= MEMORY_UNWRITTEN_MAX;
        let mut durable = true;
        if inner.unwritten.is_urgent() || due {
            durable = self.write_now(inner);
        }
        if !durable {
            inner.volatile.extend(
                fresh
                    .iter()
                    .filter(|notice| notice.fate == Fate::Waiting)
                    .cloned(),
            );
            bound_volatile(&mut inner.volatile);
        }
        for change in changes {
            // Nobody listening is no fault.
            drop(self.changes.send(Arc::new(AlarmChange { durable, ..change })));
        }
        if !fresh.is_empty() {
            self.outbox.notify_one();
        }
    }

    /// Writes everything that is unwritten; whether it worked.
    pub(super) fn write_now(&self, inner: &mut Inner) -> bool {
        inner.written_at = self.clock.monotonic();
        if let Err(error) = gather(inner) {
            tracing::error!(error = %error, "an alarm state cannot be written");
            return false;
        }
        let cursor = AlarmCursor {
            lsn: inner.judged,
            seq: inner.engine.seq(),
            now: inner.engine.now(),
        };
        match self
            .state
            .commit_alarms(&inner.unwritten.commit(&self.catalogue, cursor))
        {
            Ok(()) => {
                inner.unwritten.clear();
                inner.volatile.clear();
                inner.durable = inner.judged;
                true
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, rows = inner.unwritten.log.len(), "alarms are not on disk");
                inner.unwritten.bound();
                false
            }
        }
    }

    pub(super) fn prune(&self, inner: &mut Inner, mono: Span) {
        if inner.pruned_at.is_some_and(|at| since(mono, at) < PRUNE_EVERY) {
            return;
        }
        inner.pruned_at = Some(mono);
        let before = self.clock.now().minus(self.settings.keep);
        if let Err(error) = self.state.prune_alarms(before, PRUNE_ROWS_MAX) {
            tracing::warn!(%error, "old alarms are not pruned");
        }
    }
}

/// Moves what changed in the engine to what is to be written.
fn gather(inner: &mut Inner) -> Result<(), DamagedState> {
    let (rules, devices) = inner.engine.take_changes()?;
    inner
        .unwritten
        .rules
        .extend(rules.into_iter().map(|rule| (rule.id, rule.body)));
    inner
        .unwritten
        .devices
        .extend(devices.into_iter().map(|device| (device.device, device.body)));
    Ok(())
}

fn bound_volatile(notices: &mut Vec<Notice>) {
    while notices.len() > VOLATILE_MAX {
        let place = notices.iter().position(|notice| !notice.life_safety).unwrap_or(0);
        let lost = notices.remove(place);
        tracing::error!(key = %lost.key, "a notice waits for the disk: too many wait for the sender");
    }
}
