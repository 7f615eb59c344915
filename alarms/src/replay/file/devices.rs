//! From the forms of a file to what its rules look at: devices, points, groups, gateways.

use std::collections::BTreeMap;
use std::sync::Arc;

use telemetry::SeriesId;
use telemetry::time::Span;

use super::form::{Class, DeviceForm, PointForm, SignalForm};
use super::maker::Maker;
use super::{ReplayPoint, RulesError, refused};
use crate::rules::{PlantDevice, PlantGroup};

impl Maker {
    /// The devices that points speak through together.
    pub(super) fn declare(&mut self, forms: &[DeviceForm]) -> Result<(), RulesError> {
        for (place, form) in forms.iter().enumerate() {
            let wrong = |why: &str| refused(format!("[[device]] {}: {why}", form.name));
            if form.name.is_empty() || self.devices.insert(Arc::from(&*form.name), place).is_some() {
                return Err(wrong("a name is not empty, and stands there once"));
            }
            if form.period == Some(Span::ZERO) {
                return Err(wrong("period is 0"));
            }
            self.plant.devices.push(PlantDevice {
                name: Arc::from(&*form.name),
                kind: Arc::from(&*form.kind),
                gateway: None,
                group: None,
                life_safety: form.class == Class::LifeSafety,
                period: form.period,
                mute: false,
                place: None,
            });
        }
        for (place, form) in forms.iter().enumerate() {
            let Some(gateway) = &form.gateway else { continue };
            let found = self
                .devices
                .get(&**gateway)
                .copied()
                .filter(|found| *found != place);
            if found.is_none() {
                let why = format!("[[device]] {}: there is no other device {gateway:?}", form.name);
                return Err(refused(why));
            }
            if let Some(device) = self.plant.devices.get_mut(place) {
                device.gateway = found;
            }
        }
        Ok(())
    }

    /// The device that a point names: what is the device's own to say, the point does not say again.
    fn declared(&self, form: &PointForm, device: &str) -> Result<usize, String> {
        let said = !form.kind.is_empty()
            || form.period.is_some()
            || form.stale_after.is_some()
            || form.class != Class::Normal
            || form.gateway.is_some();
        if said {
            return Err("kind, period, stale_after, class and gateway are its device's".to_owned());
        }
        let found = self.devices.get(device).copied();
        found.ok_or_else(|| format!("there is no device {device:?}"))
    }

    pub(super) fn point(&mut self, form: &PointForm) -> Result<(), String> {
        if !is_identifier(&form.name) {
            return Err("a name is a letter or _, then letters, digits and _".to_owned());
        }
        if let Some([low, high]) = form.range
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            return Err(format!("range = [{low}, {high}]: the lower end comes first"));
        }
        for (what, span) in [("period", form.period), ("stale_after", form.stale_after)] {
            if span == Some(Span::ZERO) {
                return Err(format!("{what} is 0"));
            }
        }
        let name: Arc<str> = Arc::from(&*form.name);
        let declared = match &form.device {
            Some(device) => Some(self.declared(form, device)?),
            None => None,
        };
        let device = declared.unwrap_or(self.plant.devices.len());
        let series = SeriesId(u32::try_from(self.points.len()).map_err(|_| "too many points".to_owned())?);
        let milliamperes = form
            .signal
            .map(|SignalForm::FourToTwenty| form.range.unwrap_or([0.0, 100.0]));
        let point = ReplayPoint {
            series,
            device,
            milliamperes,
            range: form.range.or(milliamperes),
        };
        if self.points.insert(Arc::clone(&name), point).is_some() {
            return Err("the name stands there twice".to_owned());
        }
        self.ranges.push(point.range);
        let group = form.group.as_ref().map(|name| self.group(name));
        if let Some(group) = group.and_then(|group| self.plant.groups.get_mut(group)) {
            group.members.push((device, series));
        }
        if declared.is_some() {
            return Ok(());
        }
        self.plant.devices.push(PlantDevice {
            name,
            kind: Arc::from(&*form.kind),
            gateway: None,
            group,
            life_safety: form.class == Class::LifeSafety,
            period: form.period,
            mute: false,
            place: None,
        });
        Ok(())
    }

    fn group(&mut self, name: &str) -> usize {
        if let Some(place) = self.groups.get(name) {
            return *place;
        }
        let place = self.plant.groups.len();
        self.plant.groups.push(PlantGroup {
            name: name.into(),
            members: Vec::new(),
        });
        self.groups.insert(name.into(), place);
        place
    }

    /// Each gateway that is no device of the file is one without a voice of its own.
    pub(super) fn gateways(&mut self, forms: &[PointForm]) -> Result<(), RulesError> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for form in forms {
            let Some(gateway) = form.gateway.as_deref() else {
                continue;
            };
            let Some(device) = self.points.get(&*form.name).map(|point| point.device) else {
                continue;
            };
            if self.points.contains_key(gateway) || gateway.is_empty() {
                return Err(refused(format!(
                    "[[point]] {}: gateway {gateway:?} needs a name of its own, which no point has",
                    form.name
                )));
            }
            let place = *places.entry(gateway).or_insert_with(|| {
                self.plant.devices.push(PlantDevice {
                    name: gateway.into(),
                    kind: "gateway".into(),
                    mute: true,
                    ..PlantDevice::default()
                });
                self.plant.devices.len() - 1
            });
            let vital = form.class == Class::LifeSafety;
            if let Some(device) = self.plant.devices.get_mut(place) {
                device.life_safety = device.life_safety || vital;
            }
            if let Some(device) = self.plant.devices.get_mut(device) {
                device.gateway = Some(place);
            }
        }
        Ok(())
    }
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && name.len() <= 64
}
