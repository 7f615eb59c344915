//! The file form: `[[unit]]` tables in TOML.

use rust_decimal::Decimal;
use serde::Deserialize;
use toml::Spanned;

use super::compute::{Item, QuantityError};
use super::tables::{nearest, substance};

/// Why a hazard file was refused.
#[derive(Debug, thiserror::Error)]
pub enum HazardError {
    /// Not TOML, an unknown or a missing key, or a value of the wrong type. Mend the named line.
    #[error("hazard file {file} cannot be read")]
    Syntax {
        /// Which file.
        file: String,
        /// Line, column and what was expected.
        source: toml::de::Error,
    },
    /// Readable, but a value is not allowed. Mend the named line.
    #[error("hazard file {file}, line {line}, unit {unit}: {what}")]
    Value {
        /// Which file.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// Which unit.
        unit: String,
        /// What is wrong and what would be right.
        what: String,
    },
    /// No `[[unit]]` at all.
    #[error("hazard file {file} holds no [[unit]]")]
    Empty {
        /// Which file.
        file: String,
    },
    /// The quantities of a unit are beyond what can be summed.
    #[error("hazard file {file}, unit {unit}")]
    Quantity {
        /// Which file.
        file: String,
        /// Which unit.
        unit: String,
        /// Which quantity.
        source: QuantityError,
    },
}

/// One unit as read: a tank farm within its dike, a warehouse, a production unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its id, unique in the file.
    pub id: String,
    /// People who live permanently within 500 m outside the boundary.
    pub people_within_500m: u32,
    /// What it may hold.
    pub items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    #[serde(default)]
    unit: Vec<UnitForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitForm {
    id: Spanned<String>,
    people_within_500m: Spanned<i64>,
    substance: Spanned<Vec<SubstanceForm>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubstanceForm {
    name: Option<Spanned<String>>,
    class: Option<Spanned<String>>,
    design_max_t: Spanned<toml::Value>,
}

/// Reads a hazard file. `file` is its name, for the error.
///
/// # Errors
/// [`HazardError`] with the first thing that is wrong.
pub fn parse(file: &str, text: &str) -> Result<Vec<Unit>, HazardError> {
    let form: FileForm = toml::from_str(text).map_err(|source| HazardError::Syntax {
        file: file.to_owned(),
        source,
    })?;
    if form.unit.is_empty() {
        return Err(HazardError::Empty {
            file: file.to_owned(),
        });
    }
    let mut units: Vec<Unit> = Vec::with_capacity(form.unit.len());
    for unit in form.unit {
        let reading = Reading {
            file,
            text,
            unit: unit.id.get_ref().clone(),
        };
        let id = unit.id.get_ref();
        if id.trim().is_empty() {
            return Err(reading.refuse(unit.id.span().start, "the id is empty".to_owned()));
        }
        if units.iter().any(|other| other.id == *id) {
            return Err(reading.refuse(unit.id.span().start, "this id stands there twice".to_owned()));
        }
        units.push(reading.unit(&unit)?);
    }
    Ok(units)
}

/// Where we are, for the error.
struct Reading<'a> {
    file: &'a str,
    text: &'a str,
    unit: String,
}

impl Reading<'_> {
    fn refuse(&self, offset: usize, what: String) -> HazardError {
        let before = self.text.get(..offset).unwrap_or(self.text);
        HazardError::Value {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            unit: self.unit.clone(),
            what,
        }
    }

    fn unit(&self, form: &UnitForm) -> Result<Unit, HazardError> {
        let people = *form.people_within_500m.get_ref();
        let people_within_500m = u32::try_from(people).map_err(|_| {
            let what = format!("people_within_500m {people} is not between 0 and {}", u32::MAX);
            self.refuse(form.people_within_500m.span().start, what)
        })?;
        if form.substance.get_ref().is_empty() {
            let what = "there is no [[unit.substance]]".to_owned();
            return Err(self.refuse(form.id.span().start, what));
        }
        let items = form.substance.get_ref().iter().map(|item| self.item(item));
        Ok(Unit {
            id: self.unit.clone(),
            people_within_500m,
            items: items.collect::<Result<_, _>>()?,
        })
    }

    fn item(&self, form: &SubstanceForm) -> Result<Item, HazardError> {
        let named = match (&form.name, &form.class) {
            (Some(name), None) => name,
            (None, Some(class)) => class,
            (Some(_), Some(class)) => {
                let what = "give name or class, not both".to_owned();
                return Err(self.refuse(class.span().start, what));
            }
            (None, None) => {
                let what = "a substance has neither name nor class".to_owned();
                return Err(self.refuse(form.design_max_t.span().start, what));
            }
        };
        let found = substance(named.get_ref()).ok_or_else(|| {
            let near = nearest(named.get_ref());
            let hint = if near.is_empty() {
                "give its hazard class of GB 18218 Table 2 instead, e.g. class = \"W2\"".to_owned()
            } else {
                format!(
                    "did you mean {}? Otherwise give its hazard class, e.g. class = \"W2\"",
                    near.join(", ")
                )
            };
            let what = format!("the substance {:?} is not known; {hint}", named.get_ref());
            self.refuse(named.span().start, what)
        })?;
        Ok(Item {
            substance: found,
            design_max_t: self.quantity(&form.design_max_t)?,
        })
    }

    /// The number as it stands in the file: a detour over binary floating point would change it.
    fn quantity(&self, form: &Spanned<toml::Value>) -> Result<Decimal, HazardError> {
        let span = form.span();
        let refuse = |what: &str| {
            let written = self.text.get(span.clone()).unwrap_or_default();
            self.refuse(span.start, format!("design_max_t = {written} {what}"))
        };
        let written: String = match form.get_ref() {
            toml::Value::Float(_) | toml::Value::Integer(_) => {
                let literal = self.text.get(span.clone()).unwrap_or_default();
                literal.chars().filter(|c| *c != '_').collect()
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_) => {
                return Err(refuse("is not a number of tonnes"));
            }
        };
        let plain = written.trim().trim_start_matches('+');
        let number = Decimal::from_str_exact(plain).or_else(|_| Decimal::from_scientific(plain));
        let number =
            number.map_err(|_| refuse("is not a decimal number of tonnes with at most 28 digits"))?;
        if number.is_sign_negative() && !number.is_zero() {
            return Err(refuse("is negative; give the design maximum in tonnes"));
        }
        Ok(number)
    }
}
