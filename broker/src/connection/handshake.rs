//! From the first byte to the CONNACK.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{timeout, timeout_at};

use super::io::{Io, Turn};
use super::{Admitted, Arrival, Shared};
use crate::auth::{Identity, Login};
use crate::codec::connect::{self, ConnectFault};
use crate::codec::packet::{Connect, QoS};
use crate::codec::{Version, encode, frame, reason};
use crate::counters::Tally;
use crate::limits::{CONNECT_BYTES_MAX, LOGIN_TIMEOUT};
use crate::protocol::{Session, hello};

/// Reads the CONNECT and lets its sender in, or leaves the refusal in `io.out`.
pub(crate) async fn admit<S>(shared: &Shared, io: &mut Io<S>, arrival: &Arrival) -> Option<Admitted>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = arrival.peer;
    let connect = read_connect(shared, io, arrival).await?;
    let version = connect.version;
    match welcome(shared, io, arrival, connect).await {
        Ok(admitted) => Some(admitted),
        Err(code) => {
            count_refusal(&shared.tally, code);
            tracing::info!(%peer, code, "connection refused");
            encode::connack(&mut io.out, version, code, None);
            None
        }
    }
}

/// Tells a client that there is no room, when it says who it is in time.
pub(crate) async fn refuse_full<S>(shared: &Shared, mut io: Io<S>, arrival: &Arrival)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(connect) = read_connect(shared, &mut io, arrival).await {
        encode::connack(&mut io.out, connect.version, reason::QUOTA_EXCEEDED, None);
    }
    io.farewell().await;
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
            encode::connack(&mut io.out, version, reason::UNSUPPORTED_VERSION, None);
        }
        ConnectFault::Malformed(version, malformed) => {
            let too_large = malformed.code == reason::PACKET_TOO_LARGE;
            let count = if too_large {
                &tally.too_large
            } else {
                &tally.malformed
            };
            count.one();
            encode::connack(&mut io.out, version, malformed.code, None);
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
    let allowance = if permissions.is_single_device() {
        shared.config.device
    } else {
        shared.config.gateway
    };
    let pace = shared.paces.of(&seat.key, &allowance);
    let told = hello::welcome(&connect, name.assigned.clone(), allowance.packet_bytes_max);
    encode::connack(&mut io.out, connect.version, reason::SUCCESS, Some(&told));
    if connect.version == Version::V311 && connect.will.as_ref().is_some_and(|will| will.retain) {
        tracing::info!(peer = %arrival.peer, "will asks to be retained; it is published, not retained");
    }
    let limits = connect.properties.as_ref();
    let will = connect.will.and_then(|mut will| {
        let sender = Session::will_sender(&permissions, &will.topic)?;
        will.qos = will.qos.min(QoS::One);
        Some((will, sender))
    });
    let client_maximum = limits.and_then(|properties| properties.maximum_packet_size);
    Ok(Admitted {
        session: Session::new(
            connect.version,
            permissions,
            limits.and_then(|properties| properties.receive_maximum),
        ),
        identity,
        seat,
        allowance,
        pace,
        name: name.assigned.unwrap_or(connect.client_id),
        keep_alive: (connect.keep_alive > 0).then(|| Duration::from_secs(connect.keep_alive.into())),
        packet_bytes_max: client_maximum.map(|max| usize::try_from(max).unwrap_or(usize::MAX)),
        will,
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
        reason::CONNECTION_RATE_EXCEEDED => tally.refused_too_fast.one(),
        reason::SERVER_UNAVAILABLE | reason::SERVER_SHUTTING_DOWN => tally.refused_unavailable.one(),
        _ => tally.refused_unsupported.one(),
    }
}
