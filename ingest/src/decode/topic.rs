//! Whose message it is, and about what.

/// What an MQTT topic below `tw/v1/` is about. Source: `design.md` §6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic<'a> {
    /// Readings of this device.
    Telemetry(&'a str),
    /// State, command or acknowledgement of this device: counted, but holds no readings.
    Other(&'a str),
}

impl<'a> Topic<'a> {
    /// None when it is no topic of Townwatch's.
    pub(crate) fn parse(topic: &'a str) -> Option<Self> {
        let (device, leaf) = topic.strip_prefix("tw/v1/")?.split_once('/')?;
        match leaf {
            _ if device.is_empty() => None,
            "telemetry" => Some(Self::Telemetry(device)),
            "state" | "cmd" | "ack" => Some(Self::Other(device)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_its_device_and_its_matter() {
        for (text, want) in [
            ("tw/v1/lamp-1/telemetry", Some(Topic::Telemetry("lamp-1"))),
            ("tw/v1/lamp-1/state", Some(Topic::Other("lamp-1"))),
            ("tw/v1/lamp-1/cmd", Some(Topic::Other("lamp-1"))),
            ("tw/v1/lamp-1/ack", Some(Topic::Other("lamp-1"))),
            ("tw/v1/lamp-1/telemetry/x", None),
            ("tw/v1//telemetry", None),
            ("tw/v2/lamp-1/telemetry", None),
            ("/tw/v1/lamp-1/telemetry", None),
            ("tw/v1/lamp-1", None),
            ("", None),
        ] {
            assert_eq!(Topic::parse(text), want, "{text:?}");
        }
    }
}
