//! `[mqtt]`: where the gate listens, whom it trusts, and how much it takes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use broker::{
    Admission, Allowance, CertificateName, ClientCertificates, GateConfig, ListenerConfig, Origins,
    TlsConfig, Trust, limits,
};
use serde::Deserialize;
use telemetry::time::Span;
use toml::Spanned;

use super::{beside, unspanned};

/// `[mqtt]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mqtt {
    /// Whether the gate is there at all. Default true; false where devices publish to an external broker.
    pub enabled: bool,
    /// Plain MQTT. Default `"127.0.0.1:1883"`; `"none"`: only at the listeners below.
    pub listen: Spanned<Listen>,
    /// Whether listeners without encryption may be reached from other machines. Default false.
    pub plaintext_beyond_loopback: bool,
    /// Whether a client without user name may listen: in a demo only, there is no key for it.
    #[serde(skip)]
    pub nameless_listen: bool,
    /// Time from the connection to a whole CONNECT packet, handshakes included. Default `"5s"`, `"100ms"` to `"1min"`.
    pub connect_timeout: Spanned<Span>,
    /// Most clients at a time. Default 50,000, 1 to 1,000,000.
    pub connections_max: Spanned<usize>,
    /// How many of them are kept for life-safety devices. Default: a fiftieth.
    pub life_safety_places: Option<usize>,
    /// Most clients from one address. Default 50,000.
    pub connections_per_address_max: usize,
    /// Most sockets that have not yet been let in. Default 10,000.
    pub strangers_max: usize,
    /// The same from one address. Default 5,000.
    pub strangers_per_address_max: usize,
    /// Sockets taken each second; 0: no limit. Default 5,000.
    pub accepts_per_s: u32,
    /// CONNECTs from one address each second; 0: no limit. Default 2,000.
    pub connects_per_s_per_address: u32,
    /// What one device may send.
    pub device: Device,
    /// What a gateway or a service account may send.
    pub gateway: Gateway,
    /// Further listeners.
    #[serde(rename = "listener")]
    pub listeners: Vec<Listener>,
}

impl Default for Mqtt {
    fn default() -> Self {
        let admission = Admission::default();
        Self {
            enabled: true,
            listen: unspanned(Listen(Some(SocketAddr::from(([127, 0, 0, 1], 1883))))),
            plaintext_beyond_loopback: false,
            nameless_listen: false,
            connect_timeout: unspanned(Span::from_secs(5)),
            connections_max: unspanned(admission.connections_max),
            life_safety_places: None,
            connections_per_address_max: admission.connections_per_address_max,
            strangers_max: admission.strangers_max,
            strangers_per_address_max: admission.strangers_per_address_max,
            accepts_per_s: admission.accepts_per_s,
            connects_per_s_per_address: admission.connects_per_s_per_address,
            device: Device::default(),
            gateway: Gateway::default(),
            listeners: Vec::new(),
        }
    }
}

/// An address, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Listen(pub Option<SocketAddr>);

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let address = text.parse();
        address
            .map(|address| Self(Some(address)))
            .map_err(|_| format!("{text:?} is neither an address with a port, like 127.0.0.1:1883, nor none"))
    }
}

/// `[mqtt.device]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Device {
    /// Largest payload, in KiB. Default 64, 4 to 1024.
    pub payload_kib_max: usize,
    /// Messages each second; 0: no limit. Default 1,000. Ten seconds' worth may come at once.
    pub messages_per_s: u32,
    /// KiB of messages each second; 0: no limit. Default 1,024.
    pub kib_per_s: u32,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            payload_kib_max: (Allowance::DEVICE.packet_bytes_max - limits::PACKET_OVERHEAD_MAX) / 1024,
            messages_per_s: Allowance::DEVICE.messages_per_s,
            kib_per_s: Allowance::DEVICE.bytes_per_s / 1024,
        }
    }
}

/// `[mqtt.gateway]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gateway {
    /// Largest payload, in KiB. Default and most 1,024.
    pub payload_kib_max: usize,
    /// Messages each second; 0: no limit. Default 10,000.
    pub messages_per_s: u32,
    /// KiB of messages each second; 0: no limit. Default 16,384.
    pub kib_per_s: u32,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            payload_kib_max: (Allowance::GATEWAY.packet_bytes_max - limits::PACKET_OVERHEAD_MAX) / 1024,
            messages_per_s: Allowance::GATEWAY.messages_per_s,
            kib_per_s: Allowance::GATEWAY.bytes_per_s / 1024,
        }
    }
}

