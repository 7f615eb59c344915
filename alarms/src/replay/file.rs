//! A file of rules: TOML in, what the engine watches for out. Every refusal says where and why.

mod devices;
mod form;
mod maker;
mod system;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use telemetry::SeriesId;
use telemetry::profile::Active;
use telemetry::registry::Position;

use crate::engine::Spans;
use crate::figures::Sun;
use crate::rules::condition::FloodLimits;
use crate::rules::{Plant, Rule};
use crate::telling::Telling;

use form::{File, RuleForm, Settings};
use maker::Maker;

/// Most points and most rules. More: refused.
const ENTRIES_MAX: usize = 1_000_000;

/// Why a file of rules is refused: where and what, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RulesError(String);

fn refused(what: impl Into<String>) -> RulesError {
    RulesError(what.into())
}

/// A file of rules, compiled.
#[derive(Debug)]
pub struct Compiled {
    /// What stands behind the rules.
    pub plant: Plant,
    /// Every rule, those of the engine last.
    pub rules: Vec<Rule>,
    /// Who is told.
    pub telling: Arc<Telling>,
    /// The spans of the semantics.
    pub spans: Spans,
    /// The points by name.
    pub points: HashMap<Arc<str>, ReplayPoint>,
    /// The devices that the file names, by name: their places in the plant.
    pub devices: HashMap<Arc<str>, usize>,
    /// The sun, where the file says where it shines.
    pub sun: Option<Arc<Sun>>,
}

/// What a sample of a point is.
#[derive(Clone, Copy, Debug)]
pub struct ReplayPoint {
    /// Its series.
    pub series: SeriesId,
    /// Place of its device in the plant.
    pub device: usize,
    /// Full scale, where it comes as milliamperes.
    pub milliamperes: Option<[f64; 2]>,
    /// Full scale, where the file says it.
    pub range: Option<[f64; 2]>,
}

impl Compiled {
    /// Compiles the text of a file.
    ///
    /// # Errors
    /// [`RulesError`] that says where and why: a line of the file, or the point or rule.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let file: File =
            toml::from_str(text).map_err(|error| refused(error.to_string().trim().to_owned()))?;
        let Settings { zone, .. } = &file.settings;
        let zone =
            TimeZone::get(zone).map_err(|_| refused(format!("[settings] there is no zone {zone:?}")))?;
        if let Some(route) = file.route.iter().find(|route| route.asks_for_place()) {
            return Err(refused(format!(
                "[[route]] to {}: site, town and organisation are for the server; a file of rules names no places",
                route.to
            )));
        }
        let telling = Telling::new(file.route, &file.escalation, &file.roster, &zone).map_err(refused)?;
        for (what, count) in [
            ("device", file.device.len()),
            ("point", file.point.len()),
            ("rule", file.rule.len()),
        ] {
            if count > ENTRIES_MAX {
                return Err(refused(format!(
                    "{count} entries of [[{what}]]; at most {ENTRIES_MAX} are allowed"
                )));
            }
        }
        let settings = &file.settings;
        if settings.own_alarms && !file.device.is_empty() {
            return Err(refused(
                "[[device]]: own_alarms = false of [settings] is needed, and the devices' alarms among the rules",
            ));
        }
        let sun = sun(settings)?;
        let in_sunlight = |form: &&RuleForm| form.active != Active::Always;
        if let Some(form) = file.rule.iter().find(in_sunlight).filter(|_| sun.is_none()) {
            return Err(refused(format!(
                "[[rule]] {}: active needs sun of [settings]",
                form.id
            )));
        }
        let flood = FloodLimits {
            begins_above: settings.flood_begins_above,
            ends_below: settings.flood_ends_below,
            ..FloodLimits::default()
        };
        let mut maker = Maker::new(&file.device, &file.point, zone, flood)?;
        maker.rules(&file.rule)?;
        if settings.own_alarms {
            maker.system_rules(&file.point, settings, flood);
        }
        Ok(Self {
            plant: maker.plant,
            rules: maker.rules,
            telling: Arc::new(telling),
            spans: Spans {
                lateness: settings.lateness,
                live_age: settings.live_age,
                future_tolerance: settings.future_tolerance,
                grace: settings.grace,
                shelve_max: settings.shelve_max,
            },
            points: maker.points,
            devices: maker.devices,
            sun,
        })
    }
}

fn sun(settings: &Settings) -> Result<Option<Arc<Sun>>, RulesError> {
    let Some(form) = &settings.sun else {
        return Ok(None);
    };
    let position = Position {
        latitude: form.latitude,
        longitude: form.longitude,
    };
    Sun::new(position, &settings.zone, form.after_sunset, form.before_sunrise)
        .map(|sun| Some(Arc::new(sun)))
        .map_err(|error| refused(format!("[settings] sun: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Compiled::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_refused_file_says_where_and_why() {
        let point = "[[point]]\nname = \"A\"\n";
        for (text, words) in [
            (
                "[settings]\nzone = \"Nowhere\"\n".to_owned(),
                ["[settings]", "Nowhere"],
            ),
            ("[[point]]\nname = \"1\"\n".to_owned(), ["[[point]] 1", "letter"]),
            (format!("{point}{point}"), ["A", "twice"]),
            (
                "[[rule]]\nid = \"x\"\nkind = \"high\"\n".to_owned(),
                ["x", "point is missing"],
            ),
            (
                format!("{point}[[rule]]\nid = \"x\"\npoint = \"A\"\nkind = \"high\"\n"),
                ["x", "limit is missing"],
            ),
            (
                format!(
                    "{point}[[rule]]\nid = \"x\"\npoint = \"A\"\nkind = \"high\"\nlimit = 1\nvotes = 2\n"
                ),
                ["x", "votes"],
            ),
            (
                format!("{point}[[rule]]\nid = \"x\"\nkind = \"cel\"\nexpression = \"B > 1\"\n"),
                ["x", "B is no point"],
            ),
            (
                format!("{point}[[rule]]\nid = \"x\"\npoint = \"A\"\nkind = \"high\"\nlimt = 1\n"),
                ["line", "limt"],
            ),
        ] {
            let refusal = refusal(&text);
            for word in words {
                assert!(refusal.contains(word), "{text}: {refusal}");
            }
        }
    }

    #[test]
    fn every_point_gets_the_alarms_that_the_engine_finds_out_by_itself() {
        let text = "[[point]]\nname = \"A\"\nstale_after = \"60s\"\nclass = \"life-safety\"\ngroup = \"farm\"\ngateway = \"GW\"\n\
                    [[point]]\nname = \"B\"\nclass = \"life-safety\"\ngroup = \"farm\"\n";
        let compiled = Compiled::parse(text).unwrap();
        let ids: Vec<&str> = compiled.rules.iter().map(|rule| &*rule.id).collect();
        assert_eq!(
            ids,
            [
                "A.silence",
                "A.fault",
                "A.clock",
                "B.fault",
                "B.clock",
                "GW.silence",
                "farm.protection",
                "system.flood"
            ]
        );
    }
}
