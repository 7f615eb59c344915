//! What a step of the engine leaves to be written, and its writing.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use store::state::alarms::{AlarmCommit, AlarmCursor, Fate, LogRow, Notice, OccurrenceRow};
use telemetry::time::Span;
use telemetry::{Catalogue, Timestamp};

use super::log_row::log_row;
use super::writer::Pending;
use super::{AlarmService, Inner};
use crate::engine::{DamagedState, Engine, EventKind, NO_RULE, Transition};
use crate::notify::failover::{self, Leg};
use crate::notify::message::{self, Address, News};
use crate::notify::past;
use crate::settings::AlarmSettings;
use crate::view::{AlarmChange, AlarmView};

/// How long memory that changed without changing an alarm may stay unwritten, …
const MEMORY_UNWRITTEN_MAX: Span = Span::from_secs(10);
/// … and how long where it is of that many rules and devices or more.
const MUCH_MEMORY_UNWRITTEN_MAX: Span = Span::from_secs(1);
const MEMORY_UNWRITTEN_SMALL: usize = 500;
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
    /// Transitions of alarms; that somebody was told of one is not counted beside it.
    pub(super) fn log_rows(&self) -> u64 {
        let told = EventKind::Notified.name();
        self.log.iter().filter(|row| &*row.event != told).count() as u64
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

    pub(super) fn commit(
        &self,
        catalogue: &Catalogue,
        cursor: AlarmCursor,
        fates: Vec<Notice>,
    ) -> AlarmCommit {
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
            fates,
        }
    }

    /// Takes in one transition; the change to broadcast, where there is an occurrence to speak of.
    pub(super) fn take(
        &mut self,
        catalogue: &Catalogue,
        engine: &Engine,
        settings: &AlarmSettings,
        (transition, cause): (&Transition, Option<&Transition>),
        (made_at, journaled): (Timestamp, bool),
    ) -> Option<AlarmChange> {
        if !transition.event.is_logged() {
            return None;
        }
        let Some(rule) = engine.rules().get(usize::try_from(transition.rule).ok()?) else {
            self.log.push(log_row("", None, transition));
            self.notices
                .extend(digest_notices(catalogue, engine, settings, transition, made_at));
            return None;
        };
        self.log.push(log_row(&rule.id, Some(rule), transition));
        let view = AlarmView::of(catalogue, rule, &transition.after)?;
        // On disk it stands when it is on disk: there it is durable.
        if transition.event != EventKind::Notified {
            self.occurrences.push(occurrence_row(&view, transition.at)?);
        }
        let view = AlarmView {
            durable: journaled && settings.volatile.is_none(),
            ..view
        };
        if transition.event == EventKind::Notified {
            let zone = &catalogue.registry().county.zone;
            let news = News {
                alarm: &view,
                transition: cause?,
                made_at,
                zone,
            };
            let (to, step) = transition
                .extra
                .as_ref()
                .map(|extra| (extra.to.as_deref(), extra.step))?;
            self.notices.extend(notices(settings, &news, to?, step));
            return None;
        }
        Some(AlarmChange {
            event: transition.event,
            at: transition.at,
            seq: transition.seq,
            tags: transition.tags.list(),
            durable: view.durable,
            alarm: view,
        })
    }

    /// Puts back what could not be written: what came since goes before it.
    pub(super) fn put_back(&mut self, older: Self) {
        let newer = std::mem::replace(self, older);
        self.rules.extend(newer.rules);
        self.devices.extend(newer.devices);
        self.log.extend(newer.log);
        self.occurrences.extend(newer.occurrences);
        self.notices.extend(newer.notices);
        self.dropped += newer.dropped;
        self.bound();
    }
}

