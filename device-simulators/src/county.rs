//! The county that does not exist: its places, devices, secrets and evaluations, all from one seed.

mod build;
mod city;
mod depot;
mod lighting;
mod names;
mod plan;
mod registry;
mod stations;

use std::collections::HashMap;
use std::str::FromStr;

use telemetry::profile::Title;
use telemetry::registry::{Attributes, ModbusLine, Organisation, Position, Site};
use telemetry::{DeviceId, SiteId, Timestamp};

pub(crate) use plan::Plan;
pub use registry::RegistryError;

use crate::device::{Model, Moment, World};
use crate::fault::{FaultKind, Faults};
use crate::history::History;
use crate::reading::Reading;

/// How large a county is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountySize {
    /// 24 sewage stations, 4 LPG depots, 80 covers, 400 lamps with 6 loop controllers.
    #[default]
    Small,
    /// The model county of `domain.md` §7: 24 thousand devices.
    Model,
}

/// Why a text is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no county {0:?}; there are small and model")]
pub struct CountySizeError(String);

impl FromStr for CountySize {
    type Err = CountySizeError;

    fn from_str(text: &str) -> Result<Self, CountySizeError> {
        match text {
            "small" => Ok(Self::Small),
            "model" => Ok(Self::Model),
            other => Err(CountySizeError(other.to_owned())),
        }
    }
}

/// Where a device answers on Modbus/TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slave {
    /// Which listener.
    pub(crate) gateway: usize,
    pub(crate) unit: u8,
}

/// One device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    /// Place of its site in the county.
    pub(crate) site: usize,
    pub(crate) name: Title,
    pub(crate) position: Option<Position>,
    pub(crate) model: Model,
    /// When it reports over MQTT. Without: it only answers when it is asked.
    pub(crate) plan: Option<Plan>,
    /// When it wrote down what it back-fills.
    pub(crate) log: Plan,
    pub(crate) slave: Option<Slave>,
    /// Place of the device over whose connection it speaks: often its own.
    pub(crate) uplink: usize,
    /// The password of its own connection.
    pub(crate) secret: Option<[u8; 16]>,
    pub(crate) attributes: Attributes,
}

impl Device {
    pub(crate) const fn profile(&self) -> &'static str {
        self.model.profile()
    }

    pub(crate) fn can_have(&self, kind: FaultKind) -> bool {
        match kind {
            FaultKind::PumpTrip => matches!(&self.model, Model::Sewage(sewage) if !sewage.no_outflow),
            FaultKind::GasLeak => matches!(self.model, Model::Panel(_) | Model::DeliveryPoint(_)),
            FaultKind::CoverOpened => matches!(self.model, Model::Cover(_)),
            FaultKind::LampOut => matches!(&self.model, Model::Lamp(lamp) if !lamp.dead),
            FaultKind::CableCut => matches!(self.model, Model::Loop(_)),
            FaultKind::Clock8h => self.plan.is_some(),
            FaultKind::Silence | FaultKind::Nonsense => true,
        }
    }

    /// The password as it is sent: 32 hexadecimal digits.
    pub(crate) fn password(&self) -> Option<String> {
        let secret = self.secret?;
        Some(secret.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The result of an evaluation, dated by the year in which somebody looks.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) site: SiteId,
    /// This many years before this year.
    pub(crate) years_ago: i16,
    pub(crate) score: f64,
    pub(crate) evaluator: &'static str,
}

/// The county. Everything in it follows from size and seed.
#[derive(Debug)]
pub struct County {
    pub(crate) size: CountySize,
    pub(crate) seed: u64,
    pub(crate) world: World,
    pub(crate) organisations: Vec<Organisation>,
    pub(crate) sites: Vec<Site>,
    pub(crate) devices: Vec<Device>,
    pub(crate) judged: Vec<Judged>,
    /// Modbus listeners.
    pub(crate) gateways: usize,
    places: HashMap<DeviceId, usize>,
}

/// The lines on which the Modbus slaves of a county answer, by gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundAddresses(pub(crate) Vec<ModbusLine>);

impl BoundAddresses {
    /// All lines: one a gateway.
    #[must_use]
    pub fn all(&self) -> &[ModbusLine] {
        &self.0
    }
}

impl County {
    /// Builds a county. The same size and seed give the same county, to the byte.
    #[must_use]
    pub fn generate(size: CountySize, seed: u64) -> Self {
        build::build(size, seed)
    }

    /// Its size.
    #[must_use]
    pub const fn size(&self) -> CountySize {
        self.size
    }

    /// Its seed.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The ids of all its devices.
    pub fn device_ids(&self) -> impl Iterator<Item = &DeviceId> {
        self.devices.iter().map(|device| &device.id)
    }

    /// The MQTT password of a device, if it has a connection of its own. For tests and tools that
    /// speak in its place; never logged.
    #[must_use]
    pub fn password(&self, device: &DeviceId) -> Option<String> {
        self.devices.get(self.place_of(device)?)?.password()
    }

    /// What a device measures at `t` when nothing is wrong: one signal of it. What a test compares
    /// with what came through the sockets.
    #[must_use]
    pub fn value(&self, device: &DeviceId, signal: &str, t: Timestamp) -> Option<f64> {
        let mut reading = Reading::default();
        self.read(
            self.place_of(device)?,
            t.millis(),
            &Faults::default(),
            &mut reading,
        );
        reading.real(signal)
    }

    /// The profile of a device; none when it is unknown.
    #[must_use]
    pub fn profile_of(&self, device: &DeviceId) -> Option<&'static str> {
        Some(self.devices.get(self.place_of(device)?)?.profile())
    }

    /// Tells everything that a device of whom nothing is wrong logs after `from` and up to `to`, oldest first: time, signal
    /// and value (flags as 0 and 1). For tools that fill a store without sockets. An unknown device logs nothing.
    pub fn tell_log(
        &self,
        device: &DeviceId,
        from: Timestamp,
        to: Timestamp,
        mut hear: impl FnMut(Timestamp, &'static str, f64),
    ) {
        let history = self
            .place_of(device)
            .and_then(|place| History::new(self, place, from.millis(), to.millis()));
        let Some(mut history) = history else {
            return;
        };
        let (faults, mut reading) = (Faults::default(), Reading::default());
        while let Some(ts) = history.read_next(self, &faults, &mut reading) {
            for (name, value) in reading.values() {
                hear(Timestamp::from_millis(ts), name, value.real());
            }
        }
    }

    pub(crate) fn devices(&self) -> &[Device] {
        &self.devices
    }

    pub(crate) fn place_of(&self, id: &DeviceId) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// The places of the devices whose connections carry what this one says.
    pub(crate) fn speaks_for(&self, place: usize) -> impl Iterator<Item = usize> {
        self.devices.get(place).map(|device| device.uplink).into_iter()
    }

    /// The place of the device over whose connection this one's history is told: a lamp's stands in
    /// its cabinet, which keeps it while the lamps have no power.
    pub(crate) fn historian(&self, place: usize) -> usize {
        match self.devices.get(place) {
            Some(Device {
                model: Model::Lamp(lamp),
                ..
            }) => lamp.controller,
            Some(device) => device.uplink,
            None => place,
        }
    }

    /// What a device measures at `t`, into `out`.
    pub(crate) fn read(&self, place: usize, t: i64, faults: &Faults, out: &mut Reading) {
        if let Some(device) = self.devices.get(place) {
            let moment = Moment {
                world: &self.world,
                county: self,
                faults,
                place,
                t,
            };
            device.model.read(moment, out);
        }
    }
}

#[cfg(test)]
mod tests;
