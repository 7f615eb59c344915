//! How a connection ends: what is under way, the last word, the will.

use std::time::Duration;

use telemetry::{DeviceId, Origin, RawMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::Client;
use crate::codec::encode;
use crate::codec::packet::Will;
use crate::fanout::LiveMessage;
use crate::protocol::{Cause, Close};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    /// Waits for what is under way, says the last word, publishes the will, and leaves.
    pub(super) async fn finish(mut self, close: Close) {
        self.count(close);
        let patience = self.shared.config.stop_timeout;
        if timeout(patience, self.drain(close)).await.is_err() {
            tracing::warn!(client = %self.name, "messages under way were not acknowledged in time");
        }
        if let Some(code) = close.code {
            encode::disconnect(&mut self.io.out, self.session.version, code);
        }
        if close.will
            && close.cause != Cause::Stopping
            && let Some((will, sender)) = self.will.take()
        {
            self.publish_will(will, sender, patience).await;
        }
        drop(self.subscriber);
        drop(self.seat);
        self.io.farewell().await;
    }

    /// Acknowledges what the intake still takes; after a refusal it only lets it finish.
    async fn drain(&mut self, close: Close) {
        let mut refused = close.cause == Cause::Intake;
        while !self.in_flight.is_empty() {
            let (result, receipt) = self.in_flight.next().await;
            refused |= result.is_err();
            if refused && result.is_ok() {
                self.shared.fan_out.publish(receipt.live);
            } else {
                self.on_taken(result, receipt);
            }
        }
    }

    fn count(&self, close: Close) {
        let tally = &self.shared.tally;
        match close.cause {
            Cause::Malformed => tally.malformed.one(),
            Cause::TooLarge => tally.too_large.one(),
            Cause::NotAuthorized => tally.publishes_refused.one(),
            Cause::Qos2 => tally.qos2_refused.one(),
            Cause::Retain => tally.retain_refused.one(),
            Cause::KeepAlive => tally.keep_alive_expired.one(),
            Cause::Revoked => tally.revoked.one(),
            Cause::TakenOver => tally.taken_over.one(),
            Cause::WriteStalled => tally.write_stalled.one(),
            Cause::Gone | Cause::Stopping | Cause::Intake | Cause::FanOut => {}
        }
        if matches!(close.cause, Cause::Gone | Cause::Stopping) {
            tracing::debug!(client = %self.name, why = close.why, "client disconnected");
        } else {
            tracing::info!(client = %self.name, why = close.why, code = close.code, "client disconnected");
        }
    }

    /// The will takes the way of every message: journal first, subscribers after.
    async fn publish_will(&mut self, will: Will, sender: DeviceId, patience: Duration) {
        let live = LiveMessage {
            topic: will.topic.clone(),
            payload: will.payload.clone(),
            qos: will.qos,
            properties: will.properties,
        };
        let raw = RawMessage {
            arrived: self.shared.clock.now(),
            origin: Origin::Mqtt,
            sender,
            topic: will.topic,
            payload: will.payload,
        };
        self.shared.tally.wills.one();
        match timeout(patience, self.shared.intake.accept(vec![raw])).await {
            Ok(Ok(())) => self.shared.fan_out.publish(vec![live]),
            Ok(Err(error)) => tracing::warn!(client = %self.name, %error, "will not taken"),
            Err(_) => tracing::warn!(client = %self.name, "will not taken in time"),
        }
    }
}
