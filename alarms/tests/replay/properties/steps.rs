//! What the properties are tried on: plans and steps that shrink well, and the input lines they make.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::form::{Told, What};
use crate::model::{Model, Plan, Point, Quality, Rule, Sample};

/// The first `at` of every input, in milliseconds: late samples are not before time began.
pub(crate) const START: i64 = 2_000_000;
/// The settings L and P of every plan, in milliseconds.
pub(crate) const LATENESS: i64 = 30_000;
pub(crate) const LIVE_AGE: i64 = 900_000;

/// The rules that a point has: high, low, or both.
const KINDS: &[&[bool]] = &[&[false], &[true], &[false, true]];

/// Which inputs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Live samples within the lateness, each once.
    Live,
    /// History, back-fill and copies too.
    Past,
    /// And samples of the future.
    Wild,
}

/// What one step does: a sample of a point that is `lag` old, a copy of an earlier sample, an acknowledgement or a
/// reset of one of the alarms, or nothing. Numbers of points and alarms are taken modulo how many there are.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Sample(usize, i64, Sample),
    Again(usize),
    Clock,
    Ack(usize, u64),
    Reset(usize),
}

/// How long after the step before, in milliseconds, and what.
pub(crate) type Step = (i64, Act);

/// Plans of one to three points. `delays`: whether rules may have an on-delay.
pub(crate) fn plans(delays: bool, graces: &'static [i64]) -> impl Strategy<Value = Plan> {
    // The longest delays outlast the shorter silence: a gap freezes them.
    let on_delays: &[i64] = if delays { &[0, 5_000, 10_000, 50_000] } else { &[0] };
    let rule = (
        select(on_delays),
        select(&[0i64, 5_000, 10_000, 20_000, 50_000][..]),
    );
    let point = (
        select(&[None, Some(40_000i64), Some(60_000)][..]),
        any::<bool>(),
        select(KINDS),
        vec(rule, 2),
    );
    (vec(point, 1..=3), select(graces)).prop_map(|(points, grace)| {
        let points =
            points
                .into_iter()
                .enumerate()
                .map(|(index, (stale_after, life_safety, kinds, delays))| {
                    let rules = kinds
                        .iter()
                        .zip(delays)
                        .map(|(&low, (on_delay, off_delay))| Rule {
                            low,
                            limit: if low { 20.0 } else { 50.0 },
                            deadband: 5.0,
                            on_delay,
                            off_delay,
                        });
                    let (name, rules) = (format!("P{index}"), rules.collect());
                    Point {
                        name,
                        stale_after,
                        life_safety,
                        rules,
                    }
                });
        Plan {
            lateness: LATENESS,
            live_age: LIVE_AGE,
            grace,
            points: points.collect(),
        }
    })
}

fn seconds(range: std::ops::RangeInclusive<i64>) -> impl Strategy<Value = i64> {
    range.prop_map(|s| s * 1000)
}

fn samples(mix: Mix) -> impl Strategy<Value = Act> {
    let past = u32::from(mix != Mix::Live);
    let future = u32::from(mix == Mix::Wild);
    // Where a mix leaves a kind of lag out, a sample of now stands in.
    let lag = prop_oneof![
        60 => Just(0i64),
        30 => seconds(1..=12),
        6 => seconds(13..=29),
        6 => seconds(30..=130).prop_map(move |lag| lag * i64::from(past)),
        3 => seconds(850..=1200).prop_map(move |lag| lag * i64::from(past)),
        3 => seconds(-100..=-1).prop_map(move |lag| lag * i64::from(future)),
    ];
    // On both sides of the limits 20 and 50 with their dead bands up to 25 and down to 45; calm first, to shrink to.
    let value = select(
        &[
            30.0, 60.0, 50.0, 49.9, 47.0, 45.0, 44.9, 30.0, 25.1, 25.0, 22.0, 20.1, 20.0, 10.0,
        ][..],
    );
    let value = prop_oneof![30 => value.prop_map(Some), 1 => Just(None)];
    let quality =
        prop_oneof![8 => Just(Quality::Good), 1 => Just(Quality::Uncertain), 1 => Just(Quality::Bad)];
    let backfill = prop_oneof![20 => Just(false), 1 => Just(past == 1)];
    (0usize..3, lag, value, quality, backfill).prop_map(|(point, lag, value, quality, backfill)| {
        Act::Sample(
            point,
            lag,
            Sample {
                time: 0,
                value,
                quality,
                backfill,
            },
        )
    })
}

