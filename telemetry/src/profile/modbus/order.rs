//! In which order the bytes of a value arrive.

use serde::Deserialize;

/// The order in which the bytes of a value arrive, the registers one after the other and the high byte of
/// each first; `A` is the most significant byte. The four-letter names hold for every width; the others are
/// for values of four registers.
///
/// Of a 16-bit value `ABCD` and `CDAB` (also called `AB`) arrive high byte first, `BADC` and `DCBA` (`BA`)
/// low byte first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum WordOrder {
    /// Most significant register first, high byte first: what the Modbus specification means.
    #[default]
    #[serde(rename = "ABCD", alias = "AB", alias = "ABCDEFGH")]
    Abcd,
    /// Least significant register first, high byte first.
    #[serde(rename = "CDAB", alias = "GHEFCDAB")]
    Cdab,
    /// Most significant register first, low byte first.
    #[serde(rename = "BADC", alias = "BA", alias = "BADCFEHG")]
    Badc,
    /// Least significant register first, low byte first.
    #[serde(rename = "DCBA", alias = "HGFEDCBA")]
    Dcba,
    /// Four registers: the lower pair first, in it the higher register first.
    #[serde(rename = "EFGHABCD")]
    Efghabcd,
    /// Four registers: the higher pair first, in it the lower register first.
    #[serde(rename = "CDABGHEF")]
    Cdabghef,
    /// Four registers: the higher pair first, each pair from its lowest byte.
    #[serde(rename = "DCBAHGFE")]
    Dcbahgfe,
    /// Four registers: the lower pair first, in it the higher register first, low byte first.
    #[serde(rename = "FEHGBADC")]
    Fehgbadc,
}

impl WordOrder {
    /// Whether the order is only one of values of four registers.
    #[must_use]
    pub const fn is_for_four(self) -> bool {
        matches!(
            self,
            Self::Efghabcd | Self::Cdabghef | Self::Dcbahgfe | Self::Fehgbadc
        )
    }

    /// For a value of `bytes` bytes (2, 4 or 8): to which place, from the most significant on, the byte
    /// that arrives at `at` belongs. `at` must be below `bytes`.
    #[must_use]
    pub const fn place(self, at: usize, bytes: usize) -> usize {
        let last = bytes.saturating_sub(1);
        let swapped = at ^ 1; // The other byte of its register.
        match self {
            Self::Abcd => at,
            Self::Badc => swapped,
            // Registers in reverse order: all bytes in reverse order, and back within each register.
            Self::Cdab => last.saturating_sub(at) ^ 1,
            Self::Dcba => last.saturating_sub(at),
            Self::Efghabcd => at ^ 4,
            Self::Cdabghef => at ^ 2,
            Self::Dcbahgfe => at ^ 3,
            Self::Fehgbadc => at ^ 5,
        }
    }
}
