//! The engine's memory in the form that is written down, and back.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use telemetry::{Quality, Timestamp};

use super::memory::Seen;
use super::state::{Pending, Rare};
use super::timers::What;
use super::{Acknowledgement, Engine, RuleState, Tags};
use crate::lifecycle::{AlarmState, Suppressions};

/// A stored state that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the stored state of {of} cannot be read: {what}")]
pub struct DamagedState {
    /// Which rule or device.
    pub of: String,
    /// What is wrong.
    pub what: String,
}

/// A rule that is not pristine: its id and state as JSON; no body means that it is pristine again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRule {
    /// [`crate::rules::Rule::id`].
    pub id: Box<str>,
    /// JSON.
    pub body: Option<String>,
}

/// The memory of a device and its points, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDevice {
    /// Place in the catalogue.
    pub device: usize,
    /// Version 1: see `pack`.
    pub body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct RuleForm {
    alarm: AlarmState,
    occurrence: u32,
    since: Timestamp,
    ended: Option<Timestamp>,
    raised_at: Timestamp,
    returned_at: Option<Timestamp>,
    value: Option<f64>,
    quality: u8,
    stale: bool,
    tags: u8,
    seq: u64,
    raised_seq: u64,
    acknowledged: Option<Acknowledgement>,
    pending: Option<Pending>,
    run: Option<(Timestamp, Timestamp, f64)>,
    // What came later, and is left out where there is nothing to say.
    #[serde(default, skip_serializing_if = "is_none")]
    suppressed: Suppressions,
    #[serde(default)]
    called_seq: u64,
    #[serde(default)]
    called_at: Option<Timestamp>,
    #[serde(default)]
    owed_since: Option<Timestamp>,
    #[serde(default)]
    told: u32,
    #[serde(default)]
    steps: u32,
    #[serde(default)]
    latch: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rare: Option<Box<Rare>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_none(suppressed: &Suppressions) -> bool {
    !suppressed.any()
}

impl RuleState {
    /// As JSON.
    ///
    /// # Errors
    /// When a number is not finite, which no sample is.
    pub fn body(&self) -> Result<String, serde_json::Error> {
        let state = self.clone();
        serde_json::to_string(&RuleForm {
            alarm: state.alarm,
            occurrence: state.occurrence,
            since: state.since,
            ended: state.ended,
            raised_at: state.raised_at,
            returned_at: state.returned_at,
            value: state.value,
            quality: state.quality.code(),
            stale: state.stale,
            tags: state.tags.bits(),
            seq: state.seq,
            raised_seq: state.raised_seq,
            acknowledged: state.acknowledged,
            pending: state.pending,
            run: state.run,
            suppressed: state.suppressed,
            called_seq: state.called_seq,
            called_at: state.called_at,
            owed_since: state.owed_since,
            told: state.told,
            steps: state.steps,
            latch: state.latch,
            rare: state.rare,
        })
    }

    /// From JSON.
    ///
    /// # Errors
    /// When the text is not of the form.
    pub fn from_body(body: &str) -> Result<Self, serde_json::Error> {
        let form: RuleForm = serde_json::from_str(body)?;
        Ok(Self {
            alarm: form.alarm,
            occurrence: form.occurrence,
            since: form.since,
            ended: form.ended,
            raised_at: form.raised_at,
            returned_at: form.returned_at,
            value: form.value,
            quality: Quality::from_code(form.quality),
            stale: form.stale,
            tags: Tags::from_bits(form.tags),
            seq: form.seq,
            raised_seq: form.raised_seq,
            acknowledged: form.acknowledged,
            pending: form.pending,
            run: form.run,
            suppressed: form.suppressed,
            called_seq: form.called_seq,
            called_at: form.called_at,
            owed_since: form.owed_since,
            told: form.told,
            steps: form.steps,
            latch: form.latch,
            rare: form.rare,
            dirty: false,
        })
    }
}

impl Engine {
    /// Takes what changed since the last call.
    ///
    /// # Errors
    /// [`DamagedState`] when a state cannot be written as JSON, which no finite state can cause.
    pub fn take_changes(&mut self) -> Result<(Vec<StoredRule>, Vec<StoredDevice>), DamagedState> {
        let mut rules = Vec::with_capacity(self.dirty_rules.len());
        for number in std::mem::take(&mut self.dirty_rules) {
            let Some(id) = self.rule(number).map(|rule| rule.id.as_ref().into()) else {
                continue;
            };
            let Some(state) = self.state_mut(number) else {
                continue;
            };
            state.dirty = false;
            let body = if state.is_pristine() {
                None
            } else {
                Some(state.body().map_err(|error| DamagedState {
                    of: format!("{id}"),
                    what: error.to_string(),
                })?)
            };
            rules.push(StoredRule { id, body });
        }
        let mut devices = Vec::with_capacity(self.dirty_devices.len());
        for number in std::mem::take(&mut self.dirty_devices) {
            let Ok(device) = usize::try_from(number) else {
                continue;
            };
            if !self.devices.get(device).is_some_and(|memory| memory.dirty) {
                continue;
            }
            let Some(body) = self.pack(device) else { continue };
            if let Some(memory) = self.devices.get_mut(device) {
                memory.dirty = false;
            }
            devices.push(StoredDevice { device, body });
        }
        Ok((rules, devices))
    }

    /// Ends a restoration: sets time and numbering to where they were; nothing counts as silent before `ready` + grace.
    pub fn restored(&mut self, now: Timestamp, seq: u64, ready: Timestamp) {
        self.now = now;
        self.seq = seq;
        self.silence_from = ready.plus(self.spans.grace);
        self.arm_all_silence();
        self.arm_flood();
    }

    /// Goes on with the version that the rules had.
    pub const fn restore_version(&mut self, version: u32) {
        self.version = version;
    }

    /// Puts a rule's state back, with its timer.
    pub fn restore_rule(&mut self, place: usize, state: RuleState) {
        let Ok(number) = u32::try_from(place) else { return };
        if let Some(pending) = state.pending {
            self.timers.push(pending.deadline, What::Delay, number);
        }
        if let Some(rare) = &state.rare {
            let due = [
                (rare.shelved.as_ref().map(|aside| aside.until), What::Unshelve),
                (rare.re_alarm_at, What::ReAlarm),
                (rare.resumes_at, What::Behind),
            ];
            for (at, what) in due {
                if let Some(at) = at {
                    self.timers.push(at, what, number);
                }
            }
            if let Some(at) = rare.rests_at {
                self.resting.insert(number);
                self.arm_digest(at);
            }
        }
        let silent = state.alarm.is_active();
        let behind = state.rare.as_ref().is_some_and(|rare| rare.cause.is_some());
        if let Some(slot) = self.states.get_mut(place) {
            *slot = state;
        }
        let Some(device) = self.rules.get(place).map(|rule| rule.device) else {
            return;
        };
        if let Some(memory) = self.devices.get_mut(device) {
            memory.silent = memory.silent || (silent && memory.silence_rules.contains(&number));
            memory.behind = memory.behind || behind;
        }
        self.arm_escalation(number);
    }

    /// Version, provisioned, heard, ends of test and maintenance; then by point: series, fresh, settle time, end of the last silence, its samples, and the
    /// last good one of those forgotten, and what is remembered to be known again. Little-endian.
    pub(super) fn pack(&self, device: usize) -> Option<Vec<u8>> {
        let memory = self.devices.get(device)?;
        let mut body = vec![2u8];
        put(&mut body, Some(memory.provisioned));
        put(&mut body, memory.heard);
        put(&mut body, memory.test_until);
        put(&mut body, memory.out_until);
        for place in &memory.points {
            let point = self.points.get(usize::try_from(*place).ok()?)?;
            if point.window.is_empty() && point.fresh.is_none() {
                continue;
            }
            body.extend(point.series.0.to_le_bytes());
            put(&mut body, point.fresh);
            put(&mut body, point.settles_at);
            put(&mut body, point.resumed);
            body.push(u8::try_from(point.window.len()).ok()?);
            for seen in &point.window {
                put_seen(&mut body, seen);
            }
            body.push(u8::from(point.good.is_some()));
            if let Some(good) = &point.good {
                put_seen(&mut body, good);
            }
            put_marks(&mut body, &point.known)?;
            put_marks(&mut body, &point.recorded)?;
        }
        Some(body)
    }

    /// Puts a device's memory back. Points that no rule looks at any more are left out.
    ///
    /// # Errors
    /// [`DamagedState`] when the bytes are not of the form; the device then keeps what was read so far.
    pub fn restore_device(&mut self, device: usize, body: &[u8]) -> Result<(), DamagedState> {
        let damaged = || DamagedState {
            of: format!("device {device}"),
            what: "bytes are missing or of another version".into(),
        };
        let mut reader = Reader(body);
        let version = reader.byte().filter(|version| matches!(version, 1 | 2));
        let newer = version.ok_or_else(damaged)? == 2;
        let provisioned = reader.time().flatten().ok_or_else(damaged)?;
        let heard = reader.time().ok_or_else(damaged)?;
        let (mut test, mut out) = (None, None);
        if newer {
            test = reader.time().ok_or_else(damaged)?;
            out = reader.time().ok_or_else(damaged)?;
        }
        if let Some(memory) = self.devices.get_mut(device) {
            memory.provisioned = provisioned;
            memory.heard = heard;
            memory.test_until = test;
            memory.out_until = out;
        }
        for until in test.into_iter().chain(out) {
            self.arm_permit(device, until);
        }
        if let Some(memory) = self.devices.get_mut(device) {
            memory.dirty = false;
        }
        while !reader.0.is_empty() {
            self.restore_point(&mut reader, newer).ok_or_else(damaged)?;
        }
        Ok(())
    }

    fn restore_point(&mut self, reader: &mut Reader<'_>, newer: bool) -> Option<()> {
        let series = u32::from_le_bytes(reader.take()?);
        let fresh = reader.time()?;
        let settles_at = reader.time()?;
        let resumed = if newer { reader.time()? } else { None };
        let count = reader.byte()?;
        let mut window = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            window.push(reader.seen()?);
        }
        let good = if newer && reader.byte()? != 0 {
            Some(reader.seen()?)
        } else {
            None
        };
        let (known, recorded) = if newer {
            (reader.marks()?, reader.marks()?)
        } else {
            (VecDeque::new(), VecDeque::new())
        };
        let place = usize::try_from(series)
            .ok()
            .and_then(|number| self.by_series.get(number).copied());
        let point = place.and_then(|place| self.points.get_mut(usize::try_from(place).ok()?));
        if let (Some(place), Some(point)) = (place, point) {
            point.window = window;
            point.good = good;
            point.resumed = resumed;
            point.known = known;
            point.recorded = recorded;
            point.fresh = fresh;
            point.settles_at = settles_at;
            if let Some(at) = settles_at {
                self.timers.push(at, What::Settle, place);
            }
        }
        Some(())
    }
}

