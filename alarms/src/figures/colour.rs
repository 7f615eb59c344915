//! The four colours and how static and dynamic risk make one of them. Pure.

use serde::{Deserialize, Serialize};
use telemetry::profile::Title;
use telemetry::time::{Span, Timestamp};

use super::facts::AlarmFact;
use super::form::words;
use super::policy::GasPolicy;

/// A colour of the four-colour map 红橙黄蓝, or grey. In order of rank.
///
/// Source: 安委办〔2016〕11号, four levels; grey for "no data" (assumed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Nobody knows: no data, or never assessed.
    Grey,
    /// 低风险, rank 1.
    Blue,
    /// 一般风险, rank 2.
    Yellow,
    /// 较大风险, rank 3.
    Orange,
    /// 重大风险, rank 4.
    Red,
}

impl Colour {
    /// Rank 1 to 4; 0 for grey.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Grey => 0,
            Self::Blue => 1,
            Self::Yellow => 2,
            Self::Orange => 3,
            Self::Red => 4,
        }
    }

    /// What people call it.
    #[must_use]
    pub fn title(self) -> Title {
        match self {
            Self::Grey => words("灰（无数据）", "grey (no data)"),
            Self::Blue => words("蓝（低风险）", "blue (low risk)"),
            Self::Yellow => words("黄（一般风险）", "yellow (general risk)"),
            Self::Orange => words("橙（较大风险）", "orange (greater risk)"),
            Self::Red => words("红（重大风险）", "red (major risk)"),
        }
    }

    fn worse(self) -> Self {
        match self {
            Self::Grey => Self::Grey,
            Self::Blue => Self::Yellow,
            Self::Yellow => Self::Orange,
            Self::Orange | Self::Red => Self::Red,
        }
    }
}

/// Why a unit has its colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// As a word: `hazard_level`, `direct_determination`, `lec`, `alarm`, `instrument_silent`, `over_design`,
    /// `hot_work_permit`, `hidden_danger_overdue`, `no_data`, `not_assessed`.
    pub code: &'static str,
    /// What it asks for: at least this colour; none for one step worse.
    pub colour: Option<Colour>,
    /// For people.
    pub text: Title,
}

/// D = L × E × C as a colour.
#[must_use]
pub(super) fn lec_colour(d: f64, policy: &GasPolicy) -> Colour {
    if d >= policy.lec_red {
        Colour::Red
    } else if d >= policy.lec_orange {
        Colour::Orange
    } else if d >= policy.lec_yellow {
        Colour::Yellow
    } else {
        Colour::Blue
    }
}

/// What one alarm asks for at `at`; none when it asks for nothing (any more).
///
/// It asks from the time it has stood long enough until its cause has been gone for the policy's
/// `downgrade_after` and somebody has acknowledged it.
#[must_use]
pub(super) fn alarm_cause(fact: &AlarmFact, at: Timestamp, policy: &GasPolicy) -> Option<Cause> {
    let code = fact.rule.rsplit('/').next().unwrap_or_default();
    let of = |rules: &[Box<str>]| rules.iter().any(|pattern| matches(pattern, code));
    let red = of(&policy.floor_red);
    let orange = of(&policy.floor_orange);
    let step = of(&policy.step_worse);
    if fact.raised > at || !(red || orange || step) {
        return None;
    }
    let returned = fact.returned.filter(|returned| *returned <= at);
    let acknowledged = fact.acknowledged.is_some_and(|acknowledged| acknowledged <= at);
    let needed = if step && !red && !orange {
        policy.instrument_fault_after
    } else if of(&policy.sustained_rules) {
        policy.sustained
    } else {
        Span::ZERO
    };
    let stood_ms = returned.unwrap_or(at).millis_since(fact.raised);
    let gone = returned.is_some_and(|returned| returned.plus(policy.downgrade_after) <= at);
    if stood_ms < needed.millis_i64() || (gone && acknowledged) {
        return None;
    }
    let (rule, device) = (code, &fact.device);
    let text = match returned {
        None => words(
            format!("{device} 报警 {rule} 未消除"),
            format!("{rule} of {device} stands"),
        ),
        Some(_) if acknowledged => words(
            format!("{device} 报警 {rule} 消除未满{}", policy.downgrade_after),
            format!(
                "{rule} of {device} has been gone for less than {}",
                policy.downgrade_after
            ),
        ),
        Some(_) => words(
            format!("{device} 报警 {rule} 已消除未确认"),
            format!("{rule} of {device} is gone but not acknowledged"),
        ),
    };
    let colour = if red {
        Some(Colour::Red)
    } else if orange {
        Some(Colour::Orange)
    } else {
        None
    };
    Some(Cause {
        code: "alarm",
        colour,
        text,
    })
}

/// Static rank, floor and modifier made one: min(4, max(s, d) + k), never below s.
///
/// `fixed` and `moving` are the causes of static and dynamic risk. Grey when nothing asks for a colour.
#[must_use]
pub(super) fn compose(fixed: &[Cause], moving: &[Cause]) -> Colour {
    let floor = (fixed.iter().chain(moving))
        .filter_map(|cause| cause.colour)
        .max()
        .unwrap_or(Colour::Grey);
    if moving.iter().any(|cause| cause.colour.is_none()) {
        floor.worse()
    } else {
        floor
    }
}

fn matches(pattern: &str, code: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(start), _) => code.starts_with(start),
        (None, Some(end)) => code.ends_with(end),
        (None, None) => pattern == code,
    }
}

#[cfg(test)]
mod tests;
