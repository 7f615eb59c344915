//! What came of both trials, as one JSON value. The form is described in `docs/rules.md`; others build on it.

use std::collections::HashMap;
use std::sync::Arc;

use alarms::backtest::{Called, Change, Occurrence, Outcome, RuleRow, Shift, compare, rows};
use serde::Serialize;
use telemetry::profile::{Priority, Title};
use telemetry::{Catalogue, SeriesId, Timestamp};

use super::Period;
use super::sets::NewBook;

/// What is needed to tell of both trials.
pub(super) struct Report<'a> {
    pub period: Period,
    pub zone: &'a str,
    pub night: &'a str,
    /// The first reading that was judged.
    pub start: Timestamp,
    pub profiles: &'a [Box<str>],
    pub book: Option<&'a NewBook>,
    pub points: u64,
    pub clock_rules: usize,
    pub summaries_only: usize,
    pub acts: usize,
    pub names: &'a Names,
    pub before: &'a Outcome,
    pub after: &'a Outcome,
}

/// One occurrence that is not the same in both trials.
pub(super) struct Changed<'a> {
    pub rule: &'a Arc<str>,
    pub what: Change<'a>,
}

impl Changed<'_> {
    /// When it was first raised in either.
    fn at(&self) -> Timestamp {
        match self.what {
            Change::Same(one, _) | Change::Added(one) | Change::Removed(one) => one.raised,
            Change::Moved(before, after) => before.raised.min(after.raised),
        }
    }
}

impl<'a> Report<'a> {
    /// Line by line, one for each rule of a kind of device.
    pub(super) fn rows(&self) -> Vec<RuleRow> {
        rows(self.before, self.after)
    }

    /// Every difference, in order of time.
    pub(super) fn changes(&self) -> Vec<Changed<'a>> {
        let (old, new) = (&self.before.occurrences, &self.after.occurrences);
        let mut rules: Vec<&Arc<str>> = old.keys().chain(new.keys()).collect();
        rules.sort_unstable();
        rules.dedup();
        let mut changes = Vec::new();
        for rule in rules {
            let found = compare(self.before.of_rule(rule), self.after.of_rule(rule));
            let differ = found.into_iter().filter(|what| !matches!(what, Change::Same(..)));
            changes.extend(differ.map(|what| Changed { rule, what }));
        }
        changes.sort_by_key(|change| (change.at(), change.rule));
        changes
    }

    pub(super) fn form(&self) -> impl Serialize {
        Form {
            from: self.period.from,
            to: self.period.to,
            zone: self.zone,
            night: self.night,
            profiles: self.profiles,
            book: self.book,
            judged_from: self.start,
            points: self.points,
            clock_rules_not_judged: self.clock_rules,
            series_with_summaries_only: self.summaries_only,
            acts: ActsForm {
                recorded: self.acts,
                before: self.before.acts,
                after: self.after.acts,
            },
            before: side(self.before),
            after: side(self.after),
            rules: self.rows().into_iter().map(RuleForm::from).collect(),
            changes: self.changes().iter().map(|change| self.change(change)).collect(),
        }
    }

    fn change(&self, change: &Changed<'a>) -> ChangeForm<'a> {
        let place = self.names.place(self.after, self.before, change.rule);
        let (kind, before, after) = match change.what {
            Change::Same(before, after) => ("same", Some(before), Some(after)),
            Change::Moved(before, after) => ("moved", Some(before), Some(after)),
            Change::Added(after) => ("added", None, Some(after)),
            Change::Removed(before) => ("removed", Some(before), None),
        };
        ChangeForm {
            change: kind,
            rule: change.rule,
            device: place.device,
            signal: place.signal,
            unit: place.unit,
            shift: before
                .zip(after)
                .map(|(before, after)| Shift::between(before, after)),
            before: before.map(OccurrenceForm::from),
            after: after.map(OccurrenceForm::from),
        }
    }
}

/// How a series is called.
#[derive(Clone, Debug)]
struct SignalName {
    signal: Box<str>,
    unit: Box<str>,
}

/// What the series of both catalogues are called.
pub(super) struct Names(HashMap<SeriesId, SignalName>);

/// Where a rule looks.
pub(super) struct Looked {
    pub device: Option<Arc<str>>,
    pub signal: Option<Box<str>>,
    /// UCUM code.
    pub unit: Option<Box<str>>,
}

impl Names {
    pub(super) fn new(before: &Catalogue, after: &Catalogue) -> Self {
        let mut names = HashMap::new();
        for catalogue in [before, after] {
            for entry in catalogue.devices() {
                for (series, signal) in entry.series.iter().zip(&entry.profile.signals) {
                    let name = SignalName {
                        signal: signal.name.as_str().into(),
                        unit: signal.unit.to_string().into(),
                    };
                    names.insert(*series, name);
                }
            }
        }
        Self(names)
    }

    /// Where `rule` looks, by the new rules where they have it.
    pub(super) fn place(&self, after: &Outcome, before: &Outcome, rule: &str) -> Looked {
        let found = [after, before].into_iter().find_map(|outcome| {
            let found = outcome.rule(rule)?;
            Some((outcome.device_of(found).cloned(), found.series))
        });
        let (device, series) = found.unwrap_or_default();
        let name = series.and_then(|series| self.0.get(&series));
        Looked {
            device,
            signal: name.map(|name| name.signal.clone()),
            unit: name.map(|name| name.unit.clone()),
        }
    }
}

