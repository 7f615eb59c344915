//! The registry, checked and looked up fast.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::id::{DeviceId, SiteId};
use crate::profile::{Profile, Signal};
use crate::registry::{Attribute, Device, ModbusLine, Position, Registry, Site, Transport};
use crate::sample::SeriesId;

/// Why a registry does not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// The same id stands there twice. Rename one.
    #[error("{what} {id} is registered twice")]
    Twice {
        /// `site`, `device` or `modbus unit`.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// Something refers to what is not there. Register it, or mend the name.
    #[error("{what} {id} names the {missing_kind} {missing:?}, which does not exist{hint}")]
    Missing {
        /// What refers.
        what: &'static str,
        /// Which.
        id: String,
        /// What kind of thing is missing.
        missing_kind: &'static str,
        /// Which.
        missing: String,
        /// What there is instead.
        hint: String,
    },
    /// A latitude, longitude or score outside its range, or not a number.
    #[error("{what} {id}: {why}")]
    Nonsense {
        /// What is wrong.
        what: &'static str,
        /// Which.
        id: String,
        /// Why.
        why: String,
    },
}

/// A device with everything that one needs to decode and judge its messages.
#[derive(Clone, Debug)]
pub struct DeviceEntry {
    /// As registered.
    pub device: Device,
    /// What it says and how.
    pub profile: Arc<Profile>,
    /// Its series, in the order of [`Profile::signals`].
    pub series: Vec<SeriesId>,
    /// Its place in [`Catalogue::sites`].
    pub site: usize,
}

/// Where a series comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesOwner {
    /// Place in [`Catalogue::devices`].
    pub device: usize,
    /// Place in [`Profile::signals`].
    pub signal: usize,
}

/// Everything that is registered: an immutable snapshot, shared behind an `Arc`.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// As registered; `sites` and `devices` are in order of their ids.
    registry: Registry,
    devices: Vec<DeviceEntry>,
    by_device: FxHashMap<DeviceId, usize>,
    by_site: FxHashMap<SiteId, usize>,
    by_series: FxHashMap<SeriesId, SeriesOwner>,
}

impl Catalogue {
    /// Checks `registry` and gives each signal of each device its number through `number`, which must
    /// answer the same for the same pair for ever (the state database does).
    ///
    /// # Errors
    /// [`CatalogueError`] with the first thing that does not fit.
    pub fn build(
        mut registry: Registry,
        profiles: &BTreeMap<Box<str>, Arc<Profile>>,
        mut number: impl FnMut(&DeviceId, &Signal) -> SeriesId,
    ) -> Result<Self, CatalogueError> {
        registry.sites.sort_by(|a, b| a.id.cmp(&b.id));
        registry.devices.sort_by(|a, b| a.id.cmp(&b.id));
        let by_site = index_sites(&registry)?;
        let by_device = index_devices(&registry)?;
        check_transports(&registry)?;
        let mut devices = Vec::with_capacity(registry.devices.len());
        let mut by_series = FxHashMap::default();
        for device in &registry.devices {
            let missing = |missing_kind, missing: &str, hint| CatalogueError::Missing {
                what: "device",
                id: device.id.to_string(),
                missing_kind,
                missing: missing.to_owned(),
                hint,
            };
            let profile = profiles.get(&device.profile).ok_or_else(|| {
                let known: Vec<&str> = profiles.keys().map(AsRef::as_ref).collect();
                missing(
                    "profile",
                    &device.profile,
                    format!("; there are {}", known.join(", ")),
                )
            })?;
            let site = *by_site
                .get(&device.site)
                .ok_or_else(|| missing("site", device.site.as_str(), String::new()))?;
            if let Some(gateway) = &device.gateway
                && !by_device.contains_key(gateway)
            {
                return Err(missing("gateway", gateway.as_str(), String::new()));
            }
            let series: Vec<SeriesId> = profile
                .signals
                .iter()
                .map(|signal| number(&device.id, signal))
                .collect();
            for (signal, id) in series.iter().enumerate() {
                by_series.insert(
                    *id,
                    SeriesOwner {
                        device: devices.len(),
                        signal,
                    },
                );
            }
            devices.push(DeviceEntry {
                device: device.clone(),
                profile: Arc::clone(profile),
                series,
                site,
            });
        }
        for evaluation in &registry.evaluations {
            if !by_site.contains_key(&evaluation.site) {
                return Err(CatalogueError::Missing {
                    what: "evaluation",
                    id: evaluation.at.to_string(),
                    missing_kind: "site",
                    missing: evaluation.site.to_string(),
                    hint: String::new(),
                });
            }
        }
        Ok(Self {
            registry,
            devices,
            by_device,
            by_site,
            by_series,
        })
    }

