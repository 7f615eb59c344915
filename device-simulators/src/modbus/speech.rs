//! The slaves' side of the protocol, written on its own so that a mistake of the master does not cancel out.
//! Pure: bytes in, bytes out.
//!
//! Source: Modbus Application Protocol V1.1b3 §6, MODBUS Messaging on TCP/IP V1.0b §3.1.3, MODBUS over Serial
//! Line V1.02 §2.5.1.

/// "Illegal function".
pub(super) const NO_FUNCTION: u8 = 1;
/// "Illegal data address".
pub(super) const NO_ADDRESS: u8 = 2;
/// "Illegal data value".
pub(super) const NO_VALUE: u8 = 3;
/// "Gateway target device failed to respond".
pub(super) const NO_TARGET: u8 = 11;

/// How frames look on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// Modbus/TCP: a header with a number, no check.
    #[default]
    Tcp,
    /// RTU frames, with a CRC, over a socket.
    RtuOverTcp,
    /// RTU frames over a pseudo-terminal.
    Rtu,
}

/// A question that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The number of a Modbus/TCP frame; 0 in RTU.
    pub(super) number: [u8; 2],
    pub(super) unit: u8,
    /// Function code and what follows it.
    pub(super) pdu: Vec<u8>,
}

/// What the bytes that have come so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The beginning of a question.
    More,
    /// A question, and how many bytes it took.
    Question(Asked, usize),
    /// No question: throw everything away.
    Noise,
}

/// Reads one question from the front of `bytes`.
pub(super) fn hear(wire: Wire, bytes: &[u8]) -> Heard {
    match wire {
        Wire::Tcp => hear_tcp(bytes),
        Wire::RtuOverTcp | Wire::Rtu => hear_rtu(bytes),
    }
}

fn hear_tcp(bytes: &[u8]) -> Heard {
    let [n1, n2, 0, 0, l1, l2, rest @ ..] = bytes else {
        return if bytes.len() < 6 {
            Heard::More
        } else {
            Heard::Noise
        };
    };
    let length = usize::from(*l1) * 256 + usize::from(*l2);
    if !(2..=254).contains(&length) {
        return Heard::Noise;
    }
    match rest.get(..length) {
        Some([unit, pdu @ ..]) => {
            let asked = Asked {
                number: [*n1, *n2],
                unit: *unit,
                pdu: pdu.to_vec(),
            };
            Heard::Question(asked, 6 + length)
        }
        _ => Heard::More,
    }
}

fn hear_rtu(bytes: &[u8]) -> Heard {
    let (Some(unit), Some(function)) = (bytes.first(), bytes.get(1)) else {
        return Heard::More;
    };
    let length = match function {
        1..=6 => 8,
        // Unit, function, address, count, number of bytes; then these and the check.
        15 | 16 => match bytes.get(6) {
            None => return Heard::More,
            Some(data) => 9 + usize::from(*data),
        },
        43 => 7,
        _ => return Heard::Noise,
    };
    let Some(frame) = bytes.get(..length) else {
        return Heard::More;
    };
    let (covered, check) = frame.split_at(length - 2);
    if check_of(covered) != check {
        return Heard::Noise;
    }
    let pdu = covered.get(1..).unwrap_or_default().to_vec();
    let asked = Asked {
        number: [0, 0],
        unit: *unit,
        pdu,
    };
    Heard::Question(asked, length)
}

/// The frame of an answer.
pub(super) fn say(wire: Wire, asked: &Asked, unit: u8, pdu: &[u8]) -> Vec<u8> {
    match wire {
        Wire::Tcp => {
            let length = u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX).to_be_bytes();
            [&asked.number[..], &[0, 0], &length, &[unit], pdu].concat()
        }
        Wire::RtuOverTcp | Wire::Rtu => {
            let covered = [&[unit], pdu].concat();
            let check = check_of(&covered);
            [&covered[..], &check].concat()
        }
    }
}

/// CRC-16/MODBUS by long division, bit by bit, low byte first on the line.
fn check_of(bytes: &[u8]) -> [u8; 2] {
    let mut register: u16 = 0xFFFF;
    for byte in bytes {
        register ^= u16::from(*byte);
        for _ in 0..8 {
            let carry = register & 1;
            register >>= 1;
            if carry == 1 {
                register ^= 0xA001;
            }
        }
    }
    register.to_le_bytes()
}

/// An answer that refuses.
pub(super) fn refusal(pdu: &[u8], code: u8) -> Vec<u8> {
    vec![pdu.first().copied().unwrap_or(0) | 0x80, code]
}

/// An answer with the bits that were asked for.
pub(super) fn bits_answer(function: u8, bits: &[bool]) -> Vec<u8> {
    let mut data = vec![0u8; bits.len().div_ceil(8)];
    for (n, _) in bits.iter().enumerate().filter(|(_, bit)| **bit) {
        if let Some(byte) = data.get_mut(n / 8) {
            *byte |= 1 << (n % 8);
        }
    }
    let length = u8::try_from(data.len()).unwrap_or(u8::MAX);
    [&[function, length][..], &data].concat()
}

/// An answer with the registers that were asked for.
pub(super) fn words_answer(function: u8, words: &[u16]) -> Vec<u8> {
    let length = u8::try_from(words.len() * 2).unwrap_or(u8::MAX);
    let data = words.iter().flat_map(|word| word.to_be_bytes());
    [function, length].into_iter().chain(data).collect()
}

/// The two numbers that follow the function code of most questions: address, and count or value.
pub(super) fn numbers(pdu: &[u8]) -> Option<(u16, u16)> {
    let [_, a, b, c, d, ..] = pdu else {
        return None;
    };
    Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_heard_when_its_last_byte_has_come() {
        // Registers 108 to 110 of unit 17: the worked example, CRC 76 87 as other masters print it.
        let frame = [0x11, 3, 0, 0x6B, 0, 3, 0x76, 0x87];
        for end in 0..8 {
            assert_eq!(hear(Wire::Rtu, &frame[..end]), Heard::More);
        }
        let Heard::Question(asked, 8) = hear(Wire::Rtu, &frame) else {
            panic!("no question")
        };
        assert_eq!((asked.unit, numbers(&asked.pdu)), (17, Some((0x6B, 3))));
        let mut noise = frame;
        noise[3] ^= 1;
        assert_eq!(hear(Wire::Rtu, &noise), Heard::Noise);
        let tcp = [0, 9, 0, 0, 0, 6, 0x11, 3, 0, 0x6B, 0, 3, 0xFF];
        let Heard::Question(asked, 12) = hear(Wire::Tcp, &tcp) else {
            panic!("no question")
        };
        assert_eq!(
            say(Wire::Tcp, &asked, 17, &words_answer(3, &[555])),
            [0, 9, 0, 0, 0, 5, 17, 3, 2, 2, 0x2B]
        );
    }

    #[test]
    fn bits_are_packed_from_the_lowest() {
        // Modbus Application Protocol V1.1b3 §6.1: coils 20 to 27 are 0xCD = 1100 1101.
        let coils = [true, false, true, true, false, false, true, true, true];
        assert_eq!(bits_answer(1, &coils), [1, 2, 0xCD, 1]);
    }
}
