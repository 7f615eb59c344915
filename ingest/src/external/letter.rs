//! What a publish of the external broker becomes. Pure.

use bytes::Bytes;
use telemetry::limits::{PAYLOAD_BYTES_MAX, TOPIC_BYTES_MAX};
use telemetry::{DeviceId, Origin, RawMessage, Timestamp};

/// A message for the journal, and whether it is strange: its topic names no device, or it is larger than a message may
/// be. Those are cut, and become dead letters when they are decoded.
pub(super) fn of(topic: &[u8], payload: Bytes, arrived: Timestamp, nobody: &DeviceId) -> (RawMessage, bool) {
    let topic = String::from_utf8_lossy(topic);
    let owner = topic
        .strip_prefix("tw/v1/")
        .and_then(|rest| rest.split('/').next())
        .and_then(|name| DeviceId::new(name).ok());
    let cut = payload.len() > PAYLOAD_BYTES_MAX || topic.len() > TOPIC_BYTES_MAX;
    let strange = owner.is_none() || cut;
    let message = RawMessage {
        arrived,
        origin: Origin::External,
        sender: owner.unwrap_or_else(|| nobody.clone()),
        topic: shortened(&topic).into(),
        payload: payload.slice(..payload.len().min(PAYLOAD_BYTES_MAX)),
    };
    (message, strange)
}

fn shortened(topic: &str) -> String {
    let mut short = String::with_capacity(topic.len().min(TOPIC_BYTES_MAX));
    for letter in topic.chars() {
        if short.len() + letter.len_utf8() > TOPIC_BYTES_MAX {
            break;
        }
        short.push(letter);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_of_the_topic_is_the_sender_and_what_is_strange_is_cut_and_told() {
        let nobody: DeviceId = "external".parse().unwrap();
        let now = Timestamp::from_millis(7);
        let long = "x".repeat(TOPIC_BYTES_MAX - 1) + "井";
        let large = vec![0; PAYLOAD_BYTES_MAX + 1];
        for (topic, payload, sender, strange) in [
            ("tw/v1/st-1/telemetry", &b"{}"[..], "st-1", false),
            ("tw/v1/st-1/state", b"", "st-1", false),
            ("tw/v1/st 1/telemetry", b"{}", "external", true),
            ("factory/7", b"{}", "external", true),
            ("", b"{}", "external", true),
            (&long, b"{}", "external", true),
            ("tw/v1/st-1/telemetry", &large, "st-1", true),
        ] {
            let (message, told) = of(topic.as_bytes(), payload.to_vec().into(), now, &nobody);
            assert_eq!((message.sender.as_str(), told), (sender, strange), "{topic}");
            assert_eq!((message.arrived, message.origin), (now, Origin::External));
            assert!(message.topic.len() <= TOPIC_BYTES_MAX && message.payload.len() <= PAYLOAD_BYTES_MAX);
        }
    }
}
