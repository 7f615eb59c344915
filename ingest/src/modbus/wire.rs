//! One open connection: a question out, its answer in. The only file of this module with a socket or a port.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use telemetry::registry::{ModbusLine, Parity};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_serial::{DataBits, SerialPortBuilderExt, SerialStream, StopBits};

use super::pdu::{Reply, Request};
use super::wrap::{self, Got, Pace};

/// Most bytes of one answer with its frame. More: it is not an answer.
/// Source: MODBUS Messaging on TCP/IP V1.0b §3.1.2, 260 bytes.
const ANSWER_BYTES_MAX: usize = 260;
/// The least silence before a question on a serial line: the timers of the system are no finer.
const SILENCE_MIN: Duration = Duration::from_millis(2);
/// An answer that has begun but does not end in time is listened to for at most so many time-outs more.
const OUTLAST: u32 = 3;
/// A line is held to be free again after a silence of so many of the longest pauses within the last answer.
const PAUSES: u32 = 2;
/// What stands in for the pace of a line behind a serial server, of which nothing is known.
const PACE_UNKNOWN: u32 = 9600;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Why a question brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// There is no connection: nothing was asked.
    Unreachable,
    /// The connection was closed, or held old bytes, before anything was asked.
    Stale,
    /// No answer in time.
    Silent,
    /// The other side has closed the connection, or the port has failed.
    Lost,
    /// Bytes, but not the answer to the question.
    Nonsense(&'static str),
}

/// How frames are told apart.
#[derive(Clone, Copy, Debug)]
enum Framing {
    /// By the number of the question.
    Tcp { last: u16 },
    /// By silence. `slow`: the bytes themselves take their time on our side.
    Rtu { pace: Pace, slow: bool },
}

/// How the bytes of an answer come.
#[derive(Clone, Copy, Debug, Default)]
struct Rhythm {
    last: Option<Instant>,
    /// The longest time between two of its pieces.
    longest_pause: Option<Duration>,
}

impl Rhythm {
    fn piece(&mut self, at: Instant) {
        let pause = self.last.map(|last| at.saturating_duration_since(last));
        self.longest_pause = self.longest_pause.max(pause);
        self.last = Some(at);
    }

    /// When the rest is held not to come any more, unless a piece comes before. `unknown`: the wait after an only piece.
    fn over(&self, least: Duration, unknown: Duration) -> Option<Instant> {
        let wait = self
            .longest_pause
            .map_or(unknown, |pause| (pause * PAUSES).max(least));
        Some(self.last? + wait)
    }
}

/// An open connection.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    framing: Framing,
    buffer: Vec<u8>,
    rhythm: Rhythm,
    /// Whether the last question was preceded by bytes that nobody had asked for.
    pub(super) heard: bool,
}

impl Failed {
    /// In a few words, for a person.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Unreachable => "no connection",
            Self::Stale | Self::Lost => "the connection was closed",
            Self::Silent => "no answer in time",
            Self::Nonsense(why) => why,
        }
    }
}

