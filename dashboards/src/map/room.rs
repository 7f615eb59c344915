//! Where on the map there is still room for a name.

use std::collections::HashMap;

/// Boxes of the map that hold a text or a depot, in cells, so that a new one is checked against few.
#[derive(Default)]
pub(super) struct Taken(HashMap<(i32, i32), Vec<Place>>);

/// Left, upper, right and lower edge, in px.
pub(super) type Place = (i32, i32, i32, i32);

impl Taken {
    const CELL: i32 = 64;

    fn cells((x0, y0, x1, y1): Place) -> impl Iterator<Item = (i32, i32)> {
        let rows = y0.div_euclid(Self::CELL)..=y1.div_euclid(Self::CELL);
        rows.flat_map(move |row| {
            (x0.div_euclid(Self::CELL)..=x1.div_euclid(Self::CELL)).map(move |column| (column, row))
        })
    }

    pub(super) fn is_free(&self, place: Place) -> bool {
        let apart =
            |other: &Place| place.2 < other.0 || other.2 < place.0 || place.3 < other.1 || other.3 < place.1;
        Self::cells(place).all(|cell| self.0.get(&cell).is_none_or(|boxes| boxes.iter().all(apart)))
    }

    pub(super) fn put(&mut self, place: Place) {
        for cell in Self::cells(place) {
            self.0.entry(cell).or_default().push(place);
        }
    }
}
