//! The load client's MQTT 3.1.1, written for this benchmark alone: it encodes what it needs and trusts nobody.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const PUBACK: u8 = 0x40;
pub(crate) const PUBREC: u8 = 0x50;
pub(crate) const PUBREL: u8 = 0x62;
pub(crate) const PUBCOMP: u8 = 0x70;
pub(crate) const PINGREQ: [u8; 2] = [0xC0, 0];
pub(crate) const PINGRESP: u8 = 0xD0;

/// A connected client.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    received: Vec<u8>,
}

impl Client<TcpStream> {
    /// Connects and logs in.
    pub(crate) async fn connect(address: SocketAddr, device: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the peer listens");
        stream.set_nodelay(true).expect("a socket takes it");
        Self::log_in(stream, device).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Logs in over an open stream.
    pub(crate) async fn log_in(mut stream: S, device: &str) -> Self {
        stream.write_all(&login(device)).await.expect("the peer hears");
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).await.expect("the peer answers");
        assert_eq!(connack, [0x20, 2, 0, 0], "{device} is refused");
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Waits for answers; gives kind and packet identifier of each that has come, in order.
    pub(crate) async fn answers(&mut self, into: &mut Vec<(u8, u16)>) {
        assert!(self.answers_or_end(into).await, "the peer closed a connection");
    }

    /// The same; says whether the connection is still there.
    pub(crate) async fn answers_or_end(&mut self, into: &mut Vec<(u8, u16)>) -> bool {
        into.clear();
        while into.is_empty() {
            if self.stream.read_buf(&mut self.received).await.unwrap_or(0) == 0 {
                return false;
            }
            let mut rest = self.received.as_slice();
            while let [kind, length, tail @ ..] = rest {
                if usize::from(*length) > tail.len() {
                    break;
                }
                let (body, after) = tail.split_at(usize::from(*length));
                let id = body.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id));
                into.push((*kind, id));
                rest = after;
            }
            let kept = rest.len();
            self.received.drain(..self.received.len() - kept);
        }
        true
    }
}

/// CONNECT with user and password, keep-alive 600 s.
fn login(device: &str) -> Vec<u8> {
    let mut body = b"\0\x04MQTT\x04\xC2\x02\x58".to_vec();
    for text in [device, device, "secret"] {
        put_text(&mut body, text);
    }
    let mut packet = vec![0x10, u8::try_from(body.len()).expect("a short login")];
    packet.extend(body);
    packet
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
    out.extend(text.as_bytes());
}

/// A PUBLISH with six values, as a sewage station reports; without identifier at QoS 0.
pub(crate) fn publish(out: &mut Vec<u8>, topic: &str, qos: u8, id: u16, ts: i64) {
    let payload = format!(
        r#"{{"ts":{ts},"seq":{ts},"values":{{"flow":1.25,"total":{}.5,"level":1.5,"pump_1_run":true,"pump_1_fault":false,"mains":true}}}}"#,
        ts % 1_000_000
    );
    let length = 2 + topic.len() + payload.len() + if qos > 0 { 2 } else { 0 };
    out.push(0x30 | qos << 1);
    // Between 128 and 16,383: two bytes.
    out.push(u8::try_from(length % 128 + 128).expect("seven bits"));
    out.push(u8::try_from(length / 128).expect("seven bits"));
    put_text(out, topic);
    if qos > 0 {
        out.extend(id.to_be_bytes());
    }
    out.extend(payload.as_bytes());
}

/// PUBREL.
pub(crate) fn release(out: &mut Vec<u8>, id: u16) {
    out.extend([PUBREL, 2]);
    out.extend(id.to_be_bytes());
}
