//! What becomes of what was found in the stream: who sent it, whether it is taken, what is answered. Pure.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rustc_hash::FxHashMap;
use telemetry::registry::Transport;
use telemetry::{Catalogue, DeviceId, Origin, RawMessage, Timestamp};

use super::answer::{self, Refused};
use super::frame::Found;
use super::segment::{self, Segment};
use super::{Counters, count};

/// The newest version that is spoken: HJ 212-2017.
const VERSION_MAX: u8 = 1;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To be journaled; when it is on disk, to be answered.
    Take {
        message: RawMessage,
        answer: Option<Vec<u8>>,
    },
    /// To be answered, where the protocol has an answer.
    Refuse { answer: Option<Vec<u8>> },
    /// Nothing.
    Pass,
}

#[derive(Debug)]
struct Known {
    device: DeviceId,
    password: Option<Box<str>>,
}

/// Knows the registered loggers.
#[derive(Debug)]
pub(crate) struct Desk {
    by_mn: FxHashMap<Box<str>, Known>,
    counters: Arc<Counters>,
}

/// What a command of a logger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Data,
    Notice,
    /// An answer to a command; we give none.
    Reply,
    Unknown,
}

/// Source: HJ 212-2017 appendix B, commands from the logger.
fn command(cn: u16) -> Command {
    match cn {
        2011 | 2021 | 2031 | 2041 | 2051 | 2061 | 2081 => Command::Data,
        1013 => Command::Notice,
        9011..=9014 => Command::Reply,
        _ => Command::Unknown,
    }
}

impl Desk {
    pub(crate) fn new(catalogue: &Catalogue, counters: Arc<Counters>) -> Self {
        let known = catalogue
            .devices()
            .iter()
            .filter_map(|entry| match &entry.device.transport {
                Transport::Hj212 { mn, password } => {
                    let known = Known {
                        device: entry.device.id.clone(),
                        password: password.clone(),
                    };
                    Some((mn.clone(), known))
                }
                Transport::Mqtt
                | Transport::Modbus { .. }
                | Transport::RtuOverTcp { .. }
                | Transport::Rtu(_) => None,
            });
        Self {
            by_mn: known.collect(),
            counters,
        }
    }

    /// Loggers that are known.
    pub(crate) fn loggers(&self) -> usize {
        self.by_mn.len()
    }

    pub(crate) fn judge(&self, found: Found, arrived: Timestamp) -> Verdict {
        let counters = &*self.counters;
        match found {
            Found::Segment(bytes) => self.segment(&bytes, arrived),
            Found::Damaged(bytes) => {
                count(&counters.damaged, 1);
                let answer = segment::read(&bytes)
                    .ok()
                    .and_then(|read| refusal(&read, Refused::Checksum));
                Verdict::Refuse { answer }
            }
            Found::Cut => {
                count(&counters.damaged, 1);
                Verdict::Refuse { answer: None }
            }
            Found::Garbage(bytes) => {
                count(&counters.garbage_bytes, bytes);
                Verdict::Refuse { answer: None }
            }
        }
    }

    fn segment(&self, bytes: &[u8], arrived: Timestamp) -> Verdict {
        let counters = &*self.counters;
        let (Ok(read), Ok(kept)) = (segment::read(bytes), segment::without_password(bytes)) else {
            count(&counters.malformed, 1);
            return Verdict::Refuse { answer: None };
        };
        let refuse = |counter: &AtomicU64, why| {
            count(counter, 1);
            let answer = refusal(&read, why);
            Verdict::Refuse { answer }
        };
        if read.flag.version() > VERSION_MAX {
            return refuse(&counters.unsupported_version, Refused::Version);
        }
        let Some(known) = self.by_mn.get(read.mn) else {
            return refuse(&counters.unknown_mn, Refused::Logger);
        };
        if !known.lets_in(read.pw) {
            return refuse(&counters.wrong_password, Refused::Password);
        }
        let command = command(read.cn);
        let answer = match command {
            Command::Reply => return Verdict::Pass,
            Command::Data | Command::Notice if read.flag.wants_answer() => {
                answer::taken(&read, command == Command::Notice)
            }
            Command::Data | Command::Notice => None,
            // Kept, as a dead letter; the answer says that nobody knows it.
            Command::Unknown => {
                count(&counters.unknown_command, 1);
                refusal(&read, Refused::Command)
            }
        };
        let message = RawMessage {
            arrived,
            origin: Origin::Hj212,
            sender: known.device.clone(),
            topic: "".into(),
            payload: kept.into_bytes().into(),
        };
        Verdict::Take { message, answer }
    }
}

fn refusal(of: &Segment<'_>, why: Refused) -> Option<Vec<u8>> {
    of.flag.wants_answer().then(|| answer::refused(of, why)).flatten()
}

impl Known {
    /// Takes as long for a wrong password as for the right one.
    fn lets_in(&self, given: Option<&str>) -> bool {
        let Some(password) = &self.password else {
            return true;
        };
        let given = given.unwrap_or_default().as_bytes();
        let right = password.as_bytes();
        let differs = right.iter().enumerate().fold(0, |sum, (place, byte)| {
            sum | (byte ^ given.get(place).copied().unwrap_or(!byte))
        });
        differs == 0 && given.len() == right.len()
    }
}
