//! The alarm engine on disk and in front of people.
//!
//! Every step (a batch, a tick, an acknowledgement) that changes an alarm is written in one transaction with its log, its notices
//! and the cursor. Steps that only refresh memory are written with the next of those, or after ten seconds, or after one where
//! it is much; until then the cursor stays behind, so a restart reads those batches again and comes to the very same state.
//!
//! A thread of its own writes ([`writer`]); a step waits for it, but not longer than [`AlarmService::set_patience`]
//! says. When the disk fails or is slow, alarms still go out: from memory, marked as not durable, and the commit is
//! tried again with every step. A crash meanwhile loses acknowledgements made since, nothing else: the batches come
//! again. Readings that the journal has not taken may be judged beforehand ([`early`]).

mod commit;
mod early;
mod list;
pub(crate) mod log_row;
mod operate;
mod outbox;
mod past;
mod restore;
mod rules;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustc_hash::FxHashMap;
use store::state::alarms::Notice;
use store::state::{State, StateError};
use telemetry::time::Span;
use telemetry::{Batch, Catalogue, Clock, Lsn, Timestamp};
use tokio::sync::{Notify, broadcast};

use crate::engine::{Acknowledgement, DamagedState, Engine, Refusal, Transition};
use crate::rules::Daylight;
use crate::settings::{AlarmSettings, SettingsError};
use crate::view::{AlarmChange, AlarmView, parse_id};
use commit::Unwritten;
use early::Early;
use list::bounded;
pub(crate) use list::read_view;
pub use list::{AlarmCounts, AlarmFilter};
pub use operate::{AlarmAct, DeviceAct};
pub use outbox::Queue;
pub use past::LogFilter;
pub use rules::{GroupView, InForce, RuleView};
use writer::{Attempts, Pending, Shared};

/// Changes that a slow subscriber may fall behind. Beyond, it is told how many it missed and reads the list again.
pub const CHANGES_BEHIND_MAX: usize = 1024;
/// Most alarms or log rows in one answer. More are cut off; ask for the next page.
pub const ROWS_PER_ANSWER_MAX: usize = 1000;
/// Longest remark and longest name of a person, in characters. Longer: refused.
pub const REMARK_CHARS_MAX: usize = 1000;
/// How long an acknowledgement waits until it is on disk. Then it is answered as not durable.
const ACKNOWLEDGE_PATIENCE: Duration = Duration::from_secs(30);
/// How long an orderly stop waits for the last write.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);
/// How long ticks wait for the replay that [`AlarmService::replay_until`] announced, without any progress of it.
const REPLAY_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
/// A gap between two looks at the clock that is longer than so many of the announced ones is a pause of the whole
/// program: nobody could be heard meanwhile.
const PAUSE_BEATS: u32 = 8;
/// For how long the last batch tells how far behind the reader is.
const LAG_COUNTS: std::time::Duration = std::time::Duration::from_secs(5);

