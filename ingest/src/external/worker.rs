//! One client of the external broker: takes what comes, has it journaled, and only then acknowledges it, in the order
//! in which it came.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rumqttc::mqttbytes::v5::{Publish, SubscribeReasonCode};
use telemetry::{Backoff, Clock, RawMessage};
use tokio_util::sync::CancellationToken;

use super::session::{Heard, Session, SessionError};
use super::{Counters, ExternalConfig, Sink, letter};

/// Most messages that go into the journal at once. They never wait for each other: it is what has come meanwhile.
const BATCH_MAX: usize = 1024;
/// Most bytes of them.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long the last acknowledgements may take at the end.
const CLOSE_TIME: Duration = Duration::from_secs(5);

pub(super) struct Worker {
    pub(super) number: u16,
    pub(super) config: Arc<ExternalConfig>,
    pub(super) sink: Sink,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Arc<Counters>,
    pub(super) cancel: CancellationToken,
}

/// How a connection ended, where nothing failed.
struct Stopped;

impl Worker {
    /// Connects again and again until it is told to stop.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new(u64::from(self.number) + 1, self.config.reconnect_max);
        let mut turn = usize::from(self.number);
        while !self.cancel.is_cancelled() {
            let nodes = &self.config.nodes;
            let Some(node) = nodes.get(turn % nodes.len().max(1)) else {
                tracing::error!("the external broker has no address");
                return;
            };
            let Err(error) = self.connection(node, &mut backoff).await else {
                return;
            };
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
            let wait = backoff.failed().duration();
            self.tell(&error, &node.0, backoff.failures() == 1);
            turn += 1;
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Loudly once, then quietly: a broker that is down for a day is one line in the log of each worker.
    fn tell(&self, error: &SessionError, node: &str, first: bool) {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        let (worker, cause) = (self.number, cause.unwrap_or_default());
        if first {
            tracing::warn!(worker, node, %error, cause, "the external broker is not heard; trying again");
        } else {
            tracing::debug!(worker, node, %error, cause, "the external broker is still not heard");
        }
    }

    async fn connection(&self, node: &(String, u16), backoff: &mut Backoff) -> Result<Stopped, SessionError> {
        let mut session = Session::open(&self.config, self.number, node)?;
        let mut subscribed = false;
        let ended = self.listen(&mut session, &mut subscribed, backoff).await;
        if subscribed {
            self.counters.connected.fetch_sub(1, Ordering::Relaxed);
        }
        match ended {
            Ok(true) => {
                session.close(CLOSE_TIME).await;
                Ok(Stopped)
            }
            Ok(false) => Err(session.end().await),
            Err(error) => {
                session.abandon();
                Err(error)
            }
        }
    }

    /// Answers whether it was told to stop; else the connection has ended.
    async fn listen(
        &self,
        session: &mut Session,
        subscribed: &mut bool,
        backoff: &mut Backoff,
    ) -> Result<bool, SessionError> {
        // What came between messages: a session that goes on delivers before it answers the subscription.
        let mut next = None;
        loop {
            let heard = match next.take() {
                Some(heard) => Some(heard),
                None => tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => return Ok(true),
                    heard = session.heard.recv() => heard,
                },
            };
            match heard {
                None => return Ok(false),
                Some(Heard::Up { shares: false }) if self.config.group.is_some() => {
                    return Err(SessionError::NotShared);
                }
                // Asked for each time: the broker may have lost the session, and the configuration may have changed.
                Some(Heard::Up { .. }) => session.subscribe(&self.config).await?,
                Some(Heard::Subscribed(codes)) => {
                    granted(codes)?;
                    if !std::mem::replace(subscribed, true) {
                        self.counters.connected.fetch_add(1, Ordering::Relaxed);
                        tracing::info!(worker = self.number, "subscribed at the external broker");
                    }
                }
                Some(Heard::Message(first)) => {
                    next = self.take(first, session).await?;
                    backoff.succeeded();
                }
            }
        }
    }

    /// Journals `first` and what has come behind it, then acknowledges. Answers what came that was no message.
    async fn take(&self, first: Publish, session: &mut Session) -> Result<Option<Heard>, SessionError> {
        let mut publishes = vec![first];
        let mut bytes = 0;
        let mut other = None;
        while publishes.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            match session.heard.try_recv() {
                Ok(Heard::Message(publish)) => {
                    bytes += publish.payload.len();
                    publishes.push(publish);
                }
                Ok(heard @ (Heard::Up { .. } | Heard::Subscribed(_))) => {
                    other = Some(heard);
                    break;
                }
                Err(_) => break,
            }
        }
        let messages = self.messages(&publishes);
        let count = u64::try_from(publishes.len()).unwrap_or(u64::MAX);
        self.counters.received.fetch_add(count, Ordering::Relaxed);
        if let Err(error) = (self.sink)(messages).await {
            self.counters.refused.fetch_add(count, Ordering::Relaxed);
            return Err(SessionError::Journal(error.to_string()));
        }
        for publish in &publishes {
            if session.client.ack(publish).await.is_err() {
                return Ok(other); // The connection is gone, which the next look finds; the broker sends it again.
            }
            self.counters.acknowledged.fetch_add(1, Ordering::Relaxed);
            if let Some(mine) = self.counters.by_worker.get(usize::from(self.number)) {
                mine.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(other)
    }

    fn messages(&self, publishes: &[Publish]) -> Vec<RawMessage> {
        let arrived = self.clock.now();
        let message = |publish: &Publish| {
            let (message, strange) = letter::of(
                &publish.topic,
                publish.payload.clone(),
                arrived,
                &self.config.nobody,
            );
            self.counters
                .strange
                .fetch_add(u64::from(strange), Ordering::Relaxed);
            self.counters
                .redelivered
                .fetch_add(u64::from(publish.dup), Ordering::Relaxed);
            message
        };
        publishes.iter().map(message).collect()
    }
}

fn granted(codes: Vec<SubscribeReasonCode>) -> Result<(), SessionError> {
    if codes
        .iter()
        .all(|code| matches!(code, SubscribeReasonCode::Success(_)))
    {
        return Ok(());
    }
    if codes.contains(&SubscribeReasonCode::SharedSubscriptionsNotSupported) {
        return Err(SessionError::NotShared);
    }
    Err(SessionError::Refused(codes))
}
