//! Every way in: TCP, TLS, WebSocket and secure WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use broker::{
    Anonymous, CertificateName, ClientCertificates, Gate, GateConfig, GateError, Kind, ListenerConfig, Proof,
    RegistryAuthenticator, Trust,
};
use futures_util::{SinkExt, StreamExt};
use telemetry::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{HandshakeKind, version};
use tokio_tungstenite::tungstenite::Message;

use crate::pki::{Pki, encrypt, listener, pair};
use crate::support::*;
use crate::websocket::{as_bytes, upgrade};

const TOPIC: &str = "tw/v1/pump-1/telemetry";

async fn gate_with(
    listeners: Vec<ListenerConfig>,
    change: impl FnOnce(&mut GateConfig),
) -> (Gate, Arc<TestIntake>) {
    let intake = Arc::new(TestIntake::default());
    let gate = gate(&intake, Anonymous::Refuse, |config| {
        config.listeners = listeners;
        config.certificate_look_every = Duration::from_millis(10);
        change(config);
    })
    .await;
    (gate, intake)
}

fn every_kind(pki: &Pki) -> Vec<ListenerConfig> {
    let tls = || Some(pki.tls(ClientCertificates::None));
    vec![
        listener(None, false),
        listener(tls(), false),
        listener(None, true),
        listener(tls(), true),
    ]
}

#[tokio::test]
async fn every_listener_says_its_kind_and_how_clients_prove_who_they_are() {
    let pki = Pki::new("ca");
    pki.issue_server();
    let asking = |clients| listener(Some(pki.tls(clients)), false);
    let mut listeners = every_kind(&pki);
    listeners.push(asking(ClientCertificates::Optional(pki.trust())));
    listeners.push(asking(ClientCertificates::Required(pki.trust())));
    let (gate, _) = gate_with(listeners, |_| {}).await;
    let told: Vec<(Kind, Proof)> = gate.listeners().iter().map(|l| (l.kind, l.proof)).collect();
    assert_eq!(
        told,
        [
            (Kind::Tcp, Proof::Password),
            (Kind::Tls, Proof::Password),
            (Kind::Ws, Proof::Password),
            (Kind::Wss, Proof::Password),
            (Kind::Tls, Proof::CertificateOrPassword),
            (Kind::Tls, Proof::Certificate),
        ]
    );
    assert_eq!(gate.local_addr(), gate.listeners()[0].address);
    // No two share a port.
    let mut ports: Vec<u16> = gate.listeners().iter().map(|l| l.address.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 6);
    assert!(!ports.contains(&0));
}

#[tokio::test]
async fn a_message_is_acknowledged_through_every_kind_and_a_stop_ends_them_all() {
    let pki = Pki::new("ca");
    pki.issue_server();
    let (gate, intake) = gate_with(every_kind(&pki), |_| {}).await;
    let addresses: Vec<SocketAddr> = gate.listeners().iter().map(|l| l.address).collect();
    let connector = pki.client(None);
    let tcp = TcpStream::connect(addresses[0]).await.unwrap();
    let tls = encrypt(addresses[1], &connector).await.unwrap();
    let ws = as_bytes(
        upgrade(TcpStream::connect(addresses[2]).await.unwrap()).await,
        4096,
    );
    let wss = as_bytes(
        upgrade(encrypt(addresses[3], &connector).await.unwrap()).await,
        4096,
    );
    let mut tcp = Client(tcp).greet(hello(5, "pump-1")).await;
    let mut tls = Client(tls).greet(hello(4, "pump-2")).await;
    let mut ws = Client(ws).greet(hello(5, "gw")).await;
    tcp.send(&publish(5, TOPIC, 7, "tcp")).await;
    tcp.expect(&puback(7)).await;
    // A packet larger than any one frame or TLS record.
    let large = "x".repeat(100_000);
    tls.send(&publish(4, "tw/v1/pump-2/telemetry", 8, &large)).await;
    tls.expect(&puback(8)).await;
    ws.send(&publish(5, "tw/v1/behind-gw/telemetry", 9, &large)).await;
    ws.expect(&puback(9)).await;
    // The fourth comes as the first's device and takes its place.
    let mut wss = Client(wss).greet(hello(5, "pump-1")).await;
    tcp.expect(&[0xE0, 1, 0x8E]).await;
    wss.send(&publish(5, TOPIC, 10, "wss")).await;
    wss.expect(&puback(10)).await;
    assert_eq!(intake.payloads(), ["tcp", &large, &large, "wss"]);
    // When the gate stops, then all are told and every port is free.
    let stopped = tokio::spawn(async move { gate.stop().await });
    for client in [&mut ws, &mut wss] {
        client.expect(&[0xE0, 1, 0x8B]).await;
        client.expect_end().await;
    }
    tls.expect_end().await;
    drop((tcp, tls, ws, wss));
    tokio::time::timeout(PATIENCE, stopped).await.unwrap().unwrap();
    for address in addresses {
        tokio::net::TcpListener::bind(address)
            .await
            .expect("the port is free");
    }
}

