//! From one payload to readings: pure, and the same for the same bytes.
//!
//! [`topic`] says whose message it is; [`townwatch`], [`senml`] and [`mapped`] read the three forms of a
//! JSON payload into [`Parsed`], [`lines`] reads line protocol and [`hj212`] what data loggers send; [`signals`] judges every value by the profile. Nothing here knows about
//! earlier messages: that is [`crate::check`].

pub(crate) mod hj212;
pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod mapped;
pub(crate) mod scale;
pub(crate) mod senml;
pub(crate) mod signals;
pub(crate) mod topic;
pub(crate) mod townwatch;

use telemetry::limits::{JSON_DEPTH_MAX, VALUES_PER_MESSAGE_MAX};
use telemetry::time::Timestamp;
use telemetry::{DeviceId, Quality};

use signals::SignalTable;

/// The time that a device gave a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceTime {
    /// None: it has no clock, the time of arrival counts.
    None,
    /// This one, as it stands there.
    At(Timestamp),
    /// Something that is no time: its clock cannot be believed.
    Unreadable,
}

/// Values of one time: `items` of them in [`Parsed::items`], after those of the records before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) time: DeviceTime,
    pub(crate) seq: Option<u64>,
    pub(crate) backfill: bool,
    pub(crate) items: usize,
    /// Values under names that the profile does not know.
    pub(crate) unknown: u64,
    /// It came before. Set by the check, never by a reader.
    pub(crate) duplicate: bool,
}

impl Record {
    /// A record without time, number or values.
    pub(crate) const EMPTY: Self = Self {
        time: DeviceTime::None,
        seq: None,
        backfill: false,
        items: 0,
        unknown: 0,
        duplicate: false,
    };
}

/// One value of one signal, judged by its profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Item {
    /// Place in the profile's signals.
    pub(crate) signal: u16,
    /// Finite.
    pub(crate) value: f64,
    pub(crate) quality: Quality,
}

/// What a message says. Kept and cleared between messages, so that a value costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) records: Vec<Record>,
    pub(crate) items: Vec<Item>,
}

impl Parsed {
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.items.clear();
    }

    /// Whether more was read than a message may hold.
    fn is_full(&self) -> bool {
        self.items.len() + self.records.len() > VALUES_PER_MESSAGE_MAX
    }

    /// Items that came, known or not.
    pub(crate) fn items_total(&self) -> u64 {
        let unknown: u64 = self.records.iter().map(|record| record.unknown).sum();
        unknown + self.items.len() as u64
    }
}

/// Why a payload could not be read: one sentence without a full stop, for a person.
pub(crate) type Reason = Box<str>;

/// Whose payload it is and when it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) device: &'a DeviceId,
    pub(crate) arrived: Timestamp,
    pub(crate) signals: &'a SignalTable,
}

/// Reads a JSON payload in whichever form it has, into `into`.
///
/// A mapping of the profile goes first, where one of its pointers leads somewhere; then Townwatch's own
/// form; then SenML. `NaN`, `Infinity` and numbers beyond `f64` are no JSON, but devices send them: such a
/// payload is read again with `null` in their place.
///
/// # Errors
/// [`Reason`] when the payload is in none of the forms or beyond a bound; `into` is then of no use.
pub(crate) fn payload(context: Context<'_>, payload: &[u8], into: &mut Parsed) -> Result<(), Reason> {
    into.clear();
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Err("the payload is empty".into());
    }
    if json::deeper_than(payload, JSON_DEPTH_MAX) {
        return Err(format!("the payload is nested deeper than {JSON_DEPTH_MAX}").into());
    }
    match strict(context, payload, into) {
        Ok(()) => Ok(()),
        Err(reason) => match json::without_non_finite(payload) {
            Some(mended) => {
                into.clear();
                strict(context, &mended, into)
            }
            None => Err(reason),
        },
    }
}

fn strict(context: Context<'_>, payload: &[u8], into: &mut Parsed) -> Result<(), Reason> {
    if context.signals.has_mapping() && mapped::read(context.signals, payload, into)? {
        return Ok(());
    }
    into.clear();
    match townwatch::read(context.signals, payload, into) {
        Ok(()) => Ok(()),
        Err(townwatch::Failure::NotJson(error)) => Err(format!("the payload is not JSON: {error}").into()),
        Err(townwatch::Failure::TooMany) => Err(too_many()),
        Err(townwatch::Failure::OtherForm) => {
            into.clear();
            senml::read(context, payload, into)
        }
    }
}

fn too_many() -> Reason {
    format!("the message holds more than {VALUES_PER_MESSAGE_MAX} values").into()
}
