//! A block: some samples of one series within one UTC day, as a summary and a body.
//!
//! ```text
//! summary = first (varint, ms after the day's beginning) · last less first (varint) · count (varint)
//!         · scale (1 byte) · flags (1 byte) · qualities · values · CRC-32C
//!   qualities: all the same: the code. Else: samples that are not bad (varint) and, when there are any,
//!              first and last of those: ms after the block's first (varint) and code, each
//!   values:    all the same: it. Else, when not all are bad: least, greatest, first, last, sum (8 bytes)
//!              (a value is 8 bytes, or a zigzag varint where the scale says decimal)
//! body    = values · times less the day's beginning, as steps · qualities · CRC-32C
//! ```
//!
//! The scale says that every value is an integer divided by that power of ten, to the bit; meter values
//! usually are. 255 says that some are not. Both checksums cover series, place and day as well, so a row
//! that turns up in another's place is found out.

use telemetry::{Quality, Timestamp};

use super::column::{Column, Slice};
use super::ints;
use super::reader::Window;
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

/// Where a block stands: what its checksums cover besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Series and number in one, the key of the row.
    pub(super) key: i64,
    /// UTC day.
    pub(super) day: i64,
}

impl Place {
    const fn begin_ms(self) -> i64 {
        self.day.saturating_mul(Timestamp::DAY_MS)
    }

    fn sum(self, part: u8, bytes: &[u8]) -> [u8; 4] {
        checksum(&[&[part], &self.key.to_le_bytes(), &self.day.to_le_bytes(), bytes]).to_le_bytes()
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
    scale: u8,
}

/// A block as the two blobs of its row.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) summary: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// Adds the content of a block to a window; blocks and samples come in order of time.
pub(super) fn absorb(window: &mut Window, block: &Window) {
    window.bad += block.bad;
    if block.count == 0 {
        return;
    }
    if window.count == 0 {
        window.min = block.min;
        window.max = block.max;
        window.first = block.first;
    } else {
        window.min = window.min.min(block.min);
        window.max = window.max.max(block.max);
    }
    window.count += block.count;
    window.sum += block.sum;
    window.last = block.last;
}

/// Encodes `slice`, all of it within the day of `place`. `level` is pco's (0 fast to 12 small).
pub(super) fn encode(place: Place, slice: Slice<'_>, level: usize) -> Encoded {
    let decimals = decimals(slice.values);
    let scale = decimals.as_ref().map_or(NOT_DECIMAL, |(scale, _)| *scale);
    let mut summary = encode_summary(place, slice, scale);
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
    Encoded { summary, body }
}

fn encode_summary(place: Place, slice: Slice<'_>, scale: u8) -> Vec<u8> {
    let first = slice.times.first().copied().unwrap_or(0);
    let last = slice.times.last().copied().unwrap_or(0);
    let mut window = Window::empty(Timestamp::from_millis(first));
    slice.samples().for_each(|sample| window.push(sample));
    let mut out = Vec::with_capacity(48);
    put_varint(&mut out, first.wrapping_sub(place.begin_ms()).cast_unsigned());
    put_varint(&mut out, last.wrapping_sub(first).cast_unsigned());
    put_len(&mut out, slice.times.len());
    out.push(scale);
    let code = slice.qualities.first().copied().unwrap_or(0);
    let mixed = slice.qualities.iter().any(|q| *q != code);
    let value = slice.values.first().copied().unwrap_or(0.0);
    let constant = slice.values.iter().all(|v| v.to_bits() == value.to_bits());
    out.push(if mixed { QUALITY_MIXED } else { 0 } | if constant { VALUE_CONSTANT } else { 0 });
    if mixed {
        put_varint(&mut out, window.count);
        if window.count > 0 {
            for sample in [window.first, window.last] {
                put_varint(&mut out, sample.time.millis().wrapping_sub(first).cast_unsigned());
                out.push(sample.quality.code());
            }
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
        out.extend_from_slice(&window.sum.to_le_bytes());
    }
    out
}

/// Reads a summary; the error says what is wrong with it.
pub(super) fn decode_summary(place: Place, bytes: &[u8]) -> Result<Summary, &'static str> {
    let bytes = checked(place, 0, bytes)?;
    read_summary(place, &mut Reader::new(bytes)).ok_or("its summary makes no sense")
}

fn read_summary(place: Place, reader: &mut Reader<'_>) -> Option<Summary> {
    let first = place.begin_ms().wrapping_add(reader.varint()?.cast_signed());
    let last = first.wrapping_add(reader.varint()?.cast_signed());
    let samples = reader.len().filter(|len| (1..=COUNT_SANE).contains(len))?;
    let scale = reader.byte()?;
    let flags = reader.byte()?;
    let mut window = Window::empty(Timestamp::from_millis(first));
    let at = |offset: u64| Timestamp::from_millis(first.wrapping_add(offset.cast_signed()));
    if flags & QUALITY_MIXED != 0 {
        window.count = reader.varint()?;
        if window.count > 0 {
            for sample in [&mut window.first, &mut window.last] {
                sample.time = at(reader.varint()?);
                sample.quality = Quality::from_code(reader.byte()?);
            }
        }
    } else {
        let quality = Quality::from_code(reader.byte()?);
        if !quality.is_bad() {
            window.count = samples as u64;
            window.first.quality = quality;
            window.last.quality = quality;
            window.last.time = Timestamp::from_millis(last);
        }
    }
    window.bad = (samples as u64).checked_sub(window.count)?;
    if flags & VALUE_CONSTANT != 0 {
        let value = get_value(reader, scale)?;
        if window.count > 0 {
            window.min = value;
            window.max = value;
            window.first.value = value;
            window.last.value = value;
            window.sum = value * window.count as f64;
        }
    } else if window.count > 0 {
        window.min = get_value(reader, scale)?;
        window.max = get_value(reader, scale)?;
        window.first.value = get_value(reader, scale)?;
        window.last.value = get_value(reader, scale)?;
        window.sum = f64::from_le_bytes(reader.array()?);
    }
    reader.is_empty().then_some(Summary {
        first: Timestamp::from_millis(first),
        last: Timestamp::from_millis(last),
        samples,
        window,
        scale,
    })
}

/// Reads a body; the error says what is wrong with it.
pub(super) fn decode(place: Place, summary: &Summary, bytes: &[u8]) -> Result<Column, &'static str> {
    let bytes = checked(place, 1, bytes)?;
    let column = read_body(summary, &mut Reader::new(bytes)).ok_or("its body makes no sense")?;
    let ends = (column.times.first().copied(), column.times.last().copied());
    if ends == (Some(summary.first.millis()), Some(summary.last.millis())) {
        Ok(column)
    } else {
        Err("its body does not fit its summary")
    }
}

fn read_body(summary: &Summary, reader: &mut Reader<'_>) -> Option<Column> {
    let count = summary.samples;
    let values = if summary.scale == NOT_DECIMAL {
        decode_floats(reader, count)?
    } else {
        let power = POWERS.get(usize::from(summary.scale))?;
        let ints = ints::decode(reader, count)?;
        ints.into_iter().map(|int| int as f64 / power).collect()
    };
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

fn checked(place: Place, part: u8, bytes: &[u8]) -> Result<&[u8], &'static str> {
    let (bytes, sum) = bytes.split_last_chunk::<4>().ok_or("it is cut off")?;
    if *sum == place.sum(part, bytes) {
        Ok(bytes)
    } else {
        Err("its checksum does not fit")
    }
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
fn decimals(values: &[f64]) -> Option<(u8, Vec<i64>)> {
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
