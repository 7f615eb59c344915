//! The frames around questions and answers: Modbus/TCP and RTU. Pure.

use std::time::Duration;

use super::pdu::{Reply, Request};

/// What the bytes that have come so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// The beginning of an answer.
    More,
    /// The answer.
    Answer(Reply),
    /// An answer of another unit.
    OtherUnit,
    /// Not the answer to the question.
    Wrong(&'static str),
}

/// Transaction, protocol and length before the unit id. Source: MODBUS Messaging on TCP/IP V1.0b §3.1.3.
const MBAP: usize = 6;
/// Unit id and the longest PDU. Source: ibid.
const MBAP_LENGTH_MAX: usize = 254;

/// A question in a Modbus/TCP frame.
pub(crate) fn tcp_question(transaction: u16, unit: u8, request: &Request) -> Vec<u8> {
    let pdu = request.encode();
    let length = u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX);
    let mut frame = Vec::with_capacity(MBAP + 1 + pdu.len());
    frame.extend(transaction.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(length.to_be_bytes());
    frame.push(unit);
    frame.extend(pdu);
    frame
}

/// Whether `bytes` are the answer: transaction, unit, function and length must all be those of the question,
/// and nothing may follow.
pub(crate) fn tcp_answer(bytes: &[u8], transaction: u16, unit: u8, request: &Request) -> Got {
    let Some(([t1, t2, p1, p2, l1, l2], rest)) = bytes.split_first_chunk::<MBAP>() else {
        return Got::More;
    };
    if [*t1, *t2] != transaction.to_be_bytes() {
        return Got::Wrong("an answer to an earlier question");
    }
    let length = usize::from(u16::from_be_bytes([*l1, *l2]));
    if [*p1, *p2] != [0, 0] || !(2..=MBAP_LENGTH_MAX).contains(&length) {
        return Got::Wrong("not a modbus frame");
    }
    match rest.first() {
        None => return Got::More,
        Some(id) if *id != unit => return Got::OtherUnit,
        Some(_) => {}
    }
    if rest.len() < length {
        return Got::More;
    }
    if rest.len() > length {
        return Got::Wrong("more than one answer");
    }
    match request.read_answer(rest.get(1..).unwrap_or_default()) {
        Ok(reply) => Got::Answer(reply),
        Err(why) => Got::Wrong(why),
    }
}

/// A question in an RTU frame.
pub(crate) fn rtu_question(unit: u8, request: &Request) -> Vec<u8> {
    let mut frame = vec![unit];
    frame.extend(request.encode());
    let crc = crc(&frame);
    frame.extend(crc);
    frame
}

/// Whether `bytes` are the answer: unit, function and length must be those of the question, and the CRC must
/// fit. Bytes behind it are noise of the line: they are thrown away before the next question.
pub(crate) fn rtu_answer(bytes: &[u8], unit: u8, request: &Request) -> Got {
    let Some((id, rest)) = bytes.split_first() else {
        return Got::More;
    };
    if *id != unit {
        return Got::OtherUnit;
    }
    let length = match request.answer_length(rest) {
        Ok(Some(length)) => length,
        Ok(None) => return Got::More,
        Err(why) => return Got::Wrong(why),
    };
    let (Some(covered), Some(check)) = (bytes.get(..=length), bytes.get(length + 1..length + 3)) else {
        return Got::More;
    };
    if crc(covered) != check {
        return Got::Wrong("an answer with a wrong CRC");
    }
    match request.read_answer(rest.get(..length).unwrap_or_default()) {
        Ok(reply) => Got::Answer(reply),
        Err(why) => Got::Wrong(why),
    }
}

/// CRC-16 in the order in which it is sent, low byte first.
/// Source: MODBUS over Serial Line V1.02 §6.2.2 (polynomial 0xA001 reflected, begins at 0xFFFF).
pub(crate) fn crc(bytes: &[u8]) -> [u8; 2] {
    let step = |crc: u16, byte: &u8| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 }
        })
    };
    bytes.iter().fold(0xFFFF, step).to_le_bytes()
}

/// Bits of one character on the line: start, eight of data, parity or second stop bit, stop.
/// Source: MODBUS over Serial Line V1.02 §2.5.1.
const BITS_PER_CHARACTER: u64 = 11;
/// The silence between two frames above 19,200 baud. Source: ibid. §2.5.1.1.
const SILENCE_FAST: Duration = Duration::from_micros(1750);

/// How long a serial line takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    baud: u32,
}

impl Pace {
    /// Of a line at `baud` bits per second; above 0.
    pub(crate) fn new(baud: u32) -> Self {
        Self { baud: baud.max(1) }
    }

    /// The time of so many characters.
    pub(crate) fn characters(self, number: usize) -> Duration {
        let bits = BITS_PER_CHARACTER.saturating_mul(u64::try_from(number).unwrap_or(u64::MAX));
        Duration::from_micros(bits.saturating_mul(1_000_000) / u64::from(self.baud))
    }

