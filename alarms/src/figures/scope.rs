//! Whose figure it is.

use std::fmt;
use std::str::FromStr;

use telemetry::registry::Site;
use telemetry::{Catalogue, SiteId};

/// The places that a figure is about. As text: `county`, `site:ID`, `town:NAME`, `organisation:ID`,
/// and for the figures of alarm health `rule:DEVICE/RULE` or `rule:RULE`.
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
    /// One rule of one device, or a rule of all devices that have it: only for the figures of alarm health.
    Rule(Box<str>),
}

/// Why a text is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a scope: county, site:ID, town:NAME, organisation:ID or rule:ID")]
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
            Self::Rule(_) => false,
        }
    }

    /// Whether the rule of that name, at `site` where it has a place, belongs to it.
    #[must_use]
    pub fn holds_rule(&self, rule: &str, site: Option<&Site>) -> bool {
        match self {
            Self::County => true,
            Self::Rule(wanted) => is_rule(wanted, rule),
            Self::Site(_) | Self::Town(_) | Self::Organisation(_) => {
                site.is_some_and(|site| self.holds(site))
            }
        }
    }

    /// Whether any registered place belongs to it.
    #[must_use]
    pub fn exists(&self, catalogue: &Catalogue) -> bool {
        *self == Self::County || catalogue.sites().iter().any(|site| self.holds(site))
    }
}

/// Whether `wanted` names the rule: `DEVICE/RULE` as a whole, or what stands behind the device.
pub(crate) fn is_rule(wanted: &str, rule: &str) -> bool {
    let code = match rule.split_once('/') {
        Some((_, code)) => code,
        None => rule.rsplit_once('.').map_or(rule, |(_, code)| code),
    };
    wanted == rule || wanted == code
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::County => f.write_str("county"),
            Self::Site(id) => write!(f, "site:{id}"),
            Self::Town(town) => write!(f, "town:{town}"),
            Self::Organisation(organisation) => write!(f, "organisation:{organisation}"),
            Self::Rule(rule) => write!(f, "rule:{rule}"),
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
            Some(("rule", id)) if !id.is_empty() => Ok(Self::Rule(id.into())),
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_back_as_it_is_written() {
        for text in [
            "county",
            "site:st-01",
            "town:东坑镇",
            "organisation:om-a",
            "rule:st-1/SW-LEVEL-HH",
        ] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        assert_eq!("".parse::<Scope>().unwrap(), Scope::County);
        assert!(is_rule("gas_1.fault", "g-1/gas_1.fault") && is_rule("clock", "g.1.clock"));
        assert!(is_rule("g-1/A", "g-1/A") && is_rule("A", "g-1/A") && !is_rule("g-1", "g-1/A"));
        for text in ["st-01", "site:a/b", "town:", "rule:", "road:x"] {
            assert!(text.parse::<Scope>().is_err(), "{text:?} must be refused");
        }
    }
}
