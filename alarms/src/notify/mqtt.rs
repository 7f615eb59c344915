//! Where a notice is published. Pure; `publish.rs` does it.

use super::digest::Parcel;
use super::render::Told;

/// What is filled into a topic.
const WORDS: [&str; 5] = ["{site}", "{device}", "{event}", "{priority}", "{channel}"];
/// What stands for a part that the alarms of a digest do not share, or that an alarm does not have.
const MIXED: &str = "digest";

/// Whether a template of a topic is one.
///
/// # Errors
/// A sentence for a person.
pub fn check_topic(template: &str) -> Result<(), String> {
    if !(1..=200).contains(&template.len()) || template.starts_with('$') {
        return Err(format!(
            "topic {template:?}; 1 to 200 characters without a leading $ are allowed"
        ));
    }
    let mut rest = template.to_owned();
    for word in WORDS {
        rest = rest.replace(word, "x");
    }
    match rest.chars().find(|c| "+#{}".contains(*c) || c.is_control()) {
        Some(c) => Err(format!(
            "topic {template:?}: {c:?} is not allowed; {} are filled in",
            WORDS.join(", ")
        )),
        None => Ok(()),
    }
}

/// The topic of a message.
pub(super) fn topic(template: &str, channel: &str, parcel: &Parcel) -> String {
    let told: Vec<Told> = parcel.members.iter().map(Told::read).collect();
    let shared = |of: fn(&Told) -> &str| {
        let first = told.first().map(of).unwrap_or_default();
        let one = !first.is_empty() && told.iter().all(|told| of(told) == first);
        level(if one { first } else { MIXED })
    };
    template
        .replace("{site}", &shared(|told| &told.alarm.site))
        .replace("{device}", &shared(|told| &told.alarm.device))
        .replace("{event}", &shared(|told| &told.event))
        .replace("{priority}", &shared(|told| &told.alarm.priority))
        .replace("{channel}", channel)
}

/// One level of a topic: nothing in it that means something to a broker.
fn level(text: &str) -> String {
    text.chars()
        .map(|c| {
            if "+#/{}".contains(c) || c.is_control() {
                '_'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_says_what_it_may_be_filled_with() {
        for good in [
            "townwatch/notices/{site}/{device}",
            "a",
            "{channel}/{event}/{priority}",
        ] {
            assert_eq!(check_topic(good), Ok(()), "{good}");
        }
        for bad in ["", "a/#", "a/+/b", "a/{town}", "$SYS/a", "a\n"] {
            assert!(check_topic(bad).is_err(), "{bad}");
        }
    }
}
