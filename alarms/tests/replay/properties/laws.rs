//! The properties as judgements over what one replay, or two, said to some input.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use super::form::{
    Extra, Told, What, events, input, list, ms, number, predicted, replay, rules, story, text,
};
use super::steps::{LATENESS, LIVE_AGE, START, Step, alarms, by_rule, modelled, told};
use crate::model::{Plan, Point, Quality, Rule, Sample, Side};

type Outcome = Result<(), TestCaseError>;

const PLAIN: Extra = Extra {
    latching: false,
    routed: false,
};

fn played(plan: &Plan, told: &[Told]) -> Vec<Value> {
    replay(&rules(plan, PLAIN), plan, told, None)
}

/// The samples of `told` with their arrival and the name of their point.
fn samples<'a>(plan: &'a Plan, told: &'a [Told]) -> impl Iterator<Item = (i64, &'a Point, &'a Sample)> {
    told.iter().filter_map(|told| match &told.what {
        What::Sample(index, sample) => Some((told.at, plan.points.get(*index)?, sample)),
        What::Clock | What::Ack { .. } | What::Reset { .. } | What::Restart => None,
    })
}

/// The rules of a plan by their names, with their points.
fn named(plan: &Plan) -> impl Iterator<Item = (String, &Point, &Rule)> {
    let name = |point: &Point, rule: &Rule| format!("{}.{}", point.name, rule.kind());
    let of = move |point| move |rule| (name(point, rule), point, rule);
    plan.points
        .iter()
        .flat_map(move |point| point.rules.iter().map(of(point)))
}

/// The condition history that a replay ends with, by rule.
fn history(lines: &[Value], rule: &str) -> BTreeSet<(Option<i64>, Option<i64>)> {
    let intervals = events(lines, "end").flat_map(|end| list(end, "history"));
    let own = intervals.filter(|interval| text(interval, "rule") == rule);
    own.map(|interval| (ms(interval, "from"), ms(interval, "to")))
        .collect()
}

/// The condition history by definition: from a violation to the first clear sample behind it, by event time.
fn recomputed(rule: &Rule, in_order: &[Sample]) -> BTreeSet<(Option<i64>, Option<i64>)> {
    let (mut intervals, mut from) = (BTreeSet::new(), None);
    for sample in in_order {
        match (rule.side(sample), from) {
            (Side::Violating, None) => from = Some(sample.time),
            (Side::Clear, Some(since)) => {
                intervals.insert((Some(since), Some(sample.time)));
                from = None;
            }
            _ => {}
        }
    }
    intervals.extend(from.map(|since| (Some(since), None)));
    intervals
}

/// P1. The text guarantees it where the history is a function of the stored samples alone: all good, each time once,
/// none later than L, no silence, and no delay, because a delay also matures by the clock of the server.
pub(super) fn any_order_within_the_lateness_ends_in_one_history(readings: &[(i64, f64, i64)]) -> Outcome {
    // Given a point with both rules, and its samples in the order of their times,
    let rule = |low, limit| Rule {
        low,
        limit,
        deadband: 5.0,
        ..Rule::default()
    };
    let both = vec![rule(false, 50.0), rule(true, 20.0)];
    let point = Point {
        name: "P0".to_owned(),
        rules: both,
        ..Point::default()
    };
    let plan = Plan {
        lateness: LATENESS,
        live_age: LIVE_AGE,
        grace: 0,
        points: vec![point],
    };
    let mut time = START;
    let mut in_order = Vec::new();
    for (gap, value, _) in readings {
        time += gap * 1000;
        in_order.push(Sample {
            time,
            value: Some(*value),
            quality: Quality::Good,
            backfill: false,
        });
    }
    // when they arrive at once, and when each is held back by less than the lateness,
    let arrive = |held: &dyn Fn(i64) -> i64| {
        let delays = readings.iter().map(|(_, _, delay)| held(*delay));
        let mut told: Vec<Told> = in_order
            .iter()
            .zip(delays)
            .map(|(sample, delay)| Told {
                at: sample.time + delay * 1000,
                what: What::Sample(0, *sample),
            })
            .collect();
        told.sort_by_key(|told| told.at);
        told.insert(
            0,
            Told {
                at: START,
                what: What::Clock,
            },
        );
        let lines = replay(&rules(&plan, PLAIN), &plan, &told, Some(time + 2 * LATENESS));
        (lines, input(&plan, &told))
    };
    let ((prompt, _), (held_back, told)) = (arrive(&|_| 0), arrive(&|delay| delay));
    // then both end in the history that the definition gives.
    for (id, _, rule) in named(&plan) {
        let expected = recomputed(rule, &in_order);
        prop_assert_eq!(&history(&prompt, &id), &expected, "{} in order", id);
        prop_assert_eq!(
            &history(&held_back, &id),
            &expected,
            "{} out of order\n{}",
            id,
            told
        );
    }
    Ok(())
}