impl Wire {
    /// Opens a socket, within `patience`, or a port.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub(super) async fn open(line: &ModbusLine, patience: Duration) -> io::Result<Self> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
        let rtu = |baud, slow| Framing::Rtu {
            pace: Pace::new(baud),
            slow,
        };
        let (stream, framing): (Box<dyn Stream>, Framing) = match line {
            ModbusLine::Tcp(address) | ModbusLine::RtuOverTcp(address) => {
                let connect = TcpStream::connect(address);
                let stream = timeout(patience, connect).await.map_err(|_| late())??;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "requests may be held back by the system");
                }
                let framing = if line.is_rtu() {
                    rtu(PACE_UNKNOWN, false)
                } else {
                    Framing::Tcp { last: 0 }
                };
                (Box::new(stream), framing)
            }
            ModbusLine::Serial {
                port,
                baud,
                parity,
                stop_bits,
            } => (
                Box::new(open_port(port, *baud, *parity, *stop_bits)?),
                rtu(*baud, true),
            ),
        };
        Ok(Self {
            stream,
            framing,
            buffer: Vec::with_capacity(ANSWER_BYTES_MAX),
            rhythm: Rhythm::default(),
            heard: false,
        })
    }

    /// Asks, and waits for the answer for at most `patience` and the time that the bytes take on a slow line.
    ///
    /// What lies there before the question is from an earlier one: over TCP the connection is then of no
    /// more use, on a serial line it is thrown away.
    ///
    /// # Errors
    /// [`Failed`]. The answer may still come: over TCP the connection must be given up; over RTU see
    /// [`super::doubt`].
    pub(super) async fn ask(
        &mut self,
        unit: u8,
        request: &Request,
        patience: Duration,
    ) -> Result<Reply, Failed> {
        self.buffer.clear();
        self.rhythm = Rhythm::default();
        self.heard = false;
        match &mut self.framing {
            Framing::Tcp { last } => {
                *last = last.wrapping_add(1);
                let number = *last;
                if self.holds_something().await {
                    return Err(Failed::Stale);
                }
                let question = wrap::tcp_question(number, unit, request);
                let deadline = Instant::now() + patience;
                self.send(&question, deadline).await?;
                let answer = |bytes: &[u8]| wrap::tcp_answer(bytes, number, unit, request);
                self.receive(answer, deadline, None).await
            }
            Framing::Rtu { pace, slow } => {
                let (pace, slow) = (*pace, *slow);
                let silence = pace.silence().max(SILENCE_MIN);
                let quiet = self.silence(silence, Instant::now() + patience).await;
                if !quiet.map_err(|_closed| Failed::Stale)? {
                    return Err(Failed::Nonsense("the line is never silent"));
                }
                let question = wrap::rtu_question(unit, request);
                let bytes = question.len() + request.answer_bytes_max();
                let travel = if slow {
                    pace.characters(bytes)
                } else {
                    Duration::ZERO
                };
                let deadline = Instant::now() + patience + travel;
                self.send(&question, deadline).await?;
                let answer = |bytes: &[u8]| wrap::rtu_answer(bytes, unit, request);
                let reply = self.receive(answer, deadline, Some(silence)).await;
                if matches!(reply, Err(Failed::Nonsense(_))) {
                    let until = Instant::now() + patience * OUTLAST;
                    self.outlast(answer, silence, patience, until).await;
                }
                reply
            }
        }
    }

    /// Throws away what comes until nothing has come for `silence`; answers whether that was so before
    /// `deadline`.
    async fn silence(&mut self, silence: Duration, deadline: Instant) -> Result<bool, Failed> {
        let mut bytes = [0; ANSWER_BYTES_MAX];
        loop {
            match timeout(silence, self.stream.read(&mut bytes)).await {
                Err(_elapsed) => return Ok(true),
                Ok(Ok(0) | Err(_)) => return Err(Failed::Lost),
                Ok(Ok(_)) if Instant::now() > deadline => return Ok(false),
                Ok(Ok(_)) => self.heard = true,
            }
        }
    }

    /// After a failure, waits until a unit that sends its answer slowly has sent all of it, so that the next question, to a
    /// neighbour, does not meet it: until the answer is whole, or the pause is longer than the unit makes, or `until`.
    async fn outlast(
        &mut self,
        answer: impl Fn(&[u8]) -> Got,
        silence: Duration,
        patience: Duration,
        until: Instant,
    ) {
        let unfinished = answer(&self.buffer) == Got::More;
        let unknown = if unfinished { patience } else { silence };
        while let Some(over) = self.rhythm.over(silence, unknown) {
            if unfinished && (answer(&self.buffer) != Got::More || self.buffer.len() >= ANSWER_BYTES_MAX) {
                return;
            }
            if !unfinished {
                self.buffer.clear();
            }
            match timeout_at(over.min(until), self.stream.read_buf(&mut self.buffer)).await {
                Err(_) | Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(_)) => self.rhythm.piece(Instant::now()),
            }
        }
    }

    /// Whether bytes or the end of the connection wait to be read.
    async fn holds_something(&mut self) -> bool {
        let mut byte = [0; 1];
        let mut into = ReadBuf::new(&mut byte);
        let stream = &mut self.stream;
        poll_fn(|context| Poll::Ready(Pin::new(&mut *stream).poll_read(context, &mut into).is_ready())).await
    }

    async fn send(&mut self, frame: &[u8], deadline: Instant) -> Result<(), Failed> {
        match timeout_at(deadline, self.stream.write_all(frame)).await {
            Err(_elapsed) => Err(Failed::Silent),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a modbus connection failed");
                Err(Failed::Lost)
            }
            Ok(Ok(())) => Ok(()),
        }
    }

    /// Reads until `answer` knows what it is. With `silence`, on a line with several units, a late answer of
    /// another one is thrown away and listening goes on.
    async fn receive(
        &mut self,
        answer: impl Fn(&[u8]) -> Got,
        deadline: Instant,
        silence: Option<Duration>,
    ) -> Result<Reply, Failed> {
        loop {
            match timeout_at(deadline, self.stream.read_buf(&mut self.buffer)).await {
                Err(_elapsed) if self.buffer.is_empty() => return Err(Failed::Silent),
                Err(_elapsed) => return Err(Failed::Nonsense("an answer that did not end in time")),
                Ok(Ok(0) | Err(_)) => return Err(Failed::Lost),
                Ok(Ok(_)) => self.rhythm.piece(Instant::now()),
            }
            match (answer(&self.buffer), silence) {
                (Got::Answer(reply), _) => return Ok(reply),
                (Got::OtherUnit, Some(silence)) => {
                    tracing::debug!("an answer of another unit was thrown away");
                    if !self.silence(silence, deadline).await? {
                        return Err(Failed::Nonsense("only answers of another unit"));
                    }
                    self.buffer.clear();
                    self.rhythm = Rhythm::default();
                }
                (Got::OtherUnit, None) => return Err(Failed::Nonsense("an answer of another unit")),
                (Got::Wrong(why), _) => return Err(Failed::Nonsense(why)),
                (Got::More, _) if self.buffer.len() >= ANSWER_BYTES_MAX => {
                    return Err(Failed::Nonsense("an answer that is too long"));
                }
                (Got::More, _) => {}
            }
        }
    }
}

fn open_port(port: &str, baud: u32, parity: Parity, stop_bits: u8) -> io::Result<SerialStream> {
    let parity = match parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits = if stop_bits == 2 {
        StopBits::Two
    } else {
        StopBits::One
    };
    tokio_serial::new(port, baud)
        .data_bits(DataBits::Eight)
        .parity(parity)
        .stop_bits(stop_bits)
        .open_native_async()
        .map_err(io::Error::from)
}
