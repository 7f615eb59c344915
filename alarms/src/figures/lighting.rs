//! Lighting rate by night in lamp-minutes, 亮灯率.

use jiff::civil::Date;
use telemetry::profile::Domain;
use telemetry::registry::Site;
use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};
use telemetry::{DeviceEntry, SeriesId};

use super::asked::{Asked, Kind, series_link, signal};
use super::form::{Excluded, Figure, Formula, Part, Variant, percent, share, words};
use super::lamp_night::{Lamp, LampTime, Readings, lamp_time};
use super::policy::Offline;
use super::sun::Night;
use super::{FigureError, Scope};

const KIND: Kind = Kind {
    name: "lighting_rate",
    zh: "亮灯率",
    en: "lighting rate",
    unit: "%",
    counted_in: "min",
    unknown_in: "min",
    formula: Formula {
        id: "lighting_rate/lamp-minutes/1",
        text: "Σ lit minutes / Σ due minutes × 100 %, over the lamps and nights whose evening lies in the period; due from \
               sunset to sunrise with the policy's offsets, but for time dimmed to 0 and after a half-night lamp's end; \
               lit: relay on and P ≥ share × P_rated × dim; strict: unknown is dark, lenient: unknown is left out",
    },
};

const MINUTE_MS: f64 = 60_000.0;
/// Nights of a lamp whose readings are in memory at once.
const NIGHTS_AT_ONCE: usize = 31;

pub(super) fn compute(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let (from, to) = match (asked.from, asked.to) {
        (None, None) => last_night(asked),
        _ => asked.period(asked.week_ago())?,
    };
    let nights = nights(asked, from, to);
    let mut figure = asked.figure(KIND, from, to);
    let mut all = LampTime::default();
    for (site, lamps) in loops(asked, &mut figure.excluded) {
        let mut of_site = LampTime::default();
        for lamp in &lamps {
            let time = lamp.over(asked, &nights)?;
            of_site.add(time);
            if matches!(asked.scope, Scope::Site(_)) {
                figure
                    .parts
                    .push(lamp_part(asked, site, lamp.entry, time, from, to));
            }
        }
        all.add(of_site);
        if !matches!(asked.scope, Scope::Site(_)) {
            figure
                .parts
                .push(site_part(asked, site, of_site, lamps.len(), from, to));
        }
    }
    conclude(asked, &mut figure, all, &nights);
    figure.variants.push(snapshot(asked)?);
    figure.evidence = figure
        .parts
        .iter()
        .flat_map(|part| part.evidence.clone())
        .collect();
    Ok(figure)
}

fn conclude(asked: &Asked<'_>, figure: &mut Figure, all: LampTime, nights: &[(Date, Night)]) {
    let (strict, lenient) = (rate(all, Offline::Strict), rate(all, Offline::Lenient));
    let headline = if asked.policy.lighting_rate.offline == Offline::Strict {
        strict
    } else {
        lenient
    };
    figure.numerator = Some(headline.0);
    figure.denominator = Some(headline.1);
    figure.value = percent(headline.0, headline.1);
    figure.unknown.amount = minutes(all.unknown);
    figure.unknown.share = share(minutes(all.unknown), minutes(all.due()));
    let reason = if nights.is_empty() {
        words("时段内没有应亮灯的夜间", "no lighting night begins in the period")
    } else if all.due() == 0 {
        words("没有应亮的灯", "no lamp is due in the period")
    } else {
        words("所有灯均无数据", "nothing is known of any lamp")
    };
    for (name, zh, en, (lit, due)) in [
        ("strict", "离线按灭灯计", "unknown taken as dark", strict),
        ("lenient", "离线不计", "unknown left out", lenient),
    ] {
        let value = percent(lit, due);
        figure.variants.push(Variant {
            name,
            title: words(zh, en),
            value,
            unit: "%",
            reason: value.is_none().then(|| reason.clone()),
            numerator: Some(lit),
            denominator: Some(due),
        });
    }
    figure.reason = figure.value.is_none().then_some(reason);
    if all.excluded > 0 {
        let excluded = minutes(all.excluded);
        figure.notes.push(words(
            format!("调光为0或半夜灯时段不计，共{excluded:.0}灯·分钟"),
            format!("{excluded:.0} lamp-minutes dimmed to 0 or after a half-night lamp's end are left out"),
        ));
    }
    if let Some((evening, night)) = nights.last()
        && night.to == asked.now
    {
        figure.notes.push(words(
            format!("{evening}夜间尚未结束"),
            format!("the night of {evening} is not over"),
        ));
    }
}

