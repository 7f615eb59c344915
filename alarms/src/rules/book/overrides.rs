//! From the rules of a profile to those of one device of this county.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;
use telemetry::profile::{Active, RuleKind, RuleSpec};
use telemetry::time::Span;
use telemetry::{Catalogue, DeviceEntry, Timestamp};

use super::{APPROVALS_NEEDED, Override, RuleBook, days, holds};
use crate::rules::RuleError;
use crate::rules::compile::{self, limit_of};

/// The overrides of a book, by what they are for. What is nearer to the device wins: device, site, organisation, the rest; of
/// equally near ones the last in the file.
pub(in crate::rules) struct Overrides<'a> {
    book: &'a RuleBook,
    /// Whether each holds now, in the order of the book.
    in_force: Vec<bool>,
    /// Whether each met a rule.
    met: Vec<Cell<bool>>,
    general: Vec<usize>,
    organisations: HashMap<&'a str, Vec<usize>>,
    sites: HashMap<&'a str, Vec<usize>>,
    devices: HashMap<&'a str, Vec<usize>>,
}

/// A rule of a profile as it holds for a device, and what changed it.
pub(in crate::rules) type Settled<'a> = (Cow<'a, RuleSpec>, Option<Arc<str>>);

impl<'a> Overrides<'a> {
    /// # Errors
    /// [`RuleError`] for an entry that names what is not registered.
    pub(in crate::rules) fn new(
        book: &'a RuleBook,
        catalogue: &Catalogue,
        at: Timestamp,
        zone: &TimeZone,
    ) -> Result<Self, RuleError> {
        let mut found = Self {
            book,
            in_force: Vec::with_capacity(book.overrides.len()),
            met: vec![Cell::new(false); book.overrides.len()],
            general: Vec::new(),
            organisations: HashMap::new(),
            sites: HashMap::new(),
            devices: HashMap::new(),
        };
        let organisations: BTreeSet<&str> = (catalogue.registry().organisations.iter())
            .map(|organisation| &*organisation.id)
            .collect();
        for (number, (line, entry)) in book.overrides.iter().enumerate() {
            let unknown = |what: &str, name: &str| {
                book.refusal(
                    *line,
                    format!("[[override]] {}: there is no {what} {name:?}", entry.rule),
                )
            };
            if let Some(name) = entry.device.as_deref() {
                if catalogue.device(name).is_none() {
                    return Err(unknown("device", name));
                }
                found.devices.entry(name).or_default().push(number);
            } else if let Some(name) = entry.site.as_deref() {
                if catalogue.site(name).is_none() {
                    return Err(unknown("site", name));
                }
                found.sites.entry(name).or_default().push(number);
            } else if let Some(name) = entry.organisation.as_deref() {
                if !organisations.contains(name) {
                    return Err(unknown("organisation", name));
                }
                found.organisations.entry(name).or_default().push(number);
            } else {
                found.general.push(number);
            }
            let in_force = holds(entry.from.as_deref(), entry.until.as_deref(), at, zone);
            found.in_force.push(in_force);
        }
        Ok(found)
    }

