//! From the rules of a profile to the rules of each device: limits resolved, identities given.
//!
//! Beside the rules that a profile writes down, every signal that a rule looks at gets a sensor-fault alarm
//! `DEVICE/SIGNAL.fault`, and every device a clock alarm `DEVICE.clock`.

use std::sync::Arc;

use telemetry::profile::{Active, Limit, Priority, RuleKind, RuleSpec, Signal, Title};
use telemetry::time::Span;
use telemetry::{Bad, Catalogue, DeviceEntry, Quality, SeriesId, Timestamp};

/// The sun over the county: whether its street lights are due.
pub trait Daylight: Send + Sync {
    /// Whether the lights are due at that instant.
    fn lights_due(&self, at: Timestamp) -> bool;
}

/// One rule of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// `DEVICE/RULE-ID`, `DEVICE/SIGNAL.fault` or `DEVICE.clock`; unique in the catalogue.
    pub id: Arc<str>,
    /// What people call it.
    pub title: Title,
    /// Place in [`Catalogue::devices`].
    pub device: usize,
    /// Place in the profile's signals; none when it looks at the device as a whole.
    pub signal: Option<usize>,
    /// The series it looks at.
    pub series: Option<SeriesId>,
    /// When it is violated.
    pub condition: Condition,
    /// How long it must hold before it raises.
    pub on_delay: Span,
    /// How long it must be gone before it clears.
    pub off_delay: Span,
    /// How much it matters.
    pub priority: Priority,
    /// When it is looked at.
    pub active: Active,
    /// Whether it may save a life.
    pub life_safety: bool,
}

/// When a rule is violated.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// At or above `limit`; clear below `limit - deadband`.
    High {
        /// In the signal's unit.
        limit: f64,
        /// In the signal's unit, 0 or more.
        deadband: f64,
        /// For life-safety rules the greatest valid value: a value beyond it is out of range and still raises,
        /// because a detector that is over its range has most likely met gas. Source: `alarms.md`, sentence 5.
        over_range: Option<f64>,
    },
    /// At or below `limit`; clear above `limit + deadband`.
    Low {
        /// In the signal's unit.
        limit: f64,
        /// In the signal's unit, 0 or more.
        deadband: f64,
    },
    /// The value is one of these.
    State(Box<[f64]>),
    /// Nothing has come for that long.
    Silence {
        /// The longest silence.
        after: Span,
    },
    /// The newest sample is bad. No answer does not count where a silence rule watches the device.
    Fault {
        /// Whether a silence rule watches the device.
        silence_watched: bool,
    },
    /// The device's clock lies.
    Clock,
}

/// What a sample says about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The condition is true.
    Violates,
    /// Between the limit and the end of the dead band: not enough to raise, not enough to clear.
    Between {
        /// Without doubt.
        good: bool,
    },
    /// The condition is false.
    Clears {
        /// Without doubt: only then it may clear.
        good: bool,
    },
    /// It says nothing.
    Nothing,
}

impl Verdict {
    /// Whether it speaks against a violation that is not yet an alarm: without doubt not violating.
    #[must_use]
    pub const fn is_contrary(self) -> bool {
        matches!(self, Self::Between { good: true } | Self::Clears { good: true })
    }
}

impl Condition {
    /// What a value of that quality says. Pure and total.
    #[must_use]
    pub fn judge(&self, value: f64, quality: Quality) -> Verdict {
        let good = quality.is_good();
        match self {
            Self::Fault { silence_watched } => return judge_fault(quality, *silence_watched),
            Self::High {
                over_range: Some(greatest),
                ..
            } if quality == Quality::Bad(Bad::OutOfRange) && value > *greatest => {
                return Verdict::Violates;
            }
            Self::High { .. } | Self::Low { .. } | Self::State(_) | Self::Silence { .. } | Self::Clock => {}
        }
        if quality.is_bad() {
            return Verdict::Nothing;
        }
        match self {
            Self::High { limit, deadband, .. } => level(value >= *limit, value < limit - deadband, good),
            Self::Low { limit, deadband } => level(value <= *limit, value > limit + deadband, good),
            Self::State(values) => {
                let violates = values.iter().any(|state| same(*state, value));
                level(violates, !violates, good)
            }
            Self::Silence { .. } | Self::Fault { .. } | Self::Clock => Verdict::Nothing,
        }
    }

