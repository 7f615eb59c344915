//! Hazard tiers of the LPG depots: GB 18218 S, R and level, and the four-colour state static × dynamic.

use rust_decimal::Decimal;
use serde::Serialize;
use telemetry::DeviceEntry;
use telemetry::registry::{Site, SiteKind};
use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

use super::asked::{Asked, Kind, series_link, signal};
use super::colour::{Cause, Colour, alarm_cause, compose, lec_colour};
use super::form::{Excluded, Figure, Formula, Part, Variant, share, words};
use super::tanks::Tanks;
use super::{FigureError, Policy};
use crate::hazard::Identified;

/// One depot's tiers and colours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitState {
    /// GB 18218 S; null where no tank has a design maximum.
    pub s: Option<f64>,
    /// S ≥ 1.
    pub major_hazard: bool,
    /// α of the people within 500 m; null where their number is not registered.
    pub alpha: Option<f64>,
    /// GB 18218 R; null below S = 1 or without α.
    pub r: Option<f64>,
    /// Level one (greatest) to four; null where `r` is null.
    pub level: Option<u8>,
    /// Σ design maximum quantity, t.
    pub design_max_t: f64,
    /// Live quantity by tank level, t; null where a tank's level or volume is not known. Never lowers a level.
    pub live_t: Option<f64>,
    /// D = L × E × C; null where the depot was not assessed.
    pub lec_d: Option<f64>,
    /// Colour of the static risk; grey where nothing was assessed.
    pub static_colour: Colour,
    /// Colour now: static × dynamic; grey without data.
    pub colour: Colour,
    /// The colour that the unit has, or had while there was data; what the map shows beside grey.
    pub last_colour: Colour,
    /// Its newest usable reading.
    pub heard: Option<Timestamp>,
    /// Why it has its colour.
    pub causes: Vec<Cause>,
}

const KIND: Kind = Kind {
    name: "gas_hazard",
    zh: "重大危险源分级与四色状态",
    en: "gas hazard tier and four-colour state",
    unit: "{rank}",
    counted_in: "{unit}",
    unknown_in: "{unit}",
    formula: Formula {
        id: "gas_hazard/gb18218-lec-dynamic/1",
        text: "value: greatest rank of any unit (1 blue, 2 yellow, 3 orange, 4 red); \
               unit: min(4, max(s, d) + k), never below s; s = max(LEC, hazard level), d = floor by alarms, k = 1 when \
               an instrument is faulty or silent, a permit or hidden danger is open, or live > design maximum; \
               S = Σ q/Q, R = α Σ β q/Q (GB 18218-2018); numerator: units with data, denominator: units",
    },
};

pub(super) fn compute(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let at = asked.instant();
    let mut figure = asked.figure(KIND, at, at);
    let (mut known, mut majors) = (0.0, 0.0);
    for (site, devices) in asked.sites(SiteKind::LpgDepot) {
        let state = unit(asked, site, &devices, at, &mut figure.excluded)?;
        let grey = state.colour == Colour::Grey;
        known += if grey { 0.0 } else { 1.0 };
        majors += if state.major_hazard { 1.0 } else { 0.0 };
        figure.parts.push(part(asked, site, &devices, state, at));
    }
    let units = figure.parts.len() as f64;
    let area = area(figure.parts.iter().filter_map(|part| part.hazard.as_ref()));
    figure.colour = Some(area);
    figure.value = (area != Colour::Grey).then(|| f64::from(area.rank()));
    if figure.value.is_none() {
        figure.reason = Some(if figure.parts.is_empty() {
            words("没有储配站", "there is no depot in scope")
        } else {
            words(
                "有储配站无数据或未评估",
                "a depot has no data or was never assessed",
            )
        });
    }
    figure.numerator = Some(known);
    figure.denominator = Some(units);
    figure.unknown.amount = units - known;
    figure.unknown.share = share(units - known, units);
    figure.variants.push(Variant {
        name: "major_hazards",
        title: words("重大危险源数", "registered major hazards"),
        value: Some(majors),
        unit: "{unit}",
        reason: None,
        numerator: Some(majors),
        denominator: Some(units),
    });
    figure.evidence = figure
        .parts
        .iter()
        .flat_map(|part| part.evidence.clone())
        .collect();
    Ok(figure)
}