    /// The rules of a device's profile as they hold for it; those that are switched off are left out.
    ///
    /// # Errors
    /// [`RuleError`] for an override that does not fit its rule, or weakens a life-safety rule without two names.
    pub(in crate::rules) fn settle(
        &self,
        catalogue: &Catalogue,
        entry: &'a DeviceEntry,
    ) -> Result<Vec<Settled<'a>>, RuleError> {
        let specs = &entry.profile.rules;
        let chain = self.chain(catalogue, entry);
        if chain.is_empty() {
            return Ok(specs.iter().map(|spec| (Cow::Borrowed(spec), None)).collect());
        }
        let mut settled = Vec::with_capacity(specs.len());
        for spec in specs {
            let (mut now, mut why, mut enabled) = (Cow::Borrowed(spec), None, true);
            for number in &chain {
                let Some((line, change)) = self.book.overrides.get(*number) else {
                    continue;
                };
                if !change.is_for(&spec.id) {
                    continue;
                }
                if let Some(met) = self.met.get(*number) {
                    met.set(true);
                }
                let refused = |why: String| {
                    let what = format!("[[override]] {}, {}/{}", change.rule, entry.device.id, spec.id);
                    self.book.refusal(*line, format!("{what}: {why}"))
                };
                change.fits(spec.kind).map_err(refused)?;
                if entry.profile.life_safety && !change.is_approved() {
                    // What the profile says is what the names are for, whatever else changes the rule.
                    let alone = change.applied(spec);
                    let limits = (
                        limit_of(catalogue, entry, spec),
                        limit_of(catalogue, entry, &alone),
                    );
                    if let Some(how) = change.weakens(spec, &alone, limits) {
                        return Err(refused(format!(
                            "{how} weakens a rule that may save a life; approved_by needs the names of {APPROVALS_NEEDED} persons"
                        )));
                    }
                }
                if self.in_force.get(*number) == Some(&true) {
                    enabled = change.enabled.unwrap_or(enabled);
                    why = Some(format!("{}:{line}: {}", self.book.file, change.reason).into());
                    now = Cow::Owned(change.applied(&now));
                }
            }
            if enabled {
                settled.push((now, why));
            }
        }
        Ok(settled)
    }

    /// # Errors
    /// [`RuleError`] for an override that met no rule of any device: most likely a slip of the pen.
    pub(in crate::rules) fn all_met(&self) -> Result<(), RuleError> {
        let idle = self.met.iter().position(|met| !met.get());
        match idle.and_then(|number| self.book.overrides.get(number)) {
            None => Ok(()),
            Some((line, entry)) => Err(self.book.refusal(
                *line,
                format!(
                    "[[override]] {}: no device that it is for has such a rule",
                    entry.rule
                ),
            )),
        }
    }

    /// What may change the rules of a device, the farthest first.
    fn chain(&self, catalogue: &Catalogue, entry: &DeviceEntry) -> Vec<usize> {
        let of = |found: Option<&Vec<usize>>| found.cloned().unwrap_or_default();
        let site = catalogue.site_of(entry);
        let mut chain = self.general.clone();
        chain.extend(of(
            site.and_then(|site| self.organisations.get(&*site.organisation))
        ));
        chain.extend(of(site.and_then(|site| self.sites.get(site.id.as_str()))));
        chain.extend(of(self.devices.get(entry.device.id.as_str())));
        chain.retain(|number| {
            self.book.overrides.get(*number).is_some_and(|(_, change)| {
                (change.profile.as_deref()).is_none_or(|profile| *profile == *entry.profile.kind)
            })
        });
        chain
    }
}

impl Override {
    /// What is wrong with it by itself.
    pub(super) fn nonsense(&self) -> Result<(), String> {
        if self.rule.is_empty() {
            return Err("rule is missing: the id of a rule of a profile".to_owned());
        }
        if self.reason.trim().is_empty() {
            return Err("reason is missing: whoever reads it next year wants to know".to_owned());
        }
        let places = [&self.device, &self.site, &self.organisation];
        if places.iter().filter(|place| place.is_some()).count() > 1 {
            return Err("one of device, site and organisation is allowed".to_owned());
        }
        if !self.changes_anything() {
            return Err("it changes nothing: limit, deadband, on_delay, off_delay, priority, latching, re_alarm, schedule, active, after, per, window or enabled is expected".to_owned());
        }
        if self.limit.is_some_and(|limit| !limit.is_finite()) {
            return Err("limit is no number".to_owned());
        }
        if self
            .deadband
            .is_some_and(|band| !(band >= 0.0 && band.is_finite()))
        {
            return Err("deadband; 0 or more is allowed".to_owned());
        }
        for (key, span) in [("after", self.after), ("per", self.per), ("window", self.window)] {
            if span == Some(Span::ZERO) {
                return Err(format!("{key} is 0"));
            }
        }
        days(self.from.as_deref(), self.until.as_deref()).map(|_| ())
    }