/// P2. `copies`: which line is copied, and how far behind it the copy arrives: within the live age. What comes again later is history,
/// which the engine tells of in a digest and does not remember; the store has it once.
pub(super) fn copies_change_nothing(plan: &Plan, told: &[Told], copies: &[(Index, Index)]) -> Outcome {
    let mut behind: BTreeMap<usize, Vec<What>> = BTreeMap::new();
    for (which, distance) in copies {
        let from = which.index(told.len());
        let to = from + distance.index(told.len() - from);
        let what = told.get(from).map(|told| told.what.clone());
        let arrives = told.get(to).map_or(START, |told| told.at);
        let sample = what.filter(|what| match what {
            What::Sample(_, sample) => arrives - sample.time <= plan.live_age,
            _ => false,
        });
        behind.entry(to).or_default().extend(sample);
    }
    let mut doubled = Vec::new();
    for (index, line) in told.iter().enumerate() {
        doubled.push(line.clone());
        let copies = behind.remove(&index).unwrap_or_default();
        doubled.extend(copies.into_iter().map(|what| Told { at: line.at, what }));
    }
    let (once, twice) = (played(plan, told), played(plan, &doubled));
    prop_assert_eq!(
        story(&once),
        story(&twice),
        "with copies:\n{}",
        input(plan, &doubled)
    );
    Ok(())
}

/// P3. Everything of a plan falls on tenths of a second, so nothing falls due in the millisecond of the restart.
pub(super) fn a_crash_changes_nothing(plan: &Plan, told: &[Told], after: &Index) -> Outcome {
    let gap = |pair: &[Told]| matches!(pair, [a, b] if b.at >= a.at + 100);
    let places: Vec<usize> = (1..told.len())
        .filter(|end| told.get(end - 1..=*end).is_some_and(gap))
        .collect();
    let Some(place) = places.get(after.index(places.len().max(1))) else {
        return Ok(());
    };
    let mut crashed = told.to_vec();
    let at = told.get(place - 1).map_or(START, |told| told.at) + 50;
    crashed.insert(
        *place,
        Told {
            at,
            what: What::Restart,
        },
    );
    let (whole, resumed) = (played(plan, told), played(plan, &crashed));
    prop_assert_eq!(
        story(&whole),
        story(&resumed),
        "with a crash:\n{}",
        input(plan, &crashed)
    );
    each_key_is_used_once(&resumed)
}

