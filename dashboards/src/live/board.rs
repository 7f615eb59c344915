//! The county at a glance: the condition of every site and the open alarms, decided anew when something
//! changed and read by every page without touching the disk.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;
use telemetry::profile::Priority;
use telemetry::registry::SiteKind;
use telemetry::{Catalogue, Timestamp};

use super::condition::{self, Condition, Facts, Tier};
use crate::book::AlarmView;

/// How one site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteNow {
    /// Its condition.
    pub condition: Condition,
    /// Some device that should speak is silent.
    pub some_silent: bool,
    /// Open alarms.
    pub open: u32,
    /// When any of its devices was last heard.
    pub heard: Option<Timestamp>,
}

/// One decided state of the county.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was decided, by the program's clock.
    pub at: Timestamp,
    /// By place in [`Catalogue::sites`].
    pub sites: Vec<SiteNow>,
    /// The place of the server itself among them: no count of sites has it.
    pub server: Option<usize>,
    /// Open alarms, the most urgent first: unacknowledged before acknowledged, life safety before the
    /// rest, by priority, newest first.
    pub open: Arc<Vec<AlarmView>>,
    /// By place in [`Catalogue::devices`]: the highest priority of its open alarms.
    pub by_device: HashMap<usize, Priority>,
    /// By place in [`Catalogue::devices`]: last heard.
    pub heard: Arc<Vec<Option<Timestamp>>>,
}

/// How many sites are in each condition, and alarms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Sites by the code of their condition.
    pub sites: BTreeMap<&'static str, u32>,
    /// Open alarms.
    pub open_alarms: u32,
    /// Of these: not acknowledged.
    pub unacknowledged: u32,
}

/// The last decided state.
#[derive(Debug)]
pub struct Board {
    catalogue: Arc<Catalogue>,
    now: RwLock<Arc<Snapshot>>,
}

impl Board {
    /// A board on which nothing is known.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        let heard = vec![None; catalogue.devices().len()];
        let nothing = decide(&catalogue, Vec::new(), heard, &HashMap::new(), Timestamp::EPOCH);
        Self {
            catalogue,
            now: RwLock::new(Arc::new(nothing)),
        }
    }

    /// The last decided state.
    #[must_use]
    pub fn read(&self) -> Arc<Snapshot> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides anew; answers the places of the sites whose state changed.
    pub fn update(
        &self,
        open: Vec<AlarmView>,
        heard: Vec<Option<Timestamp>>,
        tiers: &HashMap<usize, Tier>,
        now: Timestamp,
    ) -> Vec<usize> {
        let next = Arc::new(decide(&self.catalogue, open, heard, tiers, now));
        let mut slot = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let shown = |site: &SiteNow| (site.condition, site.some_silent, site.open);
        let pairs = slot.sites.iter().zip(&next.sites).enumerate();
        let changed = pairs
            .filter(|(_, (old, new))| shown(old) != shown(new))
            .map(|(place, _)| place);
        let changed = changed.collect();
        *slot = next;
        changed
    }
}

impl Snapshot {
    /// How many of each.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let counted = self.sites.iter().enumerate();
        for (_, site) in counted.filter(|(place, _)| Some(*place) != self.server) {
            *counts.sites.entry(site.condition.code()).or_default() += 1;
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        counts.open_alarms = number(self.open.len());
        counts.unacknowledged = number(
            self.open
                .iter()
                .filter(|alarm| alarm.acknowledged.is_none())
                .count(),
        );
        counts
    }
}

