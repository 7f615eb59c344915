//! The formulae: clauses 4.2.1 (S), 4.3.2 (R) and 4.3.3 (level).

use rust_decimal::Decimal;
use serde::Serialize;

use super::tables::{Substance, alpha};

/// A multiple of every critical quantity Q in the tables (1, 5, 10, 50, 150, 200, 500, 1000, 5000), so that
/// q/Q = q · (COMMON/Q) / COMMON needs no division before the comparison. A test holds it.
pub(super) const COMMON: u32 = 15_000;
/// Greatest quantity of one substance, t. Larger ones are typing errors, and would overflow.
const QUANTITY_T_MAX: u32 = 1_000_000_000;
/// Most decimals of a quantity in t, i.e. down to 1 mg. With more, a product could be rounded before it is judged.
const QUANTITY_DECIMALS_MAX: u32 = 9;

/// One substance in a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which, with its Q and β.
    pub substance: Substance,
    /// q: design maximum quantity, t. Source: GB 18218-2018, 4.2.2.
    pub design_max_t: Decimal,
}

/// How great a major hazard is: 1 is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "u8")]
pub enum Level {
    /// 一级: R ≥ 100.
    One,
    /// 二级: 100 > R ≥ 50.
    Two,
    /// 三级: 50 > R ≥ 10.
    Three,
    /// 四级: R < 10.
    Four,
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        match level {
            Level::One => 1,
            Level::Two => 2,
            Level::Three => 3,
            Level::Four => 4,
        }
    }
}

/// What GB 18218 says of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// S = Σ q/Q, rounded to at most 28 digits after it was judged.
    pub s: Decimal,
    /// S ≥ 1.
    pub major_hazard: bool,
    /// α by the people within 500 m; none where their number is not known.
    pub alpha: Option<Decimal>,
    /// R = α · Σ β·q/Q; none below S = 1 or without α.
    pub r: Option<Decimal>,
    /// None where `r` is none.
    pub level: Option<Level>,
}

/// Why a quantity cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "quantity {0} t is not between 0 and {QUANTITY_T_MAX} t with at most {QUANTITY_DECIMALS_MAX} decimals"
)]
pub struct QuantityError(pub Decimal);

/// Identifies one unit. `people` live permanently within 500 m outside the boundary; none: not known.
///
/// # Errors
/// [`QuantityError`] when a quantity is negative, beyond 10⁹ t, or finer than 1 mg.
///
/// Source: GB 18218-2018, 4.2.1 eq. (1), 4.3.2 eq. (2), 4.3.3 Table 6.
pub fn identify(items: &[Item], people: Option<u32>) -> Result<Identified, QuantityError> {
    let common = Decimal::from(COMMON);
    let mut s = Decimal::ZERO;
    let mut weighted = Decimal::ZERO;
    for item in items {
        let q = item.design_max_t.normalize();
        let refused = || QuantityError(q);
        let range = Decimal::ZERO..=Decimal::from(QUANTITY_T_MAX);
        if !range.contains(&q) || q.scale() > QUANTITY_DECIMALS_MAX {
            return Err(refused());
        }
        let share = q.checked_mul(item.substance.shares()).ok_or_else(refused)?;
        s = s.checked_add(share).ok_or_else(refused)?;
        let danger = share.checked_mul(item.substance.beta()).ok_or_else(refused)?;
        weighted = weighted.checked_add(danger).ok_or_else(refused)?;
    }
    let major_hazard = s >= common;
    let alpha = people.map(alpha);
    let r = alpha.filter(|_| major_hazard).map(|alpha| alpha * weighted);
    Ok(Identified {
        s: (s / common).normalize(),
        major_hazard,
        alpha,
        r: r.map(|r| (r / common).normalize()),
        level: r.map(|r| level(r, common)),
    })
}

/// Table 6, on R · COMMON.
fn level(r: Decimal, common: Decimal) -> Level {
    if r >= common * Decimal::ONE_HUNDRED {
        Level::One
    } else if r >= common * Decimal::from(50) {
        Level::Two
    } else if r >= common * Decimal::TEN {
        Level::Three
    } else {
        Level::Four
    }
}
