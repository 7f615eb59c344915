//! One client, from its first byte to its last: the task that carries out what `protocol` decides.
//!
//! [`serve`] reads the CONNECT (`handshake`), then [`Client::run`] waits on four things at once: the
//! socket, the intake, the live messages and the end. New here? Read `Client::run` first.

pub(crate) mod handshake;

mod inflight;
pub(crate) mod io;

mod live;

mod closing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use telemetry::{Clock, DeviceId, Origin, RawMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::codec::packet::{Publish, QoS, Will};
use crate::codec::{Version, decode, encode, frame, reason};
use crate::counters::Tally;
use crate::door::pace::{Pace, Paces};
use crate::fanout::{FanOut, LiveMessage, Subscriber};
use crate::limits::{WRITE_BYTES_MAX, WRITE_STALL_TIMEOUT};
use crate::protocol::{Cause, Close, Session, Step};
use crate::sessions::{Seat, Sessions};
use crate::{Allowance, Authenticator, Ending, GateConfig, Identity, Intake, IntakeError, Review};
use inflight::{InFlight, Receipt};
use io::{Io, Turn};

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: GateConfig,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) fan_out: FanOut,
    pub(crate) paces: Paces,
    pub(crate) stopping: CancellationToken,
}

/// Serves one client until it is gone.
pub(crate) async fn serve<S>(shared: Arc<Shared>, stream: S, arrival: Arrival)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut io = Io::new(stream);
    let Some(admitted) = handshake::admit(&shared, &mut io, &arrival).await else {
        return io.farewell().await;
    };
    let tally = Arc::clone(&shared.tally);
    tally.connects.one();
    tally.connections.one();
    Client::new(shared, io, admitted).run().await;
    tally.connections.less_one();
}

/// What is known of a client before its first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// See [`crate::Login::certificate`].
    pub(crate) certificate: Option<Box<str>>,
    /// Until when its CONNECT has to be there.
    pub(crate) connect_by: Instant,
}

/// A client that was let in.
pub(crate) struct Admitted {
    pub(crate) session: Session,
    pub(crate) identity: Identity,
    pub(crate) seat: Seat,
    pub(crate) allowance: Allowance,
    pub(crate) pace: Pace,
    pub(crate) name: Box<str>,
    pub(crate) keep_alive: Option<Duration>,
    /// Largest packet that the client takes.
    pub(crate) packet_bytes_max: Option<usize>,
    pub(crate) will: Option<(Will, DeviceId)>,
}

struct Client<S> {
    shared: Arc<Shared>,
    io: Io<S>,
    session: Session,
    identity: Identity,
    /// Says when the identity has to be reviewed.
    changes: watch::Receiver<u64>,
    seat: Seat,
    allowance: Allowance,
    pace: Pace,
    name: Box<str>,
    /// How long the client may be silent: one and a half times what it said.
    silence_max: Option<Duration>,
    packet_bytes_max: Option<usize>,
    will: Option<(Will, DeviceId)>,
    in_flight: InFlight,
    subscriber: Option<Subscriber>,
    /// When the client was last heard, or last kept from speaking by ourselves.
    heard: Instant,
    close: Option<Close>,
}

/// What a client waits for.
enum Event {
    Socket(std::io::Result<Turn>),
    Taken(Result<(), IntakeError>, Receipt),
    Live(Option<LiveMessage>),
    Timer,
    RulesChanged,
    TakenOver,
    Stopping,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    fn new(shared: Arc<Shared>, io: Io<S>, admitted: Admitted) -> Self {
        let mut changes = shared.authenticator.changes();
        // A change between the login and this line is looked at as well.
        changes.mark_changed();
        Self {
            shared,
            io,
            session: admitted.session,
            identity: admitted.identity,
            changes,
            seat: admitted.seat,
            allowance: admitted.allowance,
            pace: admitted.pace,
            name: admitted.name,
            silence_max: admitted.keep_alive.map(|keep_alive| keep_alive.mul_f64(1.5)),
            packet_bytes_max: admitted.packet_bytes_max,
            will: admitted.will,
            in_flight: InFlight::default(),
            subscriber: None,
            heard: Instant::now(),
            close: None,
        }
    }

