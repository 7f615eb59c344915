//! Interoperability: MQTT clients that people use, against every kind of listener, in both versions.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use crate::support::county;
use crate::support::mqtt::Client;
use crate::support::peers;
use crate::support::program::{self, Server, Setup};
use crate::support::wait;

/// A listener of each kind, a device `station-1` and a service account `watcher` that hears everything.
fn front_door() -> (Setup, Server) {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let mut more = "[mqtt]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    for kind in ["tls", "ws", "wss"] {
        more += &format!("[[mqtt.listener]]\naddress = \"127.0.0.1:0\"\nkind = \"{kind}\"\n");
        if kind != "ws" {
            more += "certificate = \"cert.pem\"\nkey = \"key.pem\"\n";
        }
    }
    let setup = Setup::new(&county::one_station(), &more);
    std::fs::write(setup.path().join("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(setup.path().join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    let server = setup.start();
    add_watcher(&setup);
    wait::until("the account is let in", wait::SOON, || {
        Client::connect(server.mqtt, "watcher", "watcher-secret").map(drop)
    });
    (setup, server)
}

/// A service account with the password `watcher-secret`, added as an operator would while the server runs.
fn add_watcher(setup: &Setup) {
    let mut adding = program::command()
        .args([
            "account",
            "add",
            "watcher",
            "--subscribe",
            "tw/v1/#",
            "--password-stdin",
            "--config",
        ])
        .arg(setup.path().join("townwatch.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    adding
        .stdin
        .take()
        .unwrap()
        .write_all(b"watcher-secret\n")
        .unwrap();
    assert!(adding.wait().unwrap().success());
}

fn paho(version: &str, transport: &str) {
    let (setup, server) = front_door();
    let address = match transport {
        "tcp" => server.mqtt,
        "websockets" => server.listener("ws"),
        other => server.listener(other),
    };
    let output = Command::new(peers::python())
        .arg(peers::script("paho_client.py"))
        .args([version, transport, "127.0.0.1", &address.port().to_string()])
        .arg(setup.path().join("cert.pem"))
        .output()
        .unwrap();
    let passed = String::from_utf8_lossy(&output.stdout).matches("passed:").count();
    assert!(
        output.status.success() && passed == if version == "5" { 7 } else { 5 },
        "{passed} scenarios passed; {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(server.stop().success());
}

#[test]
fn paho_is_served_over_tcp_in_3_1_1() {
    paho("311", "tcp");
}

#[test]
fn paho_is_served_over_tcp_in_5() {
    paho("5", "tcp");
}

#[test]
fn paho_is_served_over_tls_in_3_1_1() {
    paho("311", "tls");
}

#[test]
fn paho_is_served_over_tls_in_5() {
    paho("5", "tls");
}

#[test]
fn paho_is_served_over_websocket_in_3_1_1() {
    paho("311", "websockets");
}

#[test]
fn paho_is_served_over_websocket_in_5() {
    paho("5", "websockets");
}

#[test]
fn paho_is_served_over_secure_websocket_in_5() {
    paho("5", "wss");
}

#[test]
fn mqtt_js_in_chromium_is_served_over_websocket_in_both_versions() {
    // Given a page with MQTT.js on a server of its own,
    let (_setup, server) = front_door();
    let gate = server.listener("ws");
    let pages = serve_pages();
    for version in ["4", "5"] {
        // when Chromium opens it, and it subscribes and publishes at each quality of service,
        let url = format!("http://{pages}/?version={version}&gate=ws://{gate}/mqtt");
        let output = Command::new(peers::python())
            .arg(peers::script("mqttjs.py"))
            .arg(url)
            .output()
            .unwrap();
        // then it gets back what it sent.
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            r#"passed 0:{"values":{"level":1}} 1:{"values":{"level":1.25}} 2:{"values":{"level":1.5}}"#,
            "version {version}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert!(server.stop().success());
}

/// Serves the page and MQTT.js until the test ends.
fn serve_pages() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A browser that goes away in the middle is its own affair.
            answer(stream).ok();
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let (kind, file) = if head.starts_with(b"GET /mqtt.min.js") {
        ("text/javascript", "node_modules/mqtt/dist/mqtt.min.js")
    } else {
        ("text/html", "mqttjs.html")
    };
    let body = std::fs::read(peers::script(file))
        .unwrap_or_else(|error| panic!("{file}: {error}: run tests/run once, it installs the peers"));
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}
