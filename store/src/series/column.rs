//! The samples of one series in memory, in order of time: 17 bytes each.

use telemetry::{Quality, Sample, Timestamp};

/// Times strictly increase; the three lists are equally long.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<f64>,
    pub(super) qualities: Vec<u8>,
}

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    /// There was no sample at this time.
    New,
    /// The very same sample was there.
    Same,
    /// Another value or quality stood at this time.
    Replaced,
}

/// Whether two samples are the same to the bit.
pub(super) fn same(a: Sample, b: Sample) -> bool {
    a.time == b.time && a.value.to_bits() == b.value.to_bits() && a.quality.code() == b.quality.code()
}

impl Column {
    pub(super) const fn len(&self) -> usize {
        self.times.len()
    }

    /// Puts `sample` in its place; one of the same time gives way.
    pub(super) fn insert(&mut self, sample: Sample) -> Inserted {
        let time = sample.time.millis();
        if self.times.last().is_none_or(|last| *last < time) {
            self.push(sample);
            return Inserted::New;
        }
        match self.times.binary_search(&time) {
            Err(place) => {
                self.times.insert(place, time);
                self.values.insert(place, sample.value);
                self.qualities.insert(place, sample.quality.code());
                Inserted::New
            }
            Ok(place) => {
                if self.get(place).is_some_and(|known| same(known, sample)) {
                    return Inserted::Same;
                }
                if let Some(value) = self.values.get_mut(place) {
                    *value = sample.value;
                }
                if let Some(quality) = self.qualities.get_mut(place) {
                    *quality = sample.quality.code();
                }
                Inserted::Replaced
            }
        }
    }

    /// Adds `sample`, whose time is later than that of all others.
    pub(super) fn push(&mut self, sample: Sample) {
        debug_assert!(self.times.last().is_none_or(|last| *last < sample.time.millis()));
        self.times.push(sample.time.millis());
        self.values.push(sample.value);
        self.qualities.push(sample.quality.code());
    }

    pub(super) fn get(&self, place: usize) -> Option<Sample> {
        Some(Sample {
            time: Timestamp::from_millis(*self.times.get(place)?),
            value: *self.values.get(place)?,
            quality: Quality::from_code(*self.qualities.get(place)?),
        })
    }

    /// The sample at exactly this time.
    pub(super) fn at(&self, time: Timestamp) -> Option<Sample> {
        self.get(self.times.binary_search(&time.millis()).ok()?)
    }

    /// The last sample before `time`.
    pub(super) fn last_before(&self, time: Timestamp) -> Option<Sample> {
        let place = self.times.partition_point(|t| *t < time.millis());
        self.get(place.checked_sub(1)?)
    }

    /// The samples of `from..to`.
    pub(super) fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Sample> + '_ {
        let start = self.times.partition_point(|t| *t < from.millis());
        let end = self.times.partition_point(|t| *t < to.millis());
        (start..end).filter_map(|place| self.get(place))
    }

    /// Forgets the samples before `time`; how many there were.
    pub(super) fn forget_before(&mut self, time: Timestamp) -> usize {
        let end = self.times.partition_point(|t| *t < time.millis());
        self.times.drain(..end);
        self.values.drain(..end);
        self.qualities.drain(..end);
        end
    }

    /// The column, cut to at most `len_max` samples each.
    pub(super) fn chunks(&self, len_max: usize) -> impl Iterator<Item = Slice<'_>> {
        let len_max = len_max.max(1);
        let lists = self.times.chunks(len_max).zip(self.values.chunks(len_max));
        let lists = lists.zip(self.qualities.chunks(len_max));
        lists.map(|((times, values), qualities)| Slice {
            times,
            values,
            qualities,
        })
    }

    /// The parts of the column that lie in one UTC day each, cut to at most `len_max` samples.
    pub(super) fn pieces(&self, len_max: usize) -> impl Iterator<Item = (i64, Slice<'_>)> {
        let day = |time: i64| time.div_euclid(Timestamp::DAY_MS);
        let mut start = 0;
        self.times
            .chunk_by(move |a, b| day(*a) == day(*b))
            .flat_map(move |chunk| chunk.chunks(len_max.max(1)))
            .filter_map(move |times| {
                let range = start..start + times.len();
                start = range.end;
                let slice = Slice {
                    times,
                    values: self.values.get(range.clone())?,
                    qualities: self.qualities.get(range)?,
                };
                Some((day(*times.first()?), slice))
            })
    }
}

impl FromIterator<Sample> for Column {
    /// The samples come in order of time.
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> Self {
        let mut column = Self::default();
        for sample in samples {
            column.push(sample);
        }
        column
    }
}

/// A stretch of a column: at least one sample, all lists equally long, times strictly increasing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice<'a> {
    pub(super) times: &'a [i64],
    pub(super) values: &'a [f64],
    pub(super) qualities: &'a [u8],
}

impl Slice<'_> {
    pub(super) fn samples(&self) -> impl Iterator<Item = Sample> + '_ {
        self.times
            .iter()
            .zip(self.values)
            .zip(self.qualities)
            .map(|((time, value), quality)| Sample {
                time: Timestamp::from_millis(*time),
                value: *value,
                quality: Quality::from_code(*quality),
            })
    }
}