/// The worst of all units, a grey one by its last colour. Grey where it would be blue while a unit is grey:
/// no data is never all clear.
fn area<'a>(units: impl Iterator<Item = &'a UnitState>) -> Colour {
    let (mut worst, mut any_grey) = (Colour::Grey, false);
    for unit in units {
        worst = worst.max(unit.last_colour);
        any_grey |= unit.colour == Colour::Grey;
    }
    if any_grey && worst == Colour::Blue {
        Colour::Grey
    } else {
        worst
    }
}

fn part(asked: &Asked<'_>, site: &Site, devices: &[&DeviceEntry], state: UnitState, at: Timestamp) -> Part {
    let mut part = Part::of_site(site);
    let grey = state.colour == Colour::Grey;
    part.value = (!grey).then(|| f64::from(state.colour.rank()));
    part.numerator = Some(if grey { 0.0 } else { 1.0 });
    part.denominator = Some(1.0);
    part.unknown = if grey { 1.0 } else { 0.0 };
    part.notes = state.causes.iter().map(|cause| cause.text.clone()).collect();
    part.hazard = Some(state);
    let since = at.minus(horizon(asked.policy));
    part.evidence.push(format!("/api/v1/sites/{}", site.id));
    part.evidence.push(format!("/api/v1/alarms?site={}", site.id));
    for entry in devices {
        if signal(entry, "level").is_some() {
            part.evidence.push(series_link(entry, "level", since, at));
        }
    }
    part
}

/// How far back an instrument's readings matter.
fn horizon(policy: &Policy) -> Span {
    policy
        .gas_hazard
        .instrument_fault_after
        .max(policy.gas_hazard.no_data_after)
}

fn unit(
    asked: &Asked<'_>,
    site: &Site,
    devices: &[&DeviceEntry],
    at: Timestamp,
    excluded: &mut Vec<Excluded>,
) -> Result<UnitState, FigureError> {
    let policy = &asked.policy.gas_hazard;
    let tanks = Tanks::read(asked, site, devices, at, excluded)?;
    let identified = tanks.identified.as_ref();
    let lec_d = (site
        .number("lec_l")
        .zip(site.number("lec_e"))
        .zip(site.number("lec_c")))
    .map(|((l, e), c)| l * e * c);
    let fixed = fixed_causes(identified, lec_d, asked.policy);
    let (heard, mut moving) = instruments(asked, devices, at)?;
    let since = at.minus(policy.downgrade_after);
    let facts = asked.alarms.facts(&site.id, since, at);
    let facts = facts.map_err(|source| FigureError::Alarms {
        site: site.id.clone(),
        source,
    })?;
    moving.extend(facts.iter().filter_map(|fact| alarm_cause(fact, at, policy)));
    moving.extend(declared(site));
    if tanks.live_t.is_some_and(|live| live > tanks.design_max_t) {
        moving.push(step(
            "over_design",
            words("实时存量超过设计最大量", "live quantity above the design maximum"),
        ));
    }
    let last_colour = compose(&fixed, &moving);
    let static_colour = compose(&fixed, &[]);
    let mut causes = fixed;
    causes.extend(moving);
    let no_data = heard.is_none_or(|heard| heard < at.minus(policy.no_data_after));
    if no_data {
        causes.push(Cause {
            code: "no_data",
            colour: Some(Colour::Grey),
            text: words("无可用数据", "no usable reading from any instrument"),
        });
    }
    let decimal = |number: Decimal| number.to_string().parse::<f64>().ok();
    Ok(UnitState {
        s: identified.and_then(|found| decimal(found.s)),
        major_hazard: identified.is_some_and(|found| found.major_hazard),
        alpha: identified.and_then(|found| found.alpha).and_then(decimal),
        r: identified.and_then(|found| found.r).and_then(decimal),
        level: identified.and_then(|found| found.level).map(u8::from),
        design_max_t: tanks.design_max_t,
        live_t: tanks.live_t,
        lec_d,
        static_colour,
        colour: if no_data { Colour::Grey } else { last_colour },
        last_colour,
        heard,
        causes,
    })
}

