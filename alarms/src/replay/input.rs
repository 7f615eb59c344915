//! One line of input: JSON in, what happens at which time out.

use serde::Deserialize;
use telemetry::time::Span;
use telemetry::{Bad, Quality, Timestamp};

/// Why a line of input is refused.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It is longer than [`super::LINE_BYTES_MAX`].
    #[error("it is longer than 64 KiB")]
    TooLong,
    /// It is not of the form.
    #[error("it is no line of input: {0}")]
    Form(String),
    /// It does nothing, or several things.
    #[error("exactly one of {INPUTS} is expected beside \"at\"")]
    NotOne,
    /// Its time is before that of the line before it.
    #[error("at {at} comes after a line at {before}; lines come in order of at")]
    Order {
        /// Its time, s.
        at: f64,
        /// The time of the line before it, s.
        before: f64,
    },
    /// Its time lies in the down time of a restart.
    #[error("at {at} the process is down until {ready}")]
    Down {
        /// Its time, s.
        at: f64,
        /// When the process is ready again, s.
        ready: f64,
    },
    /// It names what is not there.
    #[error("there is no {what} {name:?}")]
    Unknown {
        /// `point` or `rule`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The rules that it names are refused.
    #[error("the new rules are refused: {0}")]
    Rules(String),
    /// The state could not be written down and read again.
    #[error("the restart failed")]
    Restart(#[source] crate::engine::DamagedState),
}

const INPUTS: &str = "sample, heard, clock, clock_step, ack, reset, shelve, unshelve, out_of_service, return_to_service, test_mode, \
                      end_test, disable, rules, restart";

/// A line of input.
#[derive(Debug)]
pub(super) struct InputLine {
    pub(super) at: Timestamp,
    pub(super) what: Input,
}

/// What happens.
#[derive(Debug)]
pub(super) enum Input {
    Sample(SampleForm),
    Heard { device: String },
    Clock,
    ClockStep { by_ms: i64 },
    Ack(AckForm),
    Reset(RuleForm),
    Shelve(ShelveForm),
    Unshelve(RuleForm),
    OutOfService(PointForm),
    ReturnToService(PointForm),
    TestMode(PointForm),
    EndTest(PointForm),
    Disable(RuleForm),
    Rules { file: String, by: String },
    Restart { down_for: Span },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleForm {
    pub(super) point: String,
    pub(super) time: Seconds,
    #[serde(default)]
    value: serde_json::Value,
    #[serde(default)]
    quality: QualityForm,
    #[serde(default)]
    pub(super) backfill: bool,
}

/// `good`, `uncertain`, `bad`, or a name of the API such as `bad_out_of_range`. A plain `bad` is a faulty sensor.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
struct QualityForm(Quality);

impl TryFrom<String> for QualityForm {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if name == "bad" {
            return Ok(Self(Quality::Bad(Bad::SensorFault)));
        }
        let known = Quality::from_name(&name).map(Self);
        known.ok_or_else(|| format!("{name:?} is no quality: good, uncertain or bad"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AckForm {
    /// None: every alarm that is owed.
    pub(super) rule: Option<String>,
    /// None: the newest.
    pub(super) occurrence: Option<u32>,
    pub(super) seen: Option<u64>,
    pub(super) by: String,
    #[serde(default)]
    pub(super) remark: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleForm {
    pub(super) rule: String,
    pub(super) by: String,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShelveForm {
    pub(super) rule: String,
    #[serde(rename = "for")]
    pub(super) time: Option<Seconds>,
    pub(super) reason: Option<String>,
    pub(super) by: String,
    /// Another person who agrees.
    pub(super) second: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PointForm {
    pub(super) point: String,
    #[serde(rename = "for")]
    pub(super) time: Option<Seconds>,
    pub(super) permit: Option<String>,
    pub(super) by: String,
}

/// Seconds with decimals, on the millisecond grid.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "f64")]
pub(super) struct Seconds(i64);

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        let ms = (seconds * 1000.0).round();
        // 285,000 years to both sides: what a double holds to the millisecond.
        if ms.is_finite() && ms.abs() < 9e15 {
            #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
            Ok(Self(ms as i64))
        } else {
            Err(format!("{seconds} s is no time"))
        }
    }
}

impl Seconds {
    pub(super) const fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(self.0)
    }

    /// A negative time is none.
    pub(super) fn span(self) -> Span {
        Span::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineForm {
    at: Seconds,
    sample: Option<SampleForm>,
    heard: Option<HeardForm>,
    clock: Option<bool>,
    clock_step: Option<StepForm>,
    ack: Option<AckForm>,
    reset: Option<RuleForm>,
    shelve: Option<ShelveForm>,
    unshelve: Option<RuleForm>,
    out_of_service: Option<PointForm>,
    return_to_service: Option<PointForm>,
    test_mode: Option<PointForm>,
    end_test: Option<PointForm>,
    disable: Option<RuleForm>,
    rules: Option<String>,
    by: Option<String>,
    restart: Option<RestartForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepForm {
    by: Seconds,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeardForm {
    device: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RestartForm {
    down_for: Seconds,
}

impl InputLine {
    pub(super) fn parse(line: &[u8]) -> Result<Self, InputError> {
        let form: LineForm =
            serde_json::from_slice(line).map_err(|error| InputError::Form(error.to_string()))?;
        let by = form.by.unwrap_or_default();
        let mut found = [
            form.sample.map(Input::Sample),
            form.heard.map(|heard| Input::Heard { device: heard.device }),
            form.clock.map(|_| Input::Clock),
            form.clock_step.map(|step| Input::ClockStep { by_ms: step.by.0 }),
            form.ack.map(Input::Ack),
            form.reset.map(Input::Reset),
            form.shelve.map(Input::Shelve),
            form.unshelve.map(Input::Unshelve),
            form.out_of_service.map(Input::OutOfService),
            form.return_to_service.map(Input::ReturnToService),
            form.test_mode.map(Input::TestMode),
            form.end_test.map(Input::EndTest),
            form.disable.map(Input::Disable),
            form.rules.map(|file| Input::Rules { file, by }),
            form.restart.map(|restart| Input::Restart {
                down_for: restart.down_for.span(),
            }),
        ]
        .into_iter()
        .flatten();
        match (found.next(), found.next()) {
            (Some(what), None) => Ok(Self {
                at: form.at.timestamp(),
                what,
            }),
            _ => Err(InputError::NotOne),
        }
    }
}

impl SampleForm {
    /// The value and how far it may be trusted: what is no number is bad.
    pub(super) fn reading(&self) -> (f64, Quality) {
        let value = match &self.value {
            serde_json::Value::Number(number) => number.as_f64(),
            serde_json::Value::Bool(state) => Some(f64::from(u8::from(*state))),
            // Every digit of it counts: as text it reads exactly.
            serde_json::Value::String(number) => number.parse().ok(),
            _ => None,
        };
        let number = value.is_some_and(f64::is_finite);
        let QualityForm(quality) = self.quality;
        let quality = if quality.is_bad() || number {
            quality
        } else {
            Quality::Bad(Bad::NotFinite)
        };
        let value = value.filter(|value| value.is_finite()).unwrap_or(0.0);
        (value, quality)
    }
}
