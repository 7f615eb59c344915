//! One client, from its first byte to its last: the task that carries out what `protocol` decides.
//!
//! [`serve`] reads the CONNECT (`handshake`), then [`Client::run`] waits on all there is at once: the socket, the
//! intake, what is being kept, what waits for the client, live messages and the end. New here? Read `Client::run`
//! first, then `taking` (what comes from the client) and `live` (what goes to it).

pub(crate) mod handshake;

mod taking;

mod live;

pub(crate) mod closing;

mod inflight;
pub(crate) mod io;
mod last_words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use telemetry::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::codec::reason;
use crate::counters::Tally;
use crate::door::pace::{Pace, Paces};
use crate::door::rooms::{Place, Stranger};
use crate::exchange::Exchange;
use crate::fanout::{FanOut, Subscriber};
use crate::limits::{WRITE_BYTES_MAX, WRITE_STALL_TIMEOUT};
use crate::message::Message;
use crate::protocol::{AliasesOut, Cause, Close, Conversation};
use crate::session::Session;
use crate::sessions::{Seat, Sessions};
use crate::{
    Allowance, Authenticator, Ending, GateConfig, Identity, Intake, IntakeError, KeeperError, Review,
};
use inflight::{InFlight, Receipt, Settling, Words};
use io::{Io, Turn};

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: GateConfig,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) exchange: Arc<Exchange>,
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
    // Boxed, as all that is not needed while nothing happens: there are many idle clients.
    let Some(admitted) = Box::pin(handshake::admit(&shared, &mut io, &arrival)).await else {
        drop(arrival);
        return io.farewell().await;
    };
    drop(arrival);
    let tally = Arc::clone(&shared.tally);
    tally.connects.one();
    tally.connections.one();
    Client::new(shared, io, admitted).run().await;
    tally.connections.less_one();
}

/// What is known of a client before its first packet.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// See [`crate::Login::certificate`].
    pub(crate) certificate: Option<Box<str>>,
    /// Its room among the strangers.
    pub(crate) stranger: Stranger,
    /// Until when its CONNECT has to be there.
    pub(crate) connect_by: Instant,
}

/// A client that was let in.
pub(crate) struct Admitted {
    pub(crate) conversation: Conversation,
    pub(crate) session: Arc<Session>,
    pub(crate) identity: Identity,
    pub(crate) seat: Seat,
    pub(crate) place: Place,
    pub(crate) allowance: Allowance,
    pub(crate) pace: Pace,
    pub(crate) name: Box<str>,
    pub(crate) keep_alive: Option<Duration>,
    /// Largest packet that the client takes.
    pub(crate) packet_bytes_max: Option<usize>,
    pub(crate) aliases: AliasesOut,
    /// Whether it wants to be told why something is refused.
    pub(crate) wants_reasons: bool,
}

struct Client<S> {
    shared: Arc<Shared>,
    io: Io<S>,
    conversation: Conversation,
    session: Arc<Session>,
    identity: Identity,
    /// Says when the identity has to be reviewed.
    changes: watch::Receiver<u64>,
    seat: Seat,
    place: Place,
    allowance: Allowance,
    pace: Pace,
    name: Box<str>,
    /// How long the client may be silent: one and a half times what it said.
    silence_max: Option<Duration>,
    packet_bytes_max: Option<usize>,
    aliases: AliasesOut,
    wants_reasons: bool,
    in_flight: InFlight,
    settling: Settling,
    subscriber: Option<Subscriber>,
    /// When the client was last heard, or last kept from speaking by ourselves.
    heard: Instant,
    close: Option<Close>,
}

const TAKEN_OVER: Close = Close::with(
    reason::SESSION_TAKEN_OVER,
    Cause::TakenOver,
    "another connection came",
);
const STALLED: Close = Close::with(
    reason::UNSPECIFIED_ERROR,
    Cause::WriteStalled,
    "client does not read",
);

