//! `townwatch serve`, and the server half of `demo`: every part, started in order and stopped in order.
//!
//! Start: data folder, sockets of the web, files, alarms, pipeline, the other doors,
//! gate, poller, pages. Stop: the sources first (poller, doors, gate), then what is under way drains through the pipeline, then the files are closed.
//! Whatever fails before the end of the start leaves nothing behind: each part stops when it is dropped.

pub(crate) mod cases;
mod degraded;
mod failing;
mod metrics;
mod platform;
mod remote;
mod serve;
mod sources;
mod watch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use alarms::cases::Rules;
use alarms::figures::{Figures, HealthPolicy, Policy};
use alarms::notify::Notifier;
use broker::{Anonymous, Gate, Proof};
use dashboards::book::ServiceBook;
use dashboards::{Access, Role, Token, Web};
use ingest::modbus::{FieldAccess, ModbusConfig, Poller, Writes};
use store::reserve::Reserve;
use store::state::State;
use telemetry::profile::Profile;
use telemetry::registry::Registry;
use telemetry::{Catalogue, Clock};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::office::Office;
use crate::access::registrar::OfficeDesk;
use crate::config::{self, Config};
use crate::data_folder::DataFolder;
use crate::exit::Failure;
use crate::export::desk::ExportDesk;
use crate::field::PolledField;
use crate::intake::JournalIntake;
use crate::push::PushDoor;
use platform::Platform;
pub(crate) use platform::SELF;
pub(crate) use serve::{read_policy, serve};
use sources::Sources;
pub(crate) use sources::sun;

/// Everything that a server is started from.
pub(crate) struct Plan {
    /// Held until the server has stopped.
    pub data: DataFolder,
    /// Open, in that folder.
    pub state: Arc<State>,
    /// What everybody reads the time from.
    pub clock: Arc<dyn Clock>,
    /// Who and what there is.
    pub catalogue: Arc<Catalogue>,
    /// Where it is decided who may come in.
    pub office: Arc<Office>,
    /// Limits and formulae of the figures.
    pub policy: Policy,
    /// The bounds of alarm health.
    pub health: HealthPolicy,
    /// What cases are decided by.
    pub cases: Rules,
    /// Everything else.
    pub config: Config,
    /// Bound already, so that a taken port is found before anything starts.
    pub web: TcpListener,
    /// Room on the data disk that only alarms may use.
    pub reserve: Option<Arc<Reserve>>,
    /// Why the data folder lies in memory and nothing is acknowledged.
    pub degraded: Option<String>,
}

/// A running server.
pub(crate) struct Server {
    /// Where the gate listens; none when it is switched off.
    pub mqtt: Option<SocketAddr>,
    /// What is said of clients that give no user name.
    nameless: &'static str,
    /// Where pages and API are.
    pub web: SocketAddr,
    sources: Arc<Sources>,
    poller: Poller,
    notifier: JoinHandle<()>,
    pages: Pages,
    watch: watch::Watch,
    cancel: CancellationToken,
    _data: DataFolder,
}

/// Writes down what there is, the registry with the devices that were added to it, and opens the office that changes
/// who may come in.
pub(crate) fn register(
    state: &Arc<State>,
    declared: Registry,
    profiles: &BTreeMap<Box<str>, Arc<Profile>>,
    clock: &Arc<dyn Clock>,
) -> Result<(Arc<Catalogue>, Arc<Office>), Failure> {
    let broken = |error| Failure::other("cannot register the county", error);
    let (mut registry, in_both) = state.with_added(declared.clone()).map_err(broken)?;
    for device in in_both {
        tracing::warn!(%device, "the device was added and stands in the registry file too: the file counts");
    }
    state.save_registry(&registry).map_err(broken)?;
    register_self(&mut registry, profiles)?;
    let catalogue = state.catalogue(registry, profiles).map_err(broken)?;
    let kinds = profiles.keys().cloned();
    let office = Office::new(Arc::clone(state), declared, kinds, Arc::clone(clock)).map_err(broken)?;
    Ok((Arc::new(catalogue), Arc::new(office)))
}

/// Binds the web's address.
pub(crate) async fn listen(address: SocketAddr, option: &'static str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Failure::Address {
            what: "pages and API",
            address,
            option,
            source,
        })
}

/// Takes the room on the data disk that only alarms may use.
pub(crate) fn open_reserve(data: &DataFolder) -> Result<Arc<Reserve>, Failure> {
    Reserve::open(data.path())
        .map(Arc::new)
        .map_err(|error| Failure::data("the size of the data disk cannot be read", &error))
}

