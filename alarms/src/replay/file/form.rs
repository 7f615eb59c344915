//! The form of a file of rules, as it is read.

use std::collections::BTreeMap;

use serde::Deserialize;
use telemetry::profile::{Active, Priority};
use telemetry::time::Span;

use crate::rules::Condition;
use crate::rules::condition::{Direction, FloodLimits};
use crate::telling::{Duty, Route, Step};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) zone: Box<str>,
    pub(super) lateness: Span,
    pub(super) live_age: Span,
    pub(super) future_tolerance: Span,
    pub(super) grace: Span,
    pub(super) fault_off_delay: Span,
    pub(super) shelve_max: Span,
    pub(super) flood_begins_above: u32,
    pub(super) flood_ends_below: u32,
    /// Whether the engine makes the alarms of silence, faults, clocks, groups and floods by itself; else they stand in the file.
    pub(super) own_alarms: bool,
    /// Where `active` looks at the sun.
    pub(super) sun: Option<SunForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SunForm {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) after_sunset: Span,
    pub(super) before_sunrise: Span,
}

impl Default for Settings {
    fn default() -> Self {
        let flood = FloodLimits::default();
        Self {
            zone: "Asia/Shanghai".into(),
            lateness: Span::from_secs(30),
            live_age: Span::from_secs(900),
            future_tolerance: Span::from_secs(60),
            grace: Span::from_secs(60),
            fault_off_delay: Span::ZERO,
            shelve_max: Span::from_secs(8 * 3600),
            flood_begins_above: flood.begins_above,
            flood_ends_below: flood.ends_below,
            own_alarms: true,
            sun: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) settings: Settings,
    #[serde(default)]
    pub(super) device: Vec<DeviceForm>,
    #[serde(default)]
    pub(super) point: Vec<PointForm>,
    #[serde(default)]
    pub(super) rule: Vec<RuleForm>,
    #[serde(default)]
    pub(super) escalation: Vec<Step>,
    #[serde(default)]
    pub(super) route: Vec<Route>,
    #[serde(default)]
    pub(super) roster: Vec<Duty>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Class {
    LifeSafety,
    Normal,
}

#[derive(Clone, Copy, Deserialize)]
pub(super) enum SignalForm {
    #[serde(rename = "4-20mA")]
    FourToTwenty,
}

/// What several points speak through.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceForm {
    pub(super) name: Box<str>,
    #[serde(default)]
    pub(super) kind: Box<str>,
    pub(super) period: Option<Span>,
    #[serde(default = "normal")]
    pub(super) class: Class,
    /// Another device.
    pub(super) gateway: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PointForm {
    pub(super) name: Box<str>,
    pub(super) device: Option<Box<str>>,
    #[serde(default)]
    pub(super) kind: Box<str>,
    pub(super) period: Option<Span>,
    pub(super) stale_after: Option<Span>,
    #[serde(default = "normal")]
    pub(super) class: Class,
    pub(super) group: Option<Box<str>>,
    pub(super) gateway: Option<Box<str>>,
    pub(super) signal: Option<SignalForm>,
    pub(super) range: Option<[f64; 2]>,
}

pub(super) const fn normal() -> Class {
    Class::Normal
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    High,
    Low,
    State,
    Change,
    Rate,
    Stuck,
    Counter,
    Deviation,
    Vote,
    Cel,
    Silence,
    Fault,
    Clock,
    Flood,
}

impl Kind {
    /// Whether it tells of the sensor, the device or the alarms themselves.
    pub(super) const fn is_system(self) -> bool {
        matches!(self, Self::Silence | Self::Fault | Self::Clock | Self::Flood)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnReset {
    FromZero,
    Unknown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleForm {
    pub(super) id: Box<str>,
    pub(super) point: Option<Box<str>>,
    pub(super) device: Option<Box<str>>,
    pub(super) kind: Kind,
    pub(super) limit: Option<f64>,
    #[serde(default)]
    pub(super) deadband: f64,
    #[serde(default)]
    pub(super) on_delay: Span,
    #[serde(default)]
    pub(super) off_delay: Span,
    pub(super) priority: Option<Priority>,
    #[serde(default)]
    pub(super) latching: bool,
    pub(super) re_alarm: Option<Span>,
    pub(super) schedule: Option<Box<str>>,
    #[serde(default)]
    pub(super) active: Active,
    pub(super) value: Option<f64>,
    #[serde(default)]
    pub(super) values: Vec<f64>,
    #[serde(default)]
    pub(super) from: Vec<f64>,
    #[serde(default)]
    pub(super) to: Vec<f64>,
    pub(super) per: Option<Span>,
    pub(super) max_gap: Option<Span>,
    #[serde(default)]
    pub(super) direction: Direction,
    #[serde(default)]
    pub(super) epsilon: f64,
    #[serde(rename = "for")]
    pub(super) time: Option<Span>,
    pub(super) samples: Option<u32>,
    pub(super) zero_exempt: Option<bool>,
    pub(super) bits: Option<u32>,
    pub(super) window: Option<Span>,
    pub(super) on_reset: Option<OnReset>,
    pub(super) other: Option<Box<str>>,
    pub(super) group: Option<Box<str>>,
    pub(super) votes: Option<usize>,
    pub(super) expression: Option<Box<str>>,
    /// What the expression calls points, where it does not use their own names.
    #[serde(default)]
    pub(super) names: BTreeMap<Box<str>, Box<str>>,
}

impl RuleForm {
    pub(super) fn limit(&self) -> Result<f64, String> {
        self.limit.ok_or_else(|| "limit is missing".to_owned())
    }

    /// A key that means nothing for its kind is most likely a mistake.
    pub(super) fn check_keys(&self) -> Result<(), String> {
        let of_device = [Kind::Cel, Kind::Silence, Kind::Clock, Kind::Flood];
        let only: [(&str, bool, &[Kind]); 17] = [
            ("device", self.device.is_some(), &of_device),
            ("value", self.value.is_some(), &[Kind::State]),
            ("values", !self.values.is_empty(), &[Kind::State]),
            ("from", !self.from.is_empty(), &[Kind::Change]),
            ("to", !self.to.is_empty(), &[Kind::Change]),
            ("per", self.per.is_some(), &[Kind::Rate]),
            ("max_gap", self.max_gap.is_some(), &[Kind::Rate]),
            ("for", self.time.is_some(), &[Kind::Stuck, Kind::Silence]),
            ("samples", self.samples.is_some(), &[Kind::Stuck]),
            ("zero_exempt", self.zero_exempt.is_some(), &[Kind::Stuck]),
            ("bits", self.bits.is_some(), &[Kind::Counter]),
            ("window", self.window.is_some(), &[Kind::Counter]),
            ("on_reset", self.on_reset.is_some(), &[Kind::Counter]),
            ("other", self.other.is_some(), &[Kind::Deviation]),
            ("votes", self.votes.is_some(), &[Kind::Vote]),
            ("expression", self.expression.is_some(), &[Kind::Cel]),
            ("names", !self.names.is_empty(), &[Kind::Cel]),
        ];
        match only
            .iter()
            .find(|(_, there, kinds)| *there && !kinds.contains(&self.kind))
        {
            Some((key, ..)) => Err(format!("{key} means nothing for a rule of this kind")),
            None => Ok(()),
        }
    }

    /// The condition of a rule that looks at one point.
    pub(super) fn of_one(&self, range: Option<[f64; 2]>, gas: bool) -> Result<Condition, String> {
        let deadband = self.deadband;
        Ok(match self.kind {
            Kind::High => Condition::High {
                limit: self.limit()?,
                deadband,
                over_range: range.map(|[_, end]| end),
            },
            Kind::Low => Condition::Low {
                limit: self.limit()?,
                deadband,
            },
            Kind::State => {
                let values: Vec<f64> = self
                    .value
                    .into_iter()
                    .chain(self.values.iter().copied())
                    .collect();
                if values.is_empty() {
                    return Err("values is missing: the states that raise".to_owned());
                }
                Condition::State(values.into())
            }
            Kind::Change => Condition::Change {
                from: self.from.clone().into(),
                to: self.to.clone().into(),
            },
            Kind::Rate => Condition::Rate {
                limit: self.limit()?,
                per: self
                    .per
                    .filter(|per| *per != Span::ZERO)
                    .unwrap_or(Span::from_secs(60)),
                deadband,
                max_gap: self.max_gap.unwrap_or(Span::from_secs(300)),
                direction: self.direction,
            },
            Kind::Stuck => Condition::Stuck {
                epsilon: self.epsilon,
                after: self.time.unwrap_or(Span::from_secs(86_400)),
                samples: self.samples.unwrap_or(100),
                zero_exempt: self.zero_exempt.unwrap_or(gas),
            },
            Kind::Counter => {
                let modulus = match self.bits {
                    None => None,
                    Some(bits @ 1..=64) => Some(f64::from(2_u32).powi(i32::try_from(bits).unwrap_or(0))),
                    Some(bits) => return Err(format!("bits = {bits}; 1 to 64 are allowed")),
                };
                Condition::Counter {
                    modulus,
                    limit: self.limit()?,
                    deadband,
                    window: self.window,
                    reset_from_zero: self.on_reset != Some(OnReset::Unknown),
                }
            }
            Kind::Silence => Condition::Silence {
                after: (self.time.filter(|after| *after != Span::ZERO))
                    .ok_or("for is missing: the longest silence")?,
            },
            Kind::Clock => Condition::Clock,
            Kind::Deviation | Kind::Vote | Kind::Cel | Kind::Fault | Kind::Flood => {
                return Err("it looks at more than one point".to_owned());
            }
        })
    }
}