    /// The limit, where there is one number.
    #[must_use]
    pub fn limit(&self) -> Option<f64> {
        match self {
            Self::High { limit, .. } | Self::Low { limit, .. } => Some(*limit),
            Self::State(_) | Self::Silence { .. } | Self::Fault { .. } | Self::Clock => None,
        }
    }
}

fn level(violates: bool, clears: bool, good: bool) -> Verdict {
    if violates {
        Verdict::Violates
    } else if clears {
        Verdict::Clears { good }
    } else {
        Verdict::Between { good }
    }
}

/// States are whole numbers; a device that sends 0.9999999 for 1 means 1.
fn same(state: f64, value: f64) -> bool {
    (state - value).abs() < 1e-6
}

fn judge_fault(quality: Quality, silence_watched: bool) -> Verdict {
    match quality {
        Quality::Good => Verdict::Clears { good: true },
        Quality::Uncertain(_) => Verdict::Nothing,
        Quality::Bad(Bad::NoAnswer) if silence_watched => Verdict::Nothing,
        Quality::Bad(_) => Verdict::Violates,
    }
}

/// Every rule of every device, in order of the devices and of their profiles; after a device's own rules come the
/// sensor faults of its ruled signals, then its clock alarm.
#[must_use]
pub fn compile(catalogue: &Catalogue, fault_off_delay: Span) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (device, entry) in catalogue.devices().iter().enumerate() {
        let specs = &entry.profile.rules;
        rules.extend(
            specs
                .iter()
                .map(|spec| of_profile(catalogue, device, entry, spec)),
        );
        let silence_watched = specs
            .iter()
            .any(|spec| spec.kind == RuleKind::Silence && spec.signal.is_none());
        for (place, signal) in entry.profile.signals.iter().enumerate() {
            if let Some(priority) = fault_priority(entry, signal) {
                rules.push(Rule {
                    id: format!("{}/{}.fault", entry.device.id, signal.name).into(),
                    title: Title {
                        zh: format!("{}信号故障", signal.title.zh).into(),
                        en: format!("{}: sensor fault", signal.title.en).into(),
                    },
                    signal: Some(place),
                    series: entry.series.get(place).copied(),
                    condition: Condition::Fault { silence_watched },
                    priority,
                    ..system(device, entry, fault_off_delay)
                });
            }
        }
        rules.push(system(device, entry, fault_off_delay));
    }
    rules
}

/// The clock alarm, and the mould of the other alarms of the engine itself.
fn system(device: usize, entry: &DeviceEntry, off_delay: Span) -> Rule {
    Rule {
        id: format!("{}.clock", entry.device.id).into(),
        title: Title {
            zh: "设备时钟错误".into(),
            en: "device clock is wrong".into(),
        },
        device,
        signal: None,
        series: None,
        condition: Condition::Clock,
        on_delay: Span::ZERO,
        off_delay,
        priority: if entry.profile.life_safety {
            Priority::Medium
        } else {
            Priority::Low
        },
        active: Active::Always,
        life_safety: entry.profile.life_safety,
    }
}

/// High where life is at stake, so that the same people hear of it; else that of the gravest rule of the signal, at
/// most high. None where no rule looks at the signal.
fn fault_priority(entry: &DeviceEntry, signal: &Signal) -> Option<Priority> {
    let gravest = entry
        .profile
        .rules
        .iter()
        .filter(|spec| spec.kind != RuleKind::Silence && spec.signal.as_ref() == Some(&signal.name))
        .map(|spec| spec.priority)
        .max()?;
    Some(if entry.profile.life_safety {
        Priority::High
    } else {
        gravest.min(Priority::High)
    })
}

fn of_profile(catalogue: &Catalogue, device: usize, entry: &DeviceEntry, spec: &RuleSpec) -> Rule {
    let signal = spec
        .signal
        .as_ref()
        .and_then(|name| entry.profile.signal_index(name.as_str()));
    Rule {
        id: format!("{}/{}", entry.device.id, spec.id).into(),
        title: spec.title.clone(),
        device,
        signal,
        series: signal.and_then(|place| entry.series.get(place).copied()),
        condition: condition(
            catalogue,
            entry,
            spec,
            signal.and_then(|place| entry.profile.signals.get(place)),
        ),
        on_delay: spec.on_delay,
        off_delay: spec.off_delay,
        priority: spec.priority,
        active: spec.active,
        life_safety: entry.profile.life_safety,
    }
}