    async fn run(mut self) {
        let close = loop {
            if self.close.is_none() && !self.must_wait() {
                self.decode_all().await;
            }
            if let Some(close) = self.close {
                break close;
            }
            let waited = self.must_wait();
            let event = self.wait().await;
            if waited {
                // Nobody was listening to the client: its silence does not count.
                self.heard = Instant::now();
            }
            match event {
                Event::Socket(Ok(Turn::Read)) => self.heard = Instant::now(),
                Event::Socket(Ok(Turn::Written)) => {}
                Event::Socket(Ok(Turn::Closed) | Err(_)) => self.close = Some(Close::gone(true)),
                Event::Taken(result, receipt) => self.on_taken(result, receipt),
                Event::Live(Some(message)) => self.deliver(message),
                Event::Live(None) => self.end(reason::UNSPECIFIED_ERROR, Cause::FanOut, "fan-out broke"),
                Event::Timer => self.on_timer(),
                Event::RulesChanged => self.review(),
                Event::TakenOver => {
                    self.end(
                        reason::SESSION_TAKEN_OVER,
                        Cause::TakenOver,
                        "another connection came",
                    );
                }
                Event::Stopping => {
                    self.end(reason::SERVER_SHUTTING_DOWN, Cause::Stopping, "gate stops");
                }
            }
        };
        self.finish(close).await;
    }

    /// Whether the client has to be left unread until something is done.
    fn must_wait(&self) -> bool {
        self.in_flight.is_full()
            || self.session.is_full()
            || self.io.out.len() >= WRITE_BYTES_MAX
            || self.pace.held_until().is_some()
    }

