//! One place to listen at: binds it, takes sockets, and starts a task for each. Nothing here waits for a
//! client: handshakes run in the client's own task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::config::{ClientCertificates, ListenerConfig};
use crate::connection::{self, Arrival, Shared};
use crate::door::rooms::Rooms;
use crate::door::spare::Spare;
use crate::gate::GateError;
use crate::transport::certificate::CertificateStatus;
use crate::transport::tls::TlsSite;
use crate::transport::{self, Kind, Layers, OpenError, Stream};

/// How long a listener rests when the operating system has no socket for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A place that is listened at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Where: with port 0 in the configuration, the port that was found.
    pub address: SocketAddr,
    /// What is spoken below MQTT.
    pub kind: Kind,
    /// How clients prove who they are.
    pub proof: Proof,
}

/// How clients of one listener prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// With a password.
    Password,
    /// With a certificate, or else with a password.
    CertificateOrPassword,
    /// With a certificate.
    Certificate,
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password => "password",
            Self::CertificateOrPassword => "client certificate or password",
            Self::Certificate => "client certificate",
        })
    }
}

/// A bound listener.
pub(crate) struct Listener {
    socket: TcpListener,
    layers: Arc<Layers>,
    pub(crate) listening: Listening,
}

impl Listener {
    /// Reads the certificates and binds the address.
    pub(crate) async fn bind(config: &ListenerConfig) -> Result<Self, GateError> {
        let address = config.address;
        let tls = match &config.tls {
            None => None,
            Some(tls) => {
                let site = TlsSite::load(tls.clone());
                Some(Arc::new(
                    site.map_err(|source| GateError::Tls { address, source })?,
                ))
            }
        };
        let layers = Layers {
            tls,
            websocket: config.websocket.clone(),
        };
        let listen = |source| GateError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(listen)?;
        let listening = Listening {
            address: socket.local_addr().map_err(listen)?,
            kind: layers.kind(),
            proof: match layers.tls.as_ref().map(|site| site.clients()) {
                None | Some(ClientCertificates::None) => Proof::Password,
                Some(ClientCertificates::Optional(_)) => Proof::CertificateOrPassword,
                Some(ClientCertificates::Required(_)) => Proof::Certificate,
            },
        };
        Ok(Self {
            socket,
            layers: Arc::new(layers),
            listening,
        })
    }

    /// What the gate remembers of it.
    pub(crate) fn opened(&self) -> Opened {
        Opened {
            listening: self.listening,
            site: self.layers.tls.clone(),
        }
    }

    /// Takes sockets until the gate stops.
    pub(crate) async fn run(self, shared: Arc<Shared>, rooms: Arc<Rooms>, tasks: TaskTracker) {
        let mut spare = Spare::new();
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&rooms) => accepted,
                () = shared.stopping.cancelled() => return,
            };
            match accepted {
                Ok((socket, peer)) => {
                    failing = false;
                    shared.tally.accepted.one();
                    self.take(&shared, &tasks, &rooms, socket, peer);
                }
                Err(error) => {
                    shared.tally.accept_errors.one();
                    if !failing {
                        failing = true;
                        tracing::error!(%error, "cannot take connections; trying on");
                    }
                    let refused = spare.refuse(&self.socket).await;
                    shared.tally.refused_descriptors.add(refused);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The next socket, no sooner than the rate for all allows.
    async fn accept(&self, rooms: &Rooms) -> std::io::Result<(TcpStream, SocketAddr)> {
        while let Some(at) = rooms.accept_at(Instant::now()) {
            tokio::time::sleep_until(at).await;
        }
        self.socket.accept().await
    }

    /// Starts a task for one socket, or closes it.
    fn take(
        &self,
        shared: &Arc<Shared>,
        tasks: &TaskTracker,
        rooms: &Arc<Rooms>,
        socket: TcpStream,
        peer: SocketAddr,
    ) {
        let now = Instant::now();
        let Ok(stranger) = rooms.stranger(peer.ip(), now) else {
            return shared.tally.refused_strangers.one();
        };
        if let Err(error) = socket.set_nodelay(true) {
            return tracing::debug!(%peer, %error, "socket was gone before it was served");
        }
        let arrival = Arrival {
            peer,
            certificate: None,
            stranger,
            connect_by: now + shared.config.connect_timeout,
        };
        let (shared, layers) = (Arc::clone(shared), Arc::clone(&self.layers));
        tasks.spawn(async move {
            // Boxed: what a handshake needs is given back when it is over.
            let open = Box::pin(shake_hands(&shared, &layers, socket, arrival)).await;
            if let Some((stream, arrival)) = open {
                connection::serve(shared, stream, arrival).await;
            }
        });
    }
}

/// The handshakes below MQTT, in the time that there is for a CONNECT.
async fn shake_hands(
    shared: &Shared,
    layers: &Layers,
    socket: TcpStream,
    arrival: Arrival,
) -> Option<(Stream, Arrival)> {
    let peer = arrival.peer;
    let opened = tokio::select! {
        opened = timeout_at(arrival.connect_by, transport::open(socket, layers)) => opened,
        () = shared.stopping.cancelled() => return None,
    };
    match opened {
        Ok(Ok((stream, certificate))) => Some((
            stream,
            Arrival {
                certificate,
                ..arrival
            },
        )),
        Ok(Err(error)) => {
            let count = match &error {
                OpenError::Tls(_) => &shared.tally.tls_failed,
                OpenError::Upgrade(_) => &shared.tally.upgrade_failed,
            };
            count.one();
            let why = telemetry::with_causes(&error);
            tracing::debug!(%peer, %why, "no connection");
            None
        }
        Err(_) => {
            shared.tally.connect_timeouts.one();
            None
        }
    }
}

/// What the gate remembers of a listener that runs.
pub(crate) struct Opened {
    pub(crate) listening: Listening,
    /// Its certificates, when it has some.
    pub(crate) site: Option<Arc<TlsSite>>,
}

impl Opened {
    /// What it shows now.
    pub(crate) fn certificate(&self) -> Option<CertificateStatus> {
        let (facts, refused) = self.site.as_ref()?.facts();
        Some(CertificateStatus {
            listener: self.listening.address,
            subject: facts.subject,
            not_before: facts.not_before,
            not_after: facts.not_after,
            refused,
        })
    }
}
