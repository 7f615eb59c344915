//! One connection to the broker: its options, and the task that keeps it moving.
//!
//! The library wants its event loop polled without a pause, so a task of its own does only that and hands on what
//! comes. Each connection has a new client: what the library would remember of the one before (acknowledgements that
//! were not sent) would be refused by the broker, which sends those messages again anyway. So that a session which the
//! broker has kept may be subscribed anew, the library is told that it had nothing under way ([`NothingUnderWay`]).

use std::pin::Pin;
use std::time::Duration;

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v5::{Packet, Publish, RetainForwardRule, SubscribeFilter, SubscribeReasonCode};
use rumqttc::{
    AckMode, AsyncClient, Broker, ConnectionError, Event, EventLoop, MqttOptions, PersistedAckMode,
    PersistedSession, SessionStore, SessionStoreError, SessionStoreKey, TlsConfiguration, Transport,
};
use telemetry::limits::{PAYLOAD_BYTES_MAX, TOPIC_BYTES_MAX};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::ExternalConfig;

/// A worker says so when it has nothing else to say.
const KEEP_ALIVE_S: u16 = 30;
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Head and properties of a packet, beside topic and payload.
const PACKET_HEAD_BYTES: usize = 4096;
/// Places for messages of QoS 0, which the broker does not hold back.
const QOS_0_PLACES: usize = 256;

/// Why a connection ended or could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// The client's settings are not accepted by the library.
    #[error("the client cannot be made: {0}")]
    Options(String),
    /// Broker or network.
    #[error("the connection failed")]
    Connection(#[source] Box<ConnectionError>),
    /// The broker has no shared subscriptions. `shared = false` and one worker, or another broker.
    #[error("the broker has no shared subscriptions: set external.shared = false and external.workers = 1")]
    NotShared,
    /// The broker refused the subscription.
    #[error("the broker refused the subscription: {0:?}")]
    Refused(Vec<SubscribeReasonCode>),
    /// The journal took nothing.
    #[error("the journal refused messages: {0}")]
    Journal(String),
    /// The task that polls has ended without a reason.
    #[error("the connection was closed")]
    Closed,
}

/// What came.
#[derive(Debug)]
pub(super) enum Heard {
    /// The broker let us in.
    Up {
        /// Whether it says that it has shared subscriptions; it is taken for a yes where it says nothing.
        shares: bool,
    },
    /// The subscription stands, unless one of these says otherwise.
    Subscribed(Vec<SubscribeReasonCode>),
    /// A message.
    Message(Publish),
}

/// A connection under way.
pub(super) struct Session {
    pub(super) client: AsyncClient,
    pub(super) heard: mpsc::Receiver<Heard>,
    task: JoinHandle<ConnectionError>,
}

impl Session {
    /// Begins to connect to `node`.
    pub(super) fn open(
        config: &ExternalConfig,
        number: u16,
        node: &(String, u16),
    ) -> Result<Self, SessionError> {
        let options = options(config, number, node);
        let places = usize::from(config.receive_max) + QOS_0_PLACES;
        let (client, events) = AsyncClient::builder(options)
            .capacity(places)
            .try_build()
            .map_err(|error| SessionError::Options(error.to_string()))?;
        let (tell, heard) = mpsc::channel(places);
        Ok(Self {
            client,
            heard,
            task: tokio::spawn(poll(events, tell)),
        })
    }

    /// Asks for the messages.
    pub(super) async fn subscribe(&self, config: &ExternalConfig) -> Result<(), SessionError> {
        let filter = |filter: &String| {
            let path = match &config.group {
                Some(group) => format!("$share/{group}/{filter}"),
                None => filter.clone(),
            };
            let mut filter = SubscribeFilter::new(path, QoS::AtLeastOnce);
            // What was retained came when the subscription was new.
            filter.retain_forward_rule = RetainForwardRule::OnNewSubscribe;
            filter
        };
        let filters: Vec<SubscribeFilter> = config.filters.iter().map(filter).collect();
        self.client
            .subscribe_many(filters)
            .await
            .map_err(|error| SessionError::Options(error.to_string()))
    }

    /// Why it ended. Call when `heard` is closed.
    pub(super) async fn end(self) -> SessionError {
        match self.task.await {
            Ok(error) => SessionError::Connection(Box::new(error)),
            Err(_) => SessionError::Closed,
        }
    }

    /// Says good-bye after all that was acknowledged, and waits until that is out, but not for ever.
    pub(super) async fn close(mut self, within: Duration) {
        self.heard.close();
        if self.client.disconnect().await.is_ok() {
            // What is not out by then is sent again by the broker.
            tokio::time::timeout(within, &mut self.task).await.ok();
        }
        self.task.abort();
    }

    /// Drops the connection as it is.
    pub(super) fn abandon(self) {
        self.task.abort();
    }
}

fn options(config: &ExternalConfig, number: u16, (host, port): &(String, u16)) -> MqttOptions {
    let client_id = format!("{}-{number}", config.client_id);
    let mut options = MqttOptions::new(client_id, Broker::tcp(host.clone(), *port));
    options
        .set_keep_alive(KEEP_ALIVE_S)
        .set_clean_start(false)
        .set_session_store(NothingUnderWay)
        .set_ack_mode(AckMode::Manual)
        .set_connect_timeout(CONNECT_TIME);
    let expiry_s = u32::try_from(config.session_expiry.as_secs()).unwrap_or(u32::MAX);
    options.set_session_expiry_interval(Some(expiry_s));
    options.set_receive_maximum(Some(config.receive_max.max(1)));
    let packet = PAYLOAD_BYTES_MAX + TOPIC_BYTES_MAX + PACKET_HEAD_BYTES;
    options.set_max_packet_size(Some(u32::try_from(packet).unwrap_or(u32::MAX)));
    if let Some((user, password)) = &config.login {
        options.set_credentials(user.clone(), password.clone().into_bytes());
    }
    if let Some(tls) = &config.tls {
        options.set_transport(Transport::Tls(TlsConfiguration::Simple {
            ca: tls.ca.clone(),
            alpn: None,
            client_auth: tls.client.clone(),
        }));
    }
    options
}

/// What the library asks for when it takes up a session: what it had sent before. Nothing is ever under way from here
/// but a subscription, which is made anew, and acknowledgements, without which the broker sends again.
#[derive(Clone, Copy, Debug)]
struct NothingUnderWay;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

impl SessionStore for NothingUnderWay {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Answer<'a, Option<PersistedSession>> {
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: None,
            outgoing_inflight_upper_limit: None,
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(std::future::ready(Ok(Some(session))))
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> Answer<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> Answer<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Keeps the connection moving until it fails, or nobody listens any more.
async fn poll(mut events: EventLoop, tell: mpsc::Sender<Heard>) -> ConnectionError {
    loop {
        let packet = match events.poll().await {
            Ok(Event::Incoming(packet)) => packet,
            Ok(Event::Outgoing(_) | Event::Auth(_)) => continue,
            Err(error) => return error,
        };
        let heard = match packet {
            Packet::ConnAck(ack) => {
                // It has served; else the library would write down its state at each acknowledgement.
                events.options.clear_session_store();
                let shares = ack
                    .properties
                    .and_then(|said| said.shared_subscription_available)
                    .is_none_or(|available| available != 0);
                Heard::Up { shares }
            }
            Packet::SubAck(ack) => Heard::Subscribed(ack.return_codes),
            Packet::Publish(publish) => Heard::Message(publish),
            _ => continue,
        };
        // Closed on purpose: what comes now is not taken and not acknowledged, and the loop ends with DISCONNECT.
        tell.send(heard).await.ok();
    }
}
