//! Two trials side by side, rule by rule: one line for each rule of a kind of device, whatever the number of devices.

use std::collections::BTreeMap;
use std::sync::Arc;

use telemetry::profile::Title;

use super::compare::{Change, compare};
use super::{Occurrence, Outcome, RuleSet};

/// A rule of a kind of device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct RuleName {
    /// Kind of the device: its profile.
    pub profile: Arc<str>,
    /// The rule in it; of what the engine finds out by itself the name after the device's.
    pub rule: Arc<str>,
}

/// What became of it, over all its devices.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleRow {
    /// Which.
    pub name: RuleName,
    /// What people call it, by the new rules where they have it.
    pub title: Title,
    /// Raised in the stretch, before.
    pub raised_before: u64,
    /// Raised in the stretch, after.
    pub raised_after: u64,
    /// Raised before the stretch and not over at its beginning, before.
    pub standing_before: u64,
    /// The same, after.
    pub standing_after: u64,
    /// Those that are the same in both.
    pub same: u64,
    /// Those of the new rules only, the standing ones among them.
    pub added: u64,
    /// Those of the rules before only, the standing ones among them.
    pub removed: u64,
    /// Those at other times, or of another priority.
    pub moved: u64,
    /// Calls before.
    pub calls_before: u64,
    /// Calls after.
    pub calls_after: u64,
}

/// Every rule that raised anything in either trial, in order of profile and rule.
#[must_use]
pub fn rows(before: &Outcome, after: &Outcome) -> Vec<RuleRow> {
    let mut rows: BTreeMap<RuleName, RuleRow> = BTreeMap::new();
    // Titles of the new rules come last, and stay.
    for outcome in [before, after] {
        for (name, title) in names(outcome) {
            let row = rows.entry(name.clone()).or_insert_with(|| empty(name, &title));
            row.title = title;
        }
    }
    let mut ids: Vec<&Arc<str>> = before
        .occurrences
        .keys()
        .chain(after.occurrences.keys())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let (old_names, new_names) = (by_id(&before.set), by_id(&after.set));
    for id in ids {
        let place = new_names.get(id).or_else(|| old_names.get(id));
        let Some(row) = place.and_then(|name| rows.get_mut(name)) else {
            continue;
        };
        count(row, before.of_rule(id), after.of_rule(id));
    }
    rows.into_values().collect()
}

fn count(row: &mut RuleRow, before: &[Occurrence], after: &[Occurrence]) {
    let standing = |all: &[Occurrence]| all.iter().filter(|one| one.standing).count() as u64;
    let calls = |all: &[Occurrence]| all.iter().map(|one| u64::from(one.calls)).sum::<u64>();
    row.standing_before += standing(before);
    row.standing_after += standing(after);
    row.raised_before += before.len() as u64 - standing(before);
    row.raised_after += after.len() as u64 - standing(after);
    row.calls_before += calls(before);
    row.calls_after += calls(after);
    for change in compare(before, after) {
        match change {
            Change::Same(..) => row.same += 1,
            Change::Moved(..) => row.moved += 1,
            Change::Added(_) => row.added += 1,
            Change::Removed(_) => row.removed += 1,
        }
    }
}

fn empty(name: RuleName, title: &Title) -> RuleRow {
    RuleRow {
        name,
        title: title.clone(),
        raised_before: 0,
        raised_after: 0,
        standing_before: 0,
        standing_after: 0,
        same: 0,
        added: 0,
        removed: 0,
        moved: 0,
        calls_before: 0,
        calls_after: 0,
    }
}

/// The rules that raised something, with their titles.
fn names(outcome: &Outcome) -> Vec<(RuleName, Title)> {
    let raised = |rule: &&crate::rules::Rule| outcome.occurrences.contains_key(&rule.id);
    let rules = outcome.set.rules.iter().filter(raised);
    rules
        .map(|rule| (outcome.set.name_of(rule), rule.title.clone()))
        .collect()
}

fn by_id(set: &RuleSet) -> BTreeMap<&Arc<str>, RuleName> {
    set.rules
        .iter()
        .map(|rule| (&rule.id, set.name_of(rule)))
        .collect()
}

impl RuleSet {
    /// The rule without its device.
    #[must_use]
    pub fn name_of(&self, rule: &crate::rules::Rule) -> RuleName {
        let device = self.plant.devices.get(rule.shown_at);
        let own = device.and_then(|device| rule.id.strip_prefix(&*device.name));
        let own = own.and_then(|rest| rest.strip_prefix(['/', '.']));
        RuleName {
            profile: device.map_or_else(|| "".into(), |device| Arc::clone(&device.kind)),
            rule: own.map_or_else(|| Arc::clone(&rule.id), Arc::from),
        }
    }
}