/// What a step says to everybody.
#[derive(Debug, Default)]
pub(super) struct Said {
    changes: Vec<AlarmChange>,
    notices: Vec<Notice>,
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

/// One notice of `news` to `to` over each of their channels that wants it; where none does, one that says so. `step` tells apart what
/// may come more than once in an occurrence.
pub(super) fn notices(settings: &AlarmSettings, news: &News<'_>, to: &str, step: u32) -> Vec<Notice> {
    let News {
        alarm,
        transition,
        made_at,
        ..
    } = *news;
    let notice = |leg: Leg<'_>, fate| {
        let suffix = settings.key_suffix(alarm.raised_seq);
        let event = match step {
            0 => transition.event.name().to_owned(),
            _ => format!("{}.{step}", transition.event.name()),
        };
        let key = format!("{}.{event}.{}{suffix}", alarm.id, leg.part());
        let address = Address {
            key: &key,
            recipient: leg.recipient,
            public_url: settings.public_url.as_deref(),
        };
        Notice {
            payload: message::payload(address, news),
            key: key.into(),
            seq: transition.seq,
            channel: leg.channel.into(),
            life_safety: alarm.life_safety,
            fate,
            attempts: 0,
            made_at,
            next_at: made_at,
            delivered_at: None,
        }
    };
    let legs = failover::legs_to(settings, to, alarm.life_safety, alarm.priority);
    if legs.is_empty() {
        let nobody = Leg {
            recipient: None,
            channel: "",
        };
        vec![notice(nobody, Fate::NoChannel)]
    } else {
        let waiting = |leg| notice(leg, Fate::Waiting);
        legs.into_iter().map(waiting).collect()
    }
}

/// The notices of what history had to tell, where that is what the transition is. It is as urgent as its gravest line.
fn digest_notices(
    catalogue: &Catalogue,
    engine: &Engine,
    settings: &AlarmSettings,
    transition: &Transition,
    made_at: Timestamp,
) -> Vec<Notice> {
    let Some(extra) = transition
        .extra
        .as_deref()
        .filter(|extra| !extra.items.is_empty())
    else {
        return Vec::new();
    };
    let Some(to) = extra.to.as_deref() else {
        return Vec::new();
    };
    let rules = engine.rules();
    let priority = (extra.items.iter())
        .filter_map(|item| Some(rules.get(usize::try_from(item.rule).ok()?)?.priority))
        .max()
        .unwrap_or(telemetry::profile::Priority::Low);
    let suffix = settings.key_suffix(transition.seq);
    let legs = failover::legs_to(settings, to, false, priority);
    legs.into_iter()
        .map(|leg| {
            let key = format!("digest~{}.{}{suffix}", transition.seq, leg.part());
            let address = Address {
                key: &key,
                recipient: leg.recipient,
                public_url: settings.public_url.as_deref(),
            };
            let payload = past::payload(address, catalogue, rules, &extra.items, transition.at);
            Notice {
                payload,
                key: key.into(),
                seq: transition.seq,
                channel: leg.channel.into(),
                life_safety: false,
                fate: Fate::Waiting,
                attempts: 0,
                made_at,
                next_at: made_at,
                delivered_at: None,
            }
        })
        .collect()
}

