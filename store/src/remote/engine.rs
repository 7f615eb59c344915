//! The engine that was configured, whichever it is.

use bytes::Bytes;
use rustc_hash::FxHashMap;
use telemetry::sample::Sample;
use telemetry::time::Timestamp;

use super::answer::Answer;
use super::http::QueryError;
use super::influx::Influx;
use super::line::QualityIn;
use super::settings::{EngineSettings, RemoteError, RemoteSettings};
use super::victoria::{Victoria, Vitals};

/// One of them. Clones share their connections.
#[derive(Clone, Debug)]
pub(super) enum Engine {
    /// InfluxDB 2.
    Influx(Influx),
    /// VictoriaMetrics.
    Victoria(Victoria),
}

impl Engine {
    pub(super) fn new(settings: &RemoteSettings) -> Result<Self, RemoteError> {
        match &settings.engine {
            EngineSettings::Influx { organisation, bucket } => {
                Influx::new(settings, organisation, bucket).map(Self::Influx)
            }
            EngineSettings::Victoria {
                query_url,
                tenant,
                watch,
            } => Victoria::new(settings, query_url.as_deref(), tenant.as_deref(), watch).map(Self::Victoria),
        }
    }

    /// Where it keeps the quality of a point.
    pub(super) const fn quality_in(&self) -> QualityIn {
        match self {
            Self::Influx(_) => QualityIn::Field,
            Self::Victoria(_) => QualityIn::Tag,
        }
    }

    /// Sends lines once.
    pub(super) async fn write(&self, lines: Bytes) -> Answer {
        match self {
            Self::Influx(influx) => influx.write(lines).await,
            Self::Victoria(victoria) => victoria.write(lines).await,
        }
    }

    /// Whether its processes say when they were started.
    pub(super) fn is_watched(&self) -> bool {
        match self {
            Self::Influx(_) => false,
            Self::Victoria(victoria) => victoria.is_watched(),
        }
    }

    /// What its processes say of themselves.
    pub(super) async fn vitals(&self) -> Result<Vitals, QueryError> {
        match self {
            Self::Influx(_) => Ok(Vitals::default()),
            Self::Victoria(victoria) => victoria.vitals().await,
        }
    }

    /// What each of these holds in `from..to`, in order of time; `from` before `to`.
    pub(super) async fn ranges(
        &self,
        owners: &[Owner],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Vec<Sample>>, QueryError> {
        match self {
            Self::Influx(influx) => influx.ranges(owners, from, to).await,
            Self::Victoria(victoria) => victoria.ranges(owners, from, to).await,
        }
    }

    /// The last sample of each of these before `to`, which may be later than `now`.
    pub(super) async fn lasts(
        &self,
        owners: &[Owner],
        to: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Option<Sample>>, QueryError> {
        match self {
            Self::Influx(influx) => influx.lasts(owners, to).await,
            Self::Victoria(victoria) => victoria.lasts(owners, to, now).await,
        }
    }
}

/// A signal of a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub device: String,
    pub signal: String,
}

/// The places of owners in a question.
pub(super) struct Places<'a>(FxHashMap<(&'a str, &'a str), usize>);

impl<'a> Places<'a> {
    pub(super) fn of(owners: &'a [Owner]) -> Self {
        let places = owners.iter().enumerate();
        Self(
            places
                .map(|(place, owner)| ((owner.device.as_str(), owner.signal.as_str()), place))
                .collect(),
        )
    }

    pub(super) fn get(&self, device: &str, signal: &str) -> Option<usize> {
        self.0.get(&(device, signal)).copied()
    }
}
