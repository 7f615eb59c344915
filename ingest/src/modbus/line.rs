//! One gateway: its connection, and the units behind it, asked one after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use telemetry::time::{Span, Timestamp};
use telemetry::{Clock, DeviceId, Origin, RawMessage};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};
use tokio_modbus::{Request, Response};
use tokio_util::sync::CancellationToken;

use super::frame::{self, Answer, Read};
use super::plan::Block;
use super::schedule::{Reconnect, Turn};
use super::{Counters, ModbusConfig, Sink, count};

/// A connection that would lie idle for longer, in real time, is closed: on the way there may be a
/// firewall that forgets it without a word.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The task of one gateway.
pub(super) struct Line {
    pub(super) address: SocketAddr,
    pub(super) units: Vec<Unit>,
    pub(super) sink: Sink,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: ModbusConfig,
    pub(super) counters: Arc<Counters>,
    pub(super) connection: Option<Context>,
    pub(super) reconnect: Reconnect,
}

/// One unit behind it.
pub(super) struct Unit {
    pub(super) device: DeviceId,
    pub(super) unit: u8,
    pub(super) blocks: Vec<Block>,
    pub(super) turn: Turn,
}

/// Why a read brought nothing.
enum Failed {
    /// No connection, or no answer in time: the rest of the unit is not asked any more.
    Silent,
    /// The other side has closed the connection.
    Lost,
    /// An answer, but not to the question: the connection is given up, the rest is asked on a new one.
    Nonsense,
}

