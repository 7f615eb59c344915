//! `alarm_flood`: in how much of the time more alarms call than a person can take in 报警泛滥.

use std::collections::BTreeMap;

use telemetry::Timestamp;

use super::parts::number;
use super::scene::{Scene, bound, overlap};
use crate::figures::FigureError;
use crate::figures::asked::{Asked, Kind};
use crate::figures::form::{Figure, Formula, Part, Relation, Variant, percent, words};
use crate::health::calls::{self, Interval};

pub(in crate::figures) fn flood(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "alarm_flood/intervals/1",
        text: "intervals in a flood / known intervals × 100 %; aligned intervals that lie wholly in the period. A flood goes from an \
               interval of more than begins_above calls on, before one of fewer than ends_below; it may have begun before the \
               period. Calls as in alarm_rate. An interval in which the engine did not run all the time, and no flood was \
               seen, is unknown. \
               处于泛滥的对齐时段数÷已知时段数；超过 begins_above 次开始，少于 ends_below 次结束",
    };
    let kind = Kind {
        name: "alarm_flood",
        zh: "报警泛滥时间占比",
        en: "time in alarm floods",
        unit: "%",
        counted_in: "{interval}",
        unknown_in: "{interval}",
        formula,
    };
    let scene = Scene::read(asked)?;
    let mut figure = scene.figure(kind);
    // Only for what is left out in the period: the intervals are made of the day before it, too.
    drop(scene.calls(&mut figure));
    let policy = &scene.policy.flood;
    let length = policy.interval.millis_i64();
    let first =
        scene.from.millis().div_euclid(length) + i64::from(scene.from.millis().rem_euclid(length) > 0);
    let end = scene.to.millis().div_euclid(length);
    let calls = scene.all().filter(|row| row.is_call()).map(|row| row.at);
    let mut intervals = calls::intervals(calls, policy.limits());
    intervals.retain(|number, _| (first..end).contains(number));
    let floods: u64 = intervals.values().filter(|interval| interval.flood).count() as u64;
    let over: u64 = intervals.values().filter(|interval| interval.over).count() as u64;
    let unknown = unknown(&scene, &intervals, (first, end), length);
    let known = number(u64::try_from(end - first).unwrap_or(0)) - unknown;
    figure.numerator = Some(number(floods));
    figure.denominator = Some(known);
    figure.value = percent(number(floods), known);
    figure.unknown.amount = unknown;
    figure.unknown.share = crate::figures::form::share(unknown, known + unknown);
    if figure.value.is_none() {
        let why = (
            "时段内没有完整且已知的区间",
            "no whole interval of the period is known",
        );
        figure.reason = Some(words(why.0, why.1));
    }
    figure.variants.push(Variant {
        name: "over",
        title: words("超限时段", "intervals over the limit"),
        value: percent(number(over), known),
        unit: "%",
        reason: None,
        numerator: Some(number(over)),
        denominator: Some(known),
    });
    let limit = (Relation::Below, policy.share_max, "%");
    let name = ("share_max", "占比上限", "greatest share");
    figure
        .bounds
        .push(bound(name, (None, figure.value), limit, &policy.said()));
    figure.evidence = vec![scene.link(scene.from, scene.to, "&calls=true")];
    figure.parts = parts(&scene, &intervals, length);
    Ok(figure)
}

/// Intervals in which the engine did not run all the time, and no flood was seen.
fn unknown(
    scene: &Scene<'_>,
    intervals: &BTreeMap<i64, Interval>,
    (first, end): (i64, i64),
    length: i64,
) -> f64 {
    if scene.down.is_empty() {
        return 0.0;
    }
    let dark = (first..end).filter(|number| {
        let from = Timestamp::from_millis(number * length);
        let to = Timestamp::from_millis((number + 1) * length);
        let flood = intervals.get(number).is_some_and(|interval| interval.flood);
        !flood && overlap(&scene.down, from, to) > 0.0
    });
    number(dark.count() as u64)
}

/// Each flood is a part: when, how many intervals and calls.
fn parts(scene: &Scene<'_>, intervals: &BTreeMap<i64, Interval>, length: i64) -> Vec<Part> {
    let mut floods: Vec<(i64, i64, u64)> = Vec::new();
    for (place, interval) in intervals.iter().filter(|(_, interval)| interval.flood) {
        match floods.last_mut() {
            Some((_, end, calls)) if *end == *place => {
                *end += 1;
                *calls += interval.calls;
            }
            _ => floods.push((*place, place + 1, interval.calls)),
        }
    }
    let part = |(first, end, calls): (i64, i64, u64)| {
        let (from, to) = (
            Timestamp::from_millis(first * length),
            Timestamp::from_millis(end * length),
        );
        let name = format!(
            "{} – {}",
            scene.asked.moment(from).time,
            scene.asked.moment(to).time
        );
        let several = number(u64::try_from(end - first).unwrap_or(0));
        Part {
            site: None,
            organisation: None,
            device: None,
            rule: None,
            name: words(name.as_str(), name.as_str()),
            value: None,
            numerator: Some(several),
            denominator: Some(several),
            unknown: 0.0,
            hazard: None,
            notes: vec![words(format!("{calls}次呼叫"), format!("{calls} calls"))],
            evidence: vec![scene.link(from, to, "&calls=true")],
        }
    };
    floods.into_iter().map(part).collect()
}
