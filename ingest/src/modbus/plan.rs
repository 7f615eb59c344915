//! Which registers are read together: as few reads as the device allows.

use telemetry::limits::{MODBUS_BITS_MAX, MODBUS_REGISTERS_MAX};
use telemetry::profile::ModbusMap;

/// One read: `count` registers or bits from `address` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Function code, 1 to 4.
    pub function: u8,
    /// 0-based address of the first register or bit.
    pub address: u16,
    /// 1 to 125 registers or 1 to 2000 bits.
    pub count: u16,
}

impl Block {
    /// Whether it holds `words` registers or bits from `address` on.
    #[must_use]
    pub fn holds(&self, function: u8, address: u16, words: u16) -> bool {
        let end = u32::from(self.address) + u32::from(self.count);
        self.function == function && address >= self.address && u32::from(address) + u32::from(words) <= end
    }
}

/// The reads that cover every point of the map, in the order of function and address.
///
/// Neighbours share a read when no more than `gap_max` unwanted registers lie between them and the whole
/// is no longer than `block_max` (and never than the protocol's 125 registers or 2000 bits; for bits
/// `block_max` counts registers of 16). A value is never cut in two. Function codes never mix.
#[must_use]
pub fn plan(map: &ModbusMap) -> Vec<Block> {
    let mut wanted: Vec<(u8, u16, u16)> = map
        .points
        .iter()
        .map(|point| (point.function, point.address, point.kind.words()))
        .collect();
    wanted.sort_unstable();
    let mut blocks: Vec<Block> = Vec::new();
    for (function, address, words) in wanted {
        let end = u32::from(address) + u32::from(words);
        if let Some(last) = blocks.last_mut().filter(|last| last.function == function) {
            let last_end = u32::from(last.address) + u32::from(last.count);
            let length = end.max(last_end) - u32::from(last.address);
            let near = u32::from(address) <= last_end + u32::from(map.gap_max);
            if let Ok(length) = u16::try_from(length)
                && near
                && length <= longest(map, function)
            {
                last.count = length;
                continue;
            }
        }
        blocks.push(Block {
            function,
            address,
            count: words,
        });
    }
    blocks
}

fn longest(map: &ModbusMap, function: u8) -> u16 {
    if function <= 2 {
        map.block_max.saturating_mul(16).clamp(1, MODBUS_BITS_MAX)
    } else {
        map.block_max.clamp(1, MODBUS_REGISTERS_MAX)
    }
}
