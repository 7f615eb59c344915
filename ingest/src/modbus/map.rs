//! A profile's register map made ready: the reads to make and where each signal stands in the answers.

use telemetry::profile::{ModbusPoint, Profile, RegisterKind, WordOrder};

use super::plan::{Block, plan};
use crate::decode::scale::Scale;

/// Everything that is needed to poll a unit of a profile and to read its answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RegisterMap {
    pub(crate) blocks: Vec<Block>,
    pub(crate) points: Vec<MappedPoint>,
}

/// Where one signal stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MappedPoint {
    /// Place in the profile's signals.
    pub(crate) signal: u16,
    pub(crate) function: u8,
    pub(crate) address: u16,
    pub(crate) kind: RegisterKind,
    pub(crate) order: WordOrder,
    pub(crate) none: Option<i64>,
    pub(crate) scale: Scale,
}

impl RegisterMap {
    pub(crate) fn new(profile: &Profile) -> Self {
        let map = &profile.modbus;
        let mapped = |point: &ModbusPoint| {
            Some(MappedPoint {
                signal: u16::try_from(profile.signal_index(point.signal.as_str())?).ok()?,
                function: point.function,
                address: point.address,
                kind: point.kind,
                order: point.order,
                none: point.none,
                scale: Scale::new(point.scale, point.offset),
            })
        };
        Self {
            blocks: plan(map),
            points: map.points.iter().filter_map(mapped).collect(),
        }
    }
}