/// What a client waits for.
enum Event {
    Socket(std::io::Result<Turn>),
    Taken(Result<(), IntakeError>, Receipt),
    Kept(Result<(), KeeperError>, Words),
    Mail,
    Live(Option<Message>),
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
            conversation: admitted.conversation,
            session: admitted.session,
            identity: admitted.identity,
            changes,
            seat: admitted.seat,
            place: admitted.place,
            allowance: admitted.allowance,
            pace: admitted.pace,
            name: admitted.name,
            silence_max: admitted.keep_alive.map(|keep_alive| keep_alive.mul_f64(1.5)),
            packet_bytes_max: admitted.packet_bytes_max,
            aliases: admitted.aliases,
            wants_reasons: admitted.wants_reasons,
            in_flight: InFlight::default(),
            settling: Settling::default(),
            subscriber: None,
            heard: Instant::now(),
            close: None,
        }
    }

    async fn run(mut self) {
        Box::pin(self.rejoin_router()).await;
        let close = loop {
            if self.close.is_none() && !self.must_wait() {
                self.decode_all().await;
            }
            self.deliver_mail();
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
                Event::Socket(Ok(Turn::Closed)) => self.close = Some(Close::gone(true)),
                // What cannot be written to may still hold a DISCONNECT.
                Event::Socket(Err(_)) => Box::pin(self.hear_out_and(Close::gone(true))).await,
                Event::Taken(result, receipt) => self.on_taken(result, receipt),
                Event::Kept(result, words) => self.on_kept(result, words),
                // Looked at at the top.
                Event::Mail => {}
                Event::Live(Some(message)) => self.deliver_live(&message),
                Event::Live(None) => self.end(reason::UNSPECIFIED_ERROR, Cause::FanOut, "fan-out broke"),
                Event::Timer => self.on_timer().await,
                Event::RulesChanged => self.review(),
                Event::TakenOver => Box::pin(self.hear_out_and(TAKEN_OVER)).await,
                Event::Stopping => {
                    self.end(reason::SERVER_SHUTTING_DOWN, Cause::Stopping, "gate stops");
                }
            }
        };
        Box::pin(self.finish(close)).await;
    }

    /// Whether the client has to be left unread until something is done.
    fn must_wait(&self) -> bool {
        self.is_behind() || self.io.out.len() >= WRITE_BYTES_MAX
    }

    /// Whether what the client has said already is enough for now.
    fn is_behind(&self) -> bool {
        self.in_flight.is_full()
            || self.settling.is_full()
            || self.conversation.inbound.is_full()
            || self.pace.held_until().is_some()
    }

    async fn wait(&mut self) -> Event {
        let read = !self.must_wait();
        let deliver = self.has_room();
        let timer = self.timer();
        tokio::select! {
            turn = self.io.turn(read) => Event::Socket(turn),
            (result, receipt) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                Event::Taken(result, receipt)
            }
            (result, words) = self.settling.next(), if !self.settling.is_empty() => {
                Event::Kept(result, words)
            }
            () = self.session.bell.heard() => Event::Mail,
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

    async fn on_timer(&mut self) {
        let now = Instant::now();
        if self
            .io
            .stalled_since
            .is_some_and(|since| now >= since + WRITE_STALL_TIMEOUT)
        {
            return Box::pin(self.hear_out_and(STALLED)).await;
        }
        if let Some(silence_max) = self.silence_max
            && now >= self.heard + silence_max
        {
            // On a machine that is behind, the timer may be seen before bytes that came in time.
            if self.io.read_now().await > 0 {
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
            Review::Stays(permissions) => return self.conversation.permit(permissions),
            Review::Ends(ending) => ending,
        };
        let close = match ending {
            // Nothing is kept for who may not come back.
            Ending::NotAuthorized => Close {
                will: false,
                session_expiry_s: Some(0),
                ..Close::with(
                    reason::NOT_AUTHORIZED,
                    Cause::Revoked,
                    "its right to be here was taken away",
                )
            },
            Ending::Replaced => Close::with(
                reason::ADMINISTRATIVE_ACTION,
                Cause::Revoked,
                "its password was replaced",
            ),
        };
        self.close.get_or_insert(close);
    }

    /// `why`, when the client wants to be told such things and takes a packet of `bytes` and that much. Source:
    /// MQTT 5.0 §3.1.2.11.7.
    fn tells(&self, why: &'static str, bytes: usize) -> Option<&'static str> {
        let fits = (self.packet_bytes_max).is_none_or(|max| bytes + 3 + why.len() <= max);
        (self.wants_reasons && fits).then_some(why)
    }

    fn end(&mut self, code: u8, cause: Cause, why: &'static str) {
        self.close.get_or_insert(Close::with(code, cause, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Stream;

    /// The size of what `_call` gives, without calling it.
    fn size_of_answer<A, B, C, F>(_call: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_task_of_a_client_is_small() {
        let bytes = size_of_answer(serve::<Stream>);
        assert!(
            bytes <= 3072,
            "{bytes} bytes, Client {}",
            size_of::<Client<Stream>>()
        );
    }
}
