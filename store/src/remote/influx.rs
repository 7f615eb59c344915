//! InfluxDB 2: writing.
//!
//! Over plain HTTP through the crate `influxdb2`; behind TLS or a path, which that crate cannot reach soundly, through our
//! own client. `docs/decisions/0023-remote-engines.md` says which of the crate's parts are used and why.

use std::time::Duration;

use bytes::Bytes;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::{Client, ClientBuilder, RequestError};
use reqwest::Url;
use reqwest::header::RETRY_AFTER;
use reqwest_of_influxdb2 as old;

use super::answer::{self, Answer, Speaks};
use super::http::{self, Http};
use super::settings::{Credentials, RemoteError, RemoteSettings};

/// One bucket of an InfluxDB 2.
#[derive(Clone, Debug)]
pub(super) struct Influx {
    /// None where the crate cannot go.
    crates: Option<Client>,
    pub(super) http: Http,
    write_url: Url,
    pub(super) query_url: Url,
    organisation: String,
    pub(super) bucket: String,
    pub(super) measurement: String,
}

impl Influx {
    pub(super) fn new(
        settings: &RemoteSettings,
        organisation: &str,
        bucket: &str,
    ) -> Result<Self, RemoteError> {
        let base = http::below(&settings.url, "/")?;
        let mut write_url = http::below(&settings.url, "/api/v2/write")?;
        write_url
            .query_pairs_mut()
            .append_pair("org", organisation)
            .append_pair("bucket", bucket)
            .append_pair("precision", "ms");
        let mut query_url = http::below(&settings.url, "/api/v2/query")?;
        query_url.query_pairs_mut().append_pair("org", organisation);
        // The crate is built without TLS, drops the path of an address, and knows no scheme but `Token`.
        let reachable = base.scheme() == "http" && base.path() == "/";
        let crates = match &settings.credentials {
            Credentials::Token(token) if reachable => {
                Some(client_of_crate(settings, &base, organisation, token.expose())?)
            }
            Credentials::Token(_) | Credentials::Basic { .. } | Credentials::None => None,
        };
        Ok(Self {
            crates,
            http: Http::new(settings, "Token")?,
            write_url,
            query_url,
            organisation: organisation.to_owned(),
            bucket: bucket.to_owned(),
            measurement: settings.measurement.clone(),
        })
    }

    /// Sends lines once. InfluxDB has them in its log on disk before it answers.
    pub(super) async fn write(&self, lines: Bytes) -> Answer {
        let Some(client) = &self.crates else {
            return self
                .http
                .write(Speaks::Influx, self.write_url.clone(), &lines)
                .await;
        };
        let sent = client
            .write_line_protocol_with_precision(
                &self.organisation,
                &self.bucket,
                lines,
                TimestampPrecision::Milliseconds,
            )
            .await;
        match sent {
            Ok(()) => Answer::Taken,
            Err(RequestError::Http { status, text }) => {
                let status = status.as_u16();
                // The crate keeps no header of an answer.
                let asked = if matches!(status, 429 | 503) {
                    self.pause_asked_for().await
                } else {
                    None
                };
                answer::of_write(Speaks::Influx, status, asked.as_deref(), &text)
            }
            // The address may hold a secret.
            Err(RequestError::ReqwestProcessing { source }) => {
                Answer::broken(telemetry::with_causes(&source.without_url()))
            }
            Err(error @ (RequestError::Serializing { .. } | RequestError::Deserializing { .. })) => {
                Answer::broken(telemetry::with_causes(&error))
            }
        }
    }

    /// What an overloaded engine says in `Retry-After`, asked with a write of nothing.
    async fn pause_asked_for(&self) -> Option<String> {
        let asked = self
            .http
            .post(self.write_url.clone())
            .body("")
            .send()
            .await
            .ok()?;
        Some(asked.headers().get(RETRY_AFTER)?.to_str().ok()?.to_owned())
    }
}

/// The crate's client panics on an address that it does not like: this one was looked at before.
fn client_of_crate(
    settings: &RemoteSettings,
    base: &Url,
    organisation: &str,
    token: &str,
) -> Result<Client, RemoteError> {
    let builder = old::Client::builder()
        .timeout(settings.timeout.duration())
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(old::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("townwatch/", env!("CARGO_PKG_VERSION")));
    ClientBuilder::with_builder(builder, base.as_str(), organisation, token)
        .build()
        .map_err(|error| RemoteError::Client(Box::new(error)))
}
