//! The configuration of `townwatch serve`: a TOML file. Every key has a default but the registry; unknown
//! keys are refused. `template.toml` shows them all; a test holds that it does.

mod findings;
mod mqtt;
mod remote;
mod rules;

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use alarms::AlarmSettings;
use serde::Deserialize;
use telemetry::DeviceId;
use telemetry::time::Span;
use toml::Spanned;

use crate::exit::Failure;

pub(crate) use findings::rules::{NewRules, new_rules};
pub(crate) use findings::{Checked, Finding, read};
pub(crate) use mqtt::Mqtt;
pub(crate) use remote::Remote;
pub(crate) use rules::{CaseSettings, Figures};

/// The commented template that `townwatch check --print` prints.
pub(crate) const TEMPLATE: &str = include_str!("config/template.toml");

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the data lies.
    #[serde(default)]
    pub data: Data,
    /// Who and what there is.
    pub registry: RegistryFile,
    /// The MQTT gate.
    #[serde(default)]
    pub mqtt: Mqtt,
    /// Polling over Modbus.
    #[serde(default)]
    pub modbus: Modbus,
    /// HJ 212 data loggers.
    #[serde(default)]
    pub hj212: Hj212,
    /// An external broker beside the gate, or instead of it.
    pub external: Option<External>,
    /// An engine beside this program that points go to as well.
    pub remote: Option<Remote>,
    /// Pages and API.
    #[serde(default)]
    pub web: Web,
    /// Readings that are pushed over HTTP.
    #[serde(default)]
    pub push: Push,
    /// When alarms are raised, and who is told.
    #[serde(default)]
    pub alarms: AlarmSettings,
    /// What becomes of alarms.
    #[serde(default)]
    pub cases: CaseSettings,
    /// How the figures are computed.
    #[serde(default)]
    pub figures: Figures,
}

/// `[data]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Data {
    /// Folder; made when missing. Default `"./townwatch-data"`.
    pub folder: PathBuf,
    /// How long points are kept. Default 13 months, `"400d"`; at least `"1d"`. Source: `domain.md` §7 (assumed).
    pub keep: Spanned<Span>,
    /// How long the points of a class of signals are kept, where it differs.
    pub retention: Retention,
    /// Most series. Points of one more are refused and counted. Default 2,000,000.
    pub series_max: Spanned<u32>,
    /// How long raw messages are kept in the journal after everybody has read them. Default `"7d"`.
    pub journal_keep: Span,
    /// Most bytes of the journal, in MiB. Full of unread messages: nothing more is acknowledged. Default 2048.
    pub journal_mib_max: u64,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            folder: "./townwatch-data".into(),
            keep: unspanned(Span::from_secs(400 * 86_400)),
            retention: Retention::default(),
            series_max: unspanned(2_000_000),
            journal_keep: Span::from_secs(7 * 86_400),
            journal_mib_max: 2048,
        }
    }
}

/// `[data.retention]`: by `retention_class` of the signals in the profiles. Each by default [`Data::keep`], and at
/// least `"1d"`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    /// Signals of life-safety profiles.
    pub life_safety: Option<Spanned<Span>>,
    /// What figures and inspections are computed from.
    pub compliance: Option<Spanned<Span>>,
    /// Everything that says nothing else.
    pub operation: Option<Spanned<Span>>,
    /// What only helps to find a fault of the device itself.
    pub diagnostic: Option<Spanned<Span>>,
}

/// `[registry]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistryFile {
    /// TOML or JSON (by its ending): county, organisations, sites, devices, evaluations.
    pub file: Spanned<PathBuf>,
    /// Folder with further device profiles (`*.toml`); a kind of the same name replaces the built-in one.
    pub profiles: Option<Spanned<PathBuf>>,
}

