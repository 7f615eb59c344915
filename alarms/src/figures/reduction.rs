//! COD and NH3-N reduction of the sewage stations, COD减排量 and 氨氮减排量.

use std::collections::BTreeMap;

use jiff::civil::Date;
use store::series::Cancel;
use telemetry::time::Timestamp;

use super::FigureError;
use super::asked::{Asked, Kind, series_link, signal};
use super::form::{Excluded, Figure, Formula, Part, Variant, share, words};
use super::policy::NegativeDays;
use super::stations::{self, Station};

/// What one civil day of one station adds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Day {
    /// Treated volume, m³.
    volume_m3: f64,
    /// Volume that flowed in a step too long to belong to one day, m³.
    undated_m3: f64,
    inflow: Mean,
    outflow: Mean,
}

/// An arithmetic mean in the making, mg/L.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// None with fewer than `least` samples.
    fn value(self, least: u64) -> Option<f64> {
        (self.count >= least.max(1)).then(|| self.sum / self.count as f64)
    }
}

/// What a station's days add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    /// Negative days count as 0, t.
    clamped_t: f64,
    /// Negative days count as they are, t.
    raw_t: f64,
    /// Volume of the days that count, m³.
    known_m3: f64,
    /// Volume of the days without concentrations, m³.
    unknown_m3: f64,
    /// Days with a negative amount.
    negative_days: u32,
}

/// M = Σ_d V_d · (C_in − C_out) · 10⁻⁶ in tonnes, V in m³, C in mg/L as the day's arithmetic means.
///
/// Source: domain.md §1.9, gross removal 削减量.
fn reduce(days: impl Iterator<Item = Day>, samples_min: u64) -> Sums {
    let mut sums = Sums::default();
    for day in days {
        sums.unknown_m3 += day.undated_m3;
        let means = day.inflow.value(samples_min).zip(day.outflow.value(samples_min));
        let Some((inflow, outflow)) = means else {
            sums.unknown_m3 += day.volume_m3;
            continue;
        };
        let tonnes = day.volume_m3 * (inflow - outflow) * 1e-6;
        sums.known_m3 += day.volume_m3;
        sums.raw_t += tonnes;
        sums.clamped_t += tonnes.max(0.0);
        sums.negative_days += u32::from(tonnes < 0.0);
    }
    sums
}

/// One substance: its figure and its signals.
struct Substance {
    kind: Kind,
    inflow: &'static str,
    outflow: &'static str,
}

const TEXT: &str = "M = Σ_stations Σ_d V_d [m³] × (C_in − C_out) [mg/L] × 10⁻⁶ [t] by civil day of the county, C the day's \
                    arithmetic means; negative days by the policy; unknown: volume without concentrations";

pub(super) fn cod(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    compute(
        asked,
        Substance {
            kind: Kind {
                name: "sewage_cod_reduction",
                zh: "COD减排量",
                en: "COD reduction",
                unit: "t",
                counted_in: "t",
                unknown_in: "m3",
                formula: Formula {
                    id: "sewage_cod_reduction/gross-daily/1",
                    text: TEXT,
                },
            },
            inflow: "cod_in",
            outflow: "cod_out",
        },
    )
}

pub(super) fn nh3n(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    compute(
        asked,
        Substance {
            kind: Kind {
                name: "sewage_nh3n_reduction",
                zh: "氨氮减排量",
                en: "NH3-N reduction",
                unit: "t",
                counted_in: "t",
                unknown_in: "m3",
                formula: Formula {
                    id: "sewage_nh3n_reduction/gross-daily/1",
                    text: TEXT,
                },
            },
            inflow: "nh3n_in",
            outflow: "nh3n_out",
        },
    )
}

