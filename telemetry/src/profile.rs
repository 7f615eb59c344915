//! What a kind of device says, and how: signals, payload mapping, register map and default rules.
//!
//! A profile is a TOML file. The built-in ones are in `telemetry/profiles/`; [`builtin`] loads them all.
//! Unknown keys are refused, so that a typing error never silently changes a limit.

mod builtin;
mod check;
mod hj212;
mod modbus;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::id::SignalName;
use crate::time::Span;

pub use builtin::builtin;
pub use check::ProfileError;
pub use hj212::{Hj212Map, Hj212Point};
pub use modbus::{
    Forbidden, ModbusMap, ModbusPoint, NoValues, RegisterKind, WordOrder, WriteSpec, WriteTarget,
};

/// A text in both languages of the product.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Title {
    /// Chinese.
    pub zh: Box<str>,
    /// English.
    pub en: Box<str>,
}

/// The part of the county's life that a device belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// Rural sewage stations 农村生活污水处理设施.
    Sewage,
    /// LPG depots 液化石油气储配站.
    Gas,
    /// Manhole covers 窨井盖.
    Cover,
    /// Street lights 路灯: lamps and loop controllers.
    Lighting,
    /// The rest of the city's care 市容环境: waste bins, dust stations, bridges and tunnels.
    City,
    /// The server itself: its disk, its journal, its certificates. It belongs to no figure and stands on no map.
    Server,
}

/// One kind of device.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name that devices refer to, e.g. `sewage-station`.
    pub kind: Box<str>,
    /// Grows with each change of meaning.
    pub version: u32,
    /// What people call it.
    pub title: Title,
    /// Which figures and pages it belongs to.
    pub domain: Domain,
    /// How often the device reports (MQTT) or is polled (Modbus).
    pub report_interval: Span,
    /// Whether alarms of this kind may save a life: never held back, never cleared by silence.
    #[serde(default)]
    pub life_safety: bool,
    /// What it measures. The order is the order on pages and of series numbers.
    #[serde(rename = "signal")]
    pub signals: Vec<Signal>,
    /// Where the values stand in a JSON payload that is not Townwatch's own form.
    #[serde(default)]
    pub mqtt: MqttMapping,
    /// Where the values stand in a Modbus unit.
    #[serde(default)]
    pub modbus: ModbusMap,
    /// Where the values stand in the packets of an HJ 212 data logger.
    #[serde(default)]
    pub hj212: Hj212Map,
    /// The rules that every device of the kind gets.
    #[serde(default, rename = "rule")]
    pub rules: Vec<RuleSpec>,
}

/// One quantity.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Name in payloads, series and rules.
    pub name: SignalName,
    /// What people call it.
    pub title: Title,
    /// UCUM code, e.g. `m3/h`, `mg/L`, `Cel`, `%`, `1` for none. Source: The Unified Code for Units of Measure 2.1.
    pub unit: Box<str>,
    /// What its numbers mean.
    #[serde(default, rename = "type")]
    pub kind: SignalKind,
    /// Least and greatest credible value, both allowed. Beyond: bad quality, out of range. Without: any finite number.
    pub range: Option<[f64; 2]>,
    /// Names of the states, by number. Only for `state` and `bool`.
    #[serde(default)]
    pub states: BTreeMap<String, Title>,
    /// Decimals shown on pages. Default 1.
    #[serde(default = "one")]
    pub decimals: u8,
    /// What its history is kept for. Default: see [`Profile::retention_of`].
    pub retention_class: Option<RetentionClass>,
    /// How its value comes. Default: as it is.
    #[serde(default)]
    pub input: SignalInput,
}

/// How the value of a signal comes from its device, after scale and offset of its mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum SignalInput {
    /// In the signal's unit.
    #[default]
    #[serde(rename = "value")]
    Value,
    /// As a current in mA; [`Signal::range`] is its full scale. NAMUR NE 43 tells faults from measurements, see [`crate::namur`].
    #[serde(rename = "4-20mA")]
    Current,
}

/// What the history of a signal is kept for; the configuration says how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetentionClass {
    /// What may have to be shown after an accident.
    LifeSafety,
    /// What figures and inspections are computed from.
    Compliance,
    /// What those who run the place look at.
    Operation,
    /// What only helps to find a fault of the device itself: signal strength, temperature of a driver.
    Diagnostic,
}

fn one() -> u8 {
    1
}

/// What the numbers of a signal mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// A measured quantity.
    #[default]
    Number,
    /// Yes or no: 1 or 0; in payloads also `true` and `false`.
    Bool,
    /// One of a few named states.
    State,
    /// A total that only grows, but for roll-over and reset.
    Counter,
}

/// JSON pointers (RFC 6901) for devices that do not speak Townwatch's own form.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttMapping {
    /// Where the time stands: ms, s (below 10^11) or RFC 3339. Without: the time of arrival.
    pub time: Option<Box<str>>,
    /// Where the sequence number stands.
    pub seq: Option<Box<str>>,
    /// Where each signal stands.
    #[serde(default, rename = "value")]
    pub values: Vec<MqttValue>,
}

/// Where one signal stands in a payload: signal = raw × scale + offset.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttValue {
    /// Which signal.
    pub signal: SignalName,
    /// JSON pointer, e.g. `/data/flow`.
    pub pointer: Box<str>,
    /// Default 1.
    #[serde(default = "unity")]
    pub scale: f64,
    /// Default 0.
    #[serde(default)]
    pub offset: f64,
}

fn unity() -> f64 {
    1.0
}

