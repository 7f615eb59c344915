//! The properties of the alarm engine for all inputs, P1 to P8 of its semantics, tried through the replay alone.
//!
//! `PROPTEST_CASES` sets how many inputs each is tried on, 256 without it, and `PROPTEST_RNG_SEED` which: the same ones each time without
//! it, so that a run that failed fails again. `TOWNWATCH_MODEL_STEPS` sets the steps of
//! the long run against the model, 100,000 without it. `laws.rs` says what each property asks.

mod form;
mod laws;
mod steps;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngAlgorithm, RngSeed, TestRng, TestRunner};

use form::{Extra, replay, rules};
use laws::*;
use steps::{Mix, plans, steps, told};

/// Graces that no silence of a plan is shorter than.
const GRACES: &[i64] = &[0, 20_000];

fn config() -> ProptestConfig {
    let asked = |name| std::env::var_os(name).is_some();
    let config = ProptestConfig::default();
    ProptestConfig {
        cases: if asked("PROPTEST_CASES") {
            config.cases
        } else {
            256
        },
        rng_seed: if asked("PROPTEST_RNG_SEED") {
            config.rng_seed
        } else {
            RngSeed::Fixed(29)
        },
        failure_persistence: None,
        ..config
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn samples_in_any_order_within_the_lateness_end_in_one_history(
        readings in vec((1i64..=10, select(&[30.0, 60.0, 50.0, 47.0, 44.9, 25.1, 22.0, 20.0, 10.0][..]), 0i64..30), 1..25),
    ) {
        any_order_within_the_lateness_ends_in_one_history(&readings)?;
    }

    #[test]
    fn a_sample_that_comes_again_changes_nothing(
        plan in plans(true, GRACES),
        steps in steps(Mix::Past, 1..40),
        copies in vec(any::<(Index, Index)>(), 1..8),
    ) {
        copies_change_nothing(&plan, &told(&plan, &steps), &copies)?;
    }

    #[test]
    fn a_crash_anywhere_changes_no_transition_and_notifies_nobody_again(
        // With a grace a restart puts off a silence that would fall due in it; without one it touches none.
        plan in plans(true, &[0]),
        steps in steps(Mix::Wild, 1..40),
        after in any::<Index>(),
    ) {
        a_crash_changes_nothing(&plan, &told(&plan, &steps), &after)?;
    }

    #[test]
    fn each_good_violation_is_covered_by_an_occurrence(
        plan in plans(false, GRACES),
        steps in steps(Mix::Live, 1..40),
    ) {
        no_violation_is_uncovered(&plan, &told(&plan, &steps))?;
    }

    #[test]
    fn only_a_good_sample_beyond_the_dead_band_clears(plan in plans(true, GRACES), steps in steps(Mix::Wild, 1..40)) {
        what_clears_is_a_good_sample_beyond_the_dead_band(&plan, &told(&plan, &steps))?;
    }

    #[test]
    fn a_worse_quality_never_tells_fewer_people(
        plan in plans(true, GRACES),
        steps in steps(Mix::Live, 1..30),
        which in any::<Index>(),
        bad in any::<bool>(),
    ) {
        a_worse_sample_tells_nobody_less(&plan, &told(&plan, &steps), &which, bad)?;
    }

    #[test]
    fn one_occurrence_at_most_is_open_and_each_key_is_used_once(
        plan in plans(true, GRACES),
        steps in steps(Mix::Wild, 1..60),
        latching in any::<bool>(),
        routed in any::<bool>(),
    ) {
        let lines = replay(&rules(&plan, Extra { latching, routed }), &plan, &told(&plan, &steps), None);
        at_most_one_occurrence_is_open(&lines)?;
        each_key_is_used_once(&lines)?;
    }

    #[test]
    fn the_model_and_the_engine_agree(plan in plans(true, GRACES), steps in steps(Mix::Past, 1..60)) {
        the_model_agrees(&plan, &steps)?;
    }
}

#[test]
fn the_model_and_the_engine_agree_on_a_long_run() {
    const SEEDS: [u8; 5] = [1, 2, 3, 5, 8];
    const REPLAY: usize = 1_000;
    let asked = std::env::var("TOWNWATCH_MODEL_STEPS")
        .ok()
        .and_then(|steps| steps.parse().ok());
    let replays = asked.unwrap_or(100_000usize).div_ceil(REPLAY * SEEDS.len());
    for seed in SEEDS {
        println!("seed {seed}: {replays} replays of {REPLAY} steps");
        let cases = u32::try_from(replays).unwrap();
        let config = ProptestConfig {
            cases,
            failure_persistence: None,
            max_shrink_iters: 3_000,
            ..ProptestConfig::default()
        };
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        let inputs = (plans(true, GRACES), steps(Mix::Past, REPLAY));
        let outcome = TestRunner::new_with_rng(config, random)
            .run(&inputs, |(plan, steps)| the_model_agrees(&plan, &steps));
        if let Err(error) = outcome {
            panic!("seed {seed}: {error}");
        }
    }
}
