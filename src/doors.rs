//! The doors beside the gate: data loggers that connect, and an external broker that is listened to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ingest::external::{External, ExternalConfig, Tls};
use ingest::hj212::{Hj212Config, Listener};
use telemetry::registry::Transport;
use telemetry::time::Span;
use telemetry::{Catalogue, Clock};
use tokio_util::sync::CancellationToken;
use toml::Spanned;

use crate::config::{self, Config, node_of};
use crate::exit::Failure;
use crate::intake::JournalIntake;

/// Longest wait before the external broker is tried again.
const RECONNECT_MAX: Span = Span::from_secs(30);

/// Those that the configuration has opened.
#[derive(Debug)]
pub(crate) struct Doors {
    hj212: Option<Listener>,
    external: Option<External>,
}

impl Doors {
    /// Opens them.
    pub(crate) async fn start(
        config: &Config,
        catalogue: &Catalogue,
        intake: &JournalIntake,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let hj212 = start_hj212(&config.hj212, catalogue, intake, clock).await?;
        let external = match &config.external {
            Some(external) => {
                let (sink, clock) = (intake.sink(), Arc::clone(clock));
                let settings = external_settings(external)?;
                Some(External::start(settings, sink, clock, &CancellationToken::new()))
            }
            None => None,
        };
        Ok(Self { hj212, external })
    }

    /// Closes them; what is on its way into the journal is waited for.
    pub(crate) async fn stop(&self) {
        if let Some(listener) = &self.hj212 {
            listener.stop().await;
        }
        if let Some(external) = &self.external {
            external.stop().await;
        }
    }

    /// What to say of them on the terminal: name and where.
    pub(crate) fn announced(&self) -> Vec<(&'static str, String)> {
        let hj212 = self.hj212.as_ref();
        hj212
            .map(|door| ("HJ212", door.local_addr().to_string()))
            .into_iter()
            .collect()
    }

    /// For `/metrics`, without the name of the program before them.
    pub(crate) fn counters(&self) -> Vec<(String, u64)> {
        let hj212 = self.hj212.iter().flat_map(|door| door.counters().iter());
        let external = self.external.iter().flat_map(|door| door.counters().iter());
        hj212
            .map(|(name, value)| (format!("hj212_{name}"), value))
            .chain(external.map(|(name, value)| (format!("external_{name}"), value)))
            .collect()
    }

    /// Messages of the external broker that each worker has acknowledged.
    pub(crate) fn by_worker(&self) -> Vec<u64> {
        let counts = self.external.iter().flat_map(|door| &door.counters().by_worker);
        counts.map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// For `/readyz`.
    pub(crate) fn why_not_ready(&self) -> Option<String> {
        let external = self.external.as_ref()?;
        let why = "no worker is subscribed at the external broker";
        (!external.is_connected()).then(|| why.to_owned())
    }
}

async fn start_hj212(
    config: &config::Hj212,
    catalogue: &Catalogue,
    intake: &JournalIntake,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Listener>, Failure> {
    let loggers = catalogue
        .devices()
        .iter()
        .filter(|entry| matches!(entry.device.transport, Transport::Hj212 { .. }))
        .count();
    let Some(address) = config.listen else {
        if loggers > 0 {
            tracing::warn!(
                loggers,
                "data loggers are registered, but hj212.listen is not set"
            );
        }
        return Ok(None);
    };
    let settings = Hj212Config {
        connections_max: config.connections_max,
        connections_per_address_max: config.connections_per_address_max,
        idle_timeout: config.idle_timeout.duration(),
        ..Hj212Config::default()
    };
    let (sink, clock) = (intake.sink(), Arc::clone(clock));
    let cancel = CancellationToken::new();
    Listener::start(address, catalogue, sink, clock, settings, cancel)
        .await
        .map(Some)
        .map_err(|error| taken(error.address, error.source))
}

fn taken(address: SocketAddr, source: std::io::Error) -> Failure {
    Failure::Address {
        what: "HJ 212",
        address,
        option: "hj212.listen in the configuration",
        source,
    }
}

fn external_settings(external: &config::External) -> Result<ExternalConfig, Failure> {
    let read = |path: &Spanned<PathBuf>| {
        let path = path.get_ref();
        std::fs::read(path)
            .map_err(|error| Failure::Input(format!("{} cannot be read: {error}", path.display())))
    };
    let client = match (&external.certificate, &external.key) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        _ => None,
    };
    let tls = match &external.ca {
        Some(ca) => Some(Tls {
            ca: read(ca)?,
            client,
        }),
        None => None,
    };
    let password = external.password.as_ref();
    let password = password.map_or_else(String::new, |secret| secret.get_ref().clone());
    let nodes = external.nodes.get_ref().iter();
    let nobody = "external"
        .parse()
        .map_err(|error| Failure::other("the name of nobody is no name", error))?;
    Ok(ExternalConfig {
        nodes: nodes.filter_map(|node| node_of(node)).collect(),
        client_id: external.client_id.clone(),
        login: external.user.clone().map(|user| (user, password)),
        tls,
        filters: external.filters.clone(),
        group: external.shared.then(|| external.group.clone()),
        workers: *external.workers.get_ref(),
        session_expiry: external.session_expiry.duration(),
        receive_max: external.receive_max.max(1),
        reconnect_max: RECONNECT_MAX,
        nobody,
    })
}
