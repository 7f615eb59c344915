//! Major hazard identification by GB 18218-2018 危险化学品重大危险源辨识, in decimal arithmetic.
//!
//! For each unit: S = Σ q/Q; a major hazard when S ≥ 1; then R = α · Σ β·q/Q and the level of R. q is the
//! design maximum quantity in tonnes, never the live stock. The cut-offs are inclusive, and binary
//! floating point misses them; the sums are kept as whole multiples, so that three thirds are one.
//!
//! Start with [`run`] (a file in, results out) and [`identify`] (the formulae).

mod compute;
mod file;
mod print;
mod tables;

pub use compute::{Identified, Item, Level, QuantityError, identify};
pub use file::{HazardError, Unit, parse};
pub use print::{Language, json, text};
pub use tables::{Substance, alpha, substance};

/// The result for one unit, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitResult {
    /// The unit's id.
    pub id: String,
    /// People within 500 m, as given.
    pub people_within_500m: u32,
    /// S, α, R and level.
    pub identified: Identified,
}

/// Identifies every unit of a file. `name` is the file's name, for the error.
///
/// # Errors
/// [`HazardError`] with file, line and what to do; nothing is computed from a file with an error.
pub fn run(name: &str, text: &str) -> Result<Vec<UnitResult>, HazardError> {
    parse(name, text)?
        .into_iter()
        .map(|unit| {
            let refused = |source| HazardError::Quantity {
                file: name.to_owned(),
                unit: unit.id.clone(),
                source,
            };
            let identified = identify(&unit.items, Some(unit.people_within_500m)).map_err(refused)?;
            Ok(UnitResult {
                id: unit.id.clone(),
                people_within_500m: unit.people_within_500m,
                identified,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
