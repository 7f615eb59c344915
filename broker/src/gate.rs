//! The listener: takes sockets, bounds them, stops in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use telemetry::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::connection::io::Io;
use crate::connection::{self, Arrival, Shared, handshake};
use crate::counters::Tally;
use crate::door::pace::Paces;
use crate::fanout::FanOut;
use crate::limits::REFUSALS_MAX;
use crate::sessions::Sessions;
use crate::{Authenticator, Counters, GateConfig, Intake, Keeper, KeeperError};

/// How long the listener rests when the operating system has no socket for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the gate could not start.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The address is taken or not ours. Choose another, or stop who has it.
    #[error("cannot listen for MQTT at {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The thread of the fan-out could not be started.
    #[error("cannot start the fan-out to subscribers")]
    FanOut(#[source] std::io::Error),
    /// Sessions and retained messages of before could not be read. Restore their file from a backup.
    #[error("cannot read the sessions and retained messages of before")]
    Keeper(#[source] KeeperError),
}

/// The open gate. Dropping it closes it without waiting for anything; [`Gate::stop`] is the orderly way.
pub struct Gate {
    local_addr: SocketAddr,
    tally: Arc<Tally>,
    stopping: CancellationToken,
    tasks: TaskTracker,
    _drop: DropGuard,
}

impl Gate {
    /// Listens. A message is acknowledged only after `intake` has taken it; it is stamped by `clock`. What
    /// `keeper` has kept is there again before the first client.
    ///
    /// # Errors
    /// [`GateError`]; nothing is left running.
    pub async fn start(
        config: GateConfig,
        authenticator: Arc<dyn Authenticator>,
        intake: Arc<dyn Intake>,
        keeper: Arc<dyn Keeper>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, GateError> {
        // Nothing outlives the process yet: the next change of the gate reads and writes it.
        drop(keeper);
        let address = config.listen;
        let listen = |source| GateError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let local_addr = listener.local_addr().map_err(listen)?;
        let tally = Arc::<Tally>::default();
        let fan_out = FanOut::start(Arc::clone(&tally)).map_err(GateError::FanOut)?;
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        let shared = Arc::new(Shared {
            config,
            authenticator,
            intake,
            clock,
            tally: Arc::clone(&tally),
            sessions: Arc::new(Sessions::default()),
            fan_out,
            paces: Paces::default(),
            stopping: stopping.clone(),
        });
        tasks.spawn(listen_on(listener, shared, tasks.clone()));
        let drop = stopping.clone().drop_guard();
        Ok(Self {
            local_addr,
            tally,
            stopping,
            tasks,
            _drop: drop,
        })
    }

    /// Where it listens: with port 0 in the configuration, the port that was found.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What happened since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.tally.snapshot()
    }

    /// Takes no more sockets, waits for the messages under way as long as
    /// [`GateConfig::stop_timeout`] says, acknowledges them, tells every client, and closes. The thread of
    /// rumqttd's router parks until the process ends.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Takes sockets until the gate stops.
async fn listen_on(listener: TcpListener, shared: Arc<Shared>, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(shared.config.connections_max));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                shared.tally.accepted.one();
                take(&shared, &tasks, &places, &refusals, stream, peer);
            }
            Err(error) => {
                shared.tally.accept_errors.one();
                if !failing {
                    failing = true;
                    tracing::error!(%error, "cannot take connections; trying on");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Starts a task for one socket, or for telling it that there is no room, or closes it.
fn take(
    shared: &Arc<Shared>,
    tasks: &TaskTracker,
    places: &Arc<Semaphore>,
    refusals: &Arc<Semaphore>,
    stream: TcpStream,
    peer: SocketAddr,
) {
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%peer, %error, "socket was gone before it was served");
    }
    let shared = Arc::clone(shared);
    if let Ok(place) = Arc::clone(places).try_acquire_owned() {
        tasks.spawn(async move {
            let arrival = Arrival {
                peer,
                certificate: None,
            };
            connection::serve(shared, stream, arrival).await;
            drop(place);
        });
        return;
    }
    shared.tally.refused_full.one();
    if let Ok(turn) = Arc::clone(refusals).try_acquire_owned() {
        tasks.spawn(async move {
            handshake::refuse_full(&shared, Io::new(stream), peer).await;
            drop(turn);
        });
    }
}
