//! The seam to the alarms: what pages and API need of them, and nothing more.

mod service;

pub use alarms::service::{AlarmAct as Act, DeviceAct, InForce, LogFilter};
pub use alarms::view::LogView;
use std::pin::Pin;

use serde::Serialize;
use telemetry::profile::{Priority, Title};
use telemetry::{DeviceId, SiteId, Timestamp};

pub use service::ServiceBook;

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
pub enum AlarmStage {
    /// The cause stands and nobody has acknowledged.
    Unacknowledged,
    /// The cause has gone and nobody has acknowledged.
    ReturnedUnacknowledged,
    /// The cause has gone, a latch holds it, and nobody has acknowledged.
    LatchedUnacknowledged,
    /// The cause stands and somebody knows.
    Acknowledged,
    /// The cause has gone; a latch holds it until somebody resets it.
    LatchedAcknowledged,
    /// A person has set it aside for a time.
    Shelved,
    /// The alarm of its cause is raised.
    SuppressedByDesign,
    /// Its point is under maintenance.
    OutOfService,
    /// Over.
    Normal,
}

impl AlarmStage {
    /// Whether somebody has still to do with it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Normal)
    }

    /// Whether an acknowledgement is owed.
    #[must_use]
    pub const fn wants_acknowledgement(self) -> bool {
        matches!(
            self,
            Self::Unacknowledged | Self::ReturnedUnacknowledged | Self::LatchedUnacknowledged
        )
    }
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
    /// The `{id}` of `POST alarms/{id}/ack`; safe in an address as it stands.
    pub id: String,
    /// Its rule, e.g. `st-1/SW-LEVEL-HH`.
    pub rule: String,
    /// What people call it.
    pub title: Title,
    /// How much it matters.
    pub priority: Priority,
    /// Whether lives may hang on it.
    pub life_safety: bool,
    /// Whether it is about silence.
    pub silence: bool,
    /// Where it is in its life.
    pub state: AlarmStage,
    /// Not over: the cause stands, or nobody has acknowledged.
    pub open: bool,
    /// Its device has gone silent: whether the cause still stands is not known.
    pub stale: bool,
    /// Whether it, and the readings behind it, are on disk. When not, the disk is slow or fails.
    pub durable: bool,
    /// Marks: `late`, `historical`, `contradicted`, `momentary`.
    pub tags: Vec<&'static str>,
    /// Where.
    pub site: SiteId,
    /// What people call the place.
    pub site_name: Title,
    /// Which device.
    pub device: DeviceId,
    /// What people call the device.
    pub device_name: Title,
    /// Which signal; none for silence and clocks.
    pub signal: Option<String>,
    /// What people call it.
    pub signal_title: Option<Title>,
    /// UCUM code of `value` and `limit`.
    pub unit: Option<String>,
    /// Decimals that the value is shown with.
    pub decimals: u8,
    /// The value that decided last.
    pub value: Option<f64>,
    /// The limit that it reached.
    pub limit: Option<f64>,
    /// Since when the cause stood: event time.
    pub since: Moment,
    /// When it was raised, after its delay.
    pub raised: Moment,
    /// When it returned.
    pub returned: Option<Moment>,
    /// Who acknowledged it.
    pub acknowledged: Option<Acknowledged>,
    /// Grows with each raise: `?before=` of the next page.
    pub raised_seq: u64,
}

/// Which alarms are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only open ones.
    pub open_only: bool,
    /// Only of this site.
    pub site: Option<String>,
    /// Only those raised before the one with this [`AlarmView::raised_seq`].
    pub before: Option<u64>,
    /// At most so many, newest first.
    pub limit: usize,
}

/// Why an alarm was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// There is none of that id.
    #[error("there is no alarm {0}")]
    Unknown(String),
    /// Somebody was faster, or it is over.
    #[error("alarm {id} cannot be acknowledged: {why}")]
    NotOwed {
        /// Which.
        id: String,
        /// Why.
        why: String,
    },
    /// It may not be done, or not now.
    #[error("{what}: {why}")]
    NotAllowed {
        /// The alarm or the device.
        what: String,
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
    fn list(&self, wanted: &Wanted) -> Result<Vec<AlarmView>, Box<dyn std::error::Error + Send + Sync>>;

    /// The rows of the log that are wanted, newest first.
    ///
    /// # Errors
    /// Whatever keeps the log failed.
    fn log(&self, wanted: &LogFilter) -> Result<Vec<LogView>, Box<dyn std::error::Error + Send + Sync>>;

    /// Writes down that `by` knows of the alarm; on disk after `Ok`.
    ///
    /// # Errors
    /// [`AckError`].
    fn acknowledge(&self, id: &str, by: &str, remark: &str) -> Result<AlarmView, AckError>;

    /// Does something else to an alarm in the name of `by`, with its reason; on disk after `Ok`.
    ///
    /// # Errors
    /// [`AckError`].
    fn act(&self, id: &str, act: Act, by: &str, remark: &str) -> Result<AlarmView, AckError>;

    /// Does something to all alarms of a device in the name of `by`, with its reason or permit; on disk after `Ok`.
    ///
    /// # Errors
    /// [`AckError`].
    fn act_on_device(&self, device: &str, act: DeviceAct, by: &str, remark: &str) -> Result<(), AckError>;

    /// The rules in force; those of one site or device where it is asked for.
    fn rules(&self, site: Option<&str>, device: Option<&str>) -> InForce;

    /// What changes from now on.
    fn changes(&self) -> Box<dyn Changes>;
}

/// One thing that a follower of the alarms learns.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An alarm is now so.
    Alarm(Box<AlarmView>),
    /// So many changes were missed, because the follower was too slow: read the list again.
    Missed(u64),
    /// There will be no more.
    Over,
}

/// The changes of the alarms, one after the other.
pub trait Changes: Send {
    /// Waits for the next one. May be dropped while it waits; nothing is lost by that.
    fn next<'a>(&'a mut self) -> Pin<Box<dyn Future<Output = Change> + Send + 'a>>;
}
