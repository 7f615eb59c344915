//! Where the text is open: which samples the model does not take, because two readings of the text differ on them.

use super::{Plan, Quality, Run, Sample, Seen, Side, Watch, Watched, after, newest};

impl Watched {
    /// Whether the text settles what `sample`, not stored yet, does at `at`.
    pub(super) fn certain(&self, sample: &Sample, at: i64, plan: &Plan) -> bool {
        let age = at - sample.time;
        let known = self.seen.iter().any(|s| s.sample.time == sample.time);
        // What replaces what at one time, and what a clock that runs ahead does, is not written out.
        if known || age < 0 {
            return false;
        }
        if newest(&self.seen).is_none_or(|s| sample.time > s.sample.time) {
            // The newest sample is always evaluated, but whether an old or back-filled one pages is open.
            return age < plan.live_age && !sample.backfill && self.certain_newest(sample, at);
        }
        if sample.backfill || age > plan.live_age {
            return self.certain_history(sample);
        }
        // A sample beyond the lateness that may still page is settled for life-safety only, and not in its form.
        age < plan.lateness && self.certain_late(sample)
    }

    fn certain_newest(&self, sample: &Sample, at: i64) -> bool {
        let trust = sample.trust();
        // A frozen delay is said to go on at the next good sample; what another one does to it is open.
        if self.silence.open && self.frozen {
            return trust == Quality::Good;
        }
        self.rules.iter().all(|watch| {
            let Some((run, delay)) = watch.running(&self.seen).filter(|_| watch.alarm.open) else {
                return true;
            };
            let side = watch.rule.side(sample);
            match trust {
                Quality::Bad => true,
                // Whether an uncertain value that does not violate cancels a running off-delay is open.
                Quality::Uncertain => side == Side::Violating,
                // An off-delay that waited for a good sample beyond its time by the clock, not by event time.
                Quality::Good => {
                    side != Side::Clear || at < run.arrived + delay || sample.time >= run.start + delay
                }
            }
        })
    }

    /// History does nothing; where it would lie next to an occurrence or a running delay, the text is open.
    fn certain_history(&self, sample: &Sample) -> bool {
        let idle = |watch: &Watch| !watch.alarm.open && watch.running(&self.seen).is_none();
        let shielded = after(&self.seen, sample.time)
            .next()
            .is_some_and(|next| self.calm(next));
        sample.trust() != Quality::Bad && shielded && self.rules.iter().all(idle)
    }

    /// Clear to every rule.
    fn calm(&self, seen: &Seen) -> bool {
        self.rules
            .iter()
            .all(|watch| watch.rule.side(&seen.sample) == Side::Clear)
    }

    fn certain_late(&self, sample: &Sample) -> bool {
        let newer = |s: &&Seen| s.sample.time > sample.time;
        // Late news beside bad or uncertain ones, and what is stored of history, are settled for good ones only.
        let good = self
            .seen
            .iter()
            .filter(newer)
            .all(|s| !s.history && s.sample.trust() == Quality::Good);
        let older = self.seen.iter().rev().skip_while(newer);
        let shielded = older
            .take_while(|s| s.history || !self.calm(s))
            .all(|s| !s.history);
        let settled = |watch: &Watch| watch.certain_late(&self.seen, sample);
        sample.trust() == Quality::Good && good && shielded && self.rules.iter().all(settled)
    }
}

impl Watch {
    fn certain_late(&self, seen: &[Seen], sample: &Sample) -> bool {
        if self.rule.side(sample) != Side::Violating {
            return true;
        }
        let side = |s: &Seen| self.rule.side(&s.sample);
        let mut newer = after(seen, sample.time).skip_while(|s| side(s) == Side::Band);
        let next = newer
            .next()
            .filter(|s| side(s) == Side::Violating)
            .map(|s| s.sample.time);
        let beside = after(seen, sample.time)
            .next()
            .is_some_and(|s| side(s) == Side::Band);
        let covered = |time: i64| self.touches(Run::of_one(time, 0));
        // Whether a value in the dead band parts a late violation from the occurrence behind it is open.
        if beside && next.is_some_and(covered) && !covered(sample.time) {
            return false;
        }
        let delay = self.rule.on_delay;
        let around = self.around(seen, sample.time);
        // An excursion before an open occurrence was never raised; whether more of it is raised later is open.
        if around.is_some_and(|run| run.last - run.start >= delay && !self.touches(run)) {
            return false;
        }
        let own = Run::of_one(sample.time, i64::MAX);
        let whole = around.map_or(own, |run| run.with(own));
        if self.alarm.open || self.touches(whole) || whole.last - whole.start < delay {
            return true;
        }
        // A momentary occurrence returns by the clear samples behind it; other excursions behind it are open.
        let mut behind = after(seen, whole.last).skip_while(|s| side(s) == Side::Band);
        behind.all(|s| side(s) == Side::Clear)
    }
}
