//! The rules under which figures are computed: a policy pack, dated and versioned, as TOML.

use serde::Deserialize;
use telemetry::profile::Title;
use telemetry::time::Span;

use super::colour::Colour;
use super::form::PolicyRef;

/// The pack that comes with the program: `alarms/policies/zhejiang-2021.toml`.
const BUILTIN: (&str, &str) = (
    "zhejiang-2021.toml",
    include_str!("../../policies/zhejiang-2021.toml"),
);

/// Why a policy pack was refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not TOML, an unknown or a missing key, or a value of the wrong type. Mend the named line.
    #[error("policy {file} cannot be read")]
    Syntax {
        /// Which file.
        file: String,
        /// Line, column and what was expected.
        source: toml::de::Error,
    },
    /// A value outside its range.
    #[error("policy {file}: {key} is {found}; allowed is {allowed}")]
    Range {
        /// Which file.
        file: String,
        /// Which key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// A policy pack. Every key is required: a pack says everything that it rules.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Name, e.g. `zhejiang-2021`.
    pub id: Box<str>,
    /// Grows with each change.
    pub version: u32,
    /// First civil day on which it rules.
    pub effective_from: jiff::civil::Date,
    /// What people call it.
    pub title: Title,
    /// Coverage of standardised O&M.
    pub sewage_om_coverage: CoveragePolicy,
    /// Treated volume.
    pub sewage_volume: VolumePolicy,
    /// COD and NH3-N reduction.
    pub sewage_reduction: ReductionPolicy,
    /// Lighting rate.
    pub lighting_rate: LightingPolicy,
    /// Hazard tiers and colours.
    pub gas_hazard: GasPolicy,
}

/// Rules of `sewage_om_coverage`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoveragePolicy {
    /// T, t/d: 10, 20, 30 or 50.
    pub threshold_tpd: u32,
    /// Points at which an evaluation is passed, 0 to 100.
    pub pass_mark: f64,
}

/// Rules of `sewage_volume`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumePolicy {
    /// Where the totaliser starts again at 0, m³, above 0.
    pub totaliser_modulus_m3: f64,
    /// How near to both ends of the range a fall must be to be a roll-over, above 0 to 0.5.
    pub rollover_band: f64,
    /// What a reset counts.
    pub on_reset: OnReset,
    /// How much faster than the flow's range a rise may be, at least 1.
    pub jump_factor: f64,
    /// Longest time without a reading at an end of the period that is taken as observed.
    pub edge_gap_max: Span,
}

/// What a reset counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnReset {
    /// The reading after it, where so much can have flowed since the reading before.
    FromZero,
    /// Nothing.
    Unknown,
}

/// Rules of `sewage_cod_reduction` and `sewage_nh3n_reduction`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReductionPolicy {
    /// What a negative day counts.
    pub negative_days: NegativeDays,
    /// Fewest readings of an analyser for its daily mean, at least 1.
    pub samples_per_day_min: u64,
}

/// What a day counts on which more comes out than went in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NegativeDays {
    /// 0.
    Clamped,
    /// The negative amount.
    Raw,
}

/// Rules of `lighting_rate`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LightingPolicy {
    /// From sunset to the time lights are due, at most 3 h.
    pub on_after_sunset: Span,
    /// From the time lights are no longer due to sunrise, at most 3 h.
    pub off_before_sunrise: Span,
    /// Least share of rated power × dimming level that is lit, above 0 to 1.
    pub lit_share: f64,
    /// Report intervals for which a report counts, 1 to 100.
    pub hold_intervals: u32,
    /// What the headline does with unknown time.
    pub offline: Offline,
}

/// What is done with the time of a lamp of which nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offline {
    /// Taken as dark.
    Strict,
    /// Left out.
    Lenient,
}

/// Rules of `gas_hazard`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GasPolicy {
    /// Whether every registered major hazard is red.
    pub direct_determination: bool,
    /// Colours of the levels one to four.
    pub level_colours: [Colour; 4],
    /// D from which a unit is red.
    pub lec_red: f64,
    /// D from which a unit is orange.
    pub lec_orange: f64,
    /// D from which a unit is yellow.
    pub lec_yellow: f64,
    /// Rules that make a unit at least red; one `*` at an end stands for the rest.
    pub floor_red: Vec<Box<str>>,
    /// Rules that make a unit at least orange.
    pub floor_orange: Vec<Box<str>>,
    /// Rules that make a unit one step worse.
    pub step_worse: Vec<Box<str>>,
    /// How long an alarm of `sustained_rules` must have stood.
    pub sustained: Span,
    /// Rules that count only when they have stood for `sustained`.
    pub sustained_rules: Vec<Box<str>>,
    /// How long an alarm of `step_worse` must have stood, and an instrument must have been silent.
    pub instrument_fault_after: Span,
    /// How long a unit may be without any usable reading before it is grey.
    pub no_data_after: Span,
    /// How long a cause must have been gone before the colour may be lowered.
    pub downgrade_after: Span,
    /// Density of LPG, kg/m³, 400 to 700.
    pub lpg_density_kg_m3: f64,
}

