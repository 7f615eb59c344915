//! Slaves on their sockets and pseudo-terminals: questions in, answers out, as badly as they are told to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_serial::{SerialPort, SerialStream};
use tokio_util::sync::CancellationToken;

use super::Answer;
use super::speech::{self, Asked, Heard, Wire};

/// After such a silence half a question is forgotten.
const FORGET: Duration = Duration::from_millis(200);
/// Connections at a time on one listener; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// What a slave is: who answers a question, and how.
pub(super) trait Slave: Send + Sync + 'static {
    /// The answer's function code and data; `None` when nobody of that unit is there to answer.
    fn answer(&self, asked: &Asked) -> Option<Vec<u8>>;

    /// What is to go wrong with the answers of that unit.
    fn manner(&self, unit: u8) -> Option<Answer>;

    /// A span of the county's clock in real time.
    fn real(&self, span: telemetry::time::Span) -> Duration;
}

/// Serves a listener until `cancel`.
pub(super) async fn serve_socket<S: Slave>(
    slave: Arc<S>,
    wire: Wire,
    listener: TcpListener,
    cancel: CancellationToken,
) {
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            if connections.len() >= CONNECTIONS_MAX {
                connections.join_next().await;
            }
            match listener.accept().await {
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "answers may be held back by the system");
                    }
                    connections.spawn(converse(Arc::clone(&slave), wire, stream));
                }
                Err(error) => {
                    tracing::debug!(%error, "a modbus connection could not be accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    };
    cancel.run_until_cancelled(accepting).await;
}

/// A pseudo-terminal: the slave's end, and the end that a master opens by its name.
#[derive(Debug)]
pub(crate) struct Pty {
    slave: SerialStream,
    /// Kept open: without it the slave's end fails between two masters.
    _master: SerialStream,
    /// What a master opens, e.g. `/dev/pts/3`.
    pub(super) name: Box<str>,
}

impl Pty {
    /// Opens one.
    ///
    /// # Errors
    /// When the system has none left.
    pub(super) fn open() -> io::Result<Self> {
        let (slave, master) = SerialStream::pair()?;
        let name = master.name().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self {
            slave,
            _master: master,
            name: name.into(),
        })
    }
}

/// Serves a pseudo-terminal until `cancel`.
pub(super) async fn serve_pty<S: Slave>(slave: Arc<S>, pty: Pty, cancel: CancellationToken) {
    let Pty {
        slave: stream,
        _master: held,
        ..
    } = pty;
    cancel
        .run_until_cancelled(converse(slave, Wire::Rtu, stream))
        .await;
    drop(held);
}

/// Late answers that one conversation holds back at a time; further questions go unanswered.
const LATE_MAX: usize = 64;

/// One conversation: one question after the other. A late answer does not hold up the answers of other units.
async fn converse<S: Slave>(
    slave: Arc<S>,
    wire: Wire,
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send,
) {
    let mut bytes = Vec::new();
    let mut late: Vec<(Instant, Vec<u8>)> = Vec::new();
    loop {
        let next = late.iter().map(|(due, _)| *due).min();
        tokio::select! {
            read = timeout(FORGET, stream.read_buf(&mut bytes)) => match read {
                Err(_silence) => bytes.clear(),
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(_)) => {}
            },
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
        let now = Instant::now();
        let (due, still): (Vec<_>, Vec<_>) = late.into_iter().partition(|(due, _)| *due <= now);
        late = still;
        for (_, frame) in due {
            if stream.write_all(&frame).await.is_err() {
                return;
            }
        }
        loop {
            match speech::hear(wire, &bytes) {
                Heard::More => break,
                Heard::Noise => bytes.clear(),
                Heard::Question(asked, length) => {
                    bytes.drain(..length);
                    match reply(&*slave, wire, &asked, &mut stream).await {
                        Ok(None) => {}
                        Ok(Some(frame)) if late.len() < LATE_MAX => late.push(frame),
                        Ok(Some(_)) => tracing::debug!("too many late answers"),
                        Err(_closed) => return,
                    }
                }
            }
        }
    }
}

/// Answers now, or says with what to answer when.
async fn reply<S: Slave>(
    slave: &S,
    wire: Wire,
    asked: &Asked,
    stream: &mut (impl AsyncWrite + Unpin + Send),
) -> io::Result<Option<(Instant, Vec<u8>)>> {
    let Some(pdu) = slave.answer(asked) else {
        return Ok(None);
    };
    let frame = |pdu: &[u8]| speech::say(wire, asked, asked.unit, pdu);
    match slave.manner(asked.unit) {
        None => stream.write_all(&frame(&pdu)).await?,
        Some(Answer::Silent) => {}
        Some(Answer::Exception(code)) => {
            stream
                .write_all(&frame(&speech::refusal(&asked.pdu, code)))
                .await?
        }
        Some(Answer::Short) => stream.write_all(&frame(&shortened(pdu))).await?,
        Some(Answer::Late(by)) => {
            return Ok(Some((Instant::now() + slave.real(by), frame(&pdu))));
        }
        Some(Answer::WrongUnit) => {
            let other = speech::say(wire, asked, asked.unit.wrapping_add(1), &pdu);
            stream.write_all(&other).await?;
        }
        Some(Answer::WrongCheck) => {
            let mut bytes = frame(&pdu);
            // In RTU the CRC, in TCP the number of the question.
            let at = if wire == Wire::Tcp { 1 } else { bytes.len() - 1 };
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 0x55;
            }
            stream.write_all(&bytes).await?;
        }
        Some(Answer::Slow(pause)) => {
            for byte in frame(&pdu) {
                stream.write_all(&[byte]).await?;
                sleep(slave.real(pause)).await;
            }
        }
    }
    Ok(None)
}

/// The same answer with one register, or eight bits, less.
fn shortened(mut pdu: Vec<u8>) -> Vec<u8> {
    let less = match pdu.first() {
        Some(1 | 2) => 1,
        Some(3 | 4) => 2,
        _ => return pdu,
    };
    if let Some(length) = pdu.get_mut(1).filter(|length| **length >= less) {
        *length -= less;
        pdu.truncate(pdu.len() - usize::from(less));
    }
    pdu
}
