//! The seam to the alarms: what pages and API need of them, and nothing more.

use serde::Serialize;
use telemetry::profile::{Priority, Title};
use telemetry::{DeviceId, SignalName, SiteId, Timestamp};
use tokio::sync::broadcast;

/// An instant in both forms of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Milliseconds since 1970 UTC.
    pub ms: Timestamp,
    /// RFC 3339, UTC.
    pub time: String,
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self {
            ms: at,
            time: at.to_rfc3339(),
        }
    }
}

/// Where an alarm is in its life. Source: ISA-18.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// The cause stands and nobody has acknowledged.
    ActiveUnacknowledged,
    /// The cause has gone and nobody has acknowledged.
    ClearedUnacknowledged,
    /// The cause stands and somebody knows.
    ActiveAcknowledged,
    /// Over.
    Normal,
}

/// Who acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Acknowledged {
    /// When.
    pub at: Moment,
    /// Name.
    pub by: Box<str>,
    /// What they wrote.
    pub remark: Box<str>,
}

/// One life of an alarm, as API, live feed and pages show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmView {
    /// Its number; the `{id}` of `POST alarms/{id}/ack`.
    pub id: i64,
    /// Code of its rule, e.g. `SW-LEVEL-HH`.
    pub rule: Box<str>,
    /// What people call it.
    pub title: Title,
    /// How much it matters.
    pub priority: Priority,
    /// Whether lives may hang on it.
    pub life_safety: bool,
    /// Whether it is about silence.
    pub silence: bool,
    /// Where it is in its life.
    pub state: AlarmState,
    /// Not over: the cause stands, or nobody has acknowledged.
    pub open: bool,
    /// Its device has gone silent: whether the cause still stands is not known.
    pub stale: bool,
    /// Found in back-filled data: it paged nobody.
    pub backfill: bool,
    /// Where.
    pub site: SiteId,
    /// What people call the place.
    pub site_name: Title,
    /// Which device.
    pub device: DeviceId,
    /// What people call the device.
    pub device_name: Title,
    /// Which signal; none for the silence of a whole device.
    pub signal: Option<SignalName>,
    /// UCUM code of `value` and `limit`.
    pub unit: Option<Box<str>>,
    /// The value that raised it.
    pub value: Option<f64>,
    /// The limit that it reached.
    pub limit: Option<f64>,
    /// When it was raised: event time.
    pub raised: Moment,
    /// When its cause went: event time.
    pub cleared: Option<Moment>,
    /// Who acknowledged it.
    pub acknowledged: Option<Acknowledged>,
}

/// Which alarms are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only open ones, or only those that are over.
    pub open: Option<bool>,
    /// At most so many, newest first.
    pub limit: usize,
}

/// Why an alarm was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// There is none of that number.
    #[error("there is no alarm {0}")]
    Unknown(i64),
    /// Somebody was faster, or it is over.
    #[error("alarm {id} cannot be acknowledged: {why}")]
    NotOpen {
        /// Which.
        id: i64,
        /// Why.
        why: String,
    },
    /// Name or remark missing or too long.
    #[error("{0}")]
    Refused(String),
    /// The disk or the database failed.
    #[error("the acknowledgement could not be stored")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The alarms of the county. Calls block on disk, but for `changes`.
pub trait AlarmBook: Send + Sync {
    /// The alarms that are wanted, newest first.
    ///
    /// # Errors
    /// Whatever keeps the alarms failed.
    fn list(&self, wanted: Wanted) -> Result<Vec<AlarmView>, Box<dyn std::error::Error + Send + Sync>>;

    /// Writes down that `by` knows of the alarm; on disk after `Ok`.
    ///
    /// # Errors
    /// [`AckError`].
    fn acknowledge(&self, id: i64, by: &str, remark: &str) -> Result<AlarmView, AckError>;

    /// Says after each change what the alarm is now. A receiver that falls behind loses the oldest and is told so.
    fn changes(&self) -> broadcast::Receiver<AlarmView>;
}
