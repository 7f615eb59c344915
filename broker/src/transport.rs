//! How bytes come and go: plain TCP, TLS, WebSocket, and WebSocket inside TLS.
//!
//! [`open`] makes a [`Stream`] of an accepted socket; everything behind it sees bytes only.

pub(crate) mod certificate;

pub(crate) mod tls;

pub(crate) mod reload;

pub(crate) mod websocket;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::config::Origins;
use tls::TlsSite;
use websocket::WebSocket;

/// What one listener speaks below MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Plain TCP.
    Tcp,
    /// TLS 1.2 or 1.3.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket inside TLS.
    Wss,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        })
    }
}

/// What stands between a listener's sockets and MQTT.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) tls: Option<std::sync::Arc<TlsSite>>,
    pub(crate) websocket: Option<Origins>,
}

impl Layers {
    pub(crate) fn kind(&self) -> Kind {
        match (&self.tls, &self.websocket) {
            (None, None) => Kind::Tcp,
            (Some(_), None) => Kind::Tls,
            (None, Some(_)) => Kind::Ws,
            (Some(_), Some(_)) => Kind::Wss,
        }
    }
}

/// Why a socket did not get as far as MQTT. The other side has been told what its protocol has for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("WebSocket upgrade failed")]
    Upgrade(#[source] websocket::upgrade::UpgradeError),
}

/// One connection's bytes.
pub(crate) enum Stream {
    Tcp(TcpStream),
    // Boxed: a plain connection shall not pay for what the others hold.
    Tls(Box<TlsStream<TcpStream>>),
    Ws(Box<WebSocket<TcpStream>>),
    Wss(Box<WebSocket<TlsStream<TcpStream>>>),
}

/// Goes through the handshakes of `layers`. Also tells what the client's certificate calls it. Waits for
/// the client as long as it is let: the caller sets the time limit.
pub(crate) async fn open(
    socket: TcpStream,
    layers: &Layers,
) -> Result<(Stream, Option<Box<str>>), OpenError> {
    let Some(site) = &layers.tls else {
        let Some(origins) = &layers.websocket else {
            return Ok((Stream::Tcp(socket), None));
        };
        let socket = websocket::upgrade::accept(socket, origins)
            .await
            .map_err(OpenError::Upgrade)?;
        return Ok((Stream::Ws(Box::new(socket)), None));
    };
    let (encrypted, certificate) = site.accept(socket).await.map_err(OpenError::Tls)?;
    let stream = match &layers.websocket {
        None => Stream::Tls(Box::new(encrypted)),
        Some(origins) => {
            let socket = websocket::upgrade::accept(encrypted, origins)
                .await
                .map_err(OpenError::Upgrade)?;
            Stream::Wss(Box::new(socket))
        }
    };
    Ok((stream, certificate))
}

macro_rules! each {
    ($self:ident, $stream:ident => $do:expr) => {
        match $self.get_mut() {
            Stream::Tcp($stream) => $do,
            Stream::Tls($stream) => $do,
            Stream::Ws($stream) => $do,
            Stream::Wss($stream) => $do,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
