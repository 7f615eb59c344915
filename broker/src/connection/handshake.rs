//! From the first byte to the CONNACK.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use super::closing::publish_will;
use super::io::{Io, Turn};
use super::{Admitted, Arrival, Shared};
use crate::auth::{Identity, Login};
use crate::codec::connect::{self, ConnectFault};
use crate::codec::packet::Connect;
use crate::codec::{Version, encode, frame, reason};
use crate::counters::Tally;
use crate::door::rooms::{Place, Turned};
use crate::exchange::{Caller, Left, WillWish};
use crate::limits::{CONNECT_BYTES_MAX, LOGIN_TIMEOUT};
use crate::protocol::{Agreed, AliasesOut, Conversation, Inbound, hello};
use crate::session::{LeftWill, Session};

/// Reads the CONNECT and lets its sender in, or leaves the refusal in `io.out`.
pub(crate) async fn admit<S>(shared: &Shared, io: &mut Io<S>, arrival: &Arrival) -> Option<Admitted>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = arrival.peer;
    let connect = read_connect(shared, io, arrival).await?;
    let version = connect.version;
    let wants_reasons = hello::wants_reasons(&connect);
    match welcome(shared, io, arrival, connect).await {
        Ok(admitted) => Some(admitted),
        Err(code) => {
            count_refusal(&shared.tally, code);
            tracing::info!(%peer, code, "connection refused");
            let why = wants_reasons.then(|| reason::words(code));
            encode::refusal(&mut io.out, version, code, why);
            None
        }
    }
}

async fn read_connect<S>(shared: &Shared, io: &mut Io<S>, arrival: &Arrival) -> Option<Connect>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let first = tokio::select! {
        first = timeout_at(arrival.connect_by, first_packet(io)) => first,
        () = shared.stopping.cancelled() => return None,
    };
    let Ok(first) = first else {
        shared.tally.connect_timeouts.one();
        return None;
    };
    let fault = match first?.map(connect::decode) {
        Ok(Ok(connect)) => return Some(connect),
        Ok(Err(fault)) => fault,
        Err(malformed) => ConnectFault::Malformed(Version::V311, malformed),
    };
    answer_fault(&shared.tally, io, fault);
    tracing::debug!(peer = %arrival.peer, ?fault, "first packet refused");
    None
}

/// The first packet, or `None` when the client went before it was complete. Whatever is not a CONNECT
/// is answered as soon as its first byte is there.
async fn first_packet<S>(io: &mut Io<S>) -> Option<Result<frame::Frame, crate::codec::Malformed>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        if io.inbuf.first().is_some_and(|&first| first != 0x10) {
            let first = io.inbuf.first().copied().unwrap_or_default();
            return Some(Ok(frame::Frame {
                first,
                body: bytes::Bytes::new(),
            }));
        }
        match frame::next(&mut io.inbuf, CONNECT_BYTES_MAX) {
            Ok(Some(frame)) => return Some(Ok(frame)),
            Ok(None) => {}
            Err(malformed) => return Some(Err(malformed)),
        }
        match io.turn(true).await {
            Ok(Turn::Read | Turn::Written) => {}
            Ok(Turn::Closed) | Err(_) => return None,
        }
    }
}

fn answer_fault<S>(tally: &Tally, io: &mut Io<S>, fault: ConnectFault) {
    match fault {
        ConnectFault::NotConnect => tally.not_connect.one(),
        ConnectFault::Level(level) => {
            tally.refused_version.one();
            // Older clients read the old form; the highest bit is how bridges of mosquitto say hello.
            let version = if level & 0x7F < 5 {
                Version::V311
            } else {
                Version::V5
            };
            // A version after 5 may read no more than the code.
            encode::refusal(&mut io.out, version, reason::UNSUPPORTED_VERSION, None);
        }
        ConnectFault::Malformed(version, malformed) => {
            let too_large = malformed.code == reason::PACKET_TOO_LARGE;
            let count = if too_large {
                &tally.too_large
            } else {
                &tally.malformed
            };
            count.one();
            encode::refusal(&mut io.out, version, malformed.code, Some(malformed.why));
        }
    }
}

