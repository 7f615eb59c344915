use bytes::Bytes;

use super::*;
use crate::codec::packet::Unsubscribe;

fn session(version: Version) -> Session {
    let id = DeviceId::new("pump-1").unwrap();
    Session::new(version, Permissions::device(id, vec![]), None)
}

fn publish(qos: QoS, topic: &str) -> Packet {
    let id = if qos == QoS::Zero { 0 } else { 1 };
    let payload = Bytes::from_static(b"x");
    Packet::Publish(Publish {
        dup: false,
        qos,
        retain: false,
        topic: topic.into(),
        id,
        properties: None,
        payload,
    })
}

fn subscribe(filters: &[(&str, QoS)]) -> Packet {
    let filters = filters
        .iter()
        .map(|(path, qos)| Filter {
            path: (*path).into(),
            qos: *qos,
            no_local: false,
        })
        .collect();
    Packet::Subscribe(Subscribe {
        id: 7,
        filters,
        properties: None,
    })
}

const OWN: &str = "tw/v1/pump-1/telemetry";

#[test]
fn an_mqtt_5_client_that_runs_ahead_of_the_receive_maximum_is_closed_and_one_of_3_1_1_has_to_wait() {
    for version in [Version::V5, Version::V311] {
        // Given as many publishes under way as may be,
        let mut session = session(version);
        for _ in 0..RECEIVE_MAXIMUM {
            assert!(!session.is_full());
            session.on_packet(publish(QoS::One, OWN)).unwrap();
        }
        assert!(session.is_full());
        // when a QoS 0 comes, it passes; when one more QoS 1 comes, a 5 client is closed.
        session.on_packet(publish(QoS::Zero, OWN)).unwrap();
        let one_more = session.on_packet(publish(QoS::One, OWN));
        match version {
            Version::V5 => assert_eq!(one_more.unwrap_err().code, Some(reason::RECEIVE_MAXIMUM_EXCEEDED)),
            Version::V311 => assert!(one_more.is_ok()),
        }
        session.acknowledged(2);
        assert!(!session.is_full());
    }
}

#[test]
fn a_live_message_goes_out_with_the_lower_of_its_own_and_the_best_granted_qos() {
    // Given two filters that overlap,
    let mut session = session(Version::V5);
    session
        .on_packet(subscribe(&[
            ("tw/v1/pump-1/#", QoS::Zero),
            ("tw/v1/pump-1/cmd", QoS::Two),
        ]))
        .unwrap();
    // then the better one counts where both match, and QoS 2 was granted as 1.
    assert_eq!(session.delivery("tw/v1/pump-1/cmd", QoS::One), Some(QoS::One));
    assert_eq!(session.delivery("tw/v1/pump-1/cmd", QoS::Zero), Some(QoS::Zero));
    assert_eq!(session.delivery("tw/v1/pump-1/x", QoS::One), Some(QoS::Zero));
    // After UNSUBSCRIBE what is still on its way is dropped.
    let step = session.on_packet(Packet::Unsubscribe(Unsubscribe {
        id: 8,
        filters: vec!["tw/v1/pump-1/#".into(), "never".into()],
    }));
    let filters = vec![("tw/v1/pump-1/#".into(), true), ("never".into(), false)];
    assert_eq!(step, Ok(Step::Unsubscribe { id: 8, filters }));
    assert_eq!(session.delivery("tw/v1/pump-1/x", QoS::One), None);
}

#[test]
fn the_subscription_beyond_the_last_is_refused_and_the_same_again_is_not() {
    let mut session = session(Version::V5);
    for number in 0..SUBSCRIPTIONS_MAX {
        session
            .on_packet(subscribe(&[(&format!("tw/v1/pump-1/{number}"), QoS::One)]))
            .unwrap();
    }
    let step = session.on_packet(subscribe(&[
        ("tw/v1/pump-1/more", QoS::One),
        ("tw/v1/pump-1/0", QoS::Zero),
    ]));
    let grants = vec![
        ("tw/v1/pump-1/more".into(), Err(reason::QUOTA_EXCEEDED)),
        ("tw/v1/pump-1/0".into(), Ok(QoS::Zero)),
    ];
    assert_eq!(step, Ok(Step::Subscribe { id: 7, grants }));
}

#[test]
fn a_publish_without_permission_is_answered_in_5_and_ends_3_1_1() {
    let other = "tw/v1/pump-2/telemetry";
    let v5 = session(Version::V5).on_packet(publish(QoS::One, other));
    assert_eq!(
        v5,
        Ok(Step::Refuse {
            ack: Some(1),
            code: reason::NOT_AUTHORIZED
        })
    );
    let v5 = session(Version::V5).on_packet(publish(QoS::Zero, other));
    assert_eq!(
        v5,
        Ok(Step::Refuse {
            ack: None,
            code: reason::NOT_AUTHORIZED
        })
    );
    let v311 = session(Version::V311)
        .on_packet(publish(QoS::One, other))
        .unwrap_err();
    assert_eq!(v311.cause, Cause::NotAuthorized);
}

#[test]
fn the_will_goes_with_a_plain_disconnect_and_stays_with_one_that_asks_for_it() {
    let leave = |code| {
        session(Version::V5)
            .on_packet(Packet::Disconnect { code })
            .unwrap_err()
    };
    assert!(!leave(reason::SUCCESS).will);
    assert!(leave(reason::DISCONNECT_WITH_WILL).will);
}