/// The state of the county from what is known. `tiers` holds the colours of gas sites by place.
fn decide(
    catalogue: &Catalogue,
    mut open: Vec<AlarmView>,
    heard: Vec<Option<Timestamp>>,
    tiers: &HashMap<usize, Tier>,
    now: Timestamp,
) -> Snapshot {
    let mut facts = vec![Facts::default(); catalogue.sites().len()];
    let mut last = vec![None; catalogue.sites().len()];
    let mut counts = vec![0u32; catalogue.sites().len()];
    for (entry, heard) in catalogue.devices().iter().zip(&heard) {
        let (Some(facts), Some(last)) = (facts.get_mut(entry.site), last.get_mut(entry.site)) else {
            continue;
        };
        *last = (*last).max(*heard);
        if let Some(after) = condition::silence_after(&entry.profile) {
            facts.speakers += 1;
            facts.silent += u32::from(condition::is_silent(*heard, after, now));
        }
    }
    let mut by_device: HashMap<usize, Priority> = HashMap::new();
    for alarm in &open {
        let Some(place) = catalogue.device_index(alarm.device.as_str()) else {
            continue;
        };
        let worst = by_device.entry(place).or_insert(alarm.priority);
        *worst = (*worst).max(alarm.priority);
        let Some(entry) = catalogue.devices().get(place) else {
            continue;
        };
        if let Some(count) = counts.get_mut(entry.site) {
            *count += 1;
        }
        let of_silence = alarm.silence && condition::silence_after(&entry.profile).is_some();
        if let Some(facts) = facts.get_mut(entry.site)
            && !of_silence
        {
            facts.worst = facts.worst.max(Some(alarm.priority));
        }
    }
    for (place, (site, facts)) in catalogue.sites().iter().zip(&mut facts).enumerate() {
        if site.kind == SiteKind::LpgDepot {
            facts.tier = Some(tiers.get(&place).copied().unwrap_or(Tier::Grey));
        }
    }
    let sites = facts
        .iter()
        .zip(last)
        .zip(counts)
        .map(|((facts, heard), open)| SiteNow {
            condition: condition::decide(*facts),
            some_silent: facts.silent > 0,
            open,
            heard,
        });
    let sites = sites.collect();
    open.sort_by_key(|alarm| {
        let urgency = (
            alarm.acknowledged.is_some(),
            !alarm.life_safety,
            std::cmp::Reverse(alarm.priority),
        );
        (urgency, std::cmp::Reverse(alarm.raised.ms), alarm.id.clone())
    });
    let server = |site: &telemetry::registry::Site| site.kind == SiteKind::Server;
    Snapshot {
        at: now,
        sites,
        server: catalogue.sites().iter().position(server),
        open: Arc::new(open),
        by_device,
        heard: Arc::new(heard),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit;

    fn now() -> Timestamp {
        testkit::NOW
    }

    #[test]
    fn the_worst_alarm_colours_the_site_and_the_most_urgent_stands_first() {
        // Given all devices just heard, a low alarm acknowledged, a high one not, and a gas alarm,
        let catalogue = testkit::catalogue();
        let board = Board::new(Arc::clone(&catalogue));
        let heard = vec![Some(now()); catalogue.devices().len()];
        let mut known = testkit::alarm(&catalogue, "st-1", "SW-LEVEL-HH");
        testkit::acknowledge(&mut known);
        let high = testkit::alarm(&catalogue, "st-1", "SW-POWER");
        let gas = testkit::alarm(&catalogue, "depot-1-valves", "LPG-ESD");
        // when the board decides,
        let changed = board.update(vec![known, high, gas], heard, &HashMap::new(), now());
        let snapshot = board.read();
        // then the gas alarm is first, the acknowledged one last though critical, and the station critical.
        let order: Vec<&str> = snapshot.open.iter().map(|alarm| alarm.id.as_str()).collect();
        assert_eq!(
            order,
            [
                "depot-1-valves~LPG-ESD~1",
                "st-1~SW-POWER~1",
                "st-1~SW-LEVEL-HH~1"
            ]
        );
        let station = testkit::place(&catalogue, "station-1");
        assert_eq!(
            snapshot.sites[station].condition,
            Condition::Alarm(Priority::Critical)
        );
        assert_eq!(snapshot.sites[station].open, 2);
        assert!(changed.contains(&station));
        assert_eq!(snapshot.counts().unacknowledged, 2);
    }

    #[test]
    fn a_depot_without_a_computed_colour_is_grey_and_a_silent_station_too() {
        let catalogue = testkit::catalogue();
        let board = Board::new(Arc::clone(&catalogue));
        let mut heard = vec![Some(now()); catalogue.devices().len()];
        let old = now().minus("46min".parse().unwrap());
        heard[catalogue.device_index("st-1").unwrap()] = Some(old);
        let silence = testkit::alarm(&catalogue, "st-1", "SW-OFFLINE");
        let _changed = board.update(vec![silence], heard, &HashMap::new(), now());
        let snapshot = board.read();
        for site in ["station-1", "depot-1"] {
            let state = snapshot.sites[testkit::place(&catalogue, site)];
            assert_eq!(state.condition.code(), "no_data", "{site}");
        }
    }
}
