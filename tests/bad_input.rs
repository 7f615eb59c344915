//! What no honest device would send, each with what must become of it.

use std::time::Duration;

use crate::support::mqtt::{Client, connect_packet, packet};
use crate::support::program::Setup;
use crate::support::{ask, county, wait};

const TOPIC: &str = "tw/v1/station-1/telemetry";

fn closed(client: &mut Client) -> bool {
    // A v3.1.1 server may answer with a CONNACK before it closes.
    (0..3).any(|_| client.read_packet().is_err())
}

#[test]
fn packets_that_are_no_mqtt_end_their_own_connection_and_no_other() {
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    let mut healthy = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    let connect = connect_packet("x", None, 10);
    let hostile: [(&str, Vec<u8>); 7] = [
        ("first packet is a PUBLISH", packet(0x30, b"\0\x01ahello")),
        ("first packet is a SUBACK", packet(0x90, &[0, 1, 0])),
        (
            "remaining length of five bytes",
            vec![0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        ),
        ("256 MiB announced", vec![0x10, 0xFF, 0xFF, 0xFF, 0x7F]),
        (
            "protocol name is not MQTT",
            packet(0x10, b"\0\x04HTTP\x04\x02\0\x0A\0\x01x"),
        ),
        (
            "client id longer than the packet",
            packet(0x10, b"\0\x04MQTT\x04\x02\0\x0A\xFF\xFFx"),
        ),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
    ];
    for (what, bytes) in hostile {
        let mut client = Client::open(server.mqtt).unwrap();
        client.send(&bytes).unwrap();
        assert!(closed(&mut client), "{what}: the connection stays open");
    }
    // A truncated CONNECT never becomes whole: closed when its time is over (default 5 s).
    let mut slow = Client::open(server.mqtt).unwrap();
    slow.send(&connect[..connect.len() - 3]).unwrap();
    assert!(
        closed(&mut slow),
        "a CONNECT that never ends keeps its connection"
    );
    // An oversized PUBLISH after a good CONNECT.
    let mut greedy = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    greedy.send(&[0x32, 0xFF, 0xFF, 0xFF, 0x7F]).unwrap();
    assert!(closed(&mut greedy), "a PUBLISH of 256 MiB is taken");
    // The device may connect again and is served (the greedy one took its place before).
    assert!(closed(&mut healthy), "two connections of one device");
    let mut healthy = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    healthy
        .publish_acked(TOPIC, br#"{"values":{"level":2}}"#)
        .unwrap();
    assert!((ask::latest_value(server.web, "station-1", "level") - 2.0).abs() < 1e-9);
}

#[test]
fn what_cannot_be_decoded_is_kept_and_what_is_wrong_is_marked_and_the_ledger_adds_up() {
    // Given a station,
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    let now = ask::now();
    // when it sends, in turn: no JSON; half a JSON; wrong types; out of range; null; an unknown signal; a good one,
    let payloads = [
        "hello".to_owned(),
        r#"{"values":{"level":"#.to_owned(),
        format!(
            r#"{{"ts":{},"values":{{"level":"high","flow":{{}}}}}}"#,
            now - 5000
        ),
        format!(r#"{{"ts":{},"values":{{"level":99}}}}"#, now - 4000),
        format!(r#"{{"ts":{},"values":{{"level":null}}}}"#, now - 3000),
        format!(r#"{{"ts":{},"values":{{"leevl":1}}}}"#, now - 2000),
        format!(r#"{{"ts":{},"values":{{"level":1.5}}}}"#, now - 1000),
    ];
    for payload in &payloads {
        client.publish_acked(TOPIC, payload.as_bytes()).unwrap();
    }
    // then two are dead letters, one value is rejected, five are stored, four of these bad with their reason.
    let ledger = wait::until("the ledger counts all", wait::SOON, || {
        let ledger = ask::ledger(server.web, "station-1");
        if ledger["received"] == 8 {
            Ok(ledger)
        } else {
            Err(ledger.to_string())
        }
    });
    assert_eq!(ledger["dead_lettered"], 2, "{ledger}");
    assert_eq!(ledger["rejected"]["unknown_signal"], 1, "{ledger}");
    assert_eq!(ledger["stored"], 5, "{ledger}");
    assert_eq!(ledger["bad"]["wrong_type"], 2, "{ledger}");
    assert_eq!(ledger["bad"]["out_of_range"], 1, "{ledger}");
    assert_eq!(ledger["bad"]["not_finite"], 1, "{ledger}");
    let qualities: Vec<String> = ask::points(server.web, "station-1", "level", now - 10_000, now)
        .into_iter()
        .map(|(_, _, quality)| quality)
        .collect();
    assert_eq!(
        qualities,
        ["bad_wrong_type", "bad_out_of_range", "bad_not_finite", "good"]
    );
    let letters = crate::support::http::json(server.web, "/api/v1/dead-letters").to_string();
    assert!(letters.contains("station-1"), "{letters}");
}

#[test]
fn clocks_in_1970_and_2036_are_believed_no_more_than_the_time_of_arrival() {
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    let before = ask::now();
    // When one reading is dated 1970 and, a moment later, the next 2036
    for (stored, (ts, level)) in (1..).zip([("0", 1.0), ("\"2036-02-07T06:28:16Z\"", 1.5)]) {
        client
            .publish_acked(
                TOPIC,
                format!(r#"{{"ts":{ts},"values":{{"level":{level}}}}}"#).as_bytes(),
            )
            .unwrap();
        // then each is stored with its arrival. The next waits for another millisecond: two readings of
        // one signal with one time are one point, the newer.
        let points = wait::until("the reading is stored", wait::SOON, || {
            let points = ask::points(server.web, "station-1", "level", before - 1, ask::now() + 60_000);
            match points.last() {
                Some((ms, _, _)) if points.len() == stored && *ms < ask::now() => Ok(points),
                _ => Err(format!("{points:?}")),
            }
        });
        for (ms, _, quality) in points {
            assert!(ms >= before, "{ms} is not the time of arrival");
            assert_eq!(quality, "uncertain_clock_skew");
        }
    }
    wait::until("both are in the ledger", wait::SOON, || {
        let ledger = ask::ledger(server.web, "station-1");
        if ledger["clock_skew"] == 2 {
            Ok(())
        } else {
            Err(ledger.to_string())
        }
    });
}

#[test]
fn a_publish_below_another_devices_name_is_not_taken() {
    let registry = format!(
        "{}{}",
        county::one_station(),
        county::mqtt_device("station-2", "sewage-station-small")
    );
    let setup = Setup::new(&registry, "");
    let server = setup.start();
    let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    client
        .publish("tw/v1/station-2/telemetry", br#"{"values":{"level":3}}"#)
        .unwrap();
    // MQTT 3.1.1 has no way to say no but to close.
    assert!(client.read_puback().is_err());
    assert_eq!(ask::ledger(server.web, "station-2")["received"], 0);
}

#[test]
fn a_keep_alive_of_zero_is_accepted_and_a_broken_one_ends_the_connection() {
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    let mut patient = Client::open(server.mqtt).unwrap();
    patient
        .send(&connect_packet("station-1", Some(("station-1", "secret")), 0))
        .unwrap();
    assert_eq!(patient.read_packet().unwrap(), (0x20, vec![0, 0]));
    patient
        .publish_acked(TOPIC, br#"{"values":{"level":1}}"#)
        .unwrap();
    drop(patient);
    let mut hasty = Client::open(server.mqtt).unwrap();
    hasty
        .send(&connect_packet("station-1", Some(("station-1", "secret")), 1))
        .unwrap();
    assert_eq!(hasty.read_packet().unwrap(), (0x20, vec![0, 0]));
    // Nothing is sent any more: closed after one and a half times the keep-alive (MQTT 3.1.1 §3.1.2.10).
    assert_eq!(hasty.read_packet(), Err("closed".to_owned()));
    wait::until("the gate still answers", Duration::from_secs(10), || {
        Client::open(server.mqtt).map(|_| ())
    });
}
