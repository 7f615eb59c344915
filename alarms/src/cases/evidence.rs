//! Whether telemetry agrees that a case is done: the alarms are over, the device speaks, and has spoken long or often
//! enough. No data is never all clear.

use std::ops::ControlFlow;
use std::sync::Arc;

use store::series::{Cancel, SeriesReader, Sink};
use telemetry::sample::Sample;
use telemetry::time::Span;
use telemetry::{Catalogue, Quality, Timestamp};

use super::case::CaseAlarm;
use super::settings::CaseSettings;
use crate::service::{AlarmError, AlarmService};
use crate::view::id;

/// Good reports that are counted at most: the setting's own bound.
const REPORTS_MAX: u32 = 1000;

/// What telemetry says of the rule of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// The cause stands now.
    pub active: bool,
    /// The device is silent: nobody knows how it is.
    pub silent: bool,
    /// Good readings of its signal since the cause went away, at most 1000; none for rules without a signal.
    pub reports: Option<u32>,
}

/// Answers what telemetry says. Blocking.
pub trait Evidence: Send + Sync {
    /// What telemetry says of `alarm`, whose cause went away at `since`; none when the rule is gone.
    ///
    /// # Errors
    /// Whatever keeps alarms or readings failed.
    fn of(
        &self,
        alarm: &CaseAlarm,
        since: Timestamp,
    ) -> Result<Option<Telemetry>, Box<dyn std::error::Error + Send + Sync>>;
}

/// Why telemetry does not agree, or that it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does; in words, for the events of the case.
    Normal(String),
    /// It does not; in words, for who wanted to verify.
    NotYet(String),
}

/// Judges one alarm of a case at `now`.
#[must_use]
pub fn judge(settings: &CaseSettings, alarm: &CaseAlarm, told: Option<Telemetry>, now: Timestamp) -> Verdict {
    let rule = &alarm.rule;
    let Some(told) = told.filter(|_| !alarm.gone) else {
        return Verdict::Normal(format!("{rule}: the rule is gone; nobody measures it any more"));
    };
    let since = match alarm.returned_at {
        Some(since) if !(alarm.active || told.active) => since,
        Some(_) | None => return Verdict::NotYet(format!("{rule}: the alarm stands")),
    };
    if told.silent {
        return Verdict::NotYet(format!("{rule}: the device is silent; no data is not all clear"));
    }
    let passed = Span::from_millis(u64::try_from(now.millis_since(since)).unwrap_or(0));
    let reports = told.reports.unwrap_or(0);
    let found = match told.reports {
        Some(reports) => format!("{rule}: normal for {passed}, {reports} good reports"),
        None => format!("{rule}: normal for {passed}"),
    };
    if passed >= settings.normal_for || reports >= settings.normal_reports {
        Verdict::Normal(found)
    } else {
        let (span, count) = (settings.normal_for, settings.normal_reports);
        Verdict::NotYet(format!("{found}; {span} or {count} are needed"))
    }
}

/// What the running alarm service and the store say.
pub struct LiveEvidence {
    /// The alarms.
    pub alarms: Arc<AlarmService>,
    /// The readings.
    pub series: Arc<dyn SeriesReader>,
    /// The one that the service judges by.
    pub catalogue: Arc<Catalogue>,
    /// The program's clock.
    pub clock: Arc<dyn telemetry::Clock>,
}

impl std::fmt::Debug for LiveEvidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveEvidence").finish_non_exhaustive()
    }
}

impl Evidence for LiveEvidence {
    fn of(
        &self,
        alarm: &CaseAlarm,
        since: Timestamp,
    ) -> Result<Option<Telemetry>, Box<dyn std::error::Error + Send + Sync>> {
        let view = match self.alarms.get(&id(&alarm.rule, alarm.occurrence)) {
            Ok(view) => view,
            Err(AlarmError::Unknown { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(place) = self.catalogue.device_index(&view.device) else {
            return Ok(None);
        };
        let signal = view.signal.as_deref();
        let series = signal.and_then(|signal| self.catalogue.series_id(&view.device, signal));
        let reports = match series {
            Some(series) => {
                let mut count = GoodReports::default();
                let to = self.clock.now().plus(Span::from_millis(1));
                self.series
                    .scan(series, since, to, &Cancel::never(), &mut count)?;
                Some(count.0)
            }
            None => None,
        };
        Ok(Some(Telemetry {
            active: view.state.is_active(),
            silent: view.stale || self.alarms.is_silent(place),
            reports,
        }))
    }
}

/// Counts good readings.
#[derive(Default)]
struct GoodReports(u32);

impl Sink for GoodReports {
    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        let good = samples
            .iter()
            .filter(|sample| sample.quality == Quality::Good)
            .count();
        self.0 = self.0.saturating_add(u32::try_from(good).unwrap_or(u32::MAX));
        if self.0 >= REPORTS_MAX {
            self.0 = REPORTS_MAX;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn telemetry_is_normal_long_or_often_enough_and_never_while_the_device_is_silent() {
        let settings = CaseSettings::default(); // 30 min or 3 reports
        let over = CaseAlarm {
            rule: "a/HI".into(),
            occurrence: 1,
            occurrences: 1,
            active: false,
            returned_at: Some(s(0)),
            acknowledged: true,
            gone: false,
        };
        let told = |reports| Telemetry {
            active: false,
            silent: false,
            reports,
        };
        let standing = CaseAlarm {
            active: true,
            returned_at: None,
            ..over.clone()
        };
        let gone = CaseAlarm {
            gone: true,
            ..over.clone()
        };
        let active = Telemetry {
            active: true,
            ..told(Some(9))
        };
        let silent = Telemetry {
            silent: true,
            ..told(Some(9))
        };
        for (alarm, told, now, normal) in [
            (&over, Some(told(Some(2))), 1799, false),
            (&over, Some(told(Some(2))), 1800, true),
            (&over, Some(told(Some(3))), 60, true),
            (&over, Some(told(None)), 1799, false),
            (&over, Some(told(None)), 1800, true),
            (&standing, Some(told(Some(9))), 9999, false),
            (&over, Some(active), 9999, false),
            (&over, Some(silent), 9999, false),
            (&gone, None, 1, true),
            (&over, None, 1, true),
        ] {
            let verdict = judge(&settings, alarm, told, s(now));
            assert_eq!(
                matches!(verdict, Verdict::Normal(_)),
                normal,
                "{verdict:?} at {now}"
            );
        }
    }
}
