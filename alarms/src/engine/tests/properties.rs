//! Properties of `alarms.md` §2.3.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
struct Step {
    gap: u8,
    age: u8,
    value: u8,
    quality: u8,
    who: bool,
    backfill: bool,
    acknowledge: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..20, 0u8..40, 0u8..6, 0u8..10, any::<bool>(), 0u8..12, 0u8..8).prop_map(
        |(gap, age, value, quality, who, backfill, acknowledge)| Step {
            gap,
            age: if age < 20 { 0 } else { age },
            value,
            quality,
            who,
            backfill: backfill == 0,
            acknowledge: acknowledge == 0,
        },
    );
    prop::collection::vec(step, 1..60)
}

/// Samples in order of arrival, no two of a point with one event time.
fn samples(steps: &[Step]) -> Vec<(At, bool)> {
    let mut now = 0.;
    let mut times = std::collections::BTreeSet::new();
    let mut all = Vec::new();
    for step in steps {
        now += f64::from(step.gap) + 1.;
        let event = (now - f64::from(step.age)).max(0.);
        #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
        if !times.insert((step.who, event as i64)) {
            continue;
        }
        let scale = if step.who { 1. } else { 3. };
        let sample = At {
            who: if step.who { "G1" } else { "L1" },
            event,
            value: f64::from([5, 20, 24, 25, 40, 60][usize::from(step.value)]) * scale,
            quality: match step.quality {
                0 => Quality::Bad(Bad::SensorFault),
                1 => Quality::Uncertain(Uncertain::Reported),
                _ => Quality::Good,
            },
            arrived: now,
            backfill: step.backfill,
        };
        all.push((sample, step.acknowledge));
    }
    all
}