    fn changes_anything(&self) -> bool {
        let values = self.limit.is_some() || self.deadband.is_some() || self.priority.is_some();
        let switches = self.enabled.is_some() || self.latching.is_some() || self.active.is_some();
        let spans = [
            self.on_delay,
            self.off_delay,
            self.re_alarm,
            self.after,
            self.per,
            self.window,
        ];
        values || switches || self.schedule.is_some() || spans.iter().any(Option::is_some)
    }

    fn is_for(&self, id: &str) -> bool {
        match self.rule.strip_suffix('*') {
            Some(beginning) => id.starts_with(beginning),
            None => *self.rule == *id,
        }
    }

    /// A key that means nothing for its kind is most likely a mistake.
    fn fits(&self, kind: RuleKind) -> Result<(), String> {
        use RuleKind::{Counter, Deviation, High, Low, Rate, RunTime, Silence, Stuck};
        let only: [(&str, bool, &[RuleKind]); 5] = [
            (
                "limit",
                self.limit.is_some(),
                &[High, Low, Rate, Counter, Deviation],
            ),
            (
                "deadband",
                self.deadband.is_some(),
                &[High, Low, Rate, Counter, Deviation],
            ),
            ("after", self.after.is_some(), &[Silence, Stuck, RunTime]),
            ("per", self.per.is_some(), &[Rate]),
            ("window", self.window.is_some(), &[Counter, RunTime]),
        ];
        let wrong = (only.iter()).find(|(_, there, kinds)| *there && !kinds.contains(&kind));
        match wrong {
            Some((key, ..)) => Err(format!("{key} means nothing for a {kind:?} rule")),
            None => Ok(()),
        }
    }

    fn applied(&self, spec: &RuleSpec) -> RuleSpec {
        let mut next = spec.clone();
        if let Some(limit) = self.limit {
            next.limit = Some(telemetry::profile::Limit::Value(limit));
        }
        next.deadband = self.deadband.unwrap_or(next.deadband);
        next.on_delay = self.on_delay.unwrap_or(next.on_delay);
        next.off_delay = self.off_delay.unwrap_or(next.off_delay);
        next.priority = self.priority.unwrap_or(next.priority);
        next.latching = self.latching.unwrap_or(next.latching);
        next.re_alarm = self.re_alarm.or(next.re_alarm);
        next.schedule = self.schedule.clone().or(next.schedule);
        next.active = self.active.unwrap_or(next.active);
        next.after = self.after.or(next.after);
        next.per = self.per.or(next.per);
        next.window = self.window.or(next.window);
        next
    }

    fn is_approved(&self) -> bool {
        let names: BTreeSet<&str> = (self.approved_by.iter())
            .map(|name| name.trim())
            .filter(|name| !name.is_empty())
            .collect();
        names.len() >= APPROVALS_NEEDED
    }

    /// How people would hear of less, or later; none where it only makes the rule stricter.
    fn weakens(
        &self,
        before: &RuleSpec,
        after: &RuleSpec,
        limits: (Option<f64>, Option<f64>),
    ) -> Option<&'static str> {
        let farther = match (before.kind, limits) {
            (RuleKind::Low, (Some(before), Some(after))) => after < before,
            (_, (Some(before), Some(after))) => after > before,
            _ => false,
        };
        let silent = |spec: &RuleSpec| spec.after.unwrap_or(compile::STUCK_AFTER);
        let per = |spec: &RuleSpec| spec.per.unwrap_or(compile::RATE_PER);
        let ways = [
            (self.enabled == Some(false), "enabled = false"),
            (farther, "limit"),
            (after.on_delay > before.on_delay, "on_delay"),
            (after.priority < before.priority, "priority"),
            (before.latching && !after.latching, "latching = false"),
            (silent(after) > silent(before), "after"),
            // The same limit in a shorter time is a faster rise.
            (per(after) < per(before), "per"),
            (after.window < before.window, "window"),
            (after.schedule != before.schedule, "schedule"),
            (
                after.active != before.active && after.active != Active::Always,
                "active",
            ),
        ];
        ways.iter().find(|(weaker, _)| *weaker).map(|(_, how)| *how)
    }
}
