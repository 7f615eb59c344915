//! Where the values of a kind of device stand in its Modbus registers, and which of them may be written.
//!
//! `docs/modbus.md` explains every key to those who write a profile. What makes no sense is refused by
//! [`nonsense`] when the profile is read.

mod nonsense;
mod order;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::id::SignalName;
use crate::time::Span;

pub(super) use nonsense::nonsense;
pub use order::WordOrder;

/// Where the values stand in a Modbus unit.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModbusMap {
    /// Most registers that may lie between two wanted ones in one read. Default 8.
    #[serde(default = "eight")]
    pub gap_max: u16,
    /// Most registers in one read, at most 125. Default 125.
    #[serde(default = "block")]
    pub block_max: u16,
    /// Most bits in one read, at most 2000. Default 16 × `block_max`.
    pub bits_max: Option<u16>,
    /// What the maker calls the first register: 0 or 1. Default 0. Only the file is written with it:
    /// after reading, every address of this map is 0-based.
    #[serde(default)]
    pub address_base: u8,
    /// Shortest pause between two requests to such a unit, 0 to 10 s. Default none.
    #[serde(default)]
    pub pause: Span,
    /// Registers that are never read, not even inside of a gap: some devices stop when they are asked.
    #[serde(default)]
    pub forbidden: Vec<Forbidden>,
    /// Scan classes by name: how often the points that name it are read, 100 ms to 1 day. A point that
    /// names none is read at the profile's `report_interval`.
    #[serde(default)]
    pub scan: BTreeMap<Box<str>, Span>,
    /// One entry a signal.
    #[serde(default, rename = "point")]
    pub points: Vec<ModbusPoint>,
}

/// Registers of one table that are never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forbidden {
    /// Function code 1 to 4: which table.
    pub function: u8,
    /// The first of them.
    pub from: u16,
    /// The last of them.
    pub to: u16,
}

/// Where one signal stands in a Modbus unit: signal = raw × scale + offset.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModbusPoint {
    /// Which signal.
    pub signal: SignalName,
    /// Function code 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers.
    pub function: u8,
    /// Address of the first register or bit; 0-based once it is read.
    pub address: u16,
    /// How the raw value is built. Bits (functions 1 and 2) are always `bool`.
    #[serde(default, rename = "type")]
    pub kind: RegisterKind,
    /// Order of the bytes of the value. Default `ABCD`, most significant first.
    #[serde(default)]
    pub order: WordOrder,
    /// For `bool` in a register: which bit, 0 the lowest to 15. Without: the register is not 0.
    pub bit: Option<u8>,
    /// For unsigned integers: lowest and highest bit of the field that is the value, e.g. `[4, 7]`.
    pub bits: Option<[u8; 2]>,
    /// For `string`: how many registers it takes, 1 to 32.
    pub words: Option<u16>,
    /// For `string`: the number of each text that the unit may show. Any other text is bad, of the wrong type.
    #[serde(default)]
    pub texts: BTreeMap<Box<str>, i32>,
    /// Default 1.
    #[serde(default = "super::unity")]
    pub scale: f64,
    /// Default 0.
    #[serde(default)]
    pub offset: f64,
    /// Raw bit patterns that mean "no value", e.g. `0x7FFF` or `[0x7FFF, 0xFFFF]`. NaN always does.
    #[serde(default)]
    pub none: NoValues,
    /// Its scan class, one of [`ModbusMap::scan`].
    pub scan: Option<Box<str>>,
    /// Whether and within what range it may be written. Default: it may not.
    pub write: Option<WriteSpec>,
}

/// In what range a signal may be written. The configuration must allow writing, too.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteSpec {
    /// Least value, in the signal's unit.
    pub min: f64,
    /// Greatest value, in the signal's unit.
    pub max: f64,
    /// Only `min` and whole steps from it may be written. Default: any value that the register can hold.
    pub step: Option<f64>,
    /// 5, 6, 15 or 16. Default: 5 for coils, 6 for one holding register, 16 for more. A signal that is read
    /// from a discrete input or an input register must name it.
    pub function: Option<u8>,
    /// Where it is written, when that is not where it is read.
    pub address: Option<u16>,
}

/// Where and how a signal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteTarget {
    /// 5, 6, 15 or 16.
    pub function: u8,
    /// 0-based address of the first coil or register.
    pub address: u16,
    /// Coils or registers.
    pub count: u16,
}

impl WriteTarget {
    /// The function code with which it can be read back.
    #[must_use]
    pub const fn read_function(self) -> u8 {
        if matches!(self.function, 5 | 15) { 1 } else { 3 }
    }
}

impl ModbusPoint {
    /// Registers or bits that the value takes.
    #[must_use]
    pub fn words(&self) -> u16 {
        match self.kind {
            RegisterKind::String => self.words.unwrap_or(1),
            kind => kind.words(),
        }
    }

    /// Where it is written; `None` when it may not be.
    #[must_use]
    pub fn write_target(&self) -> Option<WriteTarget> {
        let spec = self.write?;
        let count = self.words();
        let usual = match self.function {
            1 => Some(5),
            3 if count == 1 => Some(6),
            3 => Some(16),
            _ => None,
        };
        let address = match self.function {
            1 | 3 => spec.address.unwrap_or(self.address),
            _ => spec.address?,
        };
        Some(WriteTarget {
            function: spec.function.or(usual)?,
            address,
            count,
        })
    }
}

