//! How a site is, as one word and one colour. Pure.
//!
//! No data is never all clear (design.md, promise 4): a site of which a device that should speak is silent
//! is grey, unless a true alarm stands there, which then shows.

use telemetry::profile::{Active, Priority, RuleKind};
use telemetry::time::Span;
use telemetry::{Profile, Timestamp};

/// The four colours of a gas site, and grey. The order is that of rank. Source: 安委办〔2016〕11号.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// No data: the last colour is not shown as if it still held.
    Grey,
    /// 低风险.
    Blue,
    /// 一般风险.
    Yellow,
    /// 较大风险.
    Orange,
    /// 重大风险.
    Red,
}

/// How a site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Never heard, or silent for too long.
    NoData,
    /// All devices speak and no alarm is open.
    Normal,
    /// The highest priority of the open alarms.
    Alarm(Priority),
    /// A gas site: the colour of its unit.
    Tier(Tier),
}

impl Condition {
    /// The word of the API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoData | Self::Tier(Tier::Grey) => "no_data",
            Self::Normal => "normal",
            Self::Alarm(Priority::Critical) => "critical",
            Self::Alarm(Priority::High) => "high",
            Self::Alarm(Priority::Medium) => "medium",
            Self::Alarm(Priority::Low) => "low",
            Self::Tier(Tier::Blue) => "blue",
            Self::Tier(Tier::Yellow) => "yellow",
            Self::Tier(Tier::Orange) => "orange",
            Self::Tier(Tier::Red) => "red",
        }
    }

    /// Every condition, worst first: the order of legends.
    pub const ALL: [Self; 10] = [
        Self::Tier(Tier::Red),
        Self::Tier(Tier::Orange),
        Self::Tier(Tier::Yellow),
        Self::Tier(Tier::Blue),
        Self::Alarm(Priority::Critical),
        Self::Alarm(Priority::High),
        Self::Alarm(Priority::Medium),
        Self::Alarm(Priority::Low),
        Self::Normal,
        Self::NoData,
    ];
}

/// What one site's condition is decided from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Devices that should speak at any time.
    pub speakers: u32,
    /// Of these: never heard or silent for too long.
    pub silent: u32,
    /// Highest priority of the open alarms that are not about silence.
    pub worst: Option<Priority>,
    /// A gas site's colour; `None` where sites have none, [`Tier::Grey`] while it is not known.
    pub tier: Option<Tier>,
}

/// How the site is.
#[must_use]
pub fn decide(facts: Facts) -> Condition {
    match facts {
        Facts { tier: Some(tier), .. } => Condition::Tier(tier),
        Facts {
            worst: Some(priority),
            ..
        } => Condition::Alarm(priority),
        Facts { speakers: 0, .. } => Condition::NoData,
        Facts { silent: 0, .. } => Condition::Normal,
        _ => Condition::NoData,
    }
}

/// How long a device of this kind may say nothing before its site is grey: the shortest of its silence
/// rules, three report intervals where it has none. `None` when it may be silent by right, such as a lamp
/// whose power is cut by day: then only its alarms tell.
#[must_use]
pub fn silence_after(profile: &Profile) -> Option<Span> {
    let mut has_rule = false;
    let mut shortest: Option<Span> = None;
    for rule in profile.rules.iter().filter(|rule| rule.kind == RuleKind::Silence) {
        has_rule = true;
        if rule.active == Active::Always
            && let Some(after) = rule.after
        {
            shortest = Some(shortest.map_or(after, |other| other.min(after)));
        }
    }
    if has_rule {
        shortest
    } else {
        Some(Span::from_millis(
            profile.report_interval.millis().saturating_mul(3),
        ))
    }
}

/// Whether a device that was last heard then is silent.
#[must_use]
pub fn is_silent(heard: Option<Timestamp>, after: Span, now: Timestamp) -> bool {
    heard.is_none_or(|heard| now.millis_since(heard) > after.millis_i64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Facts = Facts {
        speakers: 2,
        silent: 0,
        worst: None,
        tier: None,
    };

    #[test]
    fn silence_is_never_all_clear() {
        assert_eq!(decide(QUIET), Condition::Normal);
        assert_eq!(decide(Facts { silent: 1, ..QUIET }), Condition::NoData);
        assert_eq!(decide(Facts { speakers: 0, ..QUIET }), Condition::NoData);
        let gas = Facts {
            tier: Some(Tier::Grey),
            ..QUIET
        };
        assert_eq!(decide(gas).code(), "no_data");
    }

    #[test]
    fn a_true_alarm_shows_even_when_the_site_has_gone_silent() {
        let facts = Facts {
            silent: 2,
            worst: Some(Priority::High),
            ..QUIET
        };
        assert_eq!(decide(facts), Condition::Alarm(Priority::High));
    }

    #[test]
    fn a_lamp_may_be_silent_by_day_and_a_cover_sleeps_for_two_days() {
        let profiles = telemetry::profile::builtin().unwrap();
        assert_eq!(silence_after(&profiles["street-lamp"]), None);
        assert_eq!(
            silence_after(&profiles["manhole-cover"]),
            Some("50h".parse().unwrap())
        );
    }

    #[test]
    fn a_device_is_silent_only_after_its_time() {
        let heard = Some(Timestamp::from_millis(1000));
        let after = Span::from_millis(500);
        assert!(!is_silent(heard, after, Timestamp::from_millis(1500)));
        assert!(is_silent(heard, after, Timestamp::from_millis(1501)));
        assert!(is_silent(None, after, Timestamp::EPOCH));
    }
}