/// Lit and due minutes.
fn rate(time: LampTime, offline: Offline) -> (f64, f64) {
    let due = match offline {
        Offline::Strict => time.due(),
        Offline::Lenient => time.due() - time.unknown,
    };
    (minutes(time.lit), minutes(due))
}

fn minutes(ms: i64) -> f64 {
    ms as f64 / MINUTE_MS
}

/// The civil day of the evening of the last night that is over.
fn last_night(asked: &Asked<'_>) -> (Timestamp, Timestamp) {
    let mut evening = asked.sun.evening(asked.now);
    let over = |evening| {
        asked
            .sun
            .lighting_night(evening)
            .is_some_and(|night| night.to <= asked.now)
    };
    if !over(evening) {
        evening = evening.yesterday().unwrap_or(evening);
    }
    let next = evening.tomorrow().unwrap_or(evening);
    (asked.sun.midnight(evening), asked.sun.midnight(next))
}

/// The lighting nights that begin in `from..to`, each cut off at now.
fn nights(asked: &Asked<'_>, from: Timestamp, to: Timestamp) -> Vec<(Date, Night)> {
    let mut nights = Vec::new();
    let mut evening = asked.sun.evening(from);
    let last = asked.sun.evening(to);
    while evening <= last {
        if let Some(night) = asked.sun.lighting_night(evening)
            && (from..to).contains(&night.from)
            && night.from < asked.now
        {
            let to = night.to.min(asked.now);
            nights.push((evening, Night { from: night.from, to }));
        }
        match evening.tomorrow() {
            Ok(next) => evening = next,
            Err(_) => break,
        }
    }
    nights
}

/// One lamp with what is needed to judge it.
struct Judged<'a> {
    entry: &'a DeviceEntry,
    lamp: Lamp,
    /// Hours after the evening's midnight at which a half-night lamp goes out.
    until_h: Option<f64>,
}

/// The sites with lamps, each with those lamps that can be judged; the others go to `excluded`.
fn loops<'a>(asked: &'a Asked<'_>, excluded: &mut Vec<Excluded>) -> Vec<(&'a Site, Vec<Judged<'a>>)> {
    let policy = &asked.policy.lighting_rate;
    let mut loops = Vec::new();
    for (site, devices) in asked.all_sites() {
        let is_lamp = |entry: &&DeviceEntry| {
            let speaks = |name| entry.profile.signal_index(name).is_some();
            entry.profile.domain == Domain::Lighting && speaks("relay") && speaks("power")
        };
        let mut lamps = Vec::new();
        for entry in devices.into_iter().filter(is_lamp) {
            match asked
                .catalogue
                .number(entry, "rated_power_w")
                .filter(|watts| *watts > 0.0)
            {
                Some(rated_w) => lamps.push(Judged {
                    entry,
                    lamp: Lamp {
                        rated_w,
                        lit_share: policy.lit_share,
                        hold: times(entry.profile.report_interval, policy.hold_intervals),
                    },
                    until_h: asked.catalogue.number(entry, "half_night_until_h"),
                }),
                None => excluded.push(Excluded {
                    site: site.id.clone(),
                    device: Some(entry.device.id.clone()),
                    name: entry.device.name.clone().unwrap_or_else(|| site.name.clone()),
                    code: "no_rated_power",
                    reason: words("未登记额定功率", "no rated power is registered"),
                }),
            }
        }
        if !lamps.is_empty() {
            loops.push((site, lamps));
        }
    }
    loops
}

fn times(span: Span, factor: u32) -> Span {
    Span::from_millis(span.millis().saturating_mul(u64::from(factor)))
}

impl Judged<'_> {
    /// Its time over the given nights.
    fn over(&self, asked: &Asked<'_>, nights: &[(Date, Night)]) -> Result<LampTime, FigureError> {
        let mut time = LampTime::default();
        for some in nights.chunks(NIGHTS_AT_ONCE) {
            self.add_nights(asked, some, &mut time)?;
        }
        Ok(time)
    }

    /// Adds its time over nights that follow each other.
    fn add_nights(
        &self,
        asked: &Asked<'_>,
        nights: &[(Date, Night)],
        time: &mut LampTime,
    ) -> Result<(), FigureError> {
        let (Some((_, first)), Some((_, last))) = (nights.first(), nights.last()) else {
            return Ok(());
        };
        let known = ["relay", "power", "dim"].map(|name| signal(self.entry, name));
        let series: Vec<SeriesId> = known.iter().flatten().copied().collect();
        let mut found = asked
            .samples(&series, first.from.minus(self.lamp.hold), last.to)?
            .into_iter();
        let [relay, power, dim] = known.map(|series| series.and_then(|_| found.next()).unwrap_or_default());
        for (evening, night) in nights {
            let (since, until) = (night.from.minus(self.lamp.hold), night.to);
            let readings = Readings {
                relay: within(&relay, since, until),
                power: within(&power, since, until),
                dim: within(&dim, since, until),
            };
            let end = self
                .end(asked, *evening)
                .map_or(night.to, |end| end.clamp(night.from, night.to));
            let due = Night {
                from: night.from,
                to: end,
            };
            time.add(lamp_time(due, readings, &self.lamp));
            time.excluded += night.to.millis_since(end);
        }
        Ok(())
    }

    /// When a half-night lamp goes out.
    fn end(&self, asked: &Asked<'_>, evening: Date) -> Option<Timestamp> {
        let hours = self.until_h.filter(|hours| (12.0..=36.0).contains(hours))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "12 to 36 hours are at most 129 600 000 ms"
        )]
        let ms = (hours * 3_600_000.0).round() as u64;
        Some(asked.sun.midnight(evening).plus(Span::from_millis(ms)))
    }
}

