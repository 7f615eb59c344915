//! The two sets of rules that are compared.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use alarms::AlarmSettings;
use alarms::backtest::RuleSet;
use alarms::rules::{Compiled, RuleBook, compile};
use telemetry::time::SystemClock;
use telemetry::{Catalogue, Clock, Profile, SeriesId, Timestamp};

use super::report::Names;
use crate::config::{self, NewRules};
use crate::exit::Failure;
use crate::export::folder::{Folder, Means};

/// The rules in force, the new ones, and what they look at.
pub(super) struct Sets {
    pub before: RuleSet,
    pub after: RuleSet,
    /// Kinds of the new profiles.
    pub profiles: Vec<Box<str>>,
    /// The county's own new rules, where there are any.
    pub book: Option<NewBook>,
    /// Every series of every device with a rule, with the device's place in the plant, which is the same in both.
    pub owners: Vec<(SeriesId, u32)>,
    /// What the rules' devices and signals are called.
    pub names: Names,
}

/// The county's own rules that are tried.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct NewBook {
    /// What the county calls them.
    pub version: String,
    /// They are tried as they hold then.
    pub on: Timestamp,
}

/// Makes both sets: the rules in force, and with what is in `new` in the place of the profiles of those kinds and of the county's own
/// rules. Those are taken as they hold when the next change that they name has come; today, where there is none to come.
///
/// # Errors
/// [`Failure`] when a rule is wrong, or no device has one of the new kinds.
pub(super) fn both(means: &Means, folder: &Folder, new: &Path) -> Result<Sets, Failure> {
    let NewRules {
        profiles: changed,
        book,
    } = config::new_rules(new).map_err(|findings| Failure::refused(&findings))?;
    let old = folder.catalogue_under(&means.profiles)?;
    used(&changed, &old, new)?;
    let mut profiles = means.profiles.clone();
    let kinds = changed.iter().map(|profile| profile.kind.clone()).collect();
    profiles.extend(
        changed
            .into_iter()
            .map(|profile| (profile.kind.clone(), Arc::new(profile))),
    );
    let new = folder.catalogue_under(&profiles)?;
    let now = SystemClock::new().now();
    let zone = folder.zone()?;
    let in_force = &*means.alarms.book;
    let before = rule_set(&old, &means.alarms, in_force, now)?;
    let on = book
        .as_ref()
        .map_or(now, |book| book.next_change(now, &zone).unwrap_or(now));
    let after = rule_set(&new, &means.alarms, book.as_ref().unwrap_or(in_force), on)?;
    Ok(Sets {
        book: book.map(|book| NewBook {
            version: book.version().to_owned(),
            on,
        }),
        owners: owners([(&old, &before), (&new, &after)]),
        names: Names::new(&old, &new),
        before,
        after,
        profiles: kinds,
    })
}

/// The rules of a catalogue, as the server makes them on that day.
fn rule_set(
    catalogue: &Catalogue,
    settings: &AlarmSettings,
    book: &RuleBook,
    on: Timestamp,
) -> Result<RuleSet, Failure> {
    let Compiled { plant, rules } = compile(catalogue, book, on, settings.fault_off_delay)
        .map_err(|error| Failure::Input(error.to_string()))?;
    Ok(RuleSet::new(plant, rules))
}

/// A profile that no device has would change nothing, and that would be taken for an answer.
fn used(changed: &[Profile], catalogue: &Catalogue, new: &Path) -> Result<(), Failure> {
    let devices = catalogue.devices();
    for profile in changed {
        if !devices.iter().any(|entry| entry.profile.kind == profile.kind) {
            let mut kinds: Vec<&str> = devices.iter().map(|entry| &*entry.profile.kind).collect();
            kinds.sort_unstable();
            kinds.dedup();
            return Err(Failure::Input(format!(
                "{}: no device is of kind {}; there are devices of {}",
                new.display(),
                profile.kind,
                kinds.join(", ")
            )));
        }
    }
    Ok(())
}

fn owners(sets: [(&Catalogue, &RuleSet); 2]) -> Vec<(SeriesId, u32)> {
    let mut owners = BTreeMap::new();
    for (catalogue, set) in sets {
        let mut ruled: Vec<usize> = set.rules().iter().map(|rule| rule.device).collect();
        ruled.sort_unstable();
        ruled.dedup();
        for place in ruled {
            let Some(entry) = catalogue.devices().get(place) else {
                continue;
            };
            let device = u32::try_from(place).unwrap_or(u32::MAX);
            owners.extend(entry.series.iter().map(|series| (*series, device)));
        }
    }
    owners.into_iter().collect()
}
