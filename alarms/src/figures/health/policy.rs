//! The bounds of the health of the alarm system: a policy pack of its own, dated and versioned, as TOML.

use serde::Deserialize;
use telemetry::profile::Title;
use telemetry::time::Span;

use crate::figures::PolicyError;
use crate::figures::form::PolicyRef;
use crate::health::aside::AsideLimits;
use crate::health::chatter::ChatterLimits;
use crate::rules::condition::FloodLimits;

/// The pack that comes with the program: `alarms/policies/alarm-health.toml`.
const BUILTIN: (&str, &str) = (
    "alarm-health.toml",
    include_str!("../../../policies/alarm-health.toml"),
);

/// The pack. Every key is required: a pack says everything that it rules.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthPolicy {
    /// Name.
    pub id: Box<str>,
    /// Grows with each change.
    pub version: u32,
    /// First civil day on which it rules.
    pub effective_from: jiff::civil::Date,
    /// What people call it.
    pub title: Title,
    /// Share of a period that must be known before a bound counts as met, %.
    pub known_min: f64,
    /// Of `alarm_rate`.
    pub rate: RateBounds,
    /// Of `alarm_flood`.
    pub flood: FloodBounds,
    /// Of `alarm_chattering`.
    pub chattering: ChatterBounds,
    /// Of `alarm_fleeting`.
    pub fleeting: FleetingBounds,
    /// Of `alarm_stale`.
    pub stale: StaleBounds,
    /// Of `alarm_top_ten`.
    pub top_ten: TopBounds,
    /// Of `alarm_priority_mix`.
    pub priority_mix: MixBounds,
    /// Of `alarm_unauthorised_suppression`.
    pub unauthorised_suppression: AsideBounds,
}

/// Where a number comes from, and how sure it is.
pub(in crate::figures) struct Said<'a> {
    pub(in crate::figures) source: &'a str,
    pub(in crate::figures) confidence: &'a str,
}

/// Calls in some time.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// "Very likely acceptable", above 0.
    pub acceptable: f64,
    /// "Maximum manageable", at least `acceptable`.
    pub manageable: f64,
}

/// Bounds of the rate of calls.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateBounds {
    /// In 10 min.
    pub per_10min: Load,
    /// In an hour.
    pub per_hour: Load,
    /// In a day.
    pub per_day: Load,
    /// Most in any 10 min.
    pub peak_max: f64,
    /// Where they come from.
    pub source: Box<str>,
    /// How sure they are.
    pub confidence: Box<str>,
}

/// What a flood is, and how much of it is too much.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FloodBounds {
    /// Length of an interval, 1 min to 1 h.
    pub interval: Span,
    /// It begins with more calls than this in an interval, at least 1.
    pub begins_above: u32,
    /// It ends with fewer than this, at most `begins_above`.
    pub ends_below: u32,
    /// Share of the intervals, %.
    pub share_max: f64,
    /// Where they come from.
    pub source: Box<str>,
    /// How sure they are.
    pub confidence: Box<str>,
}

impl FloodBounds {
    /// As the counting takes them.
    #[must_use]
    pub const fn limits(&self) -> FloodLimits {
        FloodLimits {
            begins_above: self.begins_above,
            ends_below: self.ends_below,
            interval: self.interval,
        }
    }
}

/// What chatter is. The goal is none.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatterBounds {
    /// Raises of one rule, 2 to 100, …
    pub raises: u32,
    /// … within this, at most 1 h.
    pub within: Span,
    /// Where they come from.
    pub source: Box<str>,
    /// How sure they are.
    pub confidence: Box<str>,
}

impl ChatterBounds {
    /// As the counting takes them.
    #[must_use]
    pub const fn limits(&self) -> ChatterLimits {
        ChatterLimits {
            raises: self.raises,
            within: self.within,
        }
    }
}

/// What a fleeting alarm is. The goal is none.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetingBounds {
    /// Active for less than this, at most 1 h.
    pub shorter_than: Span,
    /// Where it comes from.
    pub source: Box<str>,
    /// How sure it is.
    pub confidence: Box<str>,
}

