//! A column of integers as few bytes: the cheapest of five forms, each told apart by its first byte.
//!
//! The number of integers is not written: whoever reads knows it. All arithmetic wraps, so every `i64`
//! comes back as it was.

use crate::form::{Reader, put_len, put_varint, unzigzag, varint_len, zigzag};

/// All the same: the value (zigzag varint).
const CONSTANT: u8 = 0;
/// Few changes: number of runs, then per run the difference to the run before (zigzag varint) and the length.
const RUNS: u8 = 1;
/// Little spread: the least value, the width in bits, then the differences to it, packed.
const PACKED: u8 = 2;
/// Little change: the first value, the least step, the width in bits, then the steps less the least, packed.
const STEPS: u8 = 3;
/// Everything else: length and bytes of pco.
const PCO: u8 = 4;

/// Below this count pco's own header costs more than it saves.
const PCO_COUNT_MIN: usize = 192;

/// What one pass over the integers tells about the cost of each form.
struct Shape {
    min: i64,
    max: i64,
    step_min: i64,
    step_max: i64,
    runs: usize,
    runs_bytes: usize,
}

impl Shape {
    fn of(first: i64, ints: &[i64]) -> Self {
        let mut shape = Self {
            min: first,
            max: first,
            step_min: i64::MAX,
            step_max: i64::MIN,
            runs: 0,
            runs_bytes: 0,
        };
        let (mut before, mut run_value, mut run) = (first, 0i64, 0u64);
        for (place, int) in ints.iter().copied().enumerate() {
            shape.min = shape.min.min(int);
            shape.max = shape.max.max(int);
            let step = int.wrapping_sub(before);
            if place > 0 {
                shape.step_min = shape.step_min.min(step);
                shape.step_max = shape.step_max.max(step);
            }
            if step != 0 && place > 0 {
                shape.close_run(before.wrapping_sub(run_value), run);
                run_value = before;
                run = 0;
            }
            run += 1;
            before = int;
        }
        shape.close_run(before.wrapping_sub(run_value), run);
        shape
    }

    fn close_run(&mut self, change: i64, run: u64) {
        self.runs += 1;
        self.runs_bytes += varint_len(zigzag(change)) + varint_len(run);
    }
}

const fn width_of(min: i64, max: i64) -> u32 {
    64 - max.wrapping_sub(min).cast_unsigned().leading_zeros()
}

fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends `ints` to `out`. `level` is pco's (0 fast to 12 small).
pub(super) fn encode(ints: &[i64], level: usize, out: &mut Vec<u8>) {
    let Some((&first, rest)) = ints.split_first() else {
        return;
    };
    let shape = Shape::of(first, ints);
    if shape.min == shape.max {
        out.push(CONSTANT);
        put_varint(out, zigzag(first));
        return;
    }
    let width = width_of(shape.min, shape.max);
    let step_width = width_of(shape.step_min, shape.step_max);
    let runs = 1 + varint_len(shape.runs as u64) + shape.runs_bytes;
    let packed = 2 + varint_len(zigzag(shape.min)) + packed_bytes(ints.len(), width);
    let steps = 2
        + varint_len(zigzag(first))
        + varint_len(zigzag(shape.step_min))
        + packed_bytes(rest.len(), step_width);
    let best = runs.min(packed).min(steps);
    if ints.len() >= PCO_COUNT_MIN && best > ints.len() / 16 {
        let config = pco::ChunkConfig::default().with_compression_level(level);
        // pco refuses only a level that does not exist; then one of the other forms serves.
        if let Ok(bytes) = pco::standalone::simple_compress(ints, &config)
            && bytes.len() + 4 < best
        {
            out.push(PCO);
            put_len(out, bytes.len());
            out.extend_from_slice(&bytes);
            return;
        }
    }
    if best == runs {
        encode_runs(ints, shape.runs, out);
    } else if best == packed {
        out.push(PACKED);
        put_varint(out, zigzag(shape.min));
        pack(ints.iter().map(|int| int.wrapping_sub(shape.min)), width, out);
    } else {
        out.push(STEPS);
        put_varint(out, zigzag(first));
        put_varint(out, zigzag(shape.step_min));
        let steps = ints
            .iter()
            .zip(rest)
            .map(|(before, int)| int.wrapping_sub(*before));
        pack(
            steps.map(|step| step.wrapping_sub(shape.step_min)),
            step_width,
            out,
        );
    }
}

fn encode_runs(ints: &[i64], runs: usize, out: &mut Vec<u8>) {
    out.push(RUNS);
    put_len(out, runs);
    let mut before = 0i64;
    for run in ints.chunk_by(|a, b| a == b) {
        if let Some(&value) = run.first() {
            put_varint(out, zigzag(value.wrapping_sub(before)));
            put_len(out, run.len());
            before = value;
        }
    }
}

