//! A file of rules: TOML in, what the engine watches for out. Every refusal says where and why.

mod form;
mod maker;
mod system;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use telemetry::SeriesId;

use crate::engine::Spans;
use crate::rules::{Plant, Rule};
use crate::telling::Telling;

use form::{File, Settings};
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
}

/// What a sample of a point is.
#[derive(Clone, Copy, Debug)]
pub struct ReplayPoint {
    /// Its series; its device has the same number.
    pub series: SeriesId,
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
        for (what, count) in [("point", file.point.len()), ("rule", file.rule.len())] {
            if count > ENTRIES_MAX {
                return Err(refused(format!(
                    "{count} entries of [[{what}]]; at most {ENTRIES_MAX} are allowed"
                )));
            }
        }
        let mut maker = Maker::new(&file.point, zone)?;
        for form in &file.rule {
            maker
                .rule(form)
                .map_err(|why| refused(format!("[[rule]] {}: {why}", form.id)))?;
        }
        maker.system_rules(&file.point, &file.settings);
        let settings = &file.settings;
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
        })
    }
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
