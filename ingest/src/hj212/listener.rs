//! The sockets of the loggers: one task a connection. Everything that one read held is journaled together, and only
//! then answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use telemetry::{Catalogue, Clock, RawMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::crowd::{Crowd, Place};
use super::desk::{Desk, Verdict};
use super::frame::Framer;
use super::{Counters, Hj212Config, Sink, count};

/// How long a logger may take to read its answer. Then its connection is closed.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// After a failed accept (no file descriptors), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const READ_BYTES: usize = 4096;

/// The address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for HJ 212 on {address}")]
pub struct ListenError {
    /// Which.
    pub address: SocketAddr,
    /// Why.
    pub source: std::io::Error,
}

/// A running listener.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    counters: Arc<Counters>,
    cancel: CancellationToken,
    task: TaskTracker,
}

impl Listener {
    /// Listens for the loggers of `catalogue`. It ends with `cancel` or [`Listener::stop`].
    ///
    /// # Errors
    /// [`ListenError`] when the address cannot be bound.
    pub async fn start(
        address: SocketAddr,
        catalogue: &Catalogue,
        sink: Sink,
        clock: Arc<dyn Clock>,
        config: Hj212Config,
        cancel: CancellationToken,
    ) -> Result<Self, ListenError> {
        let refused = |source| ListenError { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let counters = Arc::new(Counters::default());
        let desk = Desk::new(catalogue, Arc::clone(&counters));
        tracing::info!(address = %bound, loggers = desk.loggers(), "listening for HJ 212");
        let cancel = cancel.child_token();
        let shared = Arc::new(Shared {
            desk,
            sink,
            clock,
            config,
            counters: Arc::clone(&counters),
            cancel: cancel.clone(),
        });
        let task = TaskTracker::new();
        task.spawn(accept(listener, shared));
        task.close();
        Ok(Self {
            address: bound,
            counters,
            cancel,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What has happened since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Stops listening and waits until what is on its way into the journal is there and answered.
    pub async fn stop(&self) {
        self.cancel.cancel();
        self.task.wait().await;
    }
}

struct Shared {
    desk: Desk,
    sink: Sink,
    clock: Arc<dyn Clock>,
    config: Hj212Config,
    counters: Arc<Counters>,
    cancel: CancellationToken,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let crowd = Crowd::new(&shared.config, Arc::clone(&shared.counters));
    loop {
        tokio::select! {
            () = shared.cancel.cancelled() => break,
            Some(ended) = connections.join_next() => tell_panic(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if let Some(place) = crowd.enter(peer.ip()) {
                        connections.spawn(serve(stream, peer, Arc::clone(&shared), place));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a logger could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        tell_panic(ended);
    }
}

fn tell_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the task of a logger has panicked");
    }
}

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Failed,
    Silent,
    Stranger,
    Refused,
    NotTaken,
    Stopped,
}

async fn serve(mut stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, _place: Place) {
    let mut visit = Visit {
        framer: Framer::default(),
        refused: 0,
        known: false,
        shared: &shared,
    };
    let end = visit.run(&mut stream).await;
    let Visit { known, refused, .. } = visit;
    tracing::info!(%peer, ?end, known, refused, "a logger's connection has ended");
}

/// One connection.
struct Visit<'a> {
    framer: Framer,
    /// Packets refused in a row.
    refused: u32,
    /// Whether a registered logger has shown its password.
    known: bool,
    shared: &'a Shared,
}

impl Visit<'_> {
    async fn run(&mut self, stream: &mut TcpStream) -> End {
        let config = &self.shared.config;
        let mut buffer = vec![0; READ_BYTES];
        let stranger = tokio::time::sleep(config.first_packet_timeout);
        tokio::pin!(stranger);
        loop {
            let within = self.framer.is_within();
            let wait = if within {
                config.packet_timeout
            } else {
                config.idle_timeout
            };
            tokio::select! {
                () = self.shared.cancel.cancelled() => return End::Stopped,
                () = &mut stranger, if !self.known => return End::Stranger,
                read = tokio::time::timeout(wait, stream.read(&mut buffer)) => match read {
                    Ok(Ok(0)) => return End::Closed,
                    Ok(Ok(length)) => self.framer.push(buffer.get(..length).unwrap_or_default()),
                    Ok(Err(_)) => return End::Failed,
                    Err(_) if !within => return End::Silent,
                    Err(_) => {
                        if let Some(cut) = self.framer.give_up() {
                            // No answer to what was cut off.
                            self.shared.desk.judge(cut, self.shared.clock.now());
                            self.refused += 1;
                        }
                    }
                },
            }
            if let Err(end) = self.work(stream).await {
                return end;
            }
        }
    }

    /// Takes all that is whole: into the journal, then the answers.
    async fn work(&mut self, stream: &mut TcpStream) -> Result<(), End> {
        let arrived = self.shared.clock.now();
        let mut messages: Vec<RawMessage> = Vec::new();
        let mut answers: Vec<Vec<u8>> = Vec::new();
        while let Some(found) = self.framer.next() {
            match self.shared.desk.judge(found, arrived) {
                Verdict::Take { message, answer } => {
                    self.refused = 0;
                    self.known = true;
                    messages.push(message);
                    answers.extend(answer);
                }
                Verdict::Refuse { answer } => {
                    self.refused += 1;
                    answers.extend(answer);
                }
                Verdict::Pass => {}
            }
        }
        let counters = &self.shared.counters;
        if !messages.is_empty() {
            let packets = messages.len();
            if let Err(error) = (self.shared.sink)(messages).await {
                count(&counters.not_taken, packets);
                tracing::warn!(%error, packets, "packets of a logger are not taken");
                return Err(End::NotTaken);
            }
            count(&counters.packets, packets);
        }
        for answer in &answers {
            match tokio::time::timeout(WRITE_TIME, stream.write_all(answer)).await {
                Ok(Ok(())) => count(&counters.answers, 1),
                Ok(Err(_)) => return Err(End::Failed),
                Err(_) => return Err(End::Silent),
            }
        }
        if self.refused >= self.shared.config.refused_max {
            return Err(End::Refused);
        }
        Ok(())
    }
}
