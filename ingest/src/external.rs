//! An external MQTT broker, or a cluster of them, as a source: several clients side by side with one shared
//! subscription, each acknowledging a message only when the journal has fsynced it.
//!
//! [`letter`] (what a publish becomes) is pure; `worker` and `session` own the sockets. Only these two know the client
//! library.
//!
//! The broker has found out who published, so the device of the topic stands as the sender; what it may publish is the
//! broker's to check. A message about nobody who is registered becomes a dead letter, as one that cannot be read does.

mod letter;
mod session;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use telemetry::time::Span;
use telemetry::{Clock, DeviceId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::modbus::Sink;
use worker::Worker;

/// Which broker, and how.
#[derive(Clone)]
pub struct ExternalConfig {
    /// Host and port of each node, at least one. A worker begins with the one of its number and goes on to the next
    /// after each failure.
    pub nodes: Vec<(String, u16)>,
    /// Beginning of the client ids; a worker's number follows it. The same after every start: the broker keeps its
    /// session under it.
    pub client_id: String,
    /// User name and password.
    pub login: Option<(String, String)>,
    /// TLS; none: in the clear.
    pub tls: Option<Tls>,
    /// Filters, without `$share`.
    pub filters: Vec<String>,
    /// Name of the group that shares the messages; none, for a broker that has no shared subscriptions: then there
    /// may be one worker only.
    pub group: Option<String>,
    /// Clients side by side.
    pub workers: u16,
    /// How long the broker keeps a worker's session, and the messages for it, while it is not connected.
    pub session_expiry: Duration,
    /// Messages that a worker may have unacknowledged.
    pub receive_max: u16,
    /// Longest wait before the next attempt to connect. The wait doubles from 250 ms on, less up to half at random.
    pub reconnect_max: Span,
    /// Who stands as the sender of a message whose topic names no device.
    pub nobody: DeviceId,
}

/// PEM texts.
#[derive(Clone)]
pub struct Tls {
    /// The authority that the broker's certificate must come from.
    pub ca: Vec<u8>,
    /// Certificate and key to show.
    pub client: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for ExternalConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExternalConfig")
            .field("nodes", &self.nodes)
            .field("client_id", &self.client_id)
            .field("filters", &self.filters)
            .field("group", &self.group)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

/// What the workers did since they were started. Each is a count but `connected`.
#[derive(Debug, Default)]
pub struct Counters {
    /// Workers that are subscribed.
    pub connected: AtomicU64,
    /// Connections that could not be made, or were lost.
    pub failures: AtomicU64,
    /// Messages that came, with those that came again.
    pub received: AtomicU64,
    /// Messages that the broker marked as sent before.
    pub redelivered: AtomicU64,
    /// Messages that are on disk and were acknowledged.
    pub acknowledged: AtomicU64,
    /// Messages that the journal refused; the broker sends them again.
    pub refused: AtomicU64,
    /// Of the acknowledged: those of each worker.
    pub by_worker: Vec<AtomicU64>,
    /// Messages whose topic names no device, or that are too large: kept as dead letters, the latter cut.
    pub strange: AtomicU64,
}

impl Counters {
    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("connected", &self.connected),
            ("failures_total", &self.failures),
            ("received_total", &self.received),
            ("redelivered_total", &self.redelivered),
            ("acknowledged_total", &self.acknowledged),
            ("refused_total", &self.refused),
            ("strange_total", &self.strange),
        ]
        .into_iter()
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

/// The running workers.
#[derive(Debug)]
pub struct External {
    counters: Arc<Counters>,
    cancel: CancellationToken,
    workers: TaskTracker,
}

impl External {
    /// Starts the workers. They go on trying for ever when the broker cannot be reached, which is told once.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(
        config: ExternalConfig,
        sink: Sink,
        clock: Arc<dyn Clock>,
        cancel: &CancellationToken,
    ) -> Self {
        let of_each = (0..config.workers.max(1)).map(|_| AtomicU64::new(0));
        let counters = Arc::new(Counters {
            by_worker: of_each.collect(),
            ..Counters::default()
        });
        let cancel = cancel.child_token();
        let workers = TaskTracker::new();
        let config = Arc::new(config);
        for number in 0..config.workers.max(1) {
            let worker = Worker {
                number,
                config: Arc::clone(&config),
                sink: Arc::clone(&sink),
                clock: Arc::clone(&clock),
                counters: Arc::clone(&counters),
                cancel: cancel.clone(),
            };
            workers.spawn(worker.run());
        }
        workers.close();
        tracing::info!(?config, "listening to an external broker");
        Self {
            counters,
            cancel,
            workers,
        }
    }

    /// What has happened since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether any worker is subscribed.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.counters.connected.load(Ordering::Relaxed) > 0
    }

    /// Takes no more, waits until what is under way is in the journal and acknowledged, and disconnects.
    pub async fn stop(&self) {
        self.cancel.cancel();
        self.workers.wait().await;
    }
}
