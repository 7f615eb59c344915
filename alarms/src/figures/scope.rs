//! Whose figure it is.

use std::fmt;
use std::str::FromStr;

use telemetry::registry::Site;
use telemetry::{Catalogue, SiteId};

/// The places that a figure is about. As text: `county`, `site:ID`, `town:NAME`, `organisation:ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All.
    #[default]
    County,
    /// One place.
    Site(SiteId),
    /// The places of a town or street.
    Town(Box<str>),
    /// The places that an organisation runs.
    Organisation(Box<str>),
}

/// Why a text is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a scope: county, site:ID, town:NAME or organisation:ID")]
pub struct ScopeError {
    /// The refused text.
    pub text: String,
}

impl Scope {
    /// Whether `site` belongs to it.
    #[must_use]
    pub fn holds(&self, site: &Site) -> bool {
        match self {
            Self::County => true,
            Self::Site(id) => site.id == *id,
            Self::Town(town) => site.town == *town,
            Self::Organisation(organisation) => site.organisation == *organisation,
        }
    }

    /// Whether any registered place belongs to it.
    #[must_use]
    pub fn exists(&self, catalogue: &Catalogue) -> bool {
        *self == Self::County || catalogue.sites().iter().any(|site| self.holds(site))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::County => f.write_str("county"),
            Self::Site(id) => write!(f, "site:{id}"),
            Self::Town(town) => write!(f, "town:{town}"),
            Self::Organisation(organisation) => write!(f, "organisation:{organisation}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let refused = || ScopeError {
            text: text.chars().take(80).collect(),
        };
        match text.split_once(':') {
            None if text.is_empty() || text == "county" => Ok(Self::County),
            Some(("site", id)) => SiteId::new(id).map(Self::Site).map_err(|_| refused()),
            Some(("town", town)) if !town.is_empty() => Ok(Self::Town(town.into())),
            Some(("organisation", id)) if !id.is_empty() => Ok(Self::Organisation(id.into())),
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_back_as_it_is_written() {
        for text in ["county", "site:st-01", "town:东坑镇", "organisation:om-a"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        assert_eq!("".parse::<Scope>().unwrap(), Scope::County);
        for text in ["st-01", "site:a/b", "town:", "road:x"] {
            assert!(text.parse::<Scope>().is_err(), "{text:?} must be refused");
        }
    }
}
