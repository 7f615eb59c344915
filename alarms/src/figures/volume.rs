//! Treated volume of the sewage stations, 污水处理量.

use super::FigureError;
use super::asked::{Asked, Kind};
use super::form::{Figure, Formula, Part, Variant, share, words};
use super::stations;

const KIND: Kind = Kind {
    name: "sewage_volume",
    zh: "污水处理量",
    en: "treated sewage volume",
    unit: "m3",
    counted_in: "m3",
    unknown_in: "h",
    formula: Formula {
        id: "sewage_volume/totaliser/1",
        text: "V = Σ_stations Σ Δtotaliser [m³]; roll-over counted, jumps not, a reset by the policy; \
               unknown: station-hours without knowledge of all station-hours",
    },
};

const HOUR_MS: f64 = 3_600_000.0;

pub(super) fn compute(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let (from, to) = asked.period(asked.week_ago())?;
    let mut figure = asked.figure(KIND, from, to);
    let stations = stations::read(asked, from, to, &mut figure.excluded)?;
    let (mut volume_m3, mut unknown_h, mut heard) = (0.0, 0.0, false);
    for station in &stations {
        let mut part = Part::of_site(station.site);
        part.device = Some(station.entry.device.id.clone());
        part.unknown = station.metered.unknown.millis() as f64 / HOUR_MS;
        unknown_h += part.unknown;
        if station.metered.heard {
            heard = true;
            volume_m3 += station.metered.volume_m3();
            part.value = Some(station.metered.volume_m3());
            part.numerator = part.value;
        }
        part.notes = stations::notes(&station.metered);
        if station.site.flag("no_outflow_registered") == Some(true) {
            part.notes
                .push(words("登记为长期无出水", "registered as without outflow"));
        }
        part.evidence.push(station.link.clone());
        figure.parts.push(part);
    }
    let hours = stations.len() as f64 * to.millis_since(from) as f64 / HOUR_MS;
    figure.unknown.amount = unknown_h;
    figure.unknown.share = share(unknown_h, hours);
    figure.value = heard.then_some(volume_m3);
    figure.numerator = figure.value;
    if !heard {
        figure.reason = Some(words(
            "时段内没有任何累计流量读数",
            "no totaliser gave a reading in the period",
        ));
    }
    figure.variants.push(Variant {
        name: "ten_thousand_tonnes",
        title: words("万吨", "in 10⁴ t"),
        value: figure.value.map(|m3| m3 / 10_000.0),
        unit: "10*4.t",
        reason: figure.reason.clone(),
        numerator: figure.value,
        denominator: None,
    });
    figure.evidence = figure
        .parts
        .iter()
        .flat_map(|part| part.evidence.clone())
        .collect();
    Ok(figure)
}

#[cfg(test)]
mod tests;
