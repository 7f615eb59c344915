//! Asking over HTTP: one time-out, a bounded answer, no redirects, no proxy, and no private address that is not listed.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use telemetry::time::Span;

use super::attempt::Outcome;
use super::guard;

/// From the first byte of a request to the last of its answer. Source: `faults-security.md` §2.4.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read. A longer one counts as none. Source: `faults-security.md` §2.4.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The pause after "too many requests" that does not say how long.
const PAUSE: Span = Span::from_secs(60);

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// Its type and the body; none for a GET.
    pub(super) body: Option<(&'static str, String)>,
}

/// The type of a JSON body.
pub(super) const JSON: &str = "application/json; charset=utf-8";

impl Ask {
    /// A POST of JSON.
    pub(super) fn json(url: Url, body: String) -> Self {
        Self {
            method: Method::POST,
            url,
            headers: HeaderMap::new(),
            body: Some((JSON, body)),
        }
    }

    /// With a header; a value that no header can hold is left out.
    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Empty where it was not read.
    pub(super) body: String,
    /// How long to wait before asking again.
    pub(super) retry_after: Option<Span>,
}

impl Answer {
    /// What the status says; none when it is 2xx. Pure.
    pub(super) fn failure(&self) -> Option<Outcome> {
        if self.status.is_success() {
            return None;
        }
        let why = format!("the receiver answered {}", self.status);
        let busy = self.status == StatusCode::SERVICE_UNAVAILABLE && self.retry_after.is_some();
        Some(if self.status == StatusCode::TOO_MANY_REQUESTS || busy {
            let pause = self.retry_after.unwrap_or(PAUSE);
            Outcome::TooFast { why, pause }
        } else {
            Outcome::Failed(why)
        })
    }
}

/// The two clients that all doors share.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    listed: Client,
    guarded: Client,
}

impl Clients {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        // The second to install it finds it there; both are the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        // No redirects and no proxy: both would lead to addresses that nobody checked.
        let builder = || {
            Client::builder()
                .timeout(TIMEOUT)
                .redirect(Policy::none())
                .no_proxy()
                .user_agent(concat!("townwatch/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self {
            listed: builder().build()?,
            guarded: builder().dns_resolver(Arc::new(guard::PublicOnly)).build()?,
        })
    }

    /// A door to the host of `url`.
    pub(super) fn door(&self, url: &Url, allow: &[Box<str>]) -> Door {
        if guard::is_listed(url, allow) {
            Door {
                client: self.listed.clone(),
                refused: None,
            }
        } else {
            Door {
                client: self.guarded.clone(),
                refused: guard::literal_refused(url),
            }
        }
    }
}

/// A way to one host.
#[derive(Clone, Debug)]
pub(super) struct Door {
    client: Client,
    refused: Option<String>,
}

impl Door {
    /// Asks once. `read`: whether the body of the answer counts.
    pub(super) async fn ask(&self, ask: Ask, read: bool) -> Result<Answer, Outcome> {
        if let Some(why) = &self.refused {
            return Err(Outcome::Hopeless(why.clone()));
        }
        let mut request = self.client.request(ask.method, ask.url).headers(ask.headers);
        if let Some((form, body)) = ask.body {
            request = request.header(CONTENT_TYPE, form).body(body);
        }
        let mut response = request.send().await.map_err(failed)?;
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Span::from_secs);
        let status = response.status();
        let mut bytes = Vec::new();
        while read && let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let why = format!("the answer has more than {ANSWER_BYTES_MAX} bytes");
                return Err(Outcome::Failed(why));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            body: String::from_utf8_lossy(&bytes).into_owned(),
            retry_after,
        })
    }
}

/// The URL may hold a secret.
fn failed(error: reqwest::Error) -> Outcome {
    Outcome::Failed(telemetry::with_causes(&error.without_url()))
}
