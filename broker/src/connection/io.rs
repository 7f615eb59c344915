//! One socket: what came, and what waits to go out.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, timeout};

use crate::limits::READ_BYTES_MAX;

/// How long a socket that is closed gets to take the last words, and again to fall silent.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes that are read and thrown away while a socket is closed.
const FAREWELL_BYTES_MAX: u64 = 4 * 1024 * 1024;
const SCRATCH: usize = 16 * 1024;

/// A socket with its two buffers. An idle one holds none of them.
pub(crate) struct Io<S> {
    stream: S,
    /// What came and has not been decoded.
    pub(crate) inbuf: BytesMut,
    /// What waits to go out.
    pub(crate) out: BytesMut,
    /// Whether the stream has taken bytes that it may still hold: TLS and WebSocket wrap them first.
    unflushed: bool,
    /// Since when the socket has taken none of the bytes that wait for it.
    pub(crate) stalled_since: Option<Instant>,
}

/// What happened on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Bytes came.
    Read,
    /// All that waited has gone out.
    Written,
    /// The other side closed.
    Closed,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Io<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            inbuf: BytesMut::new(),
            out: BytesMut::new(),
            unflushed: false,
            stalled_since: None,
        }
    }

    /// Writes what waits and, when `want_read`, reads what is there, until something has happened. Can
    /// be dropped at any point without losing bytes.
    pub(crate) async fn turn(&mut self, want_read: bool) -> std::io::Result<Turn> {
        std::future::poll_fn(|cx| self.poll_turn(cx, want_read)).await
    }

    /// Reads what is there without waiting, up to [`READ_BYTES_MAX`]; how many bytes it was.
    pub(crate) async fn read_now(&mut self) -> usize {
        let before = self.inbuf.len();
        let read = std::future::poll_fn(|cx| Poll::Ready(self.poll_in(cx)));
        // A task that has done much already would be told that nothing is there.
        let broke = matches!(unconstrained(read).await, Poll::Ready(Err(_)));
        if broke {
            tracing::trace!("socket broke while it was read");
        }
        self.inbuf.len() - before
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, want_read: bool) -> Poll<std::io::Result<Turn>> {
        let written = match self.poll_out(cx) {
            Poll::Ready(result) => {
                result?;
                true
            }
            Poll::Pending => false,
        };
        if want_read && let Poll::Ready(turn) = self.poll_in(cx) {
            return Poll::Ready(turn);
        }
        if written {
            Poll::Ready(Ok(Turn::Written))
        } else {
            Poll::Pending
        }
    }

    /// Ready when something waited and all of it has gone out.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if self.out.is_empty() && !self.unflushed {
            return Poll::Pending;
        }
        while !self.out.is_empty() {
            let Poll::Ready(count) = Pin::new(&mut self.stream).poll_write(cx, &self.out) else {
                return self.stalled();
            };
            let count = count?;
            if count == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(count);
            self.unflushed = true;
            self.stalled_since = None;
        }
        self.out = BytesMut::new();
        let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx) else {
            return self.stalled();
        };
        self.unflushed = false;
        self.stalled_since = None;
        Poll::Ready(flushed)
    }

    fn stalled(&mut self) -> Poll<std::io::Result<()>> {
        self.stalled_since.get_or_insert_with(Instant::now);
        Poll::Pending
    }

    /// Reads what the socket holds, up to [`READ_BYTES_MAX`].
    fn poll_in(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Turn>> {
        let mut count = 0;
        while count < READ_BYTES_MAX {
            let mut scratch = [const { MaybeUninit::uninit() }; SCRATCH];
            let mut buffer = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending if count == 0 => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Err(error)) if count == 0 => return Poll::Ready(Err(error)),
                // What came before the socket broke counts.
                Poll::Ready(Err(_)) => break,
                Poll::Ready(Ok(())) => {
                    let bytes = buffer.filled();
                    if bytes.is_empty() {
                        break;
                    }
                    count += bytes.len();
                    self.inbuf.extend_from_slice(bytes);
                }
            }
        }
        Poll::Ready(Ok(if count == 0 { Turn::Closed } else { Turn::Read }))
    }

    /// Writes the last words and closes so that the other side can read them: a socket that is closed
    /// with unread bytes takes back what it has sent.
    pub(crate) async fn farewell(mut self) {
        let words = async {
            self.stream.write_all(&self.out).await?;
            self.stream.shutdown().await
        };
        if !matches!(timeout(FAREWELL, words).await, Ok(Ok(()))) {
            return;
        }
        let mut rest = self.stream.take(FAREWELL_BYTES_MAX);
        let mut nowhere = tokio::io::sink();
        let silence = tokio::io::copy(&mut rest, &mut nowhere);
        if let Ok(Err(error)) = timeout(FAREWELL, silence).await {
            tracing::trace!(%error, "socket broke while it was closed");
        }
    }
}
