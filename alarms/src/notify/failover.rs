//! Who is told over which channel, and which channel comes next when one does not get through. Pure.

use serde_json::{Value, json};
use store::state::alarms::{Fate, Notice};
use telemetry::Timestamp;
use telemetry::profile::Priority;
use telemetry::time::Span;

use crate::settings::{AlarmSettings, RecipientSettings, Urgent};
use crate::telling::EVERYBODY;

/// One way to one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg<'a> {
    /// Who; none for a channel that stands in no recipient's list.
    pub recipient: Option<&'a str>,
    /// Over which channel.
    pub channel: &'a str,
}

impl Leg<'_> {
    /// What stands for it in the key of a notice.
    #[must_use]
    pub fn part(&self) -> String {
        match self.recipient {
            Some(recipient) => format!("{recipient}@{}", self.channel),
            None => self.channel.to_owned(),
        }
    }
}

/// Everybody who is told of an alarm, each over the first of their channels that wants it.
#[must_use]
pub fn first_legs(settings: &AlarmSettings, life_safety: bool, priority: Priority) -> Vec<Leg<'_>> {
    let wants = |least: Priority| life_safety || priority >= least;
    let listed = |name: &str| {
        settings
            .recipients
            .iter()
            .any(|recipient| recipient.channels.iter().any(|channel| **channel == *name))
    };
    let alone = settings
        .wanted()
        .filter(|(name, least)| wants(*least) && !listed(name))
        .map(|(channel, _)| Leg {
            recipient: None,
            channel,
        });
    let recipients = settings
        .recipients
        .iter()
        .filter(|recipient| wants(recipient.priority_min))
        .filter_map(|recipient| {
            let channel = recipient
                .channels
                .iter()
                .find(|name| channel_wants(settings, name, life_safety, priority))?;
            Some(Leg {
                recipient: Some(&recipient.name),
                channel,
            })
        });
    alone.chain(recipients).collect()
}

/// The ways to `to`: a recipient, a channel that stands in no recipient's list, or everybody. A name that nobody bears, which the
/// settings refuse, means everybody: better too many are told than nobody.
#[must_use]
pub fn legs_to<'a>(
    settings: &'a AlarmSettings,
    to: &str,
    life_safety: bool,
    priority: Priority,
) -> Vec<Leg<'a>> {
    let mut legs = first_legs(settings, life_safety, priority);
    if to != EVERYBODY && settings.is_recipient(to) {
        legs.retain(|leg| leg.recipient.unwrap_or(leg.channel) == to);
    }
    legs
}

fn channel_wants(settings: &AlarmSettings, name: &str, life_safety: bool, priority: Priority) -> bool {
    settings
        .wanted()
        .any(|(known, least)| known == name && (life_safety || priority >= least))
}

/// Who of the recipients gets `notice`, and over which channel next; none when nobody waits for it elsewhere.
fn next_leg<'a>(
    settings: &'a AlarmSettings,
    notice: &Notice,
    payload: &Value,
) -> Option<(&'a RecipientSettings, &'a str)> {
    let name = payload.get("recipient")?.as_str()?;
    let recipient = settings.recipients.iter().find(|known| *known.name == *name)?;
    let priority = payload.pointer("/alarm/priority").cloned().unwrap_or_default();
    let priority = serde_json::from_value(priority).unwrap_or(Priority::Critical);
    // That a channel failed must not stay on the channel that failed.
    let own = payload.pointer("/alarm/domain").and_then(Value::as_str) == Some("server");
    let urgent = notice.life_safety || (own && priority == Priority::Critical);
    if !urgent && recipient.next_channel_for == Urgent::LifeSafety {
        return None;
    }
    // Where its own channel is no longer in the list, the list begins anew.
    let place = recipient
        .channels
        .iter()
        .position(|channel| *channel == notice.channel);
    let next = recipient
        .channels
        .iter()
        .skip(place.map_or(0, |place| place + 1))
        .find(|channel| channel_wants(settings, channel, notice.life_safety, priority))?;
    Some((recipient, next))
}

