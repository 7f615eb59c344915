//! A small county in memory, for the tests of the figures.

use std::sync::Arc;

use store::testkit::MemorySeries;
use telemetry::registry::Registry;
use telemetry::sample::Sample;
use telemetry::time::{Clock, Span, Timestamp};
use telemetry::{Catalogue, Quality, SeriesId, SiteId};

use super::{
    AlarmFact, AlarmFacts, AlarmLog, Figure, FigureError, Figures, HealthPolicy, LogFacts, Policy, Scope,
    is_rule,
};

/// A county with its readings and alarms, and a clock that stands still.
pub(super) struct County {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) series: Arc<MemorySeries>,
    pub(super) alarms: Vec<(SiteId, AlarmFact)>,
    pub(super) policy: Policy,
    pub(super) now: Timestamp,
}

struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
    fn monotonic(&self) -> Span {
        Span::ZERO
    }
}

struct Told(Vec<(SiteId, AlarmFact)>);

impl AlarmFacts for Told {
    fn facts(
        &self,
        site: &SiteId,
        _since: Timestamp,
        _at: Timestamp,
    ) -> Result<Vec<AlarmFact>, Box<dyn std::error::Error + Send + Sync>> {
        let of_site = self.0.iter().filter(|(of, _)| of == site);
        Ok(of_site.map(|(_, fact)| fact.clone()).collect())
    }
}

/// A log of alarms as it is written down in a test.
struct Written(LogFacts);

impl AlarmLog for Written {
    fn facts(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<LogFacts, Box<dyn std::error::Error + Send + Sync>> {
        let mut facts = self.0.clone();
        facts.rows.retain(|row| (from..to).contains(&row.at));
        Ok(facts)
    }

    fn knows(&self, rule: &str) -> bool {
        self.0.rules.iter().any(|known| is_rule(rule, &known.id))
    }
}

/// The figures of alarm health over that log.
pub(super) fn health_figures(catalogue: Arc<Catalogue>, facts: LogFacts, now: Timestamp) -> Figures {
    let policy = Policy::builtin().unwrap();
    let nothing = Arc::new(Told(Vec::new()));
    let series: Arc<MemorySeries> = Arc::default();
    Figures::new(catalogue, series, nothing, policy, Arc::new(Still(now)))
        .unwrap()
        .with_alarm_log(Arc::new(Written(facts)), HealthPolicy::builtin().unwrap())
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl County {
    /// A county with the sites, devices and evaluations of `toml`.
    pub(super) fn new(toml: &str, now: &str) -> Self {
        let head = "[county]\nname = { zh = \"某县\", en = \"c\" }\nposition = { latitude = 27.56, longitude = 119.72 }\n";
        let registry: Registry = toml::from_str(&format!("{head}{toml}")).unwrap();
        let profiles = telemetry::profile::builtin().unwrap();
        let mut next = 0;
        let catalogue = Catalogue::build(registry, &profiles, |_, _| {
            next += 1;
            SeriesId(next)
        });
        Self {
            catalogue: Arc::new(catalogue.unwrap()),
            series: Arc::default(),
            alarms: Vec::new(),
            policy: Policy::builtin().unwrap(),
            now: at(now),
        }
    }

    pub(super) fn put(&self, device: &str, signal: &str, time: Timestamp, value: f64) {
        self.put_with(device, signal, time, value, Quality::Good);
    }

    pub(super) fn put_with(&self, device: &str, signal: &str, time: Timestamp, value: f64, quality: Quality) {
        let series = self.catalogue.series_id(device, signal).unwrap();
        self.series.insert(series, Sample { time, value, quality });
    }

    /// A reading every `every_s` seconds from `from` to `to` (not included).
    pub(super) fn fill(
        &self,
        device: &str,
        signal: &str,
        from: &str,
        to: &str,
        every_s: u64,
        value: impl Fn(Timestamp) -> f64,
    ) {
        let (mut time, to) = (at(from), at(to));
        while time < to {
            self.put(device, signal, time, value(time));
            time = time.plus(Span::from_secs(every_s));
        }
    }

    pub(super) fn figures(&self) -> Figures {
        Figures::new(
            Arc::clone(&self.catalogue),
            self.series.clone(),
            Arc::new(Told(self.alarms.clone())),
            self.policy.clone(),
            Arc::new(Still(self.now)),
        )
        .unwrap()
    }

    pub(super) fn ask(
        &self,
        name: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<Figure, FigureError> {
        self.figures()
            .compute(name, from.map(at), to.map(at), &Scope::County)
    }

    pub(super) fn figure(&self, name: &str) -> Figure {
        self.ask(name, None, None).unwrap()
    }
}

/// A sewage station `id` with a device of the same name.
pub(super) fn station(id: &str, profile: &str, attributes: &str) -> String {
    format!(
        "[[site]]\nid = \"{id}\"\nkind = \"sewage_station\"\nname = {{ zh = \"站{id}\", en = \"station {id}\" }}\n\
         organisation = \"o\"\ntown = \"t\"\nposition = {{ latitude = 27.5, longitude = 119.7 }}\n\
         attributes = {{ {attributes} }}\n\
         [[device]]\nid = \"{id}\"\nsite = \"{id}\"\nprofile = \"{profile}\"\n"
    )
}

/// An evaluation of a station.
pub(super) fn evaluation(site: &str, at_text: &str, until: &str, score: f64) -> String {
    let (from, until) = (at(at_text).millis(), at(until).millis());
    format!(
        "[[evaluation]]\nsite = \"{site}\"\nat = {from}\nvalid_until = {until}\nscore = {score:?}\nevaluator = \"e\"\n"
    )
}

#[track_caller]
pub(super) fn close(found: Option<f64>, wanted: f64) {
    let found = found.unwrap();
    assert!(
        (found - wanted).abs() < 1e-9 * wanted.abs().max(1.0),
        "{found} is not {wanted}"
    );
}
