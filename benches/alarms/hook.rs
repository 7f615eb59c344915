//! A receiver of notices that notes when each arrived.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::process;

/// When a body was whole, and the body.
type Arrival = (Instant, String);

/// Listens until the benchmark ends.
pub(crate) struct Hook {
    pub(crate) address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Hook {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&arrivals);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(&stream, &kept));
            }
        });
        Self { address, arrivals }
    }

    /// The configuration of the program that sends every notice here, with further lines of `[alarms]`.
    pub(crate) fn configuration(&self, more: &str) -> String {
        let address = self.address;
        format!(
            "[alarms]\nallow = [\"{address}\"]\n{more}[[alarms.webhook]]\nname = \"hook\"\nurl = \"http://{address}/\"\n"
        )
    }

    /// When the first body that holds all of `words` arrived; waits for it at most for `deadline`.
    pub(crate) fn wait_for(&self, words: &[String], deadline: Duration) -> Option<Instant> {
        let begun = process::now();
        let mut seen = 0;
        loop {
            let found = {
                let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                let mut new = arrivals.iter().skip(seen);
                let found = new.find(|(_, body)| words.iter().all(|word| body.contains(word)));
                seen = arrivals.len();
                found.map(|(at, _)| *at)
            };
            if found.is_some() || begun.elapsed() > deadline {
                return found;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

fn serve(stream: &TcpStream, kept: &Mutex<Vec<Arrival>>) {
    stream.set_nodelay(true).ok();
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let arrival = (process::now(), String::from_utf8_lossy(&body).into_owned());
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
        let mut writer = stream;
        if writer
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .is_err()
        {
            return;
        }
    }
}
