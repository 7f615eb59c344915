//! Into which windows a stretch of time is cut: equal ones, civil ones, or any.

use std::sync::Arc;

use telemetry::time::{Span, Timestamp};

use super::reader::SeriesError;

/// Most windows of one question whose answer has an entry for each of them. More are refused with
/// [`SeriesError::TooManyWindows`].
pub const WINDOWS_MAX: usize = 1_000_000;

/// Windows that lie side by side, the first from `from` on, all before `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    from: Timestamp,
    to: Timestamp,
    cut: Cut,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cut {
    /// All of this many ms, the last cut off at the end.
    Every(i64),
    /// Where each begins; strictly rising, the first at `from`.
    Starts(Arc<[Timestamp]>),
}

/// One window of a [`Grid`]: `from` is included, `to` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Its number, from 0.
    pub place: usize,
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
}

impl Cell {
    /// Whether it holds `time`.
    #[must_use]
    pub fn holds(&self, time: Timestamp) -> bool {
        self.from <= time && time < self.to
    }

    /// Its length, ms.
    #[must_use]
    pub const fn millis(&self) -> i64 {
        self.to.millis_since(self.from)
    }
}

impl Grid {
    /// Windows of the length `every` (0 counts as 1 ms) from `from` on; the last is cut off at `to`.
    #[must_use]
    pub fn every(from: Timestamp, to: Timestamp, every: Span) -> Self {
        Self {
            from,
            to,
            cut: Cut::Every(every.millis_i64().max(1)),
        }
    }

    /// A single window.
    #[must_use]
    pub fn whole(from: Timestamp, to: Timestamp) -> Self {
        Self::every(from, to, Span::from_millis(u64::MAX))
    }

    /// The windows between `edges`, which are put in order; fewer than two different ones make none.
    #[must_use]
    pub fn between(mut edges: Vec<Timestamp>) -> Self {
        edges.sort_unstable();
        edges.dedup();
        let to = edges.pop().unwrap_or(Timestamp::EPOCH);
        Self {
            from: edges.first().copied().unwrap_or(to),
            to,
            cut: Cut::Starts(edges.into()),
        }
    }

    /// Its first instant.
    #[must_use]
    pub const fn from(&self) -> Timestamp {
        self.from
    }

    /// The first instant after it.
    #[must_use]
    pub const fn to(&self) -> Timestamp {
        self.to
    }

    /// How many windows it has.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.from >= self.to {
            return 0;
        }
        match &self.cut {
            Cut::Every(width) => {
                let last = self.to.millis_since(self.from).saturating_sub(1) / width;
                usize::try_from(last).map_or(usize::MAX, |last| last.saturating_add(1))
            }
            Cut::Starts(starts) => starts.len(),
        }
    }

    /// Whether it has no window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The window that holds `time`; none beyond both ends.
    #[must_use]
    pub fn cell(&self, time: Timestamp) -> Option<Cell> {
        if time < self.from || time >= self.to {
            return None;
        }
        match &self.cut {
            Cut::Every(width) => {
                let place = time.millis_since(self.from) / width;
                Some(self.equal(place, *width))
            }
            Cut::Starts(starts) => {
                let after = starts.partition_point(|start| *start <= time);
                self.started(starts, after.checked_sub(1)?)
            }
        }
    }

    /// The windows, in order.
    pub fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        (0..self.len()).filter_map(|place| match &self.cut {
            Cut::Every(width) => Some(self.equal(i64::try_from(place).ok()?, *width)),
            Cut::Starts(starts) => self.started(starts, place),
        })
    }

    fn equal(&self, place: i64, width: i64) -> Cell {
        let from = Timestamp::from_millis(self.from.millis().saturating_add(place.saturating_mul(width)));
        let to = Timestamp::from_millis(from.millis().saturating_add(width));
        Cell {
            place: usize::try_from(place).unwrap_or(usize::MAX),
            from,
            to: to.min(self.to),
        }
    }

    fn started(&self, starts: &[Timestamp], place: usize) -> Option<Cell> {
        Some(Cell {
            place,
            from: *starts.get(place)?,
            to: starts.get(place + 1).copied().unwrap_or(self.to),
        })
    }

    /// Refuses a grid of more than [`WINDOWS_MAX`] windows.
    ///
    /// # Errors
    /// [`SeriesError::TooManyWindows`].
    pub fn bounded(&self) -> Result<(), SeriesError> {
        if self.len() <= WINDOWS_MAX {
            Ok(())
        } else {
            Err(SeriesError::TooManyWindows { limit: WINDOWS_MAX })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn cell(place: usize, from: i64, to: i64) -> Cell {
        Cell {
            place,
            from: at(from),
            to: at(to),
        }
    }

    #[test]
    fn equal_windows_begin_at_the_first_instant_and_the_last_is_cut_off() {
        let grid = Grid::every(at(5), at(30), Span::from_millis(10));
        let cells: Vec<Cell> = grid.cells().collect();
        assert_eq!(cells, [cell(0, 5, 15), cell(1, 15, 25), cell(2, 25, 30)]);
        assert_eq!(grid.len(), 3);
        assert_eq!(grid.cell(at(4)), None);
        assert_eq!(grid.cell(at(15)), Some(cells[1]));
        assert_eq!(grid.cell(at(29)), Some(cells[2]));
        assert_eq!(grid.cell(at(30)), None);
        assert!(Grid::every(at(5), at(5), Span::from_millis(10)).is_empty());
        assert_eq!(
            Grid::whole(at(0), at(9)).cells().collect::<Vec<_>>(),
            [cell(0, 0, 9)]
        );
    }

    #[test]
    fn windows_of_any_length_lie_between_their_edges() {
        let grid = Grid::between(vec![at(30), at(0), at(10), at(10)]);
        let cells: Vec<Cell> = grid.cells().collect();
        assert_eq!(cells, [cell(0, 0, 10), cell(1, 10, 30)]);
        assert_eq!(grid.cell(at(9)), Some(cells[0]));
        assert_eq!(grid.cell(at(10)), Some(cells[1]));
        assert_eq!(grid.cell(at(30)), None);
        assert!(Grid::between(vec![at(3)]).is_empty());
        assert!(Grid::between(Vec::new()).is_empty());
    }

    #[test]
    fn more_windows_than_the_bound_are_refused() {
        let million = i64::try_from(WINDOWS_MAX).unwrap();
        let ms = Span::from_millis(1);
        assert!(Grid::every(at(0), at(million), ms).bounded().is_ok());
        assert!(Grid::every(at(0), at(million + 1), ms).bounded().is_err());
        assert!(Grid::every(Timestamp::MIN, Timestamp::MAX, ms).bounded().is_err());
    }
}
