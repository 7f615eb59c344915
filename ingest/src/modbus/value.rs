//! A value as registers hold it: reading it and writing it. Pure.

use telemetry::Bad;
use telemetry::profile::{ModbusPoint, NoValues, RegisterKind, WordOrder};

/// How a raw value is built from registers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Form {
    kind: RegisterKind,
    order: WordOrder,
    bit: Option<u8>,
    bits: Option<[u8; 2]>,
    /// Registers that it takes.
    pub(crate) words: u16,
    texts: Vec<(Box<str>, f64)>,
    none: NoValues,
}

impl Form {
    pub(crate) fn of(point: &ModbusPoint) -> Self {
        Self {
            kind: point.kind,
            order: point.order,
            bit: point.bit,
            bits: point.bits,
            words: point.words(),
            texts: (point.texts.iter())
                .map(|(text, number)| (text.clone(), f64::from(*number)))
                .collect(),
            none: point.none.clone(),
        }
    }

    /// The raw number in `words`, before scale and offset; `None` when there are too few of them.
    ///
    /// # Errors
    /// Why it is no value: a pattern of "no value", digits that are none, a text that nobody knows.
    pub(crate) fn read(&self, words: &[u16]) -> Option<Result<f64, Bad>> {
        let words = words.get(..usize::from(self.words))?;
        if self.kind == RegisterKind::String {
            return Some(self.state_of(&self.text(words)));
        }
        let raw = self.gather(words);
        let width = u32::from(self.words) * 16;
        if self.none.hold(raw, width) {
            return Some(Err(Bad::NotFinite));
        }
        Some(self.number(raw, width))
    }

    /// The value's bits, most significant first.
    fn gather(&self, words: &[u16]) -> u64 {
        let bytes = words.len() * 2;
        let arrived = words.iter().flat_map(|word| word.to_be_bytes());
        arrived.enumerate().fold(0, |raw, (at, byte)| {
            let place = self.order.place(at, bytes);
            let shift = 8 * u32::try_from(bytes.saturating_sub(place + 1)).unwrap_or(0);
            raw | u64::from(byte).checked_shl(shift).unwrap_or(0)
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "documented: beyond 2^53 the last digits are lost"
    )]
    fn number(&self, raw: u64, width: u32) -> Result<f64, Bad> {
        let [.., hh, hl, lh, ll] = raw.to_be_bytes();
        let low_32 = [hh, hl, lh, ll];
        Ok(match self.kind {
            RegisterKind::Bool => f64::from(u8::from(match self.bit {
                Some(bit) => raw >> bit & 1 == 1,
                None => raw != 0,
            })),
            RegisterKind::Int8Low => f64::from(ll.cast_signed()),
            RegisterKind::Int8High => f64::from(lh.cast_signed()),
            RegisterKind::Uint8Low => f64::from(ll),
            RegisterKind::Uint8High => f64::from(lh),
            RegisterKind::Int16 => f64::from(i16::from_be_bytes([lh, ll])),
            RegisterKind::Int32 => f64::from(i32::from_be_bytes(low_32)),
            RegisterKind::Int64 => raw.cast_signed() as f64,
            RegisterKind::Float32 => f64::from(f32::from_be_bytes(low_32)),
            RegisterKind::Float64 => f64::from_bits(raw),
            RegisterKind::Bcd16 | RegisterKind::Bcd32 => return decimal(raw, width),
            RegisterKind::Uint16 | RegisterKind::Uint32 | RegisterKind::Uint64 | RegisterKind::String => {
                self.field(raw) as f64
            }
        })
    }

    fn field(&self, raw: u64) -> u64 {
        let Some([low, high]) = self.bits else {
            return raw;
        };
        let width = u32::from(high.saturating_sub(low)) + 1;
        (raw >> low) & u64::MAX.checked_shr(64 - width.min(64)).unwrap_or(0)
    }

    fn text(&self, words: &[u16]) -> String {
        let low_first = matches!(self.order, WordOrder::Badc | WordOrder::Dcba);
        let bytes = words.iter().flat_map(|word| {
            if low_first {
                word.to_le_bytes()
            } else {
                word.to_be_bytes()
            }
        });
        let text: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    fn state_of(&self, text: &str) -> Result<f64, Bad> {
        let known = self.texts.iter().find(|(known, _)| **known == *text);
        known.map(|(_, number)| *number).ok_or(Bad::WrongType)
    }

    /// The registers that hold the raw number `raw`.
    ///
    /// # Errors
    /// What is wrong with it, when the type cannot hold it.
    pub(crate) fn write(&self, raw: f64) -> Result<Vec<u16>, &'static str> {
        let bits = match self.kind {
            RegisterKind::Float32 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the register holds single precision"
                )]
                let single = raw as f32;
                if !single.is_finite() {
                    return Err("it is too large for a float32");
                }
                u64::from(single.to_bits())
            }
            RegisterKind::Float64 => raw.to_bits(),
            kind => whole_bits(kind, raw)?,
        };
        let bytes = usize::from(self.words) * 2;
        let all = bits.to_be_bytes();
        let value = all.get(all.len().saturating_sub(bytes)..).unwrap_or_default();
        let sent: Vec<u8> = (0..bytes)
            .map(|at| {
                value
                    .get(self.order.place(at, bytes))
                    .copied()
                    .unwrap_or_default()
            })
            .collect();
        let (pairs, _) = sent.as_chunks::<2>();
        Ok(pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
    }
}

/// The bits of a whole number in a type of whole numbers.
fn whole_bits(kind: RegisterKind, raw: f64) -> Result<u64, &'static str> {
    if !raw.is_finite() {
        return Err("it is not a number");
    }
    let whole = raw.round();
    if (raw - whole).abs() > 1e-6 * whole.abs().max(1.0) || whole.abs() > 9.0e18 {
        return Err("the register holds whole steps only, and this is between two");
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and below 2^63, as the lines above say"
    )]
    let whole = whole as i64;
    let [least, greatest] = match kind {
        RegisterKind::Bool => [0, 1],
        RegisterKind::Uint16 => [0, 0xFFFF],
        RegisterKind::Int16 => [-0x8000, 0x7FFF],
        RegisterKind::Uint32 => [0, 0xFFFF_FFFF],
        RegisterKind::Int32 => [-0x8000_0000, 0x7FFF_FFFF],
        RegisterKind::Uint64 => [0, i64::MAX],
        RegisterKind::Int64 => [i64::MIN, i64::MAX],
        RegisterKind::Bcd16 => [0, 9999],
        RegisterKind::Bcd32 => [0, 99_999_999],
        _ => return Err("it is a part of a register or a text"),
    };
    if !(least..=greatest).contains(&whole) {
        return Err("the register cannot hold it");
    }
    let bits = whole.cast_unsigned();
    Ok(match kind {
        RegisterKind::Bcd16 | RegisterKind::Bcd32 => digits(bits),
        _ => bits,
    })
}

/// The number of binary coded decimal digits.
fn decimal(raw: u64, width: u32) -> Result<f64, Bad> {
    let mut value = 0.0;
    for shift in (0..width).step_by(4).rev() {
        let digit = u8::try_from(raw >> shift & 0xF).unwrap_or(u8::MAX);
        if digit > 9 {
            return Err(Bad::WrongType);
        }
        value = value * 10.0 + f64::from(digit);
    }
    Ok(value)
}

/// Binary coded decimal digits of a number.
fn digits(mut number: u64) -> u64 {
    let mut raw = 0;
    for shift in (0..32).step_by(4) {
        raw |= (number % 10) << shift;
        number /= 10;
    }
    raw
}

#[cfg(test)]
mod tests;
