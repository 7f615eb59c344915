//! Delivery at QoS 1 and 2, again after a break, and in order: MQTT 3.1.1 and 5.0 §3.4–§3.7, §4.3, §4.4, §4.6.

use super::answers::Got;
use super::packets::*;
use super::stage::{Stage, TOPIC};

/// Holds 3.1.1: 4.3.3-2; 5.0: 4.3.3-10, 4.3.3-8, 4.3.3-11.
#[tokio::test]
async fn a_qos_2_message_that_is_sent_twice_before_its_release_counts_once() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 2).await;
        let mut client = stage.client("p").await;
        // Given a message that the client repeats three times, with and without DUP,
        let publish = Publish::new(v, TOPIC, 2, "once").id(9);
        for bytes in [publish.bytes(), publish.clone().dup().bytes(), publish.bytes()] {
            client.send(&bytes).await;
            assert_eq!(client.next().await, Got::PubRec { id: 9, code: 0 });
        }
        client.send(&ack(PUBREL, 9)).await;
        assert_eq!(client.next().await, Got::PubComp { id: 9, code: 0 });
        client.say(TOPIC, 2, "next").await;
        // then it is delivered once.
        listener.hears("once").await;
        listener.hears("next").await;
        assert_eq!(stage.taken(), ["once", "next"]);
    }
}

/// Holds 3.1.1: 4.3.3-2; 5.0: 4.3.3-12.
#[tokio::test]
async fn after_pubcomp_the_same_identifier_is_a_new_message() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 2).await;
        let mut client = stage.client("p").await;
        for payload in ["first", "second"] {
            let publish = Publish::new(v, TOPIC, 2, payload).id(5).dup();
            client.send(&publish.bytes()).await;
            assert_eq!(client.next().await, Got::PubRec { id: 5, code: 0 });
            client.send(&ack(PUBREL, 5)).await;
            assert_eq!(client.next().await, Got::PubComp { id: 5, code: 0 });
            listener.hears(payload).await;
        }
    }
}

/// Holds 3.1.1: 4.3.2-2; 5.0: 4.3.2-5.
#[tokio::test]
async fn after_puback_the_same_identifier_is_a_new_message_whatever_its_dup() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 1).await;
        let mut client = stage.client("p").await;
        for _ in 0..2 {
            let publish = Publish::new(v, TOPIC, 1, "same").id(5).dup();
            client.send(&publish.bytes()).await;
            assert_eq!(client.next().await, Got::PubAck { id: 5, code: 0 });
            listener.hears("same").await;
        }
    }
}

/// Holds 5.0: 4.3.3-9.
#[tokio::test]
async fn a_refused_qos_2_message_leaves_its_identifier_free() {
    let stage = Stage::new(V5).await;
    let mut listener = stage.listener("l", TOPIC, 2).await;
    let mut client = stage.client("p").await;
    // Given an identifier whose message was refused,
    let refused = Publish::new(V5, "elsewhere", 2, "x").id(5);
    client.send(&refused.bytes()).await;
    assert_eq!(client.next().await, Got::PubRec { id: 5, code: 0x87 });
    // when it is used again without a PUBREL, then that is a new message.
    client
        .send(&Publish::new(V5, TOPIC, 2, "new").id(5).bytes())
        .await;
    assert_eq!(client.next().await, Got::PubRec { id: 5, code: 0 });
    listener.hears("new").await;
}

/// Holds 3.1.1: 4.3.3-2, 2.3.1-6; 5.0: 3.6.2-1, 3.7.2-1, 4.3.3-11.
#[tokio::test]
async fn a_release_of_nothing_is_answered() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut client = stage.client("p").await;
        client.send(&ack(PUBREL, 77)).await;
        let code = if v == V5 { 0x92 } else { 0 };
        assert_eq!(client.next().await, Got::PubComp { id: 77, code });
        client.alive().await;
    }
}