/// Opens the state database of a data folder. On a full disk it uses the reserve.
pub(crate) fn open_state(data: &DataFolder, reserve: &Arc<Reserve>) -> Result<Arc<State>, Failure> {
    let file = data.path().join("state.db");
    let mut opened = State::open(&file);
    if opened
        .as_ref()
        .is_err_and(|error| store::is_storage_failure(error))
        && reserve.release()
    {
        opened = State::open(&file);
    }
    let state = opened.map_err(|error| Failure::data("the state database cannot be used", &error))?;
    state.use_reserve(Arc::clone(reserve));
    Ok(Arc::new(state))
}

/// Puts the server itself among the devices of the catalogue.
pub(crate) fn register_self(
    registry: &mut Registry,
    profiles: &BTreeMap<Box<str>, Arc<Profile>>,
) -> Result<(), Failure> {
    platform::register(registry, profiles)
        .map_err(|error| Failure::other("the server cannot be registered", error))
}

impl Server {
    /// Starts every part. `mqtt_option` names the option that a taken port of the gate is to be changed with.
    pub(crate) async fn start(plan: Plan, mqtt_option: &'static str) -> Result<Self, Failure> {
        let web = plan
            .web
            .local_addr()
            .map_err(|error| Failure::other("the web's socket failed", error))?;
        let sources = sources::start(&plan, mqtt_option).await?;
        let cancel = CancellationToken::new();
        let poller = start_poller(&plan, &sources.intake, &cancel);
        let notifier = Notifier::new(
            Arc::clone(&sources.service),
            Arc::clone(&plan.clock),
            &plan.config.alarms,
        )
        .map_err(|error| Failure::other("notices cannot be sent", error))?;
        let notifier = tokio::spawn(notifier.run(cancel.clone()));
        let half_journal = plan.config.data.journal_mib_max.saturating_mul(1 << 19);
        let platform = Platform::new(plan.data.path().to_owned());
        let watch = watch::Watch::start(&sources, half_journal, platform)
            .map_err(|error| Failure::other("cannot start a thread", error))?;
        let mqtt = sources.gate.as_ref().map(Gate::local_addr);
        let nameless = match sources::anonymous(&plan.config) {
            Anonymous::SubscribeOnly => ", or no name: may listen",
            Anonymous::Refuse | Anonymous::Publish => "",
        };
        let (pages, data) = start_pages(plan, &sources, poller.access(), cancel.clone())?;
        Ok(Self {
            mqtt,
            nameless,
            web,
            sources,
            poller,
            notifier,
            pages,
            watch,
            cancel,
            _data: data,
        })
    }

    /// Says on standard output where everything is.
    #[expect(
        clippy::print_stdout,
        reason = "this is what the command says to people and to scripts"
    )]
    pub(crate) fn announce(&self, from: &str) {
        println!(
            "Townwatch {} 县域市政公用设施监测平台, {from}",
            env!("CARGO_PKG_VERSION")
        );
        println!("  pages  http://{}/", self.web);
        let gate = self.sources.gate.as_ref();
        if gate.is_none() {
            println!("  MQTT   off");
        }
        for listening in gate.map(Gate::listeners).unwrap_or_default() {
            let (address, kind, proof) = (listening.address, listening.kind, listening.proof);
            // Where a certificate is asked for, nobody is without a name.
            let nameless = if proof == Proof::Certificate {
                ""
            } else {
                self.nameless
            };
            println!("  MQTT   {address}  {kind}, {proof}{nameless}");
        }
        for (name, what) in self.sources.doors.announced() {
            println!("  {name:6} {what}");
        }
        println!("  stop with Ctrl-C");
    }

    /// Has the certificates of the gate read anew.
    pub(crate) fn reload_certificates(&self) {
        tracing::info!("asked to read the certificates anew");
        if let Some(gate) = &self.sources.gate {
            gate.reload_certificates();
        }
    }

    /// Has the county's own rules read anew. When something in the configuration is wrong they stay as they are.
    pub(crate) fn reload_rules(&self, file: PathBuf) {
        tracing::info!("asked to read the rules anew");
        let service = Arc::clone(&self.sources.service);
        // Nobody waits for it: the log says what came of it.
        drop(tokio::task::spawn_blocking(move || {
            let book = match config::read(&file) {
                Ok(checked) => checked.config.alarms.book,
                Err(findings) => {
                    for finding in findings {
                        tracing::error!(%finding, "the rules stay as they are");
                    }
                    return;
                }
            };
            if let Err(error) = service.change_rules(book, "SIGHUP") {
                let error = telemetry::with_causes(&error);
                tracing::error!(error, "the rules stay as they are");
            }
        }));
    }

    /// Stops in order: sources, what is under way, files.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.poller.stop().await;
        self.sources.doors.stop().await;
        if let Some(gate) = &self.sources.gate {
            gate.stop().await;
        }
        let sources = Arc::clone(&self.sources);
        let drained = tokio::task::spawn_blocking(move || {
            sources.pipeline.stop();
            if let Some(remote) = &sources.remote {
                remote.stop();
            }
        })
        .await;
        self.watch.stop();
        self.cancel.cancel();
        let notified = self.notifier.await;
        let pages = self.pages.await;
        let sources = self.sources;
        let closed = tokio::task::spawn_blocking(move || {
            sources.service.close();
            let flushed = sources.series.close();
            sources.kept.close();
            sources.journal.close();
            flushed
        })
        .await;
        notified.map_err(|error| Failure::other("the sender of notices did not stop in order", error))?;
        drained.map_err(|error| Failure::other("the pipeline did not stop in order", error))?;
        match pages {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Failure::other("the pages did not stop in order", error)),
            Err(error) => return Err(Failure::other("the pages did not stop in order", error)),
        }
        closed
            .map_err(|error| Failure::other("the files were not closed in order", error))?
            .map_err(|error| {
                Failure::other(
                    "the last points could not be written; they are in the journal",
                    error,
                )
            })
    }
}

