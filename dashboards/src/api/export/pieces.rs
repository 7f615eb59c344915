//! What a blocking writer writes, piece by piece on its way to the one who asked: a slow taker holds the writer up, a
//! taker who has gone ends it, and the other way round.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use store::series::Cancel;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::limits::{EXPORT_PATIENCE, EXPORT_PIECE_BYTES, EXPORT_PIECES_MAX};

/// An empty one is the end: an answer without it is not whole, whatever became of its writer.
type Piece = Bytes;

/// The two ends.
pub(super) fn pair() -> (Sender<Piece>, Receiver<Piece>) {
    channel(EXPORT_PIECES_MAX)
}

/// The end that is written to, from a blocking thread.
pub(super) struct Sent {
    to: Sender<Piece>,
    runtime: Handle,
    gathered: Vec<u8>,
    is_given_up: bool,
}

impl Sent {
    pub(super) fn new(to: Sender<Piece>, runtime: Handle) -> Self {
        Self {
            to,
            runtime,
            gathered: Vec::new(),
            is_given_up: false,
        }
    }

    /// Whether the taker has gone or takes nothing.
    pub(super) const fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Sends what was gathered; the answer is whole.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            self.send()?;
        }
        self.send()
    }

    /// Sends what was gathered; nothing: the end.
    fn send(&mut self) -> io::Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.gathered));
        let to = &self.to;
        let sent = self
            .runtime
            .block_on(async { tokio::time::timeout(EXPORT_PATIENCE, to.send(piece)).await });
        let error = match sent {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) => io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone"),
            Err(_) => {
                let seconds = EXPORT_PATIENCE.as_secs();
                let text = format!("the client took nothing for {seconds} s");
                io::Error::new(io::ErrorKind::TimedOut, text)
            }
        };
        self.is_given_up = true;
        Err(error)
    }
}

impl Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= EXPORT_PIECE_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    /// Small pieces are gathered all the same: see [`Sent::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end that is taken from: the body of the answer. Ends with an error when the server stops.
pub(super) struct Received {
    from: Receiver<Piece>,
    writer: Cancel,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    has_ended: bool,
}

impl Received {
    /// `writer` is cancelled when nobody takes any more.
    pub(super) fn new(from: Receiver<Piece>, writer: Cancel, server: CancellationToken) -> Self {
        Self {
            from,
            writer,
            stopped: Box::pin(server.cancelled_owned()),
            has_ended: false,
        }
    }
}

impl Stream for Received {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        if self.stopped.as_mut().poll(context).is_ready() {
            self.has_ended = true;
            let error = io::Error::new(io::ErrorKind::ConnectionAborted, "the server stops");
            return Poll::Ready(Some(Err(error)));
        }
        let Poll::Ready(piece) = self.from.poll_recv(context) else {
            return Poll::Pending;
        };
        Poll::Ready(match piece {
            Some(piece) if !piece.is_empty() => Some(Ok(piece)),
            Some(_) => {
                self.has_ended = true;
                None
            }
            None => {
                self.has_ended = true;
                Some(Err(io::Error::other("the export failed; the log tells why")))
            }
        })
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.writer.cancel();
    }
}
