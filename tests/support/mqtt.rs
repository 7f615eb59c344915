//! A bare MQTT client over a plain socket, written from the specification and not from the broker, that
//! keeps its own account of what was acknowledged. Also says what no honest client would.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// One connection, MQTT 3.1.1.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    pending: Vec<u8>,
    next_packet_id: u16,
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A packet: first byte, remaining length, body.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let digit = u8::try_from(length % 128).unwrap();
        length /= 128;
        bytes.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

/// A CONNECT packet of MQTT 3.1.1 (§3.1), clean session, with user and password.
pub(crate) fn connect_packet(client_id: &str, login: Option<(&str, &str)>, keep_alive_s: u16) -> Vec<u8> {
    let mut body = string("MQTT");
    body.push(4);
    body.push(if login.is_some() { 0xC2 } else { 0x02 });
    body.extend(keep_alive_s.to_be_bytes());
    body.extend(string(client_id));
    if let Some((user, password)) = login {
        body.extend(string(user));
        body.extend(string(password));
    }
    packet(0x10, &body)
}

impl Client {
    /// A bare connection: nothing is said yet.
    pub(crate) fn open(address: SocketAddr) -> Result<Self, String> {
        let stream =
            TcpStream::connect_timeout(&address, Duration::from_secs(5)).map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .map_err(|e| e.to_string())?;
        Ok(Self {
            stream,
            pending: Vec::new(),
            next_packet_id: 0,
        })
    }

    /// Connects and logs in; `Err` holds the CONNACK return code or what happened instead.
    pub(crate) fn connect(address: SocketAddr, id: &str, password: &str) -> Result<Self, String> {
        let mut client = Self::open(address)?;
        client.send(&connect_packet(id, Some((id, password)), 60))?;
        match client.read_packet()? {
            (0x20, body) if body == [0, 0] => Ok(client),
            (0x20, body) => Err(format!("connack {body:?}")),
            other => Err(format!("instead of a connack: {other:?}")),
        }
    }

    /// Writes bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).map_err(|e| e.to_string())
    }

    /// Publishes at QoS 1 without waiting; the packet id is returned.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<u16, String> {
        self.next_packet_id = self.next_packet_id % u16::MAX + 1;
        let mut body = string(topic);
        body.extend(self.next_packet_id.to_be_bytes());
        body.extend_from_slice(payload);
        self.send(&packet(0x32, &body))?;
        Ok(self.next_packet_id)
    }

    /// Waits for the next PUBACK and gives its packet id.
    pub(crate) fn read_puback(&mut self) -> Result<u16, String> {
        match self.read_packet()? {
            (0x40, body) if body.len() == 2 => Ok(u16::from_be_bytes([body[0], body[1]])),
            other => Err(format!("instead of a puback: {other:?}")),
        }
    }

    /// Publishes at QoS 1 and waits until it is acknowledged.
    pub(crate) fn publish_acked(&mut self, topic: &str, payload: &[u8]) -> Result<(), String> {
        let id = self.publish(topic, payload)?;
        match self.read_puback()? {
            acked if acked == id => Ok(()),
            other => Err(format!("puback of {other} instead of {id}")),
        }
    }

    /// Whether the other side has not closed the connection; asks without waiting.
    pub(crate) fn is_open(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let mut byte = [0];
        let read = self.stream.read(&mut byte);
        self.stream.set_nonblocking(false).unwrap();
        match read {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    /// The next packet: first byte and body. `Err("closed")` when the other side closed the connection.
    pub(crate) fn read_packet(&mut self) -> Result<(u8, Vec<u8>), String> {
        loop {
            if let Some((length, head)) = self.remaining_length()
                && self.pending.len() >= head + length
            {
                let packet: Vec<u8> = self.pending.drain(..head + length).collect();
                return Ok((packet[0], packet[head..].to_vec()));
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("closed".to_owned()),
                Ok(n) => self.pending.extend_from_slice(&buffer[..n]),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn remaining_length(&self) -> Option<(usize, usize)> {
        let mut length = 0;
        for (place, byte) in self.pending.iter().skip(1).take(4).enumerate() {
            length += usize::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                return Some((length, place + 2));
            }
        }
        None
    }
}
