//! What a client hears: its subscriptions, and the live messages that go out to it.

use tokio::io::{AsyncRead, AsyncWrite};

use super::Client;
use crate::codec::packet::{Publish, QoS};
use crate::codec::{encode, reason};
use crate::fanout::{LiveMessage, Subscriber};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    pub(super) async fn subscribe(&mut self, id: u16, grants: Vec<(Box<str>, Result<QoS, u8>)>) {
        let mut codes = Vec::with_capacity(grants.len());
        for (filter, grant) in grants {
            let code = match grant {
                Ok(qos) if self.fan_in(&filter).await => qos.bits(),
                Ok(_) => {
                    self.session.revoke(&filter);
                    reason::QUOTA_EXCEEDED
                }
                Err(code) => code,
            };
            if code >= reason::UNSPECIFIED_ERROR {
                self.shared.tally.subscriptions_refused.one();
                tracing::info!(client = %self.name, %filter, code, "subscription refused");
            } else {
                self.shared.tally.subscriptions.one();
            }
            codes.push(code);
        }
        encode::suback(&mut self.io.out, self.session.version, id, &codes);
    }

    /// Whether the fan-out takes `filter`; opens the link with the first.
    async fn fan_in(&mut self, filter: &str) -> bool {
        if self.subscriber.is_none() {
            self.subscriber = self.shared.fan_out.open().await.ok();
        }
        match &self.subscriber {
            Some(subscriber) => subscriber.subscribe(filter).await.is_ok(),
            None => false,
        }
    }

    pub(super) async fn unsubscribe(&mut self, id: u16, filters: Vec<(Box<str>, bool)>) {
        let mut codes = Vec::with_capacity(filters.len());
        for (filter, known) in filters {
            if known && let Some(subscriber) = &self.subscriber {
                subscriber.unsubscribe(&filter).await;
            }
            codes.push(if known {
                reason::SUCCESS
            } else {
                reason::NO_SUBSCRIPTION_EXISTED
            });
        }
        encode::unsuback(&mut self.io.out, self.session.version, id, &codes);
    }

    /// Writes one live message; the caller has seen to it that there is room.
    pub(super) fn deliver(&mut self, message: LiveMessage) {
        let Some(qos) = self.session.delivery(&message.topic, message.qos) else {
            return;
        };
        if !self.session.may_hear(&message.topic) {
            return self.shared.tally.deliveries_refused.one();
        }
        let mut publish = Publish {
            dup: false,
            qos,
            retain: false,
            topic: message.topic,
            id: u16::MAX,
            properties: message.properties,
            payload: message.payload,
        };
        let version = self.session.version;
        // What the client said it cannot take is dropped. Source: MQTT 5.0 §3.1.2.11.4.
        if self
            .packet_bytes_max
            .is_some_and(|max| encode::publish_len(version, &publish) > max)
        {
            return self.shared.tally.dropped_slow.one();
        }
        publish.id = if qos == QoS::One {
            self.session.window.take()
        } else {
            0
        };
        encode::publish(&mut self.io.out, version, &publish);
        self.shared.tally.delivered.one();
    }
}

/// The next live message; never, when nothing is subscribed.
pub(super) async fn next(subscriber: Option<&mut Subscriber>) -> Option<LiveMessage> {
    match subscriber {
        Some(subscriber) => subscriber.next().await,
        None => std::future::pending().await,
    }
}
