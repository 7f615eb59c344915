//! The work in shares: devices whose rules know nothing of each other need not be judged side by side. A share reads its own
//! series once, whatever the length of the history, and several run at a time.

use rustc_hash::FxHashMap;
use telemetry::SeriesId;

use super::RuleSet;
use crate::rules::{Condition, Plant, Rule};

/// Devices that are judged together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// What they report: series, and place of the device in [`Plant::devices`].
    pub series: Vec<(SeriesId, u32)>,
    /// Places of its rules in each of the two sets.
    pub rules: [Vec<u32>; 2],
}

/// Shares of both sets of rules, of about `series_aim` series each; `owners` are the series of all devices with their devices, whose
/// places are the same in both sets. What speaks through one gateway, votes in one group, or is looked at by one rule stays together.
#[must_use]
pub fn shares(sets: [&RuleSet; 2], owners: &[(SeriesId, u32)], series_aim: usize) -> Vec<Share> {
    let devices: FxHashMap<SeriesId, usize> = owners
        .iter()
        .filter_map(|(series, device)| Some((*series, usize::try_from(*device).ok()?)))
        .collect();
    let count = sets.map(|set| set.plant.devices.len()).into_iter().max();
    let mut together = Together::of(count.unwrap_or(0));
    for set in sets {
        link(set, &devices, &mut together);
    }
    let mut series: FxHashMap<usize, Vec<(SeriesId, u32)>> = FxHashMap::default();
    for owner in owners {
        let device = usize::try_from(owner.1).unwrap_or(usize::MAX);
        series.entry(together.first(device)).or_default().push(*owner);
    }
    let mut rules: FxHashMap<usize, [Vec<u32>; 2]> = FxHashMap::default();
    for (side, set) in sets.into_iter().enumerate() {
        for (place, rule) in (0_u32..).zip(&set.rules) {
            let Some(device) = devices_of(rule, &set.plant, &devices).next() else {
                continue;
            };
            let of = rules.entry(together.first(device)).or_default();
            if let Some(places) = of.get_mut(side) {
                places.push(place);
            }
        }
    }
    pack(rules, series, series_aim)
}

/// Fills shares in the order of the first device of what stays together.
fn pack(
    rules: FxHashMap<usize, [Vec<u32>; 2]>,
    mut series: FxHashMap<usize, Vec<(SeriesId, u32)>>,
    series_aim: usize,
) -> Vec<Share> {
    let mut all: Vec<(usize, [Vec<u32>; 2])> = rules.into_iter().collect();
    all.sort_unstable_by_key(|(first, _)| *first);
    let mut shares: Vec<Share> = Vec::new();
    for (first, [old, new]) in all {
        let own = series.remove(&first).unwrap_or_default();
        let full = |share: &Share| share.series.len() + own.len() > series_aim;
        if shares.last().is_none_or(full) {
            shares.push(Share::default());
        }
        if let Some(share) = shares.last_mut() {
            share.series.extend(own);
            let [before, after] = &mut share.rules;
            before.extend(old);
            after.extend(new);
        }
    }
    shares
}

fn link(set: &RuleSet, devices: &FxHashMap<SeriesId, usize>, together: &mut Together) {
    for (place, device) in set.plant.devices.iter().enumerate() {
        if let Some(gateway) = device.gateway {
            together.join(place, gateway);
        }
    }
    for group in &set.plant.groups {
        let mut members = group.members.iter().map(|(device, _)| *device);
        if let Some(first) = members.next() {
            members.for_each(|other| together.join(first, other));
        }
    }
    let grouped = |(place, device): (usize, &crate::rules::PlantDevice)| {
        let group = set.plant.groups.get(device.group?)?;
        Some((place, group.members.first()?.0))
    };
    for (place, first) in set.plant.devices.iter().enumerate().filter_map(grouped) {
        together.join(place, first);
    }
    for rule in &set.rules {
        let mut of = devices_of(rule, &set.plant, devices);
        if let Some(first) = of.next() {
            of.for_each(|other| together.join(first, other));
        }
    }
}

