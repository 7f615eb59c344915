//! What may be written, and what is then asked of the unit. Pure.

use std::collections::BTreeSet;

use telemetry::profile::ModbusPoint;
use telemetry::{DeviceEntry, DeviceId};

use super::frame::Answer;
use super::pdu::Request;
use super::plan::Block;
use super::value::Form;
use crate::decode::scale::Scale;

/// What the configuration allows to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Whether anything may be written at all. Default no.
    pub on: bool,
    /// Devices and signals of life-safety profiles that may be written nevertheless. Default none.
    pub life_safety: BTreeSet<(DeviceId, Box<str>)>,
}

/// Why nothing was written. One line for a person each.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WriteRefused {
    /// The configuration does not allow it. Set `writes = true` under `[modbus]`.
    #[error("writing to field devices is off: modbus.writes is false in the configuration")]
    Off,
    /// There is no such device, or it is not polled. Name a device with a Modbus transport and a register map.
    #[error("{0} is not polled over modbus")]
    NotPolled(Box<str>),
    /// The profile lists no range for the signal. Add `write = { min, max }` to its point.
    #[error("the profile does not allow {signal} of {device} to be written")]
    NotListed {
        /// Which device.
        device: DeviceId,
        /// Which signal.
        signal: Box<str>,
    },
    /// Lives hang on the device. List the very signal under `modbus.life_safety_writes`.
    #[error("{device} is a life-safety device and modbus.life_safety_writes does not name {device}/{signal}")]
    LifeSafety {
        /// Which device.
        device: DeviceId,
        /// Which signal.
        signal: Box<str>,
    },
    /// Outside of the profile's range, or not one of its steps.
    #[error("{value} is not allowed: {min} to {max}{}", steps(*.step))]
    OutOfRange {
        /// What was to be written.
        value: f64,
        /// Least value.
        min: f64,
        /// Greatest value.
        max: f64,
        /// Whole steps of this from `min`.
        step: Option<f64>,
    },
    /// The register cannot hold it.
    #[error("{value} cannot be written: {why}")]
    Unfit {
        /// What was to be written.
        value: f64,
        /// Why not.
        why: &'static str,
    },
    /// As many writes as may wait on the unit's line are waiting. Try again.
    #[error("{0} writes wait on the line already")]
    Busy(usize),
    /// The line did not come to it in time; it will not be written later.
    #[error("the line was too busy; nothing was written")]
    TooLate,
    /// The line cannot be reached; nothing was sent.
    #[error("the unit cannot be reached; nothing was written")]
    Unreachable,
    /// The unit refuses.
    #[error("the unit refused with exception {0}")]
    Exception(u8),
    /// The program is stopping.
    #[error("the poller has stopped")]
    Stopped,
}

fn steps(step: Option<f64>) -> String {
    step.map_or_else(String::new, |step| format!(" in steps of {step}"))
}

/// What became of a write that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteDone {
    /// What was to be written, in the signal's unit.
    pub value: f64,
    /// Whether the unit confirmed the write. If not, the register may hold the old or the new value:
    /// `read_back` tells.
    pub answered: bool,
    /// What the register held afterwards, in the signal's unit; `None` when it could not be read.
    pub read_back: Option<f64>,
    /// Whether that is exactly what was to be written.
    pub confirmed: bool,
}

/// A write that is allowed, made ready.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub(super) request: Request,
    pub(super) read_back: Block,
    value: f64,
    sent: Answer,
    form: Form,
    scale: Scale,
}

impl Order {
    /// What is to be asked so that `signal` of `entry` becomes `value`.
    ///
    /// # Errors
    /// Why it may not be written.
    pub(super) fn new(
        entry: &DeviceEntry,
        signal: &str,
        value: f64,
        writes: &Writes,
    ) -> Result<Self, WriteRefused> {
        if !writes.on {
            return Err(WriteRefused::Off);
        }
        let device = &entry.device.id;
        let points = &entry.profile.modbus.points;
        let listed = points
            .iter()
            .find(|point| point.signal.as_str() == signal)
            .and_then(|point| Some((point, point.write?, point.write_target()?)));
        let Some((point, spec, target)) = listed else {
            return Err(WriteRefused::NotListed {
                device: device.clone(),
                signal: signal.into(),
            });
        };
        if entry.profile.life_safety && !writes.life_safety.contains(&(device.clone(), signal.into())) {
            return Err(WriteRefused::LifeSafety {
                device: device.clone(),
                signal: signal.into(),
            });
        }
        let within = value.is_finite() && (spec.min..=spec.max).contains(&value);
        if !within || !spec.step.is_none_or(|step| is_whole((value - spec.min) / step)) {
            return Err(WriteRefused::OutOfRange {
                value,
                min: spec.min,
                max: spec.max,
                step: spec.step,
            });
        }
        let (request, sent) = Self::request(point, value, target.function, target.address)?;
        Ok(Self {
            request,
            read_back: Block {
                function: target.read_function(),
                address: target.address,
                count: target.count,
            },
            value,
            sent,
            form: Form::of(point),
            scale: Scale::new(point.scale, point.offset),
        })
    }

    fn request(
        point: &ModbusPoint,
        value: f64,
        function: u8,
        address: u16,
    ) -> Result<(Request, Answer), WriteRefused> {
        let raw = Scale::new(point.scale, point.offset).invert(value);
        let words = Form::of(point)
            .write(raw)
            .map_err(|why| WriteRefused::Unfit { value, why })?;
        let first = words.first().copied().unwrap_or_default();
        let on = first != 0;
        Ok(match function {
            5 => (Request::WriteCoil { address, on }, Answer::Bits(vec![on])),
            15 => (Request::WriteOneOfCoils { address, on }, Answer::Bits(vec![on])),
            6 => (
                Request::WriteRegister { address, word: first },
                Answer::Words(words),
            ),
            _ => (
                Request::WriteRegisters {
                    address,
                    words: words.clone(),
                },
                Answer::Words(words),
            ),
        })
    }

    /// What to say, when the unit confirmed the write or not, and the register reads so afterwards.
    pub(super) fn done(&self, answered: bool, read: Option<&Answer>) -> WriteDone {
        let raw = match read {
            Some(Answer::Words(words)) => self.form.read(words).and_then(Result::ok),
            Some(Answer::Bits(bits)) => bits.first().map(|bit| f64::from(u8::from(*bit))),
            Some(Answer::Exception(_) | Answer::None) | None => None,
        };
        WriteDone {
            value: self.value,
            answered,
            read_back: raw.map(|raw| self.scale.apply(raw)),
            confirmed: read == Some(&self.sent),
        }
    }
}

fn is_whole(steps: f64) -> bool {
    (steps - steps.round()).abs() < 1e-6
}

#[cfg(test)]
mod tests;
