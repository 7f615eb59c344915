//! A data folder, read from outside of the server that may be writing to it.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use alarms::AlarmSettings;
use alarms::figures::Policy;
use ingest::{DecodeSettings, Decoder, PipelineConfig};
use jiff::tz::TimeZone;
use store::care::folder::{RESTORING_FILE, STATE_FILE};
use store::journal::tail;
use store::series::Outside;
use store::state::State;
use telemetry::registry::Registry;
use telemetry::time::SystemClock;
use telemetry::{Catalogue, Lsn, Point, Profile, RawMessage, SeriesId};

use crate::arguments::Place;
use crate::config::{self, Data, Figures};
use crate::exit::Failure;
use crate::{retention, server};

/// One series with its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub id: SeriesId,
    pub device: String,
    pub signal: String,
    /// UCUM code; empty where the device is not registered any more.
    pub unit: String,
}

/// What is needed to read a folder.
pub(crate) struct Folder {
    pub path: PathBuf,
    pub state: State,
    /// What the server was last started with, and the server itself.
    pub catalogue: Arc<Catalogue>,
    pub decode: DecodeSettings,
}

/// The data folder and what the server on it is configured with; as it is without a configuration.
pub(crate) struct Means {
    pub folder: PathBuf,
    pub profiles: BTreeMap<Box<str>, Arc<Profile>>,
    /// `[data]`.
    pub data: Data,
    /// The registry file; none without a configuration.
    pub declared: Option<Registry>,
    /// `[alarms]`.
    pub alarms: AlarmSettings,
    /// `[figures]`, with the file that it stands in.
    pub figures: Option<(PathBuf, Figures)>,
}

/// What `place` names.
pub(crate) fn means(place: &Place) -> Result<Means, Failure> {
    let Some(file) = &place.config else {
        let profiles = telemetry::profile::builtin()
            .map_err(|error| Failure::other("a built-in profile is wrong", error))?;
        return Ok(Means {
            folder: place.data.clone().unwrap_or_default(),
            profiles,
            data: Data::default(),
            declared: None,
            alarms: AlarmSettings::default(),
            figures: None,
        });
    };
    let checked = config::read(file).map_err(|findings| Failure::refused(&findings))?;
    Ok(Means {
        folder: config::beside(file, &checked.config.data.folder),
        profiles: checked.profiles,
        data: checked.config.data,
        declared: Some(checked.registry),
        alarms: checked.config.alarms,
        figures: Some((file.clone(), checked.config.figures)),
    })
}

impl Means {
    /// The policy pack that the figures are computed by.
    pub(crate) fn policy(&self) -> Result<Policy, Failure> {
        match &self.figures {
            Some((file, figures)) => server::read_policy(file, figures),
            None => {
                Policy::builtin().map_err(|error| Failure::other("the built-in policy pack is wrong", error))
            }
        }
    }
}

impl Folder {
    /// Opens what `place` names, for reading only.
    ///
    /// # Errors
    /// [`Failure`] when there is none, or it cannot be used.
    pub(crate) fn open(place: &Place) -> Result<Self, Failure> {
        Self::with(&means(place)?)
    }

    /// The same, with what it takes.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub(crate) fn with(means: &Means) -> Result<Self, Failure> {
        let path = means.folder.clone();
        let decode = DecodeSettings {
            keep: retention::longest(&means.data),
        };
        let shown = path.display();
        let file = path.join(STATE_FILE);
        if !file.exists() {
            let text = format!("{shown} is no data folder of townwatch: there is no {STATE_FILE}");
            return Err(Failure::Data(text));
        }
        if path.join(RESTORING_FILE).exists() {
            let text = format!("{shown} holds a restore that was not finished; empty it and restore again");
            return Err(Failure::Data(text));
        }
        let unusable = |error| Failure::data("the data folder cannot be read", &error);
        let state = State::open_read_only(&file).map_err(unusable)?;
        let registry = state.load_registry().map_err(unusable)?;
        let Some(registry) = registry else {
            let text = format!("{shown} was never used by a server: nothing is registered in it");
            return Err(Failure::Data(text));
        };
        let catalogue = known(&state, registry, &means.profiles)?;
        Ok(Self {
            path,
            state,
            catalogue: Arc::new(catalogue),
            decode,
        })
    }

    /// The county's zone.
    pub(crate) fn zone(&self) -> Result<TimeZone, Failure> {
        zone_of(&self.catalogue)
    }

    /// Every series that ever had a number, in order of device and signal.
    pub(crate) fn series(&self) -> Result<Vec<Named>, Failure> {
        let numbered = (self.state.numbered_series())
            .map_err(|error| Failure::data("the data folder cannot be read", &error))?;
        let named = numbered.into_iter().map(|(device, signal, id)| {
            let known = self.catalogue.series(id);
            let unit = known.map_or_else(String::new, |(_, signal)| signal.unit.to_string());
            Named {
                id,
                device,
                signal,
                unit,
            }
        });
        Ok(named.collect())
    }

    /// All points: the days, and what of the journal is not in them yet.
    ///
    /// # Errors
    /// [`Failure`] when a file is damaged or cannot be read.
    pub(crate) fn points(&self) -> Result<Outside, Failure> {
        let unusable = |error| Failure::data("the points cannot be read", &error);
        let archive = Outside::open(&self.path, Arc::new(SystemClock::new())).map_err(unusable)?;
        let cursor = archive.cursor();
        // The decoder has to know the devices: see `ingest::Decoder`.
        let begin = Lsn(cursor.0.saturating_sub(PipelineConfig::default().warm_up));
        let mut rest = Rest {
            archive: &archive,
            cursor,
            next: cursor.next(),
            decoder: Decoder::new(Arc::clone(&self.catalogue), self.decode),
            outcome: Ok(()),
        };
        tail(&self.path, begin, |messages| rest.take(messages))
            .map_err(|error| Failure::data("the journal cannot be read", &error))?;
        rest.outcome?;
        Ok(archive)
    }
}

