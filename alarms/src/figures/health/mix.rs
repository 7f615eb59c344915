//! `alarm_priority_mix`: how calls are spread over the priorities 报警优先级分布.

use super::parts::number;
use super::scene::{Scene, bound};
use crate::figures::FigureError;
use crate::figures::asked::{Asked, Kind};
use crate::figures::form::{Figure, Formula, Relation, Variant, percent, words};
use crate::health::{self, Happening, PRIORITIES};

/// Titles in the order of [`PRIORITIES`].
const TITLES: [(&str, &str); 4] = [
    ("低", "low"),
    ("中", "medium"),
    ("高", "high"),
    ("紧急", "critical"),
];

pub(in crate::figures) fn priority_mix(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "alarm_priority_mix/calls/1",
        text: "calls of high and critical priority / all calls × 100 %; the variants are the share of each priority, as the rule had it \
               when it called; calls as in alarm_rate. \
               高与紧急优先级的呼叫次数÷全部呼叫次数；各优先级占比见变体",
    };
    let kind = Kind {
        name: "alarm_priority_mix",
        zh: "高优先级报警占比",
        en: "share of grave alarms",
        unit: "%",
        counted_in: "{call}",
        unknown_in: "h",
        formula,
    };
    let scene = Scene::read(asked)?;
    let mut figure = scene.figure(kind);
    let calls = scene.calls(&mut figure);
    if scene.is_dark(&mut figure) {
        return Ok(figure);
    }
    let all = number(calls.len() as u64);
    let grave: Vec<&Happening> = calls.iter().copied().filter(|call| is_grave(call)).collect();
    figure.numerator = Some(number(grave.len() as u64));
    figure.denominator = Some(all);
    figure.value = percent(number(grave.len() as u64), all);
    if figure.value.is_none() {
        figure.reason = Some(words("时段内没有报警呼叫", "nobody was called in the period"));
    }
    figure.evidence = vec![scene.link(scene.from, scene.to, "&calls=true")];
    let policy = &scene.policy.priority_mix;
    let limits = [policy.low, policy.medium, policy.high, policy.critical];
    for (place, ((name, title), limit)) in PRIORITIES.into_iter().zip(TITLES).zip(limits).enumerate() {
        let count = calls
            .iter()
            .filter(|call| health::place(call.priority) == place)
            .count();
        let value = percent(number(count as u64), all);
        figure.variants.push(Variant {
            name,
            title: words(title.0, title.1),
            value,
            unit: "%",
            reason: figure.reason.clone(),
            numerator: Some(number(count as u64)),
            denominator: Some(all),
        });
        let relation = if name == "critical" {
            Relation::Below
        } else {
            Relation::About
        };
        figure.bounds.push(bound(
            (name, title.0, title.1),
            (Some(name), value),
            (relation, limit, "%"),
            &policy.said(),
        ));
    }
    let of_grave = scene.tally(grave.iter().map(|call| call.rule));
    for (key, calls) in scene.tally(calls.iter().map(|call| call.rule)) {
        let mut part = scene.part(&key, "&calls=true");
        let grave = of_grave.get(&key).copied().unwrap_or(0);
        part.numerator = Some(number(grave));
        part.denominator = Some(number(calls));
        part.value = percent(number(grave), number(calls));
        figure.parts.push(part);
    }
    Ok(figure)
}

fn is_grave(call: &Happening) -> bool {
    matches!(
        PRIORITIES.get(health::place(call.priority)),
        Some(&"high" | &"critical")
    )
}
