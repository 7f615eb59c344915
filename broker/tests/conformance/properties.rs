//! Properties of messages and the form of properties: MQTT 5.0 §1.5.7, §2.2.2, §3.3.2.3.

use super::packets::*;
use super::stage::{Stage, TOPIC};

/// Holds 5.0: 3.3.2-4, 3.3.2-15, 3.3.2-16, 3.3.2-17, 3.3.2-18, 3.3.2-20.
#[tokio::test]
async fn properties_of_a_message_arrive_as_they_were_sent() {
    let stage = Stage::new(V5).await;
    let props = Props::default()
        .user("k", "first")
        .byte(id::PAYLOAD_FORMAT, 1)
        .text(id::CONTENT_TYPE, "application/json; charset=utf-8")
        .text(id::RESPONSE_TOPIC, "tw/v1/dev/answers")
        .binary(id::CORRELATION, &[0, 1, 0xFF])
        .user("a", "井盖")
        .user("k", "first")
        .user("", "");
    for qos in 0..3 {
        let mut listener = stage.listener("l", TOPIC, qos).await;
        stage.client("later").await.leave().await;
        let (mut later, _) = stage.lasting("later").await;
        later.subscribe(TOPIC, qos.max(1)).await;
        later.leave().await;
        let mut client = stage.client("p").await;
        let publish = Publish::new(V5, TOPIC, qos, "x").props(props.clone()).retain();
        client.publish(publish).await;
        let mut messages = vec![listener.hears("x").await];
        listener.leave().await;
        // Also when they were retained, or waited in a session.
        let mut late = stage.listener("late", TOPIC, qos).await;
        messages.push(late.hears("x").await);
        late.leave().await;
        if qos > 0 {
            let (mut later, _) = stage.lasting("later").await;
            messages.push(later.hears("x").await);
            later.unsubscribe(TOPIC).await;
            later.leave().await;
        }
        client.publish(Publish::new(V5, TOPIC, 1, "").retain()).await;
        for message in messages {
            let props = message.props;
            let users = [("k", "first"), ("a", "井盖"), ("k", "first"), ("", "")];
            assert_eq!(props.users(), users);
            assert_eq!(props.number(id::PAYLOAD_FORMAT), Some(1));
            let content_type = "application/json; charset=utf-8";
            assert_eq!(props.text(id::CONTENT_TYPE), Some(content_type));
            assert_eq!(props.text(id::RESPONSE_TOPIC), Some("tw/v1/dev/answers"));
            assert_eq!(props.binary(id::CORRELATION), Some(&[0, 1, 0xFF][..]));
            assert_eq!(props.0.len(), 8, "nothing more than was sent");
        }
    }
}

/// Holds 5.0: 3.3.2-4, 2.2.2-1.
#[tokio::test]
async fn properties_that_were_not_sent_do_not_arrive() {
    let stage = Stage::new(V5).await;
    let mut listener = stage.listener("l", TOPIC, 2).await;
    let mut client = stage.client("p").await;
    for qos in 0..3 {
        client.say(TOPIC, qos, "plain").await;
        assert_eq!(listener.hears("plain").await.props.0, []);
    }
    // An indicator of 0 is one that was sent.
    let props = Props::default().byte(id::PAYLOAD_FORMAT, 0);
    client
        .publish(Publish::new(V5, TOPIC, 1, "zero").props(props))
        .await;
    let zero = listener.hears("zero").await.props;
    assert!(zero.number(id::PAYLOAD_FORMAT).is_none_or(|format| format == 0));
}

/// Holds 5.0: 3.3.2-4, 3.3.2-17.
#[tokio::test]
async fn properties_are_left_out_for_clients_of_3_1_1_and_none_come_from_them() {
    let stage = Stage::new(V5).await;
    let (mut old, _) = stage.connect(&Connect::new(V3, "old")).await;
    let mut new = stage.listener("new", TOPIC, 1).await;
    assert_eq!(old.subscribe(TOPIC, 1).await, 1);
    let props = Props::default()
        .user("k", "v")
        .text(id::CONTENT_TYPE, "text/plain");
    let mut client = stage.client("p").await;
    client
        .publish(Publish::new(V5, TOPIC, 1, "from 5").props(props))
        .await;
    // The strict reader would take properties for payload.
    old.hears("from 5").await;
    assert_eq!(new.hears("from 5").await.props.users(), [("k", "v")]);
    let (mut publisher, _) = stage.connect(&Connect::new(V3, "p3")).await;
    publisher.say(TOPIC, 1, "from 3").await;
    old.hears("from 3").await;
    assert_eq!(new.hears("from 3").await.props.0, []);
}

/// Holds 5.0: 3.3.2-5, 3.3.2-6.
#[tokio::test]
async fn a_message_that_waited_tells_how_long_it_still_counts_and_then_does_not_come() {
    let stage = Stage::new(V5).await;
    let (mut listener, _) = stage.lasting("l").await;
    listener.subscribe(TOPIC, 1).await;
    listener.leave().await;
    let brief = |seconds, payload: &str| {
        let props = Props::default().four(id::MESSAGE_EXPIRY, seconds);
        Publish::new(V5, TOPIC, 1, payload).props(props)
    };
    let mut client = stage.client("p").await;
    client.publish(brief(1, "brief")).await;
    client.publish(brief(100, "long")).await;
    client.say("tw/v1/dev/kept", 1, "x").await;
    client
        .publish(Publish {
            topic: "tw/v1/dev/kept".into(),
            ..brief(1, "kept").retain()
        })
        .await;
    // When two seconds have passed,
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    // then the brief message is gone, and the other has lost two of its seconds, or a little more;
    let (mut listener, _) = stage.lasting("l").await;
    let long = listener.hears("long").await;
    let left = long.props.number(id::MESSAGE_EXPIRY);
    assert!(matches!(left, Some(70..=98)), "{left:?}");
    // so is what was retained.
    assert_eq!(listener.subscribe("tw/v1/dev/kept", 1).await, 1);
    client.say("tw/v1/dev/kept", 1, "marker").await;
    listener.hears("marker").await;
}