/// The county's zone.
pub(crate) fn zone_of(catalogue: &Catalogue) -> Result<TimeZone, Failure> {
    let name = &catalogue.registry().county.zone;
    TimeZone::get(name).map_err(|error| Failure::Input(format!("the county's zone {name}: {error}")))
}

impl Folder {
    /// The catalogue of the same devices under other profiles. Signals that the folder has no number for get numbers that nobody has.
    ///
    /// # Errors
    /// [`Failure`] when the folder cannot be read or the registry does not fit the profiles.
    pub(crate) fn catalogue_under(
        &self,
        profiles: &BTreeMap<Box<str>, Arc<Profile>>,
    ) -> Result<Catalogue, Failure> {
        let numbers = numbers(&self.state)?;
        let mut next = numbers.values().map(|id| id.0).max().unwrap_or(0);
        let number = |device: &telemetry::DeviceId, signal: &telemetry::profile::Signal| {
            let key = (device.to_string(), signal.name.to_string());
            numbers.get(&key).copied().unwrap_or_else(|| {
                next += 1;
                SeriesId(next)
            })
        };
        build(self.catalogue.registry().clone(), profiles, number)
    }
}

fn numbers(state: &State) -> Result<HashMap<(String, String), SeriesId>, Failure> {
    let numbered = state
        .numbered_series()
        .map_err(|error| Failure::data("the data folder cannot be read", &error))?;
    let numbers = numbered
        .into_iter()
        .map(|(device, signal, id)| ((device, signal), id));
    Ok(numbers.collect())
}

fn build(
    registry: Registry,
    profiles: &BTreeMap<Box<str>, Arc<Profile>>,
    number: impl FnMut(&telemetry::DeviceId, &telemetry::profile::Signal) -> SeriesId,
) -> Result<Catalogue, Failure> {
    Catalogue::build(registry, profiles, number).map_err(|error| {
        let text = format!("{error}; give the configuration of the server with --config");
        Failure::Input(text)
    })
}

/// The catalogue of what the state database knows; nothing is numbered anew.
fn known(
    state: &State,
    mut registry: Registry,
    profiles: &BTreeMap<Box<str>, Arc<Profile>>,
) -> Result<Catalogue, Failure> {
    server::register_self(&mut registry, profiles)?;
    let numbers = numbers(state)?;
    let number = |device: &telemetry::DeviceId, signal: &telemetry::profile::Signal| {
        let key = (device.to_string(), signal.name.to_string());
        numbers.get(&key).copied().unwrap_or(NO_SERIES)
    };
    build(registry, profiles, number)
}

/// Stands for a series that the server has not numbered yet: it can have no points.
const NO_SERIES: SeriesId = SeriesId(u32::MAX);

/// Decodes what the days do not have.
struct Rest<'a> {
    archive: &'a Outside,
    cursor: Lsn,
    /// The message that comes next, unless the journal was trimmed meanwhile.
    next: Lsn,
    decoder: Decoder,
    outcome: Result<(), Failure>,
}

impl Rest<'_> {
    fn take(&mut self, messages: &[(Lsn, RawMessage)]) -> ControlFlow<()> {
        let old = messages.partition_point(|(lsn, _)| *lsn <= self.cursor);
        let Some((old, new)) = messages.split_at_checked(old) else {
            return ControlFlow::Continue(());
        };
        if !old.is_empty() {
            self.decoder.decode(old); // It has only learnt from them.
        }
        let Some((first, _)) = new.first() else {
            return ControlFlow::Continue(());
        };
        if *first > self.next {
            let text = "the journal let go of messages while it was read; try again".to_owned();
            self.outcome = Err(Failure::plain(text));
            return ControlFlow::Break(());
        }
        let batch = self.decoder.decode(new);
        self.next = batch.last.next();
        let known = |point: &&Point| point.series != NO_SERIES;
        let points: Vec<Point> = batch.points.iter().filter(known).copied().collect();
        if let Err(error) = self.archive.take(&points, batch.last) {
            self.outcome = Err(Failure::other(
                "the journal holds too much that is not in days yet: start the server, which writes it there",
                error,
            ));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
