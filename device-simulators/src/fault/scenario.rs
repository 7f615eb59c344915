//! A scenario: faults that come at set times, once or again and again.

use serde::Deserialize;
use telemetry::time::Span;
use telemetry::{DeviceId, Timestamp};

use super::{Fault, FaultKind};

/// The shortest `every`: more often would be a flood.
const EVERY_MIN: Span = Span::from_secs(60);

/// Why a scenario was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, a key that does not belong there, or an unknown kind. Mend the named line.
    #[error("the scenario cannot be read")]
    Syntax(#[source] toml::de::Error),
    /// Readable, but it makes no sense. Mend the named fault.
    #[error("fault {number} of the scenario ({kind}): {what}")]
    Nonsense {
        /// Counted from 1.
        number: usize,
        /// Which kind.
        kind: FaultKind,
        /// What is wrong.
        what: &'static str,
    },
}

/// A list of faults with their times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(default, rename = "fault")]
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: FaultKind,
    device: Option<DeviceId>,
    #[serde(default)]
    start: Span,
    duration: Option<Span>,
    every: Option<Span>,
    #[serde(default)]
    when: When,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    #[default]
    Always,
    Night,
    Day,
}

impl Scenario {
    /// Reads a scenario: a TOML file of `[[fault]]` tables with `kind`, and as wanted `device`, `start`
    /// (from the start of the run), `duration`, `every` (at least 1 min) and `when` (`always`, `night`, `day`).
    ///
    /// # Errors
    /// [`ScenarioError`] with line or number of what is wrong.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(ScenarioError::Syntax)?;
        for (n, entry) in scenario.entries.iter().enumerate() {
            let what = match (entry.every, entry.duration.unwrap_or(entry.kind.usual_duration())) {
                (Some(every), _) if every < EVERY_MIN => "every is below 1min",
                (Some(every), duration) if every <= duration => "every must be longer than duration",
                (_, Span::ZERO) => "duration is 0",
                _ => continue,
            };
            return Err(ScenarioError::Nonsense {
                number: n + 1,
                kind: entry.kind,
                what,
            });
        }
        Ok(scenario)
    }

    /// The scenario of `townwatch demo`: something happens every few minutes, and goes away again.
    ///
    /// # Errors
    /// [`ScenarioError`] when the program's own file is wrong; a test holds that it is not.
    pub fn demo() -> Result<Self, ScenarioError> {
        Self::parse(include_str!("../../scenarios/demo.toml"))
    }
}

/// Plays a scenario: says which faults begin by when. Pure.
#[derive(Debug)]
pub(crate) struct Player {
    entries: Vec<(i64, Entry)>,
}

impl Player {
    pub(crate) fn new(scenario: Scenario, start: Timestamp) -> Self {
        let entries = (scenario.entries.into_iter())
            .map(|entry| (start.plus(entry.start).millis(), entry))
            .collect();
        Self { entries }
    }

    /// When the next fault begins, ms.
    pub(crate) fn next(&self) -> Option<i64> {
        self.entries.iter().map(|(at, _)| *at).min()
    }

    /// The faults that begin up to `now`; of those that should have come several times, the last one only.
    pub(crate) fn due(&mut self, now: i64, lit: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (at, entry) in self.entries.iter_mut().filter(|(at, _)| *at <= now) {
            let wanted = match entry.when {
                When::Always => true,
                When::Night => lit,
                When::Day => !lit,
            };
            if wanted {
                faults.push(Fault {
                    kind: entry.kind,
                    device: entry.device.clone(),
                    start: Span::ZERO,
                    duration: entry.duration.unwrap_or(entry.kind.usual_duration()),
                });
            }
            *at = match entry.every.map(Span::millis_i64) {
                Some(every) => now + every - (now - *at).rem_euclid(every),
                None => i64::MAX,
            };
        }
        self.entries.retain(|(at, _)| *at < i64::MAX);
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_scenario_is_sound_and_has_a_gas_leak() {
        let demo = Scenario::demo().unwrap();
        assert!(
            demo.entries
                .iter()
                .any(|entry| entry.kind == FaultKind::GasLeak && entry.every.is_some())
        );
    }

    #[test]
    fn a_scenario_with_a_wrong_word_is_refused() {
        for (text, word) in [
            ("[[fault]]\nkind = \"gas-leek\"", "gas-leek"),
            ("[[fault]]\nkind = \"silence\"\nduraton = \"5min\"", "duraton"),
        ] {
            let ScenarioError::Syntax(error) = Scenario::parse(text).unwrap_err() else {
                panic!("{text}")
            };
            assert!(error.to_string().contains(word), "{error}");
        }
        let flood = "[[fault]]\nkind = \"silence\"\nevery = \"5min\"";
        assert!(matches!(
            Scenario::parse(flood),
            Err(ScenarioError::Nonsense { number: 1, .. })
        ));
    }

    #[test]
    fn a_repeated_fault_comes_at_its_times_and_a_nightly_one_waits_for_the_night() {
        // Given one leak after 5 min and then every 20 min, and a lamp by night,
        let text = "[[fault]]\nkind = \"gas-leak\"\nstart = \"5min\"\nevery = \"20min\"\n\
                    [[fault]]\nkind = \"lamp-out\"\nstart = \"1min\"\nevery = \"3h\"\nwhen = \"night\"";
        let mut player = Player::new(Scenario::parse(text).unwrap(), Timestamp::EPOCH);
        // when it is played by day from minute to minute,
        let minute = 60_000;
        let begun: Vec<i64> = (0..60)
            .filter(|n| !player.due(n * minute, false).is_empty())
            .collect();
        // then only the leak came, and the lamp comes with the first night.
        assert_eq!(begun, [5, 25, 45]);
        assert_eq!(
            player
                .due(181 * minute, true)
                .iter()
                .filter(|f| f.kind == FaultKind::LampOut)
                .count(),
            1
        );
    }
}
