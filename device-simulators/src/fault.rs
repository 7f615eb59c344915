//! Faults on request: what goes wrong, where, from when and for how long.
//!
//! As text `KIND[:DEVICE][@START][+DURATION]`, e.g. `gas-leak:depot-1-panel@5min+2min`; START counts from
//! the start of the run (or from the moment it is asked for). Without a device a fitting one is chosen by the seed.

mod book;
mod scenario;

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use telemetry::time::Span;
use telemetry::{DeviceId, IdError};

pub use book::FaultSender;
pub(crate) use book::{Event, Faults};
pub(crate) use scenario::Player;
pub use scenario::{Scenario, ScenarioError};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A lift pump of a sewage station trips; where it is the only one, the tank rises and nothing flows out.
    PumpTrip,
    /// LPG leaks near one detector of a depot's panel or in a delivery point: to 60 %LEL within half a minute.
    GasLeak,
    /// A manhole cover is lifted.
    CoverOpened,
    /// A lamp stays dark.
    LampOut,
    /// Loop 1 of a loop controller is cut near its beginning: its current falls, the lamps behind it fall silent.
    CableCut,
    /// The device says nothing: no message, no answer on Modbus.
    Silence,
    /// Its clock shows local time as if it were UTC: 8 h ahead. Not for devices that only answer on Modbus.
    #[serde(rename = "clock-8h")]
    Clock8h,
    /// Payloads that are cut off, of wrong types or out of range; on Modbus exceptions and short answers.
    Nonsense,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::PumpTrip,
        Self::GasLeak,
        Self::CoverOpened,
        Self::LampOut,
        Self::CableCut,
        Self::Silence,
        Self::Clock8h,
        Self::Nonsense,
    ];

    /// Its name in texts and scenarios.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PumpTrip => "pump-trip",
            Self::GasLeak => "gas-leak",
            Self::CoverOpened => "cover-opened",
            Self::LampOut => "lamp-out",
            Self::CableCut => "cable-cut",
            Self::Silence => "silence",
            Self::Clock8h => "clock-8h",
            Self::Nonsense => "nonsense",
        }
    }

    /// How long it lasts when nobody says so.
    #[must_use]
    pub const fn usual_duration(self) -> Span {
        Span::from_secs(match self {
            Self::GasLeak => 120,
            Self::CoverOpened | Self::Nonsense => 600,
            Self::PumpTrip | Self::Silence => 1800,
            Self::Clock8h => 3600,
            Self::LampOut | Self::CableCut => 7200,
        })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One fault that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Where. Without: a fitting device, chosen by the seed.
    pub device: Option<DeviceId>,
    /// When, counted from the start of the run or from the moment of asking. Default 0.
    pub start: Span,
    /// For how long. Default [`FaultKind::usual_duration`]; at least 1 s.
    pub duration: Span,
}

/// Why a fault cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// There is no such kind.
    #[error(
        "there is no fault {0:?}; there are pump-trip, gas-leak, cover-opened, lamp-out, cable-cut, silence, clock-8h and nonsense"
    )]
    Kind(String),
    /// The device's name is none.
    #[error("the device of fault {text:?} is no device id")]
    Device {
        /// The whole text.
        text: String,
        /// What is wrong with it.
        source: IdError,
    },
    /// START or DURATION is no span of time.
    #[error(
        "fault {text:?}: {part} is not a span of time like \"90s\" or \"20min\"; the form is KIND[:DEVICE][@START][+DURATION]"
    )]
    Time {
        /// The whole text.
        text: String,
        /// The part that is none.
        part: String,
    },
    /// No device of that name in the county.
    #[error("there is no device {0}")]
    Unknown(DeviceId),
    /// The device cannot have that fault.
    #[error("{device} is a {profile}, which cannot have a {kind}; {kind} is for {fits}")]
    Unfit {
        /// Which device.
        device: DeviceId,
        /// What it is.
        profile: &'static str,
        /// Which fault.
        kind: FaultKind,
        /// What could have it.
        fits: &'static str,
    },
    /// As many faults as can be kept are waiting or acting. Ask again when some are over.
    #[error("{0} faults are waiting or acting already")]
    TooMany(usize),
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let span = |part: &str| {
            part.parse::<Span>().map_err(|_| FaultError::Time {
                text: text.to_owned(),
                part: part.to_owned(),
            })
        };
        let (rest, duration) = match text.split_once('+') {
            Some((rest, part)) => (rest, Some(span(part)?)),
            None => (text, None),
        };
        let (rest, start) = match rest.split_once('@') {
            Some((rest, part)) => (rest, span(part)?),
            None => (rest, Span::ZERO),
        };
        let (name, device) = match rest.split_once(':') {
            Some((name, device)) => (name, Some(device)),
            None => (rest, None),
        };
        let kind = (FaultKind::ALL.into_iter())
            .find(|kind| kind.name() == name)
            .ok_or_else(|| FaultError::Kind(name.to_owned()))?;
        let device = device
            .map(DeviceId::new)
            .transpose()
            .map_err(|source| FaultError::Device {
                text: text.to_owned(),
                source,
            })?;
        Ok(Self {
            kind,
            device,
            start,
            duration: duration.unwrap_or(kind.usual_duration()).max(Span::from_secs(1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_with_all_its_parts_or_few() {
        let full: Fault = "gas-leak:depot-1-panel@5min+90s".parse().unwrap();
        assert_eq!(full.device.unwrap().as_str(), "depot-1-panel");
        assert_eq!((full.start.millis(), full.duration.millis()), (300_000, 90_000));
        let bare: Fault = "lamp-out".parse().unwrap();
        assert_eq!((bare.device, bare.start), (None, Span::ZERO));
        assert_eq!(bare.duration, FaultKind::LampOut.usual_duration());
    }

    #[test]
    fn a_wrong_fault_is_refused_with_what_there_is() {
        let error = "gasleak".parse::<Fault>().unwrap_err().to_string();
        for kind in FaultKind::ALL {
            assert!(error.contains(kind.name()), "{error}");
        }
        for text in ["gas-leak@soon", "gas-leak+", "gas-leak:a/b", "silence@5min+2"] {
            assert!(text.parse::<Fault>().is_err(), "{text:?}");
        }
    }
}
