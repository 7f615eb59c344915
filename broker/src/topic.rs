//! Topics and filters: what is valid, what matches what, whose they are.
//!
//! Source: MQTT 5.0 §4.7 (3.1.1 §4.7 is the same).

use telemetry::DeviceId;
use telemetry::limits::TOPIC_BYTES_MAX;

use crate::limits::LEVELS_MAX;

/// What every topic of ours begins with. Source: `design.md` §6.
pub const PREFIX: &str = "tw/v1/";

/// Why a topic or filter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicError {
    /// Empty, or a wildcard where none may be: not MQTT.
    Malformed,
    /// MQTT, but longer or deeper than [`TOPIC_BYTES_MAX`] or [`LEVELS_MAX`].
    TooLong,
}

/// Whether a topic or filter is neither empty nor longer or deeper than allowed.
pub(crate) fn check_size(text: &str) -> Result<(), TopicError> {
    if text.is_empty() {
        Err(TopicError::Malformed)
    } else if text.len() > TOPIC_BYTES_MAX || text.split('/').count() > LEVELS_MAX {
        Err(TopicError::TooLong)
    } else {
        Ok(())
    }
}

/// Whether a message may be published to `topic`.
///
/// # Errors
/// [`TopicError`].
pub fn check_topic(topic: &str) -> Result<(), TopicError> {
    if topic.contains(['+', '#']) {
        return Err(TopicError::Malformed);
    }
    check_size(topic)
}

/// Whether `filter` can be subscribed: `+` fills a level, `#` fills the last.
///
/// # Errors
/// [`TopicError`].
pub fn check_filter(filter: &str) -> Result<(), TopicError> {
    check_size(filter)?;
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let valid = match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            _ => !level.contains(['+', '#']),
        };
        if !valid {
            return Err(TopicError::Malformed);
        }
    }
    Ok(())
}

/// Whether a message on `topic` reaches a subscriber of `filter`; both must be valid.
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topics = topic.split('/');
    for level in filter.split('/') {
        match (level, topics.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(name)) if level == name => {}
            _ => return false,
        }
    }
    topics.next().is_none()
}

/// Whether everything that `filter` can match is matched by `allowed`; both must be valid. What is not sure is
/// answered with no.
#[must_use]
pub fn covers(allowed: &str, filter: &str) -> bool {
    if filter.starts_with('$') && allowed.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = filter.split('/');
    for level in allowed.split('/') {
        match (level, levels.next()) {
            ("#", _) => return true,
            ("+", Some(wanted)) if wanted != "#" => {}
            (level, Some(wanted)) if level == wanted => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// The level after [`PREFIX`], when there is something below it.
#[must_use]
pub fn owner_name(topic: &str) -> Option<&str> {
    let (device, below) = topic.strip_prefix(PREFIX)?.split_once('/')?;
    (!below.is_empty()).then_some(device)
}

/// The device that a topic of ours belongs to: the level after [`PREFIX`], when there is something
/// below it.
#[must_use]
pub fn owner(topic: &str) -> Option<DeviceId> {
    DeviceId::new(owner_name(topic)?).ok()
}

/// Whether a topic of ours carries a command to its device: `tw/v1/{device}/cmd` and what is below it.
#[must_use]
pub fn is_command(topic: &str) -> bool {
    let below = topic.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/'));
    below.is_some_and(|(_, below)| below == "cmd" || below.starts_with("cmd/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_no_wildcard_and_a_filter_has_them_where_the_standard_says() {
        // Source: the examples of MQTT 5.0 §4.7.1.
        for topic in ["sport/tennis", "/finance", "a b", "/"] {
            assert_eq!(check_topic(topic), Ok(()), "{topic}");
        }
        for topic in ["", "sport/+", "#"] {
            assert_eq!(check_topic(topic), Err(TopicError::Malformed), "{topic}");
        }
        for filter in [
            "#",
            "+",
            "sport/tennis/#",
            "+/tennis/#",
            "sport/+/player1",
            "/+",
            "+/+",
        ] {
            assert_eq!(check_filter(filter), Ok(()), "{filter}");
        }
        for filter in [
            "",
            "sport/tennis#",
            "sport/tennis/#/ranking",
            "sport+",
            "a/b+/c",
            "##",
        ] {
            assert_eq!(check_filter(filter), Err(TopicError::Malformed), "{filter}");
        }
        assert_eq!(check_topic(&"a".repeat(257)), Err(TopicError::TooLong));
        assert_eq!(check_filter(&"a/".repeat(16)), Err(TopicError::TooLong));
    }

    #[test]
    fn a_filter_matches_what_the_standard_says() {
        // Source: the examples of MQTT 5.0 §4.7.1 and §4.7.2.
        for (filter, topic) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("sport/#", "sport"),
            ("#", "anything/at/all"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("$SYS/#", "$SYS/uptime"),
        ] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("sport/+", "sport"),
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("+", "/finance"),
            ("#", "$SYS/uptime"),
            ("+/monitor/Clients", "$SYS/monitor/Clients"),
            ("sport", "Sport"),
        ] {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn a_filter_is_covered_when_it_cannot_reach_further() {
        for (allowed, filter) in [
            ("#", "a/+/#"),
            ("a/#", "a"),
            ("a/#", "a/#"),
            ("a/+", "a/+"),
            ("a/+/c", "a/b/c"),
            ("$SYS/#", "$SYS/x"),
        ] {
            assert!(covers(allowed, filter), "{allowed} {filter}");
        }
        for (allowed, filter) in [
            ("a/+", "a/#"),
            ("a/+", "a"),
            ("a/b", "a/+"),
            ("a/b", "#"),
            ("a/+", "+/+"),
            ("a/b", "a/b/c"),
            ("#", "$SYS/x"),
            ("+/x", "$SYS/x"),
        ] {
            assert!(!covers(allowed, filter), "{allowed} {filter}");
        }
    }

    fn any_filter() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::strategy::Strategy;
        ("([ab+]|\\$s)(/[ab+]?){0,3}", proptest::bool::ANY)
            .prop_map(|(filter, all)| if all { format!("{filter}/#") } else { filter })
    }

    proptest::proptest! {
        #[test]
        fn a_covered_filter_matches_nothing_that_the_covering_one_does_not(
            allowed in any_filter(), filter in any_filter(), topic in "([ab]|\\$s)(/[ab]?){0,4}",
        ) {
            if covers(&allowed, &filter) && matches(&filter, &topic) {
                proptest::prop_assert!(matches(&allowed, &topic), "{allowed} {filter} {topic}");
            }
        }
    }

    #[test]
    fn a_topic_belongs_to_the_device_of_its_third_level() {
        assert_eq!(owner("tw/v1/pump-1/telemetry").unwrap().as_str(), "pump-1");
        for topic in [
            "tw/v1/pump-1",
            "tw/v1/pump-1/",
            "tw/v1//telemetry",
            "tw/v2/a/b",
            "x",
            "tw/v1/a b/c",
        ] {
            assert_eq!(owner(topic), None, "{topic}");
        }
    }
}
