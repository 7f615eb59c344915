//! Which notices go in one message: what saves lives alone and first; of the others, what does not fit, together. Pure.

use sha2::{Digest as _, Sha256};
use store::state::alarms::Notice;

use super::budget::Room;

/// One message: a notice, or several in a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    /// The notice's key, or one derived from those of all members: the same members have the same key.
    pub key: Box<str>,
    /// What it tells, in order; never empty.
    pub members: Vec<Notice>,
    /// How many notices of its group must wait for the next message.
    pub left: usize,
}

/// How a channel gathers notices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathering {
    /// Most members of a digest: so many that every one is named.
    pub members_max: usize,
    /// What is told together even when there is room: the group of a notice; none for each by itself.
    pub group: Option<fn(&Notice) -> String>,
}

impl Parcel {
    /// A notice by itself.
    #[must_use]
    pub(super) fn one(notice: Notice) -> Self {
        Self {
            key: notice.key.clone(),
            members: vec![notice],
            left: 0,
        }
    }

    /// Several notices together.
    fn many(members: Vec<Notice>, left: usize) -> Self {
        let mut keys: Vec<&str> = members.iter().map(|notice| &*notice.key).collect();
        keys.sort_unstable();
        let key = match keys.as_slice() {
            [one] => (*one).into(),
            keys => format!("digest.{}", hash(&keys.join("\n"))).into(),
        };
        Self { key, members, left }
    }

    /// Whether it is one of several notices.
    #[must_use]
    pub(super) fn is_digest(&self) -> bool {
        self.members.len() > 1
    }
}

/// 32 hexadecimal digits that stand for a text.
#[must_use]
pub(super) fn hash(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What of `due` goes now. What does not stays where it is, and comes again.
#[must_use]
pub(super) fn parcels(due: Vec<Notice>, room: Room, gathering: Gathering) -> Vec<Parcel> {
    let (urgent, others): (Vec<Notice>, Vec<Notice>) = due.into_iter().partition(|notice| notice.life_safety);
    let mut parcels = match gathering.group {
        Some(group) => grouped(urgent, group, gathering.members_max),
        None => urgent.into_iter().map(Parcel::one).collect(),
    };
    parcels.truncate(room.all);
    let left = room.others.min(room.all.saturating_sub(parcels.len()));
    let mut others = match gathering.group {
        Some(group) => grouped(others, group, gathering.members_max),
        None if others.len() <= left => others.into_iter().map(Parcel::one).collect(),
        None => chunks(others, gathering.members_max),
    };
    others.truncate(left);
    parcels.append(&mut others);
    parcels
}

fn chunks(notices: Vec<Notice>, most: usize) -> Vec<Parcel> {
    let mut left = notices.len();
    notices
        .chunks(most.max(1))
        .map(|members| {
            left = left.saturating_sub(members.len());
            Parcel::many(members.to_vec(), left)
        })
        .collect()
}

fn grouped(notices: Vec<Notice>, group: fn(&Notice) -> String, most: usize) -> Vec<Parcel> {
    let mut groups: Vec<(String, Vec<Notice>)> = Vec::new();
    for notice in notices {
        let name = group(&notice);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, members)) => members.push(notice),
            None => groups.push((name, vec![notice])),
        }
    }
    let of_group = |(_, members): (String, Vec<Notice>)| chunks(members, most);
    groups.into_iter().flat_map(of_group).collect()
}

#[cfg(test)]
mod tests {
    use store::state::alarms::Fate;
    use telemetry::Timestamp;

    use super::*;

    fn notice(key: &str, life_safety: bool) -> Notice {
        Notice {
            key: key.into(),
            seq: 1,
            channel: "c".into(),
            life_safety,
            payload: String::new(),
            fate: Fate::Waiting,
            attempts: 0,
            made_at: Timestamp::from_millis(0),
            next_at: Timestamp::from_millis(0),
            delivered_at: None,
        }
    }

    fn plain(members_max: usize) -> Gathering {
        Gathering {
            members_max,
            group: None,
        }
    }

    fn keys(parcels: &[Parcel]) -> Vec<Vec<&str>> {
        let of = |parcel: &Parcel| parcel.members.len();
        assert!(parcels.iter().all(|parcel| of(parcel) > 0));
        parcels
            .iter()
            .map(|parcel| parcel.members.iter().map(|notice| &*notice.key).collect())
            .collect()
    }

    #[test]
    fn what_fits_goes_alone_and_what_saves_lives_first() {
        let due = vec![notice("a", false), notice("b", true), notice("c", false)];
        let room = Room { all: 5, others: 3 };
        assert_eq!(
            keys(&parcels(due, room, plain(20))),
            [vec!["b"], vec!["a"], vec!["c"]]
        );
    }

    #[test]
    fn a_flood_becomes_digests_that_name_every_member_and_life_safety_stays_alone() {
        // Given 45 ordinary notices, two that save lives, and room for three messages,
        let mut due: Vec<Notice> = (0..45)
            .map(|number| notice(&format!("n{number}"), false))
            .collect();
        due.push(notice("gas-1", true));
        due.push(notice("gas-2", true));
        // when they are packed,
        let parcels = parcels(due.clone(), Room { all: 4, others: 2 }, plain(20));
        // then those go alone, two digests of twenty behind them, and five wait.
        let sizes: Vec<usize> = parcels.iter().map(|parcel| parcel.members.len()).collect();
        assert_eq!(sizes, [1, 1, 20, 20]);
        assert_eq!(parcels.last().unwrap().left, 5);
        assert_eq!(parcels[0].key, due[45].key);
    }

    #[test]
    fn without_room_nothing_goes() {
        let due = vec![notice("a", false), notice("b", true)];
        assert_eq!(parcels(due, Room { all: 0, others: 0 }, plain(20)), []);
    }

    #[test]
    fn the_key_of_a_digest_is_that_of_its_members_in_any_order() {
        let one = Parcel::many(vec![notice("a", false), notice("b", false)], 0);
        let other = Parcel::many(vec![notice("b", false), notice("a", false)], 0);
        assert_eq!(one.key, other.key);
        assert_ne!(
            one.key,
            Parcel::many(vec![notice("a", false), notice("c", false)], 0).key
        );
        // Expected: printf 'a\nb' | sha256sum | cut -c1-32
        assert_eq!(&*one.key, "digest.7e18f737311b2dc3b2f269dd78396b03");
    }

    #[test]
    fn groups_stay_together_and_apart_from_others() {
        let gathering = Gathering {
            members_max: 2,
            group: Some(|notice| notice.key.chars().take(1).collect()),
        };
        let due = ["x1", "y1", "x2", "x3"].map(|key| notice(key, false)).to_vec();
        let parcels = parcels(due, Room { all: 9, others: 9 }, gathering);
        assert_eq!(keys(&parcels), [vec!["x1", "x2"], vec!["x3"], vec!["y1"]]);
        assert_eq!(parcels[0].left, 1);
    }
}
