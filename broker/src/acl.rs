//! What a client may publish and subscribe: pure, and nothing unless it is listed.

use std::sync::Arc;

use telemetry::DeviceId;

use crate::topic;

/// What a client may say and hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Says and hears what is below its own name and the names it speaks for.
    Device {
        id: DeviceId,
        speaks_for: Arc<[DeviceId]>,
    },
    /// Hears what its filters match, and publishes commands where its filters allow it.
    Account {
        name: DeviceId,
        publish: Arc<[Box<str>]>,
        subscribe: Arc<[Box<str>]>,
    },
    /// Hears everything below `tw/`, says nothing.
    Watcher,
    /// Hears what a watcher hears, and speaks as whatever device the topic names.
    Anybody,
}

impl Permissions {
    /// A device, and as a gateway the devices that name it.
    #[must_use]
    pub fn device(id: DeviceId, mut speaks_for: Vec<DeviceId>) -> Self {
        speaks_for.sort();
        Self(Kind::Device {
            id,
            speaks_for: speaks_for.into(),
        })
    }

    /// A service account: hears what a filter of `subscribe` covers, publishes what one of `publish` matches: commands
    /// in its own name, anything else in that of the device in the topic. Empty lists allow nothing.
    #[must_use]
    pub fn account(name: DeviceId, publish: Vec<Box<str>>, subscribe: Vec<Box<str>>) -> Self {
        Self(Kind::Account {
            name,
            publish: publish.into(),
            subscribe: subscribe.into(),
        })
    }

    /// May subscribe to anything below `tw/` (and `#`), and publish nothing.
    #[must_use]
    pub fn watcher() -> Self {
        Self(Kind::Watcher)
    }

    /// May subscribe like a watcher and publish in the name of every device: for a bench on a desk.
    #[must_use]
    pub fn anybody() -> Self {
        Self(Kind::Anybody)
    }

    /// Whether this is one device that speaks for itself only.
    #[must_use]
    pub fn is_single_device(&self) -> bool {
        match &self.0 {
            Kind::Device { speaks_for, .. } => speaks_for.is_empty(),
            Kind::Account { .. } | Kind::Watcher | Kind::Anybody => false,
        }
    }

    /// Who stands as the sender of a message on `topic`, or `None` when it may not be published. A device may
    /// not publish to its own `cmd`, nor a gateway to that of the devices it speaks for: commands come to them.
    #[must_use]
    pub fn may_publish(&self, topic: &str) -> Option<DeviceId> {
        let owner = topic::owner(topic)?;
        match &self.0 {
            Kind::Device { id, speaks_for } => {
                (is_theirs(owner.as_str(), id, speaks_for) && !topic::is_command(topic)).then(|| id.clone())
            }
            // A command is the account's own word; anything else it says in the name of the device.
            Kind::Account { name, publish, .. } => (publish.iter())
                .any(|filter| topic::matches(filter, topic))
                .then(|| {
                    if topic::is_command(topic) {
                        name.clone()
                    } else {
                        owner
                    }
                }),
            Kind::Watcher => None,
            Kind::Anybody => Some(owner),
        }
    }

    /// Whether everything that a valid `filter` can match may be heard. Of a shared subscription, `filter` is
    /// what stands behind the group's name.
    #[must_use]
    pub fn may_subscribe(&self, filter: &str) -> bool {
        match &self.0 {
            // A wildcard in place of the name fails to be a device id.
            Kind::Device { id, speaks_for } => {
                topic::owner(filter).is_some_and(|owner| is_theirs(owner.as_str(), id, speaks_for))
            }
            Kind::Account { subscribe, .. } => {
                (subscribe.iter()).any(|allowed| topic::covers(allowed, filter))
            }
            Kind::Watcher | Kind::Anybody => filter == "#" || filter == "tw" || filter.starts_with("tw/"),
        }
    }

    /// Whether a message on `topic` may be delivered. To be asked for each delivery, live, retained or queued:
    /// what was subscribed before a permission was taken away brings nothing any more.
    #[must_use]
    pub fn may_hear(&self, topic: &str) -> bool {
        match &self.0 {
            Kind::Device { id, speaks_for } => {
                topic::owner_name(topic).is_some_and(|owner| is_theirs(owner, id, speaks_for))
            }
            Kind::Account { subscribe, .. } => {
                (subscribe.iter()).any(|allowed| topic::matches(allowed, topic))
            }
            Kind::Watcher | Kind::Anybody => topic.starts_with("tw/"),
        }
    }
}

