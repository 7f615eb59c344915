//! What `Authorization` says. Pure.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// User and secret of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) secret: Option<Vec<u8>>,
}

/// Reads `Basic` (base 64 of `user:secret`), `Bearer` and `Token` (InfluxDB's own): the latter with `user:secret`
/// in the clear, or a bare token. None when the header is there and cannot be read.
pub(crate) fn read(headers: &HeaderMap) -> Option<Credentials> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Some(Credentials::default());
    };
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        return user_and_secret(&STANDARD.decode(rest).ok()?);
    }
    if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
        return user_and_secret(rest.as_bytes()).or_else(|| {
            (!rest.is_empty()).then(|| Credentials {
                user: None,
                secret: Some(rest.as_bytes().to_vec()),
            })
        });
    }
    None
}

fn user_and_secret(text: &[u8]) -> Option<Credentials> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    let (user, rest) = text.split_at_checked(colon)?;
    Some(Credentials {
        user: Some(std::str::from_utf8(user).ok()?.to_owned()),
        secret: Some(rest.get(1..)?.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Option<(Option<String>, Option<String>)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        read(&headers).map(|found| (found.user, found.secret.map(|s| String::from_utf8(s).unwrap())))
    }

    #[test]
    fn user_and_secret_stand_in_basic_bearer_and_token() {
        let both = |user: &str, secret: &str| Some((Some(user.to_owned()), Some(secret.to_owned())));
        // RFC 7617 §2 has the first.
        assert_eq!(
            of("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            both("Aladdin", "open sesame")
        );
        assert_eq!(of("basic QTo="), both("A", ""));
        assert_eq!(of("basic QTo6"), both("A", ":"));
        assert_eq!(of("Token station-1:se:cret"), both("station-1", "se:cret"));
        assert_eq!(of("bearer abcd"), Some((None, Some("abcd".to_owned()))));
        for bad in [
            "Basic",
            "Basic !!!!",
            "Basic QQ==",
            "Basic Q",
            "Digest x",
            "Bearer ",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(read(&HeaderMap::new()), Some(Credentials::default()));
    }
}
