//! An HJ 212 data logger that does not exist: writes packets with an encoder of its own, over a plain socket, and keeps
//! what was not answered.
//!
//! Source: HJ 212-2017 chapter 6. The checksum goes through a table, not bit by bit as the server's does.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the logger waits for an answer. Source: HJ 212-2017 §6.6, 5 s by default; longer for a busy machine.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// One factor of a packet, e.g. `w01018-Rtd=33.5,w01018-Flag=N`.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor {
    /// Code, e.g. `w01018`.
    pub code: &'static str,
    /// Fields with their values, e.g. `("Rtd", 33.5)`.
    pub fields: Vec<(&'static str, f64)>,
    /// Data flag, `N` for normal.
    pub flag: char,
}

impl Factor {
    /// A real-time value.
    #[must_use]
    pub fn now(code: &'static str, value: f64, flag: char) -> Self {
        Self {
            code,
            fields: vec![("Rtd", value)],
            flag,
        }
    }

    fn text(&self) -> String {
        let code = self.code;
        let mut parts: Vec<String> = self
            .fields
            .iter()
            .map(|(field, value)| format!("{code}-{field}={value}"))
            .collect();
        parts.push(format!("{code}-Flag={}", self.flag));
        parts.join(",")
    }
}

/// A logger with a connection.
#[derive(Debug)]
pub struct Logger {
    stream: TcpStream,
    mn: String,
    password: String,
    /// Of the last request: each is new.
    sent: u32,
}

impl Logger {
    /// Connects.
    ///
    /// # Errors
    /// What the socket says.
    pub fn connect(address: SocketAddr, mn: &str, password: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect_timeout(&address, ANSWER_TIME)?;
        stream.set_read_timeout(Some(ANSWER_TIME))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            mn: mn.to_owned(),
            password: password.to_owned(),
            sent: 0,
        })
    }

    /// Sends factors of the civil time `time` (`YYYYMMDDhhmmss`) under the command `cn` and waits for the answer:
    /// its data segment.
    ///
    /// # Errors
    /// What the socket says; a wrong checksum of the answer is `InvalidData`.
    pub fn report(&mut self, cn: u16, time: &str, factors: &[Factor]) -> Result<String, Error> {
        let texts: Vec<String> = factors.iter().map(Factor::text).collect();
        let content = format!("DataTime={time};{}", texts.join(";"));
        let head = self.head(cn, 5, "");
        self.stream
            .write_all(&packet(&format!("{head}CP=&&{content}&&")))?;
        self.answer()
    }

    /// The same, cut into packets of at most `size` bytes of content, each answered before the next is sent.
    ///
    /// # Errors
    /// As [`Logger::report`].
    pub fn report_split(
        &mut self,
        cn: u16,
        time: &str,
        factors: &[Factor],
        size: usize,
    ) -> Result<(), Error> {
        let texts: Vec<String> = factors.iter().map(Factor::text).collect();
        let content = format!("DataTime={time};{}", texts.join(";"));
        let pieces: Vec<&[u8]> = content.as_bytes().chunks(size.max(1)).collect();
        let of = pieces.len();
        self.sent += 1;
        for (number, piece) in (1..).zip(pieces) {
            let piece = String::from_utf8_lossy(piece);
            self.sent -= 1; // All parts carry one number.
            let head = self.head(cn, 7, &format!("PNUM={of};PNO={number};"));
            self.stream.write_all(&packet(&format!("{head}CP=&&{piece}&&")))?;
            self.answer()?;
        }
        Ok(())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// What the socket says.
    pub fn say(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.write_all(bytes)
    }

    /// The data segment of the next packet from the other side.
    ///
    /// # Errors
    /// As [`Logger::report`].
    pub fn answer(&mut self) -> Result<String, Error> {
        let mut head = [0; 6];
        self.stream.read_exact(&mut head)?;
        let broken = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
        let text = std::str::from_utf8(&head).map_err(|_| broken("no head"))?;
        let length: usize = text
            .strip_prefix("##")
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| broken("no head"))?;
        let mut rest = vec![0; length + 6];
        self.stream.read_exact(&mut rest)?;
        let text = String::from_utf8(rest).map_err(|_| broken("no ASCII"))?;
        let (segment, tail) = text.split_at_checked(length).ok_or_else(|| broken("too short"))?;
        if tail == format!("{:04X}\r\n", checksum(segment.as_bytes())) {
            Ok(segment.to_owned())
        } else {
            Err(broken("wrong checksum"))
        }
    }

    fn head(&mut self, cn: u16, flag: u8, part: &str) -> String {
        self.sent += 1;
        let (sent, password, mn) = (self.sent, &self.password, &self.mn);
        format!("QN=20260101{sent:09};ST=32;CN={cn};PW={password};MN={mn};Flag={flag};{part}")
    }
}

/// A whole packet around a data segment.
#[must_use]
pub fn packet(segment: &str) -> Vec<u8> {
    let checksum = checksum(segment.as_bytes());
    format!("##{:04}{segment}{checksum:04X}\r\n", segment.len()).into_bytes()
}

fn checksum(bytes: &[u8]) -> u16 {
    let step = |sum: u16| {
        let half = sum >> 1;
        if sum & 1 == 1 { half ^ 0xA001 } else { half }
    };
    let table: Vec<u16> = (0..256_u16)
        .map(|byte| (0..8).fold(byte, |sum, _| step(sum)))
        .collect();
    bytes.iter().fold(0xFFFF, |sum: u16, byte| {
        let place = usize::from((sum >> 8) ^ u16::from(*byte));
        table.get(place).copied().unwrap_or_default() // Both are below 256.
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_that_of_the_standard() {
        // HJ 212-2017, appendix A.
        let segment = "QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;\
                       Flag=5;CP=&&RtdInterval=30&&";
        let packet = String::from_utf8(packet(segment)).unwrap();
        assert!(
            packet.starts_with("##0101QN=") && packet.ends_with("&&1C80\r\n"),
            "{packet}"
        );
    }

    #[test]
    fn a_factor_is_written_with_its_fields_and_its_flag() {
        let factor = Factor {
            code: "w01018",
            fields: vec![("Avg", 20.5), ("Min", 1.0)],
            flag: 'T',
        };
        assert_eq!(factor.text(), "w01018-Avg=20.5,w01018-Min=1,w01018-Flag=T");
        assert_eq!(
            Factor::now("w01001", 7.1, 'N').text(),
            "w01001-Rtd=7.1,w01001-Flag=N"
        );
    }
}
