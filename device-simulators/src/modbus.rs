//! The county's Modbus slaves: one line a gateway, its units behind it; over TCP, RTU over TCP, or RTU over a
//! pseudo-terminal.

mod port;
mod registers;
pub mod rig;
mod speech;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use telemetry::Clock;
use telemetry::registry::{ModbusLine, Parity};
use telemetry::time::Span;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::county::County;
use crate::fault::{FaultKind, FaultSender};
use crate::reading::Reading;
use port::{Pty, Slave};
use registers::Image;
pub use speech::Wire;
use speech::{Asked, NO_ADDRESS, NO_FUNCTION, NO_TARGET, NO_VALUE};

/// How a slave answers when a test or a fault says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With this exception code, whatever is asked. Source: Modbus Application Protocol V1.1b3 §7, 1 to 11.
    Exception(u8),
    /// Rightly, but so late.
    Late(Span),
    /// With one register or eight bits fewer than asked for.
    Short,
    /// Not at all.
    Silent,
    /// Under the next unit's id.
    WrongUnit,
    /// With a wrong CRC; over Modbus/TCP with the number of another question.
    WrongCheck,
    /// Rightly, with such a pause after each byte.
    Slow(Span),
}

/// How the slaves were told to answer, by place in the county.
pub(crate) type Script = Arc<Mutex<HashMap<usize, Answer>>>;

/// What the slaves need.
#[derive(Clone)]
pub(crate) struct Slaves {
    pub(crate) county: Arc<County>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) faults: FaultSender,
    pub(crate) script: Script,
}

/// The end of a line on which slaves answer, opened but not yet served.
#[derive(Debug)]
pub(crate) enum Ear {
    Socket(Wire, TcpListener),
    Terminal(Pty),
}

impl Ear {
    /// Opens a listener on `address`, or a pseudo-terminal.
    pub(crate) async fn open(wire: Wire, address: SocketAddr) -> io::Result<Self> {
        match wire {
            Wire::Rtu => Pty::open().map(Self::Terminal),
            Wire::Tcp | Wire::RtuOverTcp => TcpListener::bind(address)
                .await
                .map(|listener| Self::Socket(wire, listener)),
        }
    }

    /// How a master reaches it.
    pub(crate) fn line(&self) -> io::Result<ModbusLine> {
        Ok(match self {
            Self::Socket(Wire::Tcp, listener) => ModbusLine::Tcp(listener.local_addr()?),
            Self::Socket(_, listener) => ModbusLine::RtuOverTcp(listener.local_addr()?),
            Self::Terminal(pty) => ModbusLine::Serial {
                port: pty.name.clone(),
                baud: 9600,
                parity: Parity::None,
                stop_bits: 1,
            },
        })
    }
}

impl Slaves {
    /// Serves the units of gateway number `gateway` until the county is stopped.
    pub(crate) async fn serve(self, gateway: usize, ear: Ear, cancel: CancellationToken) {
        let units = (self.county.devices().iter().enumerate())
            .filter_map(|(place, device)| {
                let slave = device.slave.filter(|slave| slave.gateway == gateway)?;
                Some((slave.unit, place))
            })
            .collect();
        let is_gateway = matches!(ear, Ear::Socket(Wire::Tcp, _));
        let service = Arc::new(Gateway {
            slaves: self,
            units,
            is_gateway,
        });
        match ear {
            Ear::Socket(wire, listener) => port::serve_socket(service, wire, listener, cancel).await,
            Ear::Terminal(pty) => port::serve_pty(service, pty, cancel).await,
        }
    }
}

struct Gateway {
    slaves: Slaves,
    units: HashMap<u8, usize>,
    /// It answers for units that are not there; on a serial line nobody does.
    is_gateway: bool,
}

impl Slave for Gateway {
    fn answer(&self, asked: &Asked) -> Option<Vec<u8>> {
        let Some(place) = self.units.get(&asked.unit).copied() else {
            return self.is_gateway.then(|| speech::refusal(&asked.pdu, NO_TARGET));
        };
        let answer = self.read(place, &asked.pdu);
        Some(answer.unwrap_or_else(|code| speech::refusal(&asked.pdu, code)))
    }

    fn manner(&self, unit: u8) -> Option<Answer> {
        let place = *self.units.get(&unit)?;
        let script = self
            .slaves
            .script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&place)
            .copied();
        if script.is_some() {
            return script;
        }
        let now = self.slaves.clock.now().millis();
        let faults = self.slaves.faults.now();
        if faults.acting(place, FaultKind::Silence, now).is_some() {
            return Some(Answer::Silent);
        }
        faults.acting(place, FaultKind::Nonsense, now)?;
        // Half a minute of each, in turn: a slave device failure, short answers.
        Some(if now.div_euclid(30_000) % 2 == 0 {
            Answer::Exception(4)
        } else {
            Answer::Short
        })
    }

    fn real(&self, span: Span) -> Duration {
        self.slaves.clock.real(span)
    }
}

impl Gateway {
    fn read(&self, place: usize, pdu: &[u8]) -> Result<Vec<u8>, u8> {
        let image = self.image(place);
        let (first, amount) = speech::numbers(pdu).ok_or(NO_VALUE)?;
        match pdu.first() {
            Some(2) => Image::take(&image.discrete, first, amount).map(|bits| speech::bits_answer(2, &bits)),
            Some(4) => Image::take(&image.input, first, amount).map(|words| speech::words_answer(4, &words)),
            Some(1 | 3) => Err(NO_ADDRESS),
            // These slaves have nothing that may be written.
            _ => Err(NO_FUNCTION),
        }
    }

    fn image(&self, place: usize) -> Image {
        let Slaves {
            county,
            clock,
            faults,
            ..
        } = &self.slaves;
        let mut reading = Reading::default();
        county.read(place, clock.now().millis(), &faults.now(), &mut reading);
        match county.devices().get(place) {
            Some(device) => Image::of(&device.model, &reading),
            None => Image::default(),
        }
    }
}