fn acknowledge_all(story: &mut Story) {
    for place in 0..story.engine.rules().len() {
        let state = story.engine.state(place).unwrap();
        if state.alarm.wants_acknowledgement() {
            let occurrence = state.occurrence;
            let by = Acknowledgement {
                by: "li".into(),
                remark: "".into(),
                at: story.engine.now(),
            };
            story
                .engine
                .acknowledge(place, occurrence, by, None, &mut story.out)
                .unwrap();
        }
    }
    story.note();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// P6b: one open occurrence at most, and the numbers grow by one.
    #[test]
    fn at_most_one_occurrence_is_active(steps in steps()) {
        let mut story = Story::new();
        for (sample, acknowledge) in samples(&steps) {
            story.hear(sample);
            if acknowledge {
                acknowledge_all(&mut story);
            }
        }
        let story = story.clock(5000.);
        let mut active: BTreeMap<u32, (u32, bool)> = BTreeMap::new();
        for transition in &story.everything {
            let (occurrence, is_active) = active.entry(transition.rule).or_default();
            match transition.event {
                EventKind::Raised => {
                    prop_assert!(!*is_active);
                    *occurrence += 1;
                    *is_active = true;
                }
                EventKind::Cleared => {
                    prop_assert!(*is_active);
                    *is_active = false;
                }
                _ => {}
            }
            prop_assert_eq!(transition.occurrence, *occurrence);
            prop_assert_eq!(transition.state.is_active(), *is_active);
        }
        // Numbers without gaps, times that never go back.
        for pair in story.everything.windows(2) {
            prop_assert_eq!(pair[1].seq, pair[0].seq + 1);
            prop_assert!(pair[1].at >= pair[0].at, "{:?}", pair);
        }
    }

    /// P2: a sample that comes again, within the lateness, changes nothing.
    #[test]
    fn duplicates_change_nothing(steps in steps(), again in prop::collection::vec(0usize..4, 60)) {
        let samples: Vec<At> = samples(&steps).into_iter().map(|(sample, _)| sample).collect();
        let once = Story::new().hears(samples.iter().copied());
        let mut twice = Story::new();
        for (place, sample) in samples.iter().enumerate() {
            twice.hear(*sample);
            let before = samples[..=place].iter().rev().nth(again[place % again.len()]);
            if let Some(before) = before
                && !before.backfill
                && sample.arrived - before.event < 25.
            {
                twice.hear(At { arrived: sample.arrived, ..*before });
            }
        }
        // What falls due at the instant of the last sample is said when the clock moves on: a duplicate moves it, too.
        let values = |story: Story| -> Vec<String> {
            story.clock(5000.).said.into_iter().filter(|line| line.contains("/HI")).collect()
        };
        prop_assert_eq!(values(once), values(twice));
    }

    /// P4: with an on-delay of 0 every good live violation is covered by an occurrence, or written down with one.
    #[test]
    fn no_alarm_is_lost(steps in steps()) {
        let samples = samples(&steps);
        let story = Story::new().hears(samples.iter().map(|(sample, _)| *sample)).clock(5000.);
        let rule = u32::try_from(story.place("G1/HI")).unwrap();
        let of_rule = |t: &&Transition| t.rule == rule;
        let mut occurrences: BTreeMap<u32, (Timestamp, Timestamp)> = BTreeMap::new();
        for t in story.everything.iter().filter(of_rule) {
            let (since, ended) = occurrences.entry(t.occurrence).or_insert((Timestamp::MAX, Timestamp::MAX));
            match t.event {
                EventKind::Raised | EventKind::Annotated => *since = t.since.min(*since),
                EventKind::Cleared => *ended = t.since,
                _ => {}
            }
        }
        for (sample, _) in samples {
            let violates = sample.value >= 25. && sample.quality.is_good();
            if sample.who != "G1" || !violates || sample.backfill {
                continue;
            }
            let covered = occurrences.values().any(|(since, ended)| (*since..*ended).contains(&s(sample.event)));
            let noted = story.everything.iter().filter(of_rule).any(|t| {
                t.at == s(sample.arrived) && matches!(t.event, EventKind::Raised | EventKind::Annotated)
            });
            prop_assert!(covered || noted, "{sample:?} is in none of {occurrences:?}");
        }
    }

    /// P5: what returns cites a good value below limit − dead band.
    #[test]
    fn no_alarm_clears_without_a_good_value(steps in steps()) {
        let story = Story::new().hears(samples(&steps).into_iter().map(|(sample, _)| sample)).clock(5000.);
        for transition in story.everything.iter().filter(|t| t.event == EventKind::Cleared) {
            let bound = match &*story.engine.rules()[transition.rule as usize].id {
                "G1/HI" => 20.,
                "L1/HI" => 75.,
                _ => continue,
            };
            prop_assert!(transition.value.is_some_and(|value| value < bound) && transition.quality.is_good(), "{:?}", transition);
        }
    }

    /// P3 for the engine: killed after any sample and built anew from what it keeps, it says the same. The devices are heard
    /// all the time, because a restart gives silence a grace.
    #[test]
    fn a_restart_anywhere_changes_nothing(steps in steps(), cut in 0usize..60) {
        let samples: Vec<At> = samples(&steps).into_iter().map(|(sample, _)| sample).collect();
        let (before, after) = samples.split_at(cut.min(samples.len()));
        let end = samples.last().map_or(0., |sample| sample.arrived) + 55.;
        let through = hears_all(Story::new(), &samples).clock(end);
        let first = hears_all(Story::new(), before);
        let ready = first.engine.now().millis() as f64 / 1000.;
        let broken = hears_all(first.restarts(ready), after).clock(end);
        let values = |story: &Story| -> Vec<String> {
            story.said.iter().filter(|line| line.contains("G1") || line.contains("L1")).cloned().collect()
        };
        prop_assert_eq!(values(&through), values(&broken));
    }
}

fn hears_all(mut story: Story, samples: &[At]) -> Story {
    for sample in samples {
        for device in ["G1", "L1"] {
            let place = story.catalogue.device_index(device).unwrap();
            story.engine.hear(place, s(sample.arrived), &mut story.out);
            story.note();
        }
        story.hear(*sample);
    }
    story
}
