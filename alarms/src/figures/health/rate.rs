//! `alarm_rate`: how often people are called 报警率.

use telemetry::Timestamp;
use telemetry::time::Span;

use super::parts::number;
use super::policy::{Load, RateBounds};
use super::scene::{Scene, bound, overlap};
use crate::figures::FigureError;
use crate::figures::asked::{Asked, Kind};
use crate::figures::form::{Bound, Course, Figure, Formula, Relation, Step, Variant, share, words};
use crate::health::calls;

const TEN_MINUTES: Span = Span::from_secs(600);
const HOUR_MS: i64 = 3_600_000;
/// A longer period is shown day by day, a shorter one hour by hour.
const HOURLY_MS_MAX: i64 = 3 * Timestamp::DAY_MS;

pub(in crate::figures) fn rate(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "alarm_rate/calls/1",
        text: "calls / known hours. A call 报警呼叫: people were told that an alarm was raised (T1, T6), is owed again (T7, T10), or is \
               active after it was set aside (T12); tests, history and what was set aside are left out, and the flood alarm is \
               none. Known: the alarm engine ran and its log is kept. Per 10 min and per day: the same over other units of time. \
               The peak: most calls within any 10 min. \
               报警呼叫次数÷已知小时数；测试、历史补传和已抑制的报警不计",
    };
    let kind = Kind {
        name: "alarm_rate",
        zh: "报警率",
        en: "alarm rate",
        unit: "{call}/h",
        counted_in: "{call}",
        unknown_in: "h",
        formula,
    };
    let scene = Scene::read(asked)?;
    let mut figure = scene.figure(kind);
    figure.denominator_in = Some("h");
    let calls = scene.calls(&mut figure);
    if scene.is_dark(&mut figure) {
        return Ok(figure);
    }
    let times: Vec<Timestamp> = calls.iter().map(|call| call.at).collect();
    let (count, hours) = (number(times.len() as u64), scene.known_h());
    figure.numerator = Some(count);
    figure.denominator = Some(hours);
    figure.value = share(count, hours);
    figure.evidence = vec![scene.link(scene.from, scene.to, "&calls=true")];
    let peak = number(calls::peak(&times, TEN_MINUTES));
    figure.variants = variants(count, hours, peak);
    figure.bounds = bounds(&scene.policy.rate, &figure);
    figure.course = Some(course(&scene, &times));
    for (key, calls) in scene.tally(calls.iter().map(|call| call.rule)) {
        let mut part = scene.part(&key, "&calls=true");
        part.numerator = Some(number(calls));
        part.value = share(number(calls), hours);
        figure.parts.push(part);
    }
    Ok(figure)
}

fn variants(count: f64, hours: f64, peak: f64) -> Vec<Variant> {
    let per = |name, zh, en, unit, times: f64| Variant {
        name,
        title: words(zh, en),
        value: share(count, times),
        unit,
        reason: None,
        numerator: Some(count),
        denominator: Some(times),
    };
    let highest = Variant {
        value: Some(peak),
        numerator: Some(peak),
        denominator: None,
        ..per(
            "peak_10min",
            "任意10分钟内最多",
            "most in any 10 min",
            "{call}",
            hours,
        )
    };
    vec![
        per(
            "per_10min",
            "平均每10分钟",
            "mean per 10 min",
            "{call}",
            hours * 6.0,
        ),
        highest,
        per("per_day", "平均每天", "mean per day", "{call}/d", hours / 24.0),
    ]
}

const ACCEPTABLE: (&str, &str, &str) = ("acceptable", "很可能可接受", "very likely acceptable");
const MANAGEABLE: (&str, &str, &str) = ("manageable", "可应付的上限", "maximum manageable");

fn bounds(policy: &RateBounds, figure: &Figure) -> Vec<Bound> {
    let said = policy.said();
    let variant = |name| {
        let found = figure.variants.iter().find(|variant| variant.name == name);
        (Some(name), found.and_then(|variant| variant.value))
    };
    let loads = [
        ((None, figure.value), policy.per_hour, "{call}/h"),
        (variant("per_10min"), policy.per_10min, "{call}"),
        (variant("per_day"), policy.per_day, "{call}/d"),
    ];
    let mut bounds = Vec::new();
    for (of, load, unit) in loads {
        bounds.push(bound(
            ACCEPTABLE,
            of,
            (Relation::AtMost, load.acceptable, unit),
            &said,
        ));
        bounds.push(bound(
            MANAGEABLE,
            of,
            (Relation::AtMost, load.manageable, unit),
            &said,
        ));
    }
    let peak = ("peak_max", "任意10分钟内的上限", "most in any 10 min");
    let limit = (Relation::AtMost, policy.peak_max, "{call}");
    bounds.push(bound(peak, variant("peak_10min"), limit, &said));
    bounds
}

/// Calls by civil day, or by hour where the period is short.
fn course(scene: &Scene<'_>, times: &[Timestamp]) -> Course {
    let hourly = scene.to.millis_since(scene.from) <= HOURLY_MS_MAX;
    let (zh, en, load) = if hourly {
        ("每小时报警次数", "calls per hour", scene.policy.rate.per_hour)
    } else {
        ("每天报警次数", "calls per day", scene.policy.rate.per_day)
    };
    let said = scene.policy.rate.said();
    let line = |name, limit| bound(name, (None, None), (Relation::AtMost, limit, "{call}"), &said);
    let Load {
        acceptable,
        manageable,
    } = load;
    let mut steps = Vec::new();
    let (mut from, mut place) = (scene.from, 0);
    while from < scene.to {
        let to = next(scene.asked, from, hourly).min(scene.to);
        let end = times.partition_point(|at| *at < to);
        let count = number(end.saturating_sub(place) as u64);
        place = end;
        let known = overlap(&scene.down, from, to) < to.millis_since(from) as f64;
        steps.push(Step {
            from: scene.asked.moment(from),
            to: scene.asked.moment(to),
            value: known.then_some(count),
        });
        from = to;
    }
    Course {
        title: words(zh, en),
        unit: "{call}",
        steps,
        bounds: vec![line(ACCEPTABLE, acceptable), line(MANAGEABLE, manageable)],
    }
}

/// The first instant of the next civil day, or of the next hour.
fn next(asked: &Asked<'_>, at: Timestamp, hourly: bool) -> Timestamp {
    let hour = Timestamp::from_millis((at.millis().div_euclid(HOUR_MS) + 1) * HOUR_MS);
    if hourly {
        return hour;
    }
    let tomorrow = asked.sun.date(at).tomorrow().map(|day| asked.sun.midnight(day));
    tomorrow
        .unwrap_or(hour)
        .max(Timestamp::from_millis(at.millis() + 1))
}