/// Holds 3.1.1: 2.3.1-4, 2.3.1-6, 4.3.2-1, 4.3.3-1; 5.0: 2.2.1-4, 2.2.1-5, 4.3.2-1, 4.3.2-2, 4.3.2-3, 4.3.3-1, 4.3.3-2, 4.3.3-3, 4.3.3-4, 4.3.3-5.
#[tokio::test]
async fn what_goes_out_has_identifiers_of_its_own_until_it_is_acknowledged() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", "tw/#", 2).await;
        let mut client = stage.client("p").await;
        // Given messages of both kinds that are not acknowledged,
        for n in 0..20 {
            client.say(TOPIC, 1 + n % 2, &n.to_string()).await;
        }
        let mut offered = Vec::new();
        for _ in 0..20 {
            offered.push(listener.offered().await);
        }
        // then no two of them have the same identifier, and none is a duplicate.
        let mut ids: Vec<u16> = offered.iter().map(|message| message.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 20);
        assert!(offered.iter().all(|message| !message.dup));
        // When they are acknowledged, then QoS 2 is released under the same identifier, before it is done.
        for message in &offered {
            listener.acknowledge(message).await;
        }
        listener.alive().await;
    }
}

/// Holds 3.1.1: 3.1.2-4, 3.3.1-1, 4.3.2-1, 4.3.3-1, 4.4.0-1, 4.6.0-6; 5.0: 3.1.2-5, 3.3.1-1, 4.3.2-3, 4.3.3-3, 4.4.0-1, 4.6.0-5.
#[tokio::test]
async fn what_was_not_acknowledged_comes_again_under_its_identifier_and_in_order() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        // Given a listener with four messages that it has not acknowledged,
        let (mut listener, _) = stage.lasting("l").await;
        assert_eq!(listener.subscribe(TOPIC, 2).await, 2);
        let mut client = stage.client("p").await;
        for (qos, payload) in [(1, "a"), (2, "b"), (1, "c"), (2, "d")] {
            client.say(TOPIC, qos, payload).await;
        }
        let mut before = Vec::new();
        for _ in 0..4 {
            before.push(listener.offered().await);
        }
        // that goes without a word and comes back,
        listener.vanish();
        let (mut listener, welcome) = stage.lasting("l").await;
        assert!(welcome.present);
        // then they come again: the same identifiers, the same order, as duplicates.
        for message in before {
            let again = listener.offered().await;
            assert_eq!(
                (again.id, again.text(), again.qos),
                (message.id, message.text(), message.qos)
            );
            assert!(again.dup, "{again:?}");
            listener.acknowledge(&again).await;
        }
        listener.alive().await;
    }
}

/// Holds 3.1.1: 4.3.3-1, 4.4.0-1; 5.0: 4.3.3-5, 4.3.3-6, 4.4.0-1.
#[tokio::test]
async fn what_was_released_is_released_again_and_not_sent_again() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let (mut listener, _) = stage.lasting("l").await;
        listener.subscribe(TOPIC, 2).await;
        stage.client("p").await.say(TOPIC, 2, "half").await;
        // Given a message whose PUBREL has come and whose PUBCOMP has not gone,
        let message = listener.offered().await;
        let id = message.id;
        listener.send(&ack(PUBREC, id)).await;
        assert_eq!(listener.next().await, Got::PubRel { id, code: 0 });
        listener.vanish();
        // when the listener is back, then the PUBREL comes again, not the message.
        let (mut listener, _) = stage.lasting("l").await;
        assert_eq!(listener.next().await, Got::PubRel { id, code: 0 });
        listener.send(&ack(PUBCOMP, id)).await;
        listener.alive().await;
        // And when it has been answered, it is done.
        listener.vanish();
        let (mut listener, _) = stage.lasting("l").await;
        listener.alive().await;
    }
}

/// Holds 5.0: 4.4.0-2, 3.4.2-1, 3.5.2-1.
#[tokio::test]
async fn a_message_that_the_client_refuses_is_not_sent_again() {
    let stage = Stage::new(V5).await;
    let (mut listener, _) = stage.lasting("l").await;
    listener.subscribe(TOPIC, 2).await;
    let mut client = stage.client("p").await;
    for (qos, first) in [(1, PUBACK), (2, PUBREC)] {
        client.say(TOPIC, qos, "no").await;
        let message = listener.offered().await;
        listener.send(&ack_with(first, message.id, 0x83)).await;
        // No PUBREL follows,
        listener.alive().await;
    }
    // and after a break nothing comes.
    listener.vanish();
    let (mut listener, welcome) = stage.lasting("l").await;
    assert!(welcome.present);
    listener.alive().await;
}

