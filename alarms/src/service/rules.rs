//! Which rules are in force: their versions, what changes them by date or by hand, and how people see them.

use std::sync::{Arc, MutexGuard};

use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::state::State;
use store::state::access::AuditEntry;
use telemetry::profile::{Priority, Title};
use telemetry::time::Span;
use telemetry::{Catalogue, Timestamp};

use super::commit::{Said, gather};
use super::{AlarmError, AlarmService, Inner, ROWS_PER_ANSWER_MAX};
use crate::rules::{self, Compiled, Rule, RuleBook};

/// Key of the version in force in the state database.
const KEY: &str = "alarms.rules";
/// Who changes rules by their date.
const BY_DATE: &str = "date";
/// How long a change by date waits that could not be made.
const AGAIN_AFTER: Span = Span::from_secs(60);

/// A version of the rules, and since when it is in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    /// From 1; it grows with every change.
    pub(super) number: u32,
    /// Over all that the rules are made of.
    digest: String,
    since: Timestamp,
    #[serde(skip)]
    book: Arc<RuleBook>,
    /// When the next one comes by its date.
    #[serde(skip)]
    next: Option<Timestamp>,
    /// The monotonic time before which a change that failed is not tried again.
    #[serde(skip)]
    not_before: Span,
}

impl Version {
    /// The version that begins with a start at `at`: the one of the last run, or a new one where something differs.
    pub(super) fn begin(
        state: &State,
        catalogue: &Catalogue,
        book: &Arc<RuleBook>,
        at: Timestamp,
    ) -> Result<Self, AlarmError> {
        let last: Option<Self> = state.meta(KEY)?.and_then(|text| serde_json::from_str(&text).ok());
        let now = Self::of(catalogue, book, at, last.as_ref());
        if last.as_ref().is_none_or(|last| last.number != now.number) {
            now.write(state, "start", at)?;
        }
        Ok(now)
    }

    fn of(catalogue: &Catalogue, book: &Arc<RuleBook>, at: Timestamp, last: Option<&Self>) -> Self {
        let zone = rules::zone_of(catalogue);
        let digest = digest(catalogue, book, at, &zone);
        let (number, since) = match last {
            Some(last) if last.digest == digest => (last.number, last.since),
            Some(last) => (last.number.saturating_add(1), at),
            None => (1, at),
        };
        Self {
            number,
            digest,
            since,
            book: Arc::clone(book),
            next: book.next_change(at, &zone),
            not_before: Span::ZERO,
        }
    }

    /// The audit says who put which rules in force, and is never rewritten.
    fn write(&self, state: &State, by: &str, at: Timestamp) -> Result<(), AlarmError> {
        let body = serde_json::to_string(self).unwrap_or_default();
        let name = match self.book.version() {
            "" => "the profiles' rules",
            name => name,
        };
        let detail = format!(
            "version {} from {}, digest {}",
            self.number,
            self.since.to_rfc3339(),
            self.digest
        );
        state.audit(AuditEntry {
            at,
            by,
            what: "rules in force",
            subject: name,
            detail: &detail,
        })?;
        Ok(state.set_meta(KEY, &body)?)
    }
}

/// Of all that rules are made of: this program, the profiles, the book and the day.
fn digest(catalogue: &Catalogue, book: &RuleBook, at: Timestamp, zone: &TimeZone) -> String {
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    let mut profiles: Vec<_> = (catalogue.devices().iter()).map(|entry| &entry.profile).collect();
    profiles.sort_by(|a, b| a.kind.cmp(&b.kind));
    profiles.dedup_by(|a, b| a.kind == b.kind);
    for profile in profiles {
        hash.update(format!(
            "{} {} {:?}",
            profile.kind, profile.version, profile.rules
        ));
    }
    hash.update(format!("{book:?}"));
    let begun = (book.changes(zone).into_iter())
        .filter(|change| *change <= at)
        .count();
    hash.update(begun.to_le_bytes());
    let digest = hash.finalize();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Places of rules by their ids.
pub(super) fn places(rules: &[Rule]) -> FxHashMap<Arc<str>, usize> {
    (rules.iter().enumerate())
        .map(|(place, rule)| (Arc::clone(&rule.id), place))
        .collect()
}

/// The rules in force, as people see them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InForce {
    /// Number of the version, from 1.
    pub version: u32,
    /// What the county calls its rule book; empty without one.
    pub book: String,
    /// Over all that the rules are made of.
    pub digest: String,
    /// Since when.
    pub since: Timestamp,
    /// When the next version comes by its date.
    pub next_change: Option<Timestamp>,
    /// How many rules there are that were asked for.
    pub count: usize,
    /// The first of them.
    pub rules: Vec<RuleView>,
    /// Groups of points.
    pub groups: Vec<GroupView>,
}

