//! One receiver over HTTP.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use store::state::alarms::Notice;
use telemetry::Timestamp;

use super::{NotifyError, guard, signature};
use crate::settings::{SettingsError, WebhookSettings};

/// From the first byte to the last.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How an attempt to send ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it: any 2xx.
    Delivered,
    /// Not this time; why.
    Failed(String),
    /// Never; why.
    Hopeless(String),
}

pub(super) struct Webhook {
    name: Box<str>,
    url: Url,
    key: Option<Vec<u8>>,
    client: Client,
    refused: Option<String>,
}

impl Webhook {
    pub(super) fn new(settings: &WebhookSettings, allow: &[Box<str>]) -> Result<Self, NotifyError> {
        let wrong = |why: String| SettingsError {
            field: "webhook",
            why,
        };
        let url = Url::parse(&settings.url).map_err(|error| wrong(error.to_string()))?;
        let key = settings
            .secret
            .as_deref()
            .map(signature::key)
            .transpose()
            .map_err(wrong)?;
        // The second to install it finds it there; both are the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        // No redirects and no proxy: both would lead to addresses that nobody checked.
        let builder = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("townwatch/", env!("CARGO_PKG_VERSION")));
        let listed = guard::is_listed(&url, allow);
        let builder = if listed {
            builder
        } else {
            builder.dns_resolver(Arc::new(guard::PublicOnly))
        };
        let refused = if listed {
            None
        } else {
            guard::literal_refused(&url)
        };
        Ok(Self {
            name: settings.name.clone(),
            url,
            key,
            client: builder.build()?,
            refused,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends once. The body of the answer is not read.
    pub(super) async fn send(&self, notice: &Notice, now: Timestamp) -> Outcome {
        if let Some(why) = &self.refused {
            return Outcome::Hopeless(why.clone());
        }
        let timestamp_s = now.millis().div_euclid(1000);
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header("webhook-id", &*notice.key)
            .header("webhook-timestamp", timestamp_s);
        if let Some(key) = &self.key {
            request = request.header(
                "webhook-signature",
                signature::sign(key, &notice.key, timestamp_s, &notice.payload),
            );
        }
        match request.body(notice.payload.clone()).send().await {
            Ok(answer) if answer.status().is_success() => Outcome::Delivered,
            // Standard Webhooks: 410 means that the receiver is gone for good.
            Ok(answer) if answer.status() == reqwest::StatusCode::GONE => {
                Outcome::Hopeless("the receiver answered 410 gone".to_owned())
            }
            Ok(answer) => Outcome::Failed(format!("the receiver answered {}", answer.status())),
            // The URL may hold a secret.
            Err(error) => Outcome::Failed(telemetry::with_causes(&error.without_url())),
        }
    }
}