impl ModbusMap {
    /// Most registers (functions 3 and 4) or bits (1 and 2) of one read.
    #[must_use]
    pub fn longest(&self, function: u8) -> u16 {
        use crate::limits::{MODBUS_BITS_MAX, MODBUS_REGISTERS_MAX};
        if function <= 2 {
            let bits = self.bits_max.unwrap_or(self.block_max.saturating_mul(16));
            bits.clamp(1, MODBUS_BITS_MAX)
        } else {
            self.block_max.clamp(1, MODBUS_REGISTERS_MAX)
        }
    }

    /// Whether reading `count` registers or bits from `address` on would touch a forbidden one.
    #[must_use]
    pub fn is_forbidden(&self, function: u8, address: u16, count: u16) -> bool {
        let end = u32::from(address) + u32::from(count);
        self.forbidden
            .iter()
            .any(|no| no.function == function && address <= no.to && u32::from(no.from) < end)
    }

    /// How often a point is read, when the profile's report interval is `usual`.
    #[must_use]
    pub fn interval(&self, point: &ModbusPoint, usual: Span) -> Span {
        let class = point.scan.as_ref().and_then(|name| self.scan.get(name));
        class.copied().unwrap_or(usual)
    }

    /// Makes every address 0-based; `None` when one of them is below the base.
    fn rebased(mut self) -> Option<Self> {
        let base = u16::from(self.address_base);
        for point in &mut self.points {
            point.address = point.address.checked_sub(base)?;
            if let Some(address) = point.write.as_mut().and_then(|write| write.address.as_mut()) {
                *address = address.checked_sub(base)?;
            }
        }
        for no in &mut self.forbidden {
            no.from = no.from.checked_sub(base)?;
            no.to = no.to.checked_sub(base)?;
        }
        self.address_base = 0;
        Some(self)
    }

    /// Makes every address 0-based, as all readers of the map expect.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        if self.address_base > 1 {
            return Err(format!(
                "modbus.address_base {}; 0 or 1 is allowed",
                self.address_base
            ));
        }
        *self = std::mem::take(self)
            .rebased()
            .ok_or("modbus: an address 0 with address_base = 1, where the first register is 1")?;
        Ok(())
    }
}

fn eight() -> u16 {
    8
}

fn block() -> u16 {
    crate::limits::MODBUS_REGISTERS_MAX
}

/// Raw bit patterns that mean "no value". Only the bits of the value's type count: `0xFFFF`, `65535` and
/// `-1` are the same for one register.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMore")]
pub struct NoValues(pub Vec<i64>);

impl NoValues {
    /// Whether the lowest `bits` bits of `raw` are one of the patterns.
    #[must_use]
    pub fn hold(&self, raw: u64, bits: u32) -> bool {
        let mask = u64::MAX.checked_shr(64 - bits.clamp(1, 64)).unwrap_or(u64::MAX);
        self.0
            .iter()
            .any(|pattern| pattern.cast_unsigned() & mask == raw & mask)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(i64),
    More(Vec<i64>),
}

impl From<OneOrMore> for NoValues {
    fn from(given: OneOrMore) -> Self {
        match given {
            OneOrMore::One(pattern) => Self(vec![pattern]),
            OneOrMore::More(patterns) => Self(patterns),
        }
    }
}

/// How a raw value is built from registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegisterKind {
    /// One bit, or a register that is not 0.
    Bool,
    /// The low byte of a register, two's complement.
    Int8Low,
    /// The high byte of a register, two's complement.
    Int8High,
    /// The low byte of a register, unsigned.
    Uint8Low,
    /// The high byte of a register, unsigned.
    Uint8High,
    /// One register, unsigned.
    #[default]
    Uint16,
    /// One register, two's complement.
    Int16,
    /// Two registers, unsigned.
    Uint32,
    /// Two registers, two's complement.
    Int32,
    /// Four registers, unsigned. Beyond 2^53 the last digits are lost: values are double-precision numbers.
    Uint64,
    /// Four registers, two's complement. Beyond ±2^53 as `uint64`.
    Int64,
    /// Two registers, IEEE 754 single precision.
    Float32,
    /// Four registers, IEEE 754 double precision.
    Float64,
    /// One register of four decimal digits, 0 to 9999.
    Bcd16,
    /// Two registers of eight decimal digits, 0 to 99999999.
    Bcd32,
    /// A text that stands for a state: see [`ModbusPoint::texts`].
    String,
}

impl RegisterKind {
    /// Registers that one value takes; for a string see [`ModbusPoint::words`].
    #[must_use]
    pub const fn words(self) -> u16 {
        match self {
            Self::Bool
            | Self::Int8Low
            | Self::Int8High
            | Self::Uint8Low
            | Self::Uint8High
            | Self::Uint16
            | Self::Int16
            | Self::Bcd16
            | Self::String => 1,
            Self::Uint32 | Self::Int32 | Self::Float32 | Self::Bcd32 => 2,
            Self::Uint64 | Self::Int64 | Self::Float64 => 4,
        }
    }

    /// Whether it is an unsigned integer of whole registers, of which a field of bits may be the value.
    #[must_use]
    pub const fn has_fields(self) -> bool {
        matches!(self, Self::Uint16 | Self::Uint32 | Self::Uint64)
    }

    /// Whether it is only a part of a register, which cannot be written without its neighbours.
    #[must_use]
    pub const fn is_part(self) -> bool {
        matches!(
            self,
            Self::Int8Low | Self::Int8High | Self::Uint8Low | Self::Uint8High
        )
    }
}

#[cfg(test)]
mod tests;
