//! Which engine, and how it is spoken to.

use telemetry::time::Span;

/// A text that is in no log: it shows as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The engine and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineSettings {
    /// InfluxDB 2.
    Influx {
        /// Organisation.
        organisation: String,
        /// Bucket.
        bucket: String,
    },
    /// VictoriaMetrics, a single node or a cluster.
    Victoria {
        /// Where queries go, when that is not where writes go: a cluster's `vmselect`.
        query_url: Option<String>,
        /// `accountID` or `accountID:projectID` of a cluster; none for a single node.
        tenant: Option<String>,
        /// Pages of metrics of the processes that keep points, asked for when these were started. Without: that of a
        /// single node; of a cluster none.
        watch: Vec<String>,
    },
}

/// How we show who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all.
    None,
    /// InfluxDB's token, or a bearer token.
    Token(Secret),
    /// HTTP Basic.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
}

/// Everything about the remote engine.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// Which.
    pub engine: EngineSettings,
    /// Where it is, or where it takes writes; with the prefix of a path, if it lies behind one.
    pub url: String,
    /// How we show who we are.
    pub credentials: Credentials,
    /// Authorities of its certificate as PEM, instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// The measurement that every point belongs to.
    pub measurement: String,
    /// Further tags of every point.
    pub tags: Vec<(String, String)>,
    /// Longest wait for an answer.
    pub timeout: Span,
    /// Most lines of a request.
    pub lines_max: usize,
    /// How long the durable cursor trails behind what was acknowledged.
    pub replay_window: Span,
}

impl RemoteSettings {
    /// What the cursor is kept under: another engine, bucket or tenant begins anew.
    #[must_use]
    pub fn identity(&self) -> String {
        let url = self.url.trim_end_matches('/');
        match &self.engine {
            EngineSettings::Influx {
                organisation, bucket, ..
            } => format!("influxdb2 {url} {organisation} {bucket}"),
            EngineSettings::Victoria { tenant, .. } => {
                format!("victoriametrics {url} {}", tenant.as_deref().unwrap_or("-"))
            }
        }
    }

    /// A short name for logs and dead letters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.engine {
            EngineSettings::Influx { .. } => "influxdb2",
            EngineSettings::Victoria { .. } => "victoriametrics",
        }
    }
}

/// Why an engine cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An address that is none.
    #[error("{url:?} is no address of an engine: {why}")]
    Url {
        /// The address.
        url: String,
        /// Why.
        why: String,
    },
    /// The authorities or the credentials cannot be used.
    #[error("the client of the remote engine cannot be made")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system gave no thread.
    #[error("a thread for the remote engine could not be started")]
    Thread(#[source] std::io::Error),
    /// The state database failed.
    #[error("the cursor of the remote engine cannot be read")]
    State(#[from] crate::state::StateError),
}
