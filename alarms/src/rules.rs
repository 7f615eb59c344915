//! What the engine watches for: rules with everything resolved, whoever wrote them.
//!
//! [`compile()`] makes them of a catalogue's profiles, `replay` of a file of rules.

pub mod book;
pub mod compile;
pub mod condition;
pub mod expression;
pub mod schedule;

use std::sync::Arc;

use telemetry::profile::{Active, Priority, Title};
use telemetry::time::Span;
use telemetry::{SeriesId, Timestamp};

pub use book::RuleBook;
pub use compile::{Compiled, RuleError, compile, zone_of};
pub use condition::{Condition, Verdict};
pub use schedule::Schedule;

/// The sun over the county: whether its street lights are due.
pub trait Daylight: Send + Sync {
    /// Whether the lights are due at that instant.
    fn lights_due(&self, at: Timestamp) -> bool;

    /// When the sun sets in the evening of that civil day, and when it rises in its morning. None where it does not, or where
    /// nobody knows the place.
    fn dusk_and_dawn(&self, _date: jiff::civil::Date) -> Option<(Timestamp, Timestamp)> {
        None
    }
}

/// No device stands behind a rule: it looks at several points.
pub const NO_DEVICE: usize = usize::MAX;

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// `DEVICE/RULE-ID`, `DEVICE/SIGNAL.fault` or `DEVICE.clock` of a catalogue; in `replay` what the file says. Unique.
    pub id: Arc<str>,
    /// What people call it.
    pub title: Title,
    /// Place in [`Plant::devices`]; [`NO_DEVICE`] where it looks at several points.
    pub device: usize,
    /// The device that it is shown with: its own; of several points, the one that stands for them.
    pub shown_at: usize,
    /// Place in the signals of the profile of `shown_at`; none when it looks at the device as a whole.
    pub signal: Option<usize>,
    /// The series it looks at.
    pub series: Option<SeriesId>,
    /// When it is violated.
    pub condition: Condition,
    /// How long it must hold before it raises.
    pub on_delay: Span,
    /// How long it must be gone before it clears.
    pub off_delay: Span,
    /// How much it matters.
    pub priority: Priority,
    /// When it is looked at.
    pub active: Active,
    /// At which hours of the civil day it may raise; none: at all.
    pub schedule: Option<Schedule>,
    /// Whether it may save a life.
    pub life_safety: bool,
    /// Whether its alarm has to be reset by a person once the condition is over.
    pub latching: bool,
    /// After how long an acknowledged alarm that is still active is owed again; none: never.
    pub re_alarm: Option<Span>,
    /// The engine made it: it tells of a sensor, a clock, silence, a flood. People on its point's own rules hear of it.
    pub system: bool,
    /// Where it differs from its profile: which entry of the county's rule book says so, and why.
    pub changed: Option<Arc<str>>,
}

/// What stands behind the rules: who speaks through whom, and what belongs together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plant {
    /// Everything that speaks.
    pub devices: Vec<PlantDevice>,
    /// Voting groups and areas.
    pub groups: Vec<PlantGroup>,
}

/// Something that speaks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlantDevice {
    /// What `replay` and messages call it.
    pub name: Arc<str>,
    /// What kind of thing it is: routes may ask for it.
    pub kind: Arc<str>,
    /// Place of the device through which it speaks.
    pub gateway: Option<usize>,
    /// Place of its group.
    pub group: Option<usize>,
    /// Whether it may save a life.
    pub life_safety: bool,
    /// How often it reports, where it does so evenly.
    pub period: Option<Span>,
    /// It has no messages of its own: it is heard when something is heard through it.
    pub mute: bool,
    /// Where it stands: routes may ask for it. None in `replay`, whose files name no places.
    pub place: Option<Arc<Place>>,
}

/// Where something stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Id of the site.
    pub site: Box<str>,
    /// Town or street.
    pub town: Box<str>,
    /// Who runs the site.
    pub organisation: Box<str>,
}

/// A voting group, or an area.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlantGroup {
    /// Its name.
    pub name: Arc<str>,
    /// Its points: device and series.
    pub members: Vec<(usize, SeriesId)>,
}
