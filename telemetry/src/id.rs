//! Names that come from outside, checked once at the edge.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: {allowed}")]
pub struct IdError {
    /// The refused text, cut to 80 characters.
    pub text: String,
    /// What it was meant to be, e.g. `device id`.
    pub kind: &'static str,
    /// What is allowed.
    pub allowed: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// # Errors
            /// [`IdError`] when `text` has a character or a length that is not allowed.
            pub fn new(text: &str) -> Result<Self, IdError> {
                if $check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { text: text.chars().take(80).collect(), kind: $kind, allowed: $allowed })
                }
            }

            /// The text of the identifier.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }
    };
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_signal(text: &str) -> bool {
    (1..=48).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

identifier!(
    /// What speaks: one MQTT client or one Modbus unit. Source: `design.md` §6.
    DeviceId, "device id", is_name, "1 to 64 of A–Z a–z 0–9 . _ -"
);
identifier!(
    /// A place with a position: a station, a depot, a cover, a lighting loop.
    SiteId, "site id", is_name, "1 to 64 of A–Z a–z 0–9 . _ -"
);
identifier!(
    /// One quantity of a device, as its profile names it.
    SignalName, "signal name", is_signal, "1 to 48 of a–z 0–9 _, a letter first"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_id_holds_no_wildcard_slash_or_control_character() {
        for text in ["", "a/b", "#", "+", "a b", "井盖", "a\0", &"x".repeat(65)] {
            assert!(DeviceId::new(text).is_err(), "{text:?} must be refused");
        }
        assert_eq!(DeviceId::new("cover-001.a_B").unwrap().as_str(), "cover-001.a_B");
    }

    #[test]
    fn a_signal_name_is_an_identifier() {
        assert!(SignalName::new("gas_01").is_ok());
        for text in ["1gas", "Gas", "gas-1", ""] {
            assert!(SignalName::new(text).is_err(), "{text:?} must be refused");
        }
    }
}
