//! A block: some samples of one series within one UTC day or month, as a summary and a body.
//!
//! ```text
//! summary = first (varint, ms after the beginning of day or month) · last less first (varint) · count (varint)
//!         · scale (1 byte) · flags (1 byte) · qualities · values · CRC-32C
//!   qualities: all the same: the code. Else: samples that are not bad (varint) and, when there are any,
//!              first and last of those: ms after the block's first (varint) and code, each; then how many are
//!              good and for how many ms a value held (varints)
//!   values:    all the same: it. Else, when not all are bad: least, greatest, first, last, sum; falls (varint)
//!              and the integral of what held
//!              (a value is 8 bytes, or a zigzag varint where the scale says decimal; sum and integral are varints
//!              only where the flags say so)
//!   longest hold (varint, ms), when not all are bad
//! body    = values · times, as steps · qualities · CRC-32C
//! ```
//!
//! The scale says that every value is an integer divided by that power of ten, to the bit; meter values
//! usually are. 255 says that some are not. Both checksums cover series, place and day as well, so a row
//! that turns up in another's place is found out. Summaries of before version 2 have no flag `HELD`, and lack what
//! is said of holds, falls and good samples: nothing is answered from them but their ends.

use telemetry::{Quality, Timestamp};

use super::column::{Column, Slice};
use super::extent;
use super::ints;
use super::rollup;
use super::window::Window;
use crate::form::{Reader, checksum, put_len, put_varint, unzigzag, varint_len, zigzag};

/// Most samples of a block: a reader of an hour decodes no more than this.
pub(super) const COUNT_MAX: usize = 8192;
/// A count above this is damage, not a block.
const COUNT_SANE: usize = 1 << 24;

/// The scale of values that are no short decimals.
const NOT_DECIMAL: u8 = 255;
/// Powers of ten by scale; each is an exact `f64`.
const POWERS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// The greatest integer up to which every integer is an `f64`: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

const QUALITY_MIXED: u8 = 1;
const VALUE_CONSTANT: u8 = 2;
/// It says what held, how often values fell and how many are good.
const HELD: u8 = 4;
/// The sum is an integer at the block's scale.
const SUM_INTEGER: u8 = 8;
/// The integral is an integer at the block's scale.
const INTEGRAL_INTEGER: u8 = 16;

/// Where a block stands: what its checksums cover besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Series and number in one, the key of the row.
    pub(super) key: i64,
    /// UTC day, or month ([`super::extent`]).
    pub(super) day: i64,
}

impl Place {
    pub(super) const fn begin_ms(self) -> i64 {
        extent::begin_ms(self.day)
    }

    pub(super) const fn end_ms(self) -> i64 {
        extent::end_ms(self.day)
    }

    pub(super) fn sum(self, part: u8, bytes: &[u8]) -> [u8; 4] {
        checksum(&[&[part], &self.key.to_le_bytes(), &self.day.to_le_bytes(), bytes]).to_le_bytes()
    }

    /// The bytes without their checksum, which fits.
    pub(super) fn checked(self, part: u8, bytes: &[u8]) -> Result<&[u8], &'static str> {
        let (bytes, sum) = bytes.split_last_chunk::<4>().ok_or("it is cut off")?;
        if *sum == self.sum(part, bytes) {
            Ok(bytes)
        } else {
            Err("its checksum does not fit")
        }
    }
}

/// What is known of a block without opening it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    /// Time of the first sample, of any quality.
    pub(super) first: Timestamp,
    /// Time of the last sample, of any quality.
    pub(super) last: Timestamp,
    /// Samples, of any quality.
    pub(super) samples: usize,
    /// The same as of a window that holds the block and nothing else; its `start` means nothing.
    pub(super) window: Window,
    /// Whether all of `window` is known: it is from version 2 on.
    pub(super) complete: bool,
    /// Of the values; for the roll-up.
    pub(super) scale: u8,
}

/// A block as the two blobs of its row.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) summary: Vec<u8>,
    /// [`super::rollup`]; only asked for in [`encode_rolled`].
    pub(super) rollup: Option<Vec<u8>>,
    pub(super) body: Vec<u8>,
}

/// Encodes `slice`, all of it within the day of `place`. `level` is pco's (0 fast to 12 small).
pub(super) fn encode(place: Place, slice: Slice<'_>, level: usize) -> Encoded {
    encode_with(place, slice, level, false)
}

/// [`encode`], with the roll-up that is worth it.
pub(super) fn encode_rolled(place: Place, slice: Slice<'_>, level: usize) -> Encoded {
    encode_with(place, slice, level, true)
}

