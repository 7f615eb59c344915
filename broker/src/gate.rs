//! The gate as a whole: starts its listeners, says what they are, stops in order.

use std::net::SocketAddr;
use std::sync::Arc;

use telemetry::Clock;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::connection::Shared;
use crate::counters::Tally;
use crate::door::pace::Paces;
use crate::door::rooms::Rooms;
use crate::exchange::Exchange;
use crate::fanout::FanOut;
use crate::listener::{Listener, Listening, Opened};
use crate::sessions::Sessions;
use crate::sweep;
use crate::transport::certificate::CertificateStatus;
use crate::transport::reload;
use crate::transport::tls::TlsError;
use crate::{Authenticator, Counters, GateConfig, Intake, Keeper, KeeperError};

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
    /// What a TLS listener shows or asks for cannot be used. Mend the named file.
    #[error("cannot listen for MQTT with TLS at {address}")]
    Tls {
        /// Which listener.
        address: SocketAddr,
        /// Which file, and why.
        source: TlsError,
    },
    /// No listener was configured. Name one.
    #[error("there is no place to listen at")]
    NoListener,
    /// The thread of the fan-out could not be started.
    #[error("cannot start the fan-out to subscribers")]
    FanOut(#[source] std::io::Error),
    /// Sessions and retained messages of before could not be read. Restore their file from a backup.
    #[error("cannot read the sessions and retained messages of before")]
    Keeper(#[source] KeeperError),
}

/// The open gate. Dropping it closes it without waiting for anything; [`Gate::stop`] is the orderly way.
pub struct Gate {
    first: SocketAddr,
    listeners: Vec<Opened>,
    reload: Arc<Notify>,
    tally: Arc<Tally>,
    exchange: Arc<Exchange>,
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
        let mut bound = Vec::with_capacity(config.listeners.len());
        for listener in &config.listeners {
            bound.push(Listener::bind(listener).await?);
        }
        let Some(first) = bound.first().map(|listener| listener.listening.address) else {
            return Err(GateError::NoListener);
        };
        let tally = Arc::<Tally>::default();
        let fan_out = FanOut::start(Arc::clone(&tally)).map_err(GateError::FanOut)?;
        let exchange = load(keeper, Arc::clone(&tally), clock.now()).await?;
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        let shared = Arc::new(Shared {
            config,
            authenticator,
            intake,
            clock,
            tally: Arc::clone(&tally),
            sessions: Arc::new(Sessions::default()),
            exchange: Arc::clone(&exchange),
            fan_out,
            paces: Paces::default(),
            stopping: stopping.clone(),
        });
        tasks.spawn(sweep::run(Arc::clone(&shared)));
        let rooms = Rooms::new(shared.config.admission);
        let (listeners, reload) = open(bound, &shared, &rooms, &tasks);
        let drop = stopping.clone().drop_guard();
        Ok(Self {
            first,
            listeners,
            reload,
            tally,
            exchange,
            stopping,
            tasks,
            _drop: drop,
        })
    }

    /// Where the first of the listeners is: with port 0 in the configuration, the port that was found.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.first
    }

    /// All listeners, in the order of the configuration.
    #[must_use]
    pub fn listeners(&self) -> Vec<Listening> {
        self.listeners.iter().map(|opened| opened.listening).collect()
    }

    /// The certificates that the TLS listeners show now.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateStatus> {
        self.listeners.iter().filter_map(Opened::certificate).collect()
    }

    /// Has all certificates, keys, authorities and revocation lists read anew, soon. What cannot be used leaves
    /// what was there; [`CertificateStatus::refused`], the counters and the log say so.
    pub fn reload_certificates(&self) {
        self.reload.notify_one();
    }

    /// What happened since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.exchange.show();
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

/// Reads what was kept, beside the other tasks.
async fn load(
    keeper: Arc<dyn Keeper>,
    tally: Arc<Tally>,
    now: telemetry::Timestamp,
) -> Result<Arc<Exchange>, GateError> {
    let loading = tokio::task::spawn_blocking(move || Exchange::load(keeper, tally, now));
    match loading.await {
        Ok(Ok(exchange)) => Ok(Arc::new(exchange)),
        Ok(Err(error)) => Err(GateError::Keeper(error)),
        Err(error) => Err(GateError::Keeper(KeeperError::Unreadable(error.to_string()))),
    }
}

/// Starts a task for each listener, and one that looks after their certificates.
fn open(
    bound: Vec<Listener>,
    shared: &Arc<Shared>,
    rooms: &Arc<Rooms>,
    tasks: &TaskTracker,
) -> (Vec<Opened>, Arc<Notify>) {
    let listeners: Vec<_> = bound.iter().map(Listener::opened).collect();
    let sites: Vec<_> = listeners
        .iter()
        .filter_map(|opened| opened.site.clone())
        .collect();
    let asked = Arc::new(Notify::new());
    if !sites.is_empty() {
        let watch = reload::Watch {
            sites,
            every: shared.config.certificate_look_every,
            asked: Arc::clone(&asked),
            clock: Arc::clone(&shared.clock),
            tally: Arc::clone(&shared.tally),
        };
        tasks.spawn(reload::watch(watch, shared.stopping.clone()));
    }
    for listener in bound {
        tasks.spawn(listener.run(Arc::clone(shared), Arc::clone(rooms), tasks.clone()));
    }
    (listeners, asked)
}