/// Why the alarm service refused.
#[derive(Debug, thiserror::Error)]
pub enum AlarmError {
    /// A setting is out of range. Mend it.
    #[error("the settings of the alarms are wrong")]
    Settings(#[from] SettingsError),
    /// A rule of a profile cannot be. Mend the profile.
    #[error("the rules of the alarms are wrong")]
    Rules(#[from] crate::rules::RuleError),
    /// The state database failed.
    #[error("alarms cannot be read or written")]
    State(#[from] StateError),
    /// The state database holds what no version of this program wrote. Restore a backup.
    #[error("the alarms on disk are damaged")]
    Damaged(#[from] DamagedState),
    /// There is no such alarm.
    #[error("there is no alarm {id}")]
    Unknown {
        /// What was asked for.
        id: String,
    },
    /// It was acknowledged before, is over, or a newer occurrence took its place. Read the list again.
    #[error("alarm {id} cannot be acknowledged: {why}")]
    NotOwed {
        /// Which.
        id: String,
        /// Why.
        why: String,
    },
    /// It may not be done, or not now; the text says why.
    #[error("{what}: {why}")]
    Refused {
        /// The alarm or the device.
        what: String,
        /// Why.
        why: String,
    },
    /// The system gave no thread.
    #[error("the thread that writes the alarms could not be started")]
    Thread(#[source] std::io::Error),
    /// An acknowledgement needs the name of a person, and its remark has a bound.
    #[error("{what} is {length} characters long; {allowed} are allowed")]
    Length {
        /// `by` or `remark`.
        what: &'static str,
        /// How long it is.
        length: usize,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// The alarms of the county. Share it behind an `Arc`; its calls block for one commit at most.
pub struct AlarmService {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    settings: AlarmSettings,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    engine: Engine,
    /// Places of the engine's rules.
    by_rule: FxHashMap<Arc<str>, usize>,
    /// Which rules are in force.
    in_force: rules::Version,
    /// The last message that the engine has judged.
    judged: Lsn,
    /// The last that is on disk with all that came of it.
    durable: Lsn,
    unwritten: Unwritten,
    /// Notices that could not be written; the sender takes them from here.
    volatile: Vec<Notice>,
    /// How attempts to send ended, by key, as far as it is not on disk.
    fates: FxHashMap<Box<str>, Notice>,
    /// Changes that are told when their attempt to write has ended, or takes too long.
    pending: Vec<Pending>,
    attempts: Attempts,
    early: Early,
    open: BTreeSet<usize>,
    /// The engine's time at the monotonic instant.
    base: (Timestamp, Span),
    /// When the start was ready, until the engine has come so far: what fell due while nobody ran happens then.
    asleep: Option<Timestamp>,
    written_at: Span,
    pruned_at: Option<Span>,
    /// How far behind the reader was, and when that was seen.
    lag: (Span, Span),
    replay: Option<(Lsn, Span)>,
    /// How often the clock is looked at, where somebody has promised it, and when it was last.
    beat: Option<(Duration, Span)>,
    /// When the last tick was.
    ticked: Span,
}

impl std::fmt::Debug for AlarmService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlarmService")
            .field("state", &self.shared.state)
            .finish_non_exhaustive()
    }
}

impl AlarmService {
    /// Opens the alarms of `catalogue` as `state` holds them. What open alarms of rules that are gone leave behind is closed, logged
    /// and told.
    ///
    /// # Errors
    /// [`AlarmError`] when a setting is out of range, or the state database fails or is damaged.
    pub fn open(
        state: Arc<State>,
        catalogue: Arc<Catalogue>,
        clock: Arc<dyn Clock>,
        daylight: Arc<dyn Daylight>,
        settings: AlarmSettings,
    ) -> Result<Self, AlarmError> {
        settings.check()?;
        let mut restored = restore::restore(&state, &catalogue, &*clock, daylight, &settings)?;
        if let Err(error) = state.note_alarm_start(restored.start) {
            tracing::warn!(
                error = telemetry::with_causes(&error),
                "a replay will not know of this start"
            );
        }
        let in_force = rules::Version::begin(&state, &catalogue, &settings.book, restored.ready)?;
        restored.engine.restore_version(in_force.number);
        let rules = restored.engine.rules();
        let by_rule = rules::places(rules);
        let open = (0..rules.len())
            .filter(|place| {
                restored
                    .engine
                    .state(*place)
                    .is_some_and(|state| state.shown().is_open())
            })
            .collect();
        let mono = clock.monotonic();
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                engine: restored.engine,
                by_rule,
                in_force,
                judged: restored.lsn,
                durable: restored.lsn,
                unwritten: restored.unwritten,
                volatile: Vec::new(),
                fates: FxHashMap::default(),
                pending: Vec::new(),
                attempts: Attempts::default(),
                early: Early::default(),
                open,
                base: (restored.ready, mono),
                asleep: Some(restored.ready),
                written_at: mono,
                pruned_at: None,
                lag: (Span::ZERO, Span::ZERO),
                replay: None,
                beat: None,
                ticked: mono,
            }),
            wanted: std::sync::Condvar::new(),
            settled: std::sync::Condvar::new(),
            changes: broadcast::channel(CHANGES_BEHIND_MAX).0,
            outbox: Notify::new(),
            notify: Arc::default(),
            state,
            catalogue,
        });
        let thread = writer::start(Arc::clone(&shared)).map_err(AlarmError::Thread)?;
        let service = Self {
            shared,
            clock,
            settings,
            thread: Mutex::new(Some(thread)),
        };
        drop(service.write(service.lock(), &[], true));
        Ok(service)
    }

    /// How long a step waits for the disk before people are told from memory. Without it a step waits for as long
    /// as the disk takes, which makes every step the same again: for tests and replays.
    pub fn set_patience(&self, patience: Duration) {
        self.lock().attempts.patience = Some(patience);
    }

    /// Promises a [`Self::tick`] every `every` of real time. Each then lets the time pass up to the one before it: what has
    /// arrived by that time is judged first, whichever way it takes, as in a recording of it. A gap of many of them is a pause
    /// of the whole program; after one nothing counts as silent for as long as after a start.
    pub fn expect_ticks(&self, every: Duration) {
        let mono = self.clock.monotonic();
        self.lock().beat = Some((every, mono));
    }

    /// Nothing counts as silent: the devices speak to somebody else.
    pub fn expect_nobody(&self) {
        self.lock().engine.pardon(Timestamp::MAX);
    }

    /// The pipeline reads on from here.
    #[must_use]
    pub fn cursor(&self) -> Lsn {
        self.lock().durable
    }

    /// Ticks let no time pass until the batches up to `newest` of the journal have been observed: what arrived before a
    /// crash is judged before the time since. Given up after a minute without progress.
    pub fn replay_until(&self, newest: Lsn) {
        let mut inner = self.lock();
        if newest > inner.judged {
            inner.replay = Some((newest, self.clock.monotonic()));
        }
    }

    /// Judges a batch. One that was judged before is left out. A failing disk is no error here: see the module.
    pub fn observe(&self, batch: &Batch) {
        let mut inner = self.lock();
        if batch.last <= inner.judged {
            return;
        }
        let mut out = Vec::new();
        self.set_shift(&mut inner);
        let mono = self.clock.monotonic();
        self.look_for_pause(&mut inner, mono);
        let fresh = inner.early.settle(&self.shared.catalogue, batch);
        let batch = fresh.as_ref().unwrap_or(batch);
        inner.feed(batch, &mut out);
        inner.judged = batch.last;
        if let Some(newest) = batch.points.iter().map(|point| point.arrived).max() {
            let behind = self.clock.now().millis_since(newest);
            inner.lag = (Span::from_millis(u64::try_from(behind).unwrap_or(0)), mono);
        }
        match &mut inner.replay {
            Some((until, _)) if batch.last >= *until => inner.replay = None,
            Some((_, progress)) => *progress = mono,
            None => {}
        }
        drop(self.write(inner, &out, true));
    }

    /// Judges readings that have not come through the journal (it is slow, full, has stopped, or its reader is behind): at
    /// once, from memory. What comes of them is marked as not durable until the journal brings the same readings, which are
    /// then not judged again. `batch.last` is the number of the last message where the journal has them, else 0: what has
    /// come through it meanwhile is left out.
    pub fn observe_early(&self, batch: &Batch) {
        let mut inner = self.lock();
        if batch.last > Lsn::ZERO && batch.last <= inner.judged {
            return;
        }
        let Some(batch) = inner.early.fresh(batch) else {
            return;
        };
        let mut out = Vec::new();
        let shift_ms = self.set_shift(&mut inner);
        let mono = self.clock.monotonic();
        self.look_for_pause(&mut inner, mono);
        // The engine's time stays where the reader is: of others nobody knows yet whether they are silent.
        let replaying = inner.replay.is_some();
        let lag = self.lag_of(&inner, mono);
        let asleep = inner.asleep.take_if(|_| replaying);
        inner.engine.set_shift(shift_ms.saturating_add(lag.millis_i64()));
        inner.feed(&batch, &mut out);
        inner.engine.set_shift(shift_ms);
        if replaying {
            inner.asleep = asleep;
        }
        let Inner { engine, early, .. } = &mut *inner;
        early.mark(&self.shared.catalogue, engine.rules(), &batch, &out);
        drop(self.write(inner, &out, false));
    }

    /// Lets the time pass. Call it a few times a second.
    pub fn tick(&self) {
        let mut inner = self.lock();
        let mono = self.clock.monotonic();
        if let Some((until, progress)) = inner.replay {
            if self.clock.real(mono.since(progress)) < REPLAY_PATIENCE {
                return;
            }
            tracing::warn!(
                until = until.0,
                judged = inner.judged.0,
                "the replay of the journal has not come; alarms go on without it"
            );
            inner.replay = None;
        }
        self.set_shift(&mut inner);
        self.look_for_pause(&mut inner, mono);
        let before = std::mem::replace(&mut inner.ticked, mono);
        let under_way = inner.beat.map_or(Span::ZERO, |_| mono.since(before));
        let lag = self.lag_of(&inner, mono).max(under_way);
        let to = inner.time(mono).minus(lag);
        let mut out = Vec::new();
        if let Some(ready) = inner.asleep.take() {
            inner.engine.wake(ready);
        }
        inner.engine.advance(to, &mut out);
        let inner = self.write(inner, &out, true);
        let mut inner = self.change_by_date(inner, mono);
        self.prune(&mut inner, mono);
    }

    /// How far the reader of the journal is behind what arrives: by all that has passed, until it has read again what the last
    /// program had not judged.
    fn lag_of(&self, inner: &Inner, mono: Span) -> Span {
        if inner.replay.is_some() {
            let passed_ms = inner.time(mono).millis_since(inner.engine.now());
            return Span::from_millis(u64::try_from(passed_ms).unwrap_or(0));
        }
        let (lag, seen) = inner.lag;
        if self.clock.real(mono.since(seen)) < LAG_COUNTS {
            lag
        } else {
            Span::ZERO
        }
    }

    /// Acknowledges an occurrence in the name of `by`.
    ///
    /// # Errors
    /// [`AlarmError::Unknown`], [`AlarmError::NotOwed`] or [`AlarmError::Length`]; nothing has changed then.
    pub fn acknowledge(&self, id: &str, by: &str, remark: &str) -> Result<AlarmView, AlarmError> {
        check_lengths(by, remark)?;
        let unknown = || AlarmError::Unknown { id: id.to_owned() };
        let (rule, occurrence) = parse_id(id).ok_or_else(unknown)?;
        let mut inner = self.lock();
        let place = *inner.by_rule.get(rule.as_str()).ok_or_else(unknown)?;
        let at = inner.time(self.clock.monotonic());
        let acknowledgement = Acknowledgement {
            by: by.into(),
            remark: remark.into(),
            at,
        };
        let mut out = Vec::new();
        let refused = |refusal: Refusal| match refusal {
            Refusal::Unknown => unknown(),
            refusal => AlarmError::NotOwed {
                id: id.to_owned(),
                why: refusal.to_string(),
            },
        };
        inner
            .engine
            .acknowledge(place, occurrence, acknowledgement, None, &mut out)
            .map_err(refused)?;
        let inner = self.write(inner, &out, true);
        let inner = self.settle(inner, ACKNOWLEDGE_PATIENCE);
        // The rules may have changed while the disk was waited for.
        let place = inner.by_rule.get(rule.as_str()).copied();
        place
            .and_then(|place| self.view(&inner, place))
            .ok_or_else(unknown)
    }

    /// Every change from now on. A receiver that lags behind by more than [`CHANGES_BEHIND_MAX`] is told and reads the list again.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<AlarmChange>> {
        self.shared.changes.subscribe()
    }