fn encode_with(place: Place, slice: Slice<'_>, level: usize, is_rolled: bool) -> Encoded {
    let decimals = decimals(slice.values);
    let scale = decimals.as_ref().map_or(NOT_DECIMAL, |(scale, _)| *scale);
    let ints = decimals.as_ref().map(|(scale, ints)| (*scale, ints.as_slice()));
    let exact = Exact::of(slice, ints);
    let rollup = if is_rolled {
        rollup::encode(place, slice, ints)
    } else {
        None
    };
    let mut summary = encode_summary(place, slice, scale, exact);
    summary.extend_from_slice(&place.sum(0, &summary));

    let mut body = Vec::new();
    match decimals {
        Some((_, ints)) => ints::encode(&ints, level, &mut body),
        None => encode_floats(slice.values, level, &mut body),
    }
    let steps: Vec<i64> = slice
        .times
        .iter()
        .zip(slice.times.iter().skip(1))
        .map(|(a, b)| b.wrapping_sub(*a))
        .collect();
    ints::encode(&steps, level, &mut body);
    let codes: Vec<i64> = slice.qualities.iter().copied().map(i64::from).collect();
    ints::encode(&codes, level, &mut body);
    body.extend_from_slice(&place.sum(1, &body));
    Encoded {
        summary,
        rollup,
        body,
    }
}

/// Sum and integral of the samples that are not bad, as integers at the scale of the block. They are exact where
/// adding up floating-point values would not be; none where they are no integers, or beyond 2^53.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exact {
    pub(super) sum: Option<i64>,
    pub(super) integral: Option<i64>,
    power: f64,
}

impl Exact {
    pub(super) fn of(slice: Slice<'_>, decimals: Option<(u8, &[i64])>) -> Self {
        let Some((scale, ints)) = decimals else {
            return Self::default();
        };
        let (mut sum, mut integral) = (0i128, 0i128);
        let mut holding: Option<(i64, i64)> = None;
        for ((time, code), int) in slice.times.iter().zip(slice.qualities).zip(ints) {
            if let Some((since, held)) = holding {
                integral += i128::from(held) * i128::from(time.wrapping_sub(since));
            }
            holding = (!Quality::from_code(*code).is_bad()).then_some((*time, *int));
            sum += holding.map_or(0, |_| i128::from(*int));
        }
        let exact = |int: i128| {
            i64::try_from(int)
                .ok()
                .filter(|int| int.unsigned_abs() <= 1 << 53)
        };
        Self {
            sum: exact(sum),
            integral: exact(integral),
            power: POWERS.get(usize::from(scale)).copied().unwrap_or(1.0),
        }
    }

    /// Puts the exact values into a window of the same samples.
    pub(super) fn mend(self, window: &mut Window) {
        if let Some(sum) = self.sum {
            window.sum = sum as f64 / self.power;
        }
        if let Some(integral) = self.integral {
            window.held.integral = integral as f64 / self.power;
        }
    }
}

fn encode_summary(place: Place, slice: Slice<'_>, scale: u8, exact: Exact) -> Vec<u8> {
    let first = slice.times.first().copied().unwrap_or(0);
    let last = slice.times.last().copied().unwrap_or(0);
    let mut window = Window::empty(Timestamp::from_millis(first));
    slice.samples().for_each(|sample| window.push(sample));
    let mut out = Vec::with_capacity(56);
    put_varint(&mut out, first.wrapping_sub(place.begin_ms()).cast_unsigned());
    put_varint(&mut out, last.wrapping_sub(first).cast_unsigned());
    put_len(&mut out, slice.times.len());
    out.push(scale);
    let code = slice.qualities.first().copied().unwrap_or(0);
    let mixed = slice.qualities.iter().any(|q| *q != code);
    let value = slice.values.first().copied().unwrap_or(0.0);
    let constant = slice.values.iter().all(|v| v.to_bits() == value.to_bits());
    out.push(
        HELD | if mixed { QUALITY_MIXED } else { 0 }
            | if constant { VALUE_CONSTANT } else { 0 }
            | exact.sum.map_or(0, |_| SUM_INTEGER)
            | exact.integral.map_or(0, |_| INTEGRAL_INTEGER),
    );
    if mixed {
        put_varint(&mut out, window.count);
        if window.count > 0 {
            for sample in [window.first, window.last] {
                put_varint(&mut out, sample.time.millis().wrapping_sub(first).cast_unsigned());
                out.push(sample.quality.code());
            }
            put_varint(&mut out, window.good);
            put_varint(&mut out, window.held.known_ms.cast_unsigned());
        }
    } else {
        out.push(code);
    }
    if constant {
        put_value(&mut out, scale, value);
    } else if window.count > 0 {
        for value in [window.min, window.max, window.first.value, window.last.value] {
            put_value(&mut out, scale, value);
        }
        put_total(&mut out, exact.sum, window.sum);
        put_varint(&mut out, window.falls);
        put_total(&mut out, exact.integral, window.held.integral);
    }
    if window.count > 0 {
        put_varint(&mut out, window.held.longest_ms.cast_unsigned());
    }
    out
}

