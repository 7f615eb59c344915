//! A file descriptor that is kept in reserve, so that there is one to turn people away with.

use std::fs::File;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

/// How long a socket is waited for that may have been taken already.
const AT_ONCE: Duration = Duration::from_millis(1);
/// Sockets that are turned away before the reserve is renewed.
const REFUSED_MAX: usize = 64;

/// The reserve. Without it, those for whom the operating system has no descriptor would wait in its queue
/// until they give up; with it, they are told by a close and can try elsewhere, or later.
#[derive(Debug)]
pub(crate) struct Spare(Option<File>);

impl Spare {
    pub(crate) fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Gives the reserve up, takes who waits and closes at once, and takes the reserve again. How many that were.
    pub(crate) async fn refuse(&mut self, listener: &TcpListener) -> usize {
        if self.0.take().is_none() {
            *self = Self::new();
            return 0;
        }
        let mut refused = 0;
        while refused < REFUSED_MAX
            && let Ok(Ok((socket, _))) = timeout(AT_ONCE, listener.accept()).await
        {
            drop(socket);
            refused += 1;
        }
        *self = Self::new();
        refused
    }
}
