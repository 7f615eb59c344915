//! Starts and stops the lines, and is the way to them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use telemetry::registry::ModbusLine;
use telemetry::{Catalogue, Clock, DeviceEntry};
use tokio::sync::mpsc::{self, Sender};
use tokio::sync::{mpsc::error::TrySendError, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::identity::{Identity, IdentityError};
use super::job::{JOBS_PER_LINE_MAX, Job, Task};
use super::line::Line;
use super::order::{Order, WriteDone, WriteRefused};
use super::schedule::Reconnect;
use super::status::{Counters, ModbusStats, UnitStatus};
use super::unit::Unit;
use super::{ModbusConfig, Sink};

/// Longest wait for a line to begin and end a job. Later it is given up, and not begun any more.
const JOB_TIME_MAX: Duration = Duration::from_secs(20);

/// Polls every Modbus unit of a catalogue.
///
/// One task and one connection for each line: a gateway's address or a serial port. The units behind it are
/// asked in turn, one request at a time, each at the intervals of its profile. A line that does not answer
/// keeps nobody waiting but its own units. Units of a profile without a register map are not polled, which
/// is logged. Devices that are registered later are polled after the next start.
pub struct Poller {
    lines: JoinSet<()>,
    cancel: CancellationToken,
    access: FieldAccess,
}

/// The way to the polled units: their state, writing, identification. Cheap to clone; it outlives the poller
/// and then answers that it has stopped.
#[derive(Clone)]
pub struct FieldAccess {
    counters: Arc<Counters>,
    units: Arc<HashMap<Box<str>, Address>>,
    catalogue: Arc<Catalogue>,
    config: Arc<ModbusConfig>,
}

/// Where a unit is.
struct Address {
    line: Sender<Job>,
    place: usize,
    status: Arc<Mutex<UnitStatus>>,
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller")
            .field("lines", &self.lines.len())
            .field("units", &self.access.units.len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for FieldAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FieldAccess")
            .field("units", &self.units.len())
            .finish_non_exhaustive()
    }
}

impl Poller {
    /// Starts polling. It ends with `cancel` or [`Poller::stop`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(
        catalogue: &Arc<Catalogue>,
        sink: Sink,
        clock: Arc<dyn Clock>,
        config: ModbusConfig,
        cancel: CancellationToken,
    ) -> Self {
        let mut by_line: BTreeMap<ModbusLine, Vec<(u8, &DeviceEntry)>> = BTreeMap::new();
        for entry in catalogue.devices() {
            if let Some((line, unit)) = entry.device.transport.modbus() {
                by_line.entry(line).or_default().push((unit, entry));
            }
        }
        let counters = Arc::new(Counters::default());
        let cancel = cancel.child_token();
        let mut lines = JoinSet::new();
        let mut addresses = HashMap::new();
        let now = clock.monotonic();
        for (line, entries) in by_line {
            let name = line.to_string();
            let (orders, jobs) = mpsc::channel(JOBS_PER_LINE_MAX);
            let mut units: Vec<Unit> = Vec::with_capacity(entries.len());
            for (unit, entry) in entries {
                let Some(unit) = Unit::new(entry, &name, unit, now) else {
                    tracing::warn!(device = %entry.device.id, "not polled: its profile has no modbus map");
                    continue;
                };
                let address = Address {
                    line: orders.clone(),
                    place: units.len(),
                    status: Arc::clone(&unit.status),
                };
                addresses.insert(unit.device.as_str().into(), address);
                units.push(unit);
            }
            if units.is_empty() {
                continue;
            }
            let line = Line {
                reconnect: Reconnect::new(&name, config.reconnect_max),
                line,
                units,
                jobs,
                sink: Arc::clone(&sink),
                clock: Arc::clone(&clock),
                config: config.clone(),
                counters: Arc::clone(&counters),
                wire: None,
                last_end: None,
            };
            lines.spawn(line.run(cancel.clone()));
        }
        tracing::info!(lines = lines.len(), units = addresses.len(), "polling modbus");
        let access = FieldAccess {
            counters,
            units: Arc::new(addresses),
            catalogue: Arc::clone(catalogue),
            config: Arc::new(config),
        };
        Self {
            lines,
            cancel,
            access,
        }
    }

    /// The way to the polled units.
    #[must_use]
    pub fn access(&self) -> FieldAccess {
        self.access.clone()
    }

    /// What has happened since the start.
    #[must_use]
    pub fn stats(&self) -> ModbusStats {
        self.access.stats()
    }

    /// Units that are polled.
    #[must_use]
    pub fn units(&self) -> usize {
        self.access.units.len()
    }

    /// Stops polling and waits until all connections are closed. A poll that is under way is given up.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        while let Some(ended) = self.lines.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the task of a modbus line has panicked");
            }
        }
    }
}

impl FieldAccess {
    /// What has happened since the start.
    #[must_use]
    pub fn stats(&self) -> ModbusStats {
        self.counters.read()
    }

    /// The state of every polled unit, in no order.
    pub fn statuses(&self) -> impl Iterator<Item = UnitStatus> {
        self.units.values().map(Address::status)
    }

    /// The state of one device's unit; `None` when it is not polled.
    #[must_use]
    pub fn status(&self, device: &str) -> Option<UnitStatus> {
        self.units.get(device).map(Address::status)
    }

    /// Writes `value`, in the signal's unit, and reads it back. It goes before the polls of its line and never
    /// beside one. When the future is dropped before the line came to it, nothing is written.
    ///
    /// # Errors
    /// [`WriteRefused`]: then nothing was written.
    pub async fn write(&self, device: &str, signal: &str, value: f64) -> Result<WriteDone, WriteRefused> {
        let (address, entry) = (self.units.get(device).zip(self.catalogue.device(device)))
            .ok_or_else(|| WriteRefused::NotPolled(device.into()))?;
        let order = Order::new(entry, signal, value, &self.config.writes)?;
        let (reply, done) = oneshot::channel();
        let job = Job {
            place: address.place,
            task: Task::Write(Box::new(order), reply),
        };
        address.line.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => WriteRefused::Busy(JOBS_PER_LINE_MAX),
            TrySendError::Closed(_) => WriteRefused::Stopped,
        })?;
        match timeout(JOB_TIME_MAX, done).await {
            Err(_elapsed) => Err(WriteRefused::TooLate),
            Ok(Err(_stopped)) => Err(WriteRefused::Stopped),
            Ok(Ok(done)) => done,
        }
    }

    /// Asks a device's unit what it is (function 43 / 14).
    ///
    /// # Errors
    /// [`IdentityError`]. Many units do not know the function.
    pub async fn identify(&self, device: &str) -> Result<Identity, IdentityError> {
        let address = self
            .units
            .get(device)
            .ok_or_else(|| IdentityError::NotPolled(device.into()))?;
        let (reply, done) = oneshot::channel();
        let job = Job {
            place: address.place,
            task: Task::Identify(reply),
        };
        address.line.try_send(job).map_err(|_full| IdentityError::Busy)?;
        match timeout(JOB_TIME_MAX, done).await {
            Ok(Ok(identity)) => identity,
            Ok(Err(_)) | Err(_) => Err(IdentityError::Busy),
        }
    }
}

impl Address {
    fn status(&self) -> UnitStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