#[tokio::test]
async fn silent_and_dripping_clients_of_every_kind_hold_up_nobody_and_are_closed_in_time() {
    let pki = Pki::new("ca");
    pki.issue_server();
    let (gate, _) = gate_with(every_kind(&pki), |config| {
        config.connect_timeout = Duration::from_millis(600);
    })
    .await;
    let addresses: Vec<SocketAddr> = gate.listeners().iter().map(|l| l.address).collect();
    let connector = pki.client(None);
    let mut strangers = tokio::task::JoinSet::new();
    // The start of a CONNECT, of a ClientHello, or of a request: each byte is right so far.
    let beginnings: [&[u8]; 4] = [b"\x10\x7F\0", b"\x16\x03\x01", b"GET", b"\x16\x03\x01"];
    for (&address, beginning) in addresses.iter().zip(beginnings) {
        for drip in [b"", beginning] {
            for _ in 0..10 {
                strangers.spawn(stranger(address, drip));
            }
        }
        // A client that shakes hands, upgrades, and then says nothing is no better.
        if address == addresses[3] {
            let connector = connector.clone();
            strangers.spawn(async move {
                let mut socket = upgrade(encrypt(address, &connector).await.unwrap()).await;
                while let Some(Ok(_)) = socket.next().await {}
            });
        }
    }
    until("they are all there", || gate.counters().accepted == 81).await;
    // While they sit there, healthy clients are served on every listener.
    let tcp = TcpStream::connect(addresses[0]).await.unwrap();
    Client(tcp).greet(hello(4, "pump-1")).await.expect_alive().await;
    let tls = encrypt(addresses[1], &connector).await.unwrap();
    Client(tls).greet(hello(4, "pump-1")).await.expect_alive().await;
    let ws = as_bytes(
        upgrade(TcpStream::connect(addresses[2]).await.unwrap()).await,
        4096,
    );
    Client(ws).greet(hello(4, "pump-1")).await.expect_alive().await;
    let wss = as_bytes(
        upgrade(encrypt(addresses[3], &connector).await.unwrap()).await,
        4096,
    );
    Client(wss).greet(hello(4, "pump-1")).await.expect_alive().await;
    // And each of them is closed.
    let closed = async { while strangers.join_next().await.is_some() {} };
    tokio::time::timeout(PATIENCE, closed)
        .await
        .expect("all are closed");
    assert_eq!(gate.counters().connect_timeouts, 81);
}