impl Policy {
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
        match policy.out_of_range() {
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

    fn out_of_range(&self) -> Option<(&'static str, String, &'static str)> {
        let threshold = self.sewage_om_coverage.threshold_tpd;
        if ![10, 20, 30, 50].contains(&threshold) {
            let key = "sewage_om_coverage.threshold_tpd";
            return Some((key, threshold.to_string(), "10, 20, 30 or 50"));
        }
        let lighting = &self.lighting_rate;
        if !(1..=100).contains(&lighting.hold_intervals) {
            let found = lighting.hold_intervals.to_string();
            return Some(("lighting_rate.hold_intervals", found, "1 to 100"));
        }
        if self.sewage_reduction.samples_per_day_min == 0 {
            return Some((
                "sewage_reduction.samples_per_day_min",
                "0".to_owned(),
                "at least 1",
            ));
        }
        self.span_out_of_range().or_else(|| self.number_out_of_range())
    }

    fn span_out_of_range(&self) -> Option<(&'static str, String, &'static str)> {
        let hour = Span::from_secs(3600);
        let day = Span::from_secs(86_400);
        let (lighting, gas) = (&self.lighting_rate, &self.gas_hazard);
        let three_hours = Span::from_secs(3 * 3600);
        [
            (
                "lighting_rate.on_after_sunset",
                lighting.on_after_sunset,
                three_hours,
                "at most 3h",
            ),
            (
                "lighting_rate.off_before_sunrise",
                lighting.off_before_sunrise,
                three_hours,
                "at most 3h",
            ),
            (
                "sewage_volume.edge_gap_max",
                self.sewage_volume.edge_gap_max,
                day,
                "at most 1d",
            ),
            ("gas_hazard.sustained", gas.sustained, hour, "at most 1h"),
            (
                "gas_hazard.instrument_fault_after",
                gas.instrument_fault_after,
                day,
                "at most 1d",
            ),
            ("gas_hazard.no_data_after", gas.no_data_after, day, "at most 1d"),
            (
                "gas_hazard.downgrade_after",
                gas.downgrade_after,
                day,
                "at most 1d",
            ),
        ]
        .into_iter()
        .find(|(_, found, most, _)| found > most)
        .map(|(key, found, _, allowed)| (key, found.to_string(), allowed))
    }

    fn number_out_of_range(&self) -> Option<(&'static str, String, &'static str)> {
        let (volume, gas) = (&self.sewage_volume, &self.gas_hazard);
        let above_zero = |number: f64| number > 0.0 && number.is_finite();
        let lec =
            (gas.lec_red > gas.lec_orange && gas.lec_orange > gas.lec_yellow) && above_zero(gas.lec_yellow);
        let lit_share = self.lighting_rate.lit_share;
        let pass_mark = self.sewage_om_coverage.pass_mark;
        [
            (
                "sewage_om_coverage.pass_mark",
                pass_mark,
                (0.0..=100.0).contains(&pass_mark),
                "0 to 100",
            ),
            (
                "sewage_volume.totaliser_modulus_m3",
                volume.totaliser_modulus_m3,
                above_zero(volume.totaliser_modulus_m3),
                "above 0",
            ),
            (
                "sewage_volume.rollover_band",
                volume.rollover_band,
                above_zero(volume.rollover_band) && volume.rollover_band <= 0.5,
                "above 0 to 0.5",
            ),
            (
                "sewage_volume.jump_factor",
                volume.jump_factor,
                volume.jump_factor >= 1.0 && volume.jump_factor.is_finite(),
                "1 or more",
            ),
            (
                "lighting_rate.lit_share",
                lit_share,
                above_zero(lit_share) && lit_share <= 1.0,
                "above 0 to 1",
            ),
            (
                "gas_hazard.lec_red",
                gas.lec_red,
                lec && gas.lec_red.is_finite(),
                "above lec_orange above lec_yellow above 0",
            ),
            (
                "gas_hazard.lpg_density_kg_m3",
                gas.lpg_density_kg_m3,
                (400.0..=700.0).contains(&gas.lpg_density_kg_m3),
                "400 to 700",
            ),
        ]
        .into_iter()
        .find(|(_, _, sound, _)| !sound)
        .map(|(key, found, _, allowed)| (key, found.to_string(), allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_pack_is_sound() {
        let policy = Policy::builtin().unwrap();
        assert_eq!(&*policy.id, BUILTIN.0.trim_end_matches(".toml"));
        assert_eq!(policy.sewage_om_coverage.threshold_tpd, 30);
    }

    #[test]
    fn a_misspelt_or_missing_key_is_named() {
        for (from, to) in [("pass_mark = 80", "passmark = 80"), ("lit_share = 0.3\n", "")] {
            let error = Policy::parse("p.toml", &BUILTIN.1.replace(from, to)).unwrap_err();
            let PolicyError::Syntax { source, .. } = &error else {
                panic!("{error}");
            };
            let word = if to.is_empty() { "lit_share" } else { "passmark" };
            assert!(source.to_string().contains(word), "{source}");
        }
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        for (from, to) in [
            ("threshold_tpd = 30", "threshold_tpd = 40"),
            ("pass_mark = 80", "pass_mark = 101"),
            ("rollover_band = 0.01", "rollover_band = 0"),
            ("jump_factor = 2.0", "jump_factor = nan"),
            ("totaliser_modulus_m3 = 429496729.6", "totaliser_modulus_m3 = -1"),
            ("edge_gap_max = \"1h\"", "edge_gap_max = \"2d\""),
            ("samples_per_day_min = 1", "samples_per_day_min = 0"),
            ("on_after_sunset = \"15min\"", "on_after_sunset = \"4h\""),
            ("lit_share = 0.3", "lit_share = 1.5"),
            ("hold_intervals = 3", "hold_intervals = 0"),
            ("lec_red = 320", "lec_red = 100"),
            ("downgrade_after = \"30min\"", "downgrade_after = \"3d\""),
            ("lpg_density_kg_m3 = 500", "lpg_density_kg_m3 = 0.5"),
        ] {
            assert!(BUILTIN.1.contains(from), "{from}");
            let error = Policy::parse("p.toml", &BUILTIN.1.replace(from, to)).unwrap_err();
            let key = from.split(' ').next().unwrap();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
