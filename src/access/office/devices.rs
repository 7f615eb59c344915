//! Devices: added, listed, removed.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use store::state::access::{AccessChange, AccessRow, AuditEntry, Holder, Password};
use telemetry::profile::Title;
use telemetry::registry::{Device, Position, Transport};
use telemetry::{DeviceId, SiteId, Timestamp};

use super::{ADDED_MAX, Issued, Known, Office, OfficeError, make, pristine};
use crate::access::secret::{self, Made};
use crate::server::SELF;

/// A device to be added. It speaks MQTT, or pushes over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewDevice {
    pub id: DeviceId,
    pub site: SiteId,
    pub profile: Box<str>,
    pub gateway: Option<DeviceId>,
    pub name: Option<Title>,
    pub position: Option<Position>,
    pub password: NewPassword,
}

/// The password of a new device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NewPassword {
    /// One is made.
    Made,
    /// A person chose it.
    Chosen(String),
    /// Its hash comes from elsewhere (argon2id, PHC).
    Hash(Box<str>),
}

impl NewDevice {
    pub(super) fn registered(&self) -> Device {
        Device {
            id: self.id.clone(),
            site: self.site.clone(),
            profile: self.profile.clone(),
            name: self.name.clone(),
            position: self.position,
            transport: Transport::Mqtt,
            gateway: self.gateway.clone(),
            password_hash: None,
            attributes: BTreeMap::new(),
        }
    }

    fn made(&self) -> Result<Made, OfficeError> {
        match &self.password {
            NewPassword::Made => Ok(make(None)?),
            NewPassword::Chosen(password) => Ok(secret::chosen(password)?),
            NewPassword::Hash(hash) => {
                broker::check_hash(hash)
                    .map_err(|why| OfficeError::Refused(format!("password_hash: {why}")))?;
                Ok(Made {
                    told: None,
                    hash: hash.clone(),
                })
            }
        }
    }
}

/// A device as `list` and `export` show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Listed {
    pub id: DeviceId,
    pub site: SiteId,
    pub profile: Box<str>,
    pub gateway: Option<DeviceId>,
    pub name: Option<Title>,
    pub position: Option<Position>,
    /// `registry` (the file), or `added`.
    pub declared: &'static str,
    /// Whether it may come in.
    pub enabled: bool,
    /// `registry` (the file's), `own`, `none` (revoked), or `missing`: neither here nor there.
    pub password: &'static str,
    pub revision: u64,
    pub changed_at: Option<String>,
    pub changed_by: Option<Box<str>>,
    pub rotated_at: Option<String>,
    /// Until when the password before counts too.
    pub old_until: Option<String>,
}

impl Office {
    /// Adds all of `devices`, or none. `keep` is given the devices with the passwords that were made before anything
    /// is final; when it fails, nothing was added.
    ///
    /// # Errors
    /// [`OfficeError`] with the place of the first device that cannot be added.
    pub(crate) fn add_devices(
        &self,
        devices: &[NewDevice],
        by: &str,
        keep: impl FnOnce(&[Issued]) -> Result<(), OfficeError>,
    ) -> Result<Vec<Issued>, (usize, OfficeError)> {
        let now = self.clock.now();
        let mut made = Vec::with_capacity(devices.len());
        for (place, device) in devices.iter().enumerate() {
            made.push(device.made().map_err(|error| (place, error))?);
        }
        let result = self.state.change_access(|change| {
            let mut taken = self.taken(change).map_err(|error| Placed(0, error))?;
            let mut issued = Vec::with_capacity(devices.len());
            for (place, (device, made)) in devices.iter().zip(made).enumerate() {
                let at = |error: OfficeError| Placed(place, error);
                self.check(device, &mut taken, devices).map_err(at)?;
                issued.push(put(change, device, made, now, by).map_err(at)?);
            }
            if taken.added > ADDED_MAX {
                let text = format!("more than {ADDED_MAX} added devices");
                return Err(Placed(devices.len(), OfficeError::Refused(text)));
            }
            keep(&issued).map_err(|error| Placed(devices.len(), error))?;
            Ok(issued)
        });
        result.map_err(|Placed(place, error)| (place, error))
    }