/// P4. A sample before an open occurrence may also be an annotation of it: it never forks one.
pub(super) fn no_violation_is_uncovered(plan: &Plan, told: &[Told]) -> Outcome {
    let lines = played(plan, told);
    for (id, point, rule) in named(plan) {
        let own: Vec<&Value> = lines.iter().filter(|line| text(line, "rule") == id).collect();
        let mut spans: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
        for line in &own {
            let span = spans.entry(number(line, "occurrence"));
            match (text(line, "event"), ms(line, "since")) {
                ("raised" | "annotated", Some(since)) => {
                    span.and_modify(|span| span.0 = span.0.min(since))
                        .or_insert((since, i64::MAX));
                }
                ("cleared", Some(since)) => {
                    span.and_modify(|span| span.1 = since);
                }
                _ => {}
            }
        }
        let good = |s: &Sample| s.trust() == Quality::Good && rule.side(s) == Side::Violating;
        for (at, _, sample) in samples(plan, told).filter(|(_, of, s)| of.name == point.name && good(s)) {
            let covered = spans
                .values()
                .any(|(from, to)| (*from..*to).contains(&sample.time));
            let annotated = own
                .iter()
                .any(|line| text(line, "event") == "annotated" && ms(line, "at") == Some(at));
            prop_assert!(
                covered || annotated,
                "{} at {}\n{}",
                id,
                sample.time,
                input(plan, told)
            );
        }
    }
    Ok(())
}

/// P5. What is cited has arrived, is good, and lies beyond the dead band.
pub(super) fn what_clears_is_a_good_sample_beyond_the_dead_band(plan: &Plan, told: &[Told]) -> Outcome {
    let lines = played(plan, told);
    for (id, point, rule) in named(plan) {
        for line in events(&lines, "cleared").filter(|line| text(line, "rule") == id) {
            let (at, value) = (ms(line, "at"), line.get("value").and_then(Value::as_f64));
            let cited = samples(plan, told).any(|(arrived, of, sample)| {
                let told = of.name == point.name && sample.value == value && Some(arrived) <= at;
                told && rule.side(sample) == Side::Clear
            });
            prop_assert!(
                cited && text(line, "quality") == "good",
                "{}\n{}",
                line,
                input(plan, told)
            );
        }
    }
    Ok(())
}

/// P6. A worse sample may change what people are told about a point, and never whom. A fault returns when it does, without the
/// off-delay of the alarm in whose place it stands; where no life is at stake that ends its escalation, so there only
/// who is called counts.
pub(super) fn a_worse_sample_tells_nobody_less(
    plan: &Plan,
    told: &[Told],
    which: &Index,
    bad: bool,
) -> Outcome {
    // An acknowledgement of what only a worse sample brings about is no matter of quality.
    let told: Vec<Told> = (told.iter())
        .filter(|told| !matches!(told.what, What::Ack { .. }))
        .cloned()
        .collect();
    let told = told.as_slice();
    let indices: Vec<usize> = (0..told.len())
        .filter(|i| matches!(told[*i].what, What::Sample(..)))
        .collect();
    let Some(index) = indices.get(which.index(indices.len().max(1))) else {
        return Ok(());
    };
    let mut worse = told.to_vec();
    if let What::Sample(_, sample) = &mut worse[*index].what {
        let bad = bad || sample.quality != Quality::Good;
        sample.quality = if bad { Quality::Bad } else { Quality::Uncertain };
    }
    for routed in [false, true] {
        let rules = rules(plan, Extra { routed, ..PLAIN });
        let people = |told: &[Told]| -> BTreeSet<(String, String)> {
            let lines = replay(&rules, plan, told, None);
            let notices = events(&lines, "notified");
            let vital = |point: &str| plan.points.iter().any(|p| p.life_safety && p.name == point);
            notices
                // A flood is no matter of a point.
                .filter(|line| !text(line, "rule").starts_with("system."))
                .filter(|line| text(line, "reason") != "escalated" || vital(text(line, "point")))
                .map(|line| (text(line, "point").to_owned(), text(line, "to").to_owned()))
                .collect()
        };
        let (before, after) = (people(told), people(&worse));
        prop_assert!(
            before.is_subset(&after),
            "{before:?} {after:?} with\n{}",
            input(plan, &worse)
        );
    }
    Ok(())
}

