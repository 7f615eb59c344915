//! A profile's register map made ready: where each signal stands in the answers.

use telemetry::profile::{ModbusPoint, Profile};

use super::value::Form;
use crate::decode::scale::Scale;

/// Everything that is needed to read the answers of a unit of a profile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RegisterMap {
    pub(crate) points: Vec<MappedPoint>,
}

/// Where one signal stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MappedPoint {
    /// Place in the profile's signals.
    pub(crate) signal: u16,
    pub(crate) function: u8,
    pub(crate) address: u16,
    pub(crate) form: Form,
    pub(crate) scale: Scale,
}

impl RegisterMap {
    pub(crate) fn new(profile: &Profile) -> Self {
        let mapped = |point: &ModbusPoint| {
            Some(MappedPoint {
                signal: u16::try_from(profile.signal_index(point.signal.as_str())?).ok()?,
                function: point.function,
                address: point.address,
                form: Form::of(point),
                scale: Scale::new(point.scale, point.offset),
            })
        };
        Self {
            points: profile.modbus.points.iter().filter_map(mapped).collect(),
        }
    }
}