    /// Adds one device.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn add_device(&self, device: &NewDevice, by: &str) -> Result<Issued, OfficeError> {
        let issued = self.add_devices(std::slice::from_ref(device), by, |_| Ok(()));
        let mut issued = issued.map_err(|(_, error)| error)?;
        issued
            .pop()
            .ok_or_else(|| OfficeError::Conflict("no device was added".to_owned()))
    }

    /// Whether `device` fits to what there is; notes its name.
    fn check(&self, device: &NewDevice, taken: &mut Taken, all: &[NewDevice]) -> Result<(), OfficeError> {
        self.check_place(&device.site, &device.profile)?;
        if let Some(gateway) = &device.gateway
            && !taken.names.contains_key(gateway)
            && !all.iter().any(|other| other.id == *gateway)
        {
            return Err(OfficeError::Unknown {
                what: "gateway",
                name: gateway.to_string(),
                hint: "",
            });
        }
        if device.gateway.as_ref() == Some(&device.id) {
            return Err(OfficeError::Refused(format!(
                "{} cannot be its own gateway",
                device.id
            )));
        }
        taken.added += 1;
        match taken.names.insert(device.id.clone(), "a device") {
            Some(by) => Err(OfficeError::Taken {
                name: device.id.clone(),
                by,
            }),
            None => Ok(()),
        }
    }

    fn taken(&self, change: &AccessChange<'_>) -> Result<Taken, OfficeError> {
        let mut names = HashMap::new();
        if let Ok(own) = DeviceId::new(SELF) {
            names.insert(own, "the server's own device");
        }
        for row in change.rows()? {
            if row.holder == Holder::Account {
                names.insert(row.name, "an account");
            }
        }
        let added = change.added_devices()?;
        let count = added.len();
        names.extend(added.into_iter().map(|device| (device.id, "a device")));
        let declared = self.declared.devices.keys();
        names.extend(declared.map(|id| (id.clone(), "a device in the registry file")));
        Ok(Taken { names, added: count })
    }

    /// Removes a device that was added; its points stay. One of the registry file is taken out there.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn remove_device(&self, name: &str, by: &str) -> Result<(), OfficeError> {
        let at = self.clock.now();
        self.state.change_access(|change| {
            self.find(&Known::of(change)?, Holder::Device, name)?;
            if self.declared.devices.contains_key(name) {
                return Err(OfficeError::Conflict(format!(
                    "{name} stands in the registry file: take it out there and start again; revoke sends it away at once"
                )));
            }
            let others = change.added_devices()?;
            let behind = (others.iter()).find(|device| {
                device.gateway.as_ref().is_some_and(|gateway| gateway.as_str() == name)
            });
            if let Some(behind) = behind {
                let text = format!("{name} is the gateway of {}: remove that one first", behind.id);
                return Err(OfficeError::Conflict(text));
            }
            change.remove_device(name)?;
            change.forget(name)?;
            change.audit(AuditEntry {
                at,
                by,
                what: "device removed",
                subject: name,
                detail: "",
            })?;
            Ok(())
        })
    }

    /// Every device with what was decided about it, in order of their ids.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub(crate) fn devices(&self) -> Result<Vec<Listed>, OfficeError> {
        let rows: HashMap<DeviceId, AccessRow> = (self.state.access_rows()?.into_iter())
            .filter(|row| row.holder == Holder::Device)
            .map(|row| (row.name.clone(), row))
            .collect();
        let added = self.state.added_devices()?;
        let declared = self
            .declared
            .registry
            .devices
            .iter()
            .map(|device| (device, "registry"));
        let in_file: HashSet<&DeviceId> = self.declared.devices.keys().collect();
        let beside = added.iter().filter(|device| !in_file.contains(&device.id));
        let mut all: Vec<Listed> = declared
            .chain(beside.map(|device| (device, "added")))
            .map(|(device, declared)| listed(device, declared, rows.get(&device.id)))
            .collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }
}

/// An error with the place of the device that it is about.
struct Placed(usize, OfficeError);

impl From<store::state::StateError> for Placed {
    fn from(error: store::state::StateError) -> Self {
        Self(0, error.into())
    }
}

struct Taken {
    names: HashMap<DeviceId, &'static str>,
    added: usize,
}

/// Writes one new device with its credential.
pub(super) fn put(
    change: &AccessChange<'_>,
    device: &NewDevice,
    made: Made,
    now: Timestamp,
    by: &str,
) -> Result<Issued, OfficeError> {
    change.add_device(&device.registered())?;
    let row = AccessRow {
        password: Password::Own(made.hash),
        revision: 1,
        changed_at: now,
        changed_by: by.into(),
        rotated_at: Some(now),
        ..pristine(device.id.clone())
    };
    change.put(&row)?;
    change.audit(AuditEntry {
        at: now,
        by,
        what: "device added",
        subject: device.id.as_str(),
        detail: &format!("site {}, profile {}", device.site, device.profile),
    })?;
    Ok(Issued {
        row,
        secret: made.told,
        next_start: true,
    })
}

fn listed(device: &Device, declared: &'static str, row: Option<&AccessRow>) -> Listed {
    let password = match row.map(|row| &row.password) {
        Some(Password::Own(_)) => "own",
        Some(Password::None) => "none",
        Some(Password::Registry) | None if device.password_hash.is_some() => "registry",
        Some(Password::Registry) | None => "missing",
    };
    Listed {
        id: device.id.clone(),
        site: device.site.clone(),
        profile: device.profile.clone(),
        gateway: device.gateway.clone(),
        name: device.name.clone(),
        position: device.position,
        declared,
        enabled: row.is_none_or(|row| row.enabled),
        password,
        revision: row.map_or(0, |row| row.revision),
        changed_at: row.map(|row| row.changed_at.to_rfc3339()),
        changed_by: row.map(|row| row.changed_by.clone()),
        rotated_at: row.and_then(|row| row.rotated_at).map(Timestamp::to_rfc3339),
        old_until: row
            .and_then(|row| row.old.as_ref())
            .map(|old| old.until.to_rfc3339()),
    }
}
