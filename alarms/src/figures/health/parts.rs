//! The parts of a figure of alarm health: organisations for the county, else rules.

use std::collections::BTreeMap;

use super::scene::Scene;
use crate::figures::Scope;
use crate::figures::form::{Part, words};

/// What a part is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Who runs the place.
    Organisation(Box<str>),
    /// One rule, as in `Happening::rule`.
    Rule(u32),
}

impl Scene<'_> {
    /// The part to which a rule belongs.
    pub(super) fn key(&self, rule: u32) -> Key {
        match self.asked.scope {
            Scope::County => {
                let site = self.place(rule).and_then(|place| place.site);
                Key::Organisation(site.map_or("".into(), |site| site.organisation.clone()))
            }
            Scope::Town(_) | Scope::Site(_) | Scope::Organisation(_) | Scope::Rule(_) => Key::Rule(rule),
        }
    }

    /// Counts by part.
    pub(super) fn tally(&self, rules: impl Iterator<Item = u32>) -> BTreeMap<Key, u64> {
        let mut tally = BTreeMap::new();
        for rule in rules {
            *tally.entry(self.key(rule)).or_default() += 1;
        }
        tally
    }

    /// A part with its name and the address of its rows, and without numbers. `more` are further parameters of that address.
    pub(super) fn part(&self, key: &Key, more: &str) -> Part {
        let mut part = Part {
            site: None,
            organisation: None,
            device: None,
            rule: None,
            name: words("", ""),
            value: None,
            numerator: None,
            denominator: None,
            unknown: 0.0,
            hazard: None,
            notes: Vec::new(),
            evidence: Vec::new(),
        };
        match key {
            Key::Organisation(id) => {
                part.name = self.asked.organisation(id);
                part.organisation = Some(id.clone());
                // Without an organisation there is no scope that names it: the rows stand among those of the whole.
                if !id.is_empty() {
                    let scope = Scope::Organisation(id.clone()).to_string();
                    part.evidence
                        .push(super::scene::log_link(self.from, self.to, &scope, more));
                }
            }
            Key::Rule(rule) => self.of_rule(&mut part, *rule, more),
        }
        part
    }

    fn of_rule(&self, part: &mut Part, rule: u32, more: &str) {
        let Some(known) = usize::try_from(rule)
            .ok()
            .and_then(|place| self.facts.rules.get(place))
        else {
            return;
        };
        part.rule = Some((&*known.id).into());
        let gone = || {
            words(
                format!("{}（规则已删除）", known.id),
                format!("{} (rule gone)", known.id),
            )
        };
        part.name = known.title.clone().unwrap_or_else(gone);
        let entry = known
            .device
            .and_then(|place| self.asked.catalogue.devices().get(place));
        part.device = entry.map(|entry| entry.device.id.clone());
        part.site = self
            .place(rule)
            .and_then(|place| place.site)
            .map(|site| site.id.clone());
        part.evidence.push(self.rule_link(rule, self.from, self.to, more));
    }
}

/// A count as a number of a figure: exact up to 2^53.
pub(super) fn number(count: u64) -> f64 {
    count as f64
}
