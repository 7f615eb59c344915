//! MQTT inside WebSocket frames, as a stream of bytes. Source: MQTT 5.0 §6, RFC 6455.
//!
//! Frames are taken apart in the buffer that they are read into: neither a frame nor a message is ever
//! held, so their size costs nothing, and an idle connection holds no buffer.

mod frames;

pub(crate) mod upgrade;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use frames::{Heard, Inbound};

/// Most bytes that one frame carries to a client. More: go in the next frame.
const FRAME_BYTES_MAX: usize = 16 * 1024;
/// Bytes that may wait to go out before a ping is answered. More: it stays unanswered.
const PONG_ROOM: usize = 4 * 1024;

/// An open WebSocket, seen as a stream of bytes.
pub(crate) struct WebSocket<S> {
    inner: S,
    inbound: Inbound,
    /// Frames that wait to go out.
    out: BytesMut,
    /// Nothing more is said: our close frame is on its way.
    close_sent: bool,
    /// Nothing more is heard: the client closed, or broke the protocol.
    deaf: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            inbound: Inbound::default(),
            out: BytesMut::new(),
            close_sent: false,
            deaf: false,
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.out))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(count);
        }
        self.out = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Starts to send what waits; what does not go now goes with the next call.
    fn nudge(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.poll_drain(cx) {
            Poll::Ready(Ok(())) => match Pin::new(&mut self.inner).poll_flush(cx) {
                Poll::Ready(result) => result,
                Poll::Pending => Ok(()),
            },
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(()),
        }
    }

    fn say_close(&mut self, code: u16) {
        if !self.close_sent {
            self.close_sent = true;
            frames::close(&mut self.out, code);
        }
    }

    /// Reads and forgets until the other side closes.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut scratch = [0; 1024];
            let mut scratch = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut scratch))?;
            if scratch.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// What frames without data of MQTT lead to.
    fn answer(&mut self, heard: Heard) {
        match heard {
            Heard::Ping(payload) if self.out.len() < PONG_ROOM && !self.close_sent => {
                frames::pong(&mut self.out, &payload);
            }
            Heard::Ping(_) => {}
            Heard::Close(code) => {
                self.deaf = true;
                self.say_close(code);
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.deaf {
            return this.poll_discard(cx);
        }
        loop {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            let Some(came) = buf.filled_mut().get_mut(before..).filter(|came| !came.is_empty()) else {
                return Poll::Ready(Ok(()));
            };
            let mut heard = Vec::new();
            let count = match this.inbound.strip(came, &mut heard) {
                Ok(count) => count,
                Err(violation) => {
                    tracing::debug!(why = violation.why, "WebSocket closed");
                    this.deaf = true;
                    this.say_close(violation.code);
                    0
                }
            };
            buf.set_filled(before + count);
            heard.into_iter().for_each(|heard| this.answer(heard));
            this.nudge(cx)?;
            if count > 0 || this.deaf {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.close_sent {
            // The other side does not listen any more: nothing of this would be read.
            return Poll::Ready(Ok(buf.len()));
        }
        ready!(this.poll_drain(cx))?;
        let part = buf.get(..FRAME_BYTES_MAX).unwrap_or(buf);
        frames::binary(&mut this.out, part);
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.say_close(frames::NORMAL);
        ready!(this.poll_drain(cx))?;
        ready!(Pin::new(&mut this.inner).poll_flush(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}
