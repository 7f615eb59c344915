//! `alarm_chattering`, `alarm_top_ten`: the rules that make the noise 抖动报警, 报警最多的十条规则.

use std::collections::BTreeMap;

use super::parts::{Key, number};
use super::scene::{LeftOut, Scene, bound, left_words};
use crate::figures::FigureError;
use crate::figures::asked::{Asked, Kind};
use crate::figures::form::{Figure, Formula, Relation, percent, words};
use crate::health::chatter::Chatter;
use crate::health::{self, Left};

pub(in crate::figures) fn chattering(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "alarm_chattering/rules/1",
        text: "rules of which an occurrence was raised so often that the last of `raises` came no later than `within` after the first; \
               tests, history and what was suppressed by design are left out, what a person has shelved is not. The goal is 0. \
               在 within 内产生 raises 次及以上的规则数，目标为 0",
    };
    let kind = Kind {
        name: "alarm_chattering",
        zh: "抖动报警规则数",
        en: "chattering rules",
        unit: "{rule}",
        counted_in: "{rule}",
        unknown_in: "h",
        formula,
    };
    let scene = Scene::read(asked)?;
    let mut figure = scene.figure(kind);
    let policy = &scene.policy.chattering;
    let (mut chatter, mut left) = (Chatter::new(policy.limits()), LeftOut::default());
    for row in scene.rows() {
        chatter.take(row);
        let why = row
            .left()
            .filter(|_| row.event == crate::engine::EventKind::Raised);
        if let Some(why @ (Left::Test | Left::Historical | Left::ByDesign)) = why {
            left.take(row.rule, why.name(), left_words(why));
        }
    }
    left.tell(&scene, &mut figure);
    if scene.is_dark(&mut figure) {
        return Ok(figure);
    }
    figure.numerator = Some(number(chatter.found().len() as u64));
    figure.value = figure.numerator;
    figure.evidence = vec![scene.link(scene.from, scene.to, "&event=raised")];
    let goal = (Relation::AtMost, 0.0, "{rule}");
    figure.bounds.push(bound(
        ("goal", "目标", "goal"),
        (None, figure.value),
        goal,
        &policy.said(),
    ));
    let mut found: Vec<_> = chatter.found().iter().collect();
    found.sort_by_key(|(_, found)| std::cmp::Reverse(found.raises));
    for (rule, found) in found {
        let mut part = scene.part(&Key::Rule(*rule), "&event=raised");
        part.numerator = Some(1.0);
        part.value = Some(1.0);
        let (first, last) = (asked.moment(found.first).time, asked.moment(found.last).time);
        part.notes.push(words(
            format!("{}次过密，{first} 至 {last}", found.raises),
            format!("raised too soon {} times, {first} to {last}", found.raises),
        ));
        figure.parts.push(part);
    }
    Ok(figure)
}

pub(in crate::figures) fn top_ten(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "alarm_top_ten/calls/1",
        text: "calls of the ten rules that called most / all calls × 100 %; a rule is one of one device; calls as in alarm_rate. \
               呼叫最多的十条规则的次数÷全部呼叫次数",
    };
    let kind = Kind {
        name: "alarm_top_ten",
        zh: "前十规则报警占比",
        en: "share of the ten rules that call most",
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
    // By name, so that of equals the same ones are shown whoever was read first.
    let names: BTreeMap<&str, u32> = calls
        .iter()
        .map(|call| (scene.name(call.rule), call.rule))
        .collect();
    let top = health::calls::top(calls.iter().map(|call| scene.name(call.rule)), health::TOP);
    let of_top = number(top.iter().map(|(_, count)| count).sum());
    figure.numerator = Some(of_top);
    figure.denominator = Some(all);
    figure.value = percent(of_top, all);
    if figure.value.is_none() {
        figure.reason = Some(words("时段内没有报警呼叫", "nobody was called in the period"));
    }
    figure.evidence = vec![scene.link(scene.from, scene.to, "&calls=true")];
    let policy = &scene.policy.top_ten;
    for (name, limit) in [
        (("share_goal", "目标", "goal"), policy.share_goal),
        (("share_max", "占比上限", "greatest share"), policy.share_max),
    ] {
        let limit = (Relation::AtMost, limit, "%");
        figure
            .bounds
            .push(bound(name, (None, figure.value), limit, &policy.said()));
    }
    for (name, count) in top {
        let Some(rule) = names.get(name) else { continue };
        let mut part = scene.part(&Key::Rule(*rule), "&calls=true");
        part.numerator = Some(number(count));
        part.value = percent(number(count), all);
        figure.parts.push(part);
    }
    Ok(figure)
}
