//! What everything flows through: files, alarms, pipeline, doors and gate, opened in this order.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use alarms::figures::{Policy, Sun};
use alarms::{AlarmService, CaseService};
use broker::{Anonymous, Authenticator, Gate, GateError};
use dashboards::LiveFeed;
use ingest::account::{AccountSettings, Accountant};
use ingest::{Consumer, DecodeSettings, Pipeline, PipelineConfig};
use store::journal::{Journal, JournalConfig};
use store::kept::{Kept, KeptConfig};
use store::reserve::Reserve;
use store::series::{SeriesConfig, SeriesStore};
use store::state::State;
use telemetry::time::SystemClock;
use telemetry::{Catalogue, Clock, DeviceId};

use super::{Plan, cases, remote};
use crate::access::guard::Guard;
use crate::backlog::Backlog;
use crate::config::Config;
use crate::consumers::{AlarmConsumer, LiveConsumer, SeriesConsumer, StoreCounters};
use crate::data_folder::DataFolder;
use crate::doors::Doors;
use crate::early::Early;
use crate::exit::Failure;
use crate::intake::JournalIntake;
use crate::keeper::{KeptKeeper, MQTT_FILE};
use crate::remote::RemoteFeed;
use crate::retention;

/// How long a step of the alarms waits for the disk before people are told from memory.
const ALARM_PATIENCE: Duration = Duration::from_millis(400);

/// The parts that are running.
pub(super) struct Sources {
    /// None when it is switched off.
    pub gate: Option<Gate>,
    /// The doors beside the gate.
    pub doors: Doors,
    /// Whom the gate asks who somebody is.
    pub authenticator: Arc<dyn Authenticator>,
    /// Sees it when that changes; stops when it is dropped.
    pub _guard: Guard,
    pub journal: Journal,
    /// The way into it.
    pub intake: JournalIntake,
    pub state: Arc<State>,
    /// Room that only alarms may use.
    pub reserve: Option<Arc<Reserve>>,
    /// Why everything lies in memory and nothing is acknowledged.
    pub degraded: Option<String>,
    pub clock: Arc<dyn Clock>,
    pub catalogue: Arc<Catalogue>,
    pub kept: Kept,
    pub pipeline: Pipeline,
    /// What sends points to an engine beside this program.
    pub remote: Option<RemoteFeed>,
    /// The devices speak to others; this server only shows what they feed into the engine.
    pub viewer: bool,
    pub series: Arc<SeriesStore>,
    pub service: Arc<AlarmService>,
    pub cases: Arc<CaseService>,
    pub counters: Arc<StoreCounters>,
    pub live: Arc<LiveFeed>,
}

/// Files, alarms, pipeline and gate, in this order: when the gate takes the first message, everybody is there.
pub(super) async fn start(plan: &Plan, mqtt_option: &'static str) -> Result<Arc<Sources>, Failure> {
    let Plan {
        data,
        state,
        clock,
        catalogue,
        policy,
        config,
        ..
    } = plan;
    let journal = open_journal(data, config, clock, plan.reserve.as_ref())?;
    let series = open_series(data, config, catalogue, clock)?;
    let service = open_alarms(state, catalogue, clock, sun(catalogue, policy)?, config)?;
    service.set_patience(ALARM_PATIENCE);
    service.replay_until(journal.newest());
    let (viewer, live) = remote::live(config, catalogue, &service);
    let counters = Arc::new(StoreCounters::default());
    let backlog = Backlog::new(life_safety(catalogue), Arc::new(SystemClock::new()));
    let consumers = open_consumers(plan, &series, &service, (&counters, &backlog, &live))?;
    let decode = DecodeSettings {
        keep: retention::longest(&config.data),
    };
    let intake = open_intake(plan, &journal, &service, backlog, decode)?;
    // Before anything is released: the journal keeps what the engine has not.
    let remote = remote::start(plan, &journal, decode)?;
    let settings = PipelineConfig {
        decode,
        ..PipelineConfig::default()
    };
    let (of, at) = (Arc::clone(catalogue), Arc::clone(clock));
    let pipeline = Pipeline::spawn(journal.clone(), of, at, consumers, settings);
    let kept = open_kept(data, clock)?;
    let guard = Guard::start(state, catalogue, clock, anonymous(config))?;
    let authenticator = Arc::clone(guard.authenticator()) as Arc<dyn Authenticator>;
    let doors = Doors::start(config, catalogue, &intake, clock).await?;
    let gate = start_gate(config, &authenticator, &intake, &kept, clock, mqtt_option).await?;
    Ok(Arc::new(Sources {
        gate,
        doors,
        authenticator,
        _guard: guard,
        journal,
        intake,
        state: Arc::clone(state),
        reserve: plan.reserve.clone(),
        degraded: plan.degraded.clone(),
        clock: Arc::clone(clock),
        catalogue: Arc::clone(catalogue),
        kept,
        pipeline,
        remote,
        viewer,
        cases: cases::open(plan, &service, &series)?,
        series,
        service,
        counters,
        live,
    }))
}

/// Who is handed every batch of the journal.
fn open_consumers(
    plan: &Plan,
    series: &Arc<SeriesStore>,
    service: &Arc<AlarmService>,
    (counters, backlog, live): (&Arc<StoreCounters>, &Backlog, &Arc<LiveFeed>),
) -> Result<Vec<Box<dyn Consumer>>, Failure> {
    Ok(vec![
        Box::new(SeriesConsumer {
            store: Arc::clone(series),
            counters: Arc::clone(counters),
        }),
        Box::new(AlarmConsumer {
            service: Arc::clone(service),
            backlog: backlog.clone(),
        }),
        Box::new(open_account(&plan.state, &plan.catalogue, &plan.clock)?),
        Box::new(LiveConsumer {
            feed: Arc::clone(live),
            seen: series.cursor(),
        }),
    ])
}