/// Holds 3.1.1: 4.4.0-1; 5.0: 4.4.0-1.
#[tokio::test]
async fn nothing_is_sent_again_while_the_connection_stands() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let (mut listener, _) = stage.lasting("l").await;
        listener.subscribe(TOPIC, 1).await;
        stage.client("p").await.say(TOPIC, 1, "wait").await;
        let message = listener.offered().await;
        // A second and a half without an acknowledgement: other protocols would try again.
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        listener.alive().await;
        listener.acknowledge(&message).await;
        listener.alive().await;
    }
}

/// Holds 3.1.1: 4.6.0-5, 4.6.0-6; 5.0: 4.6.0-5, 4.6.0-6.
#[tokio::test]
async fn messages_of_one_client_on_one_topic_arrive_in_their_order() {
    for v in BOTH {
        for qos in 0..3 {
            let stage = Stage::new(v).await;
            let mut listener = stage.listener("l", TOPIC, qos).await;
            let mut client = stage.client("p").await;
            // A hundred without waiting for one answer,
            let mut bytes = Vec::new();
            for n in 0..100u16 {
                let publish = Publish::new(v, TOPIC, qos, &n.to_string()).id(n + 1);
                bytes.extend(publish.bytes());
            }
            client.send(&bytes).await;
            // come in the order in which they were sent.
            for n in 0..100 {
                let message = listener.offered().await;
                assert_eq!(message.text(), n.to_string(), "QoS {qos}");
                if qos == 1 {
                    listener.send(&ack(PUBACK, message.id)).await;
                }
            }
        }
    }
}

/// Holds 3.1.1: 3.1.2-4, 4.1.0-1, 4.3.3-2; 5.0: 3.1.2-5, 4.1.0-1, 4.3.3-10.
#[tokio::test]
async fn a_qos_2_message_that_was_received_counts_once_over_a_break() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 2).await;
        // Given a publisher whose PUBREC was on its way when its connection broke,
        let (mut client, _) = stage.lasting("p").await;
        let publish = Publish::new(v, TOPIC, 2, "once").id(3);
        client.send(&publish.bytes()).await;
        assert_eq!(client.next().await, Got::PubRec { id: 3, code: 0 });
        client.vanish();
        // when it sends the message again on a new connection,
        let (mut client, welcome) = stage.lasting("p").await;
        assert!(welcome.present);
        client.send(&publish.dup().bytes()).await;
        assert_eq!(client.next().await, Got::PubRec { id: 3, code: 0 });
        client.send(&ack(PUBREL, 3)).await;
        assert_eq!(client.next().await, Got::PubComp { id: 3, code: 0 });
        // then it is delivered once.
        client.say(TOPIC, 2, "next").await;
        listener.hears("once").await;
        listener.hears("next").await;
    }
}

/// Holds 5.0: 4.3.3-13, 4.3.3-7.
#[tokio::test]
async fn a_qos_2_message_that_has_gone_out_is_brought_to_its_end_although_it_expires() {
    let stage = Stage::new(V5).await;
    let (mut listener, _) = stage.lasting("l").await;
    listener.subscribe(TOPIC, 2).await;
    let mut client = stage.client("p").await;
    let publish = Publish::new(V5, TOPIC, 2, "brief").props(Props::default().four(id::MESSAGE_EXPIRY, 1));
    client.publish(publish).await;
    // Given a message of one second that has gone out,
    let message = listener.offered().await;
    listener.vanish();
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    // when its second has passed, then it comes again all the same, and is completed.
    let (mut listener, _) = stage.lasting("l").await;
    let again = listener.offered().await;
    assert_eq!((again.id, again.dup), (message.id, true));
    listener.acknowledge(&again).await;
    listener.alive().await;
}
