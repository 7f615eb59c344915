//! All faults that are waiting, acting or lately over, and the handle through which they are asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use telemetry::{DeviceId, Timestamp};
use tokio::sync::Notify;

use super::{Fault, FaultError, FaultKind};
use crate::county::County;
use crate::noise;
use crate::sun::DAY;

/// Most faults that are kept. More are refused ([`FaultError::TooMany`]).
const FAULTS_MAX: usize = 10_000;
/// How long a fault is remembered when it is over: back-fill and catching up still ask for it.
const REMEMBERED: i64 = 8 * DAY;

/// One fault at a device: from `start` (included) to `end` (excluded), ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: FaultKind,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// The faults of all devices, by place in the county. Those of one kind at one device do not overlap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    by_device: BTreeMap<usize, Vec<Event>>,
}

impl Faults {
    /// All faults of a device.
    pub(crate) fn of(&self, device: usize) -> &[Event] {
        self.by_device.get(&device).map_or(&[], Vec::as_slice)
    }

    /// The fault of that kind that acts at `t`.
    pub(crate) fn acting(&self, device: usize, kind: FaultKind, t: i64) -> Option<Event> {
        (self.of(device).iter())
            .find(|event| event.kind == kind && (event.start..event.end).contains(&t))
            .copied()
    }

    /// The first beginning or end of a fault of the device after `t`.
    pub(crate) fn next_edge(&self, device: usize, t: i64) -> Option<i64> {
        (self.of(device).iter())
            .flat_map(|event| [event.start, event.end])
            .filter(|edge| *edge > t)
            .min()
    }

    fn add(&mut self, device: usize, event: Event) {
        let events = self.by_device.entry(device).or_default();
        // A second one of the kind prolongs the first.
        let meets =
            |other: &Event| other.kind == event.kind && other.start <= event.end && event.start <= other.end;
        match events.iter_mut().find(|other| meets(other)) {
            Some(other) => {
                other.start = other.start.min(event.start);
                other.end = other.end.max(event.end);
            }
            None => events.push(event),
        }
    }

    fn forget(&mut self, now: i64) {
        for events in self.by_device.values_mut() {
            events.retain(|event| event.end + REMEMBERED > now);
        }
        self.by_device.retain(|_, events| !events.is_empty());
    }

    fn len(&self) -> usize {
        self.by_device.values().map(Vec::len).sum()
    }
}

/// The handle through which faults are asked for while the county runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FaultSender {
    county: Arc<County>,
    faults: Arc<RwLock<Arc<Faults>>>,
    changed: Arc<Vec<Notify>>,
}

impl FaultSender {
    pub(crate) fn new(county: Arc<County>) -> Self {
        let changed = county.devices().iter().map(|_| Notify::new()).collect();
        Self {
            county,
            faults: Arc::default(),
            changed: Arc::new(changed),
        }
    }

    /// Asks for a fault, its start counted from `now`. Answers which device it will be at.
    ///
    /// # Errors
    /// [`FaultError`] when there is no such device, it cannot have such a fault, or too many are kept.
    pub fn send(&self, fault: &Fault, now: Timestamp) -> Result<DeviceId, FaultError> {
        let start = now.plus(fault.start);
        let place = match &fault.device {
            Some(device) => self.named(device, fault.kind)?,
            None => self.chosen(fault.kind, start)?,
        };
        let event = Event {
            kind: fault.kind,
            start: start.millis(),
            end: start.plus(fault.duration).millis(),
        };
        {
            let mut faults = self.faults.write().unwrap_or_else(PoisonError::into_inner);
            if faults.len() >= FAULTS_MAX {
                Arc::make_mut(&mut faults).forget(now.millis());
            }
            if faults.len() >= FAULTS_MAX {
                return Err(FaultError::TooMany(FAULTS_MAX));
            }
            Arc::make_mut(&mut faults).add(place, event);
        }
        let id = self.county.devices().get(place).map(|device| device.id.clone());
        for changed in self
            .county
            .speaks_for(place)
            .filter_map(|login| self.changed.get(login))
        {
            changed.notify_one();
        }
        let id = id.ok_or(FaultError::TooMany(FAULTS_MAX))?;
        tracing::info!(device = %id, fault = fault.kind.name(), start = %start, "fault ordered");
        Ok(id)
    }

    fn named(&self, id: &DeviceId, kind: FaultKind) -> Result<usize, FaultError> {
        let place = self
            .county
            .place_of(id)
            .ok_or_else(|| FaultError::Unknown(id.clone()))?;
        let device = self
            .county
            .devices()
            .get(place)
            .ok_or_else(|| FaultError::Unknown(id.clone()))?;
        if device.can_have(kind) {
            Ok(place)
        } else {
            Err(FaultError::Unfit {
                device: id.clone(),
                profile: device.profile(),
                kind,
                fits: fits(kind),
            })
        }
    }

    fn chosen(&self, kind: FaultKind, start: Timestamp) -> Result<usize, FaultError> {
        let fit: Vec<usize> = (self.county.devices().iter().enumerate())
            .filter_map(|(place, device)| device.can_have(kind).then_some(place))
            .collect();
        let stream = noise::key(self.county.seed(), kind as u64);
        let at = noise::unit(stream, start.millis().div_euclid(60_000)) * crate::num::count(fit.len());
        fit.get(crate::num::place(at))
            .copied()
            .ok_or(FaultError::Kind(kind.name().to_owned()))
    }

    /// What is known now: a snapshot.
    pub(crate) fn now(&self) -> Arc<Faults> {
        Arc::clone(&self.faults.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when a fault was asked for that concerns what speaks over the connection of `login`.
    pub(crate) async fn changed(&self, login: usize) {
        match self.changed.get(login) {
            Some(changed) => changed.notified().await,
            None => std::future::pending().await,
        }
    }
}

const fn fits(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::PumpTrip => "sewage stations",
        FaultKind::GasLeak => "gas detector panels and LPG delivery points",
        FaultKind::CoverOpened => "manhole covers",
        FaultKind::LampOut => "street lamps",
        FaultKind::CableCut => "loop controllers",
        FaultKind::Silence | FaultKind::Nonsense => "every device",
        FaultKind::Clock8h => "devices that report over MQTT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_faults_of_a_kind_that_meet_become_one() {
        let mut faults = Faults::default();
        let event = |start, end| Event {
            kind: FaultKind::PumpTrip,
            start,
            end,
        };
        faults.add(3, event(10, 20));
        faults.add(3, event(15, 30));
        faults.add(3, event(40, 50));
        assert_eq!(faults.of(3), [event(10, 30), event(40, 50)]);
        assert_eq!(faults.acting(3, FaultKind::PumpTrip, 29), Some(event(10, 30)));
        assert_eq!(faults.acting(3, FaultKind::PumpTrip, 30), None);
        assert_eq!(faults.next_edge(3, 30), Some(40));
    }
}
