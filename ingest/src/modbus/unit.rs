//! One unit on a line: what it is asked when, and how it has answered.

use std::sync::{Arc, Mutex, PoisonError};

use telemetry::time::Span;
use telemetry::{DeviceEntry, DeviceId, Timestamp};

use super::doubt::Doubt;
use super::plan::{Block, Group, plan};
use super::schedule::{Health, Turn};
use super::status::UnitStatus;

/// One unit behind a line.
pub(super) struct Unit {
    pub(super) device: DeviceId,
    pub(super) unit: u8,
    pub(super) groups: Vec<(Turn, Group)>,
    pub(super) health: Health,
    /// Over RTU: which answer may still be on its way.
    pub(super) doubt: Doubt,
    /// Shortest pause before the next request to it.
    pub(super) pause: Span,
    pub(super) status: Arc<Mutex<UnitStatus>>,
}

impl Unit {
    /// A unit that has not been asked yet; `None` when its profile has no register map.
    pub(super) fn new(entry: &DeviceEntry, line: &str, unit: u8, now: Span) -> Option<Self> {
        let map = &entry.profile.modbus;
        let device = entry.device.id.clone();
        let with_turn = |group: Group| (Turn::first(now, group.every, device.as_str()), group);
        let groups: Vec<(Turn, Group)> = plan(map, entry.profile.report_interval)
            .into_iter()
            .map(with_turn)
            .collect();
        if groups.is_empty() {
            return None;
        }
        let status = UnitStatus::new(device.clone(), line, unit);
        Some(Self {
            device,
            unit,
            groups,
            health: Health::default(),
            doubt: Doubt::default(),
            pause: map.pause,
            status: Arc::new(Mutex::new(status)),
        })
    }

    /// When it is to be asked next, and for which of its groups.
    pub(super) fn next(&self) -> Option<(Span, usize)> {
        let due = |(place, (turn, _)): (usize, &(Turn, Group))| (turn.due(), place);
        let (due, place) = self.groups.iter().enumerate().map(due).min()?;
        Some((due.max(self.health.held_until()), place))
    }

    /// Writes something down that others may look at.
    pub(super) fn note(&self, change: impl FnOnce(&mut UnitStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A read brought nothing. It is asked last from now on, so that a register that silences the unit does
    /// not hide all that come after it.
    pub(super) fn put_last(&mut self, block: Block) {
        for (_, group) in &mut self.groups {
            if let Some(at) = group.blocks.iter().position(|known| *known == block) {
                let last = group.blocks.remove(at);
                group.blocks.push(last);
            }
        }
    }

    /// It answered something.
    pub(super) fn answered(&mut self, at: Timestamp) {
        self.health.answered();
        self.note(|status| status.answered(at));
    }

    /// It answered nothing, and `took` the line for so long. `backoff_max` is given when it shares its line with others.
    pub(super) fn failed(&mut self, now: Span, every: Span, took: Span, backoff_max: Option<Span>) {
        self.health.failed(now, every, took, backoff_max);
        let (failures, held) = (self.health.failures(), self.health.is_held(now));
        self.note(|status| status.failed(failures, held));
    }
}
