//! What can be seen of the poller from outside: counters of all lines, and the state of each unit.

use std::sync::atomic::{AtomicU64, Ordering};

use telemetry::{DeviceId, Timestamp};

/// What the poller did since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModbusStats {
    /// Units asked, each with all reads of one scan class; also those of a gateway that could not be reached.
    pub polls: u64,
    /// Reads that brought data.
    pub answers: u64,
    /// Reads that were answered by an exception.
    pub exceptions: u64,
    /// Reads that brought nothing, or not an answer to the question.
    pub no_answers: u64,
    /// Polls left out because their line was still busy with earlier ones.
    pub skipped_cycles: u64,
    /// Connections made, ports opened.
    pub connections: u64,
    /// Polls that the sink did not take: they are lost.
    pub sink_failures: u64,
    /// Reads that were cut into smaller ones because the unit refused them.
    pub splits: u64,
    /// Values written to units.
    pub writes: u64,
    /// Writes that a unit refused or did not answer.
    pub write_failures: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) polls: AtomicU64,
    pub(super) answers: AtomicU64,
    pub(super) exceptions: AtomicU64,
    pub(super) no_answers: AtomicU64,
    pub(super) skipped_cycles: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) sink_failures: AtomicU64,
    pub(super) splits: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) write_failures: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> ModbusStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ModbusStats {
            polls: read(&self.polls),
            answers: read(&self.answers),
            exceptions: read(&self.exceptions),
            no_answers: read(&self.no_answers),
            skipped_cycles: read(&self.skipped_cycles),
            connections: read(&self.connections),
            sink_failures: read(&self.sink_failures),
            splits: read(&self.splits),
            writes: read(&self.writes),
            write_failures: read(&self.write_failures),
        }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Whether a unit can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// It has not been asked yet.
    NotAsked,
    /// Its last poll brought an answer.
    Answers,
    /// Its last poll brought none.
    Silent,
    /// It has been silent for longer and is asked less often, so that its neighbours are not held up.
    BackingOff,
}

impl Reach {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::NotAsked, Self::Answers, Self::Silent, Self::BackingOff];

    /// The name in the API and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::Answers => "answers",
            Self::Silent => "silent",
            Self::BackingOff => "backing_off",
        }
    }
}

/// The state of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitStatus {
    /// Which device it is.
    pub device: DeviceId,
    /// Its line, as [`telemetry::registry::ModbusLine`] writes it.
    pub line: Box<str>,
    /// Its unit id.
    pub unit: u8,
    /// Whether it can be reached.
    pub reach: Reach,
    /// Polls in a row that brought nothing.
    pub failures: u32,
    /// When it answered last.
    pub last_answer: Option<Timestamp>,
    /// Why its last failed read failed.
    pub last_failure: Option<&'static str>,
    /// Polls since the start.
    pub polls: u64,
    /// Polls left out because its line was busy.
    pub skipped_cycles: u64,
    /// Reads that it answered by an exception.
    pub exceptions: u64,
}

impl UnitStatus {
    pub(super) fn new(device: DeviceId, line: &str, unit: u8) -> Self {
        Self {
            device,
            line: line.into(),
            unit,
            reach: Reach::NotAsked,
            failures: 0,
            last_answer: None,
            last_failure: None,
            polls: 0,
            skipped_cycles: 0,
            exceptions: 0,
        }
    }

    pub(super) fn answered(&mut self, at: Timestamp) {
        self.polls += 1;
        self.reach = Reach::Answers;
        self.failures = 0;
        self.last_answer = Some(at);
    }

    pub(super) fn failed(&mut self, failures: u32, held: bool) {
        self.polls += 1;
        self.failures = failures;
        self.reach = if held { Reach::BackingOff } else { Reach::Silent };
    }
}
