//! Roll-ups of one block: its windows of 1 day, 1 h, 15 min and 1 min, by the UTC clock, as columns.
//!
//! ```text
//! rollup  = number of levels (1 byte) · per level, the longest windows first: code (1 byte), length of what
//!           follows (varint), number of windows (varint), which columns are not all 0 (varint), those columns · CRC-32C
//! columns = window's place in the day or month · heard first (ms in the window) · heard last less heard first
//!         · samples · bad · uncertain · first less heard first · heard last less last · their qualities
//!         · heard last less heard first less known · longest hold · falls
//!         · first value · last less it · what the least is below both · what the greatest is above both
//!         · sum less samples × first · integral less what even steps would give
//! ```
//!
//! Every column is one of integers ([`super::ints`]), values at the scale of the block. A block whose values, sums
//! and integrals are not all such integers has the bits of the floating-point values in their place. A window of a
//! block is what the samples *of that block* come to: two blocks that share an hour have a window of it each, which
//! are put together by who reads them ([`super::window::Window::absorb`]). So nothing has to be made invalid when
//! late points come: they are in a block of their own, whose times overlap, and then the samples are read.

use telemetry::{Quality, Timestamp};

use super::block::{Exact, Place, scaled_at, value_at};
use super::column::Slice;
use super::ints;
use super::window::Window;
use crate::form::{Reader, put_len, put_varint};

/// A length of windows.
struct Kind {
    code: u8,
    /// Length of a window, ms.
    width: i64,
    /// It is stored when a window holds at least so many samples in the mean: below, it would not be worth its bytes.
    samples_min: usize,
    /// It is stored when there are at least so many windows.
    windows_min: usize,
}

/// The longest windows first. A block of one day has its summary for that; days are only of use within a month, and a
/// day of fewer samples is decoded faster than the columns of its roll-up.
const KINDS: [Kind; 4] = [
    Kind {
        code: 3,
        width: Timestamp::DAY_MS,
        samples_min: 256,
        windows_min: 2,
    },
    Kind {
        code: 0,
        width: 3_600_000,
        samples_min: 32,
        windows_min: 1,
    },
    Kind {
        code: 1,
        width: 15 * 60_000,
        samples_min: 32,
        windows_min: 1,
    },
    Kind {
        code: 2,
        width: 60_000,
        samples_min: 32,
        windows_min: 1,
    },
];
/// Most windows of a level: the minutes of a month.
const WINDOWS_MAX: usize = 31 * 1440;
/// pco's level for the columns.
const PACK_LEVEL: usize = 8;
/// Columns of whole numbers that are no values.
const META: usize = 13;
/// Columns in all.
const COLUMNS: usize = META + 6;

/// The columns of one level.
type Columns = [Vec<i64>; COLUMNS];

/// Encodes the roll-ups of the block of `slice`; none when no level is worth it. `decimals` is the scale of the
/// block and its values at it; `least` is the fewest samples that a window has to hold in the mean.
pub(super) fn encode(place: Place, slice: Slice<'_>, decimals: Option<(u8, &[i64])>) -> Option<Vec<u8>> {
    let mut levels = Vec::new();
    for kind in &KINDS {
        let windows = roll(place, slice, decimals, kind.width);
        if windows.len() < kind.windows_min {
            continue;
        }
        if windows.len() * kind.samples_min > slice.times.len() {
            break;
        }
        let mut level = Vec::new();
        put_level(
            &mut level,
            place,
            &windows,
            kind.width,
            decimals.map(|(scale, _)| scale),
        );
        levels.push((kind.code, level));
    }
    if levels.is_empty() {
        return None;
    }
    let mut out = vec![u8::try_from(levels.len()).unwrap_or(0)];
    for (code, level) in levels {
        out.push(code);
        put_len(&mut out, level.len());
        out.extend_from_slice(&level);
    }
    out.extend_from_slice(&place.sum(2, &out));
    Some(out)
}

