//! The county's Modbus/TCP slaves: one listener a gateway, its units behind it.

mod registers;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use telemetry::Clock;
use telemetry::time::Span;
use tokio::net::TcpListener;
use tokio_modbus::server::Service;
use tokio_modbus::server::tcp::{Server, accept_tcp_connection};
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};
use tokio_util::sync::CancellationToken;

use crate::county::County;
use crate::fault::{FaultKind, FaultSender};
use crate::reading::Reading;
use registers::Image;

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

impl Slaves {
    /// Serves the units of gateway number `gateway` until the county is stopped.
    pub(crate) async fn serve(self, gateway: usize, listener: TcpListener, cancel: CancellationToken) {
        let units = (self.county.devices().iter().enumerate())
            .filter_map(|(place, device)| {
                let slave = device.slave.filter(|slave| slave.gateway == gateway)?;
                Some((slave.unit, place))
            })
            .collect();
        let service = Arc::new(Gateway { slaves: self, units });
        let new_service = |_| Ok(Some(Arc::clone(&service)));
        let on_connected =
            |stream, address| async move { accept_tcp_connection(stream, address, new_service) };
        let on_error = |error| tracing::debug!(%error, "modbus connection ended");
        let server = Server::new(listener);
        if let Some(Err(error)) = cancel
            .run_until_cancelled(server.serve(&on_connected, on_error))
            .await
        {
            tracing::error!(gateway, %error, "modbus gateway stopped");
        }
    }
}

struct Gateway {
    slaves: Slaves,
    units: HashMap<u8, usize>,
}

type Answering = Pin<Box<dyn Future<Output = Result<Option<Response>, ExceptionCode>> + Send>>;

impl Service for Gateway {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Answering;

    fn call(&self, asked: Self::Request) -> Self::Future {
        let Some(place) = self.units.get(&asked.slave).copied() else {
            return Box::pin(std::future::ready(Err(ExceptionCode::GatewayTargetDevice)));
        };
        let answer = self.answer(place, &asked.request);
        match self.manner(place) {
            None => Box::pin(std::future::ready(answer.map(Some))),
            Some(Answer::Silent) => Box::pin(std::future::ready(Ok(None))),
            Some(Answer::Exception(code)) => Box::pin(std::future::ready(Err(ExceptionCode::new(code)))),
            Some(Answer::Short) => Box::pin(std::future::ready(answer.map(|full| Some(shortened(full))))),
            Some(Answer::Late(by)) => {
                let wait = self.slaves.clock.real(by);
                Box::pin(async move {
                    tokio::time::sleep(wait).await;
                    answer.map(Some)
                })
            }
        }
    }
}

impl Gateway {
    fn manner(&self, place: usize) -> Option<Answer> {
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

    fn answer(&self, place: usize, request: &Request<'static>) -> Result<Response, ExceptionCode> {
        let image = self.image(place);
        match request {
            Request::ReadDiscreteInputs(first, amount) => {
                Image::take(&image.discrete, *first, *amount).map(Response::ReadDiscreteInputs)
            }
            Request::ReadInputRegisters(first, amount) => {
                Image::take(&image.input, *first, *amount).map(Response::ReadInputRegisters)
            }
            Request::ReadCoils(..) | Request::ReadHoldingRegisters(..) => {
                Err(ExceptionCode::IllegalDataAddress)
            }
            // These slaves have nothing that may be written.
            _ => Err(ExceptionCode::IllegalFunction),
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

fn shortened(full: Response) -> Response {
    match full {
        Response::ReadInputRegisters(mut words) => {
            words.pop();
            Response::ReadInputRegisters(words)
        }
        Response::ReadDiscreteInputs(mut bits) => {
            bits.truncate(bits.len().saturating_sub(8));
            Response::ReadDiscreteInputs(bits)
        }
        other => other,
    }
}
