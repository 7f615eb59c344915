//! DISCONNECT: MQTT 3.1.1 and 5.0 §3.14.

use super::packets::*;
use super::stage::{Stage, TOPIC};

/// Holds 3.1.1: 3.14.4-1, 3.14.4-2; 5.0: 3.14.4-1, 3.14.4-2.
#[tokio::test]
async fn after_disconnect_nothing_is_read_any_more() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut client = stage.client("c").await;
        let late = Publish::new(v, TOPIC, 1, "late").bytes();
        client.send(&[&DISCONNECT[..], &late].concat()).await;
        assert_eq!(client.end().await, None);
        stage.client("other").await.say(TOPIC, 1, "next").await;
        assert_eq!(stage.taken(), ["next"]);
    }
}

/// Holds 3.1.1: 3.14.1-1, 2.2.2-2; 5.0: 3.14.1-1, 2.1.3-1.
#[tokio::test]
async fn disconnect_with_flags_is_out_of_form() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for flags in [1, 2, 4, 8] {
            let code = stage.breach(&[0xE0 | flags, 0]).await;
            assert_eq!(code, (v == V5).then_some(0x81));
        }
    }
}

/// Holds 5.0: 3.14.2-1, 4.13.1-1.
#[tokio::test]
async fn disconnect_out_of_form_is_answered() {
    let stage = Stage::new(V5).await;
    for (what, bytes) in [
        ("a code of a server", vec![0xE0, 1, 0x8E]),
        ("a code that does not exist", vec![0xE0, 1, 0x42]),
        ("a property of a server", vec![0xE0, 5, 0, 3, 0x1C, 0, 0]),
        ("a property of PUBLISH", vec![0xE0, 4, 0, 2, 0x01, 0]),
        ("a length too long", vec![0xE0, 2, 0, 5]),
    ] {
        let code = stage.breach(&bytes).await;
        // Said or not: the client has said its last word.
        assert!(
            [None, Some(0x81), Some(0x82)].contains(&code),
            "{what}: {code:x?}"
        );
    }
    // In 3.1.1 it has no body.
    let stage = Stage::new(V3).await;
    assert_eq!(stage.breach(&[0xE0, 1, 0]).await, None);
}

/// Holds 5.0: 3.14.2-2, 3.14.2-1, 3.14.2-3, 3.14.2-4.
#[tokio::test]
async fn the_gates_own_disconnect_has_a_code_and_no_session_expiry() {
    // The strict reader refuses a session expiry and a code that is not a server's.
    let stage = Stage::new(V5).await;
    let (mut first, _) = stage.lasting("twin").await;
    let (_second, _) = stage.lasting("twin").await;
    assert_eq!(first.end().await, Some(0x8E));
    assert_eq!(stage.breach(&[0xC1, 0]).await, Some(0x81));
}
