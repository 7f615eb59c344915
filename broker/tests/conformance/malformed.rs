//! Packets that a client may not send, or that end early: MQTT 3.1.1 §4.8, MQTT 5.0 §4.13.

use super::packets::*;
use super::stage::{Stage, TOPIC};

/// Holds 3.1.1: 4.8.0-1; 5.0: 4.13.1-1.
#[tokio::test]
async fn what_only_a_server_sends_ends_the_connection() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for bytes in [
            vec![0x20, 2, 0, 0],
            vec![0x20, 3, 0, 0, 0],
            packet(0x90, &[vec![0, 1], Props::default().bytes(v), vec![0]].concat()),
            packet(0xB0, &[vec![0, 1], Props::default().bytes(v)].concat()),
            vec![0xD0, 0],
            vec![0x00, 0],
            vec![0xF0, 0],
        ] {
            let code = stage.breach(&bytes).await;
            assert!(
                v == V3 || code == Some(0x81) || code == Some(0x82),
                "{bytes:x?}: {code:x?}"
            );
        }
    }
}

/// Holds 3.1.1: 4.8.0-1; 5.0: 4.13.1-1.
#[tokio::test]
async fn a_packet_that_ends_early_or_late_ends_the_connection() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        for good in [
            subscribe(v, 1, &Props::default(), &[(TOPIC, 0)]),
            unsubscribe(v, 1, &[TOPIC]),
            Publish::new(v, TOPIC, 1, "").bytes(),
            ack(PUBACK, 1),
            ack(PUBREL, 1),
            PINGREQ.to_vec(),
        ] {
            // One byte less, and one more; of PUBLISH a byte more is payload, of PUBACK in 5.0 a reason code.
            let mut short = good[..good.len() - 1].to_vec();
            if short.len() > 1 {
                short[1] -= 1;
                let code = stage.breach(&short).await;
                assert!(
                    v == V3 || code == Some(0x81) || code == Some(0x82),
                    "{short:x?}: {code:x?}"
                );
            }
            if good[0] >> 4 == 3 || v == V5 && good[0] >> 4 < 8 {
                continue;
            }
            let mut long = good.clone();
            long.push(0);
            long[1] += 1;
            let code = stage.breach(&long).await;
            assert!(
                v == V3 || code == Some(0x81) || code == Some(0x82),
                "{long:x?}: {code:x?}"
            );
        }
    }
}

/// Holds 3.1.1: 4.8.0-1; 5.0: 4.13.1-1, 3.4.2-1, 3.5.2-1, 3.6.2-1, 3.7.2-1.
#[tokio::test]
async fn an_acknowledgement_with_a_code_that_does_not_exist_ends_the_connection() {
    let stage = Stage::new(V5).await;
    for first in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        let code = stage.breach(&ack_with(first, 1, 0x42)).await;
        assert!(code == Some(0x81) || code == Some(0x82), "{first:x}: {code:x?}");
    }
    let stage = Stage::new(V3).await;
    for first in [PUBACK, PUBREC, PUBREL, PUBCOMP] {
        assert_eq!(stage.breach(&ack_with(first, 1, 0)).await, None);
    }
}
