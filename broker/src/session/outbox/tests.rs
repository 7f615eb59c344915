use bytes::Bytes;

use super::*;

fn entry(outbox: &mut Outbox, qos: QoS, text: &str) -> Entry {
    Entry {
        seq: outbox.number(),
        message: Arc::new(Message {
            topic: "t".into(),
            payload: Bytes::copy_from_slice(text.as_bytes()),
            qos,
            retain: false,
            from: 0,
            arrived: Timestamp::from_millis(0),
            expiry_s: None,
            properties: None,
        }),
        qos,
        retain: false,
        ids: Box::default(),
        share: None,
    }
}

fn push(outbox: &mut Outbox, qos: QoS, text: &str) {
    let entry = entry(outbox, qos, text);
    outbox.push(entry);
}

/// What goes out next: packet identifier, DUP, payload; a PUBREL is shown as "release".
fn next(outbox: &mut Outbox) -> Option<(u16, bool, String)> {
    let out = match outbox.resend() {
        Some(out) => out,
        None => {
            let entry = outbox.take()?;
            outbox.send(entry)
        }
    };
    Some(match out {
        Out::Publish { id, dup, entry } => (
            id,
            dup,
            String::from_utf8(entry.message.payload.to_vec()).unwrap(),
        ),
        Out::Release(id) => (id, false, "release".to_owned()),
    })
}

fn out(id: u16, dup: bool, text: &str) -> Option<(u16, bool, String)> {
    Some((id, dup, text.to_owned()))
}

#[test]
fn a_full_window_waits_for_an_answer_in_any_order() {
    let mut outbox = Outbox::new(Stock::default());
    outbox.attach(Some(2));
    for text in ["a", "b", "c", "d"] {
        push(&mut outbox, QoS::One, text);
    }
    assert_eq!(next(&mut outbox), out(1, false, "a"));
    assert_eq!(next(&mut outbox), out(2, false, "b"));
    assert_eq!((next(&mut outbox), outbox.is_ready()), (None, false));
    assert_eq!(outbox.on_puback(9), Answer::Unknown);
    assert_eq!(outbox.on_puback(2), Answer::Done(2));
    assert_eq!(next(&mut outbox), out(3, false, "c"));
    assert_eq!(next(&mut outbox), None);
}

#[test]
fn qos_2_holds_its_place_in_the_window_until_pubcomp() {
    let mut outbox = Outbox::new(Stock::default());
    outbox.attach(Some(1));
    push(&mut outbox, QoS::Two, "a");
    push(&mut outbox, QoS::Two, "b");
    assert_eq!(next(&mut outbox), out(1, false, "a"));
    assert_eq!(outbox.on_puback(1), Answer::Wrong);
    assert_eq!(outbox.on_pubcomp(1), Answer::Wrong);
    assert_eq!(outbox.on_pubrec(1, false), Answer::Release(Some(1)));
    assert_eq!(outbox.on_pubrec(1, false), Answer::Release(None));
    assert_eq!(next(&mut outbox), None);
    assert_eq!(outbox.on_pubcomp(1), Answer::Done(1));
    assert_eq!(outbox.on_pubcomp(1), Answer::Unknown);
    assert_eq!(next(&mut outbox), out(2, false, "b"));
    // A PUBREC with an error ends the delivery.
    assert_eq!(outbox.on_pubrec(2, true), Answer::Done(2));
    assert_eq!(outbox.on_pubrec(2, false), Answer::Unknown);
}

#[test]
fn a_resumed_connection_gets_what_was_not_answered_again_in_order_before_anything_new() {
    // Given QoS 1, QoS 2 and a released QoS 2 on their way when the connection broke,
    let mut outbox = Outbox::new(Stock::default());
    outbox.attach(None);
    for (qos, text) in [(QoS::Two, "a"), (QoS::One, "b"), (QoS::Two, "c"), (QoS::One, "d")] {
        push(&mut outbox, qos, text);
        next(&mut outbox).unwrap();
    }
    outbox.on_pubrec(1, false);
    outbox.on_puback(2);
    push(&mut outbox, QoS::One, "new");
    // when the client is back and takes two at a time,
    outbox.attach(Some(2));
    // then it gets the PUBREL and the first PUBLISH again under their identifiers,
    assert_eq!(next(&mut outbox), out(1, false, "release"));
    assert_eq!(next(&mut outbox), out(3, true, "c"));
    assert_eq!(next(&mut outbox), None);
    // and the rest as it answers, old before new.
    outbox.on_pubcomp(1);
    assert_eq!(next(&mut outbox), out(4, true, "d"));
    outbox.on_puback(4);
    assert_eq!(next(&mut outbox), out(5, false, "new"));
}

