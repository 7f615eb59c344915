//! The payload of a polled message: our own compact form of what was asked and what came.
//!
//! One version byte, then the reads one after the other: function (1 byte), address (2), count (2),
//! kind of answer (1), answer. All numbers are big-endian.
//! Kinds: 0 registers, 2 bytes each; 1 bits, eight to a byte, the first in the lowest bit; 2 exception, one
//! byte of code; 3 no answer, nothing.

use super::plan::Block;

const VERSION: u8 = 1;

/// What one read brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// What was asked.
    pub block: Block,
    /// What came.
    pub answer: Answer,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As many registers as were asked for.
    Words(Vec<u16>),
    /// As many bits as were asked for.
    Bits(Vec<bool>),
    /// The unit refused: the code of its exception.
    Exception(u8),
    /// Nothing in time, or not an answer to the question.
    None,
}

/// Why a payload is no poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another version of the form, or not the form at all.
    #[error("the poll is of version {0}, this program knows {VERSION}")]
    Version(u8),
    /// It ends in the middle of a read.
    #[error("the poll is cut off")]
    CutOff,
    /// An answer of an unknown kind.
    #[error("the poll holds an answer of the unknown kind {0}")]
    Kind(u8),
}

/// Writes a poll. Answers must be as long as their block says, which [`super::line`] checks before.
#[must_use]
pub fn encode(reads: &[Read]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for Read { block, answer } in reads {
        bytes.push(block.function);
        bytes.extend_from_slice(&block.address.to_be_bytes());
        bytes.extend_from_slice(&block.count.to_be_bytes());
        match answer {
            Answer::Words(words) => {
                bytes.push(0);
                bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            }
            Answer::Bits(bits) => {
                bytes.push(1);
                let pack =
                    |eight: &[bool]| (eight.iter().rev()).fold(0u8, |byte, bit| byte << 1 | u8::from(*bit));
                bytes.extend(bits.chunks(8).map(pack));
            }
            Answer::Exception(code) => bytes.extend_from_slice(&[2, *code]),
            Answer::None => bytes.push(3),
        }
    }
    bytes
}

/// Reads a poll.
///
/// # Errors
/// [`FrameError`] when it is not one.
pub fn decode(payload: &[u8]) -> Result<Vec<Read>, FrameError> {
    let Some((version, mut rest)) = payload.split_first() else {
        return Err(FrameError::CutOff);
    };
    if *version != VERSION {
        return Err(FrameError::Version(*version));
    }
    let mut reads = Vec::new();
    while !rest.is_empty() {
        let ([function, a, b, c, d, kind], tail) = rest.split_first_chunk().ok_or(FrameError::CutOff)?;
        let block = Block {
            function: *function,
            address: u16::from_be_bytes([*a, *b]),
            count: u16::from_be_bytes([*c, *d]),
        };
        let count = usize::from(block.count);
        let length = match kind {
            0 => count * 2,
            1 => count.div_ceil(8),
            2 => 1,
            3 => 0,
            other => return Err(FrameError::Kind(*other)),
        };
        let (answer, after) = tail.split_at_checked(length).ok_or(FrameError::CutOff)?;
        let answer = match (kind, answer) {
            (0, words) => {
                let pairs = words.chunks_exact(2);
                Answer::Words(
                    pairs
                        .filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)))
                        .collect(),
                )
            }
            (1, packed) => {
                let bits = packed
                    .iter()
                    .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
                Answer::Bits(bits.take(count).collect())
            }
            (_, [code]) => Answer::Exception(*code),
            _ => Answer::None,
        };
        reads.push(Read { block, answer });
        rest = after;
    }
    Ok(reads)
}
