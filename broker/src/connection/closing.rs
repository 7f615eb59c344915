//! How a connection ends: what is under way, the last word, the will, the session.

use std::time::Duration;

use telemetry::{Origin, RawMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::inflight::Words;
use super::{Client, Shared};
use crate::codec::encode;
use crate::exchange::{Due, Left, WillWish};
use crate::limits::SESSION_EXPIRY_MAX_S;
use crate::message::{Message, handed_on};
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
            let why = self.tells(close.why, 8);
            encode::disconnect(&mut self.io.out, self.conversation.version, code, why);
        }
        self.part(close).await;
        drop(self.subscriber);
        drop(self.place);
        drop(self.seat);
        self.io.farewell().await;
    }

    /// Leaves the session behind, and publishes the will when its time has come.
    async fn part(&mut self, close: Close) {
        let inbound = std::mem::take(&mut self.conversation.inbound);
        self.session.state().received = inbound.into_received();
        let will = match close.cause {
            Cause::Stopping => WillWish::Stay,
            _ if close.will => WillWish::Publish,
            _ => WillWish::Forget,
        };
        let expiry_s = close
            .session_expiry_s
            .map(|expiry_s| expiry_s.min(SESSION_EXPIRY_MAX_S));
        let now = self.shared.clock.now();
        let left = Left { will, expiry_s, now };
        let (due, kept) = self.shared.exchange.leave(&self.session, left);
        // Nobody waits for it; it is kept before whatever comes next.
        drop(kept);
        if let Some(due) = due {
            publish_will(&self.shared, due, &self.name).await;
        }
    }

    /// Acknowledges what the intake still takes and the keeper keeps; after a refusal it only lets it finish.
    async fn drain(&mut self, close: Close) {
        let mut refused = close.cause == Cause::Intake;
        while !self.in_flight.is_empty() {
            let (result, mut receipt) = self.in_flight.next().await;
            refused |= result.is_err();
            if refused {
                receipt.words = Words::default();
            }
            self.on_taken(result, receipt);
        }
        let mut refused = close.cause == Cause::Keeper;
        while !self.settling.is_empty() {
            let (result, words) = self.settling.next().await;
            refused |= result.is_err();
            if !refused {
                self.on_kept(result, words);
            }
        }
    }

    fn count(&self, close: Close) {
        let tally = &self.shared.tally;
        match close.cause {
            Cause::Malformed => tally.malformed.one(),
            Cause::TooLarge => tally.too_large.one(),
            Cause::NotAuthorized => tally.publishes_refused.one(),
            Cause::KeepAlive => tally.keep_alive_expired.one(),
            Cause::Revoked => tally.revoked.one(),
            Cause::TakenOver => tally.taken_over.one(),
            Cause::WriteStalled => tally.write_stalled.one(),
            Cause::Gone | Cause::Stopping | Cause::Intake | Cause::Keeper | Cause::FanOut => {}
        }
        if matches!(close.cause, Cause::Gone | Cause::Stopping) {
            tracing::debug!(client = %self.name, why = close.why, "client disconnected");
        } else {
            tracing::info!(client = %self.name, why = close.why, code = close.code, "client disconnected");
        }
    }
}

/// How long a will may take to be journaled and kept.
const WILL_PATIENCE: Duration = Duration::from_secs(5);

/// The will takes the way of every message: journal first, subscribers after.
pub(crate) async fn publish_will(shared: &Shared, due: Due, name: &str) {
    let Due {
        will: left,
        mark,
        changes,
    } = due;
    let arrived = shared.clock.now();
    let (properties, expiry_s) = handed_on(left.will.properties);
    let raw = RawMessage {
        arrived,
        origin: Origin::Mqtt,
        sender: left.sender,
        topic: left.will.topic.clone(),
        payload: left.will.payload.clone(),
    };
    let message = Message {
        topic: left.will.topic,
        payload: left.will.payload,
        qos: left.will.qos,
        retain: left.will.retain,
        from: mark,
        arrived,
        expiry_s,
        properties,
    };
    shared.tally.wills.one();
    let publish = async {
        if let Err(error) = shared.intake.accept(vec![raw]).await {
            return tracing::warn!(client = name, %error, "will not taken");
        }
        let messages = vec![message];
        let kept = shared.exchange.route(&messages, changes);
        if shared.fan_out.wanted() {
            shared.fan_out.publish(messages);
        }
        if let Some(kept) = kept
            && let Err(error) = kept.await
        {
            shared.tally.keeper_refusals.one();
            tracing::warn!(client = name, %error, "what the will changes is not kept");
        }
    };
    if timeout(WILL_PATIENCE, publish).await.is_err() {
        tracing::warn!(client = name, "will not taken in time");
    }
}
