//! `alarm_fleeting`, `alarm_stale`: alarms that nobody can act on 瞬时报警, and alarms that nobody acts on 长期报警.

use std::collections::BTreeMap;

use telemetry::Timestamp;

use super::parts::{Key, number};
use super::scene::{LeftOut, Scene, bound, left_words};
use crate::figures::FigureError;
use crate::figures::asked::{Asked, Kind};
use crate::figures::form::{Figure, Formula, Relation, Variant, percent, words};
use crate::health::lasting::Active;

pub(in crate::figures) fn fleeting(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "alarm_fleeting/occurrences/1",
        text: "occurrences that cleared in the period less than shorter_than after they were raised, without a person: nobody had \
               acknowledged them, no latch held them; times of the engine, so an off-delay counts. Tests, what was set aside, and what \
               was over by the time it was found are left out. The goal is 0. \
               产生后不足 shorter_than 且无人处理即恢复的报警次数，目标为 0",
    };
    let kind = Kind {
        name: "alarm_fleeting",
        zh: "瞬时报警次数",
        en: "fleeting alarms",
        unit: "{alarm}",
        counted_in: "{alarm}",
        unknown_in: "h",
        formula,
    };
    let scene = Scene::read(asked)?;
    let mut figure = scene.figure(kind);
    let mut left = LeftOut::default();
    let policy = &scene.policy.fleeting;
    let (mut all, mut found) = (0, Vec::new());
    for ended in scene.rows().filter_map(Active::ended) {
        if let Some(why) = ended.left {
            left.take(ended.rule, why.name(), left_words(why));
        } else if ended.momentary {
            let why = words("发现时已恢复", "over by the time it was found");
            left.take(ended.rule, "momentary", why);
        } else {
            all += 1;
            found.extend(ended.is_fleeting(policy.shorter_than).then_some(ended.rule));
        }
    }
    left.tell(&scene, &mut figure);
    if scene.is_dark(&mut figure) {
        return Ok(figure);
    }
    let count = number(found.len() as u64);
    figure.numerator = Some(count);
    figure.value = Some(count);
    figure.variants.push(Variant {
        name: "share",
        title: words("占已恢复报警", "of the alarms that ended"),
        value: percent(count, number(all)),
        unit: "%",
        reason: (all == 0).then(|| words("时段内没有报警恢复", "no alarm ended in the period")),
        numerator: Some(count),
        denominator: Some(number(all)),
    });
    let goal = (Relation::AtMost, 0.0, "{alarm}");
    let name = ("goal", "目标", "goal");
    figure
        .bounds
        .push(bound(name, (None, figure.value), goal, &policy.said()));
    figure.evidence = vec![scene.link(scene.from, scene.to, "&event=raised,cleared")];
    let mut by_rule: BTreeMap<u32, u64> = BTreeMap::new();
    for rule in found {
        *by_rule.entry(rule).or_default() += 1;
    }
    let mut by_rule: Vec<(u32, u64)> = by_rule.into_iter().collect();
    by_rule.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (rule, count) in by_rule {
        let mut part = scene.part(&Key::Rule(rule), "&event=raised,cleared");
        part.numerator = Some(number(count));
        part.value = part.numerator;
        figure.parts.push(part);
    }
    Ok(figure)
}

/// An occurrence that was stale: which, and from when to when.
struct Stale {
    of: Active,
    from: Timestamp,
    to: Timestamp,
}

pub(in crate::figures) fn stale(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "alarm_stale/occurrences/1",
        text: "occurrences that at some time of the period had been active for more than longer_than; times of the engine. Tests and \
               what was set aside are left out. most_on_a_day: on the civil day that had most; at_end: at the end of the period. \
               An alarm that was closed with its rule in the period is not counted: see alarm_unauthorised_suppression. \
               时段内曾连续存在超过 longer_than 的报警次数",
    };
    let kind = Kind {
        name: "alarm_stale",
        zh: "长期存在的报警",
        en: "stale alarms",
        unit: "{alarm}",
        counted_in: "{alarm}",
        unknown_in: "h",
        formula,
    };
    let scene = Scene::read(asked)?;
    let mut figure = scene.figure(kind);
    let found = found(&scene, &mut figure);
    if scene.is_dark(&mut figure) {
        return Ok(figure);
    }
    figure.numerator = Some(number(found.len() as u64));
    figure.value = figure.numerator;
    let at_end = found.iter().filter(|stale| stale.of.until.is_none()).count();
    let variant = |name, zh, en, count: f64| Variant {
        name,
        title: words(zh, en),
        value: Some(count),
        unit: "{alarm}",
        reason: None,
        numerator: Some(count),
        denominator: None,
    };
    let day = most_on_a_day(&scene, &found);
    figure.variants = vec![
        variant("most_on_a_day", "一天内最多", "most on one day", day),
        variant(
            "at_end",
            "时段末",
            "at the end of the period",
            number(at_end as u64),
        ),
    ];
    let policy = &scene.policy.stale;
    let limit = (Relation::Below, policy.per_day_below, "{alarm}");
    let name = ("per_day_below", "每天少于", "fewer on any day than");
    let of = (Some("most_on_a_day"), Some(day));
    figure.bounds.push(bound(name, of, limit, &policy.said()));
    for stale in found {
        let Active {
            raised_at,
            occurrence,
            ..
        } = stale.of;
        let end = stale.to.max(Timestamp::from_millis(raised_at.millis() + 1));
        let mut part = scene.part(&Key::Rule(stale.of.rule), "");
        // To the row that raised it, and to the one that ended it.
        let to = Timestamp::from_millis(end.millis() + 1);
        part.evidence = vec![scene.rule_link(stale.of.rule, raised_at, to, "&event=raised,cleared,latched")];
        part.numerator = Some(1.0);
        part.value = Some(1.0);
        let since = asked.moment(raised_at).time;
        part.notes.push(words(
            format!("第{occurrence}次，{since} 产生"),
            format!("occurrence {occurrence}, raised {since}"),
        ));
        figure.parts.push(part);
    }
    Ok(figure)
}

fn found(scene: &Scene<'_>, figure: &mut Figure) -> Vec<Stale> {
    let longer_than = scene.policy.stale.longer_than;
    let mut left = LeftOut::default();
    let mut found = Vec::new();
    let active = scene.facts.active.iter().copied();
    let standing = active.filter(|active| scene.is_inside(active.rule));
    for of in scene.rows().filter_map(Active::ended).chain(standing) {
        let Some((from, to)) = of.stale(longer_than, scene.to).filter(|(_, to)| *to > scene.from) else {
            continue;
        };
        match of.left {
            Some(why) => left.take(of.rule, why.name(), left_words(why)),
            None => found.push(Stale {
                of,
                from: from.max(scene.from),
                to,
            }),
        }
    }
    left.tell(scene, figure);
    found.sort_by_key(|stale| (stale.of.raised_at, stale.of.rule));
    found
}

/// How many were stale at some time of the civil day that had most of them.
fn most_on_a_day(scene: &Scene<'_>, found: &[Stale]) -> f64 {
    let mut by_day: BTreeMap<jiff::civil::Date, u64> = BTreeMap::new();
    for stale in found {
        let last = scene
            .asked
            .sun
            .date(Timestamp::from_millis(stale.to.millis() - 1));
        let mut day = scene.asked.sun.date(stale.from);
        while day <= last {
            *by_day.entry(day).or_default() += 1;
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
    }
    number(by_day.into_values().max().unwrap_or(0))
}
