//! Counts the sequence numbers that never came.

/// Gaps that are remembered; of more the oldest is forgotten: its numbers stay missing for good.
const GAPS_MAX: usize = 16;
/// A jump ahead by more is a new numbering, not a gap.
const GAP_MAX: u64 = 100_000;
/// A number this far below the highest, in a newer reading, is a new numbering, not a late message.
const LATE_MAX: u64 = 64;

/// Which sequence numbers of one device have come.
#[derive(Debug, Default)]
pub(crate) struct SeqWatch {
    top: Option<u64>,
    /// First and last number of each gap, in no order.
    gaps: Vec<(u64, u64)>,
}

impl SeqWatch {
    /// A reading with number `seq`; `newer` when it is of a later time than all before. Answers how many
    /// more numbers are missing now: negative when it fills a gap.
    pub(crate) fn observe(&mut self, seq: u64, newer: bool) -> i64 {
        let Some(top) = self.top else {
            self.top = Some(seq);
            return 0;
        };
        if seq > top {
            self.top = Some(seq);
            let missing = seq - top - 1;
            if missing == 0 || missing > GAP_MAX {
                return 0;
            }
            if self.gaps.len() == GAPS_MAX {
                self.gaps.remove(0);
            }
            self.gaps.push((top + 1, seq - 1));
            return i64::try_from(missing).unwrap_or(i64::MAX);
        }
        if newer && seq < top && (seq <= 1 || top - seq > LATE_MAX) {
            self.top = Some(seq);
            self.gaps.clear();
            return 0;
        }
        self.fill(seq)
    }

    fn fill(&mut self, seq: u64) -> i64 {
        let Some(place) = self
            .gaps
            .iter()
            .position(|(first, last)| (*first..=*last).contains(&seq))
        else {
            return 0;
        };
        let (first, last) = self.gaps.remove(place);
        if first < seq {
            self.gaps.insert(place, (first, seq - 1));
        }
        if seq < last {
            if self.gaps.len() == GAPS_MAX {
                self.gaps.remove(0);
            }
            self.gaps.push((seq + 1, last));
        }
        -1
    }
}