    async fn wait(&mut self) -> Event {
        let read = !self.must_wait();
        let deliver = self.io.out.len() < WRITE_BYTES_MAX && self.session.window.has_room();
        let timer = self.timer();
        tokio::select! {
            turn = self.io.turn(read) => Event::Socket(turn),
            (result, receipt) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                Event::Taken(result, receipt)
            }
            message = live::next(self.subscriber.as_mut()), if deliver => Event::Live(message),
            () = tokio::time::sleep_until(timer) => Event::Timer,
            Ok(()) = self.changes.changed() => Event::RulesChanged,
            () = self.seat.taken_over.cancelled() => Event::TakenOver,
            () = self.shared.stopping.cancelled() => Event::Stopping,
        }
    }

    /// When to look at the clock next.
    fn timer(&self) -> Instant {
        let now_and_then = || Instant::now() + WRITE_STALL_TIMEOUT;
        let stall = self
            .io
            .stalled_since
            .map_or_else(now_and_then, |since| since + WRITE_STALL_TIMEOUT);
        let held = self.pace.held_until().map_or(stall, |until| stall.min(until));
        self.silence_max
            .map_or(held, |silence_max| held.min(self.heard + silence_max))
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        if self
            .io
            .stalled_since
            .is_some_and(|since| now >= since + WRITE_STALL_TIMEOUT)
        {
            return self.end(
                reason::UNSPECIFIED_ERROR,
                Cause::WriteStalled,
                "client does not read",
            );
        }
        if let Some(silence_max) = self.silence_max
            && now >= self.heard + silence_max
        {
            // On a machine that is behind, the timer may be seen before bytes that came in time.
            if self.io.read_now() {
                self.heard = now;
            } else {
                self.end(
                    reason::KEEP_ALIVE_TIMEOUT,
                    Cause::KeepAlive,
                    "nothing heard for 1.5 keep-alives",
                );
            }
        }
    }

    /// Somebody's rights have changed: perhaps this client's.
    fn review(&mut self) {
        let ending = match self.shared.authenticator.review(&self.identity) {
            Review::Stays(permissions) => return self.session.permit(permissions),
            Review::Ends(ending) => ending,
        };
        let (code, why, will) = match ending {
            Ending::NotAuthorized => (
                reason::NOT_AUTHORIZED,
                "its right to be here was taken away",
                false,
            ),
            Ending::Replaced => (reason::ADMINISTRATIVE_ACTION, "its password was replaced", true),
        };
        let close = Close::with(code, Cause::Revoked, why);
        self.close.get_or_insert(Close { will, ..close });
    }

    fn end(&mut self, code: u8, cause: Cause, why: &'static str) {
        self.close.get_or_insert(Close::with(code, cause, why));
    }

    /// Decodes everything that has arrived and submits it as one batch. A broken packet ends the
    /// connection; what came before it still counts.
    async fn decode_all(&mut self) {
        let mut batch = Vec::new();
        let mut receipt = Receipt::default();
        let version = self.session.version;
        let wanted = self.shared.fan_out.wanted();
        // An MQTT 5 client was told how much may be under way; one of 3.1.1 is left to wait.
        while !self.io.inbuf.is_empty() && (version == Version::V5 || !self.session.is_full()) {
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
            .and_then(|packet| self.session.on_packet(packet));
            match step {
                Ok(Step::Accept { message, sender }) => {
                    self.accept(message, sender, wanted, &mut batch, &mut receipt);
                }
                Ok(Step::Refuse { ack, code }) => self.refuse(ack, code, &mut receipt),
                Ok(Step::Subscribe { id, grants }) => self.subscribe(id, grants).await,
                Ok(Step::Unsubscribe { id, filters }) => self.unsubscribe(id, filters).await,
                Ok(Step::Pong) => encode::pingresp(&mut self.io.out),
                Ok(Step::Nothing) => {}
                Err(close) => {
                    self.close = Some(close);
                    break;
                }
            }
        }
        if self.io.inbuf.is_empty() {
            self.io.inbuf = bytes::BytesMut::new();
        }
        self.submit(batch, receipt);
    }

    fn accept(
        &mut self,
        message: Publish,
        sender: DeviceId,
        wanted: bool,
        batch: &mut Vec<RawMessage>,
        receipt: &mut Receipt,
    ) {
        if message.qos == QoS::One {
            receipt.acks.push((message.id, reason::SUCCESS));
        }
        if wanted {
            receipt.live.push(LiveMessage {
                topic: message.topic.clone(),
                payload: message.payload.clone(),
                qos: message.qos,
                properties: message.properties,
            });
        }
        let raw = RawMessage {
            arrived: self.shared.clock.now(),
            origin: Origin::Mqtt,
            sender,
            topic: message.topic,
            payload: message.payload,
        };
        receipt.bytes += raw.size_bytes();
        receipt.messages += 1;
        self.shared.tally.payload_bytes.add(raw.payload.len());
        batch.push(raw);
    }

    fn refuse(&mut self, ack: Option<u16>, code: u8, receipt: &mut Receipt) {
        self.shared.tally.publishes_refused.one();
        receipt.acks.extend(ack.map(|id| (id, code)));
        if !self.session.complained {
            self.session.complained = true;
            tracing::warn!(client = %self.name, "publish to a topic that is not the client's; further ones are only counted");
        }
    }

    fn submit(&mut self, batch: Vec<RawMessage>, receipt: Receipt) {
        self.shared.tally.messages.add(batch.len());
        if !batch.is_empty() {
            self.in_flight.push(self.shared.intake.accept(batch), receipt);
        } else if !receipt.acks.is_empty() {
            // Nothing to journal, but the answers keep their place in the order.
            self.in_flight.push(Box::pin(std::future::ready(Ok(()))), receipt);
        }
    }

    /// The journal has a batch, or will not have it. Nothing after a refused one is acknowledged.
    fn on_taken(&mut self, result: Result<(), IntakeError>, receipt: Receipt) {
        match result {
            Ok(()) => {
                for (id, code) in &receipt.acks {
                    encode::puback(&mut self.io.out, self.session.version, *id, *code);
                }
                let success = receipt
                    .acks
                    .iter()
                    .filter(|(_, code)| *code == reason::SUCCESS)
                    .count();
                self.shared.tally.pubacks.add(success);
                self.session.acknowledged(receipt.acks.len());
                self.shared.fan_out.publish(receipt.live);
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
}