/// P6b, and that the output is numbered without gaps and in the order of the clock.
pub(super) fn at_most_one_occurrence_is_open(lines: &[Value]) -> Outcome {
    const OPEN: [&str; 4] = [
        "unacknowledged",
        "acknowledged",
        "latched_unacknowledged",
        "latched_acknowledged",
    ];
    let mut alarms: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for pair in lines.windows(2) {
        prop_assert!(
            ms(&pair[0], "at") <= ms(&pair[1], "at"),
            "{} {}",
            pair[0],
            pair[1]
        );
        prop_assert_eq!(number(&pair[0], "seq") + 1, number(&pair[1], "seq"));
    }
    for line in lines {
        let (event, state) = (text(line, "event"), text(line, "state"));
        let (occurrence, known) = (
            number(line, "occurrence"),
            alarms.entry(text(line, "rule")).or_insert((0, "normal")),
        );
        match event {
            "raised" if known.1.starts_with("latched") => prop_assert_eq!(occurrence, known.0, "{}", line),
            "raised" => {
                prop_assert!(!OPEN.contains(&known.1), "{} while {:?}", line, known);
                prop_assert_eq!(occurrence, known.0 + 1, "{}", line);
            }
            "cleared" => prop_assert!(
                OPEN.contains(&known.1) && occurrence == known.0,
                "{} {:?}",
                line,
                known
            ),
            "acknowledged" | "latched" | "reset" if occurrence == known.0 => {}
            // T10: a latched alarm whose condition is true again is owed again, in the same occurrence.
            "re_alarmed" => prop_assert_eq!(occurrence, known.0, "{}", line),
            _ => continue,
        }
        let calls = event == "raised" || event == "re_alarmed";
        prop_assert_eq!(calls, state == "unacknowledged", "{}", line);
        prop_assert!(event != "cleared" || !OPEN.contains(&state), "{}", line);
        *known = (occurrence, state);
    }
    let open = events(lines, "end").flat_map(|end| list(end, "open"));
    let open: BTreeMap<&str, (u64, &str)> = open
        .map(|o| (text(o, "rule"), (number(o, "occurrence"), text(o, "state"))))
        .collect();
    alarms.retain(|rule, known| known.1 != "normal" && !rule.starts_with("system."));
    let open: BTreeMap<&str, (u64, &str)> = open
        .into_iter()
        .filter(|(rule, _)| !rule.starts_with("system."))
        .collect();
    prop_assert_eq!(open, alarms);
    Ok(())
}

/// P7.
pub(super) fn each_key_is_used_once(lines: &[Value]) -> Outcome {
    let mut keys = BTreeSet::new();
    for line in events(lines, "notified") {
        prop_assert!(
            !text(line, "key").is_empty() && keys.insert(text(line, "key")),
            "again: {}",
            line
        );
    }
    Ok(())
}

/// P8. Stale and fresh, which the text does not say for which rules they are printed, come with the silence only.
pub(super) fn the_model_agrees(plan: &Plan, steps: &[Step]) -> Outcome {
    let (told, model) = modelled(plan, told(plan, steps));
    let lines = played(plan, &told);
    let own = alarms(plan);
    let said = lines
        .iter()
        .filter_map(predicted)
        .filter(|line| own.contains(&line.2));
    let (said, expected) = (
        by_rule(said, |line| line.2.clone()),
        by_rule(model.lines, |line| line.2.clone()),
    );
    for rule in own {
        let (said, expected) = (said.get(&rule), expected.get(&rule));
        prop_assert_eq!(
            said,
            expected,
            "{}\n{}\n{}",
            rule,
            rules(plan, PLAIN),
            input(plan, &told)
        );
    }
    let silences: BTreeSet<(&str, Option<i64>)> = lines
        .iter()
        .filter(|line| text(line, "rule").ends_with(".silence"))
        .map(|line| (text(line, "point"), ms(line, "at")))
        .collect();
    for line in events(&lines, "stale").chain(events(&lines, "fresh")) {
        prop_assert!(
            silences.contains(&(text(line, "point"), ms(line, "at"))),
            "{} alone",
            line
        );
    }
    Ok(())
}
