//! A bad line between a client and the server: a TCP proxy that delays, resets, goes silent, corrupts and drips.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the line does from now on, to new connections and to those that are there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    /// Every piece waits so long, each way.
    pub delay: Duration,
    /// After so many pieces of a connection it is reset.
    pub reset_after: Option<u64>,
    /// Nothing passes, and nobody is told.
    pub silent: bool,
    /// One bit of each so manieth byte from the client is turned round.
    pub corrupt_every: Option<u64>,
    /// One byte at a time, with this pause between two.
    pub drip: Option<Duration>,
}

/// Listens until the test lets go of it.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    line: Mutex<Line>,
    closing: AtomicBool,
    resets: AtomicU64,
}

impl Proxy {
    /// Passes everything on to `server` until it is told otherwise.
    pub(crate) fn start(server: SocketAddr, line: Line) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            line: Mutex::new(line),
            closing: AtomicBool::new(false),
            resets: AtomicU64::new(0),
        });
        let of = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if of.closing.load(Ordering::Relaxed) {
                    return;
                }
                of.join(client);
            }
        });
        Self { address, shared }
    }

    /// From now on the line does this.
    pub(crate) fn set(&self, line: Line) {
        *self.shared.line.lock().unwrap() = line;
    }

    /// Connections that it has reset.
    pub(crate) fn resets(&self) -> u64 {
        self.shared.resets.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // Wakes the listener.
        TcpStream::connect(self.address).ok();
    }
}

impl Shared {
    fn line(&self) -> Line {
        *self.line.lock().unwrap()
    }

    fn join(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.server) else {
            return;
        };
        for stream in [&client, &server] {
            stream.set_nodelay(true).ok();
            stream.set_read_timeout(Some(Duration::from_millis(50))).ok();
        }
        let pieces = Arc::new(AtomicU64::new(0));
        for (from, to, upstream) in [
            (client.try_clone().unwrap(), server.try_clone().unwrap(), true),
            (server, client, false),
        ] {
            let (shared, pieces) = (Arc::clone(self), Arc::clone(&pieces));
            std::thread::spawn(move || shared.pump(from, to, upstream, &pieces));
        }
    }

    /// Carries what comes from one side to the other, until either ends.
    fn pump(&self, mut from: TcpStream, mut to: TcpStream, upstream: bool, pieces: &AtomicU64) {
        let mut buffer = [0u8; 16 * 1024];
        let mut passed = 0u64;
        while !self.closing.load(Ordering::Relaxed) {
            let line = self.line();
            if line.silent {
                std::thread::park_timeout(Duration::from_millis(20));
                continue;
            }
            let count = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    continue;
                }
                Err(_) => break,
            };
            let piece = &mut buffer[..count];
            if let (true, Some(every)) = (upstream, line.corrupt_every) {
                for byte in piece.iter_mut() {
                    passed += 1;
                    if passed.is_multiple_of(every) {
                        *byte ^= 0x10;
                    }
                }
            }
            if !line.delay.is_zero() {
                std::thread::park_timeout(line.delay);
            }
            if line
                .reset_after
                .is_some_and(|after| pieces.fetch_add(1, Ordering::Relaxed) >= after)
            {
                self.resets.fetch_add(1, Ordering::Relaxed);
                break;
            }
            let written = match line.drip {
                None => to.write_all(piece),
                Some(pause) => piece.iter().try_for_each(|byte| {
                    std::thread::park_timeout(pause);
                    to.write_all(&[*byte])
                }),
            };
            if written.is_err() {
                break;
            }
        }
        // Both ends at once, in the middle of whatever was said.
        from.shutdown(Shutdown::Both).ok();
        to.shutdown(Shutdown::Both).ok();
    }
}