fn put_total(out: &mut Vec<u8>, exact: Option<i64>, total: f64) {
    match exact {
        Some(int) => put_varint(out, zigzag(int)),
        None => out.extend_from_slice(&total.to_le_bytes()),
    }
}

fn get_total(reader: &mut Reader<'_>, is_integer: bool, scale: u8) -> Option<f64> {
    get_value(reader, if is_integer { scale } else { NOT_DECIMAL })
}

/// Reads a summary; the error says what is wrong with it.
pub(super) fn decode_summary(place: Place, bytes: &[u8]) -> Result<Summary, &'static str> {
    let bytes = place.checked(0, bytes)?;
    read_summary(place, &mut Reader::new(bytes)).ok_or("its summary makes no sense")
}

fn read_summary(place: Place, reader: &mut Reader<'_>) -> Option<Summary> {
    let first = place.begin_ms().wrapping_add(reader.varint()?.cast_signed());
    let last = first.wrapping_add(reader.varint()?.cast_signed());
    let samples = reader.len().filter(|len| (1..=COUNT_SANE).contains(len))?;
    let scale = reader.byte()?;
    let flags = reader.byte()?;
    let complete = flags & HELD != 0;
    let mut window = Window::empty(Timestamp::from_millis(first));
    window.heard_last = Timestamp::from_millis(last);
    read_qualities(reader, &mut window, samples, flags)?;
    if flags & VALUE_CONSTANT != 0 {
        let value = get_value(reader, scale)?;
        if window.count > 0 {
            window.min = value;
            window.max = value;
            window.first.value = value;
            window.last.value = value;
            // Added to 0 as a window adds: no time of a negative value is 0, not -0.
            window.sum = 0.0 + value * window.count as f64;
            window.held.integral = 0.0 + value * window.held.known_ms as f64;
        }
    } else if window.count > 0 {
        window.min = get_value(reader, scale)?;
        window.max = get_value(reader, scale)?;
        window.first.value = get_value(reader, scale)?;
        window.last.value = get_value(reader, scale)?;
        window.sum = get_total(reader, flags & SUM_INTEGER != 0, scale)?;
        if complete {
            window.falls = reader.varint()?;
            window.held.integral = get_total(reader, flags & INTEGRAL_INTEGER != 0, scale)?;
        }
    }
    if complete && window.count > 0 {
        window.held.longest_ms = reader.varint()?.cast_signed();
    }
    reader.is_empty().then_some(Summary {
        first: Timestamp::from_millis(first),
        last: Timestamp::from_millis(last),
        samples,
        window,
        complete,
        scale,
    })
}

/// Counts, and time and quality of the first and last sample that is not bad.
fn read_qualities(reader: &mut Reader<'_>, window: &mut Window, samples: usize, flags: u8) -> Option<()> {
    let samples = samples as u64;
    let first = window.heard_first.millis();
    if flags & QUALITY_MIXED != 0 {
        window.count = reader.varint()?;
        if window.count > 0 {
            for sample in [&mut window.first, &mut window.last] {
                let offset = reader.varint()?.cast_signed();
                sample.time = Timestamp::from_millis(first.wrapping_add(offset));
                sample.quality = Quality::from_code(reader.byte()?);
            }
            if flags & HELD != 0 {
                window.good = reader.varint()?;
                window.held.known_ms = reader.varint()?.cast_signed();
            }
        }
    } else {
        let quality = Quality::from_code(reader.byte()?);
        if !quality.is_bad() {
            window.count = samples;
            window.good = if quality.is_good() { samples } else { 0 };
            window.first.quality = quality;
            window.last.quality = quality;
            window.last.time = window.heard_last;
            window.held.known_ms = window.heard_last.millis_since(window.heard_first);
        }
    }
    window.bad = samples.checked_sub(window.count)?;
    Some(())
}

/// Reads a body; the error says what is wrong with it.
pub(super) fn decode(place: Place, summary: &Summary, bytes: &[u8]) -> Result<Column, &'static str> {
    let bytes = place.checked(1, bytes)?;
    let column = read_body(summary, &mut Reader::new(bytes)).ok_or("its body makes no sense")?;
    let ends = (column.times.first().copied(), column.times.last().copied());
    if ends == (Some(summary.first.millis()), Some(summary.last.millis())) {
        Ok(column)
    } else {
        Err("its body does not fit its summary")
    }
}