/// One rule in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleView {
    /// `DEVICE/RULE-ID`.
    pub id: String,
    /// What people call it.
    pub title: Title,
    /// With which device it is shown.
    pub device: String,
    /// Which signal it looks at; of several, the unit's.
    pub signal: Option<String>,
    /// UCUM code of the limit's unit.
    pub unit: Option<String>,
    /// What it compares, e.g. `high`.
    pub kind: &'static str,
    /// The limit, where it is one number; of a run time in hours.
    pub limit: Option<f64>,
    /// As text, e.g. `10s`.
    pub on_delay: Span,
    /// As text, e.g. `10s`.
    pub off_delay: Span,
    /// How much it matters.
    pub priority: Priority,
    /// Whether it may save a life.
    pub life_safety: bool,
    /// Whether its alarm waits for a reset.
    pub latching: bool,
    /// The engine made it.
    pub system: bool,
    /// Where it differs from its profile: file, line and reason.
    pub changed: Option<String>,
}

/// One group of points.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupView {
    /// Its id.
    pub id: String,
    /// How many points it has.
    pub points: usize,
    /// How many alarms of it are active.
    pub active: u32,
    /// The gravest of them.
    pub gravest: Option<Priority>,
}

impl AlarmService {
    /// Puts another rule book in force, in the name of `by`: what is named in both goes on, what is gone is closed and told,
    /// and a changed limit is judged by the last good, fresh value. The number of the version in force then.
    ///
    /// # Errors
    /// [`AlarmError::Rules`] for a book that does not fit, [`AlarmError::State`] when the version cannot be written
    /// down; the rules are then what they were.
    pub fn change_rules(&self, book: Arc<RuleBook>, by: &str) -> Result<u32, AlarmError> {
        let (inner, outcome) = self.change(self.lock(), book, by);
        drop(inner);
        outcome
    }

