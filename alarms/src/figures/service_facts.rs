//! The alarm service as the figures see it.

use telemetry::time::{Span, Timestamp};
use telemetry::{DeviceId, SiteId};

use super::{AlarmFact, AlarmFacts};
use crate::service::{AlarmFilter, AlarmService, ROWS_PER_ANSWER_MAX};
use crate::view::AlarmView;

/// How long before the time in question an alarm that is over and acknowledged may have been raised and still be
/// found. Open ones are found however old they are.
const LOOK_BACK: Span = Span::from_secs(7 * 86_400);
/// Most pages of a site's alarms that are read. More: an error, never "no alarms".
const PAGES_MAX: usize = 50;

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl AlarmFacts for AlarmService {
    fn facts(&self, site: &SiteId, since: Timestamp, _at: Timestamp) -> Result<Vec<AlarmFact>, Failure> {
        let mut filter = AlarmFilter {
            open_only: true,
            site: Some(site.to_string()),
            ..AlarmFilter::default()
        };
        let mut facts = Vec::new();
        let begin = since.minus(LOOK_BACK);
        for open_only in [true, false] {
            filter.open_only = open_only;
            filter.before = None;
            for page in 0.. {
                if page == PAGES_MAX {
                    return Err(format!("{site} has more than {PAGES_MAX} pages of alarms").into());
                }
                let views = self.list(&filter)?;
                for view in &views {
                    facts.push(fact(view)?);
                }
                let Some(last) = views.last() else { break };
                if views.len() < ROWS_PER_ANSWER_MAX || (!open_only && last.raised_at < begin) {
                    break;
                }
                filter.before = Some(last.raised_seq);
            }
        }
        Ok(facts)
    }
}

fn fact(view: &AlarmView) -> Result<AlarmFact, Failure> {
    Ok(AlarmFact {
        rule: view.rule.as_str().into(),
        device: DeviceId::new(&view.device)?,
        raised: view.since,
        returned: view.returned_at,
        acknowledged: view.acknowledged.as_ref().map(|acknowledged| acknowledged.at),
    })
}

#[cfg(test)]
mod tests;