/// The windows of the samples, by the UTC clock.
fn roll(place: Place, slice: Slice<'_>, decimals: Option<(u8, &[i64])>, width: i64) -> Vec<Window> {
    let number = |time: i64| time.wrapping_sub(place.begin_ms()).div_euclid(width);
    let mut begin = 0;
    let stretches = slice.times.chunk_by(|a, b| number(*a) == number(*b));
    let windows = stretches.filter_map(|times| {
        let range = begin..begin + times.len();
        begin = range.end;
        let part = Slice {
            times,
            values: slice.values.get(range.clone())?,
            qualities: slice.qualities.get(range.clone())?,
        };
        let start = number(*times.first()?).wrapping_mul(width);
        let mut window = Window::empty(Timestamp::from_millis(place.begin_ms().wrapping_add(start)));
        part.samples().for_each(|sample| window.push(sample));
        let ints = decimals.and_then(|(scale, ints)| Some((scale, ints.get(range)?)));
        Exact::of(part, ints).mend(&mut window);
        Some(window)
    });
    windows.collect()
}

fn put_level(out: &mut Vec<u8>, place: Place, windows: &[Window], width: i64, scale: Option<u8>) {
    let whole = scale.and_then(|scale| columns(place, windows, width, |value| scaled_at(value, scale)));
    let is_whole = whole.is_some();
    let bits = |value: f64| Some(value.to_bits().cast_signed());
    let columns = whole
        .or_else(|| columns(place, windows, width, bits))
        .unwrap_or_default();
    put_len(out, windows.len());
    let mut mask = u64::from(is_whole);
    for (place, column) in columns.iter().enumerate() {
        if column.iter().any(|int| *int != 0) {
            mask |= 2 << place;
        }
    }
    put_varint(out, mask);
    for column in columns.iter().filter(|column| column.iter().any(|int| *int != 0)) {
        ints::encode(column, PACK_LEVEL, out);
    }
}

/// The columns of `windows`; none when `int` cannot tell a value as an integer.
fn columns(
    place: Place,
    windows: &[Window],
    width: i64,
    int: impl Fn(f64) -> Option<i64>,
) -> Option<Columns> {
    let mut columns = Columns::default();
    for window in windows {
        let begin = window.start.millis();
        let first = window.heard_first.millis();
        let last = window.heard_last.millis();
        let some = window.count > 0;
        let if_some = |number: i64| if some { number } else { 0 };
        let code = |quality: Quality| if_some(i64::from(quality.code()));
        let mut row = [0i64; COLUMNS];
        let meta = [
            begin.wrapping_sub(place.begin_ms()).div_euclid(width),
            first.wrapping_sub(begin),
            last.wrapping_sub(first),
            window.samples().cast_signed(),
            window.bad.cast_signed(),
            (window.count - window.good).cast_signed(),
            if_some(window.first.time.millis().wrapping_sub(first)),
            if_some(last.wrapping_sub(window.last.time.millis())),
            code(window.first.quality),
            code(window.last.quality),
            if_some(last.wrapping_sub(first).wrapping_sub(window.held.known_ms)),
            window.held.longest_ms,
            window.falls.cast_signed(),
        ];
        for (to, from) in row.iter_mut().zip(meta) {
            *to = from;
        }
        if some {
            let (first, last) = (int(window.first.value)?, int(window.last.value)?);
            let (min, max) = (int(window.min)?, int(window.max)?);
            let (sum, integral) = (int(window.sum)?, int(window.held.integral)?);
            let even = even(sum, last, window);
            let values = [
                first,
                last.wrapping_sub(first),
                first.min(last).wrapping_sub(min),
                max.wrapping_sub(first.max(last)),
                sum.wrapping_sub(first.wrapping_mul(window.count.cast_signed())),
                integral.wrapping_sub(even),
            ];
            for (to, from) in row.iter_mut().skip(META).zip(values) {
                *to = from;
            }
        }
        for (column, int) in columns.iter_mut().zip(row) {
            column.push(int);
        }
    }
    Some(columns)
}

/// The integral that evenly spaced samples would have: every value but the last holds equally long.
fn even(sum: i64, last: i64, window: &Window) -> i64 {
    let steps = window.count.cast_signed().wrapping_sub(1).max(1);
    let step = window.held.known_ms.wrapping_div(steps);
    sum.wrapping_sub(last).wrapping_mul(step)
}

