//! Our own HTTP client: for VictoriaMetrics, for InfluxDB behind TLS or a path, and for every query.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response, Url};

use super::answer::{self, Answer, Speaks};
use super::settings::{Credentials, RemoteError, RemoteSettings};

/// Most bytes of an answer to a write that are looked at.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A client of one engine, with its credentials and time-out.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client,
}

/// Why a query brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum QueryError {
    /// The engine could not be reached, or not to the end.
    #[error("the remote engine could not be asked")]
    Http(#[source] reqwest::Error),
    /// The engine refused.
    #[error("the remote engine answered {status}: {reason}")]
    Refused {
        /// Its status.
        status: u16,
        /// What it says.
        reason: String,
    },
    /// The answer is not of the form that was asked for.
    #[error("the answer of the remote engine cannot be read: {0}")]
    Form(String),
    /// More came than was asked for.
    #[error("the answer of the remote engine is too large")]
    TooLarge,
    /// The task that asked has panicked or was stopped.
    #[error("the query was cut off")]
    CutOff,
}

impl Http {
    /// `scheme` stands before a token: `Token` for InfluxDB, else `Bearer`.
    pub(super) fn new(settings: &RemoteSettings, scheme: &str) -> Result<Self, RemoteError> {
        let client = |error: reqwest::Error| RemoteError::Client(error.without_url().into());
        // The second to install it finds it there; both are the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = Client::builder()
            .timeout(settings.timeout.duration())
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("townwatch/", env!("CARGO_PKG_VERSION")));
        if let Credentials::Token(token) = &settings.credentials {
            let mut value = HeaderValue::from_str(&format!("{scheme} {}", token.expose())).map_err(|_| {
                RemoteError::Client("the token holds a character that no header may hold".into())
            })?;
            value.set_sensitive(true);
            builder = builder.default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]));
        }
        if let Credentials::Basic { user, password } = &settings.credentials {
            let value = basic(user, password.expose())?;
            builder = builder.default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]));
        }
        if let Some(pem) = &settings.ca {
            let authorities = Certificate::from_pem_bundle(pem).map_err(client)?;
            if authorities.is_empty() {
                return Err(RemoteError::Client(
                    "the file of its authorities holds no certificate".into(),
                ));
            }
            builder = builder.tls_certs_only(authorities);
        }
        Ok(Self {
            client: builder.build().map_err(client)?,
        })
    }

    pub(super) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends lines, compressed.
    pub(super) async fn write(&self, who: Speaks, url: Url, lines: &[u8]) -> Answer {
        let body = match gzip(lines) {
            Ok(body) => body,
            Err(error) => return Answer::broken(error.to_string()),
        };
        let sent = self
            .client
            .post(url)
            .header(CONTENT_ENCODING, "gzip")
            .body(body)
            .send()
            .await;
        match sent {
            Ok(response) => answer_of(who, response).await,
            // The address may hold a secret.
            Err(error) => Answer::broken(telemetry::with_causes(&error.without_url())),
        }
    }
}

/// What the engine answers to a write.
pub(super) async fn answer_of(who: Speaks, response: Response) -> Answer {
    let status = response.status().as_u16();
    let retry_after = header(&response, &RETRY_AFTER);
    let body = match text(response, ANSWER_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => format!("(its body cannot be read: {error})"),
    };
    answer::of_write(who, status, retry_after.as_deref(), &body)
}

/// The body of a successful answer goes on to the caller in pieces; another one is an error.
pub(super) async fn successful(response: Result<Response, reqwest::Error>) -> Result<Response, QueryError> {
    let response = response.map_err(|error| QueryError::Http(error.without_url()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = text(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
    Err(QueryError::Refused {
        status: status.as_u16(),
        reason: body.trim().chars().take(400).collect(),
    })
}

/// A whole body as text, at most `bytes_max` of it.
pub(super) async fn text(mut response: Response, bytes_max: usize) -> Result<String, QueryError> {
    let mut body = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| QueryError::Http(error.without_url()))?
    {
        if body.len() + piece.len() > bytes_max {
            return Err(QueryError::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    String::from_utf8(body).map_err(|_| QueryError::Form("it is not UTF-8".to_owned()))
}

/// `url` with the segments of `path` behind its own path.
pub(super) fn below(url: &str, path: &str) -> Result<Url, RemoteError> {
    let wrong = |why: &str| RemoteError::Url {
        url: url.to_owned(),
        why: why.to_owned(),
    };
    // Before anything is said about it: what stands before the @ may be a secret.
    if url.contains('@') {
        return Err(RemoteError::Url {
            url: "***".to_owned(),
            why: "credentials have keys of their own, and nothing else may hold an @".to_owned(),
        });
    }
    let parsed = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(wrong("it must begin with http:// or https:// and name a host"));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(wrong("it must end with its path"));
    }
    let base = parsed.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}{path}")).map_err(|error| wrong(&error.to_string()))
}

fn header(response: &Response, name: &reqwest::header::HeaderName) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

fn gzip(lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 6), Compression::fast());
    encoder.write_all(lines)?;
    encoder.finish()
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, RemoteError> {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {pair}"))
        .map_err(|error| RemoteError::Client(Box::new(error)))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_before_the_engines_own_is_kept() {
        for (url, want) in [
            ("http://h:1", "http://h:1/api"),
            ("http://h:1/", "http://h:1/api"),
            ("https://h/a/b/", "https://h/a/b/api"),
        ] {
            assert_eq!(below(url, "/api").unwrap().as_str(), want);
        }
        for url in ["h:1", "ftp://h", "http://u:p@h", "http://h?x=1", "http://", ""] {
            assert!(below(url, "/api").is_err(), "{url}");
        }
        for url in ["http://u:secret@h", "http//u:secret@h", "u:secret@h"] {
            let said = format!("{:?}", below(url, "/api").unwrap_err());
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