/// What a stale alarm is, and how many are too many.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaleBounds {
    /// Active for more than this, 1 h to 30 d.
    pub longer_than: Span,
    /// On any day fewer than this.
    pub per_day_below: f64,
    /// Where they come from.
    pub source: Box<str>,
    /// How sure they are.
    pub confidence: Box<str>,
}

/// How much the ten rules that called most may call.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopBounds {
    /// Share of all calls, %: the goal.
    pub share_goal: f64,
    /// Share of all calls, %: at most.
    pub share_max: f64,
    /// Where they come from.
    pub source: Box<str>,
    /// How sure they are.
    pub confidence: Box<str>,
}

/// How calls should be spread over the priorities, %.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixBounds {
    /// About.
    pub low: f64,
    /// About.
    pub medium: f64,
    /// About.
    pub high: f64,
    /// Less than.
    pub critical: f64,
    /// Where they come from.
    pub source: Box<str>,
    /// How sure they are.
    pub confidence: Box<str>,
}

/// For how long an alarm may be set aside.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AsideBounds {
    /// On the shelf without a break, at most 30 d.
    pub shelve_max: Span,
    /// Out of service by one permit, at most 400 d.
    pub out_of_service_max: Span,
    /// Where they come from.
    pub source: Box<str>,
    /// How sure they are.
    pub confidence: Box<str>,
}

impl AsideBounds {
    /// As the judging takes them.
    #[must_use]
    pub const fn limits(&self) -> AsideLimits {
        AsideLimits {
            shelve_max: self.shelve_max,
            out_of_service_max: self.out_of_service_max,
        }
    }
}

macro_rules! said {
    ($($bounds:ty),+) => {
        $(impl $bounds {
            pub(in crate::figures) fn said(&self) -> Said<'_> {
                Said { source: &self.source, confidence: &self.confidence }
            }
        })+
    };
}

said!(
    RateBounds,
    FloodBounds,
    ChatterBounds,
    FleetingBounds,
    StaleBounds,
    TopBounds,
    MixBounds,
    AsideBounds
);

impl HealthPolicy {
    /// The pack that comes with the program.
    ///
    /// # Errors
    /// [`PolicyError`] when the program's own file is wrong; a test holds that it is not.
    pub fn builtin() -> Result<Self, PolicyError> {
        Self::parse(BUILTIN.0, BUILTIN.1)
    }

