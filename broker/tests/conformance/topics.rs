//! Topic names and filters: MQTT 3.1.1 and 5.0 §4.7.

use super::answers::Got;
use super::packets::*;
use super::stage::Stage;

/// Holds 3.1.1: 4.7.1-2, 4.7.1-3, 4.7.3-1; 5.0: 4.7.1-1, 4.7.1-2, 4.7.3-1.
#[tokio::test]
async fn wildcards_stand_where_they_may_and_a_filter_is_not_empty() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for filter in [
            "", "tw/a#", "tw/#/b", "#/tw", "tw/a+", "tw/+a/b", "tw/++", "tw/##",
        ] {
            let mut client = stage.client("c").await;
            client
                .send(&subscribe(v, 1, &Props::default(), &[(filter, 1)]))
                .await;
            // Refused, or against the protocol.
            match client.next_or_end().await {
                Some(Got::SubAck { codes, .. }) => {
                    assert_eq!(codes, [if v == V5 { 0x8F } else { 0x80 }], "{filter}");
                }
                Some(Got::Disconnect { code, .. }) => {
                    assert!([0x81, 0x82, 0x8F].contains(&code), "{filter}: {code:x}");
                }
                None => assert_eq!(v, V3, "a closed connection without a word"),
                other => panic!("{filter}: {other:?}"),
            }
            client.vanish();
        }
        // Nor is a topic.
        let code = stage.breach(&Publish::new(v, "", 1, "x").bytes()).await;
        assert!(
            v == V3 || [Some(0x81), Some(0x82), Some(0x90)].contains(&code),
            "{code:x?}"
        );
    }
}

/// Holds 3.1.1: 4.7.1-2, 4.7.1-3, 3.3.2-3; 5.0: 4.7.1-1, 4.7.1-2, 3.3.2-3.
#[tokio::test]
async fn a_filter_matches_what_the_standard_says_and_nothing_else() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let topics = [
            "tw/v1/dev/a",
            "tw/v1/dev/a/b",
            "tw/v1/dev//b",
            "tw/v1/other/a",
            "tw/v1/dev/A",
        ];
        for (filter, expected) in [
            ("tw/v1/dev/a", &[0][..]),
            ("tw/v1/dev/a/#", &[0, 1]),
            ("tw/v1/dev/+", &[0, 4]),
            ("tw/v1/dev/+/b", &[1, 2]),
            ("tw/v1/dev//+", &[2]),
            ("tw/v1/dev/#", &[0, 1, 2, 4]),
            ("tw/+/+/a", &[0, 3]),
            ("tw/v1/dev/a/+", &[1]),
            ("tw/v1/+/#", &[0, 1, 2, 3, 4]),
        ] {
            let mut listener = stage.listener("l", filter, 1).await;
            assert_eq!(listener.subscribe("tw/v1/end/end", 1).await, 1);
            let mut client = stage.client("p").await;
            for topic in topics {
                client.say(topic, 1, topic).await;
            }
            client.say("tw/v1/end/end", 1, "end").await;
            for number in expected {
                assert_eq!(listener.message().await.topic, topics[*number], "{filter}");
            }
            assert_eq!(listener.message().await.topic, "tw/v1/end/end", "{filter}");
            listener.leave().await;
        }
    }
}

/// Holds 3.1.1: 4.7.2-1; 5.0: 4.7.2-1.
#[tokio::test]
async fn topics_with_a_dollar_are_the_servers_own() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut watcher = stage.listener("w", "#", 1).await;
        // A client may not publish there: answered, or against the protocol, and it goes nowhere.
        for topic in ["$SYS/x", "$share/g/tw/v1/dev/t", "$tw/v1/dev/t"] {
            let mut client = stage.client("p").await;
            client.send(&Publish::new(v, topic, 1, topic).bytes()).await;
            match client.next_or_end().await {
                None => assert_eq!(v, V3),
                Some(Got::PubAck { code, .. }) => assert!(v == V3 || code >= 0x80, "{topic}: {code:x}"),
                Some(Got::Disconnect { .. }) => {}
                other => panic!("{topic}: {other:?}"),
            }
            client.vanish();
        }
        stage.client("p").await.say("tw/v1/dev/t", 1, "end").await;
        watcher.hears("end").await;
        assert_eq!(stage.taken(), ["end"]);
    }
}

/// Holds 3.1.1: 4.7.3-4; 5.0: 4.7.3-4.
#[tokio::test]
async fn names_are_compared_byte_by_byte() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        // é in one code point and in two, a capital, a slash more, a space.
        let names = [
            "caf\u{e9}",
            "cafe\u{301}",
            "CAF\u{c9}",
            "caf\u{e9}/",
            " caf\u{e9}",
            "caf%C3%A9",
        ];
        let mut listener = stage.client("l").await;
        listener.subscribe("tw/v1/dev/caf\u{e9}", 1).await;
        listener.subscribe("tw/v1/dev/end", 1).await;
        let mut client = stage.client("p").await;
        for name in names {
            client.say(&format!("tw/v1/dev/{name}"), 1, name).await;
        }
        client.say("tw/v1/dev/end", 1, "end").await;
        listener.hears(names[0]).await;
        listener.hears("end").await;
    }
}

/// Holds 3.1.1: 4.7.3-2, 4.7.3-3; 5.0: 4.7.3-2, 4.7.3-3.
#[tokio::test]
async fn a_name_has_no_null_and_a_long_one_is_refused_in_words() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for bytes in [
            Publish::new(v, "tw/v1/dev/\0", 1, "x").bytes(),
            subscribe(v, 1, &Props::default(), &[("tw/\0", 0)]),
            unsubscribe(v, 1, &["tw/\0"]),
        ] {
            let code = stage.breach(&bytes).await;
            assert!(
                v == V3 || [Some(0x81), Some(0x82), Some(0x90)].contains(&code),
                "{code:x?}"
            );
        }
        // 65,535 bytes are the most that a length can say; the gate takes fewer, and says so.
        let long = format!("tw/v1/dev/{}", "x".repeat(65_000));
        let code = stage.breach(&Publish::new(v, &long, 1, "x").bytes()).await;
        assert!(v == V3 || [Some(0x90), Some(0x95)].contains(&code), "{code:x?}");
    }
}
