use bytes::Bytes;

use super::*;
use crate::codec::packet::{RetainHandling, Unsubscribe};
use crate::limits::RECEIVE_MAXIMUM;

fn conversation(version: Version) -> Conversation {
    let id = DeviceId::new("pump-1").unwrap();
    let permissions = Permissions::device(id, vec![]);
    Conversation::new(version, permissions, Agreed::default(), Inbound::default())
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
            as_published: false,
            handling: RetainHandling::Always,
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
        let mut conversation = conversation(version);
        for _ in 0..RECEIVE_MAXIMUM {
            assert!(!conversation.inbound.is_full());
            conversation.on_packet(publish(QoS::One, OWN)).unwrap();
        }
        assert!(conversation.inbound.is_full());
        // when a QoS 0 comes, it passes; when one more QoS 1 comes, a 5 client is closed.
        conversation.on_packet(publish(QoS::Zero, OWN)).unwrap();
        let one_more = conversation.on_packet(publish(QoS::One, OWN));
        match version {
            Version::V5 => assert_eq!(one_more.unwrap_err().code, Some(reason::RECEIVE_MAXIMUM_EXCEEDED)),
            Version::V311 => assert!(one_more.is_ok()),
        }
        conversation.inbound.acknowledged(2);
        assert!(!conversation.inbound.is_full());
    }
}

#[test]
fn each_filter_is_granted_or_refused_for_itself() {
    let step = conversation(Version::V5).on_packet(subscribe(&[
        ("tw/v1/pump-1/#", QoS::Two),
        ("tw/v1/pump-2/#", QoS::One),
        ("$share/g/tw/v1/pump-1/cmd", QoS::One),
        ("$share/g/tw/v1/pump-2/cmd", QoS::One),
        ("tw/v1/pump-1/a/b/c/d/e/f/g/h/i/j/k/l/m/n", QoS::One),
    ]));
    let Ok(Step::Subscribe { id: 7, grants }) = step else {
        panic!("{step:?}");
    };
    let codes: Vec<_> = (grants.into_iter())
        .map(|grant| {
            grant
                .map(|wish| wish.subscription.qos)
                .map_err(|refused| refused.code)
        })
        .collect();
    let expected = [
        Ok(QoS::Two),
        Err(reason::NOT_AUTHORIZED),
        Ok(QoS::One),
        Err(reason::NOT_AUTHORIZED),
        Err(reason::TOPIC_FILTER_INVALID),
    ];
    assert_eq!(codes, expected);
    for broken in ["a#", "$share/g", "$share//a", "$share/g+/a", "$share/g/"] {
        let close = conversation(Version::V5).on_packet(subscribe(&[(broken, QoS::One)]));
        assert_eq!(
            close.unwrap_err().code,
            Some(reason::TOPIC_FILTER_INVALID),
            "{broken}"
        );
    }
    let unsubscribe = Unsubscribe {
        id: 8,
        filters: vec!["a".into()],
    };
    let step = conversation(Version::V5).on_packet(Packet::Unsubscribe(unsubscribe));
    let filters = vec!["a".into()];
    assert_eq!(step, Ok(Step::Unsubscribe { id: 8, filters }));
}

#[test]
fn a_qos_2_message_is_accepted_once_and_its_identifier_is_free_after_the_release() {
    let mut conversation = conversation(Version::V311);
    let step = conversation.on_packet(publish(QoS::Two, OWN)).unwrap();
    assert!(matches!(step, Step::Accept { .. }), "{step:?}");
    conversation.inbound.is_safe(1);
    let again = conversation.on_packet(publish(QoS::Two, OWN));
    assert_eq!(again, Ok(Step::Again(1)));
    let release = |known| Ok(Step::Release { id: 1, known });
    assert_eq!(
        conversation.on_packet(Packet::PubRel { id: 1, code: 0 }),
        release(true)
    );
    assert_eq!(
        conversation.on_packet(Packet::PubRel { id: 1, code: 0 }),
        release(false)
    );
    let step = conversation.on_packet(publish(QoS::Two, OWN)).unwrap();
    assert!(matches!(step, Step::Accept { .. }), "{step:?}");
}

#[test]
fn a_publish_without_permission_is_answered_in_5_and_ends_3_1_1() {
    let other = "tw/v1/pump-2/telemetry";
    let v5 = conversation(Version::V5).on_packet(publish(QoS::One, other));
    assert_eq!(
        v5,
        Ok(Step::Refuse {
            qos: QoS::One,
            id: 1,
            code: reason::NOT_AUTHORIZED
        })
    );
    let v5 = conversation(Version::V5).on_packet(publish(QoS::Zero, other));
    assert_eq!(
        v5,
        Ok(Step::Refuse {
            qos: QoS::Zero,
            id: 0,
            code: reason::NOT_AUTHORIZED
        })
    );
    let v311 = conversation(Version::V311)
        .on_packet(publish(QoS::One, other))
        .unwrap_err();
    assert_eq!(v311.cause, Cause::NotAuthorized);
}

#[test]
fn the_will_goes_with_a_plain_disconnect_and_stays_with_any_other() {
    let leave = |code| {
        let session_expiry_s = None;
        let packet = Packet::Disconnect {
            code,
            session_expiry_s,
        };
        conversation(Version::V5).on_packet(packet).unwrap_err()
    };
    assert!(!leave(reason::SUCCESS).will);
    assert!(leave(0x04).will && leave(reason::UNSPECIFIED_ERROR).will);
}

#[test]
fn a_disconnect_may_change_the_expiry_of_a_session_that_had_one_and_no_other() {
    let leave = |before, expiry_s| {
        let mut conversation = conversation(Version::V5);
        conversation.agreed.session_expiry_s = before;
        let packet = Packet::Disconnect {
            code: 0,
            session_expiry_s: expiry_s,
        };
        conversation.on_packet(packet).unwrap_err()
    };
    assert_eq!(leave(0, Some(5)).code, Some(reason::PROTOCOL_ERROR));
    assert_eq!(leave(0, Some(0)).session_expiry_s, Some(0));
    assert_eq!(leave(10, Some(5)).session_expiry_s, Some(5));
    assert_eq!(leave(10, None).session_expiry_s, None);
}