/// The part of `samples`, which are in order of time, that lies in `from..to`.
fn within(samples: &[Sample], from: Timestamp, to: Timestamp) -> &[Sample] {
    let first = samples.partition_point(|sample| sample.time < from);
    let last = samples.partition_point(|sample| sample.time < to);
    samples.get(first..last).unwrap_or_default()
}

/// N_lit / N_due at this instant.
fn snapshot(asked: &Asked<'_>) -> Result<Variant, FigureError> {
    let mut variant = Variant {
        name: "now",
        title: words("当前亮灯率", "lit now"),
        value: None,
        unit: "%",
        reason: None,
        numerator: None,
        denominator: None,
    };
    if asked.from.is_some() || asked.to.is_some() {
        variant.reason = Some(words(
            "只在不指定时段时计算",
            "only computed when no period is asked for",
        ));
        return Ok(variant);
    }
    if !asked.sun.lights_due(asked.now) {
        variant.reason = Some(words("当前不在亮灯时段", "lights are not due now"));
        return Ok(variant);
    }
    // A night of one millisecond: milliseconds are lamps.
    let instant = Night {
        from: asked.now,
        to: asked.now.plus(Span::from_millis(1)),
    };
    let nights = [(asked.sun.evening(asked.now), instant)];
    let mut all = LampTime::default();
    for (_, lamps) in loops(asked, &mut Vec::new()) {
        for lamp in lamps {
            all.add(lamp.over(asked, &nights)?);
        }
    }
    let due = match asked.policy.lighting_rate.offline {
        Offline::Strict => all.due(),
        Offline::Lenient => all.due() - all.unknown,
    };
    variant.numerator = Some(all.lit as f64);
    variant.denominator = Some(due as f64);
    variant.value = percent(all.lit as f64, due as f64);
    if variant.value.is_none() {
        variant.reason = Some(words("当前没有应亮的灯", "no lamp is due now"));
    }
    Ok(variant)
}

fn fill(asked: &Asked<'_>, part: &mut Part, time: LampTime) {
    let (lit, due) = rate(time, asked.policy.lighting_rate.offline);
    part.value = percent(lit, due);
    part.numerator = Some(lit);
    part.denominator = Some(due);
    part.unknown = minutes(time.unknown);
}

fn site_part(
    asked: &Asked<'_>,
    site: &Site,
    time: LampTime,
    lamps: usize,
    from: Timestamp,
    to: Timestamp,
) -> Part {
    let mut part = Part::of_site(site);
    fill(asked, &mut part, time);
    part.notes
        .push(words(format!("{lamps}盏"), format!("{lamps} lamps")));
    let (from, to) = (from.millis(), to.millis());
    part.evidence.push(format!(
        "/api/v1/figures/lighting_rate?from={from}&to={to}&scope=site:{}",
        site.id
    ));
    part
}

fn lamp_part(
    asked: &Asked<'_>,
    site: &Site,
    entry: &DeviceEntry,
    time: LampTime,
    from: Timestamp,
    to: Timestamp,
) -> Part {
    let mut part = Part::of_site(site);
    part.device = Some(entry.device.id.clone());
    if let Some(name) = &entry.device.name {
        part.name = name.clone();
    }
    fill(asked, &mut part, time);
    // A night ends on the day after the last evening of the period.
    let to = to.plus(Span::from_millis(Timestamp::DAY_MS.unsigned_abs()));
    for name in ["relay", "power", "dim"] {
        if signal(entry, name).is_some() {
            part.evidence.push(series_link(entry, name, from, to));
        }
    }
    part
}

#[cfg(test)]
mod tests;
