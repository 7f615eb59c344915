//! Who gets in, and what the others are told.

use std::time::Duration;

use broker::{Admission, Anonymous};

use crate::support::*;

/// Sends `hello` and reads the answer: CONNACK flags and code.
async fn answer(address: std::net::SocketAddr, hello: &[u8]) -> Option<(u8, Vec<u8>)> {
    let mut client = Client::open(address).await;
    client.send(hello).await;
    let (first, body) = client.try_packet().await?;
    Some((first, without_words(first, &body)))
}

#[tokio::test]
async fn a_device_with_its_password_gets_in_with_both_versions() {
    let (gate, _) = plain_gate().await;
    for level in [4, 5] {
        let mut client = Client::connect(gate.local_addr(), hello(level, "pump-1")).await;
        client.expect_alive().await;
        client.send(&[0xE0, 0]).await;
        client.expect_end().await;
    }
    assert_eq!(gate.counters().connects, 2);
}

#[tokio::test]
async fn an_mqtt_5_client_is_told_what_is_to_be_had_here() {
    let (gate, _) = plain_gate().await;
    // When a client asks for a session of 100 s (0x11) and for a hint where it may be answered (0x19),
    let asks = Hello {
        properties: &[0x11, 0, 0, 0, 100, 0x19, 1],
        keep_alive: 30,
        ..hello(5, "pump-1")
    };
    let (first, body) = answer(gate.local_addr(), &asks.bytes()).await.unwrap();
    assert_eq!((first, body[0], body[1]), (0x20, 0, 0));
    // then it is told the receive maximum of 1024, the largest packet (1,057,040
    // bytes), 16 topic aliases, and the
    // topic for answers. All else is granted in full, which goes without saying.
    let expected = [
        &[0x1A][..],
        &string("tw/v1/pump-1/"),
        &[0x21, 0x04, 0x00, 0x22, 0, 16, 0x27, 0, 0x10, 0x21, 0x10],
    ]
    .concat();
    assert_eq!(body[3..], expected[..]);
    // One that asks for more than there is, is told what it gets: 7 days (604,800 s), keep-alive of an hour.
    let asks = Hello {
        properties: &[0x11, 0xFF, 0xFF, 0xFF, 0xFF],
        ..hello(5, "pump-2")
    };
    let (_, body) = answer(gate.local_addr(), &asks.bytes()).await.unwrap();
    for expected in [&[0x11, 0, 0x09, 0x3A, 0x80][..], &[0x13, 0x0E, 0x10]] {
        assert!(
            body.windows(expected.len()).any(|w| w == expected),
            "{expected:x?} in {body:x?}"
        );
    }
}

async fn expect_refusal(address: std::net::SocketAddr, what: &str, hello: &Hello<'_>, code: u8) {
    let mut client = Client::open(address).await;
    client.send(&hello.bytes()).await;
    let (first, body) = client.packet().await;
    assert_eq!(
        (first, &body[..2]),
        (0x20, &[0, code][..]),
        "{what} {}",
        hello.level
    );
    client.expect_end().await;
}