/// `[modbus]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Modbus {
    /// Longest wait for an answer. Default `"1s"`.
    pub timeout: Span,
    /// Shortest pause between two requests on a line. A profile may ask for more. Default `"0s"`, at most `"10s"`.
    pub request_pause: Spanned<Span>,
    /// Pause after a connection was made. Default `"0s"`, at most `"10s"`.
    pub connect_pause: Spanned<Span>,
    /// Longest wait before a silent unit is asked again while others share its line. Default `"1min"`.
    pub backoff_max: Span,
    /// Whether the registers that profiles list with a range may be written. Default `false`.
    pub writes: bool,
    /// Signals of life-safety devices that may be written nevertheless, as `device/signal`. Default none.
    pub life_safety_writes: Vec<Spanned<String>>,
}

impl Default for Modbus {
    fn default() -> Self {
        Self {
            timeout: Span::from_secs(1),
            request_pause: unspanned(Span::ZERO),
            connect_pause: unspanned(Span::ZERO),
            backoff_max: Span::from_secs(60),
            writes: false,
            life_safety_writes: Vec::new(),
        }
    }
}

/// `[hj212]`: data loggers 数采仪 that connect over TCP; their numbers and passwords stand in the registry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Hj212 {
    /// Where loggers connect. Without: nowhere. The protocol has no encryption: beyond loopback use a VPN.
    pub listen: Option<SocketAddr>,
    /// Most connections at a time. Default 1,024.
    pub connections_max: usize,
    /// Most connections of one address. Default 64.
    pub connections_per_address_max: usize,
    /// A connection that brings nothing for so long is closed. Default `"15min"`.
    pub idle_timeout: Span,
}

impl Default for Hj212 {
    fn default() -> Self {
        Self {
            listen: None,
            connections_max: 1024,
            connections_per_address_max: 64,
            idle_timeout: Span::from_secs(15 * 60),
        }
    }
}

/// `[external]`: an MQTT 5 broker, or a cluster of them, that devices publish to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct External {
    /// Each node as `"host:port"`, at least one. A worker goes on to the next when one fails.
    pub nodes: Spanned<Vec<String>>,
    /// Beginning of the client ids; a hyphen and the worker's number follow. Default `"townwatch"`.
    #[serde(default = "townwatch")]
    pub client_id: String,
    /// User name. Default none.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Spanned<String>>,
    /// PEM file with the authority of the broker's certificate. Without: no TLS.
    pub ca: Option<Spanned<PathBuf>>,
    /// PEM file with the certificate to show; with `key`.
    pub certificate: Option<Spanned<PathBuf>>,
    /// PEM file with its key.
    pub key: Option<Spanned<PathBuf>>,
    /// Filters. Default `["tw/v1/+/telemetry", "tw/v1/+/state"]`.
    #[serde(default = "every_device")]
    pub filters: Vec<String>,
    /// Whether the workers share one subscription. Default true; false for brokers without shared subscriptions.
    #[serde(default = "yes")]
    pub shared: bool,
    /// Name of the group that shares. Default `"townwatch"`.
    #[serde(default = "townwatch")]
    pub group: String,
    /// Clients side by side, 1 to 64. Default 2.
    #[serde(default = "two")]
    pub workers: Spanned<u16>,
    /// How long the broker keeps messages for a worker that is not there. Default `"1d"`.
    #[serde(default = "one_day")]
    pub session_expiry: Span,
    /// Unacknowledged messages of one worker, 1 to 65,535. Default 1,000.
    #[serde(default = "thousand")]
    pub receive_max: u16,
}

impl External {
    /// Makes its relative paths start at the configuration's folder.
    fn resolve(&mut self, config: &Path) {
        for path in [&mut self.ca, &mut self.certificate, &mut self.key]
            .into_iter()
            .flatten()
        {
            let resolved = beside(config, path.get_ref());
            *path.get_mut() = resolved;
        }
    }
}

fn townwatch() -> String {
    "townwatch".to_owned()
}

fn every_device() -> Vec<String> {
    vec!["tw/v1/+/telemetry".to_owned(), "tw/v1/+/state".to_owned()]
}

fn yes() -> bool {
    true
}

