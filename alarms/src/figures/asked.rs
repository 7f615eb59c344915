//! One question for a figure, with everything that answers it.

use store::series::query::LastUsable;
use store::series::{Cancel, SeriesReader};
use telemetry::registry::{Site, SiteKind};
use telemetry::sample::Sample;
use telemetry::time::Timestamp;
use telemetry::{Catalogue, DeviceEntry, SeriesId};

use super::form::{Excluded, Figure, Formula, Moment, Unknown, words};
use super::{
    AlarmFacts, AlarmLog, CaseFacts, FigureError, HealthPolicy, PERIOD_DAYS_MAX, Policy, Scope, Sun,
};
use telemetry::profile::Title;

/// Samples of one series that are in memory at once: a month at more than one a second. More: [`FigureError::Series`].
const SAMPLES_MAX: usize = 4_000_000;
/// Bad samples in a row at the end of a period that are looked at one by one; more: the period is read.
const BAD_ONES_SKIPPED: usize = 3;

/// What is always the same about a figure.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) zh: &'static str,
    pub(super) en: &'static str,
    pub(super) unit: &'static str,
    pub(super) counted_in: &'static str,
    pub(super) unknown_in: &'static str,
    pub(super) formula: Formula,
}

/// One question for a figure, with everything that answers it.
pub(super) struct Asked<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) devices: &'a [Vec<usize>],
    pub(super) series: &'a dyn SeriesReader,
    pub(super) alarms: &'a dyn AlarmFacts,
    pub(super) cases: &'a dyn CaseFacts,
    pub(super) health: Option<(&'a dyn AlarmLog, &'a HealthPolicy)>,
    pub(super) policy: &'a Policy,
    pub(super) sun: &'a Sun,
    pub(super) now: Timestamp,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
    pub(super) scope: &'a Scope,
}

impl Asked<'_> {
    /// A figure of that kind with nothing in it yet.
    pub(super) fn figure(&self, kind: Kind, from: Timestamp, to: Timestamp) -> Figure {
        Figure {
            name: kind.name,
            title: words(kind.zh, kind.en),
            value: None,
            unit: kind.unit,
            reason: None,
            colour: None,
            numerator: None,
            denominator: None,
            counted_in: kind.counted_in,
            denominator_in: None,
            unknown: Unknown {
                share: None,
                amount: 0.0,
                unit: kind.unknown_in,
            },
            excluded: Vec::new(),
            formula: kind.formula,
            policy: self.policy.reference(),
            revision: String::new(),
            scope: self.scope.to_string(),
            from: self.moment(from),
            to: self.moment(to),
            computed_at: self.moment(self.now),
            variants: Vec::new(),
            bounds: Vec::new(),
            course: None,
            parts: Vec::new(),
            evidence: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn moment(&self, at: Timestamp) -> Moment {
        Moment {
            ms: at,
            time: self.sun.text(at),
        }
    }

    /// The instant of a snapshot: `to`, or now.
    pub(super) fn instant(&self) -> Timestamp {
        self.to.unwrap_or(self.now).min(self.now)
    }

    /// The period asked for, or from `default`; it ends now at the latest.
    pub(super) fn period(&self, default: Timestamp) -> Result<(Timestamp, Timestamp), FigureError> {
        let to = self.to.unwrap_or(self.now).min(self.now);
        let from = self.from.unwrap_or(default.min(to));
        let refused = |why: String| Err(FigureError::Period { from, to, why });
        if from >= self.now {
            return refused("has not begun".to_owned());
        }
        if from >= to {
            return refused("is empty".to_owned());
        }
        if to.millis_since(from) > PERIOD_DAYS_MAX * Timestamp::DAY_MS {
            return refused(format!("is longer than {PERIOD_DAYS_MAX} days"));
        }
        Ok((from, to))
    }

    /// The first instant of the civil day a week before today: seven complete days, and today so far.
    pub(super) fn week_ago(&self) -> Timestamp {
        self.days_ago(7)
    }

    /// The first instant of the civil day so many days before today.
    pub(super) fn days_ago(&self, days: i64) -> Timestamp {
        let today = self.sun.date(self.now);
        let first = today.checked_sub(jiff::Span::new().days(days)).unwrap_or(today);
        self.sun.midnight(first)
    }

    /// What people call an organisation.
    pub(super) fn organisation(&self, id: &str) -> Title {
        let mut registered = self.catalogue.registry().organisations.iter();
        match registered.find(|one| &*one.id == id) {
            Some(one) => one.name.clone(),
            None if id.is_empty() => words("无运维单位", "no organisation"),
            None => words(id, id),
        }
    }

    /// The first instant of the civil year.
    pub(super) fn year_begin(&self) -> Timestamp {
        self.sun.midnight(self.sun.date(self.now).first_of_year())
    }

    /// The sites in the scope, each with its devices.
    pub(super) fn all_sites(&self) -> impl Iterator<Item = (&Site, Vec<&DeviceEntry>)> {
        (self.catalogue.sites().iter().zip(self.devices))
            .filter(move |(site, _)| self.scope.holds(site))
            .map(|(site, places)| {
                let entries = places
                    .iter()
                    .filter_map(|place| self.catalogue.devices().get(*place));
                (site, entries.collect())
            })
    }

    /// The sites of that kind in the scope, each with its devices.
    pub(super) fn sites(&self, kind: SiteKind) -> impl Iterator<Item = (&Site, Vec<&DeviceEntry>)> {
        self.all_sites().filter(move |(site, _)| site.kind == kind)
    }

    /// The sewage stations in the scope that are in service; the others go to `excluded`.
    pub(super) fn stations(&self, excluded: &mut Vec<Excluded>) -> Vec<(&Site, Vec<&DeviceEntry>)> {
        let mut stations = Vec::new();
        for (site, devices) in self.sites(SiteKind::SewageStation) {
            if site.flag("in_service") == Some(false) {
                let reason = words("未投运", "not in service");
                excluded.push(Excluded::site(site, "not_in_service", reason));
            } else {
                stations.push((site, devices));
            }
        }
        stations
    }

    /// All samples of `from..to`, of any quality, of each of these series.
    pub(super) fn samples(
        &self,
        series: &[SeriesId],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Vec<Sample>>, FigureError> {
        let never = Cancel::never();
        Ok(self.series.range_many(series, from, to, SAMPLES_MAX, &never)?)
    }

    /// The last sample of `from..to` that is not bad.
    pub(super) fn last_usable(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Sample>, FigureError> {
        // Behind a bad one there may be a good one: most often there is not a single bad one.
        let mut until = to;
        for _ in 0..BAD_ONES_SKIPPED {
            match self.series.last_before(series, until)? {
                Some(sample) if sample.time < from => return Ok(None),
                Some(sample) if sample.quality.is_bad() => until = sample.time,
                last => return Ok(last),
            }
        }
        let mut last = LastUsable::default();
        self.series
            .scan(series, from, until, &Cancel::never(), &mut last)?;
        Ok(last.found())
    }
}

/// The series of a signal of a device.
pub(super) fn signal(entry: &DeviceEntry, name: &str) -> Option<SeriesId> {
    entry.series.get(entry.profile.signal_index(name)?).copied()
}

/// The API path of the readings of a signal.
pub(super) fn series_link(entry: &DeviceEntry, signal: &str, from: Timestamp, to: Timestamp) -> String {
    let (device, from, to) = (&entry.device.id, from.millis(), to.millis());
    format!("/api/v1/series?device={device}&signal={signal}&from={from}&to={to}")
}
