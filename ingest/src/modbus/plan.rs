//! Which registers are read together: as few reads as the device allows. Pure.

use std::collections::BTreeMap;

use telemetry::profile::ModbusMap;
use telemetry::time::Span;

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
        self.function == function
            && address >= self.address
            && u32::from(address) + u32::from(words) <= self.end()
    }

    fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.count)
    }
}

/// Function, address and length of one value; in the order in which they are planned.
type Wanted = (u8, u16, u16);

/// What is read at one interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// From one read to the next.
    pub every: Span,
    /// The reads, in the order of function and address.
    pub blocks: Vec<Block>,
    wanted: Vec<Wanted>,
}

/// The reads that cover every point of the map, by interval, the shortest first. `usual` is the interval of
/// the points that name no scan class.
///
/// Neighbours share a read when no more than `gap_max` unwanted registers lie between them, none of them
/// forbidden, and the whole is no longer than the map allows (and never than the protocol's 125 registers
/// or 2000 bits). A value is never cut in two. Function codes and scan classes never mix.
#[must_use]
pub fn plan(map: &ModbusMap, usual: Span) -> Vec<Group> {
    let mut classes: BTreeMap<Span, Vec<Wanted>> = BTreeMap::new();
    for point in &map.points {
        let class = classes.entry(map.interval(point, usual)).or_default();
        class.push((point.function, point.address, point.words()));
    }
    let group = |(every, mut wanted): (Span, Vec<Wanted>)| {
        wanted.sort_unstable();
        Group {
            every,
            blocks: blocks(map, &wanted),
            wanted,
        }
    };
    classes.into_iter().map(group).collect()
}

fn blocks(map: &ModbusMap, wanted: &[Wanted]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (function, address, count) in wanted.iter().copied() {
        let next = Block {
            function,
            address,
            count,
        };
        let joined = blocks.last().and_then(|last| join(map, *last, next));
        match (joined, blocks.last_mut()) {
            (Some(joined), Some(last)) => *last = joined,
            _ => blocks.push(next),
        }
    }
    blocks
}

/// Both in one read, where the map allows it. `next` does not begin before `last`.
fn join(map: &ModbusMap, last: Block, next: Block) -> Option<Block> {
    let near = u32::from(next.address) <= last.end() + u32::from(map.gap_max);
    let length = next.end().max(last.end()) - u32::from(last.address);
    let joined = Block {
        count: u16::try_from(length).ok()?,
        ..last
    };
    let allowed = last.function == next.function
        && near
        && joined.count <= map.longest(last.function)
        && !map.is_forbidden(joined.function, joined.address, joined.count);
    allowed.then_some(joined)
}

impl Group {
    /// Smaller reads instead of one that the unit refuses, so that one register that is not there does not
    /// take its neighbours with it: first without the gaps, then in halves. None when it is a single value.
    #[must_use]
    pub fn parts(&self, block: Block) -> Vec<Block> {
        let held: Vec<Wanted> = (self.wanted.iter().copied())
            .filter(|(function, address, count)| block.holds(*function, *address, *count))
            .collect();
        let close = runs(&held);
        if close.len() > 1 {
            return close;
        }
        let middle = held.len() / 2;
        let cuts = 1..held.len();
        let cut = cuts
            .filter(|cut| {
                let (before, after) = held.split_at(*cut);
                let starts = after.first().map_or(0, |(_, address, _)| u32::from(*address));
                before.iter().all(|wanted| end(*wanted) <= starts)
            })
            .min_by_key(|cut| cut.abs_diff(middle));
        let Some((before, after)) = cut.map(|cut| held.split_at(cut)) else {
            return Vec::new();
        };
        [runs(before), runs(after)].concat()
    }

    /// Remembers that `block` is read in these parts from now on.
    pub fn replace(&mut self, block: Block, parts: &[Block]) {
        if let Some(at) = self.blocks.iter().position(|known| *known == block) {
            self.blocks.splice(at..=at, parts.iter().copied());
        }
    }
}

fn end((_, address, count): Wanted) -> u32 {
    u32::from(address) + u32::from(count)
}

/// Reads without any gap.
fn runs(wanted: &[Wanted]) -> Vec<Block> {
    let mut runs: Vec<Block> = Vec::new();
    for (function, address, count) in wanted.iter().copied() {
        if let Some(last) = runs.last_mut()
            && u32::from(address) <= last.end()
        {
            let length = last.end().max(end((function, address, count))) - u32::from(last.address);
            last.count = u16::try_from(length).unwrap_or(last.count);
            continue;
        }
        runs.push(Block {
            function,
            address,
            count,
        });
    }
    runs
}
