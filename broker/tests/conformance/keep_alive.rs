//! Keep-alive: MQTT 3.1.1 and 5.0 §3.1.2.10, §3.12.

use std::time::Duration;

use super::answers::Got;
use super::packets::*;
use super::stage::{Stage, TOPIC};

fn brief(v: u8, client: &str) -> Connect {
    Connect {
        keep_alive: 1,
        ..Connect::new(v, client)
    }
}

/// Holds 3.1.1: 3.12.4-1; 5.0: 3.12.4-1.
#[tokio::test]
async fn pingreq_is_answered() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut client = stage.client("c").await;
        client.send(&[PINGREQ, PINGREQ].concat()).await;
        assert_eq!(client.next().await, Got::PingResp);
        assert_eq!(client.next().await, Got::PingResp);
        client.alive().await;
    }
}

/// Holds 3.1.1: 3.1.2-24; 5.0: 3.1.2-22, 3.2.2-22.
#[tokio::test]
async fn a_silent_client_is_put_out_with_its_will_after_one_and_a_half_times_its_keep_alive() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let mut listener = stage.listener("l", TOPIC, 1).await;
        let will = Will {
            topic: TOPIC.into(),
            payload: b"silent".to_vec(),
            qos: 1,
            ..Will::default()
        };
        let begun = tokio::time::Instant::now();
        let (mut client, welcome) = stage.connect(&brief(v, "c").will(will)).await;
        assert_eq!(welcome.props.number(id::SERVER_KEEP_ALIVE), None);
        let code = client.end().await;
        assert_eq!(code, (v == V5).then_some(0x8D));
        assert!(
            begun.elapsed() >= Duration::from_millis(1400),
            "{:?}",
            begun.elapsed()
        );
        listener.hears("silent").await;
    }
}

/// Holds 3.1.1: 3.1.2-24; 5.0: 3.1.2-22.
#[tokio::test]
async fn what_the_gate_sends_does_not_count() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let (mut listener, _) = stage.connect(&brief(v, "l")).await;
        listener.subscribe(TOPIC, 0).await;
        let mut client = stage.client("p").await;
        // Messages come to it all the time; it says nothing.
        let put_out = async {
            loop {
                match listener.next_or_end().await {
                    Some(Got::Publish(_)) => {}
                    other => return other,
                }
            }
        };
        let talk = async {
            loop {
                client.say(TOPIC, 0, "x").await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            last = put_out => assert!(
                matches!(&last, None | Some(Got::Disconnect { code: 0x8D, .. })),
                "{last:?}"
            ),
            () = talk => {}
        }
    }
}

/// Holds 3.1.1: 3.1.2-24; 5.0: 3.1.2-22.
#[tokio::test]
async fn any_packet_keeps_a_client_alive_and_without_keep_alive_none_is_needed() {
    for v in BOTH {
        let stage = Stage::new(v).await;
        let (mut talker, _) = stage.connect(&brief(v, "talker")).await;
        let (mut silent, _) = stage.connect(&Connect::new(v, "silent")).await;
        for n in 0..5 {
            tokio::time::sleep(Duration::from_millis(600)).await;
            match n % 3 {
                0 => talker.alive().await,
                1 => talker.say(TOPIC, 1, "here").await,
                _ => talker.send(&ack(PUBACK, 999)).await,
            }
        }
        talker.alive().await;
        silent.alive().await;
    }
}
