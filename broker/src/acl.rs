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

    /// Who stands as the sender of a message on `topic`, or `None` when it may not be published.
    #[must_use]
    pub fn may_publish(&self, topic: &str) -> Option<DeviceId> {
        let owner = topic::owner(topic)?;
        match &self.0 {
            Kind::Device { id, speaks_for } => {
                (owner == *id || speaks_for.binary_search(&owner).is_ok()).then(|| id.clone())
            }
            Kind::Watcher => None,
            Kind::Anybody => Some(owner),
        }
    }

    /// Whether everything that a valid `filter` can match may be heard.
    #[must_use]
    pub fn may_subscribe(&self, filter: &str) -> bool {
        match &self.0 {
            // A wildcard in place of the name fails to be a device id.
            Kind::Device { id, speaks_for } => topic::owner(filter)
                .is_some_and(|owner| owner == *id || speaks_for.binary_search(&owner).is_ok()),
            Kind::Watcher | Kind::Anybody => filter == "#" || filter == "tw" || filter.starts_with("tw/"),
        }
    }
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