/// `[[mqtt.listener]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    /// E.g. `"0.0.0.0:8883"`. No default.
    pub address: Spanned<SocketAddr>,
    /// No default.
    pub kind: Spanned<Kind>,
    /// PEM: the certificate and those between it and the root. For `tls` and `wss`.
    pub certificate: Option<PathBuf>,
    /// PEM: its private key.
    pub key: Option<PathBuf>,
    /// Whether clients show certificates. Default `"none"`.
    #[serde(default)]
    pub client_certificates: Shown,
    /// PEM: who issues them.
    pub client_ca: Option<PathBuf>,
    /// PEM: revocation lists of those authorities.
    pub client_revoked: Option<PathBuf>,
    /// Where in a client's certificate its device id stands. Default `"common_name"`.
    #[serde(default)]
    pub client_name: Name,
    /// For `ws` and `wss`: further pages that may connect, like `"https://ops.example.org"`; `"*"` is all. Default none.
    #[serde(default)]
    pub origins: Vec<String>,
}

/// What a listener speaks below MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Plain TCP.
    Tcp,
    /// TLS.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket inside TLS.
    Wss,
}

impl Kind {
    pub(crate) fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    pub(crate) fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shown {
    /// They are not asked.
    #[default]
    None,
    /// With one no password is needed.
    Optional,
    /// Nobody comes in without.
    Required,
}

/// Where in a client's certificate its device id stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
    /// The common name of the subject.
    #[default]
    CommonName,
    /// The DNS name among the alternative names.
    AlternativeName,
}

impl Listener {
    /// As the gate takes it; what `townwatch check` would find missing is empty.
    pub(crate) fn gate(&self) -> ListenerConfig {
        let kind = *self.kind.get_ref();
        let file = |file: &Option<PathBuf>| file.clone().unwrap_or_default();
        let trust = || Trust {
            authorities: file(&self.client_ca),
            revoked: self.client_revoked.clone(),
            name: match self.client_name {
                Name::CommonName => CertificateName::CommonName,
                Name::AlternativeName => CertificateName::SubjectAlternativeName,
            },
        };
        ListenerConfig {
            address: *self.address.get_ref(),
            tls: kind.is_encrypted().then(|| TlsConfig {
                certificate: file(&self.certificate),
                key: file(&self.key),
                clients: match self.client_certificates {
                    Shown::None => ClientCertificates::None,
                    Shown::Optional => ClientCertificates::Optional(trust()),
                    Shown::Required => ClientCertificates::Required(trust()),
                },
            }),
            websocket: kind
                .is_websocket()
                .then(|| Origins::new(self.origins.iter().map(String::as_str))),
        }
    }
}

impl Mqtt {
    /// Reads relative paths as seen from the folder of the configuration file.
    pub(super) fn resolve(&mut self, config: &Path) {
        for listener in &mut self.listeners {
            let files = [
                &mut listener.certificate,
                &mut listener.key,
                &mut listener.client_ca,
                &mut listener.client_revoked,
            ];
            for file in files.into_iter().flatten() {
                *file = beside(config, file);
            }
        }
    }

    /// As the gate takes it.
    pub(crate) fn gate(&self) -> GateConfig {
        let plain = self.listen.get_ref().0.map(ListenerConfig::plain);
        let further = self.listeners.iter().map(Listener::gate);
        let connections_max = *self.connections_max.get_ref();
        let allowance = |payload_kib_max: usize, messages_per_s, kib_per_s: u32| Allowance {
            packet_bytes_max: payload_kib_max.saturating_mul(1024) + limits::PACKET_OVERHEAD_MAX,
            messages_per_s,
            bytes_per_s: kib_per_s.saturating_mul(1024),
        };
        let (device, gateway) = (self.device, self.gateway);
        // What is not configured here stands in `new`; its listener is replaced.
        let defaults = GateConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        GateConfig {
            listeners: plain.into_iter().chain(further).collect(),
            connect_timeout: self.connect_timeout.get_ref().duration(),
            admission: Admission {
                connections_max,
                kept_for_life_safety: self.life_safety_places.unwrap_or(connections_max / 50),
                connections_per_address_max: self.connections_per_address_max,
                strangers_max: self.strangers_max,
                strangers_per_address_max: self.strangers_per_address_max,
                accepts_per_s: self.accepts_per_s,
                connects_per_s_per_address: self.connects_per_s_per_address,
            },
            device: allowance(device.payload_kib_max, device.messages_per_s, device.kib_per_s),
            gateway: allowance(gateway.payload_kib_max, gateway.messages_per_s, gateway.kib_per_s),
            ..defaults
        }
    }

    /// For a demo at `listen`: a county whose clock runs fast may say as much as it likes.
    pub(super) fn for_demo(listen: SocketAddr) -> Self {
        Self {
            listen: unspanned(Listen(Some(listen))),
            nameless_listen: true,
            device: Device {
                messages_per_s: 0,
                kib_per_s: 0,
                ..Device::default()
            },
            gateway: Gateway {
                messages_per_s: 0,
                kib_per_s: 0,
                ..Gateway::default()
            },
            ..Self::default()
        }
    }
}
