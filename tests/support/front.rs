//! What stands before an engine: it lets in who has the token, and knows the engine's paths by other names.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Listens until the test lets go of it. One request a connection.
#[derive(Debug)]
pub(crate) struct Front {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: SocketAddr,
    token: &'static str,
    /// The beginning of a path here, and what it is there. Other paths are not found.
    paths: &'static [(&'static str, &'static str)],
    asked: Mutex<Vec<String>>,
    closing: AtomicBool,
}

impl Front {
    pub(crate) fn start(
        engine: SocketAddr,
        token: &'static str,
        paths: &'static [(&'static str, &'static str)],
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            engine,
            token,
            paths,
            asked: Mutex::default(),
            closing: AtomicBool::new(false),
        });
        let of = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if of.closing.load(Ordering::Relaxed) {
                    return;
                }
                let of = Arc::clone(&of);
                // Who has gone away, or an engine that is not there, ends the connection and nothing more.
                std::thread::spawn(move || of.serve(&client).ok());
            }
        });
        Self { address, shared }
    }

    /// The paths that were asked for, without their questions, each once.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = self.shared.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // Wakes the listener.
        TcpStream::connect(self.address).ok();
    }
}

impl Shared {
    fn serve(&self, mut client: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim_end().is_empty() {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let value = |name: &str| {
            lines.iter().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let length = value("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let path = lines[0].split(' ').nth(1).unwrap().to_owned();
        let bare = path.split('?').next().unwrap().to_owned();
        self.asked.lock().unwrap().push(bare);
        if value("authorization") != Some(format!("Bearer {}", self.token)) {
            return client.write_all(&answer("401 Unauthorized"));
        }
        let known = self.paths.iter().find(|(here, _)| path.starts_with(here));
        let Some((here, there)) = known else {
            return client.write_all(&answer("404 Not Found"));
        };
        lines[0] = lines[0].replacen(here, there, 1);
        lines.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        lines.push("Connection: close\r\n\r\n".to_owned());
        let mut engine = TcpStream::connect(self.engine)?;
        engine.write_all(lines.join("\r\n").as_bytes())?;
        engine.write_all(&body)?;
        std::io::copy(&mut engine, &mut client).map(|_| ())
    }
}

fn answer(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}
