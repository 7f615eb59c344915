//! The county as the server's registry.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use telemetry::registry::{self, Evaluation, Registry, Transport};
use telemetry::{DeviceId, Timestamp};

use super::names::SEAT;
use super::{BoundAddresses, County, Device, build};

/// Why a registry cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A Modbus gateway has no address: the addresses are not those of this county.
    #[error("{0} stands behind a modbus gateway that has no address")]
    NoAddress(DeviceId),
    /// A password cannot be hashed: a fault of the program.
    #[error("the password of {0} cannot be hashed: {1}")]
    Hash(DeviceId, argon2::password_hash::Error),
    /// argon2 refuses the parameters: a fault of the program.
    #[error("argon2 refuses its parameters: {0}")]
    Params(argon2::Error),
    /// A device stands nowhere: a fault of the program.
    #[error("{0} stands at no site")]
    NoSite(DeviceId),
}

impl County {
    /// Everything that the server must know: sites, devices with the hashes of their passwords and the
    /// addresses of their slaves, evaluations dated from the year of `today` (the same for a whole year).
    ///
    /// The hashes are argon2id with 64 KiB and one pass: the passwords are 128 random bits, and thousands
    /// of devices must be able to log in at once on a small machine.
    ///
    /// # Errors
    /// [`RegistryError`] when `modbus` is not from this county, or hashing fails.
    pub fn registry(&self, modbus: &BoundAddresses, today: Timestamp) -> Result<Registry, RegistryError> {
        let params = Params::new(64, 1, 1, None).map_err(RegistryError::Params)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let devices: Result<Vec<registry::Device>, RegistryError> = self
            .devices
            .iter()
            .map(|device| self.entry(device, modbus, &argon2))
            .collect();
        Ok(Registry {
            county: registry::County {
                name: build::title("云溪县（模拟）", "Yunxi County (simulated)"),
                position: SEAT,
                ..registry::County::default()
            },
            organisations: self.organisations.clone(),
            sites: self.sites.clone(),
            devices: devices?,
            evaluations: self.evaluations(today),
        })
    }

    fn entry(
        &self,
        device: &Device,
        modbus: &BoundAddresses,
        argon2: &Argon2<'_>,
    ) -> Result<registry::Device, RegistryError> {
        let transport = match device.slave {
            None => Transport::Mqtt,
            Some(slave) => modbus
                .0
                .get(slave.gateway)
                .ok_or_else(|| RegistryError::NoAddress(device.id.clone()))?
                .transport(slave.unit),
        };
        let hash = device.password().map(|password| {
            let salt = salt(self.seed, device);
            (argon2.hash_password_with_salt(password.as_bytes(), &salt))
                .map_err(|error| RegistryError::Hash(device.id.clone(), error))
        });
        let site = self.sites.get(device.site).map(|site| site.id.clone());
        Ok(registry::Device {
            id: device.id.clone(),
            site: site.ok_or_else(|| RegistryError::NoSite(device.id.clone()))?,
            profile: device.profile().into(),
            name: Some(device.name.clone()),
            position: device.position,
            transport,
            gateway: self.speaker(device),
            password_hash: hash.transpose()?.map(|hash| hash.to_string().into()),
            attributes: device.attributes.clone(),
        })
    }

    /// Who else may speak for a device: its uplink, or the cabinet that keeps its lamps' history.
    fn speaker(&self, device: &Device) -> Option<DeviceId> {
        let place = self.historian(self.place_of(&device.id)?);
        (self.devices.get(place))
            .map(|speaker| speaker.id.clone())
            .filter(|id| *id != device.id)
    }

    fn evaluations(&self, today: Timestamp) -> Vec<Evaluation> {
        let text = today.to_rfc3339();
        let year: i16 = text.get(..4).and_then(|year| year.parse().ok()).unwrap_or(2026);
        let day = |year: i16, day: &str| -> Timestamp {
            format!("{year:04}-{day}T00:00:00+08:00")
                .parse()
                .unwrap_or(Timestamp::EPOCH)
        };
        (self.judged.iter())
            .map(|judged| Evaluation {
                site: judged.site.clone(),
                at: day(year - judged.years_ago, "10-15"),
                valid_until: day(year - judged.years_ago + 3, "01-01"),
                score: judged.score,
                evaluator: judged.evaluator.into(),
            })
            .collect()
    }
}

fn salt(seed: u64, device: &Device) -> [u8; 16] {
    let mut of = seed;
    for byte in device.id.as_str().bytes() {
        of = crate::noise::key(of, u64::from(byte));
    }
    let both = u128::from(of) << 64 | u128::from(crate::noise::mix(of));
    both.to_be_bytes()
}
