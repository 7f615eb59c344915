//! A receiver of webhooks: a plain socket that keeps what came and answers 200, or as the test says.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::ask;

/// One delivery.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Its `webhook-id`.
    pub key: String,
    pub body: String,
    /// When it was there, in ms since 1970.
    pub at: i64,
}

/// What the delivery of that number, from 0, with that body is answered: a status; none: nothing, for ever.
type Answer = dyn Fn(usize, &str) -> Option<u16> + Send + Sync;

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
        Self::listen(address, Arc::new(|_, _| Some(200)))
    }

    /// One that answers as `answer` says.
    pub(crate) fn answering(answer: impl Fn(usize, &str) -> Option<u16> + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1", Arc::new(answer))
    }

    fn listen(address: &str, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let deliveries = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&deliveries);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || serve(&stream, &kept, &*answer));
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
            .filter(|delivery| wanted(&delivery.body))
            .map(|delivery| delivery.key.clone())
            .collect()
    }

    /// The deliveries whose body is `wanted`, in order.
    pub(crate) fn deliveries(&self, wanted: impl Fn(&str) -> bool) -> Vec<Delivery> {
        let deliveries = self.deliveries.lock().unwrap();
        let wanted = deliveries.iter().filter(|delivery| wanted(&delivery.body));
        wanted.cloned().collect()
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every body so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.deliveries
            .lock()
            .unwrap()
            .iter()
            .map(|delivery| delivery.body.clone())
            .collect()
    }
}

fn serve(stream: &TcpStream, kept: &Mutex<Vec<Delivery>>, answer: &Answer) {
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
            let line = line.trim();
            if line.is_empty() {
                break;
            }
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("webhook-id") => {
                    value.trim().clone_into(&mut key);
                }
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap_or(0);
                }
                _ => {}
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        let place = {
            let mut kept = kept.lock().unwrap();
            kept.push(Delivery {
                key,
                body: body.clone(),
                at: ask::now(),
            });
            kept.len() - 1
        };
        let Some(status) = answer(place, &body) else {
            continue;
        };
        let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n\r\n");
        let mut writer = stream;
        if writer.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}