/// Bytes of the columns of a body: values, times, and qualities with the checksum.
pub(super) fn column_bytes(
    place: Place,
    summary: &Summary,
    bytes: &[u8],
) -> Result<[usize; 3], &'static str> {
    let columns = place.checked(1, bytes)?;
    let reader = &mut Reader::new(columns);
    let mut lengths = || {
        read_values(summary, reader)?;
        let after_values = reader.left();
        ints::decode(reader, summary.samples - 1)?;
        Some((after_values, reader.left()))
    };
    let (after_values, after_times) = lengths().ok_or("its body makes no sense")?;
    let check = bytes.len() - columns.len();
    Ok([
        columns.len() - after_values,
        after_values - after_times,
        after_times + check,
    ])
}

fn read_values(summary: &Summary, reader: &mut Reader<'_>) -> Option<Vec<f64>> {
    let count = summary.samples;
    if summary.scale == NOT_DECIMAL {
        decode_floats(reader, count)
    } else {
        let power = POWERS.get(usize::from(summary.scale))?;
        let ints = ints::decode(reader, count)?;
        Some(ints.into_iter().map(|int| int as f64 / power).collect())
    }
}

fn read_body(summary: &Summary, reader: &mut Reader<'_>) -> Option<Column> {
    let count = summary.samples;
    let values = read_values(summary, reader)?;
    let mut time = summary.first.millis();
    let mut times = Vec::with_capacity(count);
    times.push(time);
    for step in ints::decode(reader, count - 1)? {
        time = time.wrapping_add(step);
        times.push(time);
    }
    let codes = ints::decode(reader, count)?;
    let qualities = codes.into_iter().map(u8::try_from).collect::<Result<Vec<_>, _>>();
    reader.is_empty().then_some(Column {
        times,
        values,
        qualities: qualities.ok()?,
    })
}

/// The integer that is `value` times `power`, when dividing gives `value` back to the bit.
fn scaled(value: f64, power: f64) -> Option<i64> {
    let int = (value * power).round();
    if int.abs() > EXACT_MAX {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is an integer of at most 2^53, or NaN"
    )]
    let int = int as i64;
    // Compared after the way back: a negative zero and NaN do not survive it.
    (int as f64 / power).to_bits().eq(&value.to_bits()).then_some(int)
}

/// The least scale at which all values are integers, and those; none when there is none.
pub(super) fn decimals(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut scales = (0u8..).zip(POWERS);
    let (mut scale, mut power) = scales.next()?;
    for value in values {
        while scaled(*value, power).is_none() {
            (scale, power) = scales.next()?;
        }
    }
    let ints: Option<Vec<i64>> = values.iter().map(|value| scaled(*value, power)).collect();
    Some((scale, ints?))
}

/// [`scaled`] at a scale; none at one that is no decimal.
pub(super) fn scaled_at(value: f64, scale: u8) -> Option<i64> {
    scaled(value, *POWERS.get(usize::from(scale))?)
}

/// The inverse of [`scaled_at`].
pub(super) fn value_at(int: i64, scale: u8) -> Option<f64> {
    Some(int as f64 / POWERS.get(usize::from(scale))?)
}

fn put_value(out: &mut Vec<u8>, scale: u8, value: f64) {
    match POWERS
        .get(usize::from(scale))
        .and_then(|power| scaled(value, *power))
    {
        Some(int) => put_varint(out, zigzag(int)),
        None => out.extend_from_slice(&value.to_le_bytes()),
    }
}

fn get_value(reader: &mut Reader<'_>, scale: u8) -> Option<f64> {
    match POWERS.get(usize::from(scale)) {
        Some(power) => Some(unzigzag(reader.varint()?) as f64 / power),
        None => Some(f64::from_le_bytes(reader.array()?)),
    }
}

/// Length and bytes of pco; length 0 and the values as they are where pco would be longer.
fn encode_floats(values: &[f64], level: usize, out: &mut Vec<u8>) {
    let config = pco::ChunkConfig::default().with_compression_level(level);
    let packed = pco::standalone::simple_compress(values, &config).ok();
    match packed.filter(|bytes| bytes.len() + varint_len(bytes.len() as u64) < 1 + values.len() * 8) {
        Some(bytes) => {
            put_len(out, bytes.len());
            out.extend_from_slice(&bytes);
        }
        None => {
            put_len(out, 0);
            values
                .iter()
                .for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
        }
    }
}

fn decode_floats(reader: &mut Reader<'_>, count: usize) -> Option<Vec<f64>> {
    match reader.len()? {
        0 => (0..count)
            .map(|_| reader.array().map(f64::from_le_bytes))
            .collect(),
        len => {
            let values: Vec<f64> = pco::standalone::simple_decompress(reader.bytes(len)?).ok()?;
            (values.len() == count).then_some(values)
        }
    }
}

#[cfg(test)]
#[path = "block/tests.rs"]
mod tests;