impl AlarmService {
    /// Writes what a step left and tells everybody. On a failing or a slow disk people are told all the same.
    /// `journaled`: the readings behind it are in the journal.
    pub(super) fn write<'a>(
        &self,
        mut inner: MutexGuard<'a, Inner>,
        out: &[Transition],
        journaled: bool,
    ) -> MutexGuard<'a, Inner> {
        let mut said = Said::default();
        self.record(&mut inner, out, journaled, &mut said);
        self.flush(inner, said)
    }

    /// Takes up what a step left, with the engine's rules as they are now.
    pub(super) fn record(&self, inner: &mut Inner, out: &[Transition], journaled: bool, said: &mut Said) {
        let made_at = self.clock.now();
        let mut cause = None;
        for transition in out {
            if transition.event != EventKind::Notified {
                cause = Some(transition);
            }
            inner.note(transition);
            let Inner {
                engine, unwritten, ..
            } = inner;
            let queued = unwritten.notices.len();
            let change = unwritten.take(
                &self.shared.catalogue,
                engine,
                &self.settings,
                (transition, cause),
                (made_at, journaled),
            );
            said.changes.extend(change);
            said.notices.extend(
                unwritten
                    .notices
                    .get(queued..)
                    .unwrap_or_default()
                    .iter()
                    .cloned(),
            );
        }
    }

    /// Writes what has been taken up, and tells everybody.
    pub(super) fn flush<'a>(&self, mut inner: MutexGuard<'a, Inner>, said: Said) -> MutexGuard<'a, Inner> {
        let Said { changes, notices } = said;
        if inner.attempts.patience.is_none() {
            let upto = inner.attempts.wanted;
            inner = self.shared.await_attempt(inner, upto);
        }
        let mono = self.clock.monotonic();
        let urgent = inner.unwritten.is_urgent();
        let due = mono.since(inner.written_at) >= memory_may_wait(inner.engine.changed());
        if !(urgent || due) {
            return inner;
        }
        inner.written_at = mono;
        let attempt = inner.attempts.want();
        let pending = Pending {
            attempt,
            any_notice: !notices.is_empty(),
            notices: notices
                .into_iter()
                .filter(|notice: &Notice| notice.fate == Fate::Waiting)
                .collect(),
            changes,
        };
        if pending.says_something() {
            inner.pending.push(pending);
        }
        self.shared.wanted.notify_one();
        if urgent || inner.attempts.patience.is_none() {
            self.shared.await_attempt(inner, attempt)
        } else {
            inner
        }
    }

    /// Waits until everything so far is on disk, or could not be written, at most for `patience`.
    pub(super) fn settle<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        patience: std::time::Duration,
    ) -> MutexGuard<'a, Inner> {
        let upto = inner.attempts.wanted;
        let waiting = |inner: &mut Inner| inner.attempts.done < upto;
        let settled = self.shared.settled.wait_timeout_while(inner, patience, waiting);
        settled.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn prune(&self, inner: &mut Inner, mono: Span) {
        if inner.pruned_at.is_some_and(|at| mono.since(at) < PRUNE_EVERY) {
            return;
        }
        inner.pruned_at = Some(mono);
        let before = self.clock.now().minus(self.settings.keep);
        if let Err(error) = self.shared.state.prune_alarms(before, PRUNE_ROWS_MAX) {
            tracing::warn!(%error, "old alarms are not pruned");
        }
    }
}

impl Inner {
    /// Remembers which alarms are open, and which have changed since the last commit.
    fn note(&mut self, transition: &Transition) {
        let Ok(place) = usize::try_from(transition.rule) else {
            return;
        };
        if transition.rule == NO_RULE {
            return;
        }
        self.attempts.unsaved.insert(place, transition.seq);
        if transition.state.is_open() {
            self.open.insert(place);
        } else {
            self.open.remove(&place);
            self.early.forget(place);
        }
    }
}

/// How long the memory of so many rules and devices may stay unwritten. Much of it would make the next transition late, in
/// whose transaction it goes.
const fn memory_may_wait(changed: usize) -> Span {
    if changed < MEMORY_UNWRITTEN_SMALL {
        MEMORY_UNWRITTEN_MAX
    } else {
        MUCH_MEMORY_UNWRITTEN_MAX
    }
}

/// Moves what changed in the engine to what is to be written.
pub(super) fn gather(inner: &mut Inner) -> Result<(), DamagedState> {
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

pub(super) fn bound_volatile(notices: &mut Vec<Notice>) {
    while notices.len() > VOLATILE_MAX {
        let place = notices.iter().position(|notice| !notice.life_safety).unwrap_or(0);
        let lost = notices.remove(place);
        tracing::error!(key = %lost.key, "a notice waits for the disk: too many wait for the sender");
    }
}