fn is_theirs(owner: &str, id: &DeviceId, speaks_for: &[DeviceId]) -> bool {
    owner == id.as_str() || (speaks_for.binary_search_by(|name| name.as_str().cmp(owner))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DeviceId {
        DeviceId::new(text).unwrap()
    }

    #[test]
    fn a_device_publishes_and_subscribes_below_its_own_name_only() {
        // Given a device without anybody to speak for,
        let pump = Permissions::device(id("pump-1"), vec![]);
        // then its own topics are open
        assert_eq!(pump.may_publish("tw/v1/pump-1/telemetry"), Some(id("pump-1")));
        for filter in ["tw/v1/pump-1/#", "tw/v1/pump-1/cmd", "tw/v1/pump-1/+/x"] {
            assert!(pump.may_subscribe(filter), "{filter}");
        }
        // and everybody else's are closed, by name and by wildcard.
        for topic in [
            "tw/v1/pump-10/telemetry",
            "tw/v1/pump-1",
            "other",
            "$SYS/x",
            "tw/v1/pump-1/",
        ] {
            assert_eq!(pump.may_publish(topic), None, "{topic}");
        }
        for filter in [
            "#",
            "+/v1/pump-1/cmd",
            "tw/#",
            "tw/v1/+/cmd",
            "tw/v1/#",
            "tw/v1/pump-2/#",
            "$SYS/#",
        ] {
            assert!(!pump.may_subscribe(filter), "{filter}");
        }
    }

    #[test]
    fn commands_come_to_a_device_and_never_from_it() {
        let gateway = Permissions::device(id("gw"), vec![id("a")]);
        for topic in ["tw/v1/gw/cmd", "tw/v1/gw/cmd/valve", "tw/v1/a/cmd"] {
            assert_eq!(gateway.may_publish(topic), None, "{topic}");
            assert!(gateway.may_hear(topic), "{topic}");
        }
        for topic in [
            "tw/v1/gw/ack",
            "tw/v1/a/state",
            "tw/v1/a/telemetry",
            "tw/v1/a/cmd-log",
        ] {
            assert_eq!(gateway.may_publish(topic), Some(id("gw")), "{topic}");
        }
    }

    #[test]
    fn what_is_delivered_is_checked_as_what_is_subscribed() {
        let gateway = Permissions::device(id("gw"), vec![id("a"), id("b")]);
        for (topic, heard) in [
            ("tw/v1/gw/cmd", true),
            ("tw/v1/b/state", true),
            ("tw/v1/c/state", false),
            ("tw/v1/gw", false),
            ("tw/v2/gw/cmd", false),
            ("$SYS/gw/cmd", false),
            ("", false),
        ] {
            assert_eq!(gateway.may_hear(topic), heard, "{topic}");
        }
        assert!(Permissions::watcher().may_hear("tw/v1/a/telemetry"));
        assert!(!Permissions::watcher().may_hear("$SYS/x") && !Permissions::anybody().may_hear("other"));
    }

    #[test]
    fn an_account_hears_and_commands_what_is_listed_and_nothing_else() {
        // Given an account for two devices' readings and one device's commands,
        let account = Permissions::account(
            id("scada"),
            vec!["tw/v1/a/cmd".into(), "tw/v1/+/telemetry/x".into()],
            vec!["tw/v1/a/#".into(), "tw/v1/b/+".into()],
        );
        // then what its filters cover is open
        for filter in [
            "tw/v1/a/#",
            "tw/v1/a/cmd",
            "tw/v1/a/+/x",
            "tw/v1/b/+",
            "tw/v1/b/state",
            "tw/v1/a",
        ] {
            assert!(account.may_subscribe(filter), "{filter}");
        }
        assert!(account.may_hear("tw/v1/a/x/y") && account.may_hear("tw/v1/b/state"));
        assert_eq!(account.may_publish("tw/v1/a/cmd"), Some(id("scada")));
        assert_eq!(
            account.may_publish("tw/v1/b/telemetry/x"),
            Some(id("b")),
            "in its name"
        );
        // and what reaches beyond them is not.
        for filter in [
            "#",
            "tw/#",
            "tw/v1/+/telemetry",
            "tw/v1/b/#",
            "tw/v1/b/x/y",
            "$SYS/#",
            "+/v1/a/x",
        ] {
            assert!(!account.may_subscribe(filter), "{filter}");
        }
        assert!(!account.may_hear("tw/v1/b/x/y") && !account.may_hear("tw/v1/c/state"));
        for topic in ["tw/v1/b/cmd", "tw/v1/a/telemetry", "tw/v1/a/cmd/x", "$SYS/x"] {
            assert_eq!(account.may_publish(topic), None, "{topic}");
        }
        // An account without filters may nothing.
        let nobody = Permissions::account(id("x"), vec![], vec![]);
        assert!(
            !nobody.may_subscribe("#") && !nobody.may_subscribe("tw/v1/x/y") && !nobody.may_hear("tw/v1/x/y")
        );
        assert_eq!(nobody.may_publish("tw/v1/x/cmd"), None);
    }

    #[test]
    fn a_gateway_speaks_for_the_devices_that_name_it() {
        let gateway = Permissions::device(id("gw"), vec![id("b"), id("a")]);
        assert_eq!(gateway.may_publish("tw/v1/a/telemetry"), Some(id("gw")));
        assert_eq!(gateway.may_publish("tw/v1/b/telemetry"), Some(id("gw")));
        assert_eq!(gateway.may_publish("tw/v1/c/telemetry"), None);
        assert!(gateway.may_subscribe("tw/v1/b/cmd"));
    }

    #[test]
    fn a_watcher_hears_everything_of_ours_and_says_nothing() {
        let watcher = Permissions::watcher();
        assert_eq!(watcher.may_publish("tw/v1/a/telemetry"), None);
        assert!(watcher.may_subscribe("#") && watcher.may_subscribe("tw/v1/+/telemetry"));
        assert!(!watcher.may_subscribe("$SYS/#") && !watcher.may_subscribe("other/#"));
        assert_eq!(
            Permissions::anybody().may_publish("tw/v1/a/telemetry"),
            Some(id("a"))
        );
    }
}