/// What the register says of the risk, without any reading.
fn fixed_causes(identified: Option<&Identified>, lec_d: Option<f64>, policy: &Policy) -> Vec<Cause> {
    let policy = &policy.gas_hazard;
    let mut causes = Vec::new();
    if let Some(level) = identified.and_then(|found| found.level).map(u8::from) {
        let colour = policy.level_colours.get(usize::from(level) - 1).copied();
        causes.push(Cause {
            code: "hazard_level",
            colour: Some(colour.unwrap_or(Colour::Red)),
            text: words(
                format!("{level}级重大危险源"),
                format!("major hazard of level {level}"),
            ),
        });
    } else if identified.is_some_and(|found| found.major_hazard) {
        causes.push(Cause {
            code: "not_assessed",
            colour: Some(Colour::Red),
            text: words(
                "构成重大危险源，未登记500 m内人数，按最高级处理",
                "a major hazard without a registered number of people within 500 m, taken as the greatest",
            ),
        });
    }
    if policy.direct_determination && identified.is_some_and(|found| found.major_hazard) {
        causes.push(Cause {
            code: "direct_determination",
            colour: Some(Colour::Red),
            text: words("直接判定：构成重大危险源", "direct determination: a major hazard"),
        });
    }
    match lec_d {
        Some(d) => causes.push(Cause {
            code: "lec",
            colour: Some(lec_colour(d, policy)),
            text: words(format!("LEC评价 D = {d}"), format!("LEC assessment D = {d}")),
        }),
        None => causes.push(Cause {
            code: "not_assessed",
            colour: Some(Colour::Grey),
            text: words("未做LEC评价", "no LEC assessment is registered"),
        }),
    }
    causes
}

/// What people have declared about the site.
fn declared(site: &Site) -> Vec<Cause> {
    [
        (
            "hot_work_permit",
            words("动火作业", "a hot-work permit is active"),
        ),
        (
            "hidden_danger_overdue",
            words("隐患逾期未整改", "a hidden danger is overdue"),
        ),
    ]
    .into_iter()
    .filter(|(flag, _)| site.flag(flag) == Some(true))
    .map(|(flag, text)| step(flag, text))
    .collect()
}

fn step(code: &'static str, text: telemetry::profile::Title) -> Cause {
    Cause {
        code,
        colour: None,
        text,
    }
}

/// The newest usable reading of any instrument, and a step worse for each that is silent.
fn instruments(
    asked: &Asked<'_>,
    devices: &[&DeviceEntry],
    at: Timestamp,
) -> Result<(Option<Timestamp>, Vec<Cause>), FigureError> {
    let (mut newest, mut causes) = (None, Vec::new());
    let after = asked.policy.gas_hazard.instrument_fault_after;
    for entry in devices {
        let heard = heard(asked, entry, at)?;
        newest = newest.max(heard);
        if heard.is_none_or(|heard| heard < at.minus(after)) {
            let id = &entry.device.id;
            let text = words(
                format!("{id} 超过{after}无可用数据"),
                format!("{id} gave no usable reading for {after}"),
            );
            causes.push(step("instrument_silent", text));
        }
    }
    Ok((newest, causes))
}

/// When a device last gave a usable reading of any signal, within the horizon.
fn heard(asked: &Asked<'_>, entry: &DeviceEntry, at: Timestamp) -> Result<Option<Timestamp>, FigureError> {
    for series in &entry.series {
        let sample = usable(asked, *series, at)?;
        if let Some(sample) = sample {
            return Ok(Some(sample.time));
        }
    }
    Ok(None)
}

/// The newest usable reading within the horizon.
pub(super) fn usable(
    asked: &Asked<'_>,
    series: telemetry::SeriesId,
    at: Timestamp,
) -> Result<Option<Sample>, FigureError> {
    asked.last_usable(
        series,
        at.minus(horizon(asked.policy)),
        at.plus(Span::from_millis(1)),
    )
}

#[cfg(test)]
mod tests;