fn compute(asked: &Asked<'_>, substance: Substance) -> Result<Figure, FigureError> {
    let (from, to) = asked.period(asked.week_ago())?;
    let (inflow, outflow) = (substance.inflow, substance.outflow);
    let mut figure = asked.figure(substance.kind, from, to);
    let (mut all, mut any) = (Sums::default(), false);
    for station in stations::read(asked, from, to, &mut figure.excluded)? {
        let entry = station.entry;
        let Some(pair) = signal(entry, inflow).zip(signal(entry, outflow)) else {
            all.unknown_m3 += station.metered.volume_m3();
            figure.excluded.push(without_analyser(&station));
            continue;
        };
        let days = days(asked, &station, pair, from, to)?;
        let sums = reduce(
            days.into_values(),
            asked.policy.sewage_reduction.samples_per_day_min,
        );
        any |= sums.known_m3 > 0.0;
        all.clamped_t += sums.clamped_t;
        all.raw_t += sums.raw_t;
        all.known_m3 += sums.known_m3;
        all.unknown_m3 += sums.unknown_m3;
        let mut part = part(asked, &station, &sums);
        part.evidence.push(station.link.clone());
        part.evidence.push(series_link(entry, inflow, from, to));
        part.evidence.push(series_link(entry, outflow, from, to));
        figure.parts.push(part);
    }
    figure.unknown.amount = all.unknown_m3;
    figure.unknown.share = share(all.unknown_m3, all.known_m3 + all.unknown_m3);
    if !any {
        figure.reason = Some(words(
            "时段内没有既有水量又有进出水浓度的站点",
            "no station has both a volume and concentrations in the period",
        ));
    }
    figure.value = any.then(|| counted(&all, asked));
    figure.numerator = figure.value;
    for (name, zh, en, value) in [
        ("clamped", "负值日按0计", "negative days as 0", all.clamped_t),
        ("raw", "负值日照计", "negative days as they are", all.raw_t),
    ] {
        figure.variants.push(Variant {
            name,
            title: words(zh, en),
            value: any.then_some(value),
            unit: "t",
            reason: figure.reason.clone(),
            numerator: any.then_some(value),
            denominator: None,
        });
    }
    figure.evidence = figure
        .parts
        .iter()
        .flat_map(|part| part.evidence.clone())
        .collect();
    Ok(figure)
}

fn counted(sums: &Sums, asked: &Asked<'_>) -> f64 {
    match asked.policy.sewage_reduction.negative_days {
        NegativeDays::Clamped => sums.clamped_t,
        NegativeDays::Raw => sums.raw_t,
    }
}

fn without_analyser(station: &Station<'_>) -> Excluded {
    Excluded {
        site: station.site.id.clone(),
        device: Some(station.entry.device.id.clone()),
        name: station.site.name.clone(),
        code: "no_analyser",
        reason: words(
            "没有进出水在线分析仪",
            "it has no analysers for inflow and outflow",
        ),
    }
}

fn part(asked: &Asked<'_>, station: &Station<'_>, sums: &Sums) -> Part {
    let mut part = Part::of_site(station.site);
    part.device = Some(station.entry.device.id.clone());
    part.value = (sums.known_m3 > 0.0).then(|| counted(sums, asked));
    part.numerator = part.value;
    part.unknown = sums.unknown_m3;
    part.notes = stations::notes(&station.metered);
    if sums.negative_days > 0 {
        let days = sums.negative_days;
        part.notes.push(words(
            format!("{days}天出水浓度高于进水"),
            format!("more came out than went in on {days} days"),
        ));
    }
    part
}

/// Volume and concentrations of a station by civil day.
fn days(
    asked: &Asked<'_>,
    station: &Station<'_>,
    (inflow, outflow): (telemetry::SeriesId, telemetry::SeriesId),
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<Date, Day>, FigureError> {
    let mut days: BTreeMap<Date, Day> = BTreeMap::new();
    for metered in &station.metered.days {
        let day = days.entry(asked.sun.date(metered.cell.from)).or_default();
        day.volume_m3 += metered.increase;
        day.undated_m3 += metered.undated;
    }
    let civil = asked.sun.days(from, to)?;
    let both = asked
        .series
        .windows_many(&[inflow, outflow], &civil, &Cancel::never())?;
    for (windows, pick) in both
        .iter()
        .zip([inflow_of as fn(&mut Day) -> &mut Mean, outflow_of])
    {
        for window in windows {
            let mean = pick(days.entry(asked.sun.date(window.start)).or_default());
            mean.sum += window.sum;
            mean.count += window.count;
        }
    }
    Ok(days)
}

fn inflow_of(day: &mut Day) -> &mut Mean {
    &mut day.inflow
}

fn outflow_of(day: &mut Day) -> &mut Mean {
    &mut day.outflow
}

#[cfg(test)]
mod tests;
