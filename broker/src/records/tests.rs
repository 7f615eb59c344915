use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = Box<str>> {
    "[a-z/井]{0,12}".prop_map(Into::into)
}

fn time() -> impl Strategy<Value = Option<Timestamp>> {
    proptest::option::of(any::<i64>().prop_map(Timestamp::from_millis))
}

fn any_qos() -> impl Strategy<Value = QoS> {
    (0u8..=2).prop_map(|bits| QoS::from_bits(bits).unwrap())
}

prop_compose! {
    fn properties()(
        payload_format in proptest::option::of(0u8..=1),
        content_type in text(),
        correlation in proptest::collection::vec(any::<u8>(), 0..20),
        user in proptest::collection::vec((text(), text()), 0..4),
    ) -> Option<Box<Properties>> {
        let properties = Properties {
            payload_format,
            content_type: (!content_type.is_empty()).then_some(content_type),
            correlation_data: (!correlation.is_empty()).then_some(correlation.into()),
            user,
            ..Properties::default()
        };
        (properties != Properties::default()).then(|| Box::new(properties))
    }
}

prop_compose! {
    fn any_message()(
        topic in text(), qos in any_qos(), retain: bool, from: u64, arrived: i64,
        expiry_s in proptest::option::of(any::<u32>()),
        properties in properties(),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) -> Message {
        Message {
            topic, qos, retain, from, expiry_s, properties,
            arrived: Timestamp::from_millis(arrived),
            payload: payload.into(),
        }
    }
}

prop_compose! {
    fn any_entry()(
        seq: u64, qos in any_qos(), retain: bool, message in any_message(),
        ids in proptest::collection::vec(any::<u32>(), 0..5),
        share in proptest::option::of("[$a-z/]{1,9}"),
    ) -> Entry {
        Entry { seq, qos, retain, message: message.into(), ids: ids.into(), share: share.map(Into::into) }
    }
}

/// Key and value of a record that was put.
fn parts(change: Change) -> (Box<[u8]>, Bytes) {
    match change {
        Change::Put { key, value, .. } => (key, value),
        other => panic!("{other:?} is not a put"),
    }
}

proptest! {
    #[test]
    fn a_message_in_a_queue_comes_back_as_it_was(number: u64, entry in any_entry()) {
        let (key, value) = parts(put_entry(number, &entry));
        prop_assert_eq!(of_session(&key).unwrap().0, number);
        prop_assert_eq!(super::entry(&key, &value), Ok(entry));
    }

    #[test]
    fn a_retained_message_comes_back_as_it_was(message in any_message()) {
        let (key, value) = parts(put_retained(&message));
        prop_assert_eq!(retained(&key, &value), Ok(message));
    }

    #[test]
    fn a_session_comes_back_as_it_was(number: u64, key in text(), expiry_s: u32, left in time()) {
        let record = SessionRecord { key, expiry_s, left };
        let (key, value) = parts(put_session(number, &record));
        prop_assert_eq!(session(&key, &value), Ok(record));
    }

    #[test]
    fn a_subscription_comes_back_as_it_was(
        number: u64, filter in text(), qos in any_qos(), no_local: bool, as_published: bool,
        id in proptest::option::of(1u32..),
    ) {
        let subscription = Subscription { qos, no_local, as_published, id };
        let (key, value) = parts(put_subscription(number, &filter, &subscription));
        prop_assert_eq!(text_of(of_session(&key).unwrap().1).unwrap(), &*filter);
        prop_assert_eq!(super::subscription(&key, &value), Ok(subscription));
    }

    #[test]
    fn a_will_comes_back_as_it_was(
        number: u64, due in time(), qos in any_qos(), retain: bool, topic in text(),
        delay in 1u32.., payload in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let properties = Properties { will_delay_s: Some(delay), ..Properties::default() };
        let properties = Some(Box::new(properties));
        let will = Will { topic, payload: payload.into(), qos, retain, properties };
        let left = LeftWill { will, sender: DeviceId::new("pump-1").unwrap() };
        let (key, value) = parts(put_will(number, &left, due));
        prop_assert_eq!(super::will(&key, &value), Ok((left, due)));
    }

    #[test]
    fn one_flipped_bit_is_seen_and_nothing_panics(entry in any_entry(), place: usize, bit in 0u32..8) {
        let (key, value) = parts(put_entry(7, &entry));
        let mut value = value.to_vec();
        let place = place % value.len();
        value[place] ^= 1 << bit;
        prop_assert!(super::entry(&key, &value).is_err());
    }

    #[test]
    fn no_bytes_make_reading_panic(
        key in proptest::collection::vec(any::<u8>(), 0..20),
        fields in proptest::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..80),
    ) {
        // With a right check sum, so that every field is reached.
        let mut value = [&[VERSION][..], &fields].concat();
        value.extend(check_sum(&key, &value).to_be_bytes());
        let read = [
            session(&key, &value).is_ok(), subscription(&key, &value).is_ok(), entry(&key, &value).is_ok(),
            sending(&key, &value).is_ok(), received(&key, &value).is_ok(), retained(&key, &value).is_ok(),
            will(&key, &value).is_ok(),
        ];
        prop_assert!(read.len() == 7);
    }
}

#[test]
fn what_is_on_its_way_comes_back_as_it_was() {
    for released in [false, true] {
        let record = SendingRecord { seq: 9, released };
        let (key, value) = parts(put_sending(3, 258, record));
        assert_eq!(id_of(of_session(&key).unwrap().1), Ok(258));
        assert_eq!(sending(&key, &value), Ok(record));
    }
    let (key, value) = parts(put_received(3, 7));
    assert_eq!(received(&key, &value), Ok(7));
}

#[test]
fn a_record_under_another_key_and_one_of_a_newer_version_are_refused() {
    let (_, value) = parts(put_received(3, 7));
    assert_eq!(
        received(&id_key(3, 8), &value),
        Err(Damaged("check sum is wrong"))
    );
    let key = id_key(3, 8);
    let mut newer = vec![VERSION + 1];
    newer.extend(check_sum(&key, &newer).to_be_bytes());
    assert_eq!(received(&key, &newer), Err(Damaged("record of a newer version")));
}