impl Line {
    /// Polls until it is cancelled.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.poll_for_ever() => {}
        }
        tracing::debug!(address = %self.address, "polling ends");
    }

    async fn poll_for_ever(&mut self) {
        loop {
            let next = self
                .units
                .iter()
                .enumerate()
                .min_by_key(|(_, unit)| unit.turn.due());
            let Some((place, due)) = next.map(|(place, unit)| (place, unit.turn.due())) else {
                return; // A line without units is not started.
            };
            let now = self.clock.monotonic();
            if due > now {
                let wait = self.clock.real(Span::from_millis(due.millis() - now.millis()));
                if wait > IDLE_MAX {
                    self.connection = None;
                }
                tokio::time::sleep(wait).await;
                continue;
            }
            self.poll(place).await;
        }
    }

    #[tracing::instrument(level = "debug", skip_all, fields(address = %self.address, unit = place))]
    async fn poll(&mut self, place: usize) {
        let Some(unit) = self.units.get(place) else {
            return;
        };
        let (slave, blocks) = (Slave(unit.unit), unit.blocks.clone());
        let mut reads = Vec::with_capacity(blocks.len());
        let mut silent = false;
        for block in blocks {
            let answer = if silent {
                Answer::None
            } else {
                match self.read(slave, block).await {
                    Ok(answer) => answer,
                    Err(failed) => {
                        self.connection = None;
                        silent = !matches!(failed, Failed::Nonsense);
                        Answer::None
                    }
                }
            };
            reads.push(Read { block, answer });
        }
        self.settle(place, &reads);
        self.deliver(place, &reads).await;
    }

    /// Asks once; once more on a new connection when an older one turns out to be closed: gateways drop
    /// idle connections, and that says nothing about the unit.
    async fn read(&mut self, slave: Slave, block: Block) -> Result<Answer, Failed> {
        let reused = self.connection.is_some();
        match self.ask(slave, block).await {
            Err(Failed::Lost) if reused => {
                self.connection = None;
                self.ask(slave, block).await
            }
            done => done,
        }
    }

    async fn ask(&mut self, slave: Slave, block: Block) -> Result<Answer, Failed> {
        self.connect().await?;
        let Some(connection) = &mut self.connection else {
            return Err(Failed::Silent);
        };
        connection.set_slave(slave);
        let Block {
            function,
            address,
            count,
        } = block;
        let request = match function {
            1 => Request::ReadCoils(address, count),
            2 => Request::ReadDiscreteInputs(address, count),
            3 => Request::ReadHoldingRegisters(address, count),
            _ => Request::ReadInputRegisters(address, count),
        };
        match timeout(self.config.timeout, connection.call(request)).await {
            Err(_elapsed) => Err(Failed::Silent),
            Ok(Err(tokio_modbus::Error::Transport(error))) => {
                tracing::debug!(%error, "the connection failed");
                // An answer that cannot be read also comes as such an error.
                Err(if error.kind() == std::io::ErrorKind::InvalidData {
                    Failed::Nonsense
                } else {
                    Failed::Lost
                })
            }
            Ok(Err(tokio_modbus::Error::Protocol(error))) => {
                tracing::debug!(%error, "not an answer to the question");
                Err(Failed::Nonsense)
            }
            Ok(Ok(Err(exception))) => Ok(Answer::Exception(exception.into())),
            Ok(Ok(Ok(response))) => fitting(response, count),
        }
    }

    /// Makes sure that there is a connection, unless the last attempt is too short ago.
    async fn connect(&mut self) -> Result<(), Failed> {
        if self.connection.is_some() {
            return Ok(());
        }
        if !self.reconnect.may_try(self.clock.monotonic()) {
            return Err(Failed::Silent);
        }
        match timeout(self.config.timeout, TcpStream::connect(self.address)).await {
            Ok(Ok(stream)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "requests may be held back by the system");
                }
                self.connection = Some(tcp::attach(stream));
                count(&self.counters.connections);
                tracing::debug!(address = %self.address, "connected");
                Ok(())
            }
            Ok(Err(error)) => self.unreachable(&error.to_string()),
            Err(_elapsed) => self.unreachable("no answer in time"),
        }
    }

    fn unreachable(&mut self, why: &str) -> Result<(), Failed> {
        if self
            .reconnect
            .failed(self.clock.monotonic(), self.config.reconnect_max)
        {
            tracing::warn!(address = %self.address, why, "a modbus gateway cannot be reached");
        }
        Err(Failed::Silent)
    }

    /// Writes down what the poll showed and when the unit comes next.
    fn settle(&mut self, place: usize, reads: &[Read]) {
        let answered = reads.iter().any(|read| read.answer != Answer::None);
        count(&self.counters.polls);
        for read in reads {
            count(match &read.answer {
                Answer::Words(_) | Answer::Bits(_) => &self.counters.answers,
                Answer::Exception(_) => &self.counters.exceptions,
                Answer::None => &self.counters.no_answers,
            });
        }
        if answered && self.reconnect.succeeded() {
            tracing::info!(address = %self.address, "a modbus gateway answers again");
        }
        // A unit that shares its line is asked less often while it is silent: each try costs the others a
        // time-out. While the whole line is down nothing is asked, so nothing is saved.
        let backs_off = self.units.len() > 1 && !self.reconnect.is_down();
        let now = self.clock.monotonic();
        if let Some(unit) = self.units.get_mut(place) {
            let most = backs_off.then_some(self.config.unit_backoff_max);
            let skipped = unit.turn.done(now, answered, most);
            self.counters
                .skipped_cycles
                .fetch_add(skipped, std::sync::atomic::Ordering::Relaxed);
        }
    }

    async fn deliver(&mut self, place: usize, reads: &[Read]) {
        let Some(unit) = self.units.get(place) else {
            return;
        };
        let arrived: Timestamp = self.clock.now();
        let message = RawMessage {
            arrived,
            origin: Origin::Modbus,
            sender: unit.device.clone(),
            topic: "".into(),
            payload: Bytes::from(frame::encode(reads)),
        };
        if let Err(error) = (self.sink)(vec![message]).await {
            count(&self.counters.sink_failures);
            tracing::debug!(device = %unit.device, error, "a poll could not be kept");
        }
    }
}

/// The answer, if it is as long as was asked for. Bits come in whole bytes.
fn fitting(response: Response, asked: u16) -> Result<Answer, Failed> {
    let asked = usize::from(asked);
    match response {
        Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words)
            if words.len() == asked =>
        {
            Ok(Answer::Words(words))
        }
        Response::ReadCoils(mut bits) | Response::ReadDiscreteInputs(mut bits)
            if bits.len() == asked.div_ceil(8) * 8 =>
        {
            bits.truncate(asked);
            Ok(Answer::Bits(bits))
        }
        _ => Err(Failed::Nonsense),
    }
}