/// Steps of one mix.
pub(crate) fn steps(
    mix: Mix,
    how_many: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![
        12 => seconds(0..=6),
        3 => (0i64..=60).prop_map(|tenths| tenths * 100),
        3 => seconds(7..=25),
        1 => seconds(40..=130),
    ];
    let copy = move |which| {
        if mix == Mix::Live {
            Act::Clock
        } else {
            Act::Again(which)
        }
    };
    let act = prop_oneof![
        20 => samples(mix),
        1 => Just(Act::Clock),
        2 => (0usize..12, 1u64..=3).prop_map(|(alarm, occurrence)| Act::Ack(alarm, occurrence)),
        1 => (0usize..12).prop_map(Act::Reset),
        1 => (0usize..50).prop_map(copy),
    ];
    vec((wait, act), how_many)
}

/// The names of all alarms of `plan`, the rules' own and those of the system.
pub(crate) fn alarms(plan: &Plan) -> Vec<String> {
    let names = |point: &Point| {
        let kinds = point.rules.iter().map(Rule::kind).chain(["silence", "fault"]);
        kinds
            .map(|kind| format!("{}.{kind}", point.name))
            .collect::<Vec<_>>()
    };
    plan.points.iter().flat_map(names).collect()
}

/// The lines that `steps` make, one a step. No two samples of a point have one time and differ: what replaces what
/// is not settled by the text. What cannot be made is a tick of the clock.
pub(crate) fn told(plan: &Plan, steps: &[Step]) -> Vec<Told> {
    let names = alarms(plan);
    let name = |index: usize| names.get(index % names.len()).cloned().unwrap_or_default();
    let mut lines = vec![Told {
        at: START,
        what: What::Clock,
    }];
    let mut earlier: Vec<(usize, Sample)> = Vec::new();
    let mut at = START;
    for (wait, act) in steps {
        at += wait;
        let what = match act {
            Act::Clock => What::Clock,
            Act::Reset(index) => What::Reset { rule: name(*index) },
            Act::Ack(index, occurrence) => What::Ack {
                rule: name(*index),
                occurrence: *occurrence,
            },
            Act::Again(index) => match earlier.get(index % earlier.len().max(1)) {
                Some((point, sample)) => What::Sample(*point, *sample),
                None => What::Clock,
            },
            Act::Sample(index, lag, sample) => {
                let (point, sample) = (
                    index % plan.points.len(),
                    Sample {
                        time: at - lag,
                        ..*sample
                    },
                );
                if earlier
                    .iter()
                    .any(|(other, s)| *other == point && s.time == sample.time)
                {
                    What::Clock
                } else {
                    earlier.push((point, sample));
                    What::Sample(point, sample)
                }
            }
        };
        lines.push(Told { at, what });
    }
    lines
}

/// What the model says to `lines`, and the lines themselves with a tick of the clock for what it does not take.
pub(crate) fn modelled(plan: &Plan, mut lines: Vec<Told>) -> (Vec<Told>, Model) {
    let mut model = Model::new(plan, START);
    for line in &mut lines {
        let taken = match &mut line.what {
            What::Sample(point, sample) => model.take(line.at, *point, *sample),
            What::Ack { rule, occurrence } => {
                let certain = model.acknowledge(line.at, rule, *occurrence == 3);
                *occurrence = certain.unwrap_or_default();
                certain.is_some()
            }
            What::Clock | What::Reset { .. } | What::Restart => false,
        };
        if !taken {
            line.what = What::Clock;
        }
    }
    let end = lines.last().map_or(START, |line| line.at);
    model.advance(end, true);
    (lines, model)
}

/// The lines of each rule, in their order.
pub(crate) fn by_rule<L>(
    lines: impl IntoIterator<Item = L>,
    rule: impl Fn(&L) -> String,
) -> BTreeMap<String, Vec<L>> {
    let mut rules: BTreeMap<String, Vec<L>> = BTreeMap::new();
    for line in lines {
        rules.entry(rule(&line)).or_default().push(line);
    }
    rules
}
