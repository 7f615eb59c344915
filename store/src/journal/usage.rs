//! How many bytes of the journal are still needed by somebody: coarse, bounded, without asking the disk.

use std::collections::VecDeque;

use telemetry::Lsn;

/// Bytes are added up in this many steps at most, for a journal that is full.
const STEPS: u64 = 1024;

/// The messages `first..=last` and their bytes.
#[derive(Debug)]
struct Step {
    first: Lsn,
    last: Lsn,
    bytes: u64,
}

/// The bytes that are not released, in steps; within a step every message counts the same.
#[derive(Debug)]
pub(super) struct Usage {
    steps: VecDeque<Step>,
    step_bytes: u64,
    unreleased_bytes: u64,
}

impl Usage {
    /// A journal of at most `bytes_max` bytes that holds nothing.
    pub(super) const fn new(bytes_max: u64) -> Self {
        Self {
            steps: VecDeque::new(),
            step_bytes: bytes_max / STEPS,
            unreleased_bytes: 0,
        }
    }

    pub(super) fn add(&mut self, first: Lsn, last: Lsn, bytes: u64) {
        self.unreleased_bytes += bytes;
        match self.steps.back_mut() {
            Some(step) if step.bytes + bytes <= self.step_bytes => {
                step.last = last;
                step.bytes += bytes;
            }
            _ => self.steps.push_back(Step { first, last, bytes }),
        }
    }

    pub(super) fn release(&mut self, upto: Lsn) {
        while let Some(step) = self.steps.front_mut() {
            if step.first > upto {
                return;
            }
            if step.last > upto {
                let messages = u128::from(step.last.0 - step.first.0 + 1);
                let left = u128::from(step.last.0 - upto.0);
                let bytes = u64::try_from(u128::from(step.bytes) * left / messages).unwrap_or(step.bytes);
                self.unreleased_bytes -= step.bytes - bytes;
                step.bytes = bytes;
                step.first = upto.next();
                return;
            }
            self.unreleased_bytes -= step.bytes;
            self.steps.pop_front();
        }
    }

    pub(super) const fn unreleased_bytes(&self) -> u64 {
        self.unreleased_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_released_no_longer_counts() {
        // Given ten messages of 100 bytes, added in two commits of four and six,
        let mut usage = Usage::new(1 << 20);
        usage.add(Lsn(1), Lsn(4), 400);
        usage.add(Lsn(5), Lsn(10), 600);
        // when six of them are released, then four are left; a release twice changes nothing,
        usage.release(Lsn(6));
        usage.release(Lsn(6));
        assert_eq!(usage.unreleased_bytes(), 400);
        // and a release beyond the end leaves nothing, also of what comes after it.
        usage.release(Lsn(99));
        assert_eq!(usage.unreleased_bytes(), 0);
    }

    #[test]
    fn there_are_only_so_many_steps() {
        let mut usage = Usage::new(1024 * 1000);
        for lsn in 1..=100_000 {
            usage.add(Lsn(lsn), Lsn(lsn), 10);
        }
        assert_eq!(usage.unreleased_bytes(), 1_000_000);
        assert!(usage.steps.len() <= 1024, "{}", usage.steps.len());
    }
}