fn start_poller(plan: &Plan, intake: &JournalIntake, cancel: &CancellationToken) -> Poller {
    let modbus = &plan.config.modbus;
    let settings = ModbusConfig {
        timeout: modbus.timeout.duration(),
        request_pause: modbus.request_pause.get_ref().duration(),
        connect_pause: modbus.connect_pause.get_ref().duration(),
        unit_backoff_max: modbus.backoff_max,
        writes: Writes {
            on: modbus.writes,
            life_safety: modbus.life_safety_writes().map(|(_, named)| named).collect(),
        },
        ..ModbusConfig::default()
    };
    let clock = Arc::clone(&plan.clock);
    Poller::start(&plan.catalogue, intake.sink(), clock, settings, cancel.clone())
}

/// The task that serves pages and API.
type Pages = JoinHandle<Result<(), dashboards::web::ServeError>>;

/// Starts the pages with what is left of the plan; the data folder goes back to whoever holds it.
fn start_pages(
    plan: Plan,
    sources: &Arc<Sources>,
    field: FieldAccess,
    cancel: CancellationToken,
) -> Result<(Pages, DataFolder), Failure> {
    let Plan {
        data,
        state,
        clock,
        catalogue,
        policy,
        health,
        config,
        office,
        web: listener,
        ..
    } = plan;
    let reader = remote::reader(sources);
    remote::recall_local(sources);
    if sources.viewer {
        let live = Arc::clone(&sources.live);
        remote::keep_showing(live, Arc::clone(&reader), Arc::clone(&clock), cancel.clone());
    }
    let facts = remote::facts(sources);
    let figures = Figures::new(
        Arc::clone(&catalogue),
        Arc::clone(&reader),
        facts,
        policy,
        Arc::clone(&clock),
    )
    .map_err(|error| Failure::other("the figures cannot be computed", error))?
    .with_cases(Arc::clone(&sources.cases) as _)
    .with_alarm_log(remote::alarm_log(sources), health);
    let (for_metrics, for_readiness) = (Arc::clone(sources), Arc::clone(sources));
    let polled = field.clone();
    let book_catalogue = Arc::clone(&catalogue);
    let exporter = ExportDesk {
        catalogue: Arc::clone(&catalogue),
        series: Arc::clone(&reader),
    };
    let web = Web {
        catalogue,
        series: reader,
        state,
        alarms: Arc::new(ServiceBook::new(Arc::clone(&sources.service), book_catalogue)),
        cases: Arc::clone(&sources.cases),
        figures: Arc::new(figures),
        clock,
        live: Arc::clone(&sources.live),
        field: Arc::new(PolledField(field)),
        access: access(&config),
        push: push_door(&config, sources),
        registrar: Arc::new(OfficeDesk(office)),
        exporter: Arc::new(exporter),
        metrics: Arc::new(move || for_metrics.metrics() + &metrics::of_field(&polled)),
        readiness: Arc::new(move || for_readiness.why_not_ready()),
    };
    Ok((tokio::spawn(dashboards::serve(listener, web, cancel)), data))
}

/// The door for those who push readings.
fn push_door(config: &Config, sources: &Sources) -> Option<dashboards::Push> {
    let door = PushDoor {
        authenticator: Arc::clone(&sources.authenticator),
        intake: sources.intake.clone(),
        device_tag: config.push.device_tag.clone(),
    };
    config.push.enabled.then(|| dashboards::Push {
        door: Arc::new(door),
        requests_per_s_max: config.push.requests_per_s_max,
    })
}

fn access(config: &Config) -> Access {
    if config.web.tokens.is_empty() {
        return Access::OpenOnLoopback;
    }
    let token = |token: &config::Token| Token {
        sha256: token.digest(),
        name: token.name.as_str().into(),
        role: match token.role {
            config::Role::Read => Role::Read,
            config::Role::Operate => Role::Operate,
            config::Role::Control => Role::Control,
            config::Role::Administer => Role::Administer,
        },
    };
    Access::Tokens(config.web.tokens.iter().map(token).collect())
}
