//! What the answers of a poll mean, by the register map of the profile.

use telemetry::profile::{RegisterKind, WordOrder};
use telemetry::{Bad, Quality};

use super::frame::{Answer, Read};
use super::map::MappedPoint;
use crate::decode::signals::SignalTable;
use crate::decode::{Item, Parsed, Record};

/// Exceptions of a gateway about a unit that does not answer it: the unit itself was silent.
/// Source: Modbus Application Protocol V1.1b3 §7, 0x0A gateway path unavailable, 0x0B target failed to respond.
const GATEWAY_EXCEPTIONS: [u8; 2] = [0x0A, 0x0B];

/// What a poll showed about the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// It said something, if only an exception.
    pub(crate) answered: bool,
    /// Some read brought nothing.
    pub(crate) silent: bool,
}

/// Turns the reads of a poll into one record of items. A point that no read covers (the map has changed
/// since) brings none.
pub(crate) fn decode(signals: &SignalTable, reads: &[Read], into: &mut Parsed) -> Heard {
    into.clear();
    for point in &signals.modbus.points {
        let covers = |read: &&Read| {
            read.block
                .holds(point.function, point.address, point.kind.words())
        };
        if let Some(read) = reads.iter().find(covers) {
            let (value, quality) = value(signals, point, read);
            into.items.push(Item {
                signal: point.signal,
                value,
                quality,
            });
        }
    }
    into.records.push(Record {
        items: into.items.len(),
        ..Record::EMPTY
    });
    Heard {
        answered: reads.iter().any(|read| !is_silence(&read.answer)),
        silent: reads.iter().any(|read| is_silence(&read.answer)),
    }
}

fn is_silence(answer: &Answer) -> bool {
    match answer {
        Answer::None => true,
        Answer::Exception(code) => GATEWAY_EXCEPTIONS.contains(code),
        Answer::Words(_) | Answer::Bits(_) => false,
    }
}

fn value(signals: &SignalTable, point: &MappedPoint, read: &Read) -> (f64, Quality) {
    let offset = usize::from(point.address - read.block.address);
    let raw = match &read.answer {
        answer if is_silence(answer) => return (0.0, Quality::Bad(Bad::NoAnswer)),
        Answer::Exception(_) => return (0.0, Quality::Bad(Bad::Exception)),
        Answer::Bits(bits) => bits.get(offset).map(|bit| Raw::Whole(i64::from(*bit))),
        Answer::Words(words) => words.get(offset..).and_then(|words| raw(point, words)),
        Answer::None => None,
    };
    match raw {
        // The answer is shorter than its own block says: it is not an answer to the question.
        None => (0.0, Quality::Bad(Bad::NoAnswer)),
        Some(Raw::Whole(n)) if point.none == Some(n) => (0.0, Quality::Bad(Bad::NotFinite)),
        #[expect(clippy::cast_precision_loss, reason = "at most 32 bits")]
        Some(Raw::Whole(n)) => signals.judge_number(point.signal, point.scale.apply(n as f64)),
        Some(Raw::Real(x)) => signals.judge_number(point.signal, point.scale.apply(x)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Raw {
    Whole(i64),
    Real(f64),
}

fn raw(point: &MappedPoint, words: &[u16]) -> Option<Raw> {
    let first = *words.first()?;
    let bytes = || Some(ordered(point.order, first, *words.get(1)?));
    Some(match point.kind {
        RegisterKind::Bool => Raw::Whole(i64::from(first != 0)),
        RegisterKind::Uint16 => Raw::Whole(i64::from(first)),
        RegisterKind::Int16 => Raw::Whole(i64::from(first.cast_signed())),
        RegisterKind::Uint32 => Raw::Whole(i64::from(u32::from_be_bytes(bytes()?))),
        RegisterKind::Int32 => Raw::Whole(i64::from(i32::from_be_bytes(bytes()?))),
        RegisterKind::Float32 => Raw::Real(f64::from(f32::from_be_bytes(bytes()?))),
    })
}

/// The four bytes of two registers, most significant first. The name of an order is how the bytes of
/// ABCD arrive.
fn ordered(order: WordOrder, first: u16, second: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (first.to_be_bytes(), second.to_be_bytes());
    match order {
        WordOrder::Abcd => [a, b, c, d],
        WordOrder::Cdab => [c, d, a, b],
        WordOrder::Badc => [b, a, d, c],
        WordOrder::Dcba => [d, c, b, a],
    }
}
