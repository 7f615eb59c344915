//! Topic aliases: pure. Source: MQTT 5.0 §3.3.2.3.4.

use rustc_hash::FxHashMap;

use super::{Cause, Close, TOPIC_ALIASES_MAX};
use crate::codec::packet::Publish;
use crate::codec::reason;

/// What the aliases of a client stand for, on one connection.
#[derive(Debug, Default)]
pub(super) struct AliasesIn {
    topics: FxHashMap<u16, Box<str>>,
}

impl AliasesIn {
    /// Fills in the topic of a publish that has an alias in its place, or notes the alias of one that has both.
    ///
    /// # Errors
    /// [`Close`]: an alias beyond the maximum, or one that stands for nothing; no topic at all.
    pub(super) fn resolve(&mut self, message: &mut Publish) -> Result<(), Close> {
        let alias = (message.properties.as_ref()).and_then(|properties| properties.topic_alias);
        let Some(alias) = alias else {
            if message.topic.is_empty() {
                let why = "publish without a topic";
                return Err(Close::with(reason::PROTOCOL_ERROR, Cause::Malformed, why));
            }
            return Ok(());
        };
        if alias > TOPIC_ALIASES_MAX {
            let why = "topic alias above the maximum";
            return Err(Close::with(reason::TOPIC_ALIAS_INVALID, Cause::Malformed, why));
        }
        if !message.topic.is_empty() {
            self.topics.insert(alias, message.topic.clone());
            return Ok(());
        }
        let Some(topic) = self.topics.get(&alias) else {
            let why = "topic alias that stands for nothing";
            return Err(Close::with(reason::PROTOCOL_ERROR, Cause::Malformed, why));
        };
        message.topic = topic.clone();
        Ok(())
    }
}

/// The aliases that the gate uses towards a client, on one connection: the first topics get one, and keep it.
#[derive(Debug)]
pub(crate) struct AliasesOut {
    aliases: FxHashMap<Box<str>, u16>,
    max: u16,
}

impl AliasesOut {
    /// At most `maximum` of the client, and never more than [`TOPIC_ALIASES_MAX`].
    pub(crate) fn new(maximum: Option<u16>) -> Self {
        Self {
            aliases: FxHashMap::default(),
            max: maximum.unwrap_or(0).min(TOPIC_ALIASES_MAX),
        }
    }

    /// The alias of `topic`, and whether the client knows it, so that the topic can be left out.
    pub(crate) fn of(&mut self, topic: &str) -> Option<(u16, bool)> {
        if let Some(alias) = self.aliases.get(topic) {
            return Some((*alias, true));
        }
        let next = u16::try_from(self.aliases.len()).ok()?.checked_add(1)?;
        if next > self.max {
            return None;
        }
        self.aliases.insert(topic.into(), next);
        Some((next, false))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::codec::packet::QoS;
    use crate::codec::properties::Properties;

    fn publish(topic: &str, alias: Option<u16>) -> Publish {
        let properties = Properties {
            topic_alias: alias,
            ..Properties::default()
        };
        Publish {
            dup: false,
            qos: QoS::Zero,
            retain: false,
            topic: topic.into(),
            id: 0,
            properties: Some(Box::new(properties)),
            payload: Bytes::new(),
        }
    }

    #[test]
    fn an_alias_stands_for_the_topic_that_came_with_it_last() {
        let mut aliases = AliasesIn::default();
        let mut resolve = |topic: &str, alias| {
            let mut message = publish(topic, alias);
            match aliases.resolve(&mut message) {
                Ok(()) => Ok(message.topic),
                Err(close) => Err(close.code.unwrap()),
            }
        };
        assert_eq!(resolve("", Some(1)), Err(reason::PROTOCOL_ERROR));
        assert_eq!(resolve("a", Some(1)), Ok("a".into()));
        assert_eq!(resolve("", Some(1)), Ok("a".into()));
        assert_eq!(resolve("b", Some(1)), Ok("b".into()));
        assert_eq!(resolve("", Some(1)), Ok("b".into()));
        assert_eq!(resolve("", None), Err(reason::PROTOCOL_ERROR));
        assert_eq!(resolve("c", Some(TOPIC_ALIASES_MAX)), Ok("c".into()));
        assert_eq!(
            resolve("c", Some(TOPIC_ALIASES_MAX + 1)),
            Err(reason::TOPIC_ALIAS_INVALID)
        );
    }

    #[test]
    fn the_first_topics_get_an_alias_and_the_others_go_in_full() {
        let mut aliases = AliasesOut::new(Some(2));
        assert_eq!(aliases.of("a"), Some((1, false)));
        assert_eq!(aliases.of("b"), Some((2, false)));
        assert_eq!(aliases.of("c"), None);
        assert_eq!(aliases.of("a"), Some((1, true)));
        assert_eq!(AliasesOut::new(None).of("a"), None);
    }
}
