//! Our messages to rumqttd's and back.

use bytes::Bytes;
use rumqttd::Forward;
use rumqttd::protocol::{Packet, Publish, PublishProperties};

use telemetry::Timestamp;

use crate::codec::packet::QoS;
use crate::codec::properties::Properties;
use crate::message::Message;

const RETAIN: u8 = 0x40;

/// The router forgets QoS and retain flag of a publish. It hands properties on as they are, so both travel in the
/// upper half of the payload format indicator, whose lower half is the indicator plus one.
fn mark(message: &Message, payload_format: Option<u8>) -> u8 {
    let retain = if message.retain { RETAIN } else { 0 };
    retain | message.qos.bits() << 4 | payload_format.map_or(0, |format| (format & 1) + 1)
}

fn unmark(mark: Option<u8>) -> (QoS, bool, Option<u8>) {
    let mark = mark.unwrap_or(0);
    (
        QoS::from_bits(mark >> 4 & 3).unwrap_or(QoS::Zero),
        mark & RETAIN != 0,
        (mark & 0x0F).checked_sub(1),
    )
}

fn text(text: Option<Box<str>>) -> Option<String> {
    text.map(Into::into)
}

fn boxed(text: Option<String>) -> Option<Box<str>> {
    text.map(Into::into)
}

pub(super) fn to_router(message: Message) -> Packet {
    let format = message
        .properties
        .as_ref()
        .and_then(|properties| properties.payload_format);
    let mark = mark(&message, format);
    let own = message
        .properties
        .map(|properties| *properties)
        .unwrap_or_default();
    let properties = PublishProperties {
        payload_format_indicator: Some(mark),
        message_expiry_interval: message.expiry_s,
        topic_alias: None,
        response_topic: text(own.response_topic),
        correlation_data: own.correlation_data,
        user_properties: own
            .user
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        subscription_identifiers: Vec::new(),
        content_type: text(own.content_type),
    };
    let topic = Bytes::from(message.topic.into_boxed_bytes());
    Packet::Publish(Publish::new(topic, message.payload, false), Some(properties))
}

pub(super) fn from_router(forward: Forward) -> Option<Message> {
    let router = forward.properties.unwrap_or_default();
    let (qos, retain, payload_format) = unmark(router.payload_format_indicator);
    let own = Properties {
        payload_format,
        content_type: boxed(router.content_type),
        response_topic: boxed(router.response_topic),
        correlation_data: router.correlation_data,
        user: router
            .user_properties
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        ..Properties::default()
    };
    let properties = (own != Properties::default()).then(|| Box::new(own));
    let topic = std::str::from_utf8(&forward.publish.topic).ok()?.into();
    Some(Message {
        topic,
        payload: forward.publish.payload,
        qos,
        retain,
        // Neither is asked for on this way: it carries no subscription without own messages, and what is left of
        // an expiry is what the router says.
        from: 0,
        arrived: Timestamp::from_millis(0),
        expiry_s: router.message_expiry_interval,
        properties,
    })
}
