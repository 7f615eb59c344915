//! Into which folder history goes, and what is registered there.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use store::care::folder::STATE_FILE;
use store::journal::{Journal, JournalConfig};
use store::state::State;
use telemetry::time::{Span, SystemClock};
use telemetry::{Catalogue, Clock, SeriesId};

use crate::arguments::Place;
use crate::config::Data;
use crate::data_folder::DataFolder;
use crate::exit::Failure;
use crate::export::folder::{Folder, Means, means};
use crate::{retention, server};

/// A folder that history goes into.
pub(super) struct County {
    pub path: PathBuf,
    pub catalogue: Arc<Catalogue>,
    pub keep: Keep,
    /// Held as long as points are written; none for a dry run.
    _data: Option<DataFolder>,
}

/// How long points are kept.
pub(super) struct Keep {
    /// Most of them.
    pub longest: Span,
    /// The series that are kept for less.
    pub short: HashMap<SeriesId, Span>,
}

impl Keep {
    fn of(settings: &Data, catalogue: &Catalogue) -> Self {
        Self {
            longest: retention::longest(settings),
            short: retention::shorter(settings, catalogue),
        }
    }
}

impl County {
    /// Takes the folder that `place` names, and numbers the series of what is registered.
    ///
    /// # Errors
    /// [`Failure`] when a server uses it, or it cannot be used.
    pub(super) fn hold(place: &Place) -> Result<Self, Failure> {
        let Means {
            folder: path,
            profiles,
            data: settings,
            declared,
            ..
        } = means(place)?;
        if declared.is_none() && !path.join(STATE_FILE).exists() {
            let shown = path.display();
            let text = format!(
                "{shown} was never used by a server: give its configuration with --config, which says what there is"
            );
            return Err(Failure::Data(text));
        }
        let data = DataFolder::hold(&path).map_err(|failure| match failure {
            Failure::Data(text) => Failure::Data(format!(
                "{text}; to a running server history is sent over POST /api/v2/write or /api/v1/telemetry"
            )),
            other => other,
        })?;
        let unusable = |error| Failure::data("the state database cannot be used", &error);
        let state = Arc::new(State::open(&path.join(STATE_FILE)).map_err(unusable)?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        // A new folder has a journal, as after a server's first start: `verify` and `backup` want one.
        Journal::open(&path, JournalConfig::default(), Arc::clone(&clock))
            .map(drop)
            .map_err(|error| Failure::data("the journal cannot be used", &error))?;
        let registry = match declared {
            Some(registry) => registry,
            None => state.load_registry().map_err(unusable)?.ok_or_else(|| {
                Failure::Data("nothing is registered in the data folder: give --config".to_owned())
            })?,
        };
        let (catalogue, _) = server::register(&state, registry, &profiles, &clock)?;
        Ok(Self {
            path,
            keep: Keep::of(&settings, &catalogue),
            catalogue,
            _data: Some(data),
        })
    }

    /// Looks only: nothing is made, taken or numbered.
    ///
    /// # Errors
    /// [`Failure`] when the folder cannot be read.
    pub(super) fn look(place: &Place) -> Result<Self, Failure> {
        let Means {
            folder: path,
            profiles,
            data: settings,
            declared,
            ..
        } = means(place)?;
        let file = path.join(STATE_FILE);
        let catalogue = match declared {
            None => Folder::open(place)?.catalogue,
            Some(mut registry) => {
                if file.exists() {
                    let unusable = |error| Failure::data("the state database cannot be used", &error);
                    let state = State::open_read_only(&file).map_err(unusable)?;
                    (registry, _) = state.with_added(registry).map_err(unusable)?;
                }
                server::register_self(&mut registry, &profiles)?;
                let mut next = 0;
                let number = |_: &telemetry::DeviceId, _: &telemetry::profile::Signal| {
                    next += 1;
                    SeriesId(next)
                };
                let catalogue = Catalogue::build(registry, &profiles, number);
                Arc::new(catalogue.map_err(|error| Failure::Input(error.to_string()))?)
            }
        };
        Ok(Self {
            path,
            keep: Keep::of(&settings, &catalogue),
            catalogue,
            _data: None,
        })
    }
}
