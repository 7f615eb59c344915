//! What comes from the client: decoded, journaled, answered.

use bytes::BytesMut;
use telemetry::{DeviceId, Origin, RawMessage};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Client;
use super::inflight::{Receipt, Words};
use crate::codec::encode::Ack;
use crate::codec::packet::{Publish, QoS};
use crate::codec::{Version, decode, encode, frame, reason};
use crate::exchange::{Keeping, Spoken};
use crate::keeper::{Change, Room};
use crate::message::{Message, handed_on};
use crate::protocol::{Cause, Close, Step};
use crate::session::outbox::Answer;
use crate::{IntakeError, KeeperError, records};

/// What is collected while the packets that have arrived are looked at.
#[derive(Default)]
struct Harvest {
    batch: Vec<RawMessage>,
    receipt: Receipt,
    /// What the client's answers change of what is kept.
    changes: Vec<Change>,
    /// What they are answered with in turn.
    words: Words,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    /// Decodes everything that has arrived and submits it as one batch. A broken packet ends the
    /// connection; what came before it still counts.
    pub(super) async fn decode_all(&mut self) {
        let mut harvest = Harvest::default();
        let version = self.conversation.version;
        // An MQTT 5 client was told how much may be under way; one of 3.1.1 is left to wait.
        while !self.io.inbuf.is_empty() && (version == Version::V5 || !self.conversation.inbound.is_full()) {
            if self.pace.held_until().is_some() {
                self.shared.tally.held_back.one();
                break;
            }
            let step = match frame::next(&mut self.io.inbuf, self.allowance.packet_bytes_max) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    if frame.is_publish() {
                        self.pace.spend(frame.body.len());
                    }
                    decode::decode(version, frame).map_err(Close::from)
                }
                Err(malformed) => Err(malformed.into()),
            }
            .and_then(|packet| self.conversation.on_packet(packet));
            match step {
                Ok(Step::Subscribe { id, grants }) => Box::pin(self.subscribe(id, grants)).await,
                Ok(Step::Unsubscribe { id, filters }) => Box::pin(self.unsubscribe(id, filters)).await,
                Ok(step) => self.carry_out(step, &mut harvest),
                Err(close) => self.close = Some(close),
            }
            if self.close.is_some() {
                break;
            }
        }
        if self.io.inbuf.is_empty() {
            self.io.inbuf = BytesMut::new();
        }
        self.submit(harvest);
    }

    fn carry_out(&mut self, step: Step, harvest: &mut Harvest) {
        match step {
            Step::Accept { message, sender } => self.accept(message, sender, harvest),
            Step::Again(id) => {
                self.shared.tally.repeated.one();
                let ack = (Ack::Pubrec, id, reason::SUCCESS);
                harvest.receipt.words.acks.push(ack);
            }
            Step::Refuse { qos, id, code } => self.refuse(qos, id, code, &mut harvest.receipt),
            Step::Release { id, known } => self.release(id, known, harvest),
            Step::Answered { spoken, id } => self.on_answer(spoken, id, harvest),
            Step::Pong => encode::pingresp(&mut self.io.out),
            Step::Subscribe { .. } | Step::Unsubscribe { .. } => {}
        }
    }

    fn accept(&mut self, publish: Publish, sender: DeviceId, harvest: &mut Harvest) {
        let arrived = self.shared.clock.now();
        let receipt = &mut harvest.receipt;
        match publish.qos {
            QoS::Zero => {}
            QoS::One => {
                let ack = (Ack::Puback, publish.id, reason::SUCCESS);
                receipt.words.acks.push(ack);
            }
            QoS::Two => {
                let ack = (Ack::Pubrec, publish.id, reason::SUCCESS);
                receipt.words.acks.push(ack);
                receipt.words.safe.push(publish.id);
            }
        }
        // Without anybody who hears it, nothing is copied.
        let wanted =
            publish.retain || self.shared.fan_out.wanted() || self.shared.exchange.hears(&publish.topic);
        if wanted {
            let (properties, expiry_s) = handed_on(publish.properties);
            receipt.live.push(Message {
                topic: publish.topic.clone(),
                payload: publish.payload.clone(),
                qos: publish.qos,
                retain: publish.retain,
                from: self.session.mark,
                arrived,
                expiry_s,
                properties,
            });
        }
        let raw = RawMessage {
            arrived,
            origin: Origin::Mqtt,
            sender,
            topic: publish.topic,
            payload: publish.payload,
        };
        receipt.bytes += raw.size_bytes();
        receipt.messages += 1;
        self.shared.tally.payload_bytes.add(raw.payload.len());
        harvest.batch.push(raw);
    }

    fn refuse(&mut self, qos: QoS, id: u16, code: u8, receipt: &mut Receipt) {
        self.shared.tally.publishes_refused.one();
        match qos {
            QoS::Zero => {}
            QoS::One => receipt.words.acks.push((Ack::Puback, id, code)),
            QoS::Two => {
                self.conversation.inbound.refused(id);
                receipt.words.acks.push((Ack::Pubrec, id, code));
            }
        }
        if !self.conversation.complained {
            self.conversation.complained = true;
            tracing::warn!(client = %self.name, "publish to a topic that is not the client's; further ones are only counted");
        }
    }

    /// PUBREL: that the identifier is free again is kept before PUBCOMP says so.
    fn release(&mut self, id: u16, known: bool, harvest: &mut Harvest) {
        let code = if known {
            reason::SUCCESS
        } else {
            reason::PACKET_ID_NOT_FOUND
        };
        if known && self.session.is_lasting() {
            harvest.changes.push(Change::Delete {
                room: Room::Received,
                key: records::id_key(self.session.number, id),
            });
        }
        harvest.words.acks.push((Ack::Pubcomp, id, code));
    }

    /// The client has answered something that the gate sent.
    fn on_answer(&mut self, spoken: Spoken, id: u16, harvest: &mut Harvest) {
        let exchange = &self.shared.exchange;
        let answer = exchange.answered(&self.session, spoken, id, &mut harvest.changes);
        let is_rec = matches!(spoken, Spoken::Rec { .. });
        match answer {
            Answer::Release(_) => harvest.words.acks.push((Ack::Pubrel, id, reason::SUCCESS)),
            Answer::Unknown if spoken == (Spoken::Rec { refused: false }) => {
                harvest
                    .words
                    .acks
                    .push((Ack::Pubrel, id, reason::PACKET_ID_NOT_FOUND));
            }
            Answer::Wrong => {
                let why = if is_rec {
                    "PUBREC for a message that was not sent with QoS 2"
                } else {
                    "PUBACK or PUBCOMP out of order"
                };
                self.end(reason::PROTOCOL_ERROR, Cause::Malformed, why);
            }
            Answer::Done(_) | Answer::Unknown => {}
        }
    }

    fn submit(&mut self, harvest: Harvest) {
        let Harvest {
            batch,
            receipt,
            changes,
            words,
        } = harvest;
        let kept = self.shared.exchange.keep(changes);
        if !words.is_empty() {
            self.say(kept, words);
        }
        self.shared.tally.messages.add(batch.len());
        if !batch.is_empty() {
            self.in_flight.push(self.shared.intake.accept(batch), receipt);
        } else if !receipt.words.is_empty() {
            // Nothing to journal, but the answers keep their place in the order.
            self.in_flight.push(Box::pin(std::future::ready(Ok(()))), receipt);
        }
    }

    /// The journal has a batch, or will not have it. Nothing after a refused one is acknowledged.
    pub(super) fn on_taken(&mut self, result: Result<(), IntakeError>, receipt: Receipt) {
        match result {
            Ok(()) => {
                let changes = self.received(&receipt.words.safe);
                let kept = self.shared.exchange.route(&receipt.live, changes);
                if self.shared.fan_out.wanted() {
                    self.shared.fan_out.publish(receipt.live);
                }
                self.say(kept, receipt.words);
            }
            Err(error) => {
                self.shared.tally.intake_refusals.one();
                self.shared.tally.messages_refused.add(receipt.messages);
                tracing::warn!(client = %self.name, %error, messages = receipt.messages, "batch not taken");
                let code = match error {
                    IntakeError::Full(_) => reason::QUOTA_EXCEEDED,
                    IntakeError::Stopped(_) => reason::IMPLEMENTATION_SPECIFIC,
                };
                self.end(code, Cause::Intake, "intake refused a batch");
            }
        }
    }

    /// The identifiers of QoS 2 messages that are in the journal, to be kept together with what the messages
    /// change. A crash between the journal's fsync and the keeper's leaves a message that was not answered and is
    /// not known: the client sends it again, and it is journaled twice. Queues and retained messages change with
    /// the identifier or not at all, so that subscribers with a lasting session still get it once.
    fn received(&self, ids: &[u16]) -> Vec<Change> {
        if self.session.is_lasting() {
            let number = self.session.number;
            ids.iter().map(|id| records::put_received(number, *id)).collect()
        } else {
            Vec::new()
        }
    }

    /// Says `words` as soon as `kept` is done and everything before has been said.
    pub(super) fn say(&mut self, kept: Option<Keeping>, words: Words) {
        match kept {
            None if self.settling.is_empty() => self.speak(words),
            None => self.settling.push(Box::pin(std::future::ready(Ok(()))), words),
            Some(kept) => self.settling.push(kept, words),
        }
    }

    /// What had to be kept is kept, or cannot be.
    pub(super) fn on_kept(&mut self, result: Result<(), KeeperError>, words: Words) {
        match result {
            Ok(()) => self.speak(words),
            Err(error) => self.on_keeper_error(&error),
        }
    }

    pub(super) fn on_keeper_error(&mut self, error: &KeeperError) {
        self.shared.tally.keeper_refusals.one();
        tracing::warn!(client = %self.name, %error, "session or messages not kept");
        let code = match error {
            KeeperError::Full(_) => reason::QUOTA_EXCEEDED,
            KeeperError::Stopped(_) | KeeperError::Unreadable(_) => reason::IMPLEMENTATION_SPECIFIC,
        };
        self.end(code, Cause::Keeper, "what must outlive a restart cannot be kept");
    }

    fn speak(&mut self, words: Words) {
        let version = self.conversation.version;
        let (mut ones, mut pubacks, mut pubrecs) = (0, 0, 0);
        for (kind, id, code) in words.acks {
            let why = self.tells(reason::words(code), 8);
            encode::ack(&mut self.io.out, version, kind, id, (code, why));
            let success = usize::from(code == reason::SUCCESS);
            match kind {
                Ack::Puback => {
                    ones += 1;
                    pubacks += success;
                }
                Ack::Pubrec => pubrecs += success,
                Ack::Pubrel | Ack::Pubcomp => {}
            }
        }
        self.io.out.extend_from_slice(&words.packets);
        for id in words.safe {
            self.conversation.inbound.is_safe(id);
        }
        self.conversation.inbound.acknowledged(ones);
        if pubacks > 0 {
            self.shared.tally.pubacks.add(pubacks);
        }
        if pubrecs > 0 {
            self.shared.tally.pubrecs.add(pubrecs);
        }
    }
}
