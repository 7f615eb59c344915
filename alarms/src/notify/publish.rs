//! Publishing a notice: one connection for each, QoS 1, to an address that was checked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v5::PubAckReason;
use rumqttc::{
    AsyncClient, Broker, ConnectionError, EventLoop, MqttOptions, PublishOptions, PublishResult,
    TlsConfiguration, Transport,
};

use super::attempt::Outcome;
use super::guard;
use crate::settings::{MqttSettings, SettingsError};

/// From connecting to the acknowledgement.
const TIMEOUT: Duration = Duration::from_secs(5);
/// So many names are used in turn: more than there are connections at one time.
const NAMES: usize = 64;
/// The connection ends with its one message long before.
const KEEP_ALIVE_S: u16 = 30;

/// The way to one broker.
pub(super) struct Publisher {
    settings: MqttSettings,
    client_id: String,
    /// Connections so far: two at one time must not have one name, or the broker ends the first.
    connections: AtomicUsize,
    allow: Box<[Box<str>]>,
    ca: Option<Vec<u8>>,
}

impl Publisher {
    pub(super) fn new(
        channel: &str,
        settings: &MqttSettings,
        allow: &[Box<str>],
    ) -> Result<Self, SettingsError> {
        let read = |file: &str| {
            std::fs::read(file).map_err(|error| SettingsError {
                field: "channel",
                why: format!("{channel}: ca {file:?} cannot be read: {error}"),
            })
        };
        let ca = settings.ca.as_deref().map(read).transpose()?;
        let own = || format!("townwatch-notices-{channel}");
        Ok(Self {
            settings: settings.clone(),
            client_id: settings.client_id.as_deref().map_or_else(own, str::to_owned),
            connections: AtomicUsize::new(0),
            allow: allow.into(),
            ca,
        })
    }

    /// Publishes once. Delivered: the broker has acknowledged it, and has not said that nobody subscribes.
    pub(super) async fn send(&self, topic: &str, payload: String) -> Outcome {
        match tokio::time::timeout(TIMEOUT, self.publish(topic, payload)).await {
            Ok(Ok(())) => Outcome::Delivered,
            Ok(Err(why)) => Outcome::Failed(why),
            Err(_) => Outcome::Failed(format!(
                "the broker did not acknowledge it within {} s",
                TIMEOUT.as_secs()
            )),
        }
    }

    async fn publish(&self, topic: &str, payload: String) -> Result<(), String> {
        let settings = &self.settings;
        let port = settings.port.unwrap_or(if settings.tls { 8883 } else { 1883 });
        let address = guard::resolve(&settings.host, port, &self.allow, false).await?;
        let number = self.connections.fetch_add(1, Ordering::Relaxed) % NAMES;
        let mut options = MqttOptions::new(
            format!("{}-{number}", self.client_id),
            Broker::tcp(settings.host.to_string(), port),
        );
        options
            .set_keep_alive(KEEP_ALIVE_S)
            .set_clean_start(true)
            .set_connect_timeout(TIMEOUT)
            // The address that was checked, whatever the name says by now.
            .set_socket_connector(move |_, _| tokio::net::TcpStream::connect(address));
        if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
            let password = password.reveal().as_bytes().to_vec();
            options.set_credentials(user.to_string(), password);
        }
        if let Some(ca) = &self.ca {
            options.set_transport(Transport::Tls(TlsConfiguration::Simple {
                ca: ca.clone(),
                alpn: None,
                client_auth: None,
            }));
        }
        let (client, mut events) = AsyncClient::builder(options)
            .capacity(2)
            .try_build()
            .map_err(|error| error.to_string())?;
        let said = async {
            let notice = client
                .publish_tracked(topic, payload.into_bytes(), PublishOptions::new(QoS::AtLeastOnce))
                .await
                .map_err(|error| error.to_string())?;
            let taken = notice.wait_async().await.map_err(|error| error.to_string())?;
            match taken {
                PublishResult::Qos1(ack) if ack.reason == PubAckReason::Success => Ok(()),
                other => Err(format!("the broker has it, but nobody gets it: {other:?}")),
            }
        };
        tokio::select! {
            biased;
            said = said => {
                // It is acknowledged, or refused; how the good-bye ends changes nothing.
                client.disconnect().await.ok();
                tokio::time::timeout(Duration::from_secs(1), keep_moving(&mut events)).await.ok();
                said
            }
            error = keep_moving(&mut events) => Err(telemetry::with_causes(&error)),
        }
    }
}

/// Keeps the connection moving until it fails.
async fn keep_moving(events: &mut EventLoop) -> ConnectionError {
    loop {
        if let Err(error) = events.poll().await {
            return error;
        }
    }
}