/// Devices whose readings may save a life.
fn life_safety(catalogue: &Catalogue) -> HashSet<DeviceId> {
    let watched = catalogue
        .devices()
        .iter()
        .filter(|entry| entry.profile.life_safety);
    watched.map(|entry| entry.device.id.clone()).collect()
}

/// What every door hands its messages to.
fn open_intake(
    plan: &Plan,
    journal: &Journal,
    service: &Arc<AlarmService>,
    backlog: Backlog,
    decode: DecodeSettings,
) -> Result<JournalIntake, Failure> {
    Ok(JournalIntake {
        journal: journal.clone(),
        early: Early::start(&plan.catalogue, Arc::clone(service), backlog.clone(), decode)
            .map_err(|error| Failure::other("cannot start a thread", error))?,
        backlog,
        degraded: plan.degraded.is_some(),
    })
}

fn open_account(
    state: &Arc<State>,
    catalogue: &Arc<Catalogue>,
    clock: &Arc<dyn Clock>,
) -> Result<Accountant, Failure> {
    let settings = AccountSettings::default();
    Accountant::open(
        Arc::clone(state),
        Arc::clone(catalogue),
        Arc::clone(clock),
        settings,
    )
    .map_err(|error| Failure::other("the ledgers cannot be read", error))
}

fn open_journal(
    data: &DataFolder,
    config: &Config,
    clock: &Arc<dyn Clock>,
    reserve: Option<&Arc<Reserve>>,
) -> Result<Journal, Failure> {
    let settings = JournalConfig {
        keep: config.data.journal_keep,
        size_bytes_max: config.data.journal_mib_max.saturating_mul(1 << 20),
        reserve: reserve.cloned(),
        ..JournalConfig::default()
    };
    Journal::open(data.path(), settings, Arc::clone(clock))
        .map_err(|error| Failure::other("the journal cannot be opened", error))
}

fn open_kept(data: &DataFolder, clock: &Arc<dyn Clock>) -> Result<Kept, Failure> {
    let file = data.path().join(MQTT_FILE);
    Kept::open(&file, KeptConfig::default(), Arc::clone(clock))
        .map_err(|error| Failure::other("the sessions of MQTT clients cannot be opened", error))
}

fn open_series(
    data: &DataFolder,
    config: &Config,
    catalogue: &Catalogue,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<SeriesStore>, Failure> {
    let settings = SeriesConfig {
        keep: retention::longest(&config.data),
        short_lived: retention::short_lived(&config.data, catalogue),
        series_max: usize::try_from(*config.data.series_max.get_ref()).unwrap_or(usize::MAX),
        ..SeriesConfig::default()
    };
    SeriesStore::open(data.path(), settings, Arc::clone(clock))
        .map(Arc::new)
        .map_err(|error| Failure::other("the series store cannot be opened", error))
}

/// The sun over the county, as the lighting rules and the lighting rate see it.
pub(crate) fn sun(catalogue: &Catalogue, policy: &Policy) -> Result<Sun, Failure> {
    let county = &catalogue.registry().county;
    let lighting = &policy.lighting_rate;
    Sun::new(
        county.position,
        &county.zone,
        lighting.on_after_sunset,
        lighting.off_before_sunrise,
    )
    .map_err(|error| Failure::other("the sun over the county cannot be computed", error))
}

fn open_alarms(
    state: &Arc<State>,
    catalogue: &Arc<Catalogue>,
    clock: &Arc<dyn Clock>,
    sun: Sun,
    config: &Config,
) -> Result<Arc<AlarmService>, Failure> {
    let restores = state
        .restores()
        .map_err(|error| Failure::other("the alarms cannot be opened", error))?;
    let mut settings = config.alarms.clone();
    settings.restored = restores
        .iter()
        .map(|restore| {
            (
                restore.after_seq,
                format!("~restored-{}", restore.at.millis()).into(),
            )
        })
        .collect();
    AlarmService::open(
        Arc::clone(state),
        Arc::clone(catalogue),
        Arc::clone(clock),
        Arc::new(sun),
        settings,
    )
    .map(Arc::new)
    .map_err(|error| Failure::other("the alarms cannot be opened", error))
}

/// Says who may come in: through the gate, and with pushed readings.
pub(super) fn anonymous(config: &Config) -> Anonymous {
    if config.mqtt.nameless_listen {
        Anonymous::SubscribeOnly
    } else {
        Anonymous::Refuse
    }
}

async fn start_gate(
    config: &Config,
    authenticator: &Arc<dyn Authenticator>,
    intake: &JournalIntake,
    kept: &Kept,
    clock: &Arc<dyn Clock>,
    option: &'static str,
) -> Result<Option<Gate>, Failure> {
    if !config.mqtt.enabled {
        return Ok(None);
    }
    Gate::start(
        config.mqtt.gate(),
        Arc::clone(authenticator),
        Arc::new(intake.clone()),
        Arc::new(KeptKeeper(kept.clone())),
        Arc::clone(clock),
    )
    .await
    .map(Some)
    .map_err(|error| match error {
        GateError::Listen { source, address } => Failure::Address {
            what: "MQTT",
            address,
            option,
            source,
        },
        error => Failure::other("the MQTT gate cannot start", error),
    })
}
