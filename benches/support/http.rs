//! A peer that is a process with an HTTP interface.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::time::Duration;

use crate::process;

/// It, and one connection that stays open.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("the system has a free port")
}

impl Server {
    /// A process that was just started; comes back when `path` is answered with 200.
    pub(crate) fn of(child: Child, address: SocketAddr, path: &str) -> Self {
        let mut server = Self {
            child,
            address,
            stream: None,
        };
        wait("the peer answers", || {
            TcpStream::connect(address).is_ok() && server.ask("GET", path, "", &[]).0 == 200
        });
        server
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        self.stream = None;
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn cost(&self) -> (f64, f64) {
        process::cost(self.child.id())
    }

    /// Asks; gives status and body.
    pub(crate) fn ask(&mut self, method: &str, path: &str, head: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let stream = self.stream.get_or_insert_with(|| {
            let stream = TcpStream::connect(self.address).expect("the peer listens");
            stream.set_nodelay(true).expect("a socket takes it");
            BufReader::with_capacity(1 << 16, stream)
        });
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{head}Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let socket = stream.get_mut();
        socket.write_all(head.as_bytes()).expect("the peer hears");
        socket.write_all(body).expect("the peer hears");
        read_answer(stream)
    }
}

fn read_answer(stream: &mut BufReader<TcpStream>) -> (u16, Vec<u8>) {
    let mut line = String::new();
    stream.read_line(&mut line).expect("an answer");
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status");
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        stream.read_line(&mut line).expect("a head");
        let lower = line.trim().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    while chunked {
        line.clear();
        stream.read_line(&mut line).expect("a chunk");
        let size = usize::from_str_radix(line.trim(), 16).expect("the size of a chunk");
        let begin = body.len();
        body.resize(begin + size + 2, 0);
        stream
            .read_exact(body.get_mut(begin..).expect("just made"))
            .expect("a chunk");
        body.truncate(begin + size);
        chunked = size > 0;
    }
    (status, body)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// For a query of a URL.
pub(crate) fn escape(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

/// Bytes of all files below `folder`.
pub(crate) fn bytes_below(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(facts) if facts.is_dir() => bytes_below(&entry.path()),
        Ok(facts) => facts.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

/// Runs `work` again and again until it is true; panics after a minute.
pub(crate) fn wait(what: &str, mut work: impl FnMut() -> bool) {
    let begun = process::now();
    while !work() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{what} within a minute"
        );
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
