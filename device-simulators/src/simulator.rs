//! Runs a county: binds its slaves, connects its devices, plays its faults.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use telemetry::registry::ModbusLine;
use telemetry::time::Span;
use telemetry::{Clock, DeviceId, Timestamp};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::county::{BoundAddresses, County};
use crate::fault::{Fault, FaultError, FaultSender, Player, Scenario};
use crate::history::History;
use crate::modbus::{Answer, Ear, Script, Slaves, Wire};
use crate::mqtt::{Counters, Link, Shared};

/// How many connections tell history at the same time: enough to keep a server busy, few enough to
/// leave its memory alone (three messages of at most 110 KiB each).
const HISTORIANS: usize = 48;
/// From one progress report to the next.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// How long the connections have for their goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why a county does not run.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// A slave's port cannot be had.
    #[error("cannot listen on {address} for modbus")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A fault of the configuration cannot be had.
    #[error("a fault cannot be had")]
    Fault(#[from] FaultError),
}

/// How a county is run.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// Where the broker listens.
    pub mqtt: SocketAddr,
    /// How much history the devices tell first, up to now. `None`: none, for a server that knows it already.
    pub history: Option<Span>,
    /// What goes wrong, once. Starts count from the start of the run.
    pub faults: Vec<Fault>,
    /// What goes wrong again and again.
    pub scenario: Option<Scenario>,
}

impl RunConfig {
    /// Seven days of history, no fault.
    #[must_use]
    pub fn new(mqtt: SocketAddr) -> Self {
        Self {
            mqtt,
            history: Some(Span::from_secs(7 * 86_400)),
            faults: Vec::new(),
            scenario: None,
        }
    }
}

/// How far a county is. Numbers of records: one record is one instant of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records of history there are to tell.
    pub history_total: u64,
    /// Of them: acknowledged by the broker.
    pub history_acked: u64,
    /// Live records handed to connections.
    pub live_sent: u64,
    /// Of them: acknowledged.
    pub live_acked: u64,
    /// Live records dropped by a full outbox, because the broker could not be reached for long.
    pub dropped: u64,
    /// Connections that are open.
    pub connected: u64,
    /// Logins that the broker refused.
    pub refused: u64,
}

impl Progress {
    /// Whether all history has been acknowledged.
    #[must_use]
    pub const fn history_done(&self) -> bool {
        self.history_acked >= self.history_total
    }
}

/// The way to a running county.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Opens the slaves' lines. Sockets are all on `ip`: with `first_port` 0 on free ports, else one after the
    /// other from there; RTU slaves get a pseudo-terminal each. They answer when the county runs.
    ///
    /// # Errors
    /// [`SimulatorError::Bind`] when a port cannot be had.
    pub async fn bind(
        county: Arc<County>,
        wire: Wire,
        ip: IpAddr,
        first_port: u16,
    ) -> Result<Bound, SimulatorError> {
        let mut ears = Vec::with_capacity(county.gateways);
        let mut lines = Vec::with_capacity(county.gateways);
        for n in 0..county.gateways {
            let port = match first_port {
                0 => 0,
                first => first.saturating_add(u16::try_from(n).unwrap_or(u16::MAX)),
            };
            let address = SocketAddr::new(ip, port);
            let failed = |source| SimulatorError::Bind { address, source };
            let ear = Ear::open(wire, address).await.map_err(failed)?;
            lines.push(ear.line().map_err(failed)?);
            ears.push(ear);
        }
        Ok(Bound {
            faults: FaultSender::new(Arc::clone(&county)),
            county,
            addresses: BoundAddresses(lines),
            ears,
            script: Script::default(),
        })
    }

    /// [`Self::bind`] over Modbus/TCP on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// [`SimulatorError::Bind`] when there is no port left.
    pub async fn bind_local(county: Arc<County>) -> Result<Bound, SimulatorError> {
        Self::bind(county, Wire::Tcp, IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await
    }
}

/// A county whose slaves have their addresses, ready to run.
#[derive(Debug)]
pub struct Bound {
    county: Arc<County>,
    addresses: BoundAddresses,
    ears: Vec<Ear>,
    faults: FaultSender,
    script: Script,
}

impl Bound {
    /// The lines of the slaves: what [`County::registry`] needs.
    #[must_use]
    pub const fn addresses(&self) -> &BoundAddresses {
        &self.addresses
    }

    /// The county.
    #[must_use]
    pub const fn county(&self) -> &Arc<County> {
        &self.county
    }

    /// Where a device answers on Modbus, with its unit; `None` for one that does not.
    #[must_use]
    pub fn slave(&self, device: &DeviceId) -> Option<(ModbusLine, u8)> {
        let slave = self.county.devices().get(self.county.place_of(device)?)?.slave?;
        Some((self.addresses.0.get(slave.gateway)?.clone(), slave.unit))
    }

    /// The handle through which faults are asked for while the county runs.
    #[must_use]
    pub fn faults(&self) -> FaultSender {
        self.faults.clone()
    }

