//! How what lies in several places becomes one answer: decided here, fetched elsewhere.

use telemetry::{Sample, Timestamp};

use super::column::Column;

/// A stretch of one series in one place. Of two that hold the same time, the one of higher rank is
/// the newer arrival.
#[derive(Debug)]
pub(super) struct Stretch<S> {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) rank: u64,
    pub(super) source: S,
}

/// Puts the stretches in order of time and those together that overlap.
pub(super) fn groups<S>(mut stretches: Vec<Stretch<S>>) -> Vec<Vec<Stretch<S>>> {
    stretches.sort_by_key(|stretch| (stretch.first, stretch.rank));
    let mut groups: Vec<Vec<Stretch<S>>> = Vec::new();
    let mut end = Timestamp::MIN;
    for stretch in stretches {
        let overlaps = stretch.first <= end;
        end = end.max(stretch.last);
        match groups.last_mut() {
            Some(group) if overlaps => group.push(stretch),
            _ => groups.push(vec![stretch]),
        }
    }
    for group in &mut groups {
        group.sort_by_key(|stretch| stretch.rank);
    }
    groups
}

/// Merges columns, which come in order of rank, into one: of equal times the last column's sample stays.
pub(super) fn merge(columns: Vec<Column>) -> Column {
    let mut columns = columns.into_iter();
    let Some(mut merged) = columns.next() else {
        return Column::default();
    };
    let mut samples: Vec<Sample> = Vec::new();
    for column in columns {
        if merged.times.last() < column.times.first() && samples.is_empty() {
            merged.times.extend_from_slice(&column.times);
            merged.values.extend_from_slice(&column.values);
            merged.qualities.extend_from_slice(&column.qualities);
            continue;
        }
        if samples.is_empty() {
            samples.extend((0..merged.len()).filter_map(|place| merged.get(place)));
        }
        samples.extend((0..column.len()).filter_map(|place| column.get(place)));
    }
    if samples.is_empty() {
        return merged;
    }
    // The sort is stable: among equal times the order of rank stays.
    samples.sort_by_key(|sample| sample.time);
    let newest = samples
        .chunk_by(|a, b| a.time == b.time)
        .filter_map(|equal| equal.last().copied());
    newest.collect()
}

#[cfg(test)]
mod tests {
    use telemetry::Quality;

    use super::*;

    fn stretch(first: i64, last: i64, rank: u64) -> Stretch<u64> {
        Stretch {
            first: Timestamp::from_millis(first),
            last: Timestamp::from_millis(last),
            rank,
            source: rank,
        }
    }

    fn column(samples: &[(i64, f64)]) -> Column {
        samples
            .iter()
            .map(|(ms, value)| Sample {
                time: Timestamp::from_millis(*ms),
                value: *value,
                quality: Quality::Good,
            })
            .collect()
    }

    fn content(column: &Column) -> Vec<(i64, f64)> {
        column
            .times
            .iter()
            .copied()
            .zip(column.values.iter().copied())
            .collect()
    }

    #[test]
    fn stretches_that_overlap_come_together_in_order_of_rank() {
        let found = groups(vec![
            stretch(50, 60, 0),
            stretch(10, 20, 3),
            stretch(0, 10, 5),
            stretch(21, 30, 1),
            stretch(5, 15, 4),
        ]);
        let ranks: Vec<Vec<u64>> = found
            .iter()
            .map(|group| group.iter().map(|stretch| stretch.source).collect())
            .collect();
        assert_eq!(ranks, [vec![3, 4, 5], vec![1], vec![0]]);
    }

    #[test]
    fn of_equal_times_the_newest_arrival_stays() {
        let merged = merge(vec![
            column(&[(1, 1.0), (3, 3.0), (5, 5.0)]),
            column(&[(2, 2.0), (3, 30.0)]),
            column(&[(3, 300.0)]),
        ]);
        assert_eq!(content(&merged), [(1, 1.0), (2, 2.0), (3, 300.0), (5, 5.0)]);
        let merged = merge(vec![
            column(&[(1, 1.0)]),
            column(&[(2, 2.0)]),
            column(&[(2, 3.0)]),
        ]);
        assert_eq!(content(&merged), [(1, 1.0), (2, 3.0)]);
        assert_eq!(content(&merge(Vec::new())), []);
    }
}
