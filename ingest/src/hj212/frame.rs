//! From a stream of bytes to packets: `##`, four digits, the data segment, four digits of CRC, CR LF. Pure.
//!
//! After anything that is no packet it looks for the next `##`, so that one damaged packet costs no other.

use super::crc::crc;

/// Largest data segment, in bytes: what four digits can say. The standards say 1,024 (HJ 212-2017 §6.3.2); loggers
/// that send more are known, and are read. More cannot be written down.
pub const SEGMENT_BYTES_MAX: usize = 9999;
const MARK: &[u8] = b"##";
const HEAD_BYTES: usize = 6;
const CRC_BYTES: usize = 4;

/// What was found in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A sound data segment.
    Segment(Vec<u8>),
    /// A packet whose checksum is wrong: its data segment, as far as that can be said.
    Damaged(Vec<u8>),
    /// A head that no packet follows: the length is wrong, or the packet was cut off.
    Cut,
    /// So many bytes that belong to no packet.
    Garbage(usize),
}

/// Finds packets in a stream. Holds at most one packet of the largest size and what was pushed last.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
}

impl Framer {
    /// Takes what was read. Call [`Framer::next`] until it gives nothing before more is pushed.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a packet has begun and is not whole.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.buffer.starts_with(MARK)
    }

    /// The next thing in the stream; none when more bytes are needed.
    #[expect(clippy::should_implement_trait, reason = "more may come after none")]
    pub fn next(&mut self) -> Option<Found> {
        if let Some(garbage) = self.skip_to_mark() {
            return Some(Found::Garbage(garbage));
        }
        let digits = self.buffer.get(MARK.len()..HEAD_BYTES.min(self.buffer.len()))?;
        if digits.iter().any(|byte| !byte.is_ascii_digit()) {
            return Some(self.no_packet_here(1)); // "###0101…": the packet may begin one byte later.
        }
        if digits.len() < HEAD_BYTES - MARK.len() {
            return None;
        }
        let length = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        let body = self.buffer.get(HEAD_BYTES..)?;
        if length == 0 {
            return Some(self.no_packet_here(MARK.len()));
        }
        let whole = body.get(..length + CRC_BYTES);
        // A line break ends a packet and never stands in one: the length is wrong, and waiting for the rest of it
        // would swallow the packets that follow.
        if whole
            .unwrap_or(body)
            .iter()
            .any(|byte| matches!(byte, b'\r' | b'\n'))
        {
            return Some(self.no_packet_here(MARK.len()));
        }
        let (segment, digits) = whole?.split_at_checked(length)?;
        let sound = hex(digits).is_some_and(|said| said == crc(segment));
        let segment = segment.to_vec();
        if sound {
            self.buffer.drain(..HEAD_BYTES + length + CRC_BYTES);
            return Some(Found::Segment(segment));
        }
        // The length may be what is wrong, so what follows the mark is looked through again.
        self.buffer.drain(..MARK.len());
        Some(Found::Damaged(segment))
    }

    /// Gives up the packet that has begun and does not become whole; what follows its mark is looked through.
    pub fn give_up(&mut self) -> Option<Found> {
        self.is_within().then(|| self.no_packet_here(MARK.len()))
    }

    fn no_packet_here(&mut self, bytes: usize) -> Found {
        self.buffer.drain(..bytes.min(self.buffer.len()));
        Found::Cut
    }

    /// Drops what stands before the next mark, and answers how much of it is not the end of a line.
    fn skip_to_mark(&mut self) -> Option<usize> {
        let at = self.buffer.windows(MARK.len()).position(|pair| pair == MARK);
        let before = at.unwrap_or_else(|| {
            // A single # at the end may be the first half of a mark.
            self.buffer.len() - usize::from(self.buffer.ends_with(b"#"))
        });
        let garbage = self
            .buffer
            .drain(..before)
            .filter(|byte| !matches!(byte, b'\r' | b'\n'))
            .count();
        (garbage > 0).then_some(garbage)
    }
}

