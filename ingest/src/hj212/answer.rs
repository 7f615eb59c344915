//! What a logger is answered. Pure.
//!
//! Source: HJ 212-2017 §6.6 and appendix C: 9013 answers a notice, 9014 data; 9011 with `QnRtn` says what is wrong with
//! a request. HJ/T 212-2005 has the request's number in the content instead of the head.

use super::frame::packet;
use super::segment::Segment;

/// Why a packet is not taken, as `QnRtn` says it. Source: HJ 212-2017 table of return codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 3: the password is wrong.
    Password,
    /// 4: the logger is not registered.
    Logger,
    /// 6: the flag says a version that is not spoken here.
    Version,
    /// 8: the command is none of a logger's.
    Command,
    /// 9: the checksum is wrong.
    Checksum,
}

impl Refused {
    const fn code(self) -> u8 {
        match self {
            Self::Password => 3,
            Self::Logger => 4,
            Self::Version => 6,
            Self::Command => 8,
            Self::Checksum => 9,
        }
    }
}

/// Data or notice are taken.
pub(crate) fn taken(of: &Segment<'_>, notice: bool) -> Option<Vec<u8>> {
    write(of, if notice { 9013 } else { 9014 }, None)
}

/// The packet is not taken.
pub(crate) fn refused(of: &Segment<'_>, why: Refused) -> Option<Vec<u8>> {
    write(of, 9011, Some(why.code()))
}

fn write(of: &Segment<'_>, cn: u16, qn_rtn: Option<u8>) -> Option<Vec<u8>> {
    let pw = of.pw.unwrap_or_default();
    let mn = of.mn;
    let result = qn_rtn.map(|code| format!("QnRtn={code}"));
    let segment = if of.flag.version() == 0 {
        let qn = of.qn.map(|qn| format!("QN={qn}"));
        let content: Vec<String> = qn.into_iter().chain(result).collect();
        let content = content.join(";");
        format!("ST=91;CN={cn};PW={pw};MN={mn};Flag=0;CP=&&{content}&&")
    } else {
        let qn = of.qn.map(|qn| format!("QN={qn};")).unwrap_or_default();
        let content = result.unwrap_or_default();
        format!("{qn}ST=91;CN={cn};PW={pw};MN={mn};Flag=4;CP=&&{content}&&")
    };
    packet(&segment)
}

#[cfg(test)]
mod tests {
    use super::super::segment::read;
    use super::*;

    fn text(bytes: Option<Vec<u8>>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn answers_have_the_form_of_their_version() {
        // The form is that of HJ 212-2017 appendix C; the CRC C241 was computed apart from this program, in Python.
        let new = "QN=20160801085000001;ST=32;CN=2011;PW=123456;MN=010000A8900016F000169DC0;Flag=5;CP=&&&&";
        let new = read(new.as_bytes()).unwrap();
        assert_eq!(
            text(taken(&new, false)),
            "##0087QN=20160801085000001;ST=91;CN=9014;PW=123456;MN=010000A8900016F000169DC0;Flag=4;CP=&&&&C241\r\n"
        );
        assert!(text(taken(&new, true)).contains(";CN=9013;"));
        assert!(text(refused(&new, Refused::Password)).contains("CN=9011;"));
        assert!(text(refused(&new, Refused::Checksum)).contains("CP=&&QnRtn=9&&"));
        let old = "QN=20040516010101001;ST=32;CN=2011;PW=123456;MN=88888880000001;Flag=1;CP=&&&&";
        let old = read(old.as_bytes()).unwrap();
        let answer = text(refused(&old, Refused::Command));
        assert!(answer.contains("CP=&&QN=20040516010101001;QnRtn=8&&"), "{answer}");
        assert!(answer.contains("##00") && !answer.contains("##00QN"), "{answer}");
    }
}
