//! Engines beside this program that points go to as well: InfluxDB 2, VictoriaMetrics.
//!
//! ```text
//! journal ─ remote cursor ─ decode ─ line protocol ─ writer ─ engine
//!                                                              │
//!                              pages, figures, API ─ reader ───┘
//! ```
//!
//! The journal is the store of store-and-forward: a cursor of its own says how far the engine has everything on disk, and
//! nothing behind it is trimmed. An engine that is away for hours is caught up with when it comes back. Whatever is sent
//! again replaces itself: the same series and time.
//!
//! What this never does: hold up the alarms or the local store; take an engine's acknowledgement for more than it is
//! ([`trail`]); give up a line because the engine is busy, unknown or away; send what is not a finite number.
//!
//! Start with [`Writer::turn`]; then [`split`] and [`answer`], which decide.

mod answer;
mod engine;
mod export;
mod flux;
mod hands;
mod http;
mod influx;
mod line;
mod reading;
mod settings;
mod slice;
mod split;
mod status;
#[cfg(test)]
mod testkit;
mod trail;
mod victoria;
mod writer;

use std::sync::Arc;

use telemetry::{Catalogue, Clock};

pub use reading::{BothReader, RemoteReader};
pub use settings::{Credentials, EngineSettings, RemoteError, RemoteSettings, Secret};
pub use status::RemoteStatus;
pub use writer::{Turn, Writer};

use crate::state::State;
use engine::Engine;
use hands::Hands;

/// One engine, ready to be written to and read from. Nothing is sent before it is asked to.
#[derive(Debug)]
pub struct Remote {
    settings: RemoteSettings,
    engine: Engine,
    hands: Arc<Hands>,
    status: Arc<RemoteStatus>,
}

impl Remote {
    /// Looks at the settings and starts the threads that requests run on. The engine need not be there.
    ///
    /// # Errors
    /// [`RemoteError`] when an address, authority or credential cannot be used.
    pub fn open(settings: RemoteSettings) -> Result<Self, RemoteError> {
        Ok(Self {
            engine: Engine::new(&settings)?,
            hands: Arc::new(Hands::start().map_err(RemoteError::Thread)?),
            status: Arc::default(),
            settings,
        })
    }

    /// Whether the settings can be used, without starting anything.
    ///
    /// # Errors
    /// [`RemoteError`] when an address, authority or credential cannot be used.
    pub fn check(settings: &RemoteSettings) -> Result<(), RemoteError> {
        Engine::new(settings).map(|_| ())
    }

    /// Its writer, at the cursor that `state` holds. There must be only one at a time.
    ///
    /// # Errors
    /// [`RemoteError::State`] when the cursor cannot be read.
    pub fn writer(
        &self,
        state: Arc<State>,
        catalogue: Arc<Catalogue>,
        clock: Arc<dyn Clock>,
    ) -> Result<Writer, RemoteError> {
        let parts = writer::Parts {
            engine: self.engine.clone(),
            hands: Arc::clone(&self.hands),
            state,
            catalogue,
            clock,
            status: Arc::clone(&self.status),
        };
        Writer::open(&self.settings, parts)
    }

    /// Reads from it.
    #[must_use]
    pub fn reader(&self, catalogue: Arc<Catalogue>, clock: Arc<dyn Clock>) -> RemoteReader {
        RemoteReader {
            engine: self.engine.clone(),
            hands: Arc::clone(&self.hands),
            catalogue,
            clock,
        }
    }

    /// What the writer has done.
    #[must_use]
    pub fn status(&self) -> Arc<RemoteStatus> {
        Arc::clone(&self.status)
    }
}
