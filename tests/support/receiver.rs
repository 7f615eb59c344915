//! A receiver of webhooks: a plain socket that answers 200 and keeps what came.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One delivery: its key (`webhook-id`) and its body.
type Delivery = (String, String);

/// Listens until the test's process ends.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1")
    }

    /// At an address of this machine.
    pub(crate) fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let deliveries = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&deliveries);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(&stream, &kept));
            }
        });
        Self { address, deliveries }
    }

    /// The lines of configuration that send notices here.
    pub(crate) fn configuration(&self) -> String {
        let address = self.address;
        format!(
            "[alarms]\nallow = [\"{address}\"]\n[[alarms.webhook]]\nname = \"inspectors\"\nurl = \"http://{address}/hook\"\n"
        )
    }

    /// The different keys of the deliveries whose body is `wanted`.
    pub(crate) fn keys(&self, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let deliveries = self.deliveries.lock().unwrap();
        deliveries
            .iter()
            .filter(|(_, body)| wanted(body))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Every body so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.deliveries
            .lock()
            .unwrap()
            .iter()
            .map(|(_, body)| body.clone())
            .collect()
    }
}

fn serve(stream: &TcpStream, kept: &Mutex<Vec<Delivery>>) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok();
    let mut reader = BufReader::new(stream);
    loop {
        let mut key = String::new();
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
            if let Some(value) = line.strip_prefix("webhook-id:") {
                value.trim().clone_into(&mut key);
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        kept.lock()
            .unwrap()
            .push((key, String::from_utf8_lossy(&body).into_owned()));
        let mut writer = stream;
        if writer
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .is_err()
        {
            return;
        }
    }
}
