//! Coverage of standardised O&M of the sewage stations, 标准化运维覆盖率.

use std::collections::HashMap;

use telemetry::SiteId;
use telemetry::registry::{Evaluation, Site};
use telemetry::time::Timestamp;

use super::FigureError;
use super::asked::{Asked, Kind};
use super::form::{Excluded, Figure, Formula, Part, Variant, percent, share, words};
use super::policy::CoveragePolicy;

/// How one station stands at the snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    /// The latest evaluation is valid and reached the pass mark.
    Passed(f64),
    /// The latest evaluation is valid and did not reach it.
    Failed(f64),
    /// The latest evaluation no longer counts.
    Expired(Timestamp),
    /// There is none.
    Never,
}

/// Source: domain.md §1.2, (assumed) form: the latest evaluation at or before `at` counts, whatever an
/// earlier one said, until the end of its validity (included).
fn standing(evaluations: &[&Evaluation], at: Timestamp, policy: &CoveragePolicy) -> Standing {
    let latest = (evaluations.iter())
        .filter(|evaluation| evaluation.at <= at)
        .max_by_key(|evaluation| evaluation.at);
    match latest {
        None => Standing::Never,
        Some(latest) if latest.valid_until < at => Standing::Expired(latest.valid_until),
        Some(latest) if latest.score >= policy.pass_mark => Standing::Passed(latest.score),
        Some(latest) => Standing::Failed(latest.score),
    }
}

const KIND: Kind = Kind {
    name: "sewage_om_coverage",
    zh: "标准化运维覆盖率",
    en: "coverage of standardised O&M",
    unit: "%",
    counted_in: "{station}",
    unknown_in: "{station}",
    formula: Formula {
        id: "sewage_om_coverage/stations/1",
        text: "N_pass(≥T) / N_scope(≥T) × 100 %; N_scope: stations in service, not exempted, design capacity ≥ T t/d; \
               N_pass: those whose latest evaluation is valid at the snapshot and reaches the pass mark",
    },
};

/// Sums over the stations in scope.
#[derive(Default)]
struct Sums {
    stations: f64,
    passed: f64,
    capacity_tpd: f64,
    capacity_passed_tpd: f64,
    unknown: f64,
}

pub(super) fn compute(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let at = asked.instant();
    let mut figure = asked.figure(KIND, at, at);
    let mut of_site: HashMap<&SiteId, Vec<&Evaluation>> = HashMap::new();
    for evaluation in &asked.catalogue.registry().evaluations {
        of_site.entry(&evaluation.site).or_default().push(evaluation);
    }
    let mut sums = Sums::default();
    for (site, _) in asked.stations(&mut figure.excluded) {
        match in_scope(site, &asked.policy.sewage_om_coverage) {
            Ok(capacity_tpd) => {
                let evaluations = of_site.get(&site.id).map_or(&[][..], Vec::as_slice);
                let standing = standing(evaluations, at, &asked.policy.sewage_om_coverage);
                figure
                    .parts
                    .push(part(asked, site, standing, &mut sums, capacity_tpd));
            }
            Err(excluded) => {
                sums.unknown += if excluded.code == "no_capacity" { 1.0 } else { 0.0 };
                figure.excluded.push(excluded);
            }
        }
    }
    figure.value = percent(sums.passed, sums.stations);
    figure.numerator = Some(sums.passed);
    figure.denominator = Some(sums.stations);
    figure.unknown.amount = sums.unknown;
    figure.unknown.share = share(sums.unknown, sums.stations + sums.unknown);
    let threshold = asked.policy.sewage_om_coverage.threshold_tpd;
    if figure.value.is_none() {
        figure.reason = Some(words(
            format!("没有设计规模{threshold} t/d及以上的在运站点"),
            format!("no station of {threshold} t/d or more is in scope"),
        ));
    }
    figure.variants.push(Variant {
        name: "capacity_weighted",
        title: words("按设计规模加权", "weighted by design capacity"),
        value: percent(sums.capacity_passed_tpd, sums.capacity_tpd),
        unit: "%",
        reason: figure.reason.clone(),
        numerator: Some(sums.capacity_passed_tpd),
        denominator: Some(sums.capacity_tpd),
    });
    figure.notes.push(words(
        format!(
            "统计门槛 {threshold} t/d，合格分 {}",
            asked.policy.sewage_om_coverage.pass_mark
        ),
        format!(
            "threshold {threshold} t/d, pass mark {}",
            asked.policy.sewage_om_coverage.pass_mark
        ),
    ));
    figure.evidence = figure
        .parts
        .iter()
        .flat_map(|part| part.evidence.clone())
        .collect();
    Ok(figure)
}

/// The design capacity in t/d of a station that counts, or why it does not.
fn in_scope(site: &Site, policy: &CoveragePolicy) -> Result<f64, Excluded> {
    if site.flag("exempted") == Some(true) {
        return Err(Excluded::site(site, "exempted", words("已豁免", "exempted")));
    }
    let Some(capacity_tpd) = site.number("design_capacity_tpd").filter(|tpd| *tpd >= 0.0) else {
        let reason = words("未登记设计规模", "no design capacity is registered");
        return Err(Excluded::site(site, "no_capacity", reason));
    };
    let threshold = policy.threshold_tpd;
    if capacity_tpd < f64::from(threshold) {
        let reason = words(
            format!("设计规模{capacity_tpd} t/d，低于{threshold} t/d"),
            format!("design capacity {capacity_tpd} t/d is below {threshold} t/d"),
        );
        return Err(Excluded::site(site, "below_threshold", reason));
    }
    Ok(capacity_tpd)
}

fn part(asked: &Asked<'_>, site: &Site, standing: Standing, sums: &mut Sums, capacity_tpd: f64) -> Part {
    let passed = if matches!(standing, Standing::Passed(_)) {
        1.0
    } else {
        0.0
    };
    sums.stations += 1.0;
    sums.passed += passed;
    sums.capacity_tpd += capacity_tpd;
    sums.capacity_passed_tpd += passed * capacity_tpd;
    let note = match standing {
        Standing::Passed(score) => words(
            format!("评价合格，{score}分"),
            format!("passed with {score} points"),
        ),
        Standing::Failed(score) => words(
            format!("评价不合格，{score}分"),
            format!("failed with {score} points"),
        ),
        Standing::Expired(until) => {
            let until = asked.sun.text(until);
            words(
                format!("评价已于{until}过期"),
                format!("the evaluation expired on {until}"),
            )
        }
        Standing::Never => words("未评价", "never evaluated"),
    };
    let mut part = Part::of_site(site);
    part.value = Some(passed * 100.0);
    part.numerator = Some(passed);
    part.denominator = Some(1.0);
    part.notes.push(note);
    part.evidence.push(format!("/api/v1/sites/{}", site.id));
    part
}

#[cfg(test)]
mod tests;