fn hex(digits: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

/// A packet around a data segment; none when it is too long to say so.
#[must_use]
pub(crate) fn packet(segment: &str) -> Option<Vec<u8>> {
    let checksum = crc(segment.as_bytes());
    (segment.len() <= SEGMENT_BYTES_MAX)
        .then(|| format!("##{:04}{segment}{checksum:04X}\r\n", segment.len()).into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(framer: &mut Framer) -> Vec<Found> {
        std::iter::from_fn(|| framer.next()).collect()
    }

    fn found(bytes: &[u8]) -> Vec<Found> {
        let mut framer = Framer::default();
        framer.push(bytes);
        all(&mut framer)
    }

    fn segments(found: Vec<Found>) -> Vec<String> {
        let text = |found| match found {
            Found::Segment(segment) => Some(String::from_utf8(segment).unwrap()),
            Found::Damaged(_) | Found::Cut | Found::Garbage(_) => None,
        };
        found.into_iter().filter_map(text).collect()
    }

    /// The example of HJ 212-2017 appendix A.
    const GOLDEN: &str = "##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;\
                          Flag=5;CP=&&RtdInterval=30&&1C80\r\n";

    #[test]
    fn the_packet_of_the_standard_is_found_whole_and_in_any_pieces() {
        let want = GOLDEN.get(6..107).unwrap().to_owned();
        assert_eq!(segments(found(GOLDEN.as_bytes())), std::slice::from_ref(&want));
        for size in 1..20 {
            let mut framer = Framer::default();
            let mut have = Vec::new();
            for piece in GOLDEN.as_bytes().chunks(size) {
                framer.push(piece);
                have.extend(all(&mut framer));
            }
            assert_eq!(segments(have), std::slice::from_ref(&want), "in pieces of {size}");
        }
        // And it is what we write ourselves.
        assert_eq!(packet(&want).unwrap(), GOLDEN.as_bytes());
    }

    #[test]
    fn a_packet_of_a_real_sewage_logger_is_found() {
        // A sample that open parsers of HJ 212 are tried with (`domain.md` §1.8, vector 2): 457 bytes, CRC 6E80.
        let sample = "##0457QN=20210320163101890;ST=32;CN=2011;PW=123456;MN=81733553213013;Flag=4;\
                      CP=&&DataTime=20210320013400;w00000-Rtd=181.682,w00000-Flag=N;\
                      w21001-SampleTime=20210320005400,w21001-Rtd=45.160,w21001-Flag=N;\
                      w21011-SampleTime=20210320013400,w21011-Rtd=1.970,w21011-Flag=N;\
                      w21003-SampleTime=20210320013400,w21003-Rtd=53.131,w21003-Flag=N;\
                      w01018-SampleTime=20210320013400,w01018-Rtd=194.200,w01018-Flag=N;\
                      w01001-SampleTime=20210320013406,w01001-Rtd=7.496,w01001-Flag=N&&6E80\r\n";
        assert_eq!(segments(found(sample.as_bytes())).len(), 1);
        assert_eq!(crc(sample.get(6..463).unwrap().as_bytes()), 0x6E80);
    }

    #[test]
    fn what_is_no_packet_costs_no_packet_beside_it() {
        let wrong_crc = GOLDEN.replace("1C80", "1C81");
        let too_long = GOLDEN.replace("##0101", "##0901");
        let too_short = GOLDEN.replace("##0101", "##0099");
        let cut = GOLDEN.get(..50).unwrap();
        for (nonsense, what) in [
            (wrong_crc.as_str(), "wrong checksum"),
            (&too_long, "length too long"),
            (&too_short, "length too short"),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "another protocol"),
            ("#####", "marks"),
            ("##00x1", "no length"),
            ("##0000", "no segment"),
            ("\u{0}\u{7f}#", "bytes"),
        ] {
            let stream = format!("{GOLDEN}{nonsense}{GOLDEN}");
            let found = found(stream.as_bytes());
            assert_eq!(segments(found.clone()).len(), 2, "{what}: {found:?}");
            assert!(found.len() > 2, "{what} is told: {found:?}");
        }
        // One that was cut off without a line break takes the next with it until its length is over, or its time.
        let mut framer = Framer::default();
        framer.push(cut.as_bytes());
        framer.push(GOLDEN.as_bytes());
        assert_eq!(segments(all(&mut framer)).len(), 1, "the line break inside tells");
        framer.push(cut.as_bytes());
        assert_eq!((all(&mut framer), framer.is_within()), (vec![], true));
        assert_eq!(framer.give_up(), Some(Found::Cut));
        framer.push(GOLDEN.as_bytes());
        assert_eq!(segments(all(&mut framer)).len(), 1);
    }

    #[test]
    fn a_wrong_checksum_hands_out_the_segment_so_that_it_can_be_answered() {
        let found = found(GOLDEN.replace("1C80", "1c81").as_bytes());
        assert!(matches!(found.first(), Some(Found::Damaged(segment)) if segment.starts_with(b"QN=2016")));
        assert_eq!(
            segments(self::found(GOLDEN.replace("1C80", "1c80").as_bytes())).len(),
            1,
            "either case"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic_and_the_buffer_stays_bounded(
            pieces in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![3 => Just(b'#'), 3 => b'0'..=b'9', 2 => any::<u8>()], 0..300), 0..100),
        ) {
            let mut framer = Framer::default();
            for piece in &pieces {
                framer.push(piece);
                while framer.next().is_some() {}
                prop_assert!(framer.buffer.len() < HEAD_BYTES + SEGMENT_BYTES_MAX + CRC_BYTES);
            }
        }

        #[test]
        fn a_packet_is_found_behind_any_line_of_nonsense(nonsense in "[ -~]{0,200}") {
            let stream = format!("{nonsense}\r\n{GOLDEN}");
            prop_assert_eq!(segments(found(stream.as_bytes())).len(), 1);
        }
    }
}