async fn welcome<S>(
    shared: &Shared,
    io: &mut Io<S>,
    arrival: &Arrival,
    connect: Connect,
) -> Result<Admitted, u8> {
    hello::check(&connect)?;
    let claimed = arrival.certificate.as_deref().or(connect.user.as_deref());
    let urgent = claimed.is_some_and(|name| shared.authenticator.is_life_safety(name));
    turned(arrival.stranger.knock(urgent, Instant::now()))?;
    let identity = login(shared, arrival, &connect).await?;
    let name = hello::name(&identity, &connect.client_id, shared.sessions.number());
    let permissions = identity.permissions().clone();
    hello::check_will(&permissions, connect.will.as_ref())?;
    let (seat, leaving) = shared.sessions.enter(name.key);
    if let Some(leaving) = leaving
        && timeout(LOGIN_TIMEOUT, leaving.cancelled()).await.is_err()
    {
        return Err(reason::SERVER_UNAVAILABLE);
    }
    let place = take_place(shared, arrival, &identity)?;
    let caller = Caller {
        key: seat.key.clone(),
        clean: connect.clean,
        expiry_s: hello::session_expiry_s(&connect),
        receive_maximum: (connect.properties.as_ref()).and_then(|properties| properties.receive_maximum),
        will: connect.will.as_ref().and_then(|will| {
            let sender = Conversation::will_sender(&permissions, &will.topic)?;
            let will = will.clone();
            Some(LeftWill { will, sender })
        }),
        now: shared.clock.now(),
    };
    let (session, present) = take_up(shared, caller).await?;
    let allowance = if permissions.is_single_device() {
        shared.config.device
    } else {
        shared.config.gateway
    };
    let pace = shared.paces.of(&seat.key, &allowance);
    let told = hello::welcome(
        &connect,
        name.assigned.clone(),
        allowance.packet_bytes_max,
        &identity,
    );
    encode::connack(
        &mut io.out,
        connect.version,
        reason::SUCCESS,
        present,
        Some(&told),
    );
    let limits = connect.properties.as_deref();
    let client_maximum = limits.and_then(|properties| properties.maximum_packet_size);
    let agreed = Agreed {
        session_expiry_s: hello::session_expiry_s(&connect),
    };
    let inbound = Inbound::new(session.state().received.clone());
    Ok(Admitted {
        conversation: Conversation::new(connect.version, permissions, agreed, inbound),
        session,
        identity,
        seat,
        place,
        allowance,
        pace,
        wants_reasons: hello::wants_reasons(&connect),
        aliases: AliasesOut::new(limits.and_then(|properties| properties.topic_alias_maximum)),
        keep_alive: hello::keep_alive_s(&connect).map(|seconds| Duration::from_secs(seconds.into())),
        packet_bytes_max: client_maximum.map(|max| usize::try_from(max).unwrap_or(usize::MAX)),
        name: name.assigned.unwrap_or(connect.client_id),
    })
}

/// The session of a client, and whether it was there before; it is kept when this returns.
async fn take_up(shared: &Shared, caller: Caller) -> Result<(Arc<Session>, bool), u8> {
    let key = caller.key.clone();
    let entered = shared.exchange.enter(caller)?;
    if let Some(orphan) = entered.orphan {
        publish_will(shared, orphan, &key).await;
    }
    if let Some(kept) = entered.kept
        && let Err(error) = kept.await
    {
        shared.tally.keeper_refusals.one();
        tracing::warn!(client = %key, %error, "session not kept");
        let left = Left {
            will: WillWish::Forget,
            // What was never kept is not left behind.
            expiry_s: (!entered.present).then_some(0),
            now: shared.clock.now(),
        };
        drop(shared.exchange.leave(&entered.session, left));
        return Err(reason::SERVER_UNAVAILABLE);
    }
    Ok((entered.session, entered.present))
}

/// A place for one who has proved who it is.
fn take_place(shared: &Shared, arrival: &Arrival, identity: &Identity) -> Result<Place, u8> {
    let life_safety = match identity {
        Identity::Device { id, .. } => shared.authenticator.is_life_safety(id.as_str()),
        Identity::Account { .. } | Identity::Anonymous { .. } => false,
    };
    turned(arrival.stranger.enter(life_safety))
}

/// The reason code for who is turned away.
fn turned<T>(answer: Result<T, Turned>) -> Result<T, u8> {
    answer.map_err(|turned| match turned {
        Turned::Strangers | Turned::Full | Turned::AddressFull => reason::QUOTA_EXCEEDED,
        Turned::TooFast => reason::CONNECTION_RATE_EXCEEDED,
    })
}

async fn login(shared: &Shared, arrival: &Arrival, connect: &Connect) -> Result<Identity, u8> {
    let login = Login {
        client_id: &connect.client_id,
        user: connect.user.as_deref(),
        password: connect.password.as_deref(),
        peer: arrival.peer,
        certificate: arrival.certificate.as_deref(),
    };
    tokio::select! {
        answer = timeout(LOGIN_TIMEOUT, shared.authenticator.authenticate(login)) => match answer {
            Ok(answer) => answer.map_err(hello::code),
            Err(_) => Err(reason::SERVER_UNAVAILABLE),
        },
        () = shared.stopping.cancelled() => Err(reason::SERVER_SHUTTING_DOWN),
    }
}

fn count_refusal(tally: &Tally, code: u8) {
    match code {
        reason::BAD_USER_OR_PASSWORD => tally.refused_credentials.one(),
        reason::NOT_AUTHORIZED => tally.refused_not_authorized.one(),
        reason::CLIENT_ID_NOT_VALID => tally.refused_client_id.one(),
        reason::QUOTA_EXCEEDED => tally.refused_full.one(),
        reason::CONNECTION_RATE_EXCEEDED => tally.refused_too_fast.one(),
        reason::SERVER_UNAVAILABLE | reason::SERVER_SHUTTING_DOWN => tally.refused_unavailable.one(),
        _ => tally.refused_unsupported.one(),
    }
}
