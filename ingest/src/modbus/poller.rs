//! Starts and stops the lines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use telemetry::registry::Transport;
use telemetry::{Catalogue, Clock, DeviceEntry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::line::{Line, Unit};
use super::map::RegisterMap;
use super::schedule::{Reconnect, Turn};
use super::{Counters, ModbusConfig, ModbusStats, Sink};

/// Polls every Modbus unit of a catalogue.
///
/// One task and one connection for each gateway address; the units behind it are asked in turn, one
/// request at a time, each at the report interval of its profile. A gateway that does not answer keeps
/// nobody waiting but its own units. Units of a profile without a register map are not polled, which is
/// logged. Devices that are registered later are polled after the next start.
pub struct Poller {
    lines: JoinSet<()>,
    cancel: CancellationToken,
    counters: Arc<Counters>,
    units: usize,
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller")
            .field("lines", &self.lines.len())
            .field("units", &self.units)
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
        let mut by_address: BTreeMap<SocketAddr, Vec<(u8, &DeviceEntry)>> = BTreeMap::new();
        for entry in catalogue.devices() {
            if let Transport::Modbus { address, unit } = entry.device.transport {
                by_address.entry(address).or_default().push((unit, entry));
            }
        }
        let counters = Arc::new(Counters::default());
        let mut poller = Self {
            lines: JoinSet::new(),
            cancel: cancel.child_token(),
            counters: Arc::clone(&counters),
            units: 0,
        };
        let now = clock.monotonic();
        for (number, (address, entries)) in (1u64..).zip(by_address) {
            let of = entries.len();
            let unit = |(place, (unit, entry)): (usize, (u8, &DeviceEntry))| Unit {
                device: entry.device.id.clone(),
                unit,
                blocks: RegisterMap::new(&entry.profile).blocks,
                turn: Turn::first(now, entry.profile.report_interval, place, of),
            };
            let mut units: Vec<Unit> = entries.into_iter().enumerate().map(unit).collect();
            units.retain(|unit| {
                let mapped = !unit.blocks.is_empty();
                if !mapped {
                    tracing::warn!(device = %unit.device, "not polled: its profile has no modbus map");
                }
                mapped
            });
            if units.is_empty() {
                continue;
            }
            poller.units += units.len();
            let line = Line {
                address,
                units,
                sink: Arc::clone(&sink),
                clock: Arc::clone(&clock),
                config,
                counters: Arc::clone(&counters),
                connection: None,
                reconnect: Reconnect::new(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            };
            poller.lines.spawn(line.run(poller.cancel.clone()));
        }
        tracing::info!(
            gateways = poller.lines.len(),
            units = poller.units,
            "polling modbus"
        );
        poller
    }

    /// What has happened since the start.
    #[must_use]
    pub fn stats(&self) -> ModbusStats {
        self.counters.read()
    }

    /// Units that are polled.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units
    }

    /// Stops polling and waits until all connections are closed. A poll that is under way is given up.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        while let Some(ended) = self.lines.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the task of a modbus gateway has panicked");
            }
        }
    }
}
