//! What a unit says of itself: function 43 / 14, device identification.

use std::time::Duration;

use telemetry::registry::ModbusLine;

use super::pdu::{Reply, Request};
use super::wire::{Failed, Wire};

/// Most requests for one identification. A unit that always has more to say is cut off there.
const REQUESTS_MAX: usize = 16;

/// Names of the objects 0 to 6. Source: Modbus Application Protocol V1.1b3 §6.21.
const NAMES: [&str; 7] = [
    "vendor_name",
    "product_code",
    "revision",
    "vendor_url",
    "product_name",
    "model_name",
    "application_name",
];

/// What a unit says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Names and texts, in the order in which they came.
    pub objects: Vec<(String, String)>,
}

/// Why a unit cannot be identified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// There is no such device, or it is not polled.
    #[error("{0} is not polled over modbus")]
    NotPolled(Box<str>),
    /// The unit does not know the function, which is its right.
    #[error("the unit refused with exception {0}: it may not know function 43/14")]
    Exception(u8),
    /// No connection, no answer, or none to the question.
    #[error("the unit cannot be asked: {0}")]
    NoAnswer(&'static str),
    /// As many jobs as may wait on its line are waiting. Try again.
    #[error("the line is busy")]
    Busy,
    /// The socket or port cannot be opened.
    #[error("{line} cannot be opened: {why}")]
    Open {
        /// Which.
        line: String,
        /// Why.
        why: String,
    },
}

/// Asks a unit on a line of its own, as a master beside the poller would: for the command line.
///
/// # Errors
/// [`IdentityError`].
pub async fn identify(line: &ModbusLine, unit: u8, patience: Duration) -> Result<Identity, IdentityError> {
    let mut wire = Wire::open(line, patience)
        .await
        .map_err(|error| IdentityError::Open {
            line: line.to_string(),
            why: error.to_string(),
        })?;
    let mut gathering = Gathering::default();
    while let Some(request) = gathering.next() {
        gathering.take(wire.ask(unit, &request, patience).await)?;
    }
    Ok(gathering.identity)
}

/// An identification under way: pure.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    pub(super) identity: Identity,
    requests: usize,
    next: u8,
    done: bool,
}

impl Gathering {
    /// What to ask next; `None` when it is complete.
    pub(super) fn next(&self) -> Option<Request> {
        (!self.done && self.requests < REQUESTS_MAX).then_some(Request::Identify { object: self.next })
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// [`IdentityError`] when there is none.
    pub(super) fn take(&mut self, answer: Result<Reply, Failed>) -> Result<(), IdentityError> {
        self.requests += 1;
        match answer {
            Ok(Reply::Objects(objects, next)) => {
                for (id, text) in objects {
                    let known = NAMES.get(usize::from(id)).map(ToString::to_string);
                    let name = known.unwrap_or_else(|| format!("object_{id:#04x}"));
                    let text = String::from_utf8_lossy(&text);
                    let text = text.trim_end_matches(['\0', ' ']).replace(char::is_control, " ");
                    self.identity.objects.push((name, text));
                }
                // A unit that sends us backwards would never end.
                self.done = next.is_none_or(|next| next <= self.next);
                self.next = next.unwrap_or_default();
                Ok(())
            }
            Ok(Reply::Exception(code)) => Err(IdentityError::Exception(code)),
            Ok(Reply::Words(_) | Reply::Bits(_) | Reply::Done) => {
                Err(IdentityError::NoAnswer("an answer to another question"))
            }
            Err(failed) => Err(IdentityError::NoAnswer(failed.why())),
        }
    }
}
