//! The other files with rules that a configuration names: the policy pack, the bounds of alarm health, the calendar of working days, the table of deadlines.

use std::path::{Path, PathBuf};

use alarms::cases::{Calendar, Deadlines};
use alarms::figures::{HealthPolicy, Policy};

use super::{Finding, read_named, whole};
use crate::config::{Config, beside};

/// What is wrong in them.
pub(super) fn findings(file: &Path, config: &Config) -> Vec<Finding> {
    let policy = config.figures.policy.as_ref().map(|named| named.get_ref());
    let found = [
        tried(file, policy, |name, text| {
            Policy::parse(name, text).map(drop).map_err(told)
        }),
        tried(
            file,
            config.figures.alarm_health.as_ref().map(|named| named.get_ref()),
            |name, text| HealthPolicy::parse(name, text).map(drop).map_err(told),
        ),
        tried(file, config.cases.calendar.as_ref(), |name, text| {
            Calendar::parse(name, text).map(drop).map_err(told)
        }),
        tried(file, config.cases.deadlines.as_ref(), |name, text| {
            Deadlines::parse(name, text).map(drop).map_err(told)
        }),
    ];
    found.into_iter().flatten().collect()
}

fn told(error: impl std::error::Error + 'static) -> String {
    telemetry::with_causes(&error)
}

fn tried(
    file: &Path,
    named: Option<&PathBuf>,
    read: impl Fn(&str, &str) -> Result<(), String>,
) -> Option<Finding> {
    let path = beside(file, named?);
    let text = match read_named(&path) {
        Ok(text) => text,
        Err(finding) => return Some(finding),
    };
    let why = read(&path.display().to_string(), &text).err()?;
    Some(whole(&path, why, "mend the named part"))
}