    /// The handle through which a test tells slaves how to answer.
    #[must_use]
    pub fn slaves(&self) -> SlaveScript {
        SlaveScript {
            county: Arc::clone(&self.county),
            script: Arc::clone(&self.script),
        }
    }

    /// Runs the county until `cancel`: slaves answer, devices tell their history and report live, faults
    /// come. `progress` is called four times a second, and once at the end.
    ///
    /// # Errors
    /// [`SimulatorError::Fault`] when a fault of `config` cannot be had; nothing has begun then.
    pub async fn run(
        self,
        config: RunConfig,
        clock: Arc<dyn Clock>,
        mut progress: impl FnMut(Progress) + Send,
        cancel: CancellationToken,
    ) -> Result<Progress, SimulatorError> {
        let start = clock.now();
        for fault in &config.faults {
            self.faults.send(fault, start)?;
        }
        let mut tasks = JoinSet::new();
        let slaves = Slaves {
            county: Arc::clone(&self.county),
            clock: Arc::clone(&clock),
            faults: self.faults.clone(),
            script: self.script,
        };
        for (gateway, ear) in self.ears.into_iter().enumerate() {
            tasks.spawn(slaves.clone().serve(gateway, ear, cancel.clone()));
        }
        let counters = Arc::new(Counters::new());
        let shared = Shared {
            county: Arc::clone(&self.county),
            clock: Arc::clone(&clock),
            faults: self.faults.clone(),
            counters: Arc::clone(&counters),
            mqtt: config.mqtt,
            history_permits: Arc::new(Semaphore::new(HISTORIANS)),
            cancel: cancel.clone(),
        };
        let history_total = spawn_links(&mut tasks, &shared, config.history, start);
        tasks.spawn(play(shared.clone(), config.scenario.unwrap_or_default(), start));
        let now = || Progress {
            history_total,
            history_acked: counters.history_acked.load(Ordering::Relaxed),
            live_sent: counters.live_sent.load(Ordering::Relaxed),
            live_acked: counters.live_acked.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
            connected: counters.connected.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
        };
        while cancel.run_until_cancelled(sleep(PROGRESS_EVERY)).await.is_some() {
            progress(now());
        }
        let goodbye = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
            tracing::debug!("some connections had no time for their goodbye");
        }
        let end = now();
        progress(end);
        Ok(end)
    }
}

/// Who speaks and who has history, by connection.
#[derive(Default)]
struct Crew {
    speakers: Vec<usize>,
    history: VecDeque<History>,
}

/// Starts a task for each connection; answers how many records of history they tell together.
fn spawn_links(tasks: &mut JoinSet<()>, shared: &Shared, history: Option<Span>, start: Timestamp) -> u64 {
    let county = &shared.county;
    let mut crews: BTreeMap<usize, Crew> = BTreeMap::new();
    let mut total = 0;
    for (place, device) in county.devices().iter().enumerate() {
        if device.plan.is_some() {
            crews.entry(device.uplink).or_default().speakers.push(place);
        }
        let Some(span) = history else { continue };
        let from = start.minus(span).millis();
        if let Some(history) = History::new(county, place, from, start.millis()) {
            total += history.count(county);
            crews
                .entry(county.historian(place))
                .or_default()
                .history
                .push_back(history);
        }
    }
    for (login, crew) in crews {
        let link = Link::new(
            shared.clone(),
            login,
            &crew.speakers,
            crew.history,
            start.millis(),
        );
        tasks.spawn(link.run());
    }
    total
}

/// Plays a scenario until the county is stopped.
async fn play(shared: Shared, scenario: Scenario, start: Timestamp) {
    let mut player = Player::new(scenario, start);
    while let Some(at) = player.next() {
        let wait = at.saturating_sub(shared.clock.now().millis()).clamp(0, 60_000);
        let wait = shared
            .clock
            .real(Span::from_millis(u64::try_from(wait).unwrap_or(0)));
        let slept = sleep(wait.max(Duration::from_millis(1)));
        if shared.cancel.run_until_cancelled(slept).await.is_none() {
            return;
        }
        let now = shared.clock.now();
        let lit = shared.county.world.sun.lighting(now.millis()).lit;
        for fault in player.due(now.millis(), lit) {
            if let Err(error) = shared.faults.send(&fault, now) {
                tracing::warn!(%error, "a fault of the scenario cannot be had");
            }
        }
    }
}

/// Tells slaves how to answer.
#[derive(Clone, Debug)]
pub struct SlaveScript {
    county: Arc<County>,
    script: Script,
}

impl SlaveScript {
    /// From now on `device` answers so; with `None` rightly again.
    ///
    /// # Errors
    /// [`FaultError::Unknown`] when there is no such device.
    pub fn answer(&self, device: &DeviceId, how: Option<Answer>) -> Result<(), FaultError> {
        let place = self
            .county
            .place_of(device)
            .ok_or_else(|| FaultError::Unknown(device.clone()))?;
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        match how {
            Some(how) => script.insert(place, how),
            None => script.remove(&place),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
