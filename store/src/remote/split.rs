//! Which lines go into the next request, and which of a refused request are to blame. Pure.
//!
//! A request that the engine refuses is halved until single lines are left. Lines that it did take meanwhile are sent
//! again with their half, which changes nothing: the same series and time.

use std::ops::Range;

/// What is still to be sent of some lines.
#[derive(Debug)]
pub(super) struct Work {
    /// The next one last.
    todo: Vec<Range<usize>>,
}

impl Work {
    /// Cuts `count` lines into requests of at most `lines_max` lines and `bytes_max` bytes (one line may be larger).
    pub(super) fn new(
        count: usize,
        lines_max: usize,
        bytes_max: usize,
        bytes: impl Fn(&Range<usize>) -> usize,
    ) -> Self {
        let mut todo = Vec::new();
        let mut rest: Vec<Range<usize>> = (0..count)
            .step_by(lines_max.max(1))
            .map(|start| start..count.min(start + lines_max.max(1)))
            .collect();
        rest.reverse();
        while let Some(range) = rest.pop() {
            if range.len() > 1 && bytes(&range) > bytes_max {
                let (left, right) = halves(&range);
                rest.push(right);
                rest.push(left);
            } else {
                todo.push(range);
            }
        }
        todo.reverse();
        Self { todo }
    }

    /// The lines of the next request; none when all is done.
    pub(super) fn next(&self) -> Option<Range<usize>> {
        self.todo.last().cloned()
    }

    /// The engine has taken the last request.
    pub(super) fn taken(&mut self) {
        self.todo.pop();
    }

    /// The engine has refused the last request, and says that it `dropped` so many of its lines, if it says that.
    /// The lines that are given up, if it is clear which: a single one, or all.
    pub(super) fn refused(&mut self, dropped: Option<usize>) -> Option<Range<usize>> {
        let range = self.todo.pop()?;
        if range.len() <= 1 || dropped == Some(range.len()) {
            return Some(range);
        }
        let (left, right) = halves(&range);
        self.todo.push(right);
        self.todo.push(left);
        None
    }
}

fn halves(range: &Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = range.start + range.len() / 2;
    (range.start..middle, middle..range.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_keep_both_bounds() {
        // Given 10 lines of 10 bytes, at most 4 lines and 25 bytes a request,
        let mut work = Work::new(10, 4, 25, |lines| lines.len() * 10);
        let mut requests = Vec::new();
        while let Some(next) = work.next() {
            requests.push(next);
            work.taken();
        }
        assert_eq!(requests, [0..2, 2..4, 4..6, 6..8, 8..10]);
        // A line beyond the bound goes alone.
        assert_eq!(Work::new(1, 4, 5, |_| 10).next(), Some(0..1));
        assert_eq!(Work::new(0, 4, 5, |_| 0).next(), None);
    }

    #[test]
    fn when_the_engine_says_that_it_dropped_all_of_them_it_is_not_asked_again() {
        let mut work = Work::new(5000, 10_000, usize::MAX, |_| 0);
        assert_eq!(work.refused(Some(5000)), Some(0..5000));
        assert_eq!(work.next(), None);
    }

    proptest! {
        /// Against an engine that refuses every request with a bad line in it: exactly the bad lines are given up, the
        /// others are taken, and it takes no more requests than halving needs.
        #[test]
        fn exactly_the_bad_lines_are_given_up(
            count in 1usize..300, lines_max in 1usize..100, bad in proptest::collection::btree_set(0usize..300, 0..8)
        ) {
            let mut work = Work::new(count, lines_max, usize::MAX, |_| 0);
            let (mut taken, mut given_up, mut requests) = (Vec::new(), Vec::new(), 0usize);
            while let Some(next) = work.next() {
                requests += 1;
                if next.clone().any(|line| bad.contains(&line)) {
                    given_up.extend(work.refused(None).into_iter().flatten());
                } else {
                    taken.extend(next);
                    work.taken();
                }
            }
            let want: Vec<usize> = (0..count).filter(|line| bad.contains(line)).collect();
            prop_assert_eq!(&given_up, &want);
            prop_assert_eq!(taken.len() + given_up.len(), count);
            // Each bad line costs at most two requests for each halving of its request.
            let halvings = usize::try_from(lines_max.ilog2()).unwrap() + 1;
            prop_assert!(requests <= count.div_ceil(lines_max) + 2 * halvings * want.len());
        }
    }
}
