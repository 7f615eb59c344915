//! What the answers of a poll mean, by the register map of the profile.

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
        let covers = |read: &&Read| read.block.holds(point.function, point.address, point.form.words);
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
        Answer::Bits(bits) => bits.get(offset).map(|bit| Ok(f64::from(u8::from(*bit)))),
        Answer::Words(words) => words.get(offset..).and_then(|words| point.form.read(words)),
        Answer::None => None,
    };
    match raw {
        // The answer is shorter than its own block says: it is not an answer to the question.
        None => (0.0, Quality::Bad(Bad::NoAnswer)),
        Some(Err(bad)) => (0.0, Quality::Bad(bad)),
        Some(Ok(raw)) => signals.judge_number(point.signal, point.scale.apply(raw)),
    }
}