    /// The silence that separates two frames: 3.5 characters.
    pub(crate) fn silence(self) -> Duration {
        if self.baud > 19_200 {
            SILENCE_FAST
        } else {
            self.characters(7) / 2
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(function: u8, address: u16, count: u16) -> Request {
        Request::Read {
            function,
            address,
            count,
        }
    }

    #[test]
    fn the_crc_is_that_of_the_specification_and_of_known_frames() {
        // MODBUS over Serial Line V1.02 §6.2.2: unit 2, function 7 has the CRC 0x1241, sent 41 12.
        assert_eq!(crc(&[0x02, 0x07]), [0x41, 0x12]);
        // Frames as mbpoll and other masters print them.
        assert_eq!(
            rtu_question(1, &read(3, 0, 10)),
            [1, 3, 0, 0, 0, 0x0A, 0xC5, 0xCD]
        );
        assert_eq!(
            rtu_question(0x11, &read(3, 0x6B, 3)),
            [0x11, 3, 0, 0x6B, 0, 3, 0x76, 0x87]
        );
        // CRC-16/MODBUS of "123456789" is 0x4B37 (catalogue of parametrised CRC algorithms).
        assert_eq!(crc(b"123456789"), [0x37, 0x4B]);
    }

    #[test]
    fn an_rtu_answer_is_known_when_its_last_byte_has_come() {
        // Given registers 555, 0, 100 of unit 17,
        let mut frame = vec![0x11, 3, 6, 0x02, 0x2B, 0, 0, 0, 0x64];
        frame.extend(crc(&frame));
        let question = read(3, 0x6B, 3);
        for end in 0..frame.len() {
            assert_eq!(rtu_answer(&frame[..end], 0x11, &question), Got::More, "{end}");
        }
        let answer = Got::Answer(Reply::Words(vec![555, 0, 100]));
        assert_eq!(rtu_answer(&frame, 0x11, &question), answer);
        // then noise behind it does not matter, but any changed bit of it does.
        assert_eq!(rtu_answer(&[&frame[..], &[0]].concat(), 0x11, &question), answer);
        for byte in 0..frame.len() {
            for bit in 0..8 {
                let mut changed = frame.clone();
                changed[byte] ^= 1 << bit;
                let got = rtu_answer(&changed, 0x11, &question);
                assert!(!matches!(got, Got::Answer(_)), "byte {byte} bit {bit}: {got:?}");
            }
        }
        // An exception is five bytes long.
        let mut refused = vec![0x11, 0x83, 2];
        refused.extend(crc(&refused));
        assert_eq!(
            rtu_answer(&refused, 0x11, &question),
            Got::Answer(Reply::Exception(2))
        );
        assert_eq!(rtu_answer(&refused, 0x12, &question), Got::OtherUnit);
    }

    #[test]
    fn a_tcp_answer_must_have_the_number_the_unit_and_the_length_of_the_question() {
        let question = read(3, 0x6B, 3);
        assert_eq!(
            tcp_question(0x1501, 0x11, &question),
            [0x15, 1, 0, 0, 0, 6, 0x11, 3, 0, 0x6B, 0, 3]
        );
        let frame = [0x15, 1, 0, 0, 0, 9, 0x11, 3, 6, 0x02, 0x2B, 0, 0, 0, 0x64];
        for end in 0..frame.len() {
            assert_eq!(
                tcp_answer(&frame[..end], 0x1501, 0x11, &question),
                Got::More,
                "{end}"
            );
        }
        let answer = Got::Answer(Reply::Words(vec![555, 0, 100]));
        assert_eq!(tcp_answer(&frame, 0x1501, 0x11, &question), answer);
        for (place, byte) in [(1, 2), (2, 1), (5, 8), (5, 10), (6, 0x12), (7, 4), (8, 4), (4, 2)] {
            let mut changed = frame;
            changed[place] = byte;
            let got = tcp_answer(&changed, 0x1501, 0x11, &question);
            assert!(!matches!(got, Got::Answer(_)), "{place}: {got:?}");
        }
        assert!(matches!(
            tcp_answer(&[&frame[..], &[0]].concat(), 0x1501, 0x11, &question),
            Got::Wrong(_)
        ));
    }

    #[test]
    fn the_pace_of_a_line_is_that_of_eleven_bits_a_character() {
        // 9600 baud: 11 / 9600 s = 1.1458 ms a character; 3.5 of them are 4.01 ms.
        let slow = Pace::new(9600);
        assert_eq!(slow.characters(1), Duration::from_micros(1145));
        assert_eq!(slow.silence(), Duration::from_nanos(4_010_000));
        assert_eq!(Pace::new(115_200).silence(), Duration::from_micros(1750));
    }
}
