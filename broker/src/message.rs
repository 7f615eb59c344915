//! A message on its way from whoever published it to whoever subscribed.

use bytes::Bytes;
use telemetry::Timestamp;

use crate::codec::packet::{Props, QoS};
use crate::codec::properties::Properties;
use crate::limits::COPY_BYTES_MAX;

/// What was published, as all its receivers share it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) topic: Box<str>,
    pub(crate) payload: Bytes,
    /// As it was published.
    pub(crate) qos: QoS,
    /// As it was published.
    pub(crate) retain: bool,
    /// The mark of the client that published it, for subscriptions without its own messages.
    pub(crate) from: u64,
    /// When it came, from which its expiry counts.
    pub(crate) arrived: Timestamp,
    /// Seconds after which it is delivered no more.
    pub(crate) expiry_s: Option<u32>,
    /// Those that a publish hands on: payload format, content type, response topic, correlation data, user.
    pub(crate) properties: Props,
}

impl Message {
    /// Its size as it is counted against the bounds of queues, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        let properties = self.properties.as_ref().map_or(0, |properties| {
            let user: usize = (properties.user.iter())
                .map(|(name, value)| name.len() + value.len())
                .sum();
            user + properties.correlation_data.as_ref().map_or(0, Bytes::len)
        });
        self.topic.len() + self.payload.len() + properties
    }

    /// Seconds that are left of its life at `now`: `Ok(None)` when it has no end, `Err` when it is over.
    /// Source: MQTT 5.0 §3.3.2.3.3.
    pub(crate) fn left_s(&self, now: Timestamp) -> Result<Option<u32>, Expired> {
        let Some(expiry_s) = self.expiry_s else {
            return Ok(None);
        };
        // A clock that was set back makes nothing older than it is.
        let passed_s = now.millis_since(self.arrived).max(0) / 1000;
        let passed_s = u32::try_from(passed_s).unwrap_or(u32::MAX);
        match expiry_s.checked_sub(passed_s) {
            Some(0) | None => Err(Expired),
            left => Ok(left),
        }
    }

    /// The same with a payload of its own, when it shares a large block with what was read beside it.
    pub(crate) fn owned(mut self) -> Self {
        if self.payload.len() > COPY_BYTES_MAX {
            self.payload = Bytes::copy_from_slice(&self.payload);
        }
        self
    }
}

/// A message has outlived its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expired;

/// What of the properties of a publish or will goes on to subscribers, and the expiry.
pub(crate) fn handed_on(properties: Props) -> (Props, Option<u32>) {
    let Some(mut properties) = properties else {
        return (None, None);
    };
    let expiry_s = properties.message_expiry_s.take();
    properties.topic_alias = None;
    properties.will_delay_s = None;
    let kept = (*properties != Properties::default()).then_some(properties);
    (kept, expiry_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_message_counts_down_from_its_arrival() {
        // Given a message of 10 s that came at 1,000 s,
        let message = Message {
            topic: "a".into(),
            payload: Bytes::new(),
            qos: QoS::One,
            retain: false,
            from: 0,
            arrived: Timestamp::from_millis(1_000_000),
            expiry_s: Some(10),
            properties: None,
        };
        // then 3.2 s later 7 s are left (whole seconds passed: 3), and after 10 s none.
        let at = |ms| message.left_s(Timestamp::from_millis(ms));
        assert_eq!(at(1_003_200), Ok(Some(7)));
        assert_eq!(at(1_009_999), Ok(Some(1)));
        assert_eq!(at(1_010_000), Err(Expired));
        assert_eq!(at(900_000), Ok(Some(10)));
        let endless = Message {
            expiry_s: None,
            ..message
        };
        assert_eq!(endless.left_s(Timestamp::from_millis(i64::MAX)), Ok(None));
    }

    #[test]
    fn alias_and_expiry_are_not_handed_on_and_the_rest_is() {
        let sent = Properties {
            topic_alias: Some(3),
            message_expiry_s: Some(60),
            content_type: Some("json".into()),
            ..Properties::default()
        };
        let expected = Properties {
            content_type: Some("json".into()),
            ..Properties::default()
        };
        assert_eq!(
            handed_on(Some(Box::new(sent))),
            (Some(Box::new(expected)), Some(60))
        );
        let alias = Properties {
            topic_alias: Some(3),
            ..Properties::default()
        };
        assert_eq!(handed_on(Some(Box::new(alias))), (None, None));
    }
}