    /// Whether a device, by its place in the catalogue, counts as silent: what it said last is stale.
    #[must_use]
    pub fn is_silent(&self, device: usize) -> bool {
        self.lock().engine.is_silent(device)
    }

    /// Writes what memory has not been written yet. Call it last in an orderly stop.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.attempts.want();
        self.shared.wanted.notify_one();
        drop(self.settle(inner, CLOSE_PATIENCE));
        self.end_thread();
    }

    fn view(&self, inner: &Inner, place: usize) -> Option<AlarmView> {
        let engine = &inner.engine;
        let view = AlarmView::of(
            &self.shared.catalogue,
            engine.rules().get(place)?,
            engine.state(place)?,
        )?;
        let written = !inner.attempts.unsaved.contains_key(&place);
        let durable = written && !inner.early.is_marked(place) && self.settings.volatile.is_none();
        Some(AlarmView { durable, ..view })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock()
    }

    /// After a pause of the whole program nobody is silent who could not be heard.
    fn look_for_pause(&self, inner: &mut Inner, mono: Span) {
        let Some((every, last)) = inner.beat else { return };
        inner.beat = Some((every, mono));
        let gap = self.clock.real(mono.since(last));
        if gap > every.saturating_mul(PAUSE_BEATS) {
            let from = inner.time(mono).plus(self.settings.grace);
            tracing::warn!(
                pause_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX),
                "the program stood still; nothing counts as silent for a while"
            );
            inner.engine.pardon(from);
        }
    }

    fn end_thread(&self) {
        self.lock().attempts.closing = true;
        self.shared.wanted.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the alarms has panicked");
        }
    }

    /// Follows a step of the wall clock; a drift of less than a second is left alone.
    fn set_shift(&self, inner: &mut Inner) -> i64 {
        let shift = self.clock.now().millis_since(inner.time(self.clock.monotonic()));
        let shift = if shift.abs() < 1000 { 0 } else { shift };
        inner.engine.set_shift(shift);
        shift
    }
}

