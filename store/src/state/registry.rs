//! The registry and the numbers of the series.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetry::registry::Registry;
use telemetry::{Catalogue, Profile, SeriesId};

use super::{State, StateError};

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS registry (
    part TEXT NOT NULL,            -- county, organisation, site, device, evaluation
    id   TEXT NOT NULL,
    body TEXT NOT NULL,            -- JSON, the form of telemetry::registry
    PRIMARY KEY (part, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused
    device TEXT NOT NULL,
    signal TEXT NOT NULL,
    UNIQUE (device, signal)
);
CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
";

impl State {
    /// Replaces the whole registry, in one transaction. Series keep their numbers.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails; the old registry then stays.
    pub fn save_registry(&self, registry: &Registry) -> Result<(), StateError> {
        self.write("saving the registry", |tx| {
            tx.execute("DELETE FROM registry", [])?;
            put(tx, "county", "", &registry.county)?;
            for organisation in &registry.organisations {
                put(tx, "organisation", &organisation.id, organisation)?;
            }
            for site in &registry.sites {
                put(tx, "site", site.id.as_str(), site)?;
            }
            for device in &registry.devices {
                put(tx, "device", device.id.as_str(), device)?;
            }
            for (place, evaluation) in registry.evaluations.iter().enumerate() {
                put(tx, "evaluation", &format!("{place:08}"), evaluation)?;
            }
            Ok(())
        })
    }

    /// The registry as saved; none when nothing was ever saved.
    ///
    /// # Errors
    /// [`StateError`] when the disk fails or a row is damaged.
    pub fn load_registry(&self) -> Result<Option<Registry>, StateError> {
        let Some(county) = self.parts("county")?.pop() else {
            return Ok(None);
        };
        Ok(Some(Registry {
            county,
            organisations: self.parts("organisation")?,
            sites: self.parts("site")?,
            devices: self.parts("device")?,
            evaluations: self.parts("evaluation")?,
        }))
    }

    /// Builds the catalogue of `registry`, giving every new series its number for ever.
    ///
    /// # Errors
    /// [`StateError`] when the registry does not fit together or the disk fails.
    pub fn catalogue(
        &self,
        registry: Registry,
        profiles: &BTreeMap<Box<str>, Arc<Profile>>,
    ) -> Result<Catalogue, StateError> {
        let known = self.read("reading the series", |connection| {
            let mut statement = connection.prepare("SELECT id, device, signal FROM series")?;
            let rows =
                statement.query_map([], |row| Ok(((row.get(1)?, row.get(2)?), SeriesId(row.get(0)?))))?;
            rows.collect::<rusqlite::Result<HashMap<(String, String), SeriesId>>>()
        })?;
        let known = self.write("numbering the series", |tx| {
            let mut known = known.clone();
            let mut insert =
                tx.prepare("INSERT INTO series (device, signal) VALUES (?1, ?2) RETURNING id")?;
            for device in &registry.devices {
                let signals = profiles
                    .get(&device.profile)
                    .map_or(&[][..], |profile| &profile.signals);
                for signal in signals {
                    let key = (device.id.to_string(), signal.name.to_string());
                    if let Entry::Vacant(unnumbered) = known.entry(key) {
                        let (device, signal) = unnumbered.key();
                        let id = insert.query_row(params![device, signal], |row| row.get(0))?;
                        unnumbered.insert(SeriesId(id));
                    }
                }
            }
            Ok(known)
        })?;
        let number = |device: &telemetry::DeviceId, signal: &telemetry::profile::Signal| {
            let key = (device.to_string(), signal.name.to_string());
            known.get(&key).copied().unwrap_or(SeriesId(u32::MAX))
        };
        Ok(Catalogue::build(registry, profiles, number)?)
    }

    /// Device, signal and number of every series that ever had a number, in order of device and signal.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn numbered_series(&self) -> Result<Vec<(String, String, SeriesId)>, StateError> {
        self.read("reading the series", |connection| {
            let mut select =
                connection.prepare("SELECT device, signal, id FROM series ORDER BY device, signal")?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, SeriesId(row.get(2)?))))?;
            rows.collect()
        })
    }

    /// A small fact of the data directory, e.g. the seed of the demo's county.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn meta(&self, key: &str) -> Result<Option<String>, StateError> {
        self.read("reading a fact", |connection| {
            connection
                .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
                .optional()
        })
    }

    /// Writes a small fact of the data directory.
    ///
    /// # Errors
    /// [`StateError::Engine`] when the disk fails.
    pub fn set_meta(&self, key: &str, value: &str) -> Result<(), StateError> {
        self.write("writing a fact", |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
                [key, value],
            )
            .map(|_| ())
        })
    }

    fn parts<T: DeserializeOwned>(&self, part: &'static str) -> Result<Vec<T>, StateError> {
        let bodies = self.read("reading the registry", |connection| {
            let mut statement =
                connection.prepare("SELECT body FROM registry WHERE part = ?1 ORDER BY id")?;
            let rows = statement.query_map([part], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        })?;
        bodies
            .iter()
            .map(|body| {
                serde_json::from_str(body).map_err(|error| StateError::Damaged {
                    table: "registry",
                    what: format!("{part}: {error}"),
                })
            })
            .collect()
    }
}

fn put(tx: &Transaction<'_>, part: &str, id: &str, body: &impl Serialize) -> rusqlite::Result<()> {
    let body =
        serde_json::to_string(body).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    tx.execute(
        "INSERT INTO registry (part, id, body) VALUES (?1, ?2, ?3)",
        params![part, id, body],
    )
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTY: &str = r#"
[county]
name = { zh = "某县", en = "some county" }
position = { latitude = 27.56, longitude = 119.72 }
[[site]]
id = "s1"
kind = "sewage_station"
name = { zh = "站", en = "station" }
organisation = "o"
town = "t"
position = { latitude = 27.5, longitude = 119.7 }
attributes = { design_capacity_tpd = 50, in_service = true }
[[device]]
id = "d1"
site = "s1"
profile = "sewage-station"
"#;

    #[test]
    fn a_registry_comes_back_as_it_was_saved_and_series_keep_their_numbers() {
        // Given a saved registry and its catalogue,
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        let registry: Registry = toml_registry();
        let profiles = telemetry::profile::builtin().unwrap();
        let first = {
            let state = State::open(&file).unwrap();
            state.save_registry(&registry).unwrap();
            state
                .catalogue(registry.clone(), &profiles)
                .unwrap()
                .series_id("d1", "level")
                .unwrap()
        };
        // when the file is opened again with one more device before the first,
        let state = State::open(&file).unwrap();
        let mut again = state.load_registry().unwrap().unwrap();
        assert_eq!(again, registry);
        let mut other = again.devices[0].clone();
        other.id = "a0".parse().unwrap();
        again.devices.insert(0, other);
        let catalogue = state.catalogue(again, &profiles).unwrap();
        // then the series of the first has the number it had.
        assert_eq!(catalogue.series_id("d1", "level"), Some(first));
        assert_eq!(catalogue.series(first).unwrap().0.device.id.as_str(), "d1");
    }

    #[test]
    fn a_file_of_a_later_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        State::open(&file)
            .unwrap()
            .writer
            .lock()
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        assert!(matches!(
            State::open(&file),
            Err(StateError::Newer { found: 99, .. })
        ));
    }

    fn toml_registry() -> Registry {
        toml::from_str(COUNTY).unwrap()
    }
}
