//! Cuts a long time into slices that each bring about as many samples as memory likes. Pure.

use telemetry::time::Timestamp;

/// Before this no engine is asked: 1970.
const FIRST_MS: i64 = 0;
/// After this no engine is asked: 2100-01-01.
const LAST_MS: i64 = 4_102_444_800_000;
/// The first slice.
const WIDTH_MS: i64 = 86_400_000;
/// A slice that brought fewer is followed by one of twice its width.
const FEW: usize = 10_000;
/// A slice that brought more is followed by one of half its width.
const MANY: usize = 40_000;

/// The slices of one question, in order.
#[derive(Debug)]
pub(super) struct Slices {
    next: i64,
    end: i64,
    width: i64,
}

impl Slices {
    /// Of `from..to`.
    pub(super) fn new(from: Timestamp, to: Timestamp) -> Self {
        Self {
            next: from.millis().max(FIRST_MS),
            end: to.millis().min(LAST_MS),
            width: WIDTH_MS,
        }
    }

    /// All of it at once; none when that is nothing.
    pub(super) fn whole(&self) -> Option<(Timestamp, Timestamp)> {
        (self.next < self.end).then(|| {
            (
                Timestamp::from_millis(self.next),
                Timestamp::from_millis(self.end),
            )
        })
    }

    /// The slice to ask for now; none at the end.
    pub(super) fn slice(&self) -> Option<(Timestamp, Timestamp)> {
        let until = self.next.saturating_add(self.width).min(self.end);
        (self.next < until).then(|| (Timestamp::from_millis(self.next), Timestamp::from_millis(until)))
    }

    /// It brought so many samples.
    pub(super) fn took(&mut self, samples: usize) {
        self.next = self.next.saturating_add(self.width);
        if samples < FEW {
            self.width = self.width.saturating_mul(2);
        } else if samples > MANY {
            self.width = (self.width / 2).max(1);
        }
    }

    /// It would have brought too many. False when it cannot be cut any further.
    pub(super) fn too_many(&mut self) -> bool {
        let asked = self.end.saturating_sub(self.next).min(self.width);
        self.width = (asked / 2).max(1);
        asked > 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a slice brings, they join each other and cover what was asked for, no more.
        #[test]
        fn slices_cover_the_question_without_gap_or_overlap(
            from in 0i64..4_000_000_000_000, length in 0i64..100_000_000_000, answers in proptest::collection::vec(0usize..100_000, 1..50)
        ) {
            let (first, last) = (Timestamp::from_millis(from), Timestamp::from_millis(from + length));
            let mut slices = Slices::new(first, last);
            let mut reached = first;
            let mut answers = answers.into_iter().cycle();
            let mut asked = 0;
            while let Some((from, to)) = slices.slice() {
                prop_assert_eq!(from, reached);
                prop_assert!(from < to && to <= last);
                asked += 1;
                let answer = answers.next().unwrap();
                if answer > 90_000 && asked < 1000 && slices.too_many() {
                    continue;
                }
                slices.took(if asked < 1000 { answer } else { 0 });
                reached = to;
            }
            prop_assert_eq!(reached, last.max(first));
        }
    }

    #[test]
    fn all_of_time_is_few_slices_when_there_is_little() {
        let mut slices = Slices::new(Timestamp::MIN, Timestamp::MAX);
        let mut count = 0;
        while slices.slice().is_some() {
            slices.took(0);
            count += 1;
        }
        assert!(count < 20, "{count}");
    }
}