/// The notice for the next channel, with a key of its own, when `notice` is not delivered and its own channel cannot get it
/// through in time: the time is over at `now`, or before the next attempt. The old notice goes on being tried.
#[must_use]
pub fn follow_up(settings: &AlarmSettings, notice: &Notice, now: Timestamp) -> Option<Notice> {
    if notice.fate != Fate::Waiting && notice.fate != Fate::GaveUp {
        return None;
    }
    let mut payload: Value = serde_json::from_str(&notice.payload).ok()?;
    let (recipient, next) = next_leg(settings, notice, &payload)?;
    let deadline = notice.made_at.plus(recipient.next_channel_after);
    let hopeless = notice.fate == Fate::GaveUp;
    let too_late = now >= deadline || (notice.attempts > 0 && notice.next_at > deadline);
    if !hopeless && !too_late {
        return None;
    }
    let leg = |channel| {
        Leg {
            recipient: Some(&recipient.name),
            channel,
        }
        .part()
    };
    let (old, new) = (format!(".{}", leg(&*notice.channel)), format!(".{}", leg(next)));
    let place = notice.key.rfind(&old)?;
    let (head, tail) = notice.key.split_at_checked(place)?;
    let key = format!("{head}{}", tail.replacen(&old, &new, 1));
    if let Some(fields) = payload.as_object_mut() {
        fields.insert("key".to_owned(), json!(key));
        fields.insert("after_channel".to_owned(), json!(notice.channel));
    }
    Some(Notice {
        key: key.into(),
        channel: next.into(),
        payload: payload.to_string(),
        fate: Fate::Waiting,
        attempts: 0,
        made_at: now,
        next_at: now,
        delivered_at: None,
        ..notice.clone()
    })
}