/// Holds 5.0: 3.3.2-6.
#[tokio::test]
async fn a_message_that_did_not_wait_keeps_its_expiry() {
    let stage = Stage::new(V5).await;
    for qos in 0..3 {
        let mut listener = stage.listener("l", TOPIC, qos).await;
        let props = Props::default().four(id::MESSAGE_EXPIRY, 1000);
        let mut client = stage.client("p").await;
        client
            .publish(Publish::new(V5, TOPIC, qos, "x").props(props))
            .await;
        let left = listener.hears("x").await.props.number(id::MESSAGE_EXPIRY);
        assert!(matches!(left, Some(970..=1000)), "{left:?}");
        listener.leave().await;
    }
}

/// Holds 5.0: 3.3.2-14, 3.3.2-13, 3.3.2-19, 1.5.7-1, 4.13.1-1.
#[tokio::test]
async fn properties_out_of_form_end_the_connection() {
    let stage = Stage::new(V5).await;
    let user = |name: &[u8], value: &[u8]| [&[0x26][..], &binary(name), &binary(value)].concat();
    let not_utf8 = [0xC3, 0x28];
    for (what, bytes) in [
        (
            "response topic with a wildcard",
            [&[8][..], &text("tw/#")].concat(),
        ),
        (
            "response topic that is no UTF-8",
            [&[8][..], &binary(&not_utf8)].concat(),
        ),
        (
            "content type that is no UTF-8",
            [&[3][..], &binary(&not_utf8)].concat(),
        ),
        (
            "user property with a name that is no UTF-8",
            user(&not_utf8, b"v"),
        ),
        (
            "user property with a value that is no UTF-8",
            user(b"k", &not_utf8),
        ),
        ("user property with U+0000", user(b"k", &[0])),
        ("payload format 2", vec![1, 2]),
        ("payload format twice", vec![1, 0, 1, 0]),
        ("content type twice", [3, 0, 1, b'a', 3, 0, 1, b'a'].to_vec()),
        ("a property of CONNECT", vec![0x21, 0, 1]),
        ("a property of the will", vec![0x18, 0, 0, 0, 1]),
        ("a property that does not exist", vec![0x7E, 0]),
        ("a property that ends early", vec![2, 0, 0, 0]),
    ] {
        let body = [text(TOPIC), vec![0, 1], variable(bytes.len()), bytes].concat();
        let code = stage.breach(&packet(0x32, &body)).await;
        assert!(
            [Some(0x81), Some(0x82), Some(0x90)].contains(&code),
            "{what}: {code:x?}"
        );
    }
    // A length of properties that goes beyond the packet.
    let body = [text(TOPIC), vec![0, 1, 50], text("x")].concat();
    assert_eq!(stage.breach(&packet(0x32, &body)).await, Some(0x81));
    assert_eq!(stage.taken().len(), 0);
}

/// Holds 5.0: 3.1.4-1, 4.13.1-1.
#[tokio::test]
async fn properties_of_connect_out_of_form_are_refused() {
    let stage = Stage::new(V5).await;
    for (what, props) in [
        ("receive maximum 0", Props::default().two(id::RECEIVE_MAXIMUM, 0)),
        (
            "maximum packet size 0",
            Props::default().four(id::MAXIMUM_PACKET, 0),
        ),
        (
            "request problem information 2",
            Props::default().byte(id::REQUEST_PROBLEM, 2),
        ),
        (
            "request response information 2",
            Props::default().byte(id::REQUEST_RESPONSE, 2),
        ),
        (
            "session expiry twice",
            Props::default()
                .four(id::SESSION_EXPIRY, 1)
                .four(id::SESSION_EXPIRY, 1),
        ),
        ("a property of PUBLISH", Props::default().two(id::ALIAS, 1)),
        ("a property of the will", Props::default().four(id::WILL_DELAY, 1)),
        (
            "a property of CONNACK",
            Props::default().two(id::SERVER_KEEP_ALIVE, 1),
        ),
    ] {
        let code = stage.refusal(&Connect::new(V5, "c").props(props).bytes()).await;
        assert!(
            code.is_none() || code == Some(0x81) || code == Some(0x82),
            "{what}: {code:x?}"
        );
    }
}

/// Holds 5.0: 3.1.2-29, 3.4.2-2, 3.4.2-3, 3.5.2-2, 3.5.2-3, 3.7.2-2, 3.7.2-3, 3.9.2-1, 3.9.2-2, 3.11.2-1, 3.11.2-2.
#[tokio::test]
async fn who_wants_no_problem_information_gets_none_on_answers() {
    let stage = Stage::new(V5).await;
    let props = Props::default().byte(id::REQUEST_PROBLEM, 0);
    let (mut client, _) = stage.connect(&Connect::new(V5, "c").props(props)).await;
    // Each answer with a reason; one that has no properties at all is two, three or four bytes long.
    for (bytes, body) in [
        (Publish::new(V5, "elsewhere", 1, "x").id(7).bytes(), 4),
        (Publish::new(V5, "elsewhere", 2, "x").id(8).bytes(), 4),
        (ack(PUBREL, 9), 4),
        (subscribe(V5, 10, &Props::default(), &[("elsewhere", 0)]), 4),
        (unsubscribe(V5, 11, &["elsewhere"]), 4),
    ] {
        client.send(&bytes).await;
        let size = client.size_of_next().await;
        assert!(size <= 2 + body, "{size} bytes for {bytes:x?}");
    }
}