/// The width, then the lowest `width` bits of each value, the first value in the lowest bits.
fn pack(values: impl Iterator<Item = i64>, width: u32, out: &mut Vec<u8>) {
    let [width_byte, ..] = width.to_le_bytes();
    out.push(width_byte);
    let (mut held, mut bits) = (0u128, 0u32);
    for value in values {
        held |= u128::from(value.cast_unsigned()) << bits;
        bits += width;
        while bits >= 8 {
            let [low, ..] = held.to_le_bytes();
            out.push(low);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        let [low, ..] = held.to_le_bytes();
        out.push(low);
    }
}

fn unpack(reader: &mut Reader<'_>, count: usize) -> Option<Vec<i64>> {
    let width = u32::from(reader.byte()?);
    if width > 64 {
        return None;
    }
    let bytes = reader.bytes(packed_bytes(count, width))?;
    let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
    let mut bytes = bytes.iter();
    let (mut held, mut bits) = (0u128, 0u32);
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        while bits < width {
            held |= u128::from(*bytes.next()?) << bits;
            bits += 8;
        }
        let [a, b, c, d, e, f, g, h, ..] = held.to_le_bytes();
        values.push((u64::from_le_bytes([a, b, c, d, e, f, g, h]) & mask).cast_signed());
        held >>= width;
        bits -= width;
    }
    Some(values)
}

/// The next `count` integers; none when the bytes make no sense.
pub(super) fn decode(reader: &mut Reader<'_>, count: usize) -> Option<Vec<i64>> {
    if count == 0 {
        return Some(Vec::new());
    }
    match reader.byte()? {
        CONSTANT => Some(vec![unzigzag(reader.varint()?); count]),
        RUNS => {
            let runs = reader.len()?;
            let mut ints = Vec::with_capacity(count);
            let mut value = 0i64;
            for _ in 0..runs {
                value = value.wrapping_add(unzigzag(reader.varint()?));
                let len = reader.len()?;
                if len > count - ints.len() {
                    return None;
                }
                ints.resize(ints.len() + len, value);
            }
            (ints.len() == count).then_some(ints)
        }
        PACKED => {
            let min = unzigzag(reader.varint()?);
            let mut ints = unpack(reader, count)?;
            for int in &mut ints {
                *int = int.wrapping_add(min);
            }
            Some(ints)
        }
        STEPS => {
            let mut value = unzigzag(reader.varint()?);
            let step_min = unzigzag(reader.varint()?);
            let steps = unpack(reader, count - 1)?;
            let mut ints = Vec::with_capacity(count);
            ints.push(value);
            for step in steps {
                value = value.wrapping_add(step).wrapping_add(step_min);
                ints.push(value);
            }
            Some(ints)
        }
        PCO => {
            let len = reader.len()?;
            let ints: Vec<i64> = pco::standalone::simple_decompress(reader.bytes(len)?).ok()?;
            (ints.len() == count).then_some(ints)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(ints: &[i64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(ints, 8, &mut bytes);
        let mut reader = Reader::new(&bytes);
        assert_eq!(decode(&mut reader, ints.len()).as_deref(), Some(ints));
        assert!(reader.is_empty(), "nothing may be left over");
        bytes
    }

    #[test]
    fn each_form_is_taken_where_it_is_cheapest_and_comes_back() {
        let steady = vec![1240; 1000];
        let switch: Vec<i64> = (0..1000).map(|n| i64::from(n > 400 && n < 700)).collect();
        let noise: Vec<i64> = (0..100).map(|n| 500 + n * 7919 % 16).collect();
        let climb: Vec<i64> = (0..100).map(|n| n * 1_000_000 + n * 7919 % 4).collect();
        let wave: Vec<i64> = (0..2000).map(|n| (n % 200) * (n % 200) + n * 7919 % 5).collect();
        for (ints, form, bytes_max) in [
            (steady, CONSTANT, 4),
            (switch, RUNS, 16),
            (noise, PACKED, 60),
            (climb, STEPS, 60),
            (wave, PCO, 2000),
        ] {
            let bytes = round_trip(&ints);
            assert_eq!(bytes.first(), Some(&form));
            assert!(bytes.len() <= bytes_max, "form {form}: {} bytes", bytes.len());
        }
    }

    #[test]
    fn the_ends_of_the_range_survive() {
        round_trip(&[]);
        round_trip(&[i64::MIN]);
        round_trip(&[i64::MIN, i64::MAX]);
        round_trip(&[i64::MAX, 0, i64::MIN, -1, 1, i64::MAX]);
    }

    #[test]
    fn nonsense_is_refused_and_never_panics() {
        for bytes in [
            &[9u8][..],
            &[RUNS, 255, 255, 255],
            &[PACKED, 0, 65],
            &[PCO, 3, 1, 2, 3],
        ] {
            assert_eq!(decode(&mut Reader::new(bytes), 5), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_integers_come_back(ints in prop::collection::vec(any::<i64>(), 0..400)) {
            round_trip(&ints);
        }

        #[test]
        fn slow_integers_come_back(steps in prop::collection::vec(-3i64..40, 0..600), first in any::<i64>()) {
            let mut value = first;
            let ints: Vec<i64> = steps.iter().map(|step| { value = value.wrapping_add(*step); value }).collect();
            round_trip(&ints);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), count in 0usize..300) {
            drop(decode(&mut Reader::new(&bytes), count));
        }
    }
}
