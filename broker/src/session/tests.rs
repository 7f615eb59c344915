use bytes::Bytes;

use super::*;

const MINE: u64 = 7;

fn session(subscriptions: &[(&str, Subscription)]) -> Session {
    let session = Session::new("x".into(), 1, false, Stock::default());
    let list = subscriptions
        .iter()
        .map(|(filter, subscription)| ((*filter).into(), *subscription));
    session.state().subscriptions = list.collect();
    session
}

fn message(topic: &str, qos: QoS) -> Message {
    Message {
        topic: topic.into(),
        payload: Bytes::new(),
        qos,
        retain: true,
        from: MINE,
        arrived: Timestamp::from_millis(0),
        expiry_s: None,
        properties: None,
    }
}

const PLAIN: Subscription = Subscription {
    qos: QoS::Zero,
    no_local: false,
    as_published: false,
    id: None,
};

#[test]
fn a_message_goes_out_once_with_the_best_of_all_filters_that_match_and_all_their_identifiers() {
    // Given filters that overlap,
    let best = Subscription {
        qos: QoS::Two,
        id: Some(2),
        ..PLAIN
    };
    let flagged = Subscription {
        as_published: true,
        id: Some(1),
        ..PLAIN
    };
    let session = session(&[
        ("a/#", flagged),
        ("a/b", best),
        ("c", best),
        ("$share/g/a/b", best),
    ]);
    let state = session.state();
    let terms = |topic, qos| state.terms(&message(topic, qos), MINE);
    // then the best QoS counts where both match, never above that of the message,
    let expected = |qos, ids: &[u32], retain| {
        Some(Terms {
            qos,
            retain,
            ids: ids.into(),
        })
    };
    assert_eq!(terms("a/b", QoS::Two), expected(QoS::Two, &[1, 2], true));
    assert_eq!(terms("a/b", QoS::One), expected(QoS::One, &[1, 2], true));
    assert_eq!(terms("a/x", QoS::Two), expected(QoS::Zero, &[1], true));
    assert_eq!(terms("c", QoS::One), expected(QoS::One, &[2], false));
    assert_eq!(terms("d", QoS::One), None);
    // and the shared one counts for itself.
    let through = state.shared_terms(&message("a/b", QoS::One), "$share/g/a/b");
    assert_eq!(through, expected(QoS::One, &[2], false));
}

#[test]
fn a_client_that_does_not_want_its_own_messages_gets_those_of_others() {
    let others = Subscription {
        no_local: true,
        qos: QoS::One,
        ..PLAIN
    };
    let session = session(&[("a", others)]);
    let state = session.state();
    assert_eq!(state.terms(&message("a", QoS::One), MINE), None);
    assert!(state.terms(&message("a", QoS::One), MINE + 1).is_some());
}

#[test]
fn the_router_serves_plain_qos_0_only() {
    assert!(PLAIN.by_router("a/#"));
    let one = Subscription {
        qos: QoS::One,
        ..PLAIN
    };
    let others = Subscription {
        no_local: true,
        ..PLAIN
    };
    assert!(!one.by_router("a/#") && !others.by_router("a/#"));
    assert!(!PLAIN.by_router("$share/g/a") && !PLAIN.by_router("井盖"));
}

#[test]
fn the_mark_of_a_client_is_the_same_in_every_process() {
    // FNV-1a 64 of "a". Source: the test vectors of the page named at `mark`.
    assert_eq!(mark("a"), 0xAF63_DC4C_8601_EC8C);
    assert_eq!(mark(""), 0xCBF2_9CE4_8422_2325);
}
