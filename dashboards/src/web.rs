//! What the web is made of, and how it is served.

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;

use alarms::CaseService;
use alarms::figures::Figures;
use store::series::{Cancel, SeriesReader};
use store::state::State;
use telemetry::{Catalogue, Clock};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::book::AlarmBook;
use crate::civil::Civil;
use crate::desk::Desk;
use crate::exporter::Exporter;
use crate::field::Field;
use crate::live::{Board, Bus, LiveFeed};
use crate::map::MapCache;
use crate::problem::Problem;
use crate::push::{Door, Porch};
use crate::registrar::Registrar;
use crate::{limits, listener, pulse, routes};

/// Answers further lines of `/metrics` in Prometheus' text form.
pub type Metrics = dyn Fn() -> String + Send + Sync;
/// Answers why the program is not ready, or nothing when it is.
pub type Readiness = dyn Fn() -> Option<String> + Send + Sync;

/// Everything that the web shows and needs. All of it is read only, but for acknowledging alarms, for cases, for what
/// is pushed, and for the writes that [`Field`] allows.
#[derive(Clone)]
pub struct Web {
    /// What there is in the county.
    pub catalogue: Arc<Catalogue>,
    /// Where points are read.
    pub series: Arc<dyn SeriesReader>,
    /// Where ledgers and dead letters are read.
    pub state: Arc<State>,
    /// The alarms: a [`crate::book::ServiceBook`] in the program.
    pub alarms: Arc<dyn AlarmBook>,
    /// The cases that come of alarms.
    pub cases: Arc<CaseService>,
    /// Computes the figures. They must read the same alarms and series.
    pub figures: Arc<Figures>,
    /// The program's clock.
    pub clock: Arc<dyn Clock>,
    /// Sees every batch: call [`LiveFeed::observe`] for each.
    pub live: Arc<LiveFeed>,
    /// The polled units: [`crate::field::NoField`] where there are none.
    pub field: Arc<dyn Field>,
    /// Who may come in.
    pub access: Access,
    /// Changes who may come in.
    pub registrar: Arc<dyn Registrar>,
    /// For those who push readings; none: nobody may.
    pub push: Option<Push>,
    /// Writes points as files.
    pub exporter: Arc<dyn Exporter>,
    /// Further lines for `/metrics`, from gate, journal and pipeline.
    pub metrics: Arc<Metrics>,
    /// For `/readyz`.
    pub readiness: Arc<Readiness>,
}

/// The door for those who push readings.
#[derive(Clone)]
pub struct Push {
    /// Who they are, and where their readings go.
    pub door: Arc<dyn Door>,
    /// Most requests a second of one sender; twice as many at once. More: refused with 429.
    pub requests_per_s_max: u32,
}

/// Why the web could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Open access on an address that others can reach. Bind to 127.0.0.1, or configure tokens.
    #[error("the web is open to everybody and would listen on {0}, which is not a loopback address")]
    OpenToOthers(SocketAddr),
    /// The socket failed.
    #[error("the web server failed")]
    Socket(#[source] std::io::Error),
}

/// What the handlers share.
pub(crate) struct App {
    pub(crate) web: Web,
    pub(crate) board: Board,
    pub(crate) bus: Bus,
    pub(crate) civil: Civil,
    pub(crate) maps: MapCache,
    pub(crate) desk: Desk,
    pub(crate) porch: Porch,
    /// Asks for the colours of the gas sites anew.
    pub(crate) colours: Notify,
    /// Wakes the pulse to decide the board anew.
    pub(crate) changed: Notify,
    /// Bounds the threads that read the stores.
    pub(crate) reads: Arc<Semaphore>,
    /// Bounds the exports.
    pub(crate) exports: Arc<Semaphore>,
    /// Bounds the live streams.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) cancel: CancellationToken,
}

impl App {
    pub(crate) fn new(web: Web, cancel: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            board: Board::new(Arc::clone(&web.catalogue)),
            bus: Bus::default(),
            civil: Civil::new(&web.catalogue.registry().county.zone),
            maps: MapCache::default(),
            desk: Desk::new(Arc::clone(&web.figures)),
            colours: Notify::new(),
            changed: Notify::new(),
            porch: Porch::new(web.push.as_ref().map_or(1, |push| push.requests_per_s_max)),
            reads: Arc::new(Semaphore::new(limits::READS_MAX)),
            exports: Arc::new(Semaphore::new(limits::EXPORTS_MAX)),
            streams: Arc::new(Semaphore::new(limits::STREAMS_MAX)),
            cancel,
            web,
        })
    }

    /// As [`App::blocking`], for reads that may take long: `read` is told when nobody waits for its answer any more,
    /// because the client has gone or the request took too long.
    pub(crate) async fn asking<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self, &Cancel) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let cancel = Cancel::new();
        let _waiting = Waiting(cancel.clone());
        self.blocking(move |app| read(app, &cancel)).await
    }

    /// Runs `read` on a blocking thread; waits for a free one, but not for ever.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = Arc::clone(&self.reads).acquire_owned();
        let permit = tokio::time::timeout(limits::READ_WAIT, permit).await;
        let Ok(Ok(permit)) = permit else {
            return Err(Problem::busy("all readers of the stores are busy"));
        };
        let app = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let answer = read(&app);
            drop(permit);
            answer
        });
        done.await
            .map_err(|error| Problem::internal("reading the stores", &error))?
    }
}

/// Somebody waits for the answer for as long as this lives.
struct Waiting(Cancel);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Serves pages and API on `listener` until `cancel` is cancelled; open live streams end with it.
///
/// # Errors
/// [`ServeError`] when access is open and the address is not loopback, or the socket fails.
pub async fn serve(listener: TcpListener, web: Web, cancel: CancellationToken) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Socket)?;
    if matches!(web.access, Access::OpenOnLoopback) && !address.ip().is_loopback() {
        return Err(ServeError::OpenToOthers(address));
    }
    let app = App::new(web, cancel.child_token());
    let pulse = tokio::spawn(pulse::run(Arc::clone(&app)));
    tracing::info!(%address, "web listens");
    let router = routes::router(Arc::clone(&app));
    let service = router.into_make_service_with_connect_info::<listener::Peer>();
    let served = axum::serve(listener::Bounded::new(listener), service)
        .with_graceful_shutdown(app.cancel.clone().cancelled_owned());
    let drained = async {
        app.cancel.cancelled().await;
        tokio::time::sleep(limits::DRAIN).await;
    };
    let result = tokio::select! {
        result = served.into_future() => result.map_err(ServeError::Socket),
        () = drained => Ok(()),
    };
    app.cancel.cancel();
    pulse::ended(pulse.await);
    result
}