/// Says nothing, or something every now and then that never becomes anything, until it is closed.
async fn stranger(address: SocketAddr, drip: &'static [u8]) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    for &byte in drip {
        socket.write_all(&[byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut buffer = [0; 512];
    while matches!(socket.read(&mut buffer).await, Ok(1..)) {}
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_a_client_that_comes_back_resumes() {
    let pki = Pki::new("ca");
    pki.issue_server();
    let tls = pki.tls(ClientCertificates::None);
    let (gate, _) = gate_with(vec![listener(Some(tls), false)], |_| {}).await;
    for version in [&version::TLS12, &version::TLS13] {
        let connector = pki.connector(None, &[version]);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let stream = encrypt(gate.local_addr(), &connector).await.unwrap();
            let mut client = Client(stream).greet(hello(4, "pump-1")).await;
            client.expect_alive().await;
            let session = client.0.get_ref().1;
            assert_eq!(session.protocol_version(), Some(version.version));
            kinds.push(session.handshake_kind().unwrap());
        }
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    }
    // Plain text is no ClientHello.
    let mut plain = Client::open(gate.local_addr()).await;
    plain.send(&hello(4, "pump-1").bytes()).await;
    until("it is counted", || gate.counters().tls_failed == 1).await;
}

/// A client without a password.
fn bare(client_id: &str) -> Hello<'_> {
    Hello {
        level: 5,
        client_id,
        ..Hello::default()
    }
}

#[tokio::test]
async fn a_client_certificate_is_who_the_device_is() {
    let (pki, other) = (Pki::new("ca"), Pki::new("another ca"));
    pki.issue_server();
    pki.issue("pump-1", "pump-1", &["pump-2"], 2090, 2);
    pki.issue("stranger", "stranger", &[], 2090, 3);
    pki.issue("nameless", "", &[], 2090, 4);
    pki.issue("past", "pump-1", &[], 2021, 5);
    other.issue("pump-1", "pump-1", &[], 2090, 2);
    let by_alternative = Trust {
        name: CertificateName::SubjectAlternativeName,
        ..pki.trust()
    };
    let listeners = [
        ClientCertificates::Required(pki.trust()),
        ClientCertificates::Optional(pki.trust()),
        ClientCertificates::Required(by_alternative),
    ]
    .map(|clients| listener(Some(pki.tls(clients)), false));
    let (gate, intake) = gate_with(listeners.into(), |_| {}).await;
    let [required, optional, by_alternative] = [0, 1, 2].map(|at| gate.listeners()[at].address);
    let open =
        async |address, identity: Option<&str>| encrypt(address, &pki.client(identity)).await.map(Client);

    // With its certificate a device needs no password, and may leave out its client id.
    let mut pump = open(required, Some("pump-1"))
        .await
        .unwrap()
        .greet(bare("pump-1"))
        .await;
    pump.send(&publish(5, TOPIC, 1, "signed")).await;
    pump.expect(&puback(1)).await;
    assert_eq!(intake.taken()[0].sender.as_str(), "pump-1");
    let mut pump = open(optional, Some("pump-1")).await.unwrap();
    pump.send(&bare("").bytes()).await;
    assert_eq!(pump.packet().await.1[1], 0);
    // Where the alternative name counts, the same certificate is another device.
    open(by_alternative, Some("pump-1"))
        .await
        .unwrap()
        .greet(bare("pump-2"))
        .await;

    // Another's client id, a name that is not registered, no name: refused in MQTT's words.
    for (identity, client_id, code) in [
        ("pump-1", "pump-2", 0x85),
        ("stranger", "stranger", 0x87),
        ("nameless", "pump-1", 0x87),
    ] {
        let mut client = open(required, Some(identity)).await.unwrap();
        client.send(&bare(client_id).bytes()).await;
        assert_eq!(client.packet().await.1[1], code, "{identity} as {client_id}");
    }

    // Without a certificate there is the password, where the listener allows it.
    open(optional, None)
        .await
        .unwrap()
        .greet(hello(5, "pump-1"))
        .await;
    // No certificate, an expired one, one of another authority: not past the handshake. In TLS 1.3 the client
    // learns it with its first read.
    let foreign = pki.connector(
        Some(pair(&other.file("pump-1"))),
        &[&version::TLS12, &version::TLS13],
    );
    for connector in [pki.client(None), pki.client(Some("past")), foreign] {
        if let Ok(stream) = encrypt(required, &connector).await {
            let mut client = Client(stream);
            let _may_be_closed = client.0.write_all(&hello(5, "pump-1").bytes()).await;
            client.expect_end().await;
        }
    }
    assert_eq!(gate.counters().tls_failed, 3);
}

#[tokio::test]
async fn a_revoked_certificate_does_not_come_back_not_even_with_a_ticket() {
    let pki = Pki::new("ca");
    pki.issue_server();
    pki.issue("pump-1", "pump-1", &[], 2090, 2);
    pki.issue("pump-2", "pump-2", &[], 2090, 3);
    pki.revoke(&[]);
    let trust = Trust {
        revoked: Some(pki.file("revoked.pem")),
        ..pki.trust()
    };
    let tls = pki.tls(ClientCertificates::Required(trust));
    let (gate, _) = gate_with(vec![listener(Some(tls), false)], |_| {}).await;
    let pump = pki.client(Some("pump-1"));
    for _ in 0..2 {
        let stream = encrypt(gate.local_addr(), &pump).await.unwrap();
        Client(stream).greet(bare("pump-1")).await.expect_alive().await;
    }
    // When the list names it and is read anew, then its ticket is worth nothing and it stays outside.
    pki.revoke(&[2]);
    gate.reload_certificates();
    until("the list is read", || gate.counters().certificate_reloads > 0).await;
    if let Ok(stream) = encrypt(gate.local_addr(), &pump).await {
        let mut client = Client(stream);
        let _may_be_closed = client.0.write_all(&bare("pump-1").bytes()).await;
        client.expect_end().await;
    }
    // The other is not touched by it.
    let stream = encrypt(gate.local_addr(), &pki.client(Some("pump-2")))
        .await
        .unwrap();
    Client(stream).greet(bare("pump-2")).await;
}

#[tokio::test]
async fn new_certificates_are_taken_while_it_runs_and_bad_ones_leave_the_old() {
    let pki = Pki::new("ca");
    pki.issue_server();
    let tls = pki.tls(ClientCertificates::None);
    let (gate, _) = gate_with(vec![listener(Some(tls), false)], |_| {}).await;
    let address = gate.local_addr();
    let open = async || Client(encrypt(address, &pki.client(None)).await.unwrap());
    let mut early = open().await.greet(hello(4, "pump-1")).await;
    let shown = || gate.certificates().remove(0);
    assert_eq!(&*shown().subject, "CN=mqtt.test");
    // date -ud 2090-01-01 +%s
    assert_eq!(shown().not_after, Timestamp::from_millis(3_786_912_000_000));
    assert_eq!(shown().listener, address);

    // When both files are replaced, then new connections see the new certificate; old connections live.
    pki.issue("server", "new.test", &["localhost"], 2091, 9);
    until("the new pair is taken", || &*shown().subject == "CN=new.test").await;
    assert_eq!(shown().refused, None);
    open().await.greet(hello(4, "pump-2")).await;
    early.expect_alive().await;

    // When the key does not belong to it, is nonsense or gone, then the old pair serves on, and says why.
    let key = pki.file("server.key");
    let right = std::fs::read(&key).unwrap();
    pki.issue("foreign", "x", &[], 2090, 10);
    for wrong in [
        std::fs::read(pki.file("foreign.key")).unwrap(),
        b"nonsense".to_vec(),
        Vec::new(),
    ] {
        let failures = gate.counters().certificate_reload_failures;
        std::fs::write(&key, wrong).unwrap();
        gate.reload_certificates();
        until("it is refused", || {
            gate.counters().certificate_reload_failures > failures
        })
        .await;
        assert!(shown().refused.is_some());
        assert_eq!(&*shown().subject, "CN=new.test");
        open().await.greet(hello(4, "pump-2")).await;
    }
    // When the certificate has expired, too.
    std::fs::write(&key, right).unwrap();
    until("it is well again", || shown().refused.is_none()).await;
    pki.issue("server", "old.test", &["localhost"], 2021, 11);
    until("the expired one is refused", || {
        shown().refused.is_some_and(|why| why.contains("expired"))
    })
    .await;
    open().await.greet(hello(4, "pump-2")).await;
    // And a good one ends it.
    pki.issue("server", "good.test", &["localhost"], 2092, 12);
    until("the good one is taken", || &*shown().subject == "CN=good.test").await;
    assert_eq!(shown().refused, None);
    early.expect_alive().await;
}

#[tokio::test]
async fn a_gate_does_not_start_with_certificates_it_cannot_use() {
    let pki = Pki::new("ca");
    pki.issue_server();
    pki.issue("other", "x", &[], 2090, 2);
    std::fs::write(pki.file("empty.pem"), "").unwrap();
    let good = pki.tls(ClientCertificates::None);
    let trust = |file: &str| Trust {
        authorities: pki.file(file),
        ..pki.trust()
    };
    let lists = |file: &str| Trust {
        revoked: Some(pki.file(file)),
        ..pki.trust()
    };
    let mut wrong = vec![good.clone(); 6];
    wrong[0].certificate = pki.file("missing.pem");
    wrong[1].certificate = pki.file("empty.pem");
    wrong[2].key = pki.file("other.key");
    wrong[3].clients = ClientCertificates::Required(trust("empty.pem"));
    wrong[4].clients = ClientCertificates::Required(lists("empty.pem"));
    wrong[5].clients = ClientCertificates::Optional(trust("missing.pem"));
    for tls in wrong {
        let mut config = GateConfig::new("127.0.0.1:0".parse().unwrap());
        config.listeners.push(listener(Some(tls.clone()), false));
        let started = Gate::start(
            config,
            Arc::new(RegistryAuthenticator::new(catalogue(), Anonymous::Refuse)),
            Arc::new(TestIntake::default()),
            Arc::new(broker::MemoryKeeper::default()),
            Arc::new(telemetry::time::ManualClock::at(Timestamp::from_millis(0))),
        )
        .await;
        assert!(matches!(started, Err(GateError::Tls { .. })), "{tls:?}");
    }
}

async fn websocket_gate() -> (Gate, Arc<TestIntake>) {
    gate_with(vec![listener(None, true)], |_| {}).await
}

/// Holds 3.1.1: 6.0.0-2; 5.0: 6.0.0-2.
#[tokio::test]
async fn packets_may_share_a_frame_or_span_many() {
    let (gate, intake) = websocket_gate().await;
    for (level, frame) in [(4, 1), (5, 3), (4, 100_000)] {
        let socket = upgrade(TcpStream::connect(gate.local_addr()).await.unwrap()).await;
        let mut client = Client(as_bytes(socket, frame))
            .greet(hello(level, "pump-1"))
            .await;
        let packets: Vec<u8> = (1..=50).flat_map(|n| publish(level, TOPIC, n, "x")).collect();
        client.send(&packets).await;
        for n in 1..=50 {
            client.expect(&puback(n)).await;
        }
    }
    assert_eq!(intake.taken().len(), 150);
}

/// Holds 3.1.1: 6.0.0-1; 5.0: 6.0.0-1.
#[tokio::test]
async fn pings_are_answered_text_is_refused_and_a_close_is_returned() {
    let (gate, _) = websocket_gate().await;
    let open = async || upgrade(TcpStream::connect(gate.local_addr()).await.unwrap()).await;
    // A ping before the first packet, and one in the same breath as a packet.
    let mut socket = open().await;
    let ping = || Message::Ping(b"are you there".to_vec().into());
    let pong = Message::Pong(b"are you there".to_vec().into());
    socket.send(ping()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), pong);
    let connect = Message::binary(hello(4, "pump-1").bytes());
    socket.send(connect).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::binary(vec![0x20, 2, 0, 0])
    );
    socket.feed(ping()).await.unwrap();
    socket.send(Message::binary(PING.to_vec())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), pong);
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::binary(PONG.to_vec())
    );
    // A close is answered with a close, and the connection ends.
    socket.close(None).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        assert!(message.is_close(), "{message:?}");
    }
    until("it is gone", || gate.counters().connections == 0).await;
    // Text closes with 1003. Source: MQTT 5.0 §6.
    let mut socket = open().await;
    socket
        .send(Message::binary(hello(4, "pump-1").bytes()))
        .await
        .unwrap();
    socket.next().await.unwrap().unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    let Message::Close(Some(close)) = socket.next().await.unwrap().unwrap() else {
        panic!("expected a close frame");
    };
    assert_eq!(u16::from(close.code), 1003);
}

/// Holds 3.1.1: 6.0.0-4; 5.0: 6.0.0-4.
#[tokio::test]
async fn what_is_no_websocket_of_mqtt_is_told_so_in_http() {
    let (gate, _) = websocket_gate().await;
    let upgrade = "GET /mqtt HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let long = format!("{upgrade}X: {}\r\n\r\n", "x".repeat(9000));
    let requests = [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(), "426"),
        (format!("{upgrade}\r\n"), "400"),
        (
            format!("{upgrade}Sec-WebSocket-Protocol: mqtt\r\nOrigin: http://evil.example\r\n\r\n"),
            "403",
        ),
        ("\u{10}\u{20}nonsense\r\n\r\n".to_owned(), "400"),
        (long, "431"),
    ];
    let count = requests.len();
    for (request, status) in requests {
        let mut socket = TcpStream::connect(gate.local_addr()).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A refusal of a request that is still being sent may end in a reset; the answer came before.
        let read = tokio::time::timeout(PATIENCE, socket.read_to_string(&mut answer))
            .await
            .unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) || (status == "431" && read.is_err()),
            "{status}: {answer}"
        );
    }
    assert_eq!(gate.counters().upgrade_failed, u64::try_from(count).unwrap());
}
