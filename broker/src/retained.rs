//! Retained messages: the last of each topic. Pure.
//!
//! Source: MQTT 5.0 §3.3.1.3.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use telemetry::{DeviceId, Timestamp};

use crate::limits::{
    RETAINED_BYTES_MAX, RETAINED_MAX, RETAINED_PER_DEVICE_BYTES_MAX, RETAINED_PER_DEVICE_MAX,
};
use crate::message::Message;
use crate::topic;

/// The retained messages by topic.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    by_topic: BTreeMap<Box<str>, Arc<Message>>,
    bytes: usize,
    /// What is kept below the name of each device.
    by_device: FxHashMap<DeviceId, Share>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    messages: usize,
    bytes: usize,
}

/// What became of a message that asked to be retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is the retained message of its topic now.
    Set,
    /// It was empty: the topic has no retained message any more.
    Cleared,
    /// It was empty, and there was none.
    Nothing,
    /// There is no room; the one before it stays.
    NoRoom,
}

impl Retained {
    pub(crate) fn len(&self) -> usize {
        self.by_topic.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Retains `message` in place of the one before on its topic; an empty one only takes that away.
    pub(crate) fn set(&mut self, message: &Arc<Message>) -> Kept {
        if message.payload.is_empty() {
            return if self.clear(&message.topic) {
                Kept::Cleared
            } else {
                Kept::Nothing
            };
        }
        let bytes = message.size_bytes();
        let before = self.by_topic.get(&message.topic);
        let replaced = before.map_or(Share::default(), |before| Share {
            messages: 1,
            bytes: before.size_bytes(),
        });
        let of_device = topic::owner(&message.topic)
            .and_then(|device| self.by_device.get(&device))
            .copied()
            .unwrap_or_default();
        let fits = self.by_topic.len() - replaced.messages < RETAINED_MAX
            && self.bytes - replaced.bytes + bytes <= RETAINED_BYTES_MAX
            && of_device.messages - replaced.messages.min(of_device.messages) < RETAINED_PER_DEVICE_MAX
            && of_device.bytes - replaced.bytes.min(of_device.bytes) + bytes <= RETAINED_PER_DEVICE_BYTES_MAX;
        if !fits {
            return Kept::NoRoom;
        }
        self.clear(&message.topic);
        self.restore(Arc::clone(message));
        Kept::Set
    }

    /// Puts back what was retained before a restart, whatever the bounds are now.
    pub(crate) fn restore(&mut self, message: Arc<Message>) {
        let bytes = message.size_bytes();
        self.bytes += bytes;
        if let Some(device) = topic::owner(&message.topic) {
            let share = self.by_device.entry(device).or_default();
            share.messages += 1;
            share.bytes += bytes;
        }
        self.by_topic.insert(message.topic.clone(), message);
    }

    /// Forgets the retained message of `topic`; whether there was one.
    pub(crate) fn clear(&mut self, topic: &str) -> bool {
        let Some(message) = self.by_topic.remove(topic) else {
            return false;
        };
        let bytes = message.size_bytes();
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(device) = topic::owner(topic)
            && let Some(share) = self.by_device.get_mut(&device)
        {
            share.messages = share.messages.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(bytes);
            if share.messages == 0 {
                self.by_device.remove(&device);
            }
        }
        true
    }

    /// The first message that `filter` matches on a topic after `after`.
    pub(crate) fn next(&self, filter: &str, after: Option<&str>) -> Option<&Arc<Message>> {
        let prefix = literal(filter);
        let from = match after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        self.by_topic
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(topic, _)| topic.starts_with(prefix))
            .find(|(topic, _)| topic::matches(filter, topic))
            .map(|(_, message)| message)
    }

    /// The topics whose messages have outlived their expiry.
    pub(crate) fn expired(&self, now: Timestamp) -> Vec<Box<str>> {
        (self.by_topic.values())
            .filter(|message| message.left_s(now).is_err())
            .map(|message| message.topic.clone())
            .collect()
    }
}

