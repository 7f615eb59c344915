//! F28: messages that should kill: lengths that lie, nesting without end, text that is none. Each ends its own
//! connection or becomes a dead letter; nobody else notices, and a restart swallows them all the same.

use crate::support::mqtt::{Client, packet};
use crate::support::program::{Server, Setup};
use crate::support::{ask, county, http, wait};

/// Packets after a good CONNECT that no client may send.
fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let topic = b"\0\x19tw/v1/station-1/telemetry";
    let publish = |tail: &[u8]| [topic.as_slice(), tail].concat();
    vec![
        ("a PUBLISH of 256 MiB", vec![0x32, 0xFF, 0xFF, 0xFF, 0x7F]),
        ("a length of five bytes", vec![0x32, 0x80, 0x80, 0x80, 0x80, 0x01]),
        ("QoS 3", packet(0x36, &publish(&[0, 1, b'{', b'}']))),
        ("packet id 0", packet(0x32, &publish(&[0, 0, b'{', b'}']))),
        ("a topic longer than the packet", packet(0x32, b"\xFF\xFFtw/v1")),
        (
            "a topic that is no UTF-8",
            packet(0x30, b"\0\x04\xFF\xFE\xC0\x80{}"),
        ),
        ("a topic with a zero", packet(0x30, b"\0\x04tw\0x{}")),
        ("a topic with a wildcard", packet(0x30, b"\0\x04tw/#{}")),
        ("an empty topic", packet(0x30, b"\0\0{}")),
        (
            "a second CONNECT",
            packet(0x10, b"\0\x04MQTT\x04\x02\0\x0A\0\x01x"),
        ),
        ("a CONNACK", packet(0x20, &[0, 0])),
        ("a SUBSCRIBE without filters", packet(0x82, &[0, 1])),
        (
            "a SUBSCRIBE with wrong flags",
            packet(0x80, &[0, 1, 0, 1, b'#', 0]),
        ),
        ("a reserved type", packet(0x00, &[])),
    ]
}

/// Payloads that cannot be read, with a good topic.
fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let mut number = br#"{"values":{"level":"#.to_vec();
    number.extend(vec![b'9'; 30_000]);
    number.extend(b"}}");
    vec![
        ("nothing", Vec::new()),
        ("no UTF-8", vec![0xFF, 0xFE, 0xC0, 0x80]),
        ("twenty thousand brackets", vec![b'['; 20_000]),
        ("twenty thousand braces", br#"{"a":"#.repeat(4_000)),
        ("half an object", br#"{"values":{"level":"#.to_vec()),
        ("a number of thirty thousand digits", number),
        (
            "the year 300000000",
            br#"{"ts":9223372036854775807,"values":{"level":1}}"#.to_vec(),
        ),
        (
            "before time",
            br#"{"ts":-9223372036854775808,"values":{"level":1}}"#.to_vec(),
        ),
        ("zeros", vec![0; 10_000]),
        ("a surrogate alone", br#"{"values":{"\ud800":1}}"#.to_vec()),
    ]
}

fn dead_letters(server: &Server) -> u64 {
    ask::ledger(server.web, "station-1")["dead_lettered"]
        .as_u64()
        .unwrap()
}

#[test]
fn poison_ends_its_own_connection_or_is_a_dead_letter_also_over_a_restart() {
    // Given a station that sends poison and one that does not,
    let registry = format!(
        "{}{}",
        county::one_station(),
        county::mqtt_device("station-2", "sewage-station-small")
    );
    let setup = Setup::new(&registry, "");
    let server = setup.start();
    let mut other = Client::connect(server.mqtt, "station-2", "secret").unwrap();
    let fine = |other: &mut Client| {
        other
            .publish_acked("tw/v1/station-2/telemetry", br#"{"values":{"level":1}}"#)
            .unwrap();
    };
    // then each bad packet ends the connection it came over, and no other,
    for (what, bytes) in packets() {
        let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
        client.send(&bytes).unwrap();
        let ended = (0..3).any(|_| client.read_packet().is_err());
        assert!(ended, "{what}: the connection stays open");
        fine(&mut other);
    }
    // and each unreadable payload is acknowledged, kept as a dead letter or refused item by item, and counted.
    let topic = "tw/v1/station-1/telemetry";
    for (what, payload) in payloads() {
        let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
        client
            .publish_acked(topic, &payload)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        fine(&mut other);
    }
    wait::until("they are dead letters", wait::SOON, || {
        let ledger = ask::ledger(server.web, "station-1");
        if ledger["messages"].as_u64() == Some(payloads().len() as u64) {
            Ok(())
        } else {
            Err(ledger.to_string())
        }
    });
    let count = dead_letters(&server);
    assert!(count >= 7, "{count}");
    // When the server is killed, so that it reads its journal again, it is well and has counted nothing twice.
    server.kill();
    let server = setup.start();
    wait::until("it is ready", wait::SOON, || {
        let answer = http::get(server.web, "/readyz")?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.body)
        }
    });
    let mut other = Client::connect(server.mqtt, "station-2", "secret").unwrap();
    fine(&mut other);
    assert_eq!(dead_letters(&server), count);
    assert!(server.stop().success());
}