#[tokio::test]
async fn each_refusal_has_its_code_in_both_versions() {
    let (gate, _) = plain_gate().await;
    let wrong = |level| Hello {
        login: Some(("pump-1", "guess")),
        ..hello(level, "pump-1")
    };
    let unknown = |level| Hello {
        login: Some(("nobody", "secret")),
        ..hello(level, "nobody")
    };
    let mute = |level| Hello {
        login: Some(("mute", "")),
        ..hello(level, "mute")
    };
    let anonymous = |level| Hello {
        level,
        client_id: "x",
        ..Hello::default()
    };
    let other = |level| Hello {
        client_id: "pump-2",
        login: Some(("pump-1", "secret")),
        ..hello(level, "")
    };
    let codes: [(&str, Hello<'_>, u8); 12] = [
        ("wrong password", wrong(4), 4),
        ("wrong password", wrong(5), 0x86),
        ("unknown device", unknown(4), 4),
        ("unknown device", unknown(5), 0x86),
        ("no password in the registry", mute(4), 4),
        ("no password in the registry", mute(5), 0x86),
        ("anonymous", anonymous(4), 5),
        ("anonymous", anonymous(5), 0x87),
        ("client id of another", other(4), 2),
        ("client id of another", other(5), 0x85),
        (
            "no client id, not clean",
            Hello {
                clean: false,
                client_id: "",
                ..hello(4, "pump-1")
            },
            2,
        ),
        (
            "enhanced authentication",
            Hello {
                properties: &[0x15, 0, 1, b'x'],
                ..hello(5, "pump-1")
            },
            0x8C,
        ),
    ];
    for (what, hello, code) in codes {
        expect_refusal(gate.local_addr(), what, &hello, code).await;
    }
    let counters = gate.counters();
    assert_eq!(counters.refused_credentials, 6);
    assert_eq!(
        (counters.refused_not_authorized, counters.refused_client_id),
        (2, 3)
    );
    assert_eq!((counters.refused_unsupported, counters.connections), (1, 0));
}

#[tokio::test]
async fn the_right_password_after_a_wrong_one_still_gets_in_and_a_wrong_one_after_the_right_does_not() {
    let (gate, _) = plain_gate().await;
    let wrong = Hello {
        login: Some(("pump-1", "guess")),
        ..hello(4, "pump-1")
    };
    for _ in 0..2 {
        assert_eq!(
            answer(gate.local_addr(), &wrong.bytes()).await,
            Some((0x20, vec![0, 4]))
        );
        assert_eq!(
            answer(gate.local_addr(), &hello(4, "pump-1").bytes()).await,
            Some((0x20, vec![0, 0]))
        );
    }
}

#[tokio::test]
async fn a_device_without_a_client_id_is_given_its_own() {
    let (gate, _) = plain_gate().await;
    let nameless = Hello {
        login: Some(("pump-1", "secret")),
        ..hello(5, "")
    };
    let (_, body) = answer(gate.local_addr(), &nameless.bytes()).await.unwrap();
    let assigned = [&[0x12][..], &string("pump-1")].concat();
    assert!(body.windows(assigned.len()).any(|w| w == assigned), "{body:x?}");
}

#[tokio::test]
async fn other_versions_are_told_so_and_other_protocols_are_not_answered() {
    let (gate, _) = plain_gate().await;
    // MQTT 3.1 called itself MQIsdp; its answer is return code 1. A version after 5 reads reason codes.
    let v31 = packet(0x10, &[string("MQIsdp"), vec![3, 2, 0, 0], string("x")].concat());
    assert_eq!(answer(gate.local_addr(), &v31).await, Some((0x20, vec![0, 1])));
    let v6 = packet(0x10, &[string("MQTT"), vec![6, 2, 0, 0], string("x")].concat());
    assert_eq!(
        answer(gate.local_addr(), &v6).await,
        Some((0x20, vec![0, 0x84, 0]))
    );
    assert_eq!(answer(gate.local_addr(), b"GET / HTTP/1.1\r\n\r\n").await, None);
    assert_eq!(
        answer(gate.local_addr(), &publish(4, "tw/v1/pump-1/telemetry", 1, "x")).await,
        None
    );
    assert_eq!(answer(gate.local_addr(), &PING).await, None);
    let counters = gate.counters();
    assert_eq!((counters.refused_version, counters.not_connect), (2, 3));
}

#[tokio::test]
async fn a_slow_connect_is_closed_in_time_and_a_large_one_at_once() {
    let intake = Default::default();
    let short = Duration::from_millis(300);
    let gate = gate(&intake, Anonymous::Refuse, |config| {
        config.connect_timeout = short
    })
    .await;
    // Given a client that says half of its CONNECT, and one that says nothing,
    let mut half = Client::open(gate.local_addr()).await;
    half.send(&hello(4, "pump-1").bytes()[..9]).await;
    let mut silent = Client::open(gate.local_addr()).await;
    // then both are closed, and a healthy one is not held up meanwhile.
    Client::connect(gate.local_addr(), hello(4, "pump-2"))
        .await
        .expect_alive()
        .await;
    half.expect_end().await;
    silent.expect_end().await;
    assert_eq!(gate.counters().connect_timeouts, 2);
    // A CONNECT of 5,000 bytes is refused by its header alone.
    let mut large = Client::open(gate.local_addr()).await;
    large.send(&[0x10, 0x88, 0x27]).await;
    large.expect_end().await;
    assert_eq!(gate.counters().too_large, 1);
}

#[tokio::test]
async fn the_connection_beyond_the_last_place_is_told_so_and_a_freed_place_is_given_again() {
    let intake = Default::default();
    let one = Admission {
        connections_max: 1,
        kept_for_life_safety: 0,
        ..Admission::default()
    };
    let gate = gate(&intake, Anonymous::Refuse, |config| config.admission = one).await;
    let mut first = Client::connect(gate.local_addr(), hello(4, "pump-1")).await;
    assert_eq!(
        answer(gate.local_addr(), &hello(4, "pump-2").bytes()).await,
        Some((0x20, vec![0, 3]))
    );
    assert_eq!(
        answer(gate.local_addr(), &hello(5, "pump-2").bytes()).await,
        Some((0x20, vec![0, 0x97, 0]))
    );
    first.expect_alive().await;
    assert_eq!(gate.counters().refused_full, 2);
    first.send(&[0xE0, 0]).await;
    first.expect_end().await;
    drop(first);
    until("the place is free again", || gate.counters().connections == 0).await;
    let mut code = 3;
    while code == 3 {
        code = answer(gate.local_addr(), &hello(4, "pump-2").bytes())
            .await
            .unwrap()
            .1[1];
    }
    assert_eq!(code, 0);
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let (gate, intake) = plain_gate().await;
    let address = gate.local_addr();
    let authenticator = broker::RegistryAuthenticator::new(catalogue(), Anonymous::Refuse);
    let clock = telemetry::time::SystemClock::new();
    let second = broker::Gate::start(
        broker::GateConfig::new(address),
        std::sync::Arc::new(authenticator),
        intake,
        std::sync::Arc::new(broker::MemoryKeeper::default()),
        std::sync::Arc::new(clock),
    );
    let error = second.await.err().unwrap();
    assert_eq!(error.to_string(), format!("cannot listen for MQTT at {address}"));
}