/// The part of a filter before its first wildcard, with which every topic begins that it matches. `sport/#`
/// matches `sport` as well, hence without the slash before `#`.
fn literal(filter: &str) -> &str {
    let (before, wildcard) = match filter.find(['+', '#']) {
        Some(place) => filter.split_at(place),
        None => return filter,
    };
    if wildcard == "#" {
        before.strip_suffix('/').unwrap_or(before)
    } else {
        before
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::codec::packet::QoS;

    fn message(topic: &str, payload: &str) -> Arc<Message> {
        Arc::new(Message {
            topic: topic.into(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            qos: QoS::One,
            retain: true,
            from: 0,
            arrived: Timestamp::from_millis(0),
            expiry_s: None,
            properties: None,
        })
    }

    fn all(retained: &Retained, filter: &str) -> Vec<Box<str>> {
        let mut after: Option<Box<str>> = None;
        let mut found = Vec::new();
        while let Some(message) = retained.next(filter, after.as_deref()) {
            found.push(message.topic.clone());
            after = Some(message.topic.clone());
        }
        found
    }

    #[test]
    fn a_filter_finds_its_retained_messages_one_after_the_other() {
        let mut retained = Retained::default();
        for topic in ["a", "a/b", "a/b/c", "a/c", "ab", "b", "$x/a"] {
            assert_eq!(retained.set(&message(topic, "x")), Kept::Set);
        }
        for (filter, topics) in [
            ("a/#", &["a", "a/b", "a/b/c", "a/c"][..]),
            ("a/+", &["a/b", "a/c"]),
            ("+/b/#", &["a/b", "a/b/c"]),
            ("#", &["a", "a/b", "a/b/c", "a/c", "ab", "b"]),
            ("$x/#", &["$x/a"]),
            ("a/b", &["a/b"]),
            ("c", &[]),
        ] {
            assert_eq!(
                all(&retained, filter),
                topics.iter().map(|t| (*t).into()).collect::<Vec<Box<str>>>(),
                "{filter}"
            );
        }
    }

    #[test]
    fn the_newest_of_a_topic_counts_and_an_empty_one_clears_it() {
        let mut retained = Retained::default();
        retained.set(&message("tw/v1/p/state", "long"));
        assert_eq!(retained.set(&message("tw/v1/p/state", "on")), Kept::Set);
        // 13 bytes of topic and 2 of payload.
        assert_eq!((retained.len(), retained.bytes()), (1, 15));
        assert_eq!(retained.set(&message("tw/v1/p/state", "")), Kept::Cleared);
        assert_eq!(retained.set(&message("tw/v1/p/state", "")), Kept::Nothing);
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
        assert!(retained.by_device.is_empty());
    }

    #[test]
    fn one_device_cannot_take_the_room_of_the_others_and_may_still_replace_its_own() {
        let mut retained = Retained::default();
        for number in 0..RETAINED_PER_DEVICE_MAX {
            assert_eq!(
                retained.set(&message(&format!("tw/v1/p/{number}"), "x")),
                Kept::Set
            );
        }
        assert_eq!(retained.set(&message("tw/v1/p/more", "x")), Kept::NoRoom);
        assert_eq!(retained.set(&message("tw/v1/p/0", "y")), Kept::Set);
        assert_eq!(retained.set(&message("tw/v1/q/more", "x")), Kept::Set);
        let large = "x".repeat(RETAINED_PER_DEVICE_BYTES_MAX);
        assert_eq!(retained.set(&message("tw/v1/q/large", &large)), Kept::NoRoom);
    }

    #[test]
    fn what_has_outlived_its_expiry_is_named() {
        let mut retained = Retained::default();
        for (topic, expiry_s) in [("a", Some(1)), ("b", Some(3)), ("c", None)] {
            let mut message = message(topic, "x");
            Arc::make_mut(&mut message).expiry_s = expiry_s;
            retained.set(&message);
        }
        assert_eq!(retained.expired(Timestamp::from_millis(2000)), ["a".into()]);
    }
}
