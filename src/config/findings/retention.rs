//! What is wrong with how long points are kept.

use telemetry::time::Span;

use super::{Finding, Source};
use crate::config::Data;

const DAY: Span = Span::from_secs(86_400);

pub(super) fn findings(data: &Data, here: &Source<'_>) -> Vec<Finding> {
    let classes = &data.retention;
    let named = [
        ("keep", Some(&data.keep)),
        ("life_safety", classes.life_safety.as_ref()),
        ("compliance", classes.compliance.as_ref()),
        ("operation", classes.operation.as_ref()),
        ("diagnostic", classes.diagnostic.as_ref()),
    ];
    let short = named.into_iter().filter_map(|(name, keep)| {
        let keep = keep.filter(|keep| *keep.get_ref() < DAY)?;
        let what = format!("{name} = {}: points are kept by whole days", keep.get_ref());
        Some(here.at(keep.span(), what, "\"1d\" or more"))
    });
    let mut findings: Vec<Finding> = short.collect();
    if *data.series_max.get_ref() == 0 {
        let what = "series_max = 0: no point could be kept".to_owned();
        findings.push(here.at(data.series_max.span(), what, "2000000"));
    }
    findings
}
