//! A client made of bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answers::{Found, Got, Message, read};
use super::packets::{
    Connect, PINGREQ, PUBACK, PUBCOMP, PUBREC, PUBREL, Props, Publish, ack, subscribe, unsubscribe,
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a CONNACK said.
#[derive(Clone, Debug)]
pub(crate) struct Welcome {
    pub(crate) present: bool,
    pub(crate) props: Found,
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    pub(crate) v: u8,
    next_id: u16,
    /// Messages that came while something else was waited for.
    aside: VecDeque<Message>,
}

impl Client {
    /// Opens a connection and says nothing.
    pub(crate) async fn open(address: SocketAddr, v: u8) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            v,
            next_id: 1000,
            aside: VecDeque::new(),
        }
    }

    /// Opens a connection and is let in.
    pub(crate) async fn connect(address: SocketAddr, connect: &Connect) -> (Self, Welcome) {
        let mut client = Self::open(address, connect.v).await;
        client.send(&connect.bytes()).await;
        let welcome = client.welcome().await;
        (client, welcome)
    }

    /// Expects to be let in.
    pub(crate) async fn welcome(&mut self) -> Welcome {
        match self.next().await {
            Got::ConnAck {
                present,
                code: 0,
                props,
            } => Welcome { present, props },
            other => panic!("expected CONNACK with success, got {other:?}"),
        }
    }

    /// Sends bytes. Whether the gate still reads them is seen from what it answers.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    /// The next packet.
    pub(crate) async fn next(&mut self) -> Got {
        self.next_or_end().await.expect("a packet, but the gate closed")
    }

    /// The next packet, or none when the gate closed the connection.
    pub(crate) async fn next_or_end(&mut self) -> Option<Got> {
        if let Some(message) = self.aside.pop_front() {
            return Some(Got::Publish(message));
        }
        self.packet().await
    }

    async fn packet(&mut self) -> Option<Got> {
        let (first, body, size) = timeout(PATIENCE, self.read())
            .await
            .expect("a packet or the end in time")?;
        Some(read(self.v, first, &body, size))
    }

    /// The next packet's size, header included.
    pub(crate) async fn size_of_next(&mut self) -> usize {
        let (_, _, size) = timeout(PATIENCE, self.read())
            .await
            .expect("a packet in time")
            .expect("a packet, but the gate closed");
        size
    }

    async fn read(&mut self) -> Option<(u8, Vec<u8>, usize)> {
        let first = self.stream.read_u8().await.ok()?;
        let (mut length, mut bytes) = (0usize, 0);
        loop {
            let byte = self.stream.read_u8().await.expect("the rest of the length");
            length |= usize::from(byte & 0x7F) << (7 * bytes);
            bytes += 1;
            if byte & 0x80 == 0 {
                break;
            }
            assert!(bytes < 4, "a length of more than four bytes");
        }
        let mut body = vec![0; length];
        self.stream
            .read_exact(&mut body)
            .await
            .expect("the rest of the packet");
        Some((first, body, 1 + bytes + length))
    }

    /// Expects the gate to close the connection; the code of its DISCONNECT or refusing CONNACK when it said one.
    pub(crate) async fn end(&mut self) -> Option<u8> {
        let code = match self.next_or_end().await {
            None => return None,
            Some(Got::Disconnect { code, .. }) => code,
            Some(Got::ConnAck { code, .. }) if code != 0 => code,
            Some(other) => panic!("expected the end, got {other:?}"),
        };
        assert_eq!(self.next_or_end().await, None, "nothing after the last word");
        Some(code)
    }

    /// Closes without a word.
    pub(crate) fn vanish(self) {
        drop(self.stream);
    }

    /// Says DISCONNECT and waits until the gate has closed; messages that were under way may still come.
    pub(crate) async fn leave(mut self) {
        self.send(&super::packets::DISCONNECT).await;
        while let Some(got) = self.next_or_end().await {
            assert!(
                matches!(got, Got::Publish(_)),
                "DISCONNECT was answered with {got:?}"
            );
        }
    }

    /// Shows that the gate still serves this client and has nothing else for it.
    pub(crate) async fn alive(&mut self) {
        self.send(&PINGREQ).await;
        assert_eq!(self.next().await, Got::PingResp);
    }

    fn id(&mut self) -> u16 {
        self.next_id += 1;
        self.next_id
    }

    /// Subscribes to one filter; the code of the SUBACK. Messages may come after it, not before.
    pub(crate) async fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        self.subscribe_with(filter, options, &Props::default()).await
    }

    pub(crate) async fn subscribe_with(&mut self, filter: &str, options: u8, props: &Props) -> u8 {
        let id = self.id();
        self.send(&subscribe(self.v, id, props, &[(filter, options)]))
            .await;
        match self.next().await {
            Got::SubAck { id: of, codes } if of == id && codes.len() == 1 => codes[0],
            other => panic!("expected SUBACK {id}, got {other:?}"),
        }
    }

    /// Unsubscribes from one filter; the code of the UNSUBACK, in 3.1.1 0.
    pub(crate) async fn unsubscribe(&mut self, filter: &str) -> u8 {
        let id = self.id();
        self.send(&unsubscribe(self.v, id, &[filter])).await;
        match self.next().await {
            Got::UnsubAck { id: of, codes } if of == id => codes.first().copied().unwrap_or(0),
            other => panic!("expected UNSUBACK {id}, got {other:?}"),
        }
    }

    /// Publishes and goes through the whole of the QoS; the reason code of PUBACK or PUBREC. For a client to
    /// which nothing else comes meanwhile.
    pub(crate) async fn publish(&mut self, mut publish: Publish) -> u8 {
        publish.id = self.id();
        let id = publish.id;
        self.send(&publish.bytes()).await;
        match publish.qos {
            0 => {
                // So that it has been taken when this returns.
                self.alive().await;
                0
            }
            1 => match self.next().await {
                Got::PubAck { id: of, code } if of == id => code,
                other => panic!("expected PUBACK {id}, got {other:?}"),
            },
            _ => {
                let code = match self.next().await {
                    Got::PubRec { id: of, code } if of == id => code,
                    other => panic!("expected PUBREC {id}, got {other:?}"),
                };
                if code < 0x80 {
                    self.send(&ack(PUBREL, id)).await;
                    assert_eq!(self.next().await, Got::PubComp { id, code: 0 });
                }
                code
            }
        }
    }

    /// Publishes `payload` to `topic`.
    pub(crate) async fn say(&mut self, topic: &str, qos: u8, payload: &str) {
        let code = self.publish(Publish::new(self.v, topic, qos, payload)).await;
        assert!(code < 0x80, "{payload} to {topic} was refused with {code:#x}");
    }

    /// The next message, not yet acknowledged.
    pub(crate) async fn offered(&mut self) -> Message {
        match self.next().await {
            Got::Publish(message) => message,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// The next message, acknowledged as its QoS asks for.
    pub(crate) async fn message(&mut self) -> Message {
        let message = self.offered().await;
        self.acknowledge(&message).await;
        message
    }

    /// Acknowledges a message to the end.
    pub(crate) async fn acknowledge(&mut self, message: &Message) {
        let id = message.id;
        match message.qos {
            0 => {}
            1 => self.send(&ack(PUBACK, id)).await,
            _ => {
                self.send(&ack(PUBREC, id)).await;
                self.released(id).await;
                self.send(&ack(PUBCOMP, id)).await;
            }
        }
    }

    /// Waits for the PUBREL of a message; other messages may come before it.
    pub(crate) async fn released(&mut self, id: u16) {
        loop {
            match self.packet().await {
                Some(Got::Publish(message)) => self.aside.push_back(message),
                other => return assert_eq!(other, Some(Got::PubRel { id, code: 0 })),
            }
        }
    }

    /// Expects a message with this payload; the message.
    pub(crate) async fn hears(&mut self, payload: &str) -> Message {
        let message = self.message().await;
        assert_eq!(message.text(), payload, "{message:?}");
        message
    }
}
