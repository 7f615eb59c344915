//! `alarm_unauthorised_suppression`: what was set aside in a way that the rules do not allow 未授权抑制.

use std::collections::BTreeMap;

use telemetry::Timestamp;

use super::parts::{Key, number};
use super::scene::{Scene, bound};
use crate::figures::FigureError;
use crate::figures::asked::{Asked, Kind};
use crate::figures::form::{Figure, Formula, Relation, Variant, words};
use crate::health::Happening;
use crate::health::aside::{Asides, Fault};
use telemetry::profile::Title;

/// Rows that a part leads to. The rest is counted in its notes.
const EVIDENCE_MAX: usize = 100;
const EVENTS: &str = "&event=shelved,suppressed,out_of_service,closed";

pub(in crate::figures) fn unauthorised_suppression(asked: &Asked<'_>) -> Result<Figure, FigureError> {
    let formula = Formula {
        id: "alarm_unauthorised_suppression/acts/1",
        text: "rows of the log in the period that set an alarm aside or took its rule away, and with which something is wrong: shelved or \
               out of service without a name (no_name), without a reason or permit (no_reason), for longer than allowed, renewals \
               of a shelf included, or without an end (too_long); life-safety shelved without a second person (one_person); \
               suppressed without the alarm of the cause (no_reason); a rule taken out of force or removed while its alarm was open \
               (out_of_force). Each row counts once. The goal is 0. \
               未经授权的搁置、抑制、停用或规则停用次数，目标为 0",
    };
    let kind = Kind {
        name: "alarm_unauthorised_suppression",
        zh: "未授权抑制次数",
        en: "unauthorised suppression",
        unit: "{act}",
        counted_in: "{act}",
        unknown_in: "h",
        formula,
    };
    let scene = Scene::read(asked)?;
    let mut figure = scene.figure(kind);
    if scene.is_dark(&mut figure) {
        return Ok(figure);
    }
    let policy = &scene.policy.unauthorised_suppression;
    let mut asides = Asides::new(policy.limits());
    let mut acts = 0;
    let mut wrong: BTreeMap<Key, Vec<(&Happening, Vec<Fault>)>> = BTreeMap::new();
    for row in scene.all() {
        let Some(faults) = asides.judge(row).filter(|_| row.at >= scene.from) else {
            continue;
        };
        acts += 1;
        if !faults.is_empty() {
            wrong.entry(scene.key(row.rule)).or_default().push((row, faults));
        }
    }
    let count: usize = wrong.values().map(Vec::len).sum();
    figure.numerator = Some(number(count as u64));
    figure.value = figure.numerator;
    figure.variants.push(Variant {
        name: "all",
        title: words("全部抑制操作", "everything that was set aside"),
        value: Some(number(acts)),
        unit: "{act}",
        reason: None,
        numerator: Some(number(acts)),
        denominator: None,
    });
    let goal = (Relation::AtMost, 0.0, "{act}");
    let name = ("goal", "目标", "goal");
    figure
        .bounds
        .push(bound(name, (None, figure.value), goal, &policy.said()));
    figure.evidence = vec![scene.link(scene.from, scene.to, EVENTS)];
    for (key, rows) in wrong {
        let mut part = scene.part(&key, EVENTS);
        part.numerator = Some(number(rows.len() as u64));
        part.value = part.numerator;
        part.notes = notes(&rows);
        part.evidence = rows
            .iter()
            .take(EVIDENCE_MAX)
            .map(|(row, _)| link(&scene, row))
            .collect();
        figure.parts.push(part);
    }
    Ok(figure)
}

/// The address of that one row.
fn link(scene: &Scene<'_>, row: &Happening) -> String {
    let end = Timestamp::from_millis(row.at.millis() + 1);
    scene.rule_link(row.rule, row.at, end, &format!("&event={}", row.event.name()))
}

fn notes(rows: &[(&Happening, Vec<Fault>)]) -> Vec<Title> {
    let mut by_fault: BTreeMap<Fault, usize> = BTreeMap::new();
    for fault in rows.iter().flat_map(|(_, faults)| faults) {
        *by_fault.entry(*fault).or_default() += 1;
    }
    let mut notes: Vec<Title> = by_fault
        .into_iter()
        .map(|(fault, count)| {
            let (zh, en) = fault_words(fault);
            words(format!("{count}次{zh}"), format!("{count}: {en}"))
        })
        .collect();
    let more = rows.len().saturating_sub(EVIDENCE_MAX);
    if more > 0 {
        notes.push(words(format!("另有{more}次"), format!("{more} more")));
    }
    notes
}

const fn fault_words(fault: Fault) -> (&'static str, &'static str) {
    match fault {
        Fault::NoName => ("未记录操作人", "nobody is named"),
        Fault::NoReason => ("无理由或作业票", "no reason or permit"),
        Fault::OnePerson => ("生命安全报警仅一人搁置", "life-safety, shelved by one person"),
        Fault::TooLong => ("超过允许时长", "for longer than allowed"),
        Fault::OutOfForce => ("规则被停用或删除", "the rule was taken out of force or removed"),
    }
}