impl Drop for AlarmService {
    fn drop(&mut self) {
        self.end_thread();
    }
}

impl Inner {
    /// The engine's time: even, whatever the wall clock does.
    fn time(&self, mono: Span) -> Timestamp {
        self.base.0.plus(mono.since(self.base.1))
    }

    /// Hands a batch to the engine in order of arrival.
    fn feed(&mut self, batch: &Batch, out: &mut Vec<Transition>) {
        let mut heard = batch.heard.clone();
        heard.sort_by_key(|(device, arrived)| (*arrived, *device));
        let mut heard = heard.into_iter().peekable();
        for point in &batch.points {
            while let Some((device, arrived)) = heard.next_if(|(_, arrived)| *arrived <= point.arrived) {
                self.wake_by(arrived);
                self.engine.hear(device, arrived, out);
            }
            self.wake_by(point.arrived);
            self.engine.sample(point, out);
        }
        for (device, arrived) in heard {
            self.wake_by(arrived);
            self.engine.hear(device, arrived, out);
        }
    }

    /// What arrived before the start is judged as of then.
    fn wake_by(&mut self, arrived: Timestamp) {
        if let Some(ready) = self.asleep.filter(|ready| arrived >= *ready) {
            self.asleep = None;
            self.engine.wake(ready);
        }
    }
}

fn check_lengths(by: &str, remark: &str) -> Result<(), AlarmError> {
    let length = by.chars().count();
    if by.trim().is_empty() || length > 100 {
        return Err(AlarmError::Length {
            what: "by",
            length,
            allowed: "1 to 100",
        });
    }
    let length = remark.chars().count();
    if length > REMARK_CHARS_MAX {
        return Err(AlarmError::Length {
            what: "remark",
            length,
            allowed: "0 to 1000",
        });
    }
    Ok(())
}