/// The devices that a rule looks at.
fn devices_of<'a>(
    rule: &'a Rule,
    plant: &'a Plant,
    devices: &'a FxHashMap<SeriesId, usize>,
) -> impl Iterator<Item = usize> + 'a {
    let own = Some(rule.device).filter(|device| *device < plant.devices.len());
    let (inputs, group): (&[SeriesId], Option<usize>) = match &rule.condition {
        Condition::Expression { inputs, .. } => (inputs, None),
        Condition::Deviation { other, .. } => (std::slice::from_ref(other), None),
        Condition::Vote { group, .. } | Condition::Protection { group } => (&[], Some(*group)),
        _ => (&[], None),
    };
    let members = group
        .and_then(|group| plant.groups.get(group))
        .map_or(&[][..], |group| &group.members);
    let first = rule.series.and_then(|series| devices.get(&series).copied());
    own.into_iter()
        .chain(first)
        .chain(members.iter().map(|(device, _)| *device))
        .chain(inputs.iter().filter_map(|series| devices.get(series).copied()))
}

/// Which devices belong together: disjoint sets, each named by its first device.
struct Together(Vec<usize>);

impl Together {
    fn of(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn first(&mut self, device: usize) -> usize {
        let mut at = device;
        while let Some(above) = self.0.get(at).copied().filter(|above| *above != at) {
            // Half the way next time.
            let higher = self.0.get(above).copied().unwrap_or(above);
            if let Some(slot) = self.0.get_mut(at) {
                *slot = higher;
            }
            at = above;
        }
        at
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        if let Some(slot) = self.0.get_mut(one.max(other)) {
            *slot = one.min(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use telemetry::time::Span;

    use super::*;
    use crate::rules::{PlantDevice, PlantGroup};

    /// A rule on a device of which only the place matters.
    fn rule(device: usize, condition: Condition) -> Rule {
        Rule {
            device,
            series: None,
            condition,
            ..crate::backtest::tests::high(0, 1.0, 0.0)
        }
    }

    #[test]
    fn what_shares_a_gateway_a_group_or_a_rule_stays_together_and_the_rest_is_packed() {
        // Device n reports series n. 1 and 4 speak through 0, 2 and 5 are a group, a rule of 3 looks at 6 as well, 7 stands alone.
        let device = |number: usize| PlantDevice {
            gateway: [1, 4].contains(&number).then_some(0),
            ..PlantDevice::default()
        };
        let plant = Plant {
            devices: (0..8).map(device).collect(),
            groups: vec![PlantGroup {
                name: "g".into(),
                members: vec![(2, SeriesId(2)), (5, SeriesId(5))],
            }],
        };
        let silence = || Condition::Silence {
            after: Span::from_secs(60),
        };
        let mut rules: Vec<Rule> = (0..8).map(|device| rule(device, silence())).collect();
        rules[3].condition = Condition::Deviation {
            other: SeriesId(6),
            limit: 1.0,
            deadband: 0.0,
        };
        // A vote is no device's own: it goes with its group.
        rules.push(rule(
            crate::rules::NO_DEVICE,
            Condition::Vote {
                group: 0,
                votes: 1,
                limit: 1.0,
                deadband: 0.0,
            },
        ));
        let (before, after) = (
            RuleSet::new(plant.clone(), rules.clone()),
            RuleSet::new(plant, rules[..2].to_vec()),
        );
        let owners: Vec<(SeriesId, u32)> = (0..8).map(|number| (SeriesId(number), number)).collect();
        let found = shares([&before, &after], &owners, 3);
        let rules: Vec<&[u32]> = found.iter().map(|share| &share.rules[0][..]).collect();
        // {0, 1, 4} are three series, {2, 5} two, {3, 6} two, {7} one: the last two fit into one share.
        assert_eq!(rules, [&[0, 1, 4][..], &[2, 5, 8], &[3, 6, 7]]);
        assert_eq!(found[0].rules[1], [0, 1]);
        let series: Vec<usize> = found.iter().map(|share| share.series.len()).collect();
        assert_eq!(series, [3, 2, 3]);
    }
}