fn two() -> Spanned<u16> {
    unspanned(2)
}

fn one_day() -> Span {
    Span::from_secs(86_400)
}

fn thousand() -> u16 {
    1000
}

impl Modbus {
    /// The life-safety signals that may be written, with where they stand in the file. What is no
    /// `device/signal` is left out: `townwatch check` has refused it.
    pub(crate) fn life_safety_writes(&self) -> impl Iterator<Item = (Range<usize>, (DeviceId, Box<str>))> {
        self.life_safety_writes.iter().filter_map(|entry| {
            let (device, signal) = entry.get_ref().split_once('/')?;
            Some((entry.span(), (device.parse().ok()?, signal.into())))
        })
    }
}

/// `[web]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Web {
    /// Default `"127.0.0.1:8080"`.
    pub listen: Spanned<SocketAddr>,
    /// Who may use pages and API. Without any, everybody on this machine may, and no other.
    #[serde(rename = "token")]
    pub tokens: Vec<Token>,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen: unspanned(SocketAddr::from(([127, 0, 0, 1], 8080))),
            tokens: Vec::new(),
        }
    }
}

/// `[[web.token]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    /// Whose it is; stands in the audit log.
    pub name: String,
    /// SHA-256 of the token, 64 hexadecimal digits.
    pub sha256: Spanned<String>,
    /// Default `"read"`.
    #[serde(default)]
    pub role: Role,
}

impl Token {
    /// The 32 bytes behind the digits; `townwatch check` has seen that there are 64.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut digest = [0; 32];
        let digits = self.sha256.get_ref().as_bytes();
        for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).unwrap_or_default();
            *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
        }
        digest
    }
}

/// What a token's holder may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Look.
    #[default]
    Read,
    /// Look, acknowledge alarms, and work on cases.
    Operate,
    /// Look, acknowledge, and say which devices and accounts may come in.
    Administer,
    /// Look, acknowledge, and write to field devices what profile and configuration allow.
    Control,
}

/// `[push]`: `POST /api/v1/telemetry` and `POST /api/v2/write`, at the address of the pages, with the credentials
/// of the gate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Push {
    /// Whether readings may be pushed. Default true.
    pub enabled: bool,
    /// Most requests a second of one sender, twice as many at once; more are answered with 429. Default 50.
    pub requests_per_s_max: u32,
    /// The tag of line protocol that names the device. Default `"device"`.
    pub device_tag: String,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            enabled: true,
            requests_per_s_max: 50,
            device_tag: "device".to_owned(),
        }
    }
}

fn unspanned<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

impl Config {
    /// The configuration of a demo: everything by default, but these.
    pub(crate) fn for_demo(folder: PathBuf, mqtt: SocketAddr, web: SocketAddr) -> Self {
        Self {
            data: Data {
                folder,
                ..Data::default()
            },
            registry: RegistryFile {
                file: unspanned(PathBuf::new()),
                profiles: None,
            },
            mqtt: Mqtt::for_demo(mqtt),
            modbus: Modbus::default(),
            web: Web {
                listen: unspanned(web),
                ..Web::default()
            },
            hj212: Hj212::default(),
            external: None,
            remote: None,
            push: Push::default(),
            alarms: AlarmSettings::default(),
            cases: CaseSettings::default(),
            figures: Figures::default(),
        }
    }
}

/// Host and port of a node, `"host:port"` or `"[v6]:port"`.
pub(crate) fn node_of(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// Name and text of the file that the configuration in `file` names; `what` it is, for the refusal.
pub(crate) fn read_named(file: &Path, named: &Path, what: &str) -> Result<(String, String), Failure> {
    let path = beside(file, named);
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::Input(format!("the {what} {shown} cannot be read: {error}")))?;
    Ok((shown, text))
}

/// `path` as seen from the folder of the configuration file.
pub(crate) fn beside(config: &Path, path: &Path) -> PathBuf {
    config
        .parent()
        .map_or_else(|| path.to_owned(), |folder| folder.join(path))
}