/// The levels of a roll-up, the longest windows first; the error says what is wrong with it.
pub(super) fn levels(place: Place, bytes: &[u8]) -> Result<Vec<Level<'_>>, &'static str> {
    let bytes = place.checked(2, bytes)?;
    let mut reader = Reader::new(bytes);
    let mut read = || {
        let count = reader.byte()?;
        let mut levels = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let code = reader.byte()?;
            let width = KINDS.iter().find(|kind| kind.code == code)?.width;
            let len = reader.len()?;
            let bytes = reader.bytes(len)?;
            levels.push(Level { place, width, bytes });
        }
        reader.is_empty().then_some(levels)
    };
    read().ok_or("its roll-up makes no sense")
}

/// One level of a roll-up, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level<'a> {
    place: Place,
    /// Length of its windows, ms.
    pub(super) width: i64,
    bytes: &'a [u8],
}

impl Level<'_> {
    /// Its windows. `scale` is that of the block.
    pub(super) fn windows(&self, scale: u8) -> Result<Vec<Window>, &'static str> {
        self.read(scale).ok_or("its roll-up makes no sense")
    }

    fn read(&self, scale: u8) -> Option<Vec<Window>> {
        let mut reader = Reader::new(self.bytes);
        let count = reader.len().filter(|count| *count <= WINDOWS_MAX)?;
        let mask = reader.varint()?;
        let mut columns: [Option<std::vec::IntoIter<i64>>; COLUMNS] = [const { None }; COLUMNS];
        for (place, column) in columns.iter_mut().enumerate() {
            if mask & (2 << place) != 0 {
                *column = Some(ints::decode(&mut reader, count)?.into_iter());
            }
        }
        if !reader.is_empty() {
            return None;
        }
        let is_whole = mask & 1 != 0;
        let value = |int: i64| {
            if is_whole {
                value_at(int, scale)
            } else {
                Some(f64::from_bits(int.cast_unsigned()))
            }
        };
        let mut windows = Vec::with_capacity(count);
        for _ in 0..count {
            let mut row = [0i64; COLUMNS];
            for (to, column) in row.iter_mut().zip(&mut columns) {
                if let Some(column) = column {
                    *to = column.next()?;
                }
            }
            windows.push(self.window(&row, value)?);
        }
        Some(windows)
    }

    fn window(&self, row: &[i64; COLUMNS], value: impl Fn(i64) -> Option<f64>) -> Option<Window> {
        let [
            number,
            offset,
            span,
            samples,
            bad,
            uncertain,
            first_after,
            last_before,
            first_code,
            last_code,
            unknown,
            longest,
            falls,
            first,
            rise,
            below,
            above,
            sum,
            integral,
        ] = *row;
        let begin = self
            .place
            .begin_ms()
            .wrapping_add(number.wrapping_mul(self.width));
        let mut window = Window::empty(Timestamp::from_millis(begin));
        let heard = begin.wrapping_add(offset);
        window.heard_first = Timestamp::from_millis(heard);
        window.heard_last = Timestamp::from_millis(heard.wrapping_add(span));
        window.bad = u64::try_from(bad).ok()?;
        window.count = u64::try_from(samples).ok()?.checked_sub(window.bad)?;
        if window.count == 0 {
            return Some(window);
        }
        window.good = window.count.checked_sub(u64::try_from(uncertain).ok()?)?;
        window.first.time = Timestamp::from_millis(heard.wrapping_add(first_after));
        window.last.time = Timestamp::from_millis(window.heard_last.millis().wrapping_sub(last_before));
        window.first.quality = Quality::from_code(u8::try_from(first_code).ok()?);
        window.last.quality = Quality::from_code(u8::try_from(last_code).ok()?);
        window.held.known_ms = span.wrapping_sub(unknown);
        window.held.longest_ms = longest;
        window.falls = u64::try_from(falls).ok()?;
        let last = first.wrapping_add(rise);
        let sum = sum.wrapping_add(first.wrapping_mul(window.count.cast_signed()));
        window.first.value = value(first)?;
        window.last.value = value(last)?;
        window.min = value(first.min(last).wrapping_sub(below))?;
        window.max = value(above.wrapping_add(first.max(last)))?;
        window.sum = value(sum)?;
        window.held.integral = value(integral.wrapping_add(even(sum, last, &window)))?;
        Some(window)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use telemetry::Sample;
    use telemetry::quality::{Bad, Uncertain};

    use super::super::block::decimals;
    use super::super::column::Column;
    use super::*;

    const PLACE: Place = Place { key: 5, day: 20_000 };

    fn slice(column: &Column) -> Slice<'_> {
        Slice {
            times: &column.times,
            values: &column.values,
            qualities: &column.qualities,
        }
    }

    fn encoded(column: &Column) -> (Option<Vec<u8>>, u8) {
        let decimals = decimals(&column.values);
        let scale = decimals.as_ref().map_or(255, |(scale, _)| *scale);
        let ints = decimals.as_ref().map(|(scale, ints)| (*scale, ints.as_slice()));
        (encode(PLACE, slice(column), ints), scale)
    }

    /// Every level that is stored against the windows of the samples.
    fn round_trip(column: &Column) -> Vec<i64> {
        let (bytes, scale) = encoded(column);
        let Some(bytes) = bytes else { return Vec::new() };
        let mut widths = Vec::new();
        for level in levels(PLACE, &bytes).unwrap() {
            let decimals = decimals(&column.values);
            let ints = decimals.as_ref().map(|(scale, ints)| (*scale, ints.as_slice()));
            let wanted = roll(PLACE, slice(column), ints, level.width);
            assert_eq!(level.windows(scale).unwrap(), wanted);
            widths.push(level.width);
        }
        widths
    }

    fn minutely(value: impl Fn(i64) -> f64) -> Column {
        let sample = |n: i64| Sample {
            time: Timestamp::from_millis(PLACE.begin_ms() + n * 60_000 + 7_000),
            value: value(n),
            quality: if n % 100 == 3 {
                Quality::Bad(Bad::OutOfRange)
            } else if n % 50 == 1 {
                Quality::Uncertain(Uncertain::Reported)
            } else {
                Quality::Good
            },
        };
        (0..1440).map(sample).collect()
    }

    #[test]
    fn an_hour_of_minutes_is_rolled_up_and_a_minute_of_one_sample_is_not() {
        let widths = round_trip(&minutely(|n| (n % 60) as f64 * 0.25));
        assert_eq!(widths, [3_600_000]);
        // By hand: minute 0 to 59 of 0, 0.25, …, 14.75, without minute 3 (bad).
        let (bytes, scale) = encoded(&minutely(|n| (n % 60) as f64 * 0.25));
        let levels = levels(PLACE, bytes.as_deref().unwrap()).unwrap();
        let hour = levels[0].windows(scale).unwrap()[0];
        assert_eq!((hour.count, hour.bad, hour.good), (59, 1, 57));
        assert_eq!((hour.min, hour.max, hour.sum), (0.0, 14.75, 442.5 - 0.75));
        // 58 minutes are known: not the one after minute 3.
        assert_eq!(hour.held.known_ms, 58 * 60_000);
        assert!((hour.held.integral - (442.5 - 0.75 - 14.75) * 60_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_sample_a_second_has_all_levels_and_values_of_any_kind_come_back() {
        let fast = |value: fn(i64) -> f64| -> Column {
            (0..6000)
                .map(|n| Sample {
                    time: Timestamp::from_millis(PLACE.begin_ms() + n * 1_000),
                    value: value(n),
                    quality: Quality::Good,
                })
                .collect()
        };
        assert_eq!(
            round_trip(&fast(|n| (n % 7) as f64)),
            [3_600_000, 900_000, 60_000]
        );
        assert_eq!(
            round_trip(&fast(|n| (n as f64).sqrt())),
            [3_600_000, 900_000, 60_000]
        );
        assert_eq!(round_trip(&fast(|n| n as f64 * 1e300)).len(), 3);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let (bytes, _) = encoded(&minutely(|n| n as f64 * 0.5));
        let bytes = bytes.unwrap();
        assert!(bytes.len() < 400, "{} bytes for 1,440 samples", bytes.len());
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(levels(PLACE, &bytes).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_samples_roll_up_to_their_windows(
            rows in prop::collection::vec((1i64..9_000, -500i32..500, prop::sample::select(vec![0u8, 0, 0, 64, 130])), 33..400),
        ) {
            let mut time = PLACE.begin_ms();
            let samples = rows.iter().map(|(step, value, code)| {
                time += step;
                Sample {
                    time: Timestamp::from_millis(time),
                    value: f64::from(*value) / 4.0,
                    quality: Quality::from_code(*code),
                }
            });
            round_trip(&samples.collect());
        }
    }
}