    /// Changes the rules when their day has come.
    pub(super) fn change_by_date<'a>(
        &'a self,
        inner: MutexGuard<'a, Inner>,
        mono: Span,
    ) -> MutexGuard<'a, Inner> {
        let due = inner.in_force.next.is_some_and(|next| next <= self.clock.now());
        if !due || mono < inner.in_force.not_before {
            return inner;
        }
        let book = Arc::clone(&inner.in_force.book);
        let (mut inner, outcome) = self.change(inner, book, BY_DATE);
        if let Err(error) = outcome {
            let error = telemetry::with_causes(&error);
            tracing::error!(
                error,
                "rules could not be changed by their date; tried again in a minute"
            );
            inner.in_force.not_before = Span::from_millis(mono.millis().saturating_add(AGAIN_AFTER.millis()));
        }
        inner
    }

    fn change<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner>,
        book: Arc<RuleBook>,
        by: &str,
    ) -> (MutexGuard<'a, Inner>, Result<u32, AlarmError>) {
        let catalogue = &self.shared.catalogue;
        let at = self.clock.now();
        let version = Version::of(catalogue, &book, at, Some(&inner.in_force));
        if version.number == inner.in_force.number {
            inner.in_force = version;
            let number = inner.in_force.number;
            return (inner, Ok(number));
        }
        let mut said = Said::default();
        let outcome = self.exchange(&mut inner, &version, at, by, &mut said);
        let outcome = outcome.map(|()| {
            let number = version.number;
            tracing::info!(version = number, by, "rules in force");
            inner.in_force = version;
            number
        });
        (self.flush(inner, said), outcome)
    }

    /// Nothing else happens between the first and the last line: the lock is held.
    fn exchange(
        &self,
        inner: &mut Inner,
        version: &Version,
        at: Timestamp,
        by: &str,
        said: &mut Said,
    ) -> Result<(), AlarmError> {
        let catalogue = &self.shared.catalogue;
        let Compiled { plant, rules } =
            rules::compile(catalogue, &version.book, at, self.settings.fault_off_delay)?;
        let telling = Arc::new(self.settings.telling(&catalogue.registry().county.zone)?);
        version.write(&self.shared.state, by, at)?;
        let now = inner.time(self.clock.monotonic());
        let mut out = Vec::new();
        inner.engine.advance(now, &mut out);
        inner.engine.restore_version(version.number.saturating_sub(1));
        inner.engine.retire_rules(&rules, by, &mut out);
        self.record(inner, &out, true, said);
        // What the old places still have to write is written down under their names.
        gather(inner)?;
        let spans = crate::engine::Spans::from(&self.settings);
        let before: Vec<Arc<str>> = (inner.engine.rules().iter())
            .map(|rule| Arc::clone(&rule.id))
            .collect();
        let mut out = Vec::new();
        inner
            .engine
            .replace_rules(plant, rules, telling, spans, &mut out)?;
        inner.move_places(&before);
        self.record(inner, &out, true, said);
        Ok(())
    }

    /// The rules in force; those of one device or site where it is asked for, at most [`ROWS_PER_ANSWER_MAX`].
    #[must_use]
    pub fn rules_in_force(&self, site: Option<&str>, device: Option<&str>) -> InForce {
        let inner = self.lock();
        let catalogue = &self.shared.catalogue;
        let views = inner.engine.rules().iter().filter_map(|rule| {
            let entry = catalogue.devices().get(rule.shown_at)?;
            let here = device.is_none_or(|wanted| entry.device.id.as_str() == wanted)
                && site.is_none_or(|wanted| entry.device.site.as_str() == wanted);
            let signal = rule.signal.and_then(|place| entry.profile.signals.get(place));
            here.then(|| RuleView {
                id: rule.id.to_string(),
                title: rule.title.clone(),
                device: entry.device.id.to_string(),
                signal: signal.map(|signal| signal.name.to_string()),
                unit: match rule.condition {
                    rules::Condition::RunTime { .. } => Some("h".to_owned()),
                    _ => signal.map(|signal| signal.unit.to_string()),
                },
                kind: rule.condition.name(),
                limit: rule.condition.limit(),
                on_delay: rule.on_delay,
                off_delay: rule.off_delay,
                priority: rule.priority,
                life_safety: rule.life_safety,
                latching: rule.latching,
                system: rule.system,
                changed: rule.changed.as_deref().map(ToOwned::to_owned),
            })
        });
        let (mut rules, mut count) = (Vec::new(), 0);
        for view in views {
            count += 1;
            if rules.len() < ROWS_PER_ANSWER_MAX {
                rules.push(view);
            }
        }
        let groups = inner.engine.plant().groups.iter().enumerate();
        let groups = groups
            .map(|(place, group)| GroupView {
                id: group.name.to_string(),
                points: group.members.len(),
                active: inner.engine.active_in(place),
                gravest: inner.engine.gravest_in(place),
            })
            .collect();
        let Version {
            number,
            digest,
            since,
            book,
            next,
            ..
        } = &inner.in_force;
        InForce {
            version: *number,
            book: book.version().to_owned(),
            digest: digest.clone(),
            since: *since,
            next_change: *next,
            count,
            rules,
            groups,
        }
    }
}

impl Inner {
    /// Leads what is remembered by the places of the rules that were, `before`, to the places that are.
    fn move_places(&mut self, before: &[Arc<str>]) {
        self.by_rule = places(self.engine.rules());
        let moved = |place: &usize| self.by_rule.get(before.get(*place)?).copied();
        self.open = self.open.iter().filter_map(moved).collect();
        let unsaved = std::mem::take(&mut self.attempts.unsaved);
        self.attempts.unsaved = (unsaved.iter())
            .filter_map(|(place, seq)| Some((moved(place)?, *seq)))
            .collect();
        let marks = self.early.take_marks();
        let kept = (marks.into_iter()).filter_map(|(place, mark)| Some((moved(&place)?, mark)));
        let kept = kept.collect();
        self.early.put_marks(kept);
    }
}