const NO_TIME: i64 = i64::MIN;

fn put(body: &mut Vec<u8>, time: Option<Timestamp>) {
    body.extend(time.map_or(NO_TIME, Timestamp::millis).to_le_bytes());
}

fn put_seen(body: &mut Vec<u8>, seen: &Seen) {
    put(body, Some(seen.time));
    put(body, Some(seen.arrived));
    body.extend(seen.value.to_bits().to_le_bytes());
    body.push(seen.quality.code());
    body.push(u8::from(seen.late));
}

/// Event time and fingerprint of what is remembered to be known again; none for more than a byte counts.
fn put_marks(body: &mut Vec<u8>, marks: &VecDeque<(Timestamp, u64)>) -> Option<()> {
    body.push(u8::try_from(marks.len()).ok()?);
    for (time, fingerprint) in marks {
        put(body, Some(*time));
        body.extend(fingerprint.to_le_bytes());
    }
    Some(())
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn seen(&mut self) -> Option<Seen> {
        Some(Seen {
            time: self.time()??,
            arrived: self.time()??,
            value: f64::from_bits(u64::from_le_bytes(self.take()?)),
            quality: Quality::from_code(self.byte()?),
            late: self.byte()? != 0,
        })
    }

    fn marks(&mut self) -> Option<VecDeque<(Timestamp, u64)>> {
        let mut marks = VecDeque::new();
        for _ in 0..self.byte()? {
            let time = self.time()??;
            marks.push_back((time, u64::from_le_bytes(self.take()?)));
        }
        Some(marks)
    }

    fn time(&mut self) -> Option<Option<Timestamp>> {
        let ms = i64::from_le_bytes(self.take()?);
        Some((ms != NO_TIME).then_some(Timestamp::from_millis(ms)))
    }
}
