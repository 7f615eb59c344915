//! `[remote]`: an engine beside this program that points go to as well.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use store::remote::{Credentials, EngineSettings, RemoteSettings, Secret};
use telemetry::time::Span;
use toml::Spanned;

use super::{beside, unspanned};

/// `[remote]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remote {
    /// Which engine. No default.
    pub engine: Spanned<EngineName>,
    /// Where it takes writes, as `http://` or `https://`; with the path that it lies behind. No default.
    pub url: Spanned<String>,
    /// InfluxDB's organisation. No default.
    pub organisation: Option<Spanned<String>>,
    /// InfluxDB's bucket. No default.
    pub bucket: Option<Spanned<String>>,
    /// Where VictoriaMetrics answers queries. Default: `url`.
    pub query_url: Option<Spanned<String>>,
    /// The tenant of a VictoriaMetrics cluster, `accountID` or `accountID:projectID`. Without: a single node.
    pub tenant: Option<Spanned<String>>,
    /// VictoriaMetrics: pages of metrics that say when the processes that keep points were started. Default: the single
    /// node's own; of a cluster none.
    #[serde(default)]
    pub watch: Vec<Spanned<String>>,
    /// InfluxDB's token, or a bearer token. Default none.
    pub token: Option<Spanned<String>>,
    /// User name for HTTP Basic. Default none.
    pub user: Option<Spanned<String>>,
    /// Password.
    pub password: Option<Spanned<String>>,
    /// PEM file with the authorities of the engine's certificate, instead of the system's.
    pub ca: Option<Spanned<PathBuf>>,
    /// The measurement of every point. Default `"townwatch"`.
    #[serde(default = "townwatch")]
    pub measurement: Spanned<String>,
    /// Further tags of every point. Default none.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Whether charts, figures and API read from it as well. Default false.
    #[serde(default)]
    pub read: bool,
    /// Whether the devices speak to other servers, and this one shows what those feed into the engine. Reads, too. Default
    /// false.
    #[serde(default)]
    pub viewer: bool,
    /// Longest wait for an answer, `"1s"` to `"10min"`. Default `"30s"`.
    #[serde(default = "half_a_minute")]
    pub timeout: Spanned<Span>,
    /// Most points in one request, 1 to 100,000. Default 10,000.
    #[serde(default = "ten_thousand")]
    pub lines_max: Spanned<usize>,
    /// How long points are gathered for a request, up to `"1min"`. Default `"1s"`.
    #[serde(default = "one_second")]
    pub gather: Spanned<Span>,
    /// How long the durable cursor trails behind what was acknowledged. Default `"5min"` with VictoriaMetrics, which
    /// acknowledges from memory; `"0s"` with InfluxDB.
    pub replay_window: Option<Span>,
}

/// The engines that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EngineName {
    /// InfluxDB 2.
    InfluxDb2,
    /// VictoriaMetrics.
    VictoriaMetrics,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without credentials.
        f.debug_struct("Remote")
            .field("engine", self.engine.get_ref())
            .field("url", self.url.get_ref())
            .finish_non_exhaustive()
    }
}

impl Remote {
    /// Makes its relative path start at the configuration's folder.
    pub(super) fn resolve(&mut self, config: &Path) {
        if let Some(ca) = &mut self.ca {
            let resolved = beside(config, ca.get_ref());
            *ca.get_mut() = resolved;
        }
    }

    /// For the store. What contradicts itself was refused by [`super::read`].
    ///
    /// # Errors
    /// When the file with the authorities cannot be read.
    pub(crate) fn settings(&self) -> std::io::Result<RemoteSettings> {
        let text = |value: &Option<Spanned<String>>| value.as_ref().map(|value| value.get_ref().clone());
        let engine = match self.engine.get_ref() {
            EngineName::InfluxDb2 => EngineSettings::Influx {
                organisation: text(&self.organisation).unwrap_or_default(),
                bucket: text(&self.bucket).unwrap_or_default(),
            },
            EngineName::VictoriaMetrics => EngineSettings::Victoria {
                query_url: text(&self.query_url),
                tenant: text(&self.tenant),
                watch: self.watch.iter().map(|page| page.get_ref().clone()).collect(),
            },
        };
        let credentials = match (text(&self.token), text(&self.user)) {
            (Some(token), _) => Credentials::Token(Secret::new(token)),
            (None, Some(user)) => Credentials::Basic {
                user,
                password: Secret::new(text(&self.password).unwrap_or_default()),
            },
            (None, None) => Credentials::None,
        };
        let ca = self.ca.as_ref().map(|path| std::fs::read(path.get_ref()));
        Ok(RemoteSettings {
            engine,
            url: self.url.get_ref().clone(),
            credentials,
            ca: ca.transpose()?,
            measurement: self.measurement.get_ref().clone(),
            tags: self.tags.clone().into_iter().collect(),
            timeout: *self.timeout.get_ref(),
            lines_max: *self.lines_max.get_ref(),
            replay_window: self.replay_window(),
        })
    }

    fn replay_window(&self) -> Span {
        let usual = match self.engine.get_ref() {
            EngineName::InfluxDb2 => Span::ZERO,
            EngineName::VictoriaMetrics => Span::from_secs(5 * 60),
        };
        self.replay_window.unwrap_or(usual)
    }

    #[cfg(test)]
    pub(super) fn shows_every_key(&self) -> bool {
        let all = [
            &self.organisation,
            &self.bucket,
            &self.query_url,
            &self.tenant,
            &self.token,
            &self.user,
            &self.password,
        ];
        all.iter().all(|key| key.is_some())
            && self.ca.is_some()
            && !self.watch.is_empty()
            && !self.tags.is_empty()
            && self.replay_window.is_some()
    }
}

fn townwatch() -> Spanned<String> {
    unspanned("townwatch".to_owned())
}

fn half_a_minute() -> Spanned<Span> {
    unspanned(Span::from_secs(30))
}

fn one_second() -> Spanned<Span> {
    unspanned(Span::from_secs(1))
}

fn ten_thousand() -> Spanned<usize> {
    unspanned(10_000)
}
