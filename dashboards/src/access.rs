//! Who may look, and who may acknowledge. Pure: headers in, decision out.

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// Name of the cookie that carries the token of a browser that signed in at `/login`.
pub const COOKIE: &str = "townwatch";

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything.
    Read,
    /// Look, acknowledge alarms, and work on cases.
    Operate,
    /// Look, acknowledge, and say which devices and accounts may come in.
    Administer,
    /// Look, acknowledge, and write to field devices what profile and configuration allow.
    Control,
}

/// A person or a program that may come in. The token itself is never kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the token. Tokens are random and long, so a fast hash is enough.
    pub sha256: [u8; 32],
    /// Whose it is: the name under which alarms are acknowledged.
    pub name: Box<str>,
    /// What it allows.
    pub role: Role,
}

impl Token {
    /// The entry for a token in the clear.
    #[must_use]
    pub fn of(token: &str, name: &str, role: Role) -> Self {
        Self {
            sha256: Sha256::digest(token.as_bytes()).into(),
            name: name.into(),
            role,
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Who may come in.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody who reaches the port, which must then be on a loopback address ([`crate::serve`] refuses
    /// others). Requests for another host name are refused, so that no foreign page can reach it by DNS.
    OpenOnLoopback,
    /// Who has a token.
    Tokens(Vec<Token>),
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Known name; none where access is open.
    pub name: Option<Box<str>>,
    /// What they may do.
    pub role: Role,
}

impl Access {
    /// Who asks, by their token.
    ///
    /// # Errors
    /// [`Problem`] 401 without a known token; 403 for a foreign host name where access is open.
    pub fn admit(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        match self {
            Self::OpenOnLoopback => {
                let host = text(headers, header::HOST).unwrap_or("localhost");
                if is_loopback_host(host) {
                    Ok(Caller {
                        name: None,
                        role: Role::Operate,
                    })
                } else {
                    Err(Problem::forbidden(
                        "this server is open on loopback only and was asked for under another name",
                        "use http://127.0.0.1 or http://localhost, or configure tokens",
                    ))
                }
            }
            Self::Tokens(tokens) => {
                let given = bearer(headers).or_else(|| cookie(headers, COOKIE));
                let Some(given) = given else {
                    return Err(Problem::unauthenticated("the request carries no token"));
                };
                find(tokens, given)
                    .map(|token| Caller {
                        name: Some(token.name.clone()),
                        role: token.role,
                    })
                    .ok_or_else(|| Problem::unauthenticated("the token is not known"))
            }
        }
    }

    /// Whether the token is known.
    #[must_use]
    pub fn knows(&self, given: &str) -> bool {
        match self {
            Self::OpenOnLoopback => true,
            Self::Tokens(tokens) => find(tokens, given).is_some(),
        }
    }
}

/// The token is looked for by its hash, so the time of the comparison tells nothing of the token.
fn find<'a>(tokens: &'a [Token], given: &str) -> Option<&'a Token> {
    let hash: [u8; 32] = Sha256::digest(given.as_bytes()).into();
    tokens.iter().find(|token| token.sha256 == hash)
}

/// Refuses a changing request that a foreign page may have caused.
///
/// # Errors
/// [`Problem`] 415 when the body is not JSON (a foreign form cannot send JSON), and what [`same_origin`]
/// answers.
pub fn same_origin_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::not_json());
    }
    same_origin(headers)
}

/// Refuses a request of a page of another origin.
///
/// # Errors
/// [`Problem`] 403 when `Origin` or `Sec-Fetch-Site` names another site.
pub fn same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let foreign = || {
        Problem::forbidden(
            "the request comes from a page of another origin",
            "send it from a page of this server, or without an `Origin` header",
        )
    };
    if let Some(site) = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok())
        && !matches!(site, "same-origin" | "none")
    {
        return Err(foreign());
    }
    if let Some(origin) = text(headers, header::ORIGIN) {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if authority.is_none() || authority != text(headers, header::HOST) {
            return Err(foreign());
        }
    }
    Ok(())
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of a cookie.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(|line| {
            line.split(';').find_map(|pair| {
                let (key, value) = pair.trim().split_once('=')?;
                (key == name).then_some(value)
            })
        })
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn open_access_answers_to_loopback_names_only() {
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8080",
            "127.8.8.8",
        ] {
            assert!(
                Access::OpenOnLoopback.admit(&headers(&[("host", host)])).is_ok(),
                "{host}"
            );
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:80",
            "10.0.0.1",
            "[fe80::1]",
        ] {
            let refused = Access::OpenOnLoopback
                .admit(&headers(&[("host", host)]))
                .unwrap_err();
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{host}");
        }
    }

    #[test]
    fn a_token_names_its_owner_and_an_unknown_one_is_refused() {
        let access = Access::Tokens(vec![Token::of("s3cret", "Wang", Role::Read)]);
        let caller = access
            .admit(&headers(&[("authorization", "bearer s3cret")]))
            .unwrap();
        assert_eq!(
            caller,
            Caller {
                name: Some("Wang".into()),
                role: Role::Read
            }
        );
        assert!(
            access
                .admit(&headers(&[("cookie", "a=b; townwatch=s3cret")]))
                .is_ok()
        );
        for wrong in [
            &[("authorization", "Bearer s3cre")][..],
            &[("authorization", "Basic s3cret")],
            &[],
        ] {
            assert_eq!(
                access.admit(&headers(wrong)).unwrap_err().status(),
                StatusCode::UNAUTHORIZED
            );
        }
        assert!(!format!("{access:?}").contains("s3cret"));
    }

    #[test]
    fn a_foreign_page_cannot_change_anything() {
        let json = ("content-type", "application/json; charset=utf-8");
        let host = ("host", "127.0.0.1:8080");
        assert!(same_origin_json(&headers(&[json, host])).is_ok());
        assert!(same_origin_json(&headers(&[json, host, ("origin", "http://127.0.0.1:8080")])).is_ok());
        for bad in [
            &[host, ("content-type", "text/plain")][..],
            &[host, ("content-type", "application/x-www-form-urlencoded")],
            &[json, host, ("origin", "http://evil.example")],
            &[json, host, ("origin", "null")],
            &[json, host, ("sec-fetch-site", "cross-site")],
        ] {
            assert!(same_origin_json(&headers(bad)).is_err(), "{bad:?}");
        }
    }
}
