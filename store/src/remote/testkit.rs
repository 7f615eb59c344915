//! A catalogue of one station, and an engine that says what it is told to, for the tests of this module.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use telemetry::profile::builtin;
use telemetry::{Catalogue, SeriesId};

const REGISTRY: &str = r#"
[county]
name = { zh = "测试县", en = "Test county" }
position = { latitude = 27.56, longitude = 119.72 }

[[organisation]]
id = "operator"
name = { zh = "运维公司", en = "O&M contractor" }

[[site]]
id = "site-1"
kind = "sewage_station"
name = { zh = "上村站", en = "Shangcun station" }
organisation = "operator"
town = "Shangcun"
position = { latitude = 27.56, longitude = 119.72 }

[[device]]
id = "station-1"
site = "site-1"
profile = "sewage-station-small"
"#;

/// One sewage station, `station-1` at `site-1`.
pub(super) fn catalogue() -> Arc<Catalogue> {
    let registry = toml::from_str(REGISTRY).unwrap();
    let mut next = 0;
    let catalogue = Catalogue::build(registry, &builtin().unwrap(), |_, _| {
        next += 1;
        SeriesId(next)
    });
    Arc::new(catalogue.unwrap())
}

/// The series of a signal of the station.
pub(super) fn station_series(catalogue: &Catalogue, signal: &str) -> SeriesId {
    catalogue.series_id("station-1", signal).unwrap()
}

/// What came to a [`Stub`].
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The first line and the headers.
    pub head: String,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// An engine that says what it is told to. Its threads end with the test's process.
pub(super) struct Stub {
    pub address: SocketAddr,
}

impl Stub {
    /// `answer` gets each request and gives the answer from its status on, without its length: `503 X\r\nRetry-After: 1`,
    /// and the body.
    pub(super) fn start(answer: impl Fn(&Asked) -> (String, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || converse(&stream, &*answer));
            }
        });
        Self { address }
    }
}

fn converse(mut stream: &TcpStream, answer: &dyn Fn(&Asked) -> (String, String)) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.eq_ignore_ascii_case("content-length")).then(|| value.trim().parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let (status, said) = answer(&Asked { head, body });
        let said = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{said}",
            said.len()
        );
        if stream.write_all(said.as_bytes()).is_err() {
            return;
        }
    }
}