/// When an alarm is raised and cleared; the form in a profile. `alarms::rules` gives it its meaning.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// Code of the rule, unique in the profile, e.g. `SW-LEVEL-HH`.
    pub id: Box<str>,
    /// What people call it.
    pub title: Title,
    /// Which signal it looks at. A silence rule may leave it out: then any message of the device counts.
    pub signal: Option<SignalName>,
    /// What it compares.
    pub kind: RuleKind,
    /// For `high` (raise at or above), `low` (raise at or below), `rate`, `counter` and `deviation`: the limit, in the signal's unit.
    pub limit: Option<Limit>,
    /// Distance from the limit at which the alarm may clear, in the signal's unit. Default 0.
    #[serde(default)]
    pub deadband: f64,
    /// For `state`: the values that raise. For `run_time`: those that count as running.
    #[serde(default)]
    pub values: Vec<f64>,
    /// For `silence`: the longest time without a message. For `stuck`: how long it has not moved; default `"24h"`. For
    /// `run_time`: how long it has run.
    pub after: Option<Span>,
    /// For `rate`: what the limit is per. Default `"60s"`.
    pub per: Option<Span>,
    /// For `rate` and `run_time`: between samples that are further apart nothing is known. Default `"300s"`, for `run_time` `"1h"`.
    pub max_gap: Option<Span>,
    /// For `stuck`: how far it may move and still stand, in the signal's unit. Default 0.
    #[serde(default)]
    pub epsilon: f64,
    /// For `stuck`: over how many good samples at least. Default 100.
    pub samples: Option<u32>,
    /// For `counter`: it passes its end at 2 to this power, 1 to 64. Default: never, every fall is a reset.
    pub bits: Option<u32>,
    /// For `counter`: over how long its growth is added up. Default: from one sample to the next. For `run_time`: over how long
    /// it is added up.
    pub window: Option<Span>,
    /// For `deviation`: the signal it is compared with.
    pub other: Option<SignalName>,
    /// For `cel`: an expression in CEL over signals of the device, by their names.
    pub expression: Option<Box<str>>,
    /// Whether its alarm waits for a reset once it is over. Default false.
    #[serde(default)]
    pub latching: bool,
    /// After how long an acknowledged alarm that is still active is owed again. Default: never.
    pub re_alarm: Option<Span>,
    /// At which hours of the county's civil day it may raise, `"22:00-06:00"`; either end may be `dusk` or `dawn`. Default: at
    /// all.
    pub schedule: Option<Box<str>>,
    /// How long it must hold before it raises. Default 0.
    #[serde(default)]
    pub on_delay: Span,
    /// How long it must be gone before it clears. Default 0.
    #[serde(default)]
    pub off_delay: Span,
    /// How much it matters.
    pub priority: Priority,
    /// When it is looked at. Default always.
    #[serde(default)]
    pub active: Active,
}

/// What a rule compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// Raise at or above the limit, clear below limit − dead band.
    High,
    /// Raise at or below the limit, clear above limit + dead band.
    Low,
    /// Raise while the value is one of `values`.
    State,
    /// Raise when the value has changed.
    Change,
    /// Raise when it moves by the limit or more in `per`.
    Rate,
    /// Raise when it has not moved by more than `epsilon` for `after`.
    Stuck,
    /// Raise when it has grown by the limit or more in `window`.
    Counter,
    /// Raise when it has been in one of `values` for `after` or more within `window`, all stretches added up.
    RunTime,
    /// Raise when it is the limit or more away from `other`.
    Deviation,
    /// Raise while `expression` is true.
    Cel,
    /// Raise when nothing has come for `after`, by the clock.
    Silence,
}

/// A limit: a number, or an attribute of the device (or else of its site) × factor + offset.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Limit {
    /// The limit itself.
    Value(f64),
    /// From an attribute of the registry, so that each place has its own.
    Attribute {
        /// Name of the attribute.
        attribute: Box<str>,
        /// Default 1.
        #[serde(default = "unity")]
        factor: f64,
        /// Default 0.
        #[serde(default)]
        offset: f64,
        /// The limit where the attribute is missing.
        default: f64,
    },
}

/// How much an alarm matters. ISA-18.2 asks for three or four; these are the API's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// 提示.
    Low,
    /// 一般.
    Medium,
    /// 重要.
    High,
    /// 紧急.
    Critical,
}

/// When a rule is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Active {
    /// At any time.
    #[default]
    Always,
    /// Only while the county's street lights are due: a lamp that is silent by day is not at fault.
    LightingNight,
    /// Only while the county's street lights are not due.
    LightingDay,
}

impl Profile {
    /// What the history of one of its signals is kept for: as the signal says, else life safety for a life-safety
    /// profile and operation for all others.
    #[must_use]
    pub fn retention_of(&self, signal: &Signal) -> RetentionClass {
        let default = if self.life_safety {
            RetentionClass::LifeSafety
        } else {
            RetentionClass::Operation
        };
        signal.retention_class.unwrap_or(default)
    }

    /// Reads a profile. `name` is the file's name, for the error.
    ///
    /// # Errors
    /// [`ProfileError`] with file, line and what to do.
    pub fn parse(name: &str, text: &str) -> Result<Self, ProfileError> {
        check::parse(name, text)
    }

    /// The position of a signal in [`Profile::signals`].
    #[must_use]
    pub fn signal_index(&self, name: &str) -> Option<usize> {
        self.signals
            .iter()
            .position(|signal| signal.name.as_str() == name)
    }
}