#[test]
fn an_identifier_is_never_0_and_never_in_use_twice() {
    // Given one message that is never answered,
    let mut outbox = Outbox::new(Stock::default());
    push(&mut outbox, QoS::One, "first");
    assert_eq!(next(&mut outbox), out(1, false, "first"));
    // when all other identifiers have been used once,
    for _ in 2..=u16::MAX {
        push(&mut outbox, QoS::One, "x");
        let (id, _, _) = next(&mut outbox).unwrap();
        outbox.on_puback(id);
    }
    // then the next is 2: not 0, and not the 1 that is still open.
    push(&mut outbox, QoS::One, "last");
    assert_eq!(next(&mut outbox), out(2, false, "last"));
}

#[test]
fn a_queue_is_full_by_messages_by_bytes_and_by_all_queues_together() {
    let stock = Stock::default();
    let mut outbox = Outbox::new(Arc::clone(&stock));
    for _ in 0..QUEUE_MESSAGES_MAX {
        assert_eq!(outbox.fits(1), Ok(()));
        push(&mut outbox, QoS::One, "");
    }
    assert_eq!(outbox.fits(1), Err(Full));
    // "t" is one byte of topic in each.
    assert_eq!(stock.load(Ordering::Relaxed), QUEUE_MESSAGES_MAX);
    drop(outbox);
    assert_eq!(stock.load(Ordering::Relaxed), 0);
    let outbox = Outbox::new(Arc::clone(&stock));
    assert_eq!(outbox.fits(QUEUE_BYTES_MAX), Ok(()));
    assert_eq!(outbox.fits(QUEUE_BYTES_MAX + 1), Err(Full));
    stock.store(QUEUES_BYTES_MAX, Ordering::Relaxed);
    assert_eq!(outbox.fits(1), Err(Full));
}

#[test]
fn bytes_are_counted_until_a_message_is_done_with() {
    let stock = Stock::default();
    let mut outbox = Outbox::new(Arc::clone(&stock));
    push(&mut outbox, QoS::Two, "four");
    next(&mut outbox).unwrap();
    assert_eq!(stock.load(Ordering::Relaxed), 5);
    outbox.on_pubrec(1, false);
    assert_eq!(stock.load(Ordering::Relaxed), 0);
    push(&mut outbox, QoS::Zero, "four");
    next(&mut outbox).unwrap();
    assert_eq!(stock.load(Ordering::Relaxed), 0);
}

#[test]
fn expired_messages_are_purged_and_the_others_keep_their_order() {
    let mut outbox = Outbox::new(Stock::default());
    for expiry_s in [None, Some(5), Some(20), None] {
        let mut entry = entry(&mut outbox, QoS::One, "x");
        Arc::make_mut(&mut entry.message).expiry_s = expiry_s;
        outbox.push(entry);
    }
    assert_eq!(outbox.purge(Timestamp::from_millis(10_000)), [2]);
    let left: Vec<u64> = std::iter::from_fn(|| outbox.take())
        .map(|entry| entry.seq)
        .collect();
    assert_eq!(left, [1, 3, 4]);
}

#[test]
fn a_member_gives_up_what_waits_and_what_was_sent_with_qos_1_but_not_qos_2() {
    // Given shared messages of which one with each QoS was sent, and one of its own,
    let mut outbox = Outbox::new(Stock::default());
    for (qos, share) in [
        (QoS::One, Some("$share/g/a")),
        (QoS::Two, Some("$share/g/a")),
        (QoS::One, Some("$share/g/a")),
        (QoS::One, None),
        (QoS::Two, Some("$share/g/b")),
    ] {
        let entry = entry(&mut outbox, qos, "x");
        outbox.push(Entry {
            share: share.map(Into::into),
            ..entry
        });
    }
    next(&mut outbox).unwrap();
    next(&mut outbox).unwrap();
    let numbers = |given: Vec<Entry>| given.iter().map(|entry| entry.seq).collect::<Vec<_>>();
    // then UNSUBSCRIBE of one gives up what waits of it, and the end of the session everything else.
    assert_eq!(numbers(outbox.give_up_shared(Some("$share/g/a"))), [3]);
    assert_eq!(numbers(outbox.give_up_shared(None)), [1, 5]);
}
