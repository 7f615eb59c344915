//! From the rules of a profile to the rules of each device: limits resolved, identities given.
//!
//! Beside the rules that a profile writes down, every signal that a rule looks at gets a sensor-fault alarm
//! `DEVICE/SIGNAL.fault`, and every device a clock alarm `DEVICE.clock`. What the county does otherwise than its
//! profiles stands in its [`RuleBook`].

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use telemetry::profile::{Active, Limit, Priority, RuleKind, RuleSpec, Signal, Title};
use telemetry::time::Span;
use telemetry::{Catalogue, DeviceEntry, SeriesId, SignalName, Timestamp};

use super::book::{Overrides, RuleBook, Settled, rules_of_several};
use super::condition::{Direction, FloodLimits};
use super::expression::Expression;
use super::{Condition, Place, Plant, PlantDevice, PlantGroup, Rule, Schedule};

/// What a limit of a rate is per, without another word.
pub(super) const RATE_PER: Span = Span::from_secs(60);
/// How long a value stands still until it is stuck, without another word. Source: `alarms.md`, A44.
pub(super) const STUCK_AFTER: Span = Span::from_secs(86_400);
/// Between samples that are further apart nobody knows whether it ran, without another word.
const RUN_TIME_GAP: Span = Span::from_secs(3600);
/// The device that the server is to itself: what is nobody's own is told as its alarm.
const PLATFORM: &str = "townwatch";

/// The county's zone, by which schedules and the days of a rule book go; UTC where there is none of its name, which the start
/// of a server refuses.
#[must_use]
pub fn zone_of(catalogue: &Catalogue) -> TimeZone {
    TimeZone::get(&catalogue.registry().county.zone).unwrap_or(TimeZone::UTC)
}

/// What the engine is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// What stands behind the rules.
    pub plant: Plant,
    /// In order of the devices and of their profiles; after a device's own rules come the sensor faults of its ruled
    /// signals, then its clock alarm. The rules over several points stand behind all of them.
    pub rules: Vec<Rule>,
}