    /// Reads a pack. `file` is its name, for the error.
    ///
    /// # Errors
    /// [`PolicyError`] with file and key.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).map_err(|source| PolicyError::Syntax {
            file: file.to_owned(),
            source,
        })?;
        let wrong = policy
            .number_out_of_range()
            .or_else(|| policy.span_out_of_range());
        match wrong {
            None => Ok(policy),
            Some((key, found, allowed)) => Err(PolicyError::Range {
                file: file.to_owned(),
                key,
                found,
                allowed,
            }),
        }
    }

    /// Its name and version, as figures carry them.
    #[must_use]
    pub fn reference(&self) -> PolicyRef {
        PolicyRef {
            id: self.id.clone(),
            version: self.version,
        }
    }

    fn number_out_of_range(&self) -> Option<(&'static str, String, &'static str)> {
        let load = |key, load: Load| {
            let sound =
                load.acceptable > 0.0 && load.manageable >= load.acceptable && load.manageable.is_finite();
            (
                key,
                load.manageable,
                sound,
                "acceptable above 0, manageable at least that",
            )
        };
        let share = |key, share: f64| (key, share, (0.0..=100.0).contains(&share), "0 to 100");
        let count = |key, count: f64| (key, count, count >= 0.0 && count.is_finite(), "0 or more");
        let (rate, mix, flood) = (&self.rate, &self.priority_mix, &self.flood);
        let whole = |key, number: u32, range: std::ops::RangeInclusive<u32>, allowed| {
            (key, f64::from(number), range.contains(&number), allowed)
        };
        [
            load("rate.per_10min", rate.per_10min),
            load("rate.per_hour", rate.per_hour),
            load("rate.per_day", rate.per_day),
            count("rate.peak_max", rate.peak_max),
            whole(
                "flood.begins_above",
                flood.begins_above,
                1..=100_000,
                "1 to 100000",
            ),
            whole(
                "flood.ends_below",
                flood.ends_below,
                0..=flood.begins_above,
                "at most begins_above",
            ),
            share("known_min", self.known_min),
            share("flood.share_max", flood.share_max),
            whole("chattering.raises", self.chattering.raises, 2..=100, "2 to 100"),
            count("stale.per_day_below", self.stale.per_day_below),
            share("top_ten.share_goal", self.top_ten.share_goal),
            share("top_ten.share_max", self.top_ten.share_max),
            share("priority_mix.low", mix.low),
            share("priority_mix.medium", mix.medium),
            share("priority_mix.high", mix.high),
            share("priority_mix.critical", mix.critical),
        ]
        .into_iter()
        .find(|(_, _, sound, _)| !sound)
        .map(|(key, found, _, allowed)| (key, found.to_string(), allowed))
    }

    fn span_out_of_range(&self) -> Option<(&'static str, String, &'static str)> {
        let hours = |hours: u64| Span::from_secs(hours * 3600);
        let aside = &self.unauthorised_suppression;
        [
            (
                "flood.interval",
                self.flood.interval,
                Span::from_secs(60),
                hours(1),
                "1min to 1h",
            ),
            (
                "chattering.within",
                self.chattering.within,
                Span::from_secs(1),
                hours(1),
                "1s to 1h",
            ),
            (
                "fleeting.shorter_than",
                self.fleeting.shorter_than,
                Span::from_millis(1),
                hours(1),
                "at most 1h",
            ),
            (
                "stale.longer_than",
                self.stale.longer_than,
                hours(1),
                hours(720),
                "1h to 30d",
            ),
            (
                "unauthorised_suppression.shelve_max",
                aside.shelve_max,
                Span::from_millis(1),
                hours(720),
                "at most 30d",
            ),
            (
                "unauthorised_suppression.out_of_service_max",
                aside.out_of_service_max,
                Span::from_millis(1),
                hours(9600),
                "at most 400d",
            ),
        ]
        .into_iter()
        .find(|(_, found, least, most, _)| found < least || found > most)
        .map(|(key, found, _, _, allowed)| (key, found.to_string(), allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_pack_counts_as_replay_does() {
        let policy = HealthPolicy::builtin().unwrap();
        assert_eq!(&*policy.id, BUILTIN.0.trim_end_matches(".toml"));
        assert_eq!(policy.flood.limits(), FloodLimits::default());
        assert_eq!(policy.chattering.limits(), ChatterLimits::default());
        assert_eq!(policy.stale.longer_than, Span::from_secs(86_400));
    }

    #[test]
    fn a_missing_key_and_a_value_out_of_range_are_named() {
        for (from, to, word) in [
            ("raises = 3\n", "", "raises"),
            ("raises = 3", "raises = 1", "chattering.raises"),
            ("ends_below = 5", "ends_below = 11", "flood.ends_below"),
            ("interval = \"10min\"", "interval = \"2h\"", "flood.interval"),
            ("share_max = 5", "share_max = 101", "top_ten.share_max"),
            ("manageable = 12", "manageable = 5", "rate.per_hour"),
            (
                "longer_than = \"24h\"",
                "longer_than = \"31d\"",
                "stale.longer_than",
            ),
            (
                "shelve_max = \"24h\"",
                "shelve_max = \"31d\"",
                "unauthorised_suppression.shelve_max",
            ),
        ] {
            assert!(BUILTIN.1.contains(from), "{from}");
            let error = HealthPolicy::parse("p.toml", &BUILTIN.1.replace(from, to)).unwrap_err();
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let text = format!("{error} {}", cause.unwrap_or_default());
            assert!(text.contains(word), "{text}");
        }
    }
}
