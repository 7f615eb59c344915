//! The data segment: `QN=…;ST=…;CN=…;PW=…;MN=…;Flag=…;CP=&&…&&`. Pure.

/// A data segment, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Number of the request, 17 digits of time. HJ/T 212-2005 may leave it out.
    pub qn: Option<&'a str>,
    /// Code of the system, e.g. 32: surface-water pollution source.
    pub st: Option<&'a str>,
    /// Number of the command.
    pub cn: u16,
    /// Password.
    pub pw: Option<&'a str>,
    /// Number of the logger.
    pub mn: &'a str,
    /// Version, and what is wanted.
    pub flag: Flag,
    /// (PNO, PNUM): this is part PNO, from 1, of PNUM.
    pub part: Option<(u16, u16)>,
    /// What stands between `CP=&&` and `&&`.
    pub cp: &'a str,
}

/// The bits of `Flag`: V5 V4 V3 V2 V1 V0 D A. Source: HJ 212-2017 §6.3.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub u8);

impl Flag {
    /// 0 is HJ/T 212-2005, 1 HJ 212-2017; more is later.
    #[must_use]
    pub const fn version(self) -> u8 {
        self.0 >> 2
    }

    /// D: the packet carries PNUM and PNO.
    #[must_use]
    pub const fn is_part(self) -> bool {
        self.0 & 2 != 0
    }

    /// A: an answer is wanted.
    #[must_use]
    pub const fn wants_answer(self) -> bool {
        self.0 & 1 != 0
    }
}

/// Why a data segment cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Bytes that are no printable ASCII.
    #[error("the data segment holds other bytes than printable ASCII")]
    Bytes,
    /// No `CP=&&…&&` at its end.
    #[error("the data segment does not end with CP=&&…&&")]
    NoContent,
    /// A field of the head is missing or cannot be read.
    #[error("the field {0} is missing or cannot be read")]
    Field(&'static str),
}

/// Reads a data segment.
///
/// # Errors
/// [`Malformed`] with the first thing that is wrong.
pub fn read(segment: &[u8]) -> Result<Segment<'_>, Malformed> {
    let text = text(segment)?;
    let (head, cp) = text.split_once("CP=&&").ok_or(Malformed::NoContent)?;
    let cp = cp.strip_suffix("&&").ok_or(Malformed::NoContent)?;
    let field = |name: &str| {
        head.split(';')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    };
    let number = |name: &'static str| match field(name) {
        None => Ok(None),
        Some(text) => text.parse::<u16>().map(Some).map_err(|_| Malformed::Field(name)),
    };
    let flag = match number("Flag")? {
        None => Flag(0), // HJ/T 212-2005 may leave it out.
        Some(flag) => Flag(u8::try_from(flag).map_err(|_| Malformed::Field("Flag"))?),
    };
    let part = match (number("PNO")?, number("PNUM")?) {
        (Some(part), Some(of)) if of > 1 => Some((part, of)),
        _ => None,
    };
    if part.is_some_and(|(part, of)| part == 0 || part > of) {
        return Err(Malformed::Field("PNO"));
    }
    Ok(Segment {
        qn: field("QN"),
        st: field("ST"),
        cn: number("CN")?.ok_or(Malformed::Field("CN"))?,
        pw: field("PW"),
        mn: field("MN").ok_or(Malformed::Field("MN"))?,
        flag,
        part,
        cp,
    })
}

fn text(segment: &[u8]) -> Result<&str, Malformed> {
    if segment.iter().any(|byte| !(b' '..=b'~').contains(byte)) {
        return Err(Malformed::Bytes);
    }
    std::str::from_utf8(segment).map_err(|_| Malformed::Bytes)
}