/// The times after which notices of this channel go on to another one; none where no recipient has another.
#[must_use]
pub fn patiences(settings: &AlarmSettings, channel: &str) -> Vec<Span> {
    let has_more = |recipient: &&RecipientSettings| {
        let before_last = recipient.channels.split_last().map(|(_, others)| others);
        before_last.is_some_and(|names| names.iter().any(|name| **name == *channel))
    };
    let mut spans: Vec<Span> = settings
        .recipients
        .iter()
        .filter(has_more)
        .map(|recipient| recipient.next_channel_after)
        .collect();
    spans.sort_unstable();
    spans.dedup();
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(recipients: &str) -> AlarmSettings {
        let text = format!(
            "[[webhook]]\nname = \"old\"\nurl = \"http://x/\"\n\
             [[channel]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"http://x/\"\n\
             [[channel]]\nname = \"b\"\nkind = \"webhook\"\nurl = \"http://x/\"\npriority_min = \"high\"\n\
             [[channel]]\nname = \"c\"\nkind = \"webhook\"\nurl = \"http://x/\"\n{recipients}"
        );
        let settings: AlarmSettings = toml::from_str(&text).unwrap();
        settings.check().unwrap();
        settings
    }

    const DUTY: &str = "[[recipient]]\nname = \"duty\"\nchannels = [\"a\", \"b\", \"c\"]\n";

    fn parts(settings: &AlarmSettings, life_safety: bool, priority: Priority) -> Vec<String> {
        first_legs(settings, life_safety, priority)
            .iter()
            .map(Leg::part)
            .collect()
    }

    fn notice(life_safety: bool, priority: &str) -> Notice {
        Notice {
            key: "G1~HI~1.raised.duty@a.x".into(),
            seq: 1,
            channel: "a".into(),
            life_safety,
            payload: json!({"key": "k", "recipient": "duty", "alarm": {"priority": priority}}).to_string(),
            fate: Fate::Waiting,
            attempts: 0,
            made_at: Timestamp::from_millis(0),
            next_at: Timestamp::from_millis(0),
            delivered_at: None,
        }
    }

    fn at(s: i64) -> Timestamp {
        Timestamp::from_millis(s * 1000)
    }

    #[test]
    fn a_channel_of_nobody_is_told_itself_and_a_recipient_over_the_first() {
        let alone = settings("");
        assert_eq!(parts(&alone, false, Priority::Low), ["old", "a", "c"]);
        assert_eq!(parts(&alone, true, Priority::Low), ["old", "a", "b", "c"]);
        let duty = settings(DUTY);
        assert_eq!(parts(&duty, false, Priority::Low), ["old", "duty@a"]);
        let picky =
            settings("[[recipient]]\nname = \"duty\"\nchannels = [\"b\", \"c\"]\npriority_min = \"high\"\n");
        assert_eq!(parts(&picky, false, Priority::Low), ["old", "a"]);
        assert_eq!(parts(&picky, false, Priority::High), ["old", "a", "duty@b"]);
        assert_eq!(parts(&picky, true, Priority::Low), ["old", "a", "duty@b"]);
    }

    #[test]
    fn the_next_channel_has_a_key_of_its_own_and_the_time_of_its_own() {
        // Given a life-safety notice that was tried and fails,
        let (settings, notice) = (settings(DUTY), notice(true, "critical"));
        let failing = |attempts, next_s| Notice {
            attempts,
            next_at: at(next_s),
            ..notice.clone()
        };
        // when its next attempt is in time, then it stays; when it is not, or the time is over, the next channel has it.
        assert_eq!(follow_up(&settings, &failing(5, 40), at(20)), None);
        for (tried, now) in [(failing(6, 67), at(33)), (failing(0, 0), at(60))] {
            let next = follow_up(&settings, &tried, now).unwrap();
            assert_eq!((&*next.key, &*next.channel), ("G1~HI~1.raised.duty@b.x", "b"));
            assert_eq!((next.attempts, next.made_at, next.fate), (0, now, Fate::Waiting));
            assert!(
                next.payload.contains("\"after_channel\":\"a\""),
                "{}",
                next.payload
            );
            assert!(next.payload.contains("\"key\":\"G1~HI~1.raised.duty@b.x\""));
            // And so on to the last one, which has nobody behind it.
            let last = follow_up(&settings, &next, now.plus(Span::from_secs(60))).unwrap();
            assert_eq!(&*last.key, "G1~HI~1.raised.duty@c.x");
            assert_eq!(follow_up(&settings, &last, now.plus(Span::from_secs(999))), None);
        }
    }

    #[test]
    fn a_hopeless_channel_is_not_waited_for_and_a_delivered_notice_never_goes_on() {
        let (settings, notice) = (settings(DUTY), notice(true, "critical"));
        let with = |fate| Notice {
            fate,
            ..notice.clone()
        };
        assert!(follow_up(&settings, &with(Fate::GaveUp), at(1)).is_some());
        // A channel that is no longer there: the recipient's first one.
        let gone = Notice {
            key: "G1~HI~1.raised.duty@gone.x".into(),
            channel: "gone".into(),
            ..with(Fate::GaveUp)
        };
        let next = follow_up(&settings, &gone, at(1)).unwrap();
        assert_eq!(&*next.key, "G1~HI~1.raised.duty@a.x");
        assert_eq!(follow_up(&settings, &with(Fate::Delivered), at(999)), None);
    }

    #[test]
    fn others_go_on_only_where_that_is_asked_for_and_to_a_channel_that_wants_them() {
        let plain = settings(DUTY);
        assert_eq!(follow_up(&plain, &notice(false, "low"), at(999)), None);
        let all = settings(&format!("{DUTY}next_channel_for = \"all\"\n"));
        let next = follow_up(&all, &notice(false, "low"), at(999)).unwrap();
        assert_eq!(&*next.channel, "c", "b wants high priority only");
        // What the server says of itself goes on where it is critical: it may be that this channel failed.
        let mut own = notice(false, "critical");
        assert_eq!(follow_up(&plain, &own, at(999)), None);
        own.payload = own
            .payload
            .replace("\"alarm\":{", "\"alarm\":{\"domain\":\"server\",");
        assert_eq!(&*follow_up(&plain, &own, at(999)).unwrap().channel, "b");
        assert_eq!(patiences(&all, "a"), [Span::from_secs(60)]);
        assert_eq!((patiences(&all, "c"), patiences(&all, "old")), (vec![], vec![]));
    }
}
