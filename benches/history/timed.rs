//! A question asked many times.

use hdrhistogram::Histogram;

use crate::process;

/// What asking took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timed {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Rows of the largest answer.
    pub(crate) rows: usize,
}

/// Asks `times` times; `question` takes the number of the time and gives how many rows came back.
pub(crate) fn timed(times: u32, mut question: impl FnMut(u32) -> usize) -> Timed {
    let mut took = Histogram::<u64>::new(3).expect("three digits are allowed");
    let mut rows = 0;
    for n in 0..times {
        let begun = process::now();
        rows = rows.max(std::hint::black_box(question(n)));
        let nanoseconds = u64::try_from(begun.elapsed().as_nanos()).expect("less than centuries");
        took.record(nanoseconds).expect("a histogram that grows");
    }
    let quantile_ms = |share| took.value_at_quantile(share) as f64 / 1e6;
    Timed {
        p50_ms: quantile_ms(0.5),
        p99_ms: quantile_ms(0.99),
        rows,
    }
}