    /// As registered.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All sites, in order of their ids.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.registry.sites
    }

    /// All devices, in order of their ids.
    #[must_use]
    pub fn devices(&self) -> &[DeviceEntry] {
        &self.devices
    }

    /// The device of that id.
    #[must_use]
    pub fn device(&self, id: &str) -> Option<&DeviceEntry> {
        self.devices.get(self.device_index(id)?)
    }

    /// Its place in [`Self::devices`].
    #[must_use]
    pub fn device_index(&self, id: &str) -> Option<usize> {
        self.by_device.get(id).copied()
    }

    /// The site of that id.
    #[must_use]
    pub fn site(&self, id: &str) -> Option<&Site> {
        self.registry.sites.get(*self.by_site.get(id)?)
    }

    /// The site at which a device stands.
    #[must_use]
    pub fn site_of(&self, entry: &DeviceEntry) -> Option<&Site> {
        self.registry.sites.get(entry.site)
    }

    /// The devices that stand at a site, in order of their ids.
    pub fn devices_at<'a>(&'a self, site: &'a str) -> impl Iterator<Item = &'a DeviceEntry> {
        self.devices
            .iter()
            .filter(move |entry| entry.device.site.as_str() == site)
    }

    /// Device and signal of a series.
    #[must_use]
    pub fn owner(&self, series: SeriesId) -> Option<SeriesOwner> {
        self.by_series.get(&series).copied()
    }

    /// Device and signal of a series, in full.
    #[must_use]
    pub fn series(&self, series: SeriesId) -> Option<(&DeviceEntry, &Signal)> {
        let owner = self.owner(series)?;
        let entry = self.devices.get(owner.device)?;
        Some((entry, entry.profile.signals.get(owner.signal)?))
    }

    /// The series of a signal of a device.
    #[must_use]
    pub fn series_id(&self, device: &str, signal: &str) -> Option<SeriesId> {
        let entry = self.device(device)?;
        entry.series.get(entry.profile.signal_index(signal)?).copied()
    }

    /// A number among the attributes of a device, or else of its site.
    #[must_use]
    pub fn number(&self, entry: &DeviceEntry, name: &str) -> Option<f64> {
        let of_site = || self.site_of(entry).and_then(|site| site.attributes.get(name));
        match entry.device.attributes.get(name).or_else(of_site) {
            Some(Attribute::Number(number)) => Some(*number),
            Some(Attribute::Flag(_) | Attribute::Text(_)) | None => None,
        }
    }

    /// Where a device is: its own position, or its site's.
    #[must_use]
    pub fn position(&self, entry: &DeviceEntry) -> Option<Position> {
        entry
            .device
            .position
            .or_else(|| self.site_of(entry).map(|site| site.position))
    }
}

impl Site {
    /// A number among the attributes.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.attributes.get(name) {
            Some(Attribute::Number(number)) => Some(*number),
            Some(Attribute::Flag(_) | Attribute::Text(_)) | None => None,
        }
    }

    /// A flag among the attributes.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.attributes.get(name) {
            Some(Attribute::Flag(flag)) => Some(*flag),
            Some(Attribute::Number(_) | Attribute::Text(_)) | None => None,
        }
    }
}

fn position_nonsense(position: Position) -> Option<String> {
    let Position { latitude, longitude } = position;
    if (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) {
        None
    } else {
        Some(format!("position {latitude}°N {longitude}°E is not on Earth"))
    }
}

fn index_sites(registry: &Registry) -> Result<FxHashMap<SiteId, usize>, CatalogueError> {
    let mut by_site = FxHashMap::default();
    for (place, site) in registry.sites.iter().enumerate() {
        if by_site.insert(site.id.clone(), place).is_some() {
            return Err(CatalogueError::Twice {
                what: "site",
                id: site.id.to_string(),
            });
        }
        if let Some(why) = position_nonsense(site.position) {
            return Err(CatalogueError::Nonsense {
                what: "site",
                id: site.id.to_string(),
                why,
            });
        }
    }
    Ok(by_site)
}

fn index_devices(registry: &Registry) -> Result<FxHashMap<DeviceId, usize>, CatalogueError> {
    let mut by_device = FxHashMap::default();
    for (place, device) in registry.devices.iter().enumerate() {
        if by_device.insert(device.id.clone(), place).is_some() {
            return Err(CatalogueError::Twice {
                what: "device",
                id: device.id.to_string(),
            });
        }
        if let Some(why) = device.position.and_then(position_nonsense) {
            return Err(CatalogueError::Nonsense {
                what: "device",
                id: device.id.to_string(),
                why,
            });
        }
    }
    Ok(by_device)
}

/// Two devices behind one unit of one line would take each other's answers, and two ways of speaking on one
/// port or socket each other's frames.
fn check_units(registry: &Registry) -> Result<(), CatalogueError> {
    let mut units = FxHashMap::default();
    let mut lines: FxHashMap<String, ModbusLine> = FxHashMap::default();
    for device in &registry.devices {
        let Some((line, unit)) = device.transport.modbus() else {
            continue;
        };
        let nonsense = |why| CatalogueError::Nonsense {
            what: "device",
            id: device.id.to_string(),
            why,
        };
        if let Some(why) = line.nonsense() {
            return Err(nonsense(why));
        }
        if line.is_rtu() && !(1..=247).contains(&unit) {
            return Err(nonsense(format!(
                "unit {unit}; on a serial line 1 to 247 are allowed"
            )));
        }
        let first = lines.entry(line.place()).or_insert_with(|| line.clone());
        if *first != line {
            return Err(nonsense(format!("it is on {line}, another device on {first}")));
        }
        if units.insert((line.place(), unit), ()).is_some() {
            return Err(CatalogueError::Twice {
                what: "modbus unit",
                id: format!("{unit} at {}", line.place()),
            });
        }
    }
    Ok(())
}

fn check_transports(registry: &Registry) -> Result<(), CatalogueError> {
    check_units(registry)?;
    check_loggers(registry)
}

/// Two loggers of one number could not be told apart.
fn check_loggers(registry: &Registry) -> Result<(), CatalogueError> {
    let mut numbers = FxHashMap::default();
    for device in &registry.devices {
        let Transport::Hj212 { mn, .. } = &device.transport else {
            continue;
        };
        if !(1..=24).contains(&mn.len()) || !mn.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(CatalogueError::Nonsense {
                what: "device",
                id: device.id.to_string(),
                why: format!("mn {mn:?}; 1 to 24 letters and digits are allowed"),
            });
        }
        if numbers.insert(mn.clone(), ()).is_some() {
            return Err(CatalogueError::Twice {
                what: "HJ 212 logger",
                id: mn.to_string(),
            });
        }
    }
    Ok(())
}