/// Every rule of every device as it holds at `at`: those of its profile with what `book` changes, and those of the book.
///
/// # Errors
/// [`RuleError`] for an expression or a schedule that cannot be, or an entry of the book that does not fit.
pub fn compile(
    catalogue: &Catalogue,
    book: &RuleBook,
    at: Timestamp,
    fault_off_delay: Span,
) -> Result<Compiled, RuleError> {
    let mut rules = Vec::new();
    let mut texts = Texts::new(catalogue);
    let overrides = Overrides::new(book, catalogue, at, &texts.zone)?;
    for (device, entry) in catalogue.devices().iter().enumerate() {
        let specs = overrides.settle(catalogue, entry)?;
        for (spec, changed) in &specs {
            let rule = of_profile(catalogue, (device, entry), spec, &mut texts)?;
            rules.push(Rule {
                changed: changed.clone(),
                ..rule
            });
        }
        let silence_watched = specs
            .iter()
            .any(|(spec, _)| spec.kind == RuleKind::Silence && spec.signal.is_none());
        for (place, signal) in entry.profile.signals.iter().enumerate() {
            if let Some(priority) = fault_priority(entry, &specs, signal) {
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
        if entry.device.id.as_str() == PLATFORM {
            rules.push(Rule {
                id: format!("{PLATFORM}.flood").into(),
                title: Title {
                    zh: "报警泛滥".into(),
                    en: "alarm flood".into(),
                },
                condition: Condition::Flood(FloodLimits::default()),
                priority: Priority::High,
                ..system(device, entry, Span::ZERO)
            });
        }
    }
    overrides.all_met()?;
    let (groups, several) = rules_of_several(book, catalogue, at, &texts.zone)?;
    rules.extend(several);
    Ok(Compiled {
        plant: plant(catalogue, groups),
        rules,
    })
}

/// Who speaks through whom and what stands where, as the catalogue says.
fn plant(catalogue: &Catalogue, groups: Vec<PlantGroup>) -> Plant {
    let places: Vec<Arc<Place>> = catalogue
        .sites()
        .iter()
        .map(|site| {
            Arc::new(Place {
                site: site.id.as_str().into(),
                town: site.town.clone(),
                organisation: site.organisation.clone(),
            })
        })
        .collect();
    // A device of several groups is told by the first.
    let mut group_of: HashMap<usize, usize> = HashMap::new();
    for (place, group) in groups.iter().enumerate() {
        for (device, _) in &group.members {
            group_of.entry(*device).or_insert(place);
        }
    }
    let devices = catalogue
        .devices()
        .iter()
        .enumerate()
        .map(|(device, entry)| PlantDevice {
            name: entry.device.id.as_str().into(),
            kind: Arc::from(&*entry.profile.kind),
            gateway: entry
                .device
                .gateway
                .as_ref()
                .and_then(|gateway| catalogue.device_index(gateway.as_str())),
            group: group_of.get(&device).copied(),
            life_safety: entry.profile.life_safety,
            period: Some(entry.profile.report_interval),
            mute: false,
            place: places.get(entry.site).map(Arc::clone),
        })
        .collect();
    Plant { devices, groups }
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
        shown_at: device,
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
        schedule: None,
        life_safety: entry.profile.life_safety,
        latching: false,
        re_alarm: None,
        system: true,
        changed: None,
    }
}

/// High where life is at stake, so that the same people hear of it; else that of the gravest rule of the signal, at
/// most high. None where no rule looks at the signal.
fn fault_priority(entry: &DeviceEntry, specs: &[Settled<'_>], signal: &Signal) -> Option<Priority> {
    let gravest = specs
        .iter()
        .filter(|(spec, _)| spec.kind != RuleKind::Silence && spec.signal.as_ref() == Some(&signal.name))
        .map(|(spec, _)| spec.priority)
        .max()?;
    Some(if entry.profile.life_safety {
        Priority::High
    } else {
        gravest.min(Priority::High)
    })
}

/// A rule that cannot be. Mend the profile, or the rule book.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct RuleError {
    /// Which profile and rule, or which file and line.
    pub place: Box<str>,
    /// The line in the rule book, from 1; none for a rule of a profile.
    pub line: Option<usize>,
    /// What is wrong, and what is allowed.
    pub why: String,
}

/// What is written as text in profiles, read once for all devices of a profile.
struct Texts {
    zone: TimeZone,
    expressions: HashMap<(Box<str>, Box<str>), Arc<Expression>>,
}

impl Texts {
    fn new(catalogue: &Catalogue) -> Self {
        Self {
            zone: zone_of(catalogue),
            expressions: HashMap::new(),
        }
    }

    fn expression(&mut self, entry: &DeviceEntry, spec: &RuleSpec) -> Result<Condition, String> {
        let key = (entry.profile.kind.clone(), spec.id.clone());
        let expression = match self.expressions.get(&key) {
            Some(known) => Arc::clone(known),
            None => {
                let is_signal = |name: &str| entry.profile.signal_index(name).is_some();
                let text = spec.expression.as_deref().unwrap_or_default();
                let compiled = Arc::new(Expression::compile(text, is_signal)?);
                self.expressions.insert(key, Arc::clone(&compiled));
                compiled
            }
        };
        let series = |name: &Arc<str>| entry.series.get(entry.profile.signal_index(name)?).copied();
        let inputs = expression.names().iter().filter_map(series).collect();
        Ok(Condition::Expression { expression, inputs })
    }
}

fn of_profile(
    catalogue: &Catalogue,
    (device, entry): (usize, &DeviceEntry),
    spec: &RuleSpec,
    texts: &mut Texts,
) -> Result<Rule, RuleError> {
    let refused = |why: String| RuleError {
        place: format!("profile {}, rule {}", entry.profile.kind, spec.id).into(),
        line: None,
        why,
    };
    let schedule = match &spec.schedule {
        Some(text) => Some(Schedule::parse(text, texts.zone.clone()).map_err(refused)?),
        None => None,
    };
    let condition = if spec.kind == RuleKind::Cel {
        texts.expression(entry, spec).map_err(refused)?
    } else {
        condition(catalogue, entry, spec)
    };
    let signal = spec
        .signal
        .as_ref()
        .and_then(|name| entry.profile.signal_index(name.as_str()));
    Ok(Rule {
        id: format!("{}/{}", entry.device.id, spec.id).into(),
        title: spec.title.clone(),
        device,
        shown_at: device,
        signal,
        series: signal.and_then(|place| entry.series.get(place).copied()),
        condition,
        on_delay: spec.on_delay,
        off_delay: spec.off_delay,
        priority: spec.priority,
        active: spec.active,
        schedule,
        life_safety: entry.profile.life_safety,
        latching: spec.latching,
        re_alarm: spec.re_alarm.filter(|span| *span != Span::ZERO),
        system: spec.kind == RuleKind::Silence,
        changed: None,
    })
}

fn condition(catalogue: &Catalogue, entry: &DeviceEntry, spec: &RuleSpec) -> Condition {
    let place = |name: &SignalName| entry.profile.signal_index(name.as_str());
    let signal = (spec.signal.as_ref().and_then(place)).and_then(|place| entry.profile.signals.get(place));
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
        RuleKind::Change => Condition::Change {
            from: [].into(),
            to: spec.values.clone().into(),
        },
        RuleKind::Rate => Condition::Rate {
            limit: limit(f64::INFINITY),
            per: spec.per.filter(|per| *per != Span::ZERO).unwrap_or(RATE_PER),
            deadband,
            max_gap: spec.max_gap.unwrap_or(Span::from_secs(300)),
            direction: Direction::Both,
        },
        RuleKind::Stuck => Condition::Stuck {
            epsilon: spec.epsilon,
            after: spec.after.unwrap_or(STUCK_AFTER),
            samples: spec.samples.unwrap_or(100),
            zero_exempt: entry.profile.life_safety,
        },
        RuleKind::Counter => Condition::Counter {
            modulus: spec
                .bits
                .map(|bits| f64::from(2_u32).powi(i32::try_from(bits).unwrap_or(0))),
            limit: limit(f64::INFINITY),
            deadband,
            window: spec.window,
            reset_from_zero: true,
        },
        // `Profile::parse` refuses a deviation from a signal that is none; from itself nothing deviates.
        RuleKind::Deviation => Condition::Deviation {
            other: (spec.other.as_ref().and_then(place))
                .or_else(|| spec.signal.as_ref().and_then(place))
                .and_then(|place| entry.series.get(place).copied())
                .unwrap_or(SeriesId(0)),
            limit: limit(f64::INFINITY),
            deadband,
        },
        RuleKind::RunTime => Condition::RunTime {
            values: spec.values.clone().into(),
            limit: spec.after.unwrap_or(Span::TEXT_MAX),
            window: spec.window.unwrap_or(Span::TEXT_MAX),
            max_gap: spec.max_gap.unwrap_or(RUN_TIME_GAP),
        },
        // An expression has been compiled before.
        RuleKind::Cel | RuleKind::Silence => Condition::Silence {
            after: spec.after.unwrap_or(Span::TEXT_MAX),
        },
    }
}

/// The limit of a rule of a profile on a device, where it has one.
pub(super) fn limit_of(catalogue: &Catalogue, entry: &DeviceEntry, spec: &RuleSpec) -> Option<f64> {
    spec.limit.as_ref().map(|limit| resolve(catalogue, entry, limit))
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