#[derive(Serialize)]
struct Form<'a> {
    from: Timestamp,
    to: Timestamp,
    zone: &'a str,
    night: &'a str,
    profiles: &'a [Box<str>],
    book: Option<&'a NewBook>,
    judged_from: Timestamp,
    points: u64,
    clock_rules_not_judged: usize,
    series_with_summaries_only: usize,
    acts: ActsForm,
    before: SideForm<'a>,
    after: SideForm<'a>,
    rules: Vec<RuleForm>,
    changes: Vec<ChangeForm<'a>>,
}

#[derive(Serialize)]
struct ActsForm {
    recorded: usize,
    before: u64,
    after: u64,
}

#[derive(Serialize)]
struct SideForm<'a> {
    raised: u64,
    standing: u64,
    calls: u64,
    escalations: u64,
    calls_at_night: u64,
    recipients: &'a [Called],
    #[serde(flatten)]
    health: HealthForm<'a>,
}

#[derive(Serialize)]
struct HealthForm<'a> {
    annunciations: u64,
    peak_10min: u64,
    flood_share: f64,
    flood_windows: u64,
    chattering: Vec<&'a str>,
    active_over_a_day: u64,
    top10_share: f64,
    top10: &'a [(Arc<str>, u64)],
    by_priority: &'a std::collections::BTreeMap<&'static str, u64>,
}

fn side(outcome: &Outcome) -> SideForm<'_> {
    let totals = Totals::of(outcome);
    let health = &outcome.health;
    SideForm {
        raised: totals.raised,
        standing: totals.standing,
        calls: totals.calls,
        escalations: totals.escalations,
        calls_at_night: totals.at_night,
        recipients: &outcome.called,
        health: HealthForm {
            annunciations: health.annunciations,
            peak_10min: health.peak_10min,
            flood_share: outcome.flood_share,
            flood_windows: health.flood_windows,
            chattering: outcome.chattering.iter().map(AsRef::as_ref).collect(),
            active_over_a_day: health.stale,
            top10_share: health.top10_share,
            top10: &health.top10,
            by_priority: &health.by_priority,
        },
    }
}

/// Sums over one trial.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub raised: u64,
    pub standing: u64,
    pub calls: u64,
    pub escalations: u64,
    pub at_night: u64,
}

impl Totals {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let mut totals = Self::default();
        for occurrence in outcome.occurrences.values().flatten() {
            totals.standing += u64::from(occurrence.standing);
            totals.raised += u64::from(!occurrence.standing);
        }
        for called in &outcome.called {
            totals.calls += called.calls;
            totals.escalations += called.escalations;
            totals.at_night += called.at_night;
        }
        totals
    }
}

#[derive(Serialize)]
struct RuleForm {
    profile: Arc<str>,
    rule: Arc<str>,
    title: TitleForm,
    raised_before: u64,
    raised_after: u64,
    standing_before: u64,
    standing_after: u64,
    same: u64,
    added: u64,
    removed: u64,
    moved: u64,
    calls_before: u64,
    calls_after: u64,
}

#[derive(Serialize)]
struct TitleForm {
    zh: String,
    en: String,
}

impl From<&Title> for TitleForm {
    fn from(title: &Title) -> Self {
        Self {
            zh: title.zh.to_string(),
            en: title.en.to_string(),
        }
    }
}

impl From<RuleRow> for RuleForm {
    fn from(row: RuleRow) -> Self {
        Self {
            profile: row.name.profile,
            rule: row.name.rule,
            title: TitleForm::from(&row.title),
            raised_before: row.raised_before,
            raised_after: row.raised_after,
            standing_before: row.standing_before,
            standing_after: row.standing_after,
            same: row.same,
            added: row.added,
            removed: row.removed,
            moved: row.moved,
            calls_before: row.calls_before,
            calls_after: row.calls_after,
        }
    }
}

#[derive(Serialize)]
struct ChangeForm<'a> {
    change: &'static str,
    rule: &'a str,
    device: Option<Arc<str>>,
    signal: Option<Box<str>>,
    unit: Option<Box<str>>,
    shift: Option<Shift>,
    before: Option<OccurrenceForm<'a>>,
    after: Option<OccurrenceForm<'a>>,
}

#[derive(Serialize)]
struct OccurrenceForm<'a> {
    since: Timestamp,
    raised: Timestamp,
    over_since: Option<Timestamp>,
    cleared: Option<Timestamp>,
    worst: Option<f64>,
    priority: Priority,
    standing: bool,
    calls: u32,
    escalations: u32,
    to: &'a [Arc<str>],
}

impl<'a> From<&'a Occurrence> for OccurrenceForm<'a> {
    fn from(occurrence: &'a Occurrence) -> Self {
        Self {
            since: occurrence.since,
            raised: occurrence.raised,
            over_since: occurrence.over_since,
            cleared: occurrence.cleared,
            worst: occurrence.worst,
            priority: occurrence.priority,
            standing: occurrence.standing,
            calls: occurrence.calls,
            escalations: occurrence.escalations,
            to: &occurrence.to,
        }
    }
}
