//! How far a value may be trusted, and why not further.

/// How far a value may be trusted. The three levels are OPC UA's; the reason says what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// Nothing speaks against it. OPC UA `Good` 0x00000000.
    #[default]
    Good,
    /// Usable with doubt: may raise an alarm, may not clear one. OPC UA `Uncertain` 0x40000000.
    Uncertain(Uncertain),
    /// Not usable: neither raises nor clears. OPC UA `Bad` 0x80000000.
    Bad(Bad),
}

/// Why a value is doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Uncertain {
    /// The device said so.
    Reported,
    /// The device's clock lies (1970, 2036, or hours off): the time of arrival stands in for it.
    ClockSkew,
    /// The sensor is warming up or being calibrated.
    Warming,
}

/// Why a value cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bad {
    /// The device said so.
    Reported,
    /// Outside the valid range of the profile.
    OutOfRange,
    /// Not of the signal's type, e.g. a text where a number is due.
    WrongType,
    /// NaN, an infinity, or the bit pattern that the profile declares to mean "no value".
    NotFinite,
    /// The Modbus slave answered with an exception.
    Exception,
    /// The Modbus slave gave no answer, or not one to the question.
    NoAnswer,
    /// The instrument reports itself faulty. OPC UA `Bad_SensorFailure` 0x808C0000.
    SensorFault,
}

/// Every quality with its code and name, in the order of the codes.
const TABLE: [(Quality, u8, &str); 11] = [
    (Quality::Good, 0, "good"),
    (Quality::Uncertain(Uncertain::Reported), 64, "uncertain"),
    (
        Quality::Uncertain(Uncertain::ClockSkew),
        65,
        "uncertain_clock_skew",
    ),
    (Quality::Uncertain(Uncertain::Warming), 66, "uncertain_warming"),
    (Quality::Bad(Bad::Reported), 128, "bad"),
    (Quality::Bad(Bad::OutOfRange), 129, "bad_out_of_range"),
    (Quality::Bad(Bad::WrongType), 130, "bad_wrong_type"),
    (Quality::Bad(Bad::NotFinite), 131, "bad_not_finite"),
    (Quality::Bad(Bad::Exception), 132, "bad_exception"),
    (Quality::Bad(Bad::NoAnswer), 133, "bad_no_answer"),
    (Quality::Bad(Bad::SensorFault), 134, "bad_sensor_fault"),
];

impl Quality {
    /// The stored form: 0 good, 64–127 uncertain, 128–255 bad.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Uncertain(why) => match why {
                Uncertain::Reported => 64,
                Uncertain::ClockSkew => 65,
                Uncertain::Warming => 66,
            },
            Self::Bad(why) => match why {
                Bad::Reported => 128,
                Bad::OutOfRange => 129,
                Bad::WrongType => 130,
                Bad::NotFinite => 131,
                Bad::Exception => 132,
                Bad::NoAnswer => 133,
                Bad::SensorFault => 134,
            },
        }
    }

    /// The quality behind a stored code. A code of a later version keeps its level and loses its reason.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0..=63 => Self::Good,
            65 => Self::Uncertain(Uncertain::ClockSkew),
            66 => Self::Uncertain(Uncertain::Warming),
            64..=127 => Self::Uncertain(Uncertain::Reported),
            129 => Self::Bad(Bad::OutOfRange),
            130 => Self::Bad(Bad::WrongType),
            131 => Self::Bad(Bad::NotFinite),
            132 => Self::Bad(Bad::Exception),
            133 => Self::Bad(Bad::NoAnswer),
            134 => Self::Bad(Bad::SensorFault),
            128..=255 => Self::Bad(Bad::Reported),
        }
    }

    /// The name used in the API, in exports and in logs, e.g. `bad_out_of_range`.
    #[must_use]
    pub fn name(self) -> &'static str {
        TABLE
            .iter()
            .find(|(quality, ..)| *quality == self)
            .map_or("bad", |(.., name)| name)
    }

    /// The quality of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let entry = TABLE.iter().find(|(.., known)| *known == name);
        entry.map(|(quality, ..)| *quality)
    }

    /// Whether the value may be used without doubt.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Good)
    }

    /// Whether the value may not be used at all.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Bad(_))
    }

    /// The worse of the two: bad before uncertain before good; of equals, `self`.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.code() / 64 > self.code() / 64 {
            other
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quality_survives_its_code() {
        for (quality, code, _) in TABLE {
            assert_eq!(quality.code(), code);
            assert_eq!(Quality::from_code(code), quality);
            assert_eq!(Quality::from_name(quality.name()), Some(quality));
        }
    }

    #[test]
    fn an_unknown_code_keeps_its_level() {
        assert!(Quality::from_code(255).is_bad());
        assert_eq!(Quality::from_code(100), Quality::Uncertain(Uncertain::Reported));
    }
}