fn condition(
    catalogue: &Catalogue,
    entry: &DeviceEntry,
    spec: &RuleSpec,
    signal: Option<&Signal>,
) -> Condition {
    // `Profile::parse` refuses a high or low rule without a limit and a silence rule without `after`: a rule that is
    // built otherwise never raises.
    let limit = |never: f64| {
        spec.limit
            .as_ref()
            .map_or(never, |limit| resolve(catalogue, entry, limit))
    };
    let deadband = spec.deadband;
    match spec.kind {
        RuleKind::High => Condition::High {
            limit: limit(f64::INFINITY),
            deadband,
            over_range: signal
                .and_then(|signal| signal.range)
                .filter(|_| entry.profile.life_safety)
                .map(|[_, greatest]| greatest),
        },
        RuleKind::Low => Condition::Low {
            limit: limit(f64::NEG_INFINITY),
            deadband,
        },
        RuleKind::State => Condition::State(spec.values.clone().into()),
        RuleKind::Silence => Condition::Silence {
            after: spec.after.unwrap_or(Span::TEXT_MAX),
        },
    }
}

fn resolve(catalogue: &Catalogue, entry: &DeviceEntry, limit: &Limit) -> f64 {
    match limit {
        Limit::Value(limit) => *limit,
        Limit::Attribute {
            attribute,
            factor,
            offset,
            default,
        } => catalogue
            .number(entry, attribute)
            .map(|number| number * factor + offset)
            .filter(|limit| limit.is_finite())
            .unwrap_or(*default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetry::Uncertain;

    const HIGH: Condition = Condition::High {
        limit: 25.0,
        deadband: 5.0,
        over_range: Some(100.0),
    };

    #[test]
    fn a_high_limit_is_inclusive_and_clears_only_below_its_dead_band() {
        for (value, verdict) in [
            (24.9, Verdict::Between { good: true }),
            (25.0, Verdict::Violates),
            (20.0, Verdict::Between { good: true }),
            (19.9, Verdict::Clears { good: true }),
        ] {
            assert_eq!(HIGH.judge(value, Quality::Good), verdict, "{value}");
        }
    }

    #[test]
    fn a_low_limit_is_the_mirror() {
        let low = Condition::Low {
            limit: 80.0,
            deadband: 2.0,
        };
        for (value, verdict) in [
            (80.0, Verdict::Violates),
            (82.0, Verdict::Between { good: true }),
            (82.1, Verdict::Clears { good: true }),
        ] {
            assert_eq!(low.judge(value, Quality::Good), verdict, "{value}");
        }
    }

    #[test]
    fn doubt_raises_but_does_not_clear_and_bad_does_neither() {
        let doubtful = Quality::Uncertain(Uncertain::Reported);
        assert_eq!(HIGH.judge(40.0, doubtful), Verdict::Violates);
        assert_eq!(HIGH.judge(5.0, doubtful), Verdict::Clears { good: false });
        assert_eq!(HIGH.judge(40.0, Quality::Bad(Bad::SensorFault)), Verdict::Nothing);
    }

    #[test]
    fn over_range_is_gas_and_under_range_is_a_fault() {
        let out = Quality::Bad(Bad::OutOfRange);
        assert_eq!(HIGH.judge(130.0, out), Verdict::Violates);
        assert_eq!(HIGH.judge(-5.0, out), Verdict::Nothing);
    }

    #[test]
    fn no_answer_is_left_to_the_silence_rule() {
        let none = Quality::Bad(Bad::NoAnswer);
        assert_eq!(
            Condition::Fault {
                silence_watched: true
            }
            .judge(0.0, none),
            Verdict::Nothing
        );
        assert_eq!(
            Condition::Fault {
                silence_watched: false
            }
            .judge(0.0, none),
            Verdict::Violates
        );
    }
}