/// The same without its password: what goes into the journal.
///
/// # Errors
/// [`Malformed`] when it has no content or is no ASCII.
pub(crate) fn without_password(segment: &[u8]) -> Result<String, Malformed> {
    let text = text(segment)?;
    let (head, rest) = text.split_once("CP=&&").ok_or(Malformed::NoContent)?;
    let mut kept: String = head
        .split(';')
        .filter(|pair| !pair.is_empty() && !pair.trim_start().starts_with("PW="))
        .flat_map(|pair| [pair, ";"])
        .collect();
    kept.push_str("CP=&&");
    kept.push_str(rest);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_versions_are_read() {
        let text = "QN=20160801085857223;ST=32;CN=2011;PW=100000;MN=010000A8900016F000169DC0;Flag=7;PNUM=3;PNO=2;\
                    CP=&&DataTime=20160801085857;w01018-Rtd=1&&";
        let segment = read(text.as_bytes()).unwrap();
        assert_eq!(
            (segment.qn, segment.st, segment.cn, segment.pw, segment.mn),
            (
                Some("20160801085857223"),
                Some("32"),
                2011,
                Some("100000"),
                "010000A8900016F000169DC0"
            )
        );
        assert_eq!(segment.part, Some((2, 3)));
        assert_eq!(segment.cp, "DataTime=20160801085857;w01018-Rtd=1");
        let Flag(_) = segment.flag;
        assert_eq!(
            (
                segment.flag.version(),
                segment.flag.is_part(),
                segment.flag.wants_answer()
            ),
            (1, true, true)
        );
        // HJ/T 212-2005: without QN and Flag.
        let old = "ST=32;CN=2011;PW=123456;MN=88888880000001;CP=&&DataTime=20040516020111;011-Rtd=36.5&&";
        let old = read(old.as_bytes()).unwrap();
        assert_eq!((old.qn, old.flag, old.mn), (None, Flag(0), "88888880000001"));
        // HJ 212-2025 says version 2.
        assert_eq!(Flag(8).version(), 2);
        assert_eq!((Flag(4).wants_answer(), Flag(5).wants_answer()), (false, true));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, want) in [
            ("", Malformed::NoContent),
            ("MN=1;CN=2011;CP=&&x", Malformed::NoContent),
            ("CN=2011;CP=&&&&", Malformed::Field("MN")),
            ("MN=1;CP=&&&&", Malformed::Field("CN")),
            ("MN=1;CN=x;CP=&&&&", Malformed::Field("CN")),
            ("MN=1;CN=2011;Flag=256;CP=&&&&", Malformed::Field("Flag")),
            ("MN=1;CN=2011;PNUM=3;PNO=4;CP=&&&&", Malformed::Field("PNO")),
            ("MN=1;CN=2011;PNUM=3;PNO=0;CP=&&&&", Malformed::Field("PNO")),
            ("MN=井;CN=2011;CP=&&&&", Malformed::Bytes),
        ] {
            assert_eq!(read(text.as_bytes()), Err(want), "{text}");
        }
    }

    #[test]
    fn the_password_does_not_reach_the_journal() {
        let kept = without_password(b"QN=1;ST=32;CN=2011;PW=100000;MN=2;Flag=5;CP=&&PW=x&&").unwrap();
        assert_eq!(kept, "QN=1;ST=32;CN=2011;MN=2;Flag=5;CP=&&PW=x&&");
        assert_eq!(read(kept.as_bytes()).unwrap().pw, None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            // Read or refused, never a panic.
            read(&bytes).ok();
            without_password(&bytes).ok();
        }

        #[test]
        fn what_is_read_is_read_the_same_without_its_password(head in "[A-Z]{2}=[ -:<-~]{0,9};", cp in "[ -%'-~]{0,40}") {
            let text = format!("{head}PW=1;MN=2;CN=2011;CP=&&{cp}&&");
            if let Ok(segment) = read(text.as_bytes()) {
                let kept = without_password(text.as_bytes()).unwrap();
                let again = read(kept.as_bytes()).unwrap();
                prop_assert_eq!((segment.mn, segment.cn, segment.cp), (again.mn, again.cn, again.cp));
            }
        }
    }
}
