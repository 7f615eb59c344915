//! The query of a request, read once at the edge: unknown and unreadable parameters are refused by name.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use crate::problem::Problem;

/// The parameters of a query, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<BTreeMap<String, String>>::from_request_parts(parts, state).await {
            Ok(Query(all)) => Ok(Self(all)),
            Err(error) => Err(Problem::bad_parameter(
                "query",
                format!("the query cannot be read: {error}"),
                "write it as name=value&name=value, each name once",
            )),
        }
    }
}

impl Params {
    /// Refuses parameters that are not in `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(40).collect();
                Err(Problem::bad_parameter(
                    "query",
                    format!("there is no parameter {name:?} here"),
                    match known {
                        [] => "leave it out: this address takes none".to_owned(),
                        _ => format!("known are {}", known.join(", ")),
                    },
                ))
            }
        }
    }

    /// The text of a parameter; an empty one counts as left out.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// The address `path` with these parameters, and `name` set to `value`.
    pub(crate) fn address(&self, path: &str, name: &str, value: &str) -> String {
        let mut address = format!("{path}?{name}={}", encoded(value));
        for (other, value) in self.0.iter().filter(|(other, _)| *other != name) {
            address.push('&');
            address.push_str(&encoded(other));
            address.push('=');
            address.push_str(&encoded(value));
        }
        address
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &'static str) -> Result<&str, Problem> {
        self.text(name).ok_or_else(|| {
            Problem::bad_parameter(
                name,
                format!("the parameter {name} is missing"),
                format!("add {name}=…"),
            )
        })
    }

    /// A parameter of a type that can be read from text.
    pub(crate) fn parse<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|error: T::Err| {
            Problem::bad_parameter(
                name,
                format!("{name}: {error}"),
                format!("mend the parameter {name}"),
            )
        })
    }

    /// A whole number within bounds.
    pub(crate) fn number(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<u32>,
        default: u32,
    ) -> Result<u32, Problem> {
        let number = self.parse(name)?.unwrap_or(default);
        if range.contains(&number) {
            Ok(number)
        } else {
            let (least, greatest) = range.into_inner();
            Err(Problem::bad_parameter(
                name,
                format!("{name} is {number}, outside {least} to {greatest}"),
                format!("give a number from {least} to {greatest}"),
            ))
        }
    }
}

/// A text as part of a query. Source: RFC 3986 §2.3, unreserved characters.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
