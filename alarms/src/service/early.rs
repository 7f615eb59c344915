//! Readings that were judged before the journal had them, so that they are judged once and their alarms are marked.
//! Pure.

use std::collections::BTreeMap;

use telemetry::{Batch, Catalogue, Point, SeriesId, Timestamp};

use crate::engine::Transition;
use crate::rules::Rule;

/// Most readings remembered until the journal brings them. Beyond, the oldest is forgotten, and judged again when it
/// comes: the engine then knows it only as long as it is young.
const READINGS_MAX: usize = 100_000;

/// What was judged beforehand.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Event time and series of each reading, with the bits of its value.
    seen: BTreeMap<(Timestamp, SeriesId), u64>,
    /// Rules whose last change came of such a reading: the device, and the newest time of its readings then.
    marks: BTreeMap<usize, (usize, Timestamp)>,
}

impl Early {
    /// What of `batch` is to be judged now, remembered from now on; none when all of it was judged before.
    pub(super) fn fresh(&mut self, batch: &Batch) -> Option<Batch> {
        let mut points = Vec::new();
        for point in &batch.points {
            let bits = point.sample.value.to_bits();
            if self.seen.insert(key(point), bits) != Some(bits) {
                points.push(*point);
            }
            if self.seen.len() > READINGS_MAX {
                self.seen.pop_first();
            }
        }
        let anything = !points.is_empty() || !batch.heard.is_empty();
        anything.then(|| Batch {
            points,
            heard: batch.heard.clone(),
            ..Batch::default()
        })
    }

    /// Marks the rules that changed because of `batch`.
    pub(super) fn mark(&mut self, catalogue: &Catalogue, rules: &[Rule], batch: &Batch, out: &[Transition]) {
        for transition in out.iter().filter(|transition| transition.state.is_open()) {
            let Ok(place) = usize::try_from(transition.rule) else {
                continue;
            };
            let Some(device) = rules.get(place).map(|rule| rule.shown_at) else {
                continue;
            };
            let of_device = |point: &&Point| {
                catalogue
                    .owner(point.series)
                    .is_some_and(|owner| owner.device == device)
            };
            let newest = batch
                .points
                .iter()
                .filter(of_device)
                .map(|point| point.sample.time)
                .max();
            if let Some(newest) = newest {
                self.marks.insert(place, (device, newest));
            }
        }
    }

    /// The journal has brought `batch`: what of it is left to be judged, where that is not all of it. Alarms lose
    /// their mark when their device's readings of that time, or later ones, are in the journal.
    pub(super) fn settle(&mut self, catalogue: &Catalogue, batch: &Batch) -> Option<Batch> {
        if self.seen.is_empty() && self.marks.is_empty() {
            return None;
        }
        let mut points = Vec::with_capacity(batch.points.len());
        for point in &batch.points {
            if let Some(owner) = catalogue.owner(point.series).filter(|_| !self.marks.is_empty()) {
                let time = point.sample.time;
                self.marks
                    .retain(|_, (device, marked)| *device != owner.device || *marked > time);
            }
            let known = self.seen.get(&key(point)) == Some(&point.sample.value.to_bits());
            if known {
                self.seen.remove(&key(point));
            } else {
                points.push(*point);
            }
        }
        Some(Batch {
            first: batch.first,
            last: batch.last,
            points,
            heard: batch.heard.clone(),
            ..Batch::default()
        })
    }

    pub(super) fn is_marked(&self, place: usize) -> bool {
        self.marks.contains_key(&place)
    }

    pub(super) fn forget(&mut self, place: usize) {
        self.marks.remove(&place);
    }

    pub(super) fn take_marks(&mut self) -> BTreeMap<usize, (usize, Timestamp)> {
        std::mem::take(&mut self.marks)
    }

    pub(super) fn put_marks(&mut self, marks: BTreeMap<usize, (usize, Timestamp)>) {
        self.marks = marks;
    }

    pub(super) fn marks(&self) -> u64 {
        self.marks.len() as u64
    }
}

fn key(point: &Point) -> (Timestamp, SeriesId) {
    (point.sample.time, point.series)
}
